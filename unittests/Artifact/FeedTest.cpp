//===- FeedTest.cpp - Outputs that leave a session or come back into it -------===//
#include "Tiny.h"
#include "ds_runtime.hpp"
#include <atomic>
#include <cstdlib>
#include <cstring>

using ds::artifact::EmitKind;
using namespace ds::test;
using ds::Tensor;

namespace {

class Feed : public testing::Test {
protected:
  static void SetUpTestSuite() {
    folder = new TestFolder;
    linkTiny(folder->file("tiny.so"), EmitKind::SharedLibrary);
  }
  static void TearDownTestSuite() { delete folder; }

  Tensor ones() { return Tensor(a, {2, 4}); }
  Tensor start() { return Tensor(b, {2}); }
  Tensor which() { return Tensor(&pick, {}); }
  std::string problem(ds::Session &session, const std::vector<Tensor> &inputs) {
    std::vector<ds_tensor> given;
    for (const Tensor &tensor : inputs)
      given.push_back(tensor.c());
    ds_error error = {};
    EXPECT_NE(ds_session_run(session.c(), given.data(), given.size(), nullptr, 0, &error), DS_OK);
    return error.message;
  }

  static TestFolder *folder;
  float a[8] = {1, 1, 1, 1, 2, 2, 2, 2}, b[2] = {0.5f, 0.25f}; // a row adds 1111 or 2222
  int64_t pick = 0;
};
TestFolder *Feed::folder;

TEST_F(Feed, OutputComesBackWithoutACopy) {
  ds::Model model(folder->file("tiny.so"));
  ds::Session session(model);
  session.feed("sum", "b");
  const void *last = session.run({ones(), start(), which()})[0].data();
  for (int i = 2; i < 20; ++i) {
    std::vector<Tensor> out = session.run({ones(), Tensor(), which()});
    EXPECT_EQ(out[0].data<float>()[0], float(i) * 1111 + 0.5f);
    EXPECT_EQ(out[0].data<float>()[1], float(i) * 2222 + 0.25f);
    EXPECT_NE(out[0].data(), last) << "written where it is read";
    last = out[0].data();
  }
  const uint64_t held = session.memory();
  session.run({ones(), Tensor(), which()});
  EXPECT_EQ(session.memory(), held);
}

TEST_F(Feed, CallersMemoryComesBackToo) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  session.feed("sum", "b");
  float sums[2][2], row[5];
  Tensor rows(row, {5});
  session.run({ones(), start(), which()}, {Tensor(sums[0], {2}), rows});
  session.run({ones(), Tensor(), which()}, {Tensor(sums[1], {2}), rows});
  EXPECT_EQ(sums[1][1], 4444.25f);
  // Writing over what is read would be wrong, and is refused.
  EXPECT_THROW(session.run({ones(), Tensor(), which()}, {Tensor(sums[1], {2}), rows}), ds::Error);
}

TEST_F(Feed, WhatIsGivenStartsAnew) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  session.feed("sum", "b");
  session.run({ones(), start(), which()});
  session.run({ones(), Tensor(), which()});
  EXPECT_EQ(session.run({ones(), start(), which()})[0].data<float>()[0], 1111.5f);
}

TEST_F(Feed, RefusedInputLeavesTheState) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  session.feed("sum", "b");
  session.run({ones(), start(), which()});
  EXPECT_NE(problem(session, {Tensor(a, {2, 3}), Tensor(), which()}), "");
  EXPECT_EQ(session.run({ones(), Tensor(), which()})[0].data<float>()[0], 2222.5f);
}

TEST_F(Feed, FailedRunNeedsAnotherStart) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  session.feed("sum", "b");
  session.run({ones(), start(), which()});
  pick = 99;
  EXPECT_NE(problem(session, {ones(), Tensor(), which()}), "");
  pick = 0;
  EXPECT_NE(problem(session, {ones(), Tensor(), which()}).find("give this run a tensor"), std::string::npos);
}

