//===- StateTest.cpp - Donated inputs, given symbols, devices ---------------===//
#include "Tiny.h"
#include "ds_dlpack.h"
#include "ds_runtime.h"
#include <gmock/gmock.h>
#include <thread>

using namespace ds::artifact;
using namespace ds::test;

namespace {

Program stateProgram(bool inPlace) {
  Program p = tinyProgram();
  p.valueCount = 2;
  p.stages = {{2, 2, 0, Number::constant(0)}};
  p.symbols = {{"N", "N", 0, 0}, {"r", "r", DS_ARTIFACT_GIVEN, 0}};
  const Dimension n = {Number::ofSymbol(0), "N"};
  p.inputs = {{"w", DS_FLOAT32, {n}}, {"x", DS_FLOAT32, {n}}};
  p.outputs = {{"next", DS_FLOAT32, {{Number::ofValue(0), "N+"}}}, {"old", DS_FLOAT32, {n}}};
  p.constraints.clear();
  p.weights.clear();
  p.buffers = {Buffer::input(0), Buffer::input(1), Buffer::output(0, 1), Buffer::output(1, 0)};
  p.kernels = {{"keep_old", "keep"}, {"update", "update"}};
  p.launches = {{0, "node 'keep' (Identity)", {}, {}}, {1, "node 'update' (Add)", {}, {}}};
  p.donations = {{0, 0, inPlace}};
  return p;
}

/// With the output in the input's memory, and with a copy of it at the end.
class State : public testing::TestWithParam<bool> {
protected:
  void SetUp() override {
    const Program program = stateProgram(GetParam());
    path = folder.file("state.so");
    ASSERT_EQ(linkTo(path, {{DS_STATE_OBJECT, {}}}, {&program, 1}, EmitKind::SharedLibrary), "");
    ASSERT_EQ(ds_model_load(path.c_str(), &model, &error), DS_OK) << error.message;
    session = open();
  }
  void TearDown() override {
    ds_session_destroy(session);
    ds_model_release(model);
  }
  ds_session *open() {
    const ds_symbol_value given = {"r", 2};
    ds_session_options options = {};
    options.threads = 1;
    options.given = &given;
    options.given_count = 1;
    ds_session *made = nullptr;
    EXPECT_EQ(ds_session_create(model, &options, &made, &error), DS_OK) << error.message;
    return made;
  }
  ds_tensor tensor(std::vector<float> &data, const int64_t *shape) {
    return {data.data(), DS_FLOAT32, 1, shape, nullptr};
  }
  ds_status run(const ds_tensor &w, const ds_tensor &x, ds_tensor *outputs = nullptr, ds_session *on = nullptr) {
    const ds_tensor inputs[2] = {w, x};
    error.message[0] = 0;
    return ds_session_run(on ? on : session, inputs, 2, outputs, outputs ? 2 : 0, &error);
  }
  /// The message of a call that fails.
  std::string problem(ds_status status) {
    EXPECT_NE(status, DS_OK);
    return error.message;
  }
  std::vector<float> state() {
    ds_tensor t;
    EXPECT_EQ(ds_session_state_get(session, 0, &t, &error), DS_OK) << error.message;
    const float *data = static_cast<float *>(t.data);
    return std::vector<float>(data, data + t.shape[0]);
  }

  TestFolder folder;
  std::string path;
  ds_model *model = nullptr;
  ds_session *session = nullptr;
  ds_error error = {};
  const int64_t four[1] = {4};
  std::vector<float> w = {1, 2, 3, 4}, x = {10, 20, 30, 40};
};

} // namespace

using testing::HasSubstr;

