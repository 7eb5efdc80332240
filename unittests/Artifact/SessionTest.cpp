//===- SessionTest.cpp - The C ABI on a hand-written program -----------------===//
#include "Tiny.h"
#include "ds_runtime.h"
#include <cmath>
#include <cstring>
#include <thread>

using namespace ds::artifact;
using namespace ds::test;

namespace {

class Session : public testing::Test {
protected:
  static void SetUpTestSuite() {
    folder = new TestFolder;
    linkTiny(folder->file("tiny.so"), EmitKind::SharedLibrary);
  }
  static void TearDownTestSuite() { delete folder; }

  void SetUp() override {
    ASSERT_EQ(ds_model_load(folder->file("tiny.so").c_str(), &model, &error), DS_OK) << error.message;
    open(1);
  }
  void TearDown() override {
    ds_session_destroy(session);
    ds_model_release(model);
  }

  void open(uint32_t threads) {
    ds_session_destroy(session);
    session = nullptr;
    ds_session_options options = {};
    options.threads = threads;
    ASSERT_EQ(ds_session_create(model, &options, &session, &error), DS_OK) << error.message;
  }

  /// Inputs for a batch of n: a[i][j] = i + j, b[i] = 0.5.
  void make(int64_t n) {
    a.resize(size_t(n) * 4);
    b.assign(size_t(n), 0.5f);
    for (size_t i = 0; i < a.size(); ++i)
      a[i] = float(i / 4 + i % 4);
    shapeA[0] = shapeB[0] = n;
    inputs[0] = {a.data(), DS_FLOAT32, 2, shapeA, nullptr};
    inputs[1] = {b.data(), DS_FLOAT32, 1, shapeB, nullptr};
    inputs[2] = {&pick, DS_INT64, 0, nullptr, nullptr};
  }
  ds_status run(ds_tensor *outputs = nullptr) {
    return ds_session_run(session, inputs, 3, outputs, outputs ? 2 : 0, &error);
  }
  std::string problem() {
    error.message[0] = 0;
    EXPECT_NE(run(), DS_OK);
    return error.message;
  }
  static float sum(int64_t i) {
    float s = 0.5f;
    for (int j = 0; j < 4; ++j)
      s += float(i + j) * tinyWeights[j];
    return s;
  }
  void expectSums(const ds_tensor &t, int64_t n) {
    ASSERT_EQ(t.rank, 1);
    ASSERT_EQ(t.dtype, DS_FLOAT32);
    ASSERT_EQ(t.shape[0], n);
    for (int64_t i = 0; i < n; ++i)
      EXPECT_EQ(static_cast<float *>(t.data)[i], sum(i));
  }

  static TestFolder *folder;
  ds_model *model = nullptr;
  ds_session *session = nullptr;
  ds_error error = {};
  std::vector<float> a, b;
  int64_t pick = 2, shapeA[2] = {0, 4}, shapeB[1];
  ds_tensor inputs[3] = {};
};

TestFolder *Session::folder;

} // namespace

TEST_F(Session, TellsOfTheModel) {
  ds_tensor_info info;
  ds_symbol_info symbol;
  EXPECT_EQ(ds_model_input_count(model), 3u);
  EXPECT_EQ(ds_model_output_count(model), 2u);
  ASSERT_EQ(ds_model_output(model, 1, &info), DS_OK);
  EXPECT_STREQ(info.name, "row");
  EXPECT_EQ(info.dimensions[0].size, -1);
  EXPECT_STREQ(info.dimensions[0].text, "2*N+1");
  ASSERT_EQ(ds_model_input(model, 0, &info), DS_OK);
  EXPECT_EQ(info.dimensions[1].size, 4);
  EXPECT_EQ(ds_model_input(model, 3, &info), DS_BAD_ARGUMENT);
  ASSERT_EQ(ds_model_symbol(model, 0, &symbol), DS_OK);
  EXPECT_STREQ(symbol.name, "N");
  EXPECT_STREQ(ds_model_property(model, "author"), "nobody");
  EXPECT_STREQ(ds_model_property(model, "alphabet"), "a\nb\nc");
  EXPECT_EQ(ds_model_property(model, "title"), nullptr);
  EXPECT_STREQ(ds_model_property_key(model, 1), "alphabet");
  EXPECT_EQ(ds_model_property_key(model, 2), nullptr);
  ds_model_summary summary;
  ds_model_describe(model, &summary);
  EXPECT_STREQ(summary.compiler, "hand");
  EXPECT_EQ(summary.launch_count, 3u);
  EXPECT_EQ(ds_model_verify(model, &error), DS_OK);
}

