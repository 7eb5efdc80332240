//===- MathFunctions.cpp - Elementary functions of f32 --------------------===//
// Guarantees: see MathFunctions.h. Coefficients are minimax fits (Lawson's iteration, relative error unless said).
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/MathFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;

namespace ds {
namespace {

/// 1.5 * 2^23: adding it rounds to an integer, which the low bits of the sum then hold.
constexpr float kMagic = 12582912.0f;
/// The bias of f32's exponent.
constexpr int32_t kBias = 127;
constexpr float kLog2E = 1.44269502f, kLog2ELow = 1.92596303e-8f;

/// Arithmetic on values of the type of one f32 scalar or vector.
class F32 {
public:
  F32(OpBuilder &b, Location loc, Value like) : b(b), loc(loc), type(like.getType()), intType(b.getI32Type()) {
    if (auto vector = dyn_cast<VectorType>(type))
      intType = VectorType::get(vector.getShape(), intType);
  }

  Value constant(float value) { return make(type, b.getF32FloatAttr(value)); }
  Value integer(int32_t value) { return make(intType, b.getI32IntegerAttr(value)); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value neg(Value x) { return arith::NegFOp::create(b, loc, x); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }
  Value fma(Value x, float y, Value z) { return fma(x, constant(y), z); }
  Value fma(Value x, Value y, float z) { return fma(x, y, constant(z)); }
  Value less(Value x, float y) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, constant(y)); }
  Value equal(Value x, float y) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, constant(y)); }
  Value select(Value condition, Value x, Value y) { return arith::SelectOp::create(b, loc, condition, x, y); }
  /// One instruction each on x86, and NaN stays: comparisons with NaN are false.
  Value atLeast(Value x, float low) { return select(less(x, low), constant(low), x); }
  Value atMost(Value x, float high) {
    Value over = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, constant(high));
    return select(over, constant(high), x);
  }
  Value bits(Value x) { return arith::BitcastOp::create(b, loc, intType, x); }
  Value fromBits(Value x) { return arith::BitcastOp::create(b, loc, type, x); }
  Value addInt(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value subInt(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value shiftLeft(Value x, int32_t count) { return arith::ShLIOp::create(b, loc, x, integer(count)); }
  Value shiftRight(Value x, int32_t count) { return arith::ShRSIOp::create(b, loc, x, integer(count)); }
  Value andInt(Value x, int32_t mask) { return arith::AndIOp::create(b, loc, x, integer(mask)); }
  Value toFloat(Value x) { return arith::SIToFPOp::create(b, loc, type, x); }
  Value abs(Value x) { return math::AbsFOp::create(b, loc, x); }
  Value copySign(Value x, Value sign) { return math::CopySignOp::create(b, loc, x, sign); }

  /// c[0] + c[1] x + ..., by Horner's rule.
  Value polynomial(Value x, ArrayRef<float> c) {
    Value sum = constant(c.back());
    for (float coefficient : llvm::reverse(c.drop_back()))
      sum = fma(sum, x, coefficient);
    return sum;
  }

  /// x rounded to an integer k (|x| < 2^22), and `shifted`, whose low bits are k + bias.
  Value roundToInteger(Value x, float scale, Value &shifted, int32_t bias = 0) {
    float magic = kMagic + static_cast<float>(bias);
    shifted = scale == 1.0f ? add(x, constant(magic)) : fma(x, scale, constant(magic));
    return sub(shifted, constant(magic));
  }

  /// 2^r for |r| <= 0.5: degree 6, error 2e-9.
  Value exp2Reduced(Value r) {
    return polynomial(
        r, {1.0f, 0.693147182f, 0.240226477f, 0.0555033237f, 0.00961843692f, 0.0013398875f, 0.000153533605f});
  }
  /// x log2(e) - k, log2(e) in two parts so that the difference keeps its bits.
  Value expRemainder(Value x, Value k) { return fma(x, kLog2ELow, fma(x, kLog2E, neg(k))); }

  /// p * 2^k for k in the low bits of `shifted` (see roundToInteger), in two steps: results may be subnormal or
  /// overflow.
  Value scaleFully(Value p, Value shifted) {
    Value k = subInt(bits(shifted), integer(llvm::bit_cast<int32_t>(kMagic)));
    Value half = shiftRight(k, 1);
    auto power = [&](Value exponent) { return fromBits(shiftLeft(addInt(exponent, integer(kBias)), 23)); };
    return mul(mul(p, power(half)), power(subInt(k, half)));
  }

  /// 2^k for -127 <= k <= 128 (giving 0 and inf at the ends) and k + 127 in the low bits of `shifted`.
  Value power(Value shifted) { return fromBits(shiftLeft(bits(shifted), 23)); }

  OpBuilder &b;
  Location loc;
  Type type, intType;

private:
  Value make(Type wanted, TypedAttr scalar) {
    if (auto vector = dyn_cast<VectorType>(wanted))
      return arith::ConstantOp::create(b, loc, SplatElementsAttr::get(vector, Attribute(scalar)));
    return arith::ConstantOp::create(b, loc, scalar);
  }
};

/// sin (`quadrant` 0) or cos (1) of x, |x| <= 65536: x = k pi/2 + r, pi/2 in three parts (Cody and Waite). The first
/// product and difference are exact, the others are rounded once relative to r.
Value sinReduced(F32 &f, Value x, int32_t quadrant) {
  Value shifted;
  Value k = f.roundToInteger(x, 0.636619747f, shifted);
  Value r = f.fma(k, -1.57079625f, x);
  r = f.fma(k, -7.54978942e-08f, r);
  r = f.fma(k, -5.39030253e-15f, r);
  Value z = f.mul(r, r);
  Value sine = f.fma(f.polynomial(z, {-0.166666552f, 0.00833215564f, -0.00019514632f}), f.mul(z, r), r);
  Value inner = f.fma(f.polynomial(z, {0.0416666456f, -0.00138873095f, 2.44324128e-05f}), z, -0.5f);
  Value cosine = f.fma(inner, z, 1.0f);
  Value n = f.addInt(f.bits(shifted), f.integer(quadrant));
  Value odd = arith::CmpIOp::create(f.b, f.loc, arith::CmpIPredicate::ne, f.andInt(n, 1), f.integer(0));
  Value result = f.select(odd, cosine, sine);
  Value sign = f.shiftLeft(f.andInt(n, 2), 30);
  return f.fromBits(arith::XOrIOp::create(f.b, f.loc, f.bits(result), sign));
}

Value buildSinCos(OpBuilder &b, Location loc, Value x, int32_t quadrant) {
  F32 f(b, loc, x);
  Value reduced = sinReduced(f, x, quadrant);
  if (quadrant == 0) // -0 stays
    reduced = f.select(f.equal(x, 0.0f), x, reduced);
  // "Not at most" is true for NaN, which libm handles as well as infinities.
  Value large = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UGT, f.abs(x), f.constant(65536.0f));
  Value any = large;
  if (isa<VectorType>(x.getType()))
    any = vector::ReductionOp::create(b, loc, vector::CombiningKind::OR, large);
  auto branch = scf::IfOp::create(b, loc, TypeRange{x.getType()}, any, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Value exact = quadrant == 0 ? Value(math::SinOp::create(b, loc, x)) : Value(math::CosOp::create(b, loc, x));
  scf::YieldOp::create(b, loc, f.select(large, exact, reduced));
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, loc, reduced);
  return branch.getResult(0);
}

} // namespace