TEST_P(State, IsUpdatedRunAfterRun) {
  EXPECT_EQ(ds_model_donation(model, 0), 0u);
  EXPECT_EQ(ds_model_donation(model, 1), DS_NO_OUTPUT);
  ds_tensor value = tensor(w, four), first, outputs[2] = {};
  ASSERT_EQ(ds_session_state_set(session, 0, &value, &error), DS_OK) << error.message;
  ASSERT_EQ(ds_session_state_get(session, 0, &first, &error), DS_OK);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(run({}, tensor(x, four), outputs), DS_OK) << error.message;
    EXPECT_EQ(outputs[0].data, first.data); // one place
    EXPECT_EQ(outputs[0].device.device_type, DS_DEVICE_CPU);
    EXPECT_EQ(static_cast<float *>(outputs[1].data)[3], w[3] + float(2 * i) * x[3]);
    EXPECT_EQ(state(), (std::vector<float>{w[0] + float(2 * i + 2) * 10, w[1] + float(2 * i + 2) * 20,
                                           w[2] + float(2 * i + 2) * 30, w[3] + float(2 * i + 2) * 40}));
  }
  EXPECT_EQ(w[0], 1); // the caller's is a copy
}

TEST_P(State, BeginsWithZerosAndEndsWithReset) {
  const uint64_t before = ds_session_memory(session);
  ASSERT_EQ(ds_session_state_create(session, 0, four, &error), DS_OK) << error.message;
  EXPECT_EQ(ds_session_memory(session), before + 16);
  ASSERT_EQ(run({}, tensor(x, four)), DS_OK) << error.message;
  EXPECT_EQ(state(), (std::vector<float>{20, 40, 60, 80}));
  ASSERT_EQ(ds_session_state_reset(session, 0, &error), DS_OK);
  EXPECT_THAT(problem(run({}, tensor(x, four))), HasSubstr("input 'w' has neither a tensor nor a state"));
  ds_tensor t;
  EXPECT_THAT(problem(ds_session_state_get(session, 0, &t, &error)), HasSubstr("no state for input 'w'"));
}

TEST_P(State, OfTheCallersMemoryIsUpdatedThere) {
  ds_tensor outputs[2] = {};
  ASSERT_EQ(run(tensor(w, four), tensor(x, four), outputs), DS_OK) << error.message;
  EXPECT_EQ(outputs[0].data, w.data());
  EXPECT_EQ(w, (std::vector<float>{21, 42, 63, 84}));
  ASSERT_EQ(run(tensor(w, four), tensor(x, four), outputs), DS_OK) << error.message;
  EXPECT_EQ(w, (std::vector<float>{41, 82, 123, 164}));
}

TEST_P(State, ThatIsMisusedIsAnError) {
  std::vector<float> other(4);
  ds_tensor outputs[2] = {tensor(other, four), {}};
  EXPECT_THAT(problem(run(tensor(w, four), tensor(w, four))),
              HasSubstr("'w' is donated, but input 'x' lies in the same"));
  EXPECT_THAT(problem(run(tensor(w, four), tensor(x, four), outputs)),
              HasSubstr("output 'next' lies in the memory of input 'w'"));
  ds_tensor old[2] = {{}, tensor(w, four)};
  EXPECT_THAT(problem(run(tensor(w, four), tensor(x, four), old)), HasSubstr("overlaps"));
  const int64_t two[1] = {2}, steps[1] = {2};
  EXPECT_THAT(problem(run({w.data(), DS_FLOAT32, 1, two, steps}, {x.data(), DS_FLOAT32, 1, two, nullptr})),
              HasSubstr("row-major without gaps"));
  EXPECT_THAT(problem(ds_session_feed(session, 0, 0, &error)), HasSubstr("without a feed"));
  EXPECT_THAT(problem(ds_session_state_create(session, 1, four, &error)), HasSubstr("'x' is not donated"));
  EXPECT_THAT(problem(ds_session_state_create(session, 9, four, &error)), HasSubstr("no input number 9"));
  EXPECT_THAT(problem(ds_session_state_create(session, 0, nullptr, &error)), HasSubstr("dimension 0 is N"));
  ds_tensor value = tensor(w, four);
  value.dtype = DS_FLOAT64;
  EXPECT_THAT(problem(ds_session_state_set(session, 0, &value, &error)), HasSubstr("should be float32"));
  value.dtype = DS_FLOAT32;
  ASSERT_EQ(ds_session_state_set(session, 0, &value, &error), DS_OK);
  ds_tensor held;
  ASSERT_EQ(ds_session_state_get(session, 0, &held, &error), DS_OK);
  EXPECT_THAT(problem(ds_session_state_set(session, 0, &held, &error)), HasSubstr("its own memory"));
  EXPECT_THAT(problem(run({}, held)), HasSubstr("lies in the same memory"));
  const int64_t three[1] = {3};
  EXPECT_THAT(problem(run({}, tensor(x, three))), HasSubstr("N=3"));
  EXPECT_EQ(state(), w); // nothing of that changed it
}

