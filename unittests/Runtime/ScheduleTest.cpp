//===- ScheduleTest.cpp ------------------------------------------------------===//
#include "runtime/train/Schedule.h"
#include <cmath>
#include <gtest/gtest.h>
#include <vector>

using namespace ds::runtime;

static std::vector<double> rates(const char *text, uint64_t steps, uint64_t total, double base = 1) {
  Schedule schedule;
  EXPECT_EQ(schedule.parse(text), nullptr) << text;
  std::vector<double> all;
  for (uint64_t step = 1; step <= steps; ++step)
    all.push_back(schedule.rate(base, step, total));
  return all;
}

TEST(Schedule, Constant) { EXPECT_EQ(rates("constant", 3, 100, 0.1), (std::vector<double>{0.1, 0.1, 0.1})); }

// As torch.optim.lr_scheduler.StepLR(step_size=2, gamma=0.5).
TEST(Schedule, Steps) {
  EXPECT_EQ(rates("step:size=2,factor=0.5", 7, 100), (std::vector<double>{1, 1, 0.5, 0.5, 0.25, 0.25, 0.125}));
  EXPECT_NEAR(rates("step:size=3", 4, 100)[3], 0.1, 1e-16);
}

TEST(Schedule, Linear) {
  EXPECT_EQ(rates("linear:total=4", 6, 100), (std::vector<double>{1, 0.75, 0.5, 0.25, 0, 0}));
  EXPECT_EQ(rates("linear:warmup=2,total=4", 5, 100), (std::vector<double>{0.5, 1, 1, 0.5, 0}));
  EXPECT_EQ(rates("linear:warmup=2", 4, 4), rates("linear:warmup=2,total=4", 4, 100));       // that of the run
  EXPECT_EQ(rates("linear:warmup=8", 4, 4), (std::vector<double>{0.125, 0.25, 0.375, 0.5})); // no time for the rest
}

// As torch.optim.lr_scheduler.CosineAnnealingLR(T_max=4, eta_min=0.2): its closed form.
TEST(Schedule, Cosine) {
  const std::vector<double> found = rates("cosine:total=4,minimum=0.2", 6, 100);
  const double expected[] = {1, 0.2 + 0.4 * (1 + std::sqrt(0.5)), 0.6, 0.2 + 0.4 * (1 - std::sqrt(0.5)), 0.2, 0.2};
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-15) << i;
  EXPECT_EQ(rates("cosine:warmup=4,total=5", 5, 100), (std::vector<double>{0.25, 0.5, 0.75, 1, 1}));
}

TEST(Schedule, WhatIsWrongWithATextIsTold) {
  Schedule schedule;
  for (const char *text : {"", "cosin", "step", "step:", "step:size=0", "step:size=-1", "step:size=1,warmup=2",
                           "linear:minimum=1", "linear:warmup", "linear:warmup=3,total=3", "cosine:minimum=-1",
                           "cosine:minimum=nan", "cosine:minimum= 1", "cosine:minimum=1x", "constant:total=3",
                           "step:size=1,factor=inf", "linear:,", "linear:total=99999999999999999999"})
    EXPECT_NE(schedule.parse(text), nullptr) << text;
}