TEST_F(Feed, SaysWhatIsMissing) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  session.feed("sum", "b");
  EXPECT_EQ(problem(session, {ones(), Tensor(), which()}),
            "input 'b' is to be fed by output 'sum', but there is none yet; give this run a tensor");
  EXPECT_NE(problem(session, {Tensor(), start(), which()}).find("input 'a' should be float32"), std::string::npos);
}

TEST_F(Feed, UnlikeTensorsAreRefused) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  ds_error error;
  EXPECT_THROW(session.feed("sum", "a"), ds::Error);    // another rank
  EXPECT_THROW(session.feed("sum", "pick"), ds::Error); // another type
  EXPECT_THROW(session.feed("nothing", "b"), ds::Error);
  EXPECT_EQ(ds_session_feed(session.c(), 7, 1, &error), DS_BAD_ARGUMENT);
  EXPECT_EQ(ds_session_feed(session.c(), 0, 7, &error), DS_BAD_ARGUMENT);
  EXPECT_EQ(ds_session_feed(nullptr, 0, 0, &error), DS_BAD_ARGUMENT);
}

TEST_F(Feed, CanBeEnded) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  session.feed("sum", "b");
  session.run({ones(), start(), which()});
  ds_error error;
  ASSERT_EQ(ds_session_feed(session.c(), DS_NO_OUTPUT, 1, &error), DS_OK);
  EXPECT_NE(problem(session, {ones(), Tensor(), which()}).find("input 'b' should be float32"), std::string::npos);
}

TEST_F(Feed, ShapesMayChange) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  session.feed("sum", "b");
  session.run({ones(), start(), which()});
  // The fed state has two rows still: one row of `a` does not fit.
  EXPECT_NE(problem(session, {Tensor(a, {1, 4}), Tensor(), which()}).find("N"), std::string::npos);
  EXPECT_EQ(session.run({Tensor(a, {1, 4}), Tensor(b, {1}), which()})[0].size(), 1);
  EXPECT_EQ(session.run({Tensor(a, {1, 4}), Tensor(), which()})[0].data<float>()[0], 2222.5f);
}

//===----------------------------------------------------------------------===//
// DLPack
//===----------------------------------------------------------------------===//

TEST_F(Feed, DlpackInIsUsedInPlaceOrCopiedWhereStrided) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  int64_t shape[2] = {2, 4}, columns[2] = {1, 2};
  float transposed[9] = {-1};
  for (int i = 0; i < 8; ++i)
    transposed[1 + i % 4 * 2 + i / 4] = a[i];
  DLTensor tensor = {a, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, nullptr, 0};
  EXPECT_EQ(Tensor::fromDlpack(tensor).data(), a);
  EXPECT_EQ(session.run({Tensor::fromDlpack(tensor), start(), which()})[0].data<float>()[1], 2222.25f);
  tensor = {transposed, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, columns, sizeof(float)};
  EXPECT_EQ(session.run({Tensor::fromDlpack(tensor), start(), which()})[0].data<float>()[1], 2222.25f);
}