TEST_F(Session, RunsAtAnySizeAndThreadCount) {
  for (uint32_t threads : {1u, 2u, 3u, 5u}) {
    open(threads);
    EXPECT_EQ(ds_session_threads(session), threads);
    // More sizes than plans are remembered, zero among them, up and down.
    for (int64_t n : {3, 1, 0, 700, 1000, 2, 3, 5, 6, 7, 3, 0, 1}) {
      make(n);
      ds_tensor outputs[2] = {};
      ASSERT_EQ(run(outputs), DS_OK) << error.message;
      expectSums(outputs[0], n);
      ASSERT_EQ(outputs[1].shape[0], 2 * n + 1);
      for (int64_t k = 0; k < 2 * n + 1; ++k)
        EXPECT_EQ(static_cast<float *>(outputs[1].data)[k], float(k) * 100);
      ds_tensor again;
      ASSERT_EQ(ds_session_output(session, 0, &again), DS_OK);
      EXPECT_EQ(again.data, outputs[0].data);
    }
  }
}

TEST_F(Session, WritesIntoTheCallersMemory) {
  make(3);
  float sums[3], row[7];
  const int64_t sumShape[] = {3}, rowShape[] = {7};
  ds_tensor outputs[2] = {{sums, DS_FLOAT32, 1, sumShape, nullptr}, {row, DS_FLOAT32, 1, rowShape, nullptr}};
  ASSERT_EQ(run(outputs), DS_OK) << error.message;
  expectSums(outputs[0], 3);
  EXPECT_EQ(outputs[0].data, sums);
  EXPECT_EQ(row[6], 600);
}

TEST_F(Session, EntriesThatAnEarlierRunFilledInAreFilledInAgain) {
  // Also where the memory that they name has moved since: larger runs did not get the entries.
  make(3);
  ds_tensor outputs[2] = {};
  ASSERT_EQ(run(outputs), DS_OK) << error.message;
  for (int64_t n : {50, 400, 1000}) {
    make(n);
    ASSERT_EQ(run(nullptr), DS_OK) << error.message;
  }
  for (int64_t n : {1000, 3, 20}) {
    ds_tensor filled[2] = {outputs[0], outputs[1]};
    make(n);
    ASSERT_EQ(run(filled), DS_OK) << error.message;
    expectSums(filled[0], n);
    ds_tensor last;
    ASSERT_EQ(ds_session_output(session, 0, &last), DS_OK);
    EXPECT_EQ(filled[0].data, last.data);
  }
}

TEST_F(Session, StridedAndMisalignedTensorsAreCopied) {
  make(3);
  // `a` transposed, `b` reversed and at an odd address, `sum` with gaps.
  std::vector<float> transposed(12);
  for (size_t i = 0; i < 12; ++i)
    transposed[i % 4 * 3 + i / 4] = a[i];
  const int64_t stridesA[] = {1, 3}, stridesB[] = {-1}, stridesSum[] = {2}, shape[] = {3};
  alignas(4) char odd[13];
  memcpy(odd + 1, b.data(), 12);
  inputs[0] = {transposed.data(), DS_FLOAT32, 2, shapeA, stridesA};
  inputs[1] = {odd + 9, DS_FLOAT32, 1, shapeB, stridesB};
  float sums[6] = {-1, -1, -1, -1, -1, -1};
  ds_tensor outputs[2] = {{sums, DS_FLOAT32, 1, shape, stridesSum}, {}};
  ASSERT_EQ(run(outputs), DS_OK) << error.message;
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(sums[2 * i], sum(i));
    EXPECT_EQ(sums[2 * i + 1], -1);
  }
}

