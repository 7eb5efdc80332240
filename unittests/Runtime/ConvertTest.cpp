//===- ConvertTest.cpp -------------------------------------------------------===//
#include "runtime/train/Data.h"
#include "runtime/train/TrainStep.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

using namespace ds::runtime;

template <typename From, typename To>
static size_t convert(int32_t fromType, const std::vector<From> &from, int32_t toType, std::vector<To> &to) {
  to.assign(from.size(), To());
  return convertElements(fromType, reinterpret_cast<const char *>(from.data()), toType,
                         reinterpret_cast<char *>(to.data()), from.size());
}

TEST(Convert, IntegersKeepTheirValueOrAreRefused) {
  std::vector<int64_t> wide;
  EXPECT_EQ(convert(DS_UINT8, std::vector<uint8_t>{0, 255}, DS_INT64, wide), 2u);
  EXPECT_EQ(wide, (std::vector<int64_t>{0, 255}));
  EXPECT_EQ(convert(DS_INT8, std::vector<int8_t>{-128, 127}, DS_INT64, wide), 2u);
  EXPECT_EQ(wide, (std::vector<int64_t>{-128, 127}));
  std::vector<uint8_t> narrow;
  EXPECT_EQ(convert(DS_INT64, std::vector<int64_t>{0, 255, 256}, DS_UINT8, narrow), 2u);
  EXPECT_EQ(convert(DS_INT64, std::vector<int64_t>{7, -1}, DS_UINT8, narrow), 1u);
  EXPECT_EQ(convert(DS_INT64, std::vector<int64_t>{int64_t(1) << 32}, DS_UINT8, narrow), 0u);
  std::vector<uint64_t> large;
  EXPECT_EQ(convert(DS_INT32, std::vector<int32_t>{1, -1}, DS_UINT64, large), 1u);
  EXPECT_EQ(convert(DS_UINT64, std::vector<uint64_t>{1, uint64_t(1) << 63}, DS_INT64, wide), 1u);
  EXPECT_EQ(convert(DS_UINT64, std::vector<uint64_t>{uint64_t(1) << 63}, DS_UINT64, large), 1u);
}

TEST(Convert, FloatsAreRounded) {
  std::vector<float> single;
  EXPECT_EQ(convert(DS_FLOAT64, std::vector<double>{0.1, 1e300, -0.0}, DS_FLOAT32, single), 3u);
  EXPECT_EQ(single[0], 0.1f);
  EXPECT_TRUE(std::isinf(single[1]));
  EXPECT_TRUE(std::signbit(single[2]));
  std::vector<double> twice;
  EXPECT_EQ(convert(DS_FLOAT32, std::vector<float>{0.1f}, DS_FLOAT64, twice), 1u);
  EXPECT_EQ(twice[0], double(0.1f));
}

TEST(Convert, KindsAreNotMixed) {
  EXPECT_TRUE(canConvert(DS_BOOL, DS_INT64));
  EXPECT_TRUE(canConvert(DS_BFLOAT16, DS_BFLOAT16));
  for (const auto &[from, to] : std::vector<std::pair<int32_t, int32_t>>{
           {DS_INT64, DS_FLOAT32}, {DS_FLOAT32, DS_INT64}, {DS_INT8, DS_BOOL}, {DS_FLOAT16, DS_FLOAT32}})
    EXPECT_FALSE(canConvert(from, to)) << from << " " << to;
}

TEST(Numbers, ReadBackAsTheSame) {
  auto text = [](double value, bool isSingle) {
    Text out;
    appendNumber(out, value, isSingle);
    return std::string(out.str());
  };
  EXPECT_EQ(text(0.1, false), "0.1");
  EXPECT_EQ(text(double(0.1f), true), "0.1");
  EXPECT_EQ(text(1e-300, false), "1e-300");
  EXPECT_EQ(text(0, false), "0");
  double value = 0.1;
  for (int i = 0; i < 1000; ++i, value = value * 1.37 - 0.02 * i) {
    EXPECT_EQ(strtod(text(value, false).c_str(), nullptr), value);
    EXPECT_EQ(strtof(text(double(float(value)), true).c_str(), nullptr), float(value));
    EXPECT_LE(text(double(float(value)), true).size(), 15u); // sign, point and exponent with 9 digits
  }
}
