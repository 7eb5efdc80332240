//===- GuardTest.cpp - DS_SESSION_GUARD finds what kernels may not do -------===//
#include "Tiny.h"
#include "ds_runtime.h"
#include <cmath>
#include <csignal>
#include <cstring>

using namespace ds::artifact;
using namespace ds::test;

namespace {

class Guard : public testing::Test {
protected:
  void SetUp() override {
    const std::string path = folder.file("tiny.so");
    const Program program = tinyProgram();
    ASSERT_EQ(linkTo(path, {{DS_TINY_FAULTS_OBJECT, {}}}, {&program, 1}, EmitKind::SharedLibrary), "");
    ASSERT_EQ(ds_model_load(path.c_str(), &model, &error), DS_OK) << error.message;
    session = open(1, DS_SESSION_GUARD);
  }
  void TearDown() override {
    ds_session_destroy(session);
    ds_model_release(model);
  }

  ds_session *open(uint32_t threads, uint32_t flags) {
    ds_session_options options = {};
    options.threads = threads;
    options.flags = flags;
    ds_session *opened = nullptr;
    EXPECT_EQ(ds_session_create(model, &options, &opened, &error), DS_OK) << error.message;
    return opened;
  }

  /// Inputs for a batch of n.
  ds_status run(ds_session *of, int64_t n, int64_t pick, ds_tensor *outputs = nullptr) {
    a.assign(size_t(n) * 4, 0.25f);
    b.assign(size_t(n), 0.5f);
    const int64_t shapeA[2] = {n, 4}, shapeB[1] = {n};
    const ds_tensor inputs[3] = {{a.data(), DS_FLOAT32, 2, shapeA, nullptr},
                                 {b.data(), DS_FLOAT32, 1, shapeB, nullptr},
                                 {&pick, DS_INT64, 0, nullptr, nullptr}};
    return ds_session_run(of, inputs, 3, outputs, outputs ? 2 : 0, &error);
  }
  std::string problem(int64_t fault) {
    EXPECT_EQ(run(session, 3, fault), DS_BAD_ARTIFACT);
    return error.message;
  }

  TestFolder folder;
  ds_model *model = nullptr;
  ds_session *session = nullptr;
  ds_error error = {};
  std::vector<float> a, b;
};

using GuardDeathTest = Guard;

} // namespace

TEST_F(Guard, ChangesNoResult) {
  for (uint32_t threads : {1u, 3u}) {
    ds_session *plain = open(threads, 0), *guarded = open(threads, DS_SESSION_GUARD);
    for (int64_t n : {3, 1, 0, 700, 16, 3}) {
      ds_tensor expected[2] = {}, found[2] = {};
      ASSERT_EQ(run(plain, n, 2, expected), DS_OK) << error.message;
      ASSERT_EQ(run(guarded, n, 2, found), DS_OK) << error.message;
      for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(found[i].shape[0], expected[i].shape[0]);
        EXPECT_EQ(memcmp(found[i].data, expected[i].data, size_t(found[i].shape[0]) * sizeof(float)), 0);
      }
    }
    ds_session_destroy(plain);
    ds_session_destroy(guarded);
  }
}

TEST_F(Guard, WritesOutputsOfTheCallers) {
  std::vector<float> sum(3), row(7);
  const int64_t shapes[2] = {3, 7};
  ds_tensor outputs[2] = {{sum.data(), DS_FLOAT32, 1, &shapes[0], nullptr},
                          {row.data(), DS_FLOAT32, 1, &shapes[1], nullptr}};
  ASSERT_EQ(run(session, 3, 1, outputs), DS_OK) << error.message;
  EXPECT_EQ(outputs[0].data, sum.data());
  EXPECT_EQ(sum[0], 0.5f + 0.25f * 1111);
  EXPECT_EQ(row[6], 60);
}

TEST_F(Guard, FeedsOutputsAndGivesThemAway) {
  ASSERT_EQ(ds_session_feed(session, 0, 1, &error), DS_OK) << error.message;
  ASSERT_EQ(run(session, 2, 1), DS_OK) << error.message;
  const int64_t shapeA[2] = {2, 4}, pick = 0;
  for (int turn = 2; turn < 5; ++turn) {
    const ds_tensor inputs[3] = {
        {a.data(), DS_FLOAT32, 2, shapeA, nullptr}, {}, {const_cast<int64_t *>(&pick), DS_INT64, 0, nullptr, nullptr}};
    ds_tensor outputs[2] = {};
    ASSERT_EQ(ds_session_run(session, inputs, 3, outputs, 2, &error), DS_OK) << error.message;
    EXPECT_EQ(static_cast<float *>(outputs[0].data)[1], 0.5f + float(turn) * 0.25f * 1111);
  }
}

TEST_F(Guard, SeesAWriteJustBehindABuffer) {
  EXPECT_EQ(problem(100), "node 'row' (Gather): memory fault: output 1 has 28 bytes, and byte 28 was written");
  EXPECT_EQ(run(session, 3, 2), DS_OK) << error.message; // the session is usable
}

TEST_F(Guard, SeesAWriteJustBeforeABuffer) {
  EXPECT_EQ(problem(101), "node 'row' (Gather): memory fault: output 1 has 28 bytes, and byte -4 was written");
}

TEST_F(Guard, ShowsWhatNobodyHasWritten) {
  ds_tensor outputs[2] = {};
  ASSERT_EQ(run(session, 3, 107, outputs), DS_OK) << error.message;
  for (int i = 0; i < 7; ++i)
    EXPECT_TRUE(std::isnan(static_cast<float *>(outputs[1].data)[i]));
}

TEST_F(Guard, RefusesFlagsThatDoNotExist) {
  ds_session_options options = {};
  options.flags = 4;
  ds_session *opened = nullptr;
  EXPECT_EQ(ds_session_create(model, &options, &opened, &error), DS_BAD_ARGUMENT);
  EXPECT_STREQ(error.message,
               "the session's flags are 0x4, expected DS_SESSION_GUARD, DS_SESSION_CHECK_NAN, both or 0");
}

// The sanitizers have handlers of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

TEST_F(GuardDeathTest, TellsOfAnAccessPastTheEnd) {
  EXPECT_EXIT(
      run(session, 3, 102), testing::KilledBySignal(SIGSEGV),
      "memory fault: node 'row' \\(Gather\\): access past the end, at byte 92 of an output, buffer 4, of 28 bytes");
}

TEST_F(GuardDeathTest, TellsOfAWrittenWeight) {
  EXPECT_EXIT(run(session, 3, 103), testing::KilledBySignal(SIGSEGV),
              "node 'row' \\(Gather\\): access to byte 0 of a weight, buffer 5, of 16 bytes, which may not be written");
}

TEST_F(GuardDeathTest, TellsOfATemporaryWhoseLifeIsOver) {
  EXPECT_EXIT(run(session, 3, 104), testing::KilledBySignal(SIGSEGV),
              "node 'row' \\(Gather\\): access to byte 0 of a temporary, buffer 6, of 48 bytes");
}

TEST_F(GuardDeathTest, TellsOfAWrittenInput) {
  EXPECT_EXIT(run(session, 3, 105), testing::KilledBySignal(SIGSEGV),
              "node 'row' \\(Gather\\): access to byte 0 of an input, buffer 0, of 48 bytes");
}

TEST_F(GuardDeathTest, TellsOfScratchThatIsTooSmall) {
  EXPECT_EXIT(run(session, 3, 106), testing::KilledBySignal(SIGSEGV),
              "node 'row' \\(Gather\\): access past the end, at byte 64 of memory of 64 bytes");
}

#endif