TEST_F(Session, OutputsCanBeInputsOfTheNextRun) {
  make(3);
  ds_tensor outputs[2] = {};
  ASSERT_EQ(run(outputs), DS_OK);
  float expected[3];
  memcpy(expected, outputs[0].data, sizeof expected);
  for (int round = 0; round < 5; ++round) {
    const void *before = outputs[0].data;
    inputs[1] = outputs[0]; // b = the last sum
    ASSERT_EQ(run(outputs), DS_OK) << error.message;
    EXPECT_NE(outputs[0].data, before);
    for (int64_t i = 0; i < 3; ++i) {
      expected[i] += sum(i) - 0.5f;
      EXPECT_EQ(static_cast<float *>(outputs[0].data)[i], expected[i]);
    }
  }
}

TEST_F(Session, InfersShapes) {
  make(20);
  ds_tensor outputs[2];
  inputs[0].data = inputs[1].data = nullptr;
  ASSERT_EQ(ds_session_infer(session, inputs, 3, outputs, 2, &error), DS_OK) << error.message;
  EXPECT_EQ(outputs[0].shape[0], 20);
  EXPECT_EQ(outputs[1].shape[0], 41);
  EXPECT_EQ(outputs[1].data, nullptr);
  const int64_t symbols[] = {5};
  ds_tensor resolved[3];
  ASSERT_EQ(ds_session_resolve(session, symbols, 1, resolved, outputs, &error), DS_OK) << error.message;
  EXPECT_EQ(resolved[0].shape[0], 5);
  EXPECT_EQ(resolved[0].shape[1], 4);
  EXPECT_EQ(resolved[2].rank, 0);
  EXPECT_EQ(outputs[1].shape[0], 11);
}

TEST_F(Session, SaysWhatIsWrongWithInputs) {
  make(3);
  EXPECT_EQ(ds_session_run(session, inputs, 2, nullptr, 0, &error), DS_BAD_INPUT);
  EXPECT_STREQ(error.message, "the model has 3 inputs, 2 given");
  inputs[0].dtype = DS_FLOAT64;
  EXPECT_EQ(problem(), "input 'a' should be float32, given float64");
  make(3);
  inputs[0].rank = 1;
  EXPECT_EQ(problem(), "input 'a' should have 2 dimensions (float32 [N, 4]), given 1");
  make(3);
  shapeB[0] = 2;
  EXPECT_EQ(problem(), "input 'b' has N=2 in dimension 0, but input 'a' gave N=3");
  make(3);
  shapeA[1] = 5;
  EXPECT_EQ(problem(), "input 'a' should have 4 in dimension 1 (float32 [N, 4]), given [3, 5]");
  shapeA[1] = 4;
  shapeA[0] = -1;
  EXPECT_EQ(problem(), "input 'a' has the impossible size -1 in dimension 0");
  make(1001);
  EXPECT_EQ(problem(), "the batch N must be at most 1000 (given N=1001)");
  make(3);
  inputs[0].data = nullptr;
  EXPECT_EQ(problem(), "the data of input 'a' is NULL");
  make(3);
  pick = 4;
  EXPECT_EQ(problem(), "node 'row' (Gather): an index value is outside the dimension that it selects from");
  pick = 2;
  ds_tensor outputs[2] = {};
  ASSERT_EQ(run(outputs), DS_OK); // and goes on
  expectSums(outputs[0], 3);
}

