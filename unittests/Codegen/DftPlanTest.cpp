//===- DftPlanTest.cpp - How a Fourier transform of a known length is done ===//
#include "lib/Codegen/CPU/DftPlan.h"
#include "gtest/gtest.h"
#include <cmath>
#include <complex>

namespace ds {
namespace {

TEST(DftPlan, ItsRadicesMakeItsPointsAndItsWorkIsBounded) {
  for (bool isReal : {false, true})
    for (int64_t n = 1; n <= 3000; ++n) {
      DftPlan plan = DftPlan::of(n, isReal);
      int64_t product = 1, work = 0;
      for (int64_t radix : plan.radices) {
        EXPECT_LE(radix, DftPlan::kGreatestPrime);
        product *= radix;
        work += radix;
      }
      EXPECT_EQ(product, plan.transformPoints()) << n;
      EXPECT_EQ(plan.points * (plan.isHalved ? 2 : 1), n);
      EXPECT_EQ(plan.isHalved, isReal && n % 2 == 0);
      EXPECT_EQ(int64_t(plan.table().size()), plan.tableSize());
      // Additions and multiplications a point.
      EXPECT_LE(work, DftPlan::kGreatestPrime * (2 + std::log2(double(n)) / 6)) << n;
      if (plan.convolution) {
        EXPECT_GE(plan.convolution, 2 * plan.points - 1);
        EXPECT_LT(plan.convolution, 4 * plan.points);
      }
    }
}

TEST(DftPlan, RootsAreExactAtQuarterTurns) {
  for (int64_t n : {4, 12, 1000, 44100})
    for (int64_t quarter = 0; quarter < 8; ++quarter) {
      EXPECT_EQ(cosineOfTurn(quarter * n / 4, n), double(quarter % 4 == 0) - double(quarter % 4 == 2));
      EXPECT_EQ(sineOfTurn(quarter * n / 4, n), double(quarter % 4 == 1) - double(quarter % 4 == 3));
    }
  for (int64_t k = 0; k < 360; ++k) {
    EXPECT_NEAR(cosineOfTurn(k, 360), std::cos(2 * M_PI * double(k) / 360), 4e-15);
    EXPECT_NEAR(sineOfTurn(k, 360), std::sin(2 * M_PI * double(k) / 360), 4e-15);
  }
}

TEST(DftPlan, TheFilterIsTheChirpsTransform) {
  DftPlan plan = DftPlan::of(67, false);
  ASSERT_EQ(plan.convolution, 160);
  std::vector<double> table = plan.table();
  // By its definition: the inverse transform of the filter is e^(pi i k^2 / n) at k and -k, and 0 elsewhere.
  for (int64_t k = 0; k < plan.convolution; ++k) {
    std::complex<double> sum = 0;
    for (int64_t j = 0; j < plan.convolution; ++j)
      sum += std::complex(table[plan.filterAt() + j], table[plan.filterAt() + plan.convolution + j]) *
             std::polar(1.0, 2 * M_PI * double(j * k % plan.convolution) / double(plan.convolution));
    int64_t distance = std::min(k, plan.convolution - k);
    std::complex<double> expected = 0;
    if (distance < plan.points)
      expected = std::polar(1.0, M_PI * double(distance * distance % (2 * plan.points)) / double(plan.points));
    EXPECT_NEAR(std::abs(sum - expected), 0, 1e-12) << k;
  }
}

} // namespace
} // namespace ds
