//===- WidenFloatsTest.cpp - The number that an f32 stands for ------------===//
#include "ds/Train/Step.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using ds::meantBy;

namespace {

TEST(MeantBy, ShortDecimals) {
  for (double number : {0.1, 0.9, 1e-5, 1e-12, 0.044715, -0.3, 1.702, 123.456})
    EXPECT_EQ(meantBy(float(number)), number) << number;
}

TEST(MeantBy, WhatF32HoldsStays) {
  for (double number : {0.0, -0.0, 0.5, -0.125, 3.0, 16777216.0, 1e10, -double(std::numeric_limits<float>::max())}) {
    EXPECT_EQ(meantBy(float(number)), number) << number;
    EXPECT_EQ(std::signbit(meantBy(float(number))), std::signbit(number)) << number;
  }
  EXPECT_EQ(meantBy(std::numeric_limits<float>::infinity()), std::numeric_limits<double>::infinity());
  EXPECT_EQ(meantBy(-std::numeric_limits<float>::infinity()), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(meantBy(std::numeric_limits<float>::quiet_NaN())));
}

TEST(MeantBy, ConstantsOfMathematics) {
  for (double number : {M_PI, 2 * M_PI, M_LN2, M_E, M_SQRT2, M_SQRT1_2, M_2_SQRTPI, std::sqrt(2 / M_PI), 1. / 3, 1. / 6,
                        1 / std::sqrt(32.), 1 / std::sqrt(96.), std::sqrt(768.)}) {
    EXPECT_DOUBLE_EQ(meantBy(float(number)), number) << number;
    EXPECT_DOUBLE_EQ(meantBy(float(-number)), -number) << number;
  }
}

// Whatever it is taken for, f32 holds the same.
TEST(MeantBy, RoundsToWhatItWas) {
  std::mt19937 random(3);
  for (int i = 0; i < 200000; ++i) {
    uint32_t bits = random();
    float value;
    std::memcpy(&value, &bits, sizeof value);
    if (std::isfinite(value)) {
      ASSERT_EQ(float(meantBy(value)), value) << std::hexfloat << value;
    }
  }
  EXPECT_EQ(float(meantBy(std::numeric_limits<float>::max())), std::numeric_limits<float>::max());
  EXPECT_EQ(float(meantBy(std::numeric_limits<float>::denorm_min())), std::numeric_limits<float>::denorm_min());
}

} // namespace