TEST_F(Feed, DlpackTypesRoundTrip) {
  const struct {
    uint8_t code, bits;
    int32_t dtype;
  } known[] = {{kDLBool, 8, DS_BOOL},        {kDLInt, 8, DS_INT8},       {kDLInt, 64, DS_INT64},
               {kDLUInt, 8, DS_UINT8},       {kDLUInt, 16, DS_UINT16},   {kDLFloat, 16, DS_FLOAT16},
               {kDLBfloat, 16, DS_BFLOAT16}, {kDLFloat, 32, DS_FLOAT32}, {kDLFloat, 64, DS_FLOAT64}};
  for (const auto &type : known) {
    DLTensor tensor = {a, {kDLCPU, 0}, 0, {type.code, type.bits, 1}, nullptr, nullptr, 0};
    EXPECT_EQ(Tensor::fromDlpack(tensor).dtype(), type.dtype);
  }
  ds_tensor out;
  ds_error error;
  for (DLDataType type : {DLDataType{kDLComplex, 64, 1}, DLDataType{kDLFloat, 32, 4}, DLDataType{kDLInt, 4, 1}}) {
    DLTensor tensor = {a, {kDLCPU, 0}, 0, type, nullptr, nullptr, 0};
    EXPECT_EQ(ds_tensor_from_dlpack(&tensor, &out, &error), DS_BAD_ARGUMENT);
  }
  DLTensor elsewhere = {a, {kDLCUDA, 0}, 0, {kDLFloat, 32, 1}, nullptr, nullptr, 0};
  EXPECT_EQ(ds_tensor_from_dlpack(&elsewhere, &out, &error), DS_BAD_ARGUMENT);
  EXPECT_STREQ(error.message,
               "the DLPack tensor lies on device type 2, number 0, expected the host's memory (type 1, number 0)");
}

TEST_F(Feed, DetachedOutputOutlivesItsSession) {
  DLManagedTensorVersioned *first, *second;
  const void *data;
  {
    ds::Session session{ds::Model(folder->file("tiny.so"))};
    data = session.run({ones(), start(), which()})[0].data();
    const uint64_t held = session.memory();
    first = session.detach(0);
    EXPECT_EQ(first->dl_tensor.data, data);
    EXPECT_LT(session.memory(), held);
    EXPECT_THROW(session.detach(0), ds::Error) << "given away twice";
    b[0] = 7;
    session.run({ones(), start(), which()});
    second = session.detach(0);
  }
  EXPECT_NE(first->dl_tensor.data, second->dl_tensor.data);
  EXPECT_EQ(static_cast<float *>(first->dl_tensor.data)[0], 1111.5f);
  EXPECT_EQ(static_cast<float *>(second->dl_tensor.data)[0], 1118.0f);
  EXPECT_EQ(first->dl_tensor.ndim, 1);
  EXPECT_EQ(first->dl_tensor.shape[0], 2);
  EXPECT_EQ(first->dl_tensor.strides[0], 1);
  EXPECT_EQ(first->dl_tensor.dtype.bits, 32);
  first->deleter(first);
  second->deleter(second);
}

TEST_F(Feed, DetachedMemoryGoesBackToItsAllocator) {
  struct Count {
    std::atomic<int> live{0};
  } count;
  ds_allocator allocator = {&count,
                            [](void *context, size_t size, size_t alignment) {
                              static_cast<Count *>(context)->live++;
                              return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
                            },
                            [](void *context, void *memory, size_t) {
                              static_cast<Count *>(context)->live--;
                              free(memory);
                            }};
  ds_session_options options = {};
  options.allocator = &allocator;
  DLManagedTensorVersioned *tensor;
  {
    ds::Session session(ds::Model(folder->file("tiny.so")), options);
    session.run({ones(), start(), which()});
    tensor = session.detach(1);
  }
  EXPECT_EQ(count.live, 1);
  tensor->deleter(tensor);
  EXPECT_EQ(count.live, 0);
}

TEST_F(Feed, DetachedOutputFeedsNothing) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  session.feed("sum", "b");
  session.run({ones(), start(), which()});
  DLManagedTensorVersioned *tensor = session.detach(0);
  EXPECT_NE(problem(session, {ones(), Tensor(), which()}).find("there is none"), std::string::npos);
  session.run({ones(), Tensor::fromDlpack(tensor->dl_tensor), which()});
  tensor->deleter(tensor);
}

TEST_F(Feed, CallersOutputIsNotDetached) {
  ds::Session session{ds::Model(folder->file("tiny.so"))};
  float sums[2], row[5];
  session.run({ones(), start(), which()}, {Tensor(sums, {2}), Tensor(row, {5})});
  EXPECT_THROW(session.detach(0), ds::Error);
  EXPECT_THROW(session.detach(2), ds::Error);
}

} // namespace
