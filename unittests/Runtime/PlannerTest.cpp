//===- PlannerTest.cpp -------------------------------------------------------===//
#include "Planner.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <vector>

using namespace ds::runtime;

static int64_t plan(std::vector<Temporary> &list) {
  Array<Temporary> temporaries;
  int64_t size = -1;
  ds_error error;
  for (const Temporary &t : list)
    EXPECT_TRUE(temporaries.push(t));
  EXPECT_EQ(planArena(temporaries, size, &error), DS_OK);
  std::copy(temporaries.begin(), temporaries.end(), list.begin());
  return size;
}

TEST(Planner, ReusesMemoryOfThePast) {
  std::vector<Temporary> list = {{1000, 0, 1, 0}, {1000, 2, 3, 0}, {64, 1, 2, 0}};
  EXPECT_EQ(plan(list), 1024 + 64);
  EXPECT_EQ(list[0].Offset, list[1].Offset);
}

TEST(Planner, FillsTheTightestGap) {
  // Between the two that live throughout, a gap of 256 and the open end; one of 128 that dies makes another gap.
  std::vector<Temporary> list = {{4096, 0, 9, 0}, {256, 0, 3, 0}, {128, 0, 9, 0}, {256, 4, 9, 0}};
  EXPECT_EQ(plan(list), 4096 + 256 + 128);
}

TEST(Planner, EmptyAndZeroSizes) {
  std::vector<Temporary> none, zero = {{0, 0, 1, 0}, {0, 0, 1, 0}};
  EXPECT_EQ(plan(none), 0);
  EXPECT_EQ(plan(zero), 0);
}

TEST(Planner, RefusesWhatNoMachineHas) {
  Array<Temporary> temporaries;
  int64_t size;
  ds_error error;
  ASSERT_TRUE(temporaries.push({INT64_MAX, 0, 0, 0}));
  EXPECT_EQ(planArena(temporaries, size, &error), DS_OUT_OF_MEMORY);
  ASSERT_TRUE(temporaries.resize(0));
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(temporaries.push({int64_t(1) << 46, 0, 0, 0}));
  EXPECT_EQ(planArena(temporaries, size, &error), DS_OUT_OF_MEMORY);
}

TEST(Planner, NeighboursInTimeNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Temporary> list(1 + random() % 60);
    int64_t peak = 0;
    for (Temporary &t : list) {
      t.Size = int64_t(random() % 3 ? random() % 10000 : 0);
      t.First = random() % 50;
      t.Last = t.First + random() % 10;
    }
    const int64_t size = plan(list);
    for (uint32_t time = 0; time < 60; ++time) {
      int64_t live = 0;
      for (const Temporary &t : list)
        if (t.First <= time && time <= t.Last)
          live += t.Size;
      peak = std::max(peak, live);
    }
    EXPECT_GE(size, peak);
    for (const Temporary &a : list) {
      EXPECT_EQ(a.Offset % ArenaAlignment, 0);
      EXPECT_LE(a.Offset + a.Size, size);
      for (const Temporary &b : list)
        if (&a != &b && a.First <= b.Last && b.First <= a.Last)
          EXPECT_TRUE(a.Offset + a.Size <= b.Offset || b.Offset + b.Size <= a.Offset);
    }
  }
}
