//===- ThreadPoolTest.cpp ----------------------------------------------------===//
#include "ThreadPool.h"
#include <atomic>
#include <gtest/gtest.h>
#include <unistd.h>
#include <vector>

using namespace ds::runtime;

namespace {

struct Visit {
  std::vector<std::atomic<int>> counts;
  std::atomic<int> calls{0};
  int64_t failFrom = INT64_MAX;
  explicit Visit(size_t n) : counts(n) {}
};

int32_t visit(const ds_kernel_state *state, const ds_kernel_worker *worker, int64_t begin, int64_t end) {
  Visit &v = *static_cast<Visit *>(state->arguments[0]);
  ++v.calls;
  for (int64_t i = begin; i < end; ++i) {
    if (i >= v.failFrom)
      return int32_t(begin + 1);
    ++v.counts[size_t(i)];
  }
  return DS_KERNEL_OK;
}

int32_t run(ThreadPool &pool, Visit &v, int64_t range, int64_t grain) {
  std::vector<ds_kernel_worker> workers(pool.threads());
  void *arguments[] = {&v};
  ds_kernel_state state = {arguments, nullptr};
  return pool.run(workers.data(), visit, &state, range, grain);
}

} // namespace

TEST(ThreadPool, EachItemOnce) {
  for (uint32_t threads : {1u, 2u, 3u, 7u}) {
    ThreadPool pool;
    ASSERT_EQ(pool.start(threads, nullptr), DS_OK);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t range : {0, 1, 2, 5, 100})
      for (int64_t grain : {1, 3, 1000}) {
        Visit v(100);
        EXPECT_EQ(run(pool, v, range, grain), DS_KERNEL_OK);
        for (int64_t i = 0; i < 100; ++i)
          EXPECT_EQ(v.counts[size_t(i)], i < range);
        EXPECT_LE(v.calls, std::max<int64_t>(1, range / grain));
        EXPECT_LE(v.calls, threads);
      }
  }
}

TEST(ThreadPool, FirstFailingPieceDecides) {
  ThreadPool pool;
  ASSERT_EQ(pool.start(4, nullptr), DS_OK);
  for (int i = 0; i < 100; ++i) {
    Visit v(400);
    v.failFrom = 150;
    EXPECT_EQ(run(pool, v, 400, 1), 101);
  }
}

TEST(ThreadPool, SleepersWakeUp) {
  ThreadPool pool;
  ASSERT_EQ(pool.start(3, nullptr), DS_OK);
  for (int i = 0; i < 50; ++i) {
    Visit v(3);
    EXPECT_EQ(run(pool, v, 3, 1), DS_KERNEL_OK);
    EXPECT_EQ(v.calls, 3);
    usleep(i % 2 ? 300 : 40); // longer, and about as long, as threads spin
  }
}

TEST(ThreadPool, ManySmallLaunches) {
  ThreadPool pool;
  ASSERT_EQ(pool.start(2, nullptr), DS_OK);
  Visit v(2);
  for (int i = 0; i < 20000; ++i)
    ASSERT_EQ(run(pool, v, 2, 1), DS_KERNEL_OK);
  EXPECT_EQ(v.counts[0], 20000);
  EXPECT_EQ(v.counts[1], 20000);
}
