//===- ElementElementwise.cpp - Element forms of the elementwise ops ------===//
// Guarantees: `buildLanes` of every op in DsElementwise.td. f32 functions are those of MathFunctions.h where there is
// one,
//   otherwise (and for f64) ops of the math dialect, which become calls of libm.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/element/MathFunctions.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include <limits>

using namespace mlir;

namespace ds {

FailureOr<Value> detail::buildElementwise(Operation *op, ElementBuilder &eb, ArrayRef<LaneIndex> indices,
                                          llvm::function_ref<Value(ArrayRef<Value>)> lanes) {
  SymDims dims = eb.dims(op->getResult(0));
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    FailureOr<Value> value = eb.broadcastElement(operand, indices, dims);
    if (failed(value))
      return failure();
    operands.push_back(*value);
  }
  eb.unify(operands);
  return lanes(operands);
}

static Type elementType(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

static Value fill(ElementBuilder &eb, Value like, double value) {
  Value scalar = eb.constantFloat(getElementTypeOrSelf(like.getType()), value);
  return eb.isVector(like) ? eb.broadcast(scalar) : scalar;
}

/// f32 by `function`, f64 by an op of the math dialect.
template <typename MathOp>
static Value f32Or(ElementBuilder &eb, Value x, Value (*function)(OpBuilder &, Location, Value)) {
  if (getElementTypeOrSelf(x.getType()).isF32())
    return function(eb.builder(), eb.getLoc(), x);
  return MathOp::create(eb.builder(), eb.getLoc(), x);
}

//===----------------------------------------------------------------------===//
// Unary
//===----------------------------------------------------------------------===//

#define DS_MATH_LANES(op, mathOp)                                                                                      \
  Value op::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {                                                        \
    return mathOp::create(eb.builder(), eb.getLoc(), x[0]);                                                            \
  }
DS_MATH_LANES(CeilOp, math::CeilOp)
DS_MATH_LANES(FloorOp, math::FloorOp)
DS_MATH_LANES(RoundOp, math::RoundEvenOp)
DS_MATH_LANES(SqrtOp, math::SqrtOp)
DS_MATH_LANES(TanOp, math::TanOp)
DS_MATH_LANES(AsinOp, math::AsinOp)
DS_MATH_LANES(AcosOp, math::AcosOp)
DS_MATH_LANES(AtanOp, math::AtanOp)
DS_MATH_LANES(SinhOp, math::SinhOp)
DS_MATH_LANES(CoshOp, math::CoshOp)
DS_MATH_LANES(AsinhOp, math::AsinhOp)
DS_MATH_LANES(AcoshOp, math::AcoshOp)
DS_MATH_LANES(AtanhOp, math::AtanhOp)
#undef DS_MATH_LANES

#define DS_F32_LANES(op, function, mathOp)                                                                             \
  Value op::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) { return f32Or<mathOp>(eb, x[0], function); }
DS_F32_LANES(LogOp, buildLog, math::LogOp)
DS_F32_LANES(SinOp, buildSin, math::SinOp)
DS_F32_LANES(CosOp, buildCos, math::CosOp)
DS_F32_LANES(ErfOp, buildErf, math::ErfOp)
#undef DS_F32_LANES

/// Functions of f32 and f64; the two types are all that floats are computed in.
static Value exponential(ElementBuilder &eb, Value x) {
  auto build = getElementTypeOrSelf(x.getType()).isF32() ? buildExp : buildExp64;
  return build(eb.builder(), eb.getLoc(), x);
}
static Value hyperbolicTangent(ElementBuilder &eb, Value x) {
  auto build = getElementTypeOrSelf(x.getType()).isF32() ? buildTanh : buildTanh64;
  return build(eb.builder(), eb.getLoc(), x);
}
Value ExpOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) { return exponential(eb, x[0]); }
Value TanhOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) { return hyperbolicTangent(eb, x[0]); }

Value AbsOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  LaneMath math(eb, elementType(getX()));
  if (math.isFloat())
    return math::AbsFOp::create(eb.builder(), eb.getLoc(), x[0]);
  if (math.isUnsigned())
    return x[0];
  return eb.select(math.compare(ComparePredicate::lt, x[0], math.zero()), math.sub(math.zero(), x[0]), x[0]);
}

Value NegOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  LaneMath math(eb, elementType(getX()));
  if (math.isFloat())
    return eb.builder().createOrFold<arith::NegFOp>(eb.getLoc(), x[0]);
  return math.sub(math.zero(), x[0]);
}

Value RsqrtOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  Value root = math::SqrtOp::create(eb.builder(), eb.getLoc(), x[0]);
  return arith::DivFOp::create(eb.builder(), eb.getLoc(), fill(eb, root, 1.0), root);
}