Value buildExp(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  // e^89 overflows and e^-104 is below half the least subnormal, so that clamping changes no result.
  x = f.atLeast(f.atMost(x, 89.0f), -104.0f);
  Value shifted;
  Value k = f.roundToInteger(x, kLog2E, shifted);
  return f.scaleFully(f.exp2Reduced(f.expRemainder(x, k)), shifted);
}

Value buildExp2(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  x = f.atLeast(f.atMost(x, 129.0f), -151.0f);
  Value shifted;
  Value k = f.roundToInteger(x, 1.0f, shifted);
  return f.scaleFully(f.exp2Reduced(f.sub(x, k)), shifted);
}

Value buildExpNonPositive(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  Value shifted;
  Value k = f.roundToInteger(x, kLog2E, shifted, kBias);
  Value result = f.mul(f.exp2Reduced(f.expRemainder(x, k)), f.power(shifted));
  return f.select(f.less(x, -87.33f), f.constant(0.0f), result);
}

Value buildExp2NonPositive(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  Value shifted;
  Value k = f.roundToInteger(x, 1.0f, shifted, kBias);
  Value result = f.mul(f.exp2Reduced(f.sub(x, k)), f.power(shifted));
  return f.select(f.less(x, -126.0f), f.constant(0.0f), result);
}

Value buildLog(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  // x = m 2^e, sqrt(1/2) <= m < sqrt(2); subnormals are scaled by 2^23 first.
  constexpr int32_t kSqrtHalf = 0x3f3504f3;
  Value small = f.less(x, std::numeric_limits<float>::min());
  Value scaled = f.select(small, f.mul(x, f.constant(8388608.0f)), x);
  Value offset = f.subInt(f.bits(scaled), f.integer(kSqrtHalf));
  Value e = f.toFloat(f.shiftRight(offset, 23));
  e = f.add(e, f.select(small, f.constant(-23.0f), f.constant(0.0f)));
  Value m = f.fromBits(f.addInt(f.andInt(offset, 0x7fffff), f.integer(kSqrtHalf)));
  Value r = f.sub(m, f.constant(1.0f));
  // log(1 + r) = r - r^2 / 2 + r^3 P(r); error 6e-9.
  Value p = f.polynomial(r, {0.333333313f, -0.250008196f, 0.200012267f, -0.166233569f, 0.142017603f, -0.1316019f,
                             0.127615631f, -0.0763446018f});
  Value z = f.mul(r, r);
  Value low = f.mul(f.mul(p, r), z);
  low = f.fma(e, 1.42860677e-6f, low); // ln 2 - 0.693145752
  low = f.fma(z, -0.5f, low);
  Value result = f.fma(e, 0.693145752f, f.add(r, low));
  constexpr float kInf = std::numeric_limits<float>::infinity();
  Value finite = f.less(x, kInf); // false for NaN too, which is kept
  result = f.select(finite, result, x);
  result = f.select(f.equal(x, 0.0f), f.constant(-kInf), result);
  return f.select(f.less(x, 0.0f), f.constant(std::numeric_limits<float>::quiet_NaN()), result);
}

