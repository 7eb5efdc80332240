//===- LaneMath.cpp - Arithmetic on element values of one tensor type -----===//
// Guarantees: see LaneMath.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/LaneMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include <limits>

using namespace mlir;

namespace ds {

LaneMath::LaneMath(ElementBuilder &eb, Type elementType)
    : eb(eb), b(eb.builder()), loc(eb.getLoc()), type(ElementBuilder::computeType(elementType)),
      floating(isa<FloatType>(type)), unsignedInt(elementType.isUnsignedInteger() || elementType.isInteger(1)) {}

Value LaneMath::constant(double value) {
  return floating ? eb.constantFloat(type, value) : eb.constantInt(type, static_cast<int64_t>(value));
}

Value LaneMath::least() {
  if (floating)
    return constant(-std::numeric_limits<double>::infinity());
  unsigned width = type.getIntOrFloatBitWidth();
  return arith::ConstantOp::create(
      b, loc, b.getIntegerAttr(type, unsignedInt ? APInt::getZero(width) : APInt::getSignedMinValue(width)));
}

Value LaneMath::greatest() {
  if (floating)
    return constant(std::numeric_limits<double>::infinity());
  unsigned width = type.getIntOrFloatBitWidth();
  return arith::ConstantOp::create(
      b, loc, b.getIntegerAttr(type, unsignedInt ? APInt::getAllOnes(width) : APInt::getSignedMaxValue(width)));
}

Value LaneMath::add(Value x, Value y) {
  eb.unify(x, y);
  return floating ? b.createOrFold<arith::AddFOp>(loc, x, y) : b.createOrFold<arith::AddIOp>(loc, x, y);
}

Value LaneMath::sub(Value x, Value y) {
  eb.unify(x, y);
  return floating ? b.createOrFold<arith::SubFOp>(loc, x, y) : b.createOrFold<arith::SubIOp>(loc, x, y);
}

Value LaneMath::mul(Value x, Value y) {
  eb.unify(x, y);
  return floating ? b.createOrFold<arith::MulFOp>(loc, x, y) : b.createOrFold<arith::MulIOp>(loc, x, y);
}

Value LaneMath::mulAdd(Value x, Value y, Value z) {
  if (!floating)
    return add(mul(x, y), z);
  Value all[] = {x, y, z};
  eb.unify(all);
  return math::FmaOp::create(b, loc, all[0], all[1], all[2]);
}

Value LaneMath::safeDivisor(Value y, Value &minusOne) {
  Value isZero = compare(ComparePredicate::eq, y, zero());
  eb.raiseIf(isZero, KernelError::DivisionByZero);
  Value safe = eb.select(isZero, one(), y);
  minusOne = Value();
  if (!unsignedInt) {
    // least / -1 overflows, which is undefined (and traps on x86).
    minusOne = compare(ComparePredicate::eq, y, constant(-1));
    if (matchPattern(minusOne, m_Zero()))
      minusOne = Value();
    else
      safe = eb.select(minusOne, one(), safe);
  }
  return safe;
}

Value LaneMath::div(Value x, Value y) {
  eb.unify(x, y);
  if (floating)
    return b.createOrFold<arith::DivFOp>(loc, x, y);
  Value minusOne, safe = safeDivisor(y, minusOne);
  if (unsignedInt)
    return b.createOrFold<arith::DivUIOp>(loc, x, safe);
  Value quotient = b.createOrFold<arith::DivSIOp>(loc, x, safe);
  return minusOne ? eb.select(minusOne, sub(zero(), x), quotient) : quotient;
}

Value LaneMath::rem(Value x, Value y, bool floored) {
  eb.unify(x, y);
  Value remainder;
  if (floating) {
    remainder = arith::RemFOp::create(b, loc, x, y);
  } else {
    // The remainder by -1 is that by 1.
    Value minusOne, safe = safeDivisor(y, minusOne);
    if (unsignedInt)
      return b.createOrFold<arith::RemUIOp>(loc, x, safe);
    remainder = b.createOrFold<arith::RemSIOp>(loc, x, safe);
  }
  if (!floored)
    return remainder;
  Value negative = compare(ComparePredicate::lt, remainder, zero());
  Value wanted = compare(ComparePredicate::lt, y, zero());
  eb.unify(negative, wanted);
  Value differs = b.createOrFold<arith::XOrIOp>(loc, negative, wanted);
  Value nonZero = compare(ComparePredicate::ne, remainder, zero());
  return eb.select(eb.logicalAnd(differs, nonZero), add(remainder, y), remainder);
}

Value LaneMath::extremum(Value x, Value y, bool isMax) {
  eb.unify(x, y);
  if (!floating) {
    if (unsignedInt)
      return isMax ? b.createOrFold<arith::MaxUIOp>(loc, x, y) : b.createOrFold<arith::MinUIOp>(loc, x, y);
    return isMax ? b.createOrFold<arith::MaxSIOp>(loc, x, y) : b.createOrFold<arith::MinSIOp>(loc, x, y);
  }
  // With a constant that is no NaN, one comparison and a selection (one instruction on x86) keep NaN.
  for (auto [value, limit] : {std::pair(x, y), std::pair(y, x)}) {
    FloatAttr scalar;
    SplatElementsAttr splat;
    bool isNumber = matchPattern(limit, m_Constant(&scalar))  ? !scalar.getValue().isNaN()
                    : matchPattern(limit, m_Constant(&splat)) ? !splat.getSplatValue<APFloat>().isNaN()
                                                              : false;
    if (isNumber) {
      Value beyond = compare(isMax ? ComparePredicate::lt : ComparePredicate::gt, value, limit);
      return b.createOrFold<arith::SelectOp>(loc, beyond, limit, value);
    }
  }
  return isMax ? b.createOrFold<arith::MaximumFOp>(loc, x, y) : b.createOrFold<arith::MinimumFOp>(loc, x, y);
}

Value LaneMath::max(Value x, Value y) { return extremum(x, y, true); }
Value LaneMath::min(Value x, Value y) { return extremum(x, y, false); }

Value LaneMath::compare(ComparePredicate predicate, Value x, Value y) {
  eb.unify(x, y);
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  struct Choice {
    F forFloat;
    I forSigned, forUnsigned;
  };
  auto choice = [&]() -> Choice {
    switch (predicate) {
    case ComparePredicate::eq:
      return {F::OEQ, I::eq, I::eq};
    case ComparePredicate::ne:
      return {F::UNE, I::ne, I::ne};
    case ComparePredicate::lt:
      return {F::OLT, I::slt, I::ult};
    case ComparePredicate::le:
      return {F::OLE, I::sle, I::ule};
    case ComparePredicate::gt:
      return {F::OGT, I::sgt, I::ugt};
    case ComparePredicate::ge:
      return {F::OGE, I::sge, I::uge};
    }
    llvm_unreachable("unknown predicate");
  }();
  if (floating)
    return b.createOrFold<arith::CmpFOp>(loc, choice.forFloat, x, y);
  return b.createOrFold<arith::CmpIOp>(loc, unsignedInt ? choice.forUnsigned : choice.forSigned, x, y);
}

Value LaneMath::beats(Value x, Value best, bool isMax, bool orEqual) {
  eb.unify(x, best);
  if (!floating)
    return compare(isMax ? (orEqual ? ComparePredicate::ge : ComparePredicate::gt)
                         : (orEqual ? ComparePredicate::le : ComparePredicate::lt),
                   x, best);
  using F = arith::CmpFPredicate;
  F unordered = isMax ? (orEqual ? F::UGE : F::UGT) : (orEqual ? F::ULE : F::ULT);
  Value better = arith::CmpFOp::create(b, loc, unordered, x, best);
  Value replaceable = arith::CmpFOp::create(b, loc, F::ORD, best, best);
  if (orEqual)
    replaceable = arith::OrIOp::create(b, loc, replaceable, arith::CmpFOp::create(b, loc, F::UNO, x, x));
  return eb.logicalAnd(better, replaceable);
}

} // namespace ds