Value ReciprocalOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  return arith::DivFOp::create(eb.builder(), eb.getLoc(), fill(eb, x[0], 1.0), x[0]);
}

Value SigmoidOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  OpBuilder &b = eb.builder();
  Location loc = eb.getLoc();
  if (getElementTypeOrSelf(x[0].getType()).isF32())
    return buildSigmoid(b, loc, x[0]);
  Value one = fill(eb, x[0], 1.0);
  Value power = exponential(eb, arith::NegFOp::create(b, loc, x[0]));
  return arith::DivFOp::create(b, loc, one, arith::AddFOp::create(b, loc, one, power));
}

Value GeluOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  OpBuilder &b = eb.builder();
  Location loc = eb.getLoc();
  bool byTanh = getApproximate() == GeluApproximation::tanh;
  if (getElementTypeOrSelf(x[0].getType()).isF32())
    return byTanh ? buildGeluTanh(b, loc, x[0]) : buildGelu(b, loc, x[0]);
  LaneMath math(eb, elementType(getX()));
  Value inner;
  if (byTanh) {
    Value square = math.mul(x[0], x[0]);
    Value sum = math.mulAdd(math.mul(square, x[0]), math.constant(0.044715), x[0]);
    inner = hyperbolicTangent(eb, math.mul(sum, math.constant(0.79788456080286535588)));
  } else {
    inner = math::ErfOp::create(b, loc, math.mul(x[0], math.constant(0.70710678118654752440)));
  }
  return math.mul(math.mul(x[0], math.constant(0.5)), math.add(inner, math.one()));
}

Value ReluOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  LaneMath math(eb, elementType(getX()));
  return math.isUnsigned() ? x[0] : math.max(x[0], math.zero());
}

Value SignOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  LaneMath math(eb, elementType(getX()));
  Value positive = math.compare(ComparePredicate::gt, x[0], math.zero());
  if (math.isUnsigned())
    return eb.select(positive, math.one(), math.zero());
  Value negative = math.compare(ComparePredicate::lt, x[0], math.zero());
  return eb.select(positive, math.one(), eb.select(negative, math.constant(-1), x[0])); // zeros and NaN stay
}

Value NotOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) { return eb.logicalNot(x[0]); }

Value BitwiseNotOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  Value ones = eb.constantInt(getElementTypeOrSelf(x[0].getType()), -1), value = x[0];
  eb.unify(value, ones);
  return eb.builder().createOrFold<arith::XOrIOp>(eb.getLoc(), value, ones);
}

Value IsNanOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  return arith::CmpFOp::create(eb.builder(), eb.getLoc(), arith::CmpFPredicate::UNO, x[0], x[0]);
}

Value IsInfOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  LaneMath math(eb, elementType(getX()));
  Value value = x[0];
  if (getDetectNegative() && getDetectPositive())
    value = math::AbsFOp::create(eb.builder(), eb.getLoc(), value);
  else if (!getDetectNegative() && !getDetectPositive())
    return eb.constantTrue(false);
  return math.compare(ComparePredicate::eq, value, getDetectPositive() ? math.greatest() : math.least());
}

//===----------------------------------------------------------------------===//
// Binary
//===----------------------------------------------------------------------===//

#define DS_LANE_MATH(op, method)                                                                                       \
  Value op::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {                                                        \
    return LaneMath(eb, elementType(getA())).method(x[0], x[1]);                                                       \
  }
DS_LANE_MATH(AddOp, add)
DS_LANE_MATH(SubOp, sub)
DS_LANE_MATH(MulOp, mul)
DS_LANE_MATH(DivOp, div)
DS_LANE_MATH(MaxOp, max)
DS_LANE_MATH(MinOp, min)
#undef DS_LANE_MATH

#define DS_BIT_LANES(op, arithOp)                                                                                      \
  Value op::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {                                                        \
    return eb.builder().createOrFold<arith::arithOp>(eb.getLoc(), x[0], x[1]);                                         \
  }
DS_BIT_LANES(AndOp, AndIOp)
DS_BIT_LANES(OrOp, OrIOp)
DS_BIT_LANES(XorOp, XOrIOp)
DS_BIT_LANES(BitwiseAndOp, AndIOp)
DS_BIT_LANES(BitwiseOrOp, OrIOp)
DS_BIT_LANES(BitwiseXorOp, XOrIOp)
#undef DS_BIT_LANES

/// The counts made less than the width, and which of them were not (negative ones count as large).
static Value clampCounts(ElementBuilder &eb, Value counts, Value &large) {
  Type type = getElementTypeOrSelf(counts.getType());
  Value limit = eb.constantInt(type, type.getIntOrFloatBitWidth() - 1);
  eb.unify(counts, limit);
  large = eb.builder().createOrFold<arith::CmpIOp>(eb.getLoc(), arith::CmpIPredicate::ugt, counts, limit);
  return eb.builder().createOrFold<arith::MinUIOp>(eb.getLoc(), counts, limit);
}

