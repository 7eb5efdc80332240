//===- ThreadsTest.cpp - One model, many sessions, any number of threads ------===//
#include "Tiny.h"
#include "ds_runtime.h"
#include <atomic>
#include <cstring>
#include <thread>

using namespace ds::artifact;
using namespace ds::test;

namespace {

/// Inputs of the tiny program for a batch of `n`, and its results.
struct Sample {
  std::vector<float> a, b, sum, row;
  int64_t pick = 3, shapeA[2], shapeB[1], shapeRow[1];

  explicit Sample(int64_t n)
      : a(size_t(n) * 4), b(size_t(n)), sum(size_t(n)), row(size_t(2 * n + 1)), shapeA{n, 4}, shapeB{n},
        shapeRow{2 * n + 1} {
    uint32_t state = uint32_t(n);
    for (std::vector<float> *values : {&a, &b})
      for (float &value : *values)
        value = float((state = state * 1664525 + 1013904223) >> 8) * 0x1p-20f;
  }
  ds_status run(ds_session *session, ds_error *error) {
    const ds_tensor in[3] = {{a.data(), DS_FLOAT32, 2, shapeA, nullptr},
                             {b.data(), DS_FLOAT32, 1, shapeB, nullptr},
                             {&pick, DS_INT64, 0, nullptr, nullptr}};
    ds_tensor out[2] = {{sum.data(), DS_FLOAT32, 1, shapeB, nullptr}, {row.data(), DS_FLOAT32, 1, shapeRow, nullptr}};
    return ds_session_run(session, in, 3, out, 2, error);
  }
  bool operator==(const Sample &other) const {
    return !memcmp(sum.data(), other.sum.data(), sum.size() * sizeof(float)) &&
           !memcmp(row.data(), other.row.data(), row.size() * sizeof(float));
  }
};

/// Runs every size `rounds` times in a session of `threads` threads; how many results differ from `expected`.
int differences(ds_model *model, uint32_t threads, int rounds, const std::vector<Sample> &expected) {
  ds_session_options options = {};
  options.threads = threads;
  ds_session *session = nullptr;
  ds_error error;
  if (ds_session_create(model, &options, &session, &error))
    return -1;
  int count = 0;
  std::vector<Sample> runs = expected; // the inputs, and room for the results
  for (int i = 0; i < rounds; ++i) {
    Sample &run = runs[size_t(i) % runs.size()];
    std::fill(run.sum.begin(), run.sum.end(), -1.0f);
    std::fill(run.row.begin(), run.row.end(), -1.0f);
    count += run.run(session, &error) != DS_OK || !(run == expected[size_t(i) % runs.size()]);
  }
  ds_session_destroy(session);
  return count;
}

class Threads : public testing::Test {
protected:
  void SetUp() override {
    ds_error error;
    const Program program = tinyProgram();
    ASSERT_EQ(linkTo(folder.file("tiny.so"), {{DS_TINY_CHECKED_OBJECT, {}}}, {&program, 1}, EmitKind::SharedLibrary),
              "");
    ASSERT_EQ(ds_model_load(folder.file("tiny.so").c_str(), &model, &error), DS_OK) << error.message;
    ds_session_options options = {};
    options.threads = 1;
    ds_session *session;
    ASSERT_EQ(ds_session_create(model, &options, &session, &error), DS_OK);
    for (int64_t n : {1, 7, 64, 513, 1000}) {
      expected.emplace_back(n);
      ASSERT_EQ(expected.back().run(session, &error), DS_OK) << error.message;
      for (int64_t i = 0; i < n; ++i) {
        const float *a = &expected.back().a[size_t(i) * 4];
        EXPECT_FLOAT_EQ(expected.back().sum[size_t(i)],
                        a[0] + 10 * a[1] + 100 * a[2] + 1000 * a[3] + expected.back().b[size_t(i)]);
      }
    }
    ds_session_destroy(session);
  }
  void TearDown() override { ds_model_release(model); }

  TestFolder folder;
  ds_model *model = nullptr;
  std::vector<Sample> expected;
};

} // namespace

TEST_F(Threads, EightSessionsOfOneModelGiveEqualBits) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] { wrong += differences(model, 1, 1000, expected); });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Threads, SessionsWithThreadsOfTheirOwnDoToo) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] { wrong += differences(model, 1 + t, 100, expected); });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Threads, NumberOfThreadsDoesNotMatter) {
  for (uint32_t threads : {1u, 2u, 3u, 5u, 8u})
    EXPECT_EQ(differences(model, threads, 50, expected), 0) << threads << " threads";
}

TEST_F(Threads, ModelMayBeReleasedWhileSessionsRun) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  std::atomic<int> ready{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      ds_session *session = nullptr;
      ds_error error;
      wrong += ds_session_create(model, nullptr, &session, &error) != DS_OK;
      ++ready;
      Sample run = expected[2];
      for (int i = 0; i < 100; ++i)
        wrong += run.run(session, &error) != DS_OK;
      ds_session_destroy(session);
    });
  while (ready < 4)
    std::this_thread::yield();
  ds_model_release(model);
  model = nullptr;
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}