Value buildTanh(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  // E = e^(2|x|) - 1, tanh |x| = E / (E + 2). With 2|x| = k ln 2 + r, E = 2^k (e^r - 1) + (2^k - 1) keeps small results
  // exact (k = 0) and never cancels. From 9.02 on the quotient rounds to 1.
  Value magnitude = f.atMost(f.abs(x), 9.02f);
  Value shifted;
  Value k = f.roundToInteger(magnitude, 2.88539004f, shifted, kBias);
  Value minusK = f.neg(k);
  Value r = f.fma(minusK, 0.693145752f, f.add(magnitude, magnitude));
  r = f.fma(minusK, 1.42860677e-6f, r);
  Value p = f.polynomial(r, {0.49999997f, 0.16666542f, 0.0416672044f, 0.00836669188f, 0.00138824875f}); // 1.4e-8
  p = f.fma(f.mul(r, r), p, r);
  Value power = f.power(shifted);
  Value e = f.fma(power, p, f.sub(power, f.constant(1.0f)));
  return f.copySign(f.div(e, f.add(e, f.constant(2.0f))), x);
}

/// p / (1 + e^-x) with p = 1 if null.
static Value logistic(F32 &f, Value p, Value x) {
  // 2^k is 0 at the lower clamp and inf at the upper one, where the results round to p and 0.
  Value y = f.atLeast(f.atMost(f.neg(x), 88.8f), -88.0f);
  Value shifted;
  Value k = f.roundToInteger(y, kLog2E, shifted, kBias);
  Value power = f.power(shifted);
  Value one = f.constant(1.0f);
  return f.div(p ? p : one, f.fma(f.exp2Reduced(f.expRemainder(y, k)), power, one));
}

Value buildSigmoid(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  return logistic(f, Value(), x);
}

Value buildErf(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  // |x| < 0.93: x + x P(x^2), error 2e-8. Otherwise 1 - e^-(t + t R(t)), t = |x|, error 3e-9; 1 from 4 on.
  Value t = f.atMost(f.abs(x), 4.0f);
  Value z = f.mul(t, t);
  Value inner =
      f.polynomial(z, {0.128379151f, -0.376124859f, 0.112817213f, -0.0267631244f, 0.0049879984f, -0.000596420083f});
  inner = f.fma(inner, t, t);
  Value exponent =
      f.polynomial(t, {0.128511906f, 0.635726571f, 0.105250999f, -0.0228830408f, 0.00321280328f, -0.00021372459f});
  exponent = f.neg(f.fma(exponent, t, t)); // above -19: no clamping
  Value shifted;
  Value k = f.roundToInteger(exponent, kLog2E, shifted, kBias);
  Value outer = f.mul(f.exp2Reduced(f.expRemainder(exponent, k)), f.power(shifted));
  outer = f.sub(f.constant(1.0f), outer);
  return f.copySign(f.select(f.less(t, 0.927734375f), inner, outer), x);
}

Value buildGelu(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  // gelu(x) = h + h erf(x / sqrt 2), h = x / 2. erf(x / sqrt 2) = x P(x^2) / Q(x^2), absolute error 1.6e-8; at the
  // clamp it is exactly 1, so that large negative x give 0.
  Value clamped = f.atLeast(f.atMost(x, 5.525f), -5.525f);
  Value z = f.mul(clamped, clamped);
  Value numerator =
      f.polynomial(z, {0.797884464f, 0.0679550618f, 0.00936855003f, 0.000340018683f, 1.27031271e-05f, 4.51894273e-08f});
  Value denominator =
      f.polynomial(z, {1.0f, 0.251834899f, 0.0287157018f, 0.00189115736f, 7.39822863e-05f, 1.19295976e-06f});
  Value erf = f.div(f.mul(clamped, numerator), denominator);
  Value half = f.mul(x, f.constant(0.5f));
  return f.fma(half, erf, half);
}

Value buildGeluTanh(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  constexpr double kTwice = 2.0 * 0.79788456080286535588;
  Value z = f.mul(x, x);
  Value u = f.mul(x, f.fma(z, f.constant(static_cast<float>(kTwice * 0.044715)), static_cast<float>(kTwice)));
  return logistic(f, x, u);
}

Value buildSin(OpBuilder &b, Location loc, Value x) { return buildSinCos(b, loc, x, 0); }
Value buildCos(OpBuilder &b, Location loc, Value x) { return buildSinCos(b, loc, x, 1); }

Value buildCosOfSmall(OpBuilder &b, Location loc, Value x) {
  F32 f(b, loc, x);
  return sinReduced(f, x, 1);
}

} // namespace ds