TEST_P(State, OfAnotherSessionIsRefused) {
  ds_session *other = open();
  ds_tensor value = tensor(w, four), held;
  ASSERT_EQ(ds_session_state_set(session, 0, &value, &error), DS_OK);
  ASSERT_EQ(ds_session_state_get(session, 0, &held, &error), DS_OK);
  EXPECT_THAT(problem(run(held, tensor(x, four), nullptr, other)), HasSubstr("the state of another session"));
  // To read it is fine.
  ASSERT_EQ(run(tensor(x, four), held, nullptr, other), DS_OK) << error.message;
  ASSERT_EQ(ds_session_state_reset(session, 0, &error), DS_OK);
  ds_session_destroy(other);
}

TEST_P(State, ThatAFailedRunHadBegunIsLost) {
  ds_tensor value = tensor(w, four);
  ASSERT_EQ(ds_session_state_set(session, 0, &value, &error), DS_OK);
  std::vector<float> bad = {-1, 0, 0, 0};
  EXPECT_THAT(problem(run({}, tensor(bad, four))), HasSubstr("node 'update'"));
  EXPECT_THAT(problem(run({}, tensor(x, four))), HasSubstr("was lost"));
  ASSERT_EQ(ds_session_state_set(session, 0, &value, &error), DS_OK);
  EXPECT_EQ(run({}, tensor(x, four)), DS_OK);
}

TEST_P(State, KeepsItsShape) {
  const int64_t many[1] = {101};
  std::vector<float> large(101);
  EXPECT_THAT(problem(run(tensor(large, many), tensor(x = large, many))),
              HasSubstr("input 'w' is donated to output 'next', but one has shape [101] here and the other [102]"));
}

TEST_P(State, OfAnotherSizeTakesItsPlace) {
  std::vector<float> large(50, 1), add(50, 1);
  const int64_t fifty[1] = {50}, zero[1] = {0};
  ASSERT_EQ(ds_session_state_create(session, 0, four, &error), DS_OK);
  ds_tensor value = tensor(large, fifty), outputs[2] = {};
  ASSERT_EQ(run({}, tensor(x, four), outputs), DS_OK) << error.message;
  ASSERT_EQ(ds_session_state_set(session, 0, &value, &error), DS_OK);
  ASSERT_EQ(run({}, tensor(add, fifty), outputs), DS_OK) << error.message; // the entries of an older run
  EXPECT_EQ(state(), std::vector<float>(50, 3));
  ASSERT_EQ(ds_session_state_create(session, 0, zero, &error), DS_OK) << error.message;
  EXPECT_EQ(run({}, tensor(add, zero), outputs), DS_OK) << error.message;
}

TEST_P(State, LeavesTheSessionAsDlpack) {
  ds_tensor value = tensor(w, four);
  ASSERT_EQ(ds_session_state_set(session, 0, &value, &error), DS_OK);
  ASSERT_EQ(run({}, tensor(x, four)), DS_OK);
  DLManagedTensorVersioned *taken = nullptr;
  ASSERT_EQ(ds_session_detach(session, 0, &taken, &error), DS_OK) << error.message;
  EXPECT_EQ(static_cast<float *>(taken->dl_tensor.data)[3], 84);
  EXPECT_THAT(problem(run({}, tensor(x, four))), HasSubstr("neither a tensor nor a state"));
  taken->deleter(taken);
}