TEST_F(Session, SaysWhatIsWrongWithOutputs) {
  make(3);
  float sums[8];
  const int64_t right[] = {3}, wrong[] = {4};
  auto expect = [&](ds_tensor sum, ds_tensor row, const char *message) {
    ds_tensor outputs[2] = {sum, row};
    EXPECT_EQ(run(outputs), DS_BAD_INPUT);
    EXPECT_STREQ(error.message, message);
  };
  expect({sums, DS_FLOAT32, 1, wrong, nullptr}, {}, "output 'sum' has shape [3] here, but memory for [4] was given");
  expect({sums, DS_INT32, 1, right, nullptr}, {}, "output 'sum' is float32, but memory for int32 was given");
  expect({b.data(), DS_FLOAT32, 1, right, nullptr}, {}, "the memory given for output 'sum' overlaps that of input 'b'");
  const int64_t rowShape[] = {7};
  expect({sums, DS_FLOAT32, 1, right, nullptr}, {sums + 1, DS_FLOAT32, 1, rowShape, nullptr},
         "the memory given for output 'row' overlaps that of output 'sum'");
  ds_tensor one = {};
  EXPECT_EQ(ds_session_run(session, inputs, 3, &one, 1, &error), DS_BAD_INPUT);
  ds_tensor output;
  EXPECT_EQ(ds_session_output(session, 0, &output), DS_BAD_ARGUMENT); // no run has succeeded
}

TEST_F(Session, UsesTheCallersAllocator) {
  struct Count {
    int64_t bytes = 0, calls = 0;
  } count;
  ds_allocator allocator = {&count,
                            [](void *context, size_t size, size_t alignment) {
                              static_cast<Count *>(context)->bytes += int64_t(size);
                              ++static_cast<Count *>(context)->calls;
                              return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
                            },
                            [](void *context, void *memory, size_t size) {
                              static_cast<Count *>(context)->bytes -= int64_t(size);
                              free(memory);
                            }};
  std::string log;
  ds_session_options options = {};
  options.threads = 2;
  options.allocator = &allocator;
  options.logger = [](void *context, const char *message) { static_cast<std::string *>(context)->append(message); };
  options.logger_context = &log;
  ds_session_destroy(session);
  session = nullptr;
  ASSERT_EQ(ds_session_create(model, &options, &session, &error), DS_OK);
  make(10);
  ASSERT_EQ(run(), DS_OK);
  EXPECT_GT(count.bytes, 160);
  EXPECT_EQ(uint64_t(count.bytes), ds_session_memory(session));
  const int64_t calls = count.calls;
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(run(), DS_OK);
  EXPECT_EQ(count.calls, calls);
  EXPECT_NE(log.find("N=10"), std::string::npos);
  ds_session_destroy(session);
  session = nullptr;
  EXPECT_EQ(count.bytes, 0);
}

TEST_F(Session, OutOfMemoryIsAnError) {
  ds_allocator allocator = {nullptr, [](void *, size_t, size_t) -> void * { return nullptr; },
                            [](void *, void *, size_t) {}};
  ds_session_options options = {};
  options.threads = 1;
  options.allocator = &allocator;
  ds_session_destroy(session);
  session = nullptr;
  ASSERT_EQ(ds_session_create(model, &options, &session, &error), DS_OK);
  make(3);
  EXPECT_EQ(run(), DS_OUT_OF_MEMORY);
}

TEST_F(Session, Profiles) {
  make(100);
  ds_profile_entry entry;
  EXPECT_EQ(ds_session_profile_entry(session, 0, &entry), DS_BAD_ARGUMENT);
  ASSERT_EQ(ds_session_profile(session, 1, &error), DS_OK);
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(run(), DS_OK);
  ASSERT_EQ(ds_session_profile(session, 0, &error), DS_OK);
  ASSERT_EQ(run(), DS_OK);
  ASSERT_EQ(ds_session_profile_entry(session, 0, &entry), DS_OK);
  EXPECT_STREQ(entry.kernel, "multiply_weights");
  EXPECT_STREQ(entry.source, "node 'mul' (Mul)");
  EXPECT_EQ(entry.calls, 3u);
  EXPECT_EQ(entry.flops, 1200);
  EXPECT_EQ(entry.bytes, 4800);
  EXPECT_GT(entry.seconds, 0);
  EXPECT_EQ(ds_session_profile_entry(session, 3, &entry), DS_BAD_ARGUMENT);
}

