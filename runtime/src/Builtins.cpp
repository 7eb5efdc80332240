//===- Builtins.cpp - Half-precision conversions ---------------------------===//
// Assumes: code compiled for a CPU without instructions for them calls these, by the names of the compiler's support
// library. Guarantees: round to nearest, ties to even, in one rounding; infinities, NaN and subnormal numbers kept.
// Declines: floating-point exception flags.
//===----------------------------------------------------------------------===//
#include <bit>
#include <stdint.h>

/// `Value` as a float of 1 + ExponentBits + MantissaBits bits.
template <int ExponentBits, int MantissaBits> static uint16_t truncate(double Value) {
  const uint64_t Bits = std::bit_cast<uint64_t>(Value), Fraction = Bits & ((uint64_t(1) << 52) - 1);
  const int Exponent = int(Bits >> 52 & 0x7FF) - 1023;
  constexpr int Bias = (1 << (ExponentBits - 1)) - 1;
  constexpr uint16_t Infinity = uint16_t(((1 << ExponentBits) - 1) << MantissaBits);
  const uint16_t Sign = uint16_t(Bits >> 63 << 15);
  if (Exponent == 1024 && Fraction)
    return uint16_t(Sign | Infinity | 1 << (MantissaBits - 1) | uint16_t(Fraction >> (52 - MantissaBits)));
  if (Exponent > Bias)
    return Sign | Infinity;
  const bool IsNormal = Exponent >= 1 - Bias;
  const int Shift = 52 - MantissaBits + (IsNormal ? 0 : 1 - Bias - Exponent);
  if (Shift > 54)
    return Sign;
  const uint64_t Mantissa = Fraction | uint64_t(1) << 52, Half = uint64_t(1) << (Shift - 1);
  const uint64_t Rest = Mantissa & ((Half << 1) - 1);
  uint64_t Rounded = Mantissa >> Shift;
  Rounded += Rest > Half || (Rest == Half && (Rounded & 1));
  // A carry out of the mantissa raises the exponent, up to infinity, by itself.
  if (IsNormal)
    Rounded += uint64_t(Exponent + Bias - 1) << MantissaBits;
  return uint16_t(Sign | Rounded);
}

extern "C" {

float __extendhfsf2(_Float16 Half) {
  const uint16_t Bits = std::bit_cast<uint16_t>(Half);
  const uint32_t Sign = uint32_t(Bits & 0x8000) << 16, Magnitude = Bits & 0x7FFF;
  if (Magnitude >= 0x7C00) // infinity and NaN
    return std::bit_cast<float>(Sign | 0x7F800000 | Magnitude << 13);
  if (Magnitude >= 0x0400)
    return std::bit_cast<float>(Sign | ((Magnitude << 13) + (uint32_t(127 - 15) << 23)));
  // Subnormal: Magnitude * 2^-24 is exact.
  return std::bit_cast<float>(Sign | std::bit_cast<uint32_t>(float(Magnitude) * 0x1p-24f));
}

_Float16 __truncdfhf2(double Value) { return std::bit_cast<_Float16>(truncate<5, 10>(Value)); }
_Float16 __truncsfhf2(float Value) { return __truncdfhf2(Value); }
__bf16 __truncdfbf2(double Value) { return std::bit_cast<__bf16>(truncate<8, 7>(Value)); }
__bf16 __truncsfbf2(float Value) { return __truncdfbf2(Value); }
}