TEST_P(State, OfManySessionsInManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const ds_symbol_value given = {"r", 1};
        ds_session_options options = {};
        options.threads = 1;
        options.given = &given;
        options.given_count = 1;
        ds_session *mine = nullptr;
        ds_error said;
        std::vector<float> add = {1, 1, 1, 1};
        const ds_tensor inputs[2] = {{}, {add.data(), DS_FLOAT32, 1, four, nullptr}};
        ASSERT_EQ(ds_session_create(model, &options, &mine, &said), DS_OK);
        ASSERT_EQ(ds_session_state_create(mine, 0, four, &said), DS_OK);
        for (int i = 0; i < 10; ++i)
          ASSERT_EQ(ds_session_run(mine, inputs, 2, nullptr, 0, &said), DS_OK) << said.message;
        ds_tensor t;
        ASSERT_EQ(ds_session_state_get(mine, 0, &t, &said), DS_OK);
        EXPECT_EQ(static_cast<float *>(t.data)[2], 10);
        ds_session_destroy(mine);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

INSTANTIATE_TEST_SUITE_P(Donation, State, testing::Values(true, false),
                         [](const auto &info) { return info.param ? "InPlace" : "Copied"; });

namespace {
class Given : public State {};
} // namespace

TEST_P(Given, SymbolsAreNeededAndMayChange) {
  ds_session_destroy(session);
  session = nullptr;
  ASSERT_EQ(ds_session_create(model, nullptr, &session, &error), DS_OK);
  ds_symbol_info symbol;
  ASSERT_EQ(ds_model_symbol(model, 1, &symbol), DS_OK);
  EXPECT_EQ(symbol.input, -1);
  EXPECT_THAT(problem(run(tensor(w, four), tensor(x, four))), HasSubstr("needs a value for 'r', which no input says"));
  EXPECT_THAT(problem(ds_session_set_symbol(session, "s", 1, &error)),
              HasSubstr("no symbol 's' to be given; it has: r"));
  EXPECT_THAT(problem(ds_session_set_symbol(session, "N", 1, &error)), HasSubstr("dimension 0 of input 'w'"));
  EXPECT_THAT(problem(ds_session_set_symbol(session, "r", -1, &error)), HasSubstr("r=-1"));
  ASSERT_EQ(ds_session_set_symbol(session, "r", 3, &error), DS_OK) << error.message;
  ASSERT_EQ(run(tensor(w, four), tensor(x, four)), DS_OK) << error.message;
  EXPECT_EQ(w[0], 31);
  ASSERT_EQ(ds_session_set_symbol(session, "r", 0, &error), DS_OK);
  ASSERT_EQ(run(tensor(w, four), tensor(x, four)), DS_OK) << error.message;
  EXPECT_EQ(w[0], 31);
  // Sizes may be asked for with another value, which the session does not keep.
  const int64_t all[2] = {4, 7}, own[2] = {4, -1};
  EXPECT_EQ(ds_session_resolve(session, all, 2, nullptr, nullptr, &error), DS_OK) << error.message;
  EXPECT_EQ(ds_session_resolve(session, own, 2, nullptr, nullptr, &error), DS_OK) << error.message;
  ASSERT_EQ(run(tensor(w, four), tensor(x, four)), DS_OK) << error.message;
  EXPECT_EQ(w[0], 31);
}

TEST_P(Given, MemoryOfDevicesIsRefused) {
  ds_tensor_info info;
  ASSERT_EQ(ds_model_input(model, 0, &info), DS_OK);
  EXPECT_EQ(info.device.device_type, DS_DEVICE_CPU);
  ds_tensor there = tensor(w, four), outputs[2] = {};
  there.device = {DS_DEVICE_CUDA, 1};
  EXPECT_THAT(problem(run(there, tensor(x, four))), HasSubstr("input 'w' lies on a CUDA device (type 2, number 1)"));
  EXPECT_THAT(problem(ds_session_state_set(session, 0, &there, &error)), HasSubstr("CUDA"));
  there.device = {DS_DEVICE_CPU, 3};
  EXPECT_THAT(problem(run(there, tensor(x, four))), HasSubstr("whose number is 0, given 3"));
  std::vector<float> into(4);
  outputs[1] = tensor(into, four);
  outputs[1].device = {DS_DEVICE_CUDA, 0};
  EXPECT_THAT(problem(run(tensor(w, four), tensor(x, four), outputs)), HasSubstr("output 'old' lies on a CUDA device"));
  there.device = {DS_DEVICE_CUDA_HOST, 1}; // the host's memory, too
  EXPECT_EQ(run(there, tensor(x, four)), DS_OK) << error.message;
  int64_t shape[1] = {4};
  DLTensor foreign = {w.data(), {kDLCUDA, 2}, 1, {kDLFloat, 32, 1}, shape, nullptr, 0};
  EXPECT_THAT(problem(ds_tensor_from_dlpack(&foreign, &there, &error)), HasSubstr("device type 2, number 2"));
  foreign.device = {kDLCPU, 0};
  ASSERT_EQ(ds_tensor_from_dlpack(&foreign, &there, &error), DS_OK);
  EXPECT_EQ(there.device.device_type, DS_DEVICE_CPU);
}

INSTANTIATE_TEST_SUITE_P(Donation, Given, testing::Values(true), [](const auto &) { return "InPlace"; });

//===----------------------------------------------------------------------===//
// What other readers and writers of the format make of it
//===----------------------------------------------------------------------===//

namespace {
/// What loading an artifact with that program says.
std::string loading(std::vector<Program> variants) {
  TestFolder folder;
  const std::string path = folder.file("model.so");
  const std::string linked = linkTo(path, {{DS_STATE_OBJECT, {}}}, variants, EmitKind::SharedLibrary);
  if (!linked.empty())
    return linked;
  ds_model *model = nullptr;
  ds_error error = {};
  if (ds_model_load(path.c_str(), &model, &error) == DS_OK)
    ds_model_release(model);
  return error.message;
}
} // namespace

TEST(Format, ADeviceThatIsNotThereIsNamed) {
  Program p = stateProgram(true);
  p.devices = {{DS_DEVICE_CUDA, "sm_90a"}};
  p.deviceCode = {{0, DS_DEVICE_CODE_PTX, "// nothing"}, {0, DS_DEVICE_CODE_CUBIN, std::string(100, '\1')}};
  p.buffers[0].space = p.buffers[2].space = p.inputs[0].space = p.outputs[0].space = 1;
  EXPECT_THAT(loading({p}), HasSubstr("needs a CUDA device (sm_90a), and this runtime is built without"));
  p.devices[0].type = 99;
  EXPECT_THAT(loading({p}), HasSubstr("a device of type 99"));
  p.devices.clear();
  EXPECT_THAT(loading({p}), HasSubstr("the memory space of an input or output"));
  p = stateProgram(true);
  p.collectives = {{1, 0, DS_FLOAT32, "data"}};
  EXPECT_THAT(loading({p}), HasSubstr("needs communication with other ranks"));
}

TEST(Format, DonationsThatCannotBeAreRefused) {
  auto problem = [](std::vector<Donation> donations) {
    Program p = stateProgram(true);
    p.donations = std::move(donations);
    return loading({p});
  };
  EXPECT_EQ(problem({{0, 1, false}}), "");
  EXPECT_THAT(problem({{2, 0, true}}), HasSubstr("that does not exist"));
  EXPECT_THAT(problem({{0, 0, true}, {1, 0, true}}), HasSubstr("donated twice"));
  EXPECT_THAT(problem({{0, 0, true}, {0, 1, true}}), HasSubstr("donated twice"));
  Program p = stateProgram(true);
  p.outputs[0].dtype = DS_INT32;
  EXPECT_THAT(loading({p}), HasSubstr("of another type"));
}
