//===- InitializeTest.cpp ----------------------------------------------------===//
#include "runtime/train/Initialize.h"
#include <cmath>
#include <gtest/gtest.h>
#include <string>

using namespace ds::runtime;

static std::string parsed(const char *text, std::string *rest = nullptr) {
  DrawRule rule;
  const char *end = rule.parse(text);
  if (!end)
    return "none";
  if (rest)
    *rest = end;
  Text line;
  rule.append(line);
  return line.str();
}

TEST(Initialize, Rules) {
  std::string rest;
  EXPECT_EQ(parsed("uniform=0.125;keep", &rest), "uniform from -0.125 to 0.125");
  EXPECT_EQ(rest, ";keep");
  EXPECT_EQ(parsed("normal=0.02"), "normal of deviation 0.02");
  EXPECT_EQ(parsed("constant=-1"), "-1");
  EXPECT_EQ(parsed("keep"), "kept");
  for (const char *text : {"", ";", "keep=1", "uniform", "uniform=", "uniform=-1", "normal=-0.5", "normal=nan",
                           "constant=x", "Uniform=1", "uniform=1 ", "constant=1,2"})
    EXPECT_EQ(parsed(text), "none") << text;
}

/// Mean, variance and fourth moment are those of the distribution, to what so many numbers tell.
TEST(Initialize, Distributions) {
  constexpr int count = 200000;
  for (auto [kind, variance, fourth] :
       {std::tuple(DrawRule::Uniform, 1.0 / 3, 1.0 / 5), {DrawRule::Normal, 1.0, 3.0}}) {
    DrawRule rule;
    rule.Kind = kind;
    rule.Value = 1;
    double sums[3] = {};
    for (int i = 0; i < count; ++i) {
      const double x = drawElement(rule, 7, 1, uint64_t(i));
      EXPECT_TRUE(kind == DrawRule::Normal || std::fabs(x) < 1);
      sums[0] += x / count;
      sums[1] += x * x / count;
      sums[2] += x * x * x * x / count;
    }
    EXPECT_NEAR(sums[0], 0, 0.01);
    EXPECT_NEAR(sums[1], variance, 0.02);
    EXPECT_NEAR(sums[2], fourth, 0.1);
  }
}

/// Each of seed, name and number matters, and nothing else does.
TEST(Initialize, AFunctionOfItsArguments) {
  DrawRule rule;
  rule.Kind = DrawRule::Normal;
  rule.Value = 2;
  const double x = drawElement(rule, uint64_t(1) << 40, 5, uint64_t(1) << 33);
  EXPECT_EQ(drawElement(rule, uint64_t(1) << 40, 5, uint64_t(1) << 33), x);
  EXPECT_NE(drawElement(rule, 0, 5, uint64_t(1) << 33), x);
  EXPECT_NE(drawElement(rule, uint64_t(1) << 40, 6, uint64_t(1) << 33), x);
  EXPECT_NE(drawElement(rule, uint64_t(1) << 40, 5, 0), x);
  rule.Value = 1;
  EXPECT_EQ(drawElement(rule, uint64_t(1) << 40, 5, uint64_t(1) << 33), x / 2);
}
