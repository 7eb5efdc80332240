//===- SmallFloats.cpp - Floats of 8 bits and fewer -----------------------===//
// Guarantees: see SmallFloats.h. The formats are those of OCP's MX and FP8 specifications and of ONNX's documentation.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/SmallFloats.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include <cmath>

using namespace mlir;

namespace ds {

std::optional<SmallFloat> SmallFloat::get(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return SmallFloat{4, 3, 7, 0x7e, -1, 0x7f, true, false};
  if (isa<Float8E5M2Type>(type))
    return SmallFloat{5, 2, 15, 0x7b, 0x7c, 0x7e, true, false};
  if (isa<Float8E4M3FNUZType>(type))
    return SmallFloat{4, 3, 8, 0x7f, -1, 0x80, false, false};
  if (isa<Float8E5M2FNUZType>(type))
    return SmallFloat{5, 2, 16, 0x7f, -1, 0x80, false, false};
  if (isa<Float4E2M1FNType>(type))
    return SmallFloat{2, 1, 1, 7, -1, 8, true, true};
  return std::nullopt;
}

bool isSmallInteger(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer && integer.getWidth() > 1 && integer.getWidth() < 8;
}

double SmallFloat::decode(uint8_t bits) const {
  int magnitude = bits & ((1 << magnitudeBits()) - 1);
  bool negative = bits >> magnitudeBits() & 1;
  if (!signedNan && bits == nan)
    return NAN;
  double value;
  if (infinity >= 0 && magnitude == infinity)
    value = INFINITY;
  else if (magnitude > largest)
    value = NAN;
  else if (int exponent = magnitude >> mantissaBits)
    value = std::ldexp((magnitude & ((1 << mantissaBits) - 1)) | 1 << mantissaBits, exponent - bias - mantissaBits);
  else
    value = std::ldexp(magnitude, 1 - bias - mantissaBits);
  return negative ? -value : value;
}

uint8_t SmallFloat::encode(double value) const {
  int sign = std::signbit(value) ? 1 << magnitudeBits() : 0;
  if (std::isnan(value))
    return nan | (signedNan && !alwaysSaturates ? sign : 0);
  // Numbers of one exponent are equally far apart: count the steps from the exponent's least.
  double magnitude = std::fabs(value);
  int code = largest;
  if (magnitude < decode(largest) * 2) {
    int exponent = magnitude == 0 ? 1 - bias : std::max(std::ilogb(magnitude), 1 - bias);
    double steps = std::nearbyint(std::ldexp(magnitude, mantissaBits - exponent));
    code = std::min(int(steps) + ((exponent + bias - 1) << mantissaBits), largest);
  }
  return code == 0 && !signedNan ? 0 : uint8_t(code | sign);
}

namespace {
/// i32 arithmetic on scalars or vectors alike `like`.
class Bits {
public:
  Bits(OpBuilder &b, Location loc, Value like) : b(b), loc(loc), shaped(dyn_cast<VectorType>(like.getType())) {}

