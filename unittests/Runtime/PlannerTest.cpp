//===- PlannerTest.cpp -------------------------------------------------------===//
#include "Planner.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
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

namespace {
struct Layout : testing::Test {
  std::unique_ptr<ArenaLayout> layout = std::make_unique<ArenaLayout>();
  ds_error error = {};
  int64_t arena = 0;
  bool isNew = false;

  /// Whether something was planned; what lives at one time never overlaps.
  bool place(std::vector<Temporary> list) {
    Array<Temporary> temporaries;
    for (const Temporary &t : list)
      EXPECT_TRUE(temporaries.push(t));
    EXPECT_EQ(layout->place(temporaries, arena, isNew, &error), DS_OK) << error.message;
    for (size_t i = 0; i < temporaries.size(); ++i) {
      const Temporary &a = temporaries[i];
      EXPECT_EQ(a.Size, list[i].Size);
      EXPECT_EQ(a.Offset % ArenaAlignment, 0);
      EXPECT_LE(a.Offset + a.Size, arena);
      for (size_t j = 0; j < i; ++j) {
        const Temporary &b = temporaries[j];
        if (a.First <= b.Last && b.First <= a.Last)
          EXPECT_TRUE(a.Offset + a.Size <= b.Offset || b.Offset + b.Size <= a.Offset);
      }
    }
    return isNew;
  }
};
} // namespace

TEST_F(Layout, TheFirstOneIsAsSmallAsItCanBe) {
  EXPECT_TRUE(place({{1000, 0, 1, 0}, {1000, 1, 2, 0}, {640, 2, 3, 0}}));
  EXPECT_EQ(arena, 2 * 1024);
  EXPECT_FALSE(place({{1000, 0, 1, 0}, {1000, 1, 2, 0}, {640, 2, 3, 0}}));
}

TEST_F(Layout, WhatGrowsByOneIsPlannedAnewEachTimeItIsAnEighthLarger) {
  int plans = 0;
  for (int64_t length = 64; length <= 4096; ++length)
    plans += place({{256 * length, 0, 1, 0}, {48 * length, 1, 2, 0}, {3072, 0, 3, 0}, {4 * length, 2, 3, 0}});
  EXPECT_LE(plans, 2 + 36); // 1.125^36 > 64
  EXPECT_LE(arena, (256 + 48 + 4) * 4096 * 5 / 4 + 4096);
}

TEST_F(Layout, WhatShrinksDoesNotSpreadOverTheOldPlaces) {
  EXPECT_TRUE(place({{1 << 20, 0, 1, 0}, {1 << 20, 0, 1, 0}}));
  EXPECT_TRUE(place({{1 << 10, 0, 1, 0}, {1 << 10, 0, 1, 0}}));
  EXPECT_LE(arena, 4096);
}

TEST_F(Layout, RandomSizesNeverOverlap) {
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    layout = std::make_unique<ArenaLayout>();
    std::vector<Temporary> list(1 + random() % 30);
    for (Temporary &t : list) {
      t.First = random() % 20;
      t.Last = t.First + random() % 6;
    }
    for (int run = 0; run < 30; ++run) {
      for (Temporary &t : list)
        t.Size = run % 7 ? t.Size + int64_t(random() % 40) : int64_t(random() % 5000);
      place(list);
    }
  }
}

TEST_F(Layout, RefusesWhatNoMachineHasAndGoesOn) {
  Array<Temporary> temporaries;
  ASSERT_TRUE(temporaries.push({INT64_MAX, 0, 0, 0}));
  EXPECT_EQ(layout->place(temporaries, arena, isNew, &error), DS_OUT_OF_MEMORY);
  EXPECT_TRUE(place({{100, 0, 0, 0}}));
  temporaries[0].Size = INT64_MAX;
  EXPECT_EQ(layout->place(temporaries, arena, isNew, &error), DS_OUT_OF_MEMORY);
  // Room that no machine has is not asked for.
  EXPECT_TRUE(place({{100, 0, 0, 0}}));
  EXPECT_TRUE(place({{int64_t(1) << 46, 0, 0, 0}}));
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