Value ShiftLeftOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  Value large, counts = clampCounts(eb, x[1], large);
  Value shifted = eb.builder().createOrFold<arith::ShLIOp>(eb.getLoc(), x[0], counts);
  return eb.select(large, eb.constantInt(getElementTypeOrSelf(x[0].getType()), 0), shifted);
}

Value ShiftRightOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  Value large, counts = clampCounts(eb, x[1], large);
  if (!elementType(getA()).isUnsignedInteger())
    return eb.builder().createOrFold<arith::ShRSIOp>(eb.getLoc(), x[0], counts);
  Value shifted = eb.builder().createOrFold<arith::ShRUIOp>(eb.getLoc(), x[0], counts);
  return eb.select(large, eb.constantInt(getElementTypeOrSelf(x[0].getType()), 0), shifted);
}

Value ModOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  return LaneMath(eb, elementType(getA())).rem(x[0], x[1], /*floored=*/!getFmod());
}

/// The value that all lanes of `x`, of a ds element type, have, if it is a constant.
static std::optional<double> constantOf(Value x, Type element) {
  Attribute attr;
  if (!matchPattern(x, m_Constant(&attr)))
    return std::nullopt;
  if (auto splat = dyn_cast<SplatElementsAttr>(attr))
    attr = splat.getSplatValue<Attribute>();
  if (auto number = dyn_cast<FloatAttr>(attr))
    return number.getValueAsDouble();
  if (auto number = dyn_cast<IntegerAttr>(attr))
    return number.getValue().roundToDouble(/*isSigned=*/!element.isUnsignedInteger());
  return std::nullopt;
}

/// base^exponent of integers by repeated squaring; wraps. The exponent is not negative.
static Value powerBySquaring(ElementBuilder &eb, LaneMath &math, Value base, Value exponent) {
  OpBuilder &b = eb.builder();
  Location loc = eb.getLoc();
  Type exponentType = getElementTypeOrSelf(exponent.getType());
  Value init[] = {math.one(), base, exponent};
  eb.unify(init);
  auto body = [&](LaneIndex, ValueRange state) -> FailureOr<SmallVector<Value>> {
    Value one = eb.constantInt(exponentType, 1), bits = state[2];
    eb.unify(bits, one);
    Value low = arith::AndIOp::create(b, loc, bits, one);
    Value isOdd = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, low, one);
    Value product = eb.select(isOdd, math.mul(state[0], state[1]), state[0]);
    Value rest = arith::ShRUIOp::create(b, loc, bits, one);
    return SmallVector<Value>{product, math.mul(state[1], state[1]), rest};
  };
  LaneIndex count = eb.constantIndex(exponentType.getIntOrFloatBitWidth());
  return (*eb.loop(eb.constantIndex(0), count, init, body))[0];
}

static Value integerPower(ElementBuilder &eb, LaneMath &math, Value base, Value exponent, Type exponentElement) {
  LaneMath exponents(eb, exponentElement);
  if (std::optional<double> constant = constantOf(exponent, exponentElement);
      constant && *constant >= 0 && *constant <= 4) {
    Value product = math.one();
    for (int i = 0; i < *constant; ++i)
      product = i == 0 ? base : math.mul(product, base);
    return product;
  }
  if (exponents.isUnsigned())
    return powerBySquaring(eb, math, base, exponent);
  Value negative = exponents.compare(ComparePredicate::lt, exponent, exponents.zero());
  Value power = powerBySquaring(eb, math, base, eb.select(negative, exponents.zero(), exponent));
  // base^-n truncated: 1 for 1, the sign by parity for -1, 0 otherwise.
  Value one = eb.constantInt(exponents.getType(), 1);
  eb.unify(exponent, one);
  Value parity = arith::AndIOp::create(eb.builder(), eb.getLoc(), exponent, one);
  Value isOdd = exponents.compare(ComparePredicate::ne, parity, exponents.zero());
  Value reciprocal = eb.select(math.compare(ComparePredicate::eq, base, math.one()), math.one(), math.zero());
  if (!math.isUnsigned()) {
    Value minusOne = math.compare(ComparePredicate::eq, base, math.constant(-1));
    reciprocal = eb.select(minusOne, eb.select(isOdd, math.constant(-1), math.one()), reciprocal);
  }
  return eb.select(negative, reciprocal, power);
}