TEST_F(Session, ModelsAreSharedByThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      ds_session *own = nullptr;
      ds_session_options options = {};
      options.threads = uint32_t(1 + t % 2);
      ASSERT_EQ(ds_session_create(model, &options, &own, nullptr), DS_OK);
      std::vector<float> x(40, float(t)), y(10, 0);
      int64_t which = 0;
      const int64_t shapeX[] = {10, 4}, shapeY[] = {10};
      const ds_tensor in[3] = {{x.data(), DS_FLOAT32, 2, shapeX, nullptr},
                               {y.data(), DS_FLOAT32, 1, shapeY, nullptr},
                               {&which, DS_INT64, 0, nullptr, nullptr}};
      for (int i = 0; i < 100; ++i) {
        ds_tensor out[2] = {};
        ASSERT_EQ(ds_session_run(own, in, 3, out, 2, nullptr), DS_OK);
        EXPECT_EQ(static_cast<float *>(out[0].data)[9], float(t) * 1111);
      }
      ds_session_destroy(own);
    });
  for (std::thread &t : threads)
    t.join();
}

TEST_F(Session, KeepsTheModelAlive) {
  ds_model_release(model);
  model = nullptr;
  make(2);
  EXPECT_EQ(run(), DS_OK);
}

TEST_F(Session, BadArguments) {
  ds_model *none = nullptr;
  EXPECT_EQ(ds_model_load(nullptr, &none, &error), DS_BAD_ARGUMENT);
  EXPECT_EQ(ds_session_create(nullptr, nullptr, &session, nullptr), DS_BAD_ARGUMENT);
  EXPECT_EQ(ds_session_run(nullptr, nullptr, 0, nullptr, 0, nullptr), DS_BAD_ARGUMENT);
  EXPECT_EQ(ds_session_run(session, nullptr, 3, nullptr, 0, &error), DS_BAD_ARGUMENT);
  ds_session_options options = {};
  options.threads = 100000;
  ds_session *other = nullptr;
  EXPECT_EQ(ds_session_create(model, &options, &other, &error), DS_BAD_ARGUMENT);
  ds_session_destroy(nullptr);
  ds_model_release(nullptr);
  EXPECT_STREQ(ds_dtype_name(-1), "unknown");
  EXPECT_EQ(ds_dtype_size(DS_FLOAT64), 8u);
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

TEST_F(Session, LoadsFromMemory) {
  const std::string bytes = readFile(folder->file("tiny.so"));
  ds_model *models[3] = {};
  for (ds_model *&m : models)
    ASSERT_EQ(ds_model_load_memory(bytes.data(), bytes.size(), &m, &error), DS_OK) << error.message;
  for (ds_model *m : models)
    ds_model_release(m);
  ds_model *bad = nullptr;
  EXPECT_EQ(ds_model_load_memory(bytes.data(), 100, &bad, &error), DS_BAD_ARTIFACT);
  EXPECT_EQ(bad, nullptr);
}

TEST_F(Session, NoticesCodeOfAnotherModelUnderTheSameName) {
  // The dynamic linker gives the code that it already has by that name; the metadata is that of the new file.
  TestFolder own;
  const std::string path = linkTiny(own.file("m.so"), EmitKind::SharedLibrary);
  ds_model *first = nullptr, *second = nullptr;
  ASSERT_EQ(ds_model_load(path.c_str(), &first, &error), DS_OK) << error.message;
  Program other = tinyProgram();
  other.compiler = "another hand";
  linkTiny(path, EmitKind::SharedLibrary, other);
  EXPECT_EQ(ds_model_load(path.c_str(), &second, &error), DS_BAD_ARTIFACT);
  EXPECT_NE(std::string(error.message).find("do not belong together"), std::string::npos) << error.message;
  ds_model_release(first);
  EXPECT_EQ(ds_model_load(path.c_str(), &second, &error), DS_OK) << error.message;
  ds_model_release(second);
}