  Type typed(Type scalar) { return shaped ? Type(VectorType::get(shaped.getShape(), scalar)) : scalar; }
  Type i32() { return typed(b.getI32Type()); }
  Type f32() { return typed(b.getF32Type()); }
  Value constant(int32_t value) { return splat(b.getI32IntegerAttr(value), i32()); }
  Value number(double value) { return splat(b.getF32FloatAttr(float(value)), f32()); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value bitAnd(Value x, int32_t y) { return arith::AndIOp::create(b, loc, x, constant(y)); }
  Value bitOr(Value x, Value y) { return arith::OrIOp::create(b, loc, x, y); }
  Value left(Value x, int32_t by) { return arith::ShLIOp::create(b, loc, x, constant(by)); }
  Value right(Value x, int32_t by) { return arith::ShRUIOp::create(b, loc, x, constant(by)); }
  Value compare(arith::CmpIPredicate predicate, Value x, int32_t y) {
    return arith::CmpIOp::create(b, loc, predicate, x, constant(y));
  }
  Value select(Value condition, Value x, Value y) { return arith::SelectOp::create(b, loc, condition, x, y); }

private:
  Value splat(TypedAttr value, Type type) {
    if (auto vector = dyn_cast<VectorType>(type))
      return arith::ConstantOp::create(b, loc, SplatElementsAttr::get(vector, Attribute(value)));
    return arith::ConstantOp::create(b, loc, value);
  }

  OpBuilder &b;
  Location loc;
  VectorType shaped;
};
} // namespace

Value SmallFloat::buildDecode(OpBuilder &b, Location loc, Value bits) const {
  Bits m(b, loc, bits);
  Value code = arith::ExtUIOp::create(b, loc, m.i32(), bits);
  Value magnitude = m.bitAnd(code, (1 << magnitudeBits()) - 1);
  Value sign = m.left(m.bitAnd(m.right(code, magnitudeBits()), 1), 31);
  Value normal = m.add(m.left(magnitude, 23 - mantissaBits), m.constant((127 - bias) << 23));
  // Below the least normal number the magnitude counts the steps from 0.
  Value steps = arith::SIToFPOp::create(b, loc, m.f32(), magnitude);
  Value small = arith::MulFOp::create(b, loc, steps, m.number(std::ldexp(1.0, 1 - bias - mantissaBits)));
  small = arith::BitcastOp::create(b, loc, m.i32(), small);
  Value result = m.select(m.compare(arith::CmpIPredicate::ult, magnitude, 1 << mantissaBits), small, normal);
  constexpr int32_t kInfinity = 0x7f800000, kNan = 0x7fc00000;
  if (largest < (1 << magnitudeBits()) - 1)
    result = m.select(m.compare(arith::CmpIPredicate::ugt, magnitude, largest), m.constant(kNan), result);
  if (infinity >= 0)
    result = m.select(m.compare(arith::CmpIPredicate::eq, magnitude, infinity), m.constant(kInfinity), result);
  if (!signedNan)
    result = m.select(m.compare(arith::CmpIPredicate::eq, code, nan), m.constant(kNan), result);
  return arith::BitcastOp::create(b, loc, m.f32(), m.bitOr(result, sign));
}

Value SmallFloat::buildEncode(OpBuilder &b, Location loc, Value value, bool saturate) const {
  Bits m(b, loc, value);
  Value all = arith::BitcastOp::create(b, loc, m.i32(), value);
  Value sign = m.left(m.right(all, 31), magnitudeBits()), magnitude = m.bitAnd(all, 0x7fffffff);
  // Half a step less one, and one more where the result would be odd: halves go to the even neighbour.
  int drop = 23 - mantissaBits;
  Value odd = m.bitAnd(m.right(magnitude, drop), 1);
  Value rounded = m.right(m.add(m.add(magnitude, odd), m.constant((1 << (drop - 1)) - 1)), drop);
  Value normal = m.sub(rounded, m.constant((127 - bias) << mantissaBits));
  Value absolute = arith::BitcastOp::create(b, loc, m.f32(), magnitude);
  double least = std::ldexp(1.0, 1 - bias);
  Value low = arith::MinNumFOp::create(b, loc, absolute, m.number(least));
  Value steps = arith::MulFOp::create(b, loc, low, m.number(std::ldexp(1.0, bias - 1 + mantissaBits)));
  Value small = arith::FPToSIOp::create(b, loc, m.i32(), math::RoundEvenOp::create(b, loc, steps));
  Value isSmall = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, absolute, m.number(least));
  Value code = m.select(isSmall, small, normal);
  Value tooLarge = m.compare(arith::CmpIPredicate::sgt, code, largest);
  int instead = saturate || alwaysSaturates ? largest : infinity >= 0 ? infinity : nan;
  code = m.select(tooLarge, m.constant(instead), code);
  Value isNan = m.compare(arith::CmpIPredicate::ugt, magnitude, 0x7f800000);
  if (signedNan) {
    code = m.bitOr(code, sign);
    Value what = alwaysSaturates ? m.constant(nan) : m.bitOr(m.constant(nan), sign);
    code = m.select(isNan, what, code);
  } else {
    // Neither NaN nor 0 has a second sign.
    Value plain = m.select(m.compare(arith::CmpIPredicate::eq, code, 0), code, m.bitOr(code, sign));
    code = m.select(isNan, m.constant(nan), plain);
  }
  return arith::TruncIOp::create(b, loc, m.typed(b.getI8Type()), code);
}

} // namespace ds