/// A float to the power of an integer: rounded to the base's type an exponent loses its parity, so the sign is its own.
static Value powerOfFloat(ElementBuilder &eb, LaneMath &math, Value base, Value exponent, Type exponentElement) {
  OpBuilder &b = eb.builder();
  Location loc = eb.getLoc();
  LaneMath exponents(eb, exponentElement);
  Value rounded = eb.convert(exponent, exponentElement, math.getType());
  if (std::optional<double> constant = constantOf(exponent, exponentElement); constant && std::abs(*constant) < 0x1p24)
    return math::PowFOp::create(b, loc, base, rounded);
  Value size = math::PowFOp::create(b, loc, math::AbsFOp::create(b, loc, base), rounded);
  Value one = eb.constantInt(exponents.getType(), 1);
  eb.unify(exponent, one);
  Value parity = arith::AndIOp::create(b, loc, exponent, one);
  Value isOdd = exponents.compare(ComparePredicate::ne, parity, exponents.zero());
  eb.unify(size, base);
  return eb.select(isOdd, math::CopySignOp::create(b, loc, size, base), size);
}

Value PowOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  OpBuilder &b = eb.builder();
  Location loc = eb.getLoc();
  Type baseElement = elementType(getA()), exponentElement = elementType(getB());
  LaneMath math(eb, baseElement);
  if (!math.isFloat()) {
    if (!isa<FloatType>(exponentElement))
      return integerPower(eb, math, x[0], x[1], exponentElement);
    Type f64 = b.getF64Type();
    Value power =
        math::PowFOp::create(b, loc, eb.convert(x[0], baseElement, f64), eb.convert(x[1], exponentElement, f64));
    return eb.convert(power, f64, baseElement);
  }
  if (std::optional<double> constant = constantOf(x[1], exponentElement)) {
    if (*constant == 1)
      return x[0];
    if (*constant == 2)
      return math.mul(x[0], x[0]);
    if (*constant == 3)
      return math.mul(math.mul(x[0], x[0]), x[0]);
    if (*constant == -1)
      return math.div(math.one(), x[0]);
    if (*constant == 0.5) {
      // Unlike sqrt, pow gives +0 for -0 and inf for -inf.
      Value root = math::SqrtOp::create(b, loc, math.add(x[0], math.zero()));
      return eb.select(math.compare(ComparePredicate::eq, x[0], math.least()), math.greatest(), root);
    }
  }
  std::optional<double> constant = constantOf(x[1], exponentElement);
  if (!isa<FloatType>(exponentElement))
    return powerOfFloat(eb, math, x[0], x[1], exponentElement);
  // A wider exponent is not rounded to the base's type, unless it is in it.
  bool isWider = exponentElement.getIntOrFloatBitWidth() > getElementTypeOrSelf(math.getType()).getIntOrFloatBitWidth();
  Type type = isWider && !(constant && *constant == float(*constant)) ? Type(b.getF64Type()) : math.getType();
  Value power =
      math::PowFOp::create(b, loc, eb.convert(x[0], math.getType(), type), eb.convert(x[1], exponentElement, type));
  return eb.convert(power, type, math.getType());
}

//===----------------------------------------------------------------------===//
// Others
//===----------------------------------------------------------------------===//

Value CompareOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  return LaneMath(eb, elementType(getA())).compare(getPredicate(), x[0], x[1]);
}

Value SelectOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) { return eb.select(x[0], x[1], x[2]); }

Value CastOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  return eb.convert(x[0], elementType(getX()), elementType(getResult()), getSaturate());
}

Value BitcastOp::buildLanes(ElementBuilder &eb, ArrayRef<Value> x) {
  OpBuilder &b = eb.builder();
  Location loc = eb.getLoc();
  Type from = elementType(getX()), to = elementType(getResult());
  Value bits = x[0];
  auto typed = [&](Type type) { return eb.isVector(bits) ? eb.laneType(type) : type; };
  auto narrow = [](Type type) { return type.isF16() || type.isBF16(); };
  if (from.isInteger(1))
    bits = arith::ExtUIOp::create(b, loc, typed(b.getI8Type()), bits);
  if (narrow(from))
    bits = truncateFloat(b, loc, bits, from);
  if (isa<FloatType>(from))
    bits = arith::BitcastOp::create(b, loc, typed(b.getIntegerType(from.getIntOrFloatBitWidth())), bits);
  if (to.isInteger(1)) {
    Value zero = eb.constantInt(b.getI8Type(), 0);
    eb.unify(bits, zero);
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, bits, zero);
  }
  if (isa<FloatType>(to))
    bits = arith::BitcastOp::create(b, loc, typed(to), bits);
  return narrow(to) ? Value(arith::ExtFOp::create(b, loc, typed(b.getF32Type()), bits)) : bits;
}

} // namespace ds
