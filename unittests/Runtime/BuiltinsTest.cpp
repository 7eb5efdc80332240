//===- BuiltinsTest.cpp - Half-precision conversions against arithmetic ------===//
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

extern "C" {
float __extendhfsf2(_Float16);
_Float16 __truncdfhf2(double);
__bf16 __truncdfbf2(double);
}

namespace {

uint16_t truncateHalf(double value) { return std::bit_cast<uint16_t>(__truncdfhf2(value)); }
uint16_t truncateBfloat(double value) { return std::bit_cast<uint16_t>(__truncdfbf2(value)); }

/// The value of a 16-bit float, from the definition of the format.
double decode(uint16_t bits, int mantissaBits) {
  const int exponentBits = 15 - mantissaBits, bias = (1 << (exponentBits - 1)) - 1;
  const int exponent = bits >> mantissaBits & ((1 << exponentBits) - 1), fraction = bits & ((1 << mantissaBits) - 1);
  double value = exponent == (1 << exponentBits) - 1 ? (fraction ? std::nan("") : HUGE_VAL)
                 : exponent == 0 ? std::ldexp(fraction, 1 - bias - mantissaBits)
                                 : std::ldexp(fraction + (1 << mantissaBits), exponent - bias - mantissaBits);
  return bits >> 15 ? -value : value;
}

/// Whether `bits` is the nearest to `value`, with ties to even.
bool isNearest(double value, uint16_t bits, int mantissaBits) {
  const uint16_t infinity = uint16_t(((1 << (15 - mantissaBits)) - 1) << mantissaBits);
  if (std::signbit(value) != (bits >> 15))
    return false;
  // Past the largest number its neighbour is where the next number would be.
  auto magnitude = [&](uint16_t b) {
    return b == infinity
               ? 2 * decode(uint16_t(infinity - 1), mantissaBits) - decode(uint16_t(infinity - 2), mantissaBits)
               : decode(b, mantissaBits);
  };
  const uint16_t m = bits & 0x7FFF;
  value = std::fabs(value);
  if (m > infinity)
    return false;
  if (m < infinity) {
    const double up = (magnitude(m) + magnitude(uint16_t(m + 1))) / 2;
    if (value > up || (value == up && (m & 1)))
      return false;
  }
  if (m == 0)
    return true;
  const double down = (magnitude(m) + magnitude(uint16_t(m - 1))) / 2;
  return value > down || (value == down && !(m & 1));
}

} // namespace

TEST(Builtins, EveryHalfExtendsExactly) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const double expected = decode(uint16_t(bits), 10);
    const float got = __extendhfsf2(std::bit_cast<_Float16>(uint16_t(bits)));
    if (std::isnan(expected))
      EXPECT_TRUE(std::isnan(got));
    else
      EXPECT_EQ(double(got), expected);
    EXPECT_EQ(std::signbit(got), bits >> 15 == 1);
  }
}

TEST(Builtins, TruncationRoundsToNearest) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    // Numbers in and around the range of both types, among them ties and their neighbours.
    const uint16_t bits = uint16_t(random());
    for (int mantissaBits : {10, 7}) {
      const double low = decode(bits, mantissaBits), high = decode(uint16_t(bits + 1), mantissaBits);
      if (!std::isfinite(low) || !std::isfinite(high))
        continue;
      const double middle = (low + high) / 2;
      for (double value : {low, middle, std::nextafter(middle, HUGE_VAL), std::nextafter(middle, -HUGE_VAL),
                           std::ldexp(1 + double(random() >> 12) * 0x1p-52, int(random() % 300) - 150)}) {
        const uint16_t got = mantissaBits == 10 ? truncateHalf(value) : truncateBfloat(value);
        EXPECT_TRUE(isNearest(value, got, mantissaBits)) << value << " gives " << got;
      }
    }
  }
}

TEST(Builtins, SpecialValues) {
  EXPECT_EQ(truncateHalf(HUGE_VAL), 0x7C00);
  EXPECT_EQ(truncateHalf(-65520.0), 0xFC00);
  EXPECT_EQ(truncateHalf(65519.0), 0x7BFF);
  EXPECT_EQ(truncateHalf(-0.0), 0x8000);
  EXPECT_EQ(truncateHalf(0x1p-25), 0);
  EXPECT_EQ(truncateHalf(0x1.8p-25), 1);
  EXPECT_TRUE(std::isnan(decode(truncateHalf(std::nan("")), 10)));
  EXPECT_TRUE(std::isnan(decode(truncateBfloat(std::bit_cast<float>(0x7F800001)), 7)));
}
