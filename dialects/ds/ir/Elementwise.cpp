//===- Elementwise.cpp - Elementwise ops -------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsElementwise.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsElementwise.cpp.inc"

namespace ds {

//===----------------------------------------------------------------------===//
// Symbolic elements
//===----------------------------------------------------------------------===//

using Fraction = std::optional<SymFraction>;
using Operands = ArrayRef<SymFraction>;

static bool isInteger(Operation *op) { return isa<IntegerType>(getElementTypeOrSelf(op->getResult(0))); }
static Fraction flag(bool value) { return SymFraction(SymExpr(int64_t(value))); }

/// -1, 0 or 1 where the sign is provable.
static std::optional<int> signOf(const SymExpr &expr) {
  if (expr.isConst(0))
    return 0;
  if (expr.isPositive())
    return 1;
  if ((-expr).isPositive())
    return -1;
  return std::nullopt;
}
/// a - b up to a positive factor.
static SymExpr difference(const SymFraction &a, const SymFraction &b) { return a.num * b.den - b.num * a.den; }

/// Whether floats hold them exactly: a third is rounded, and what is computed from it is not what a fraction says.
static bool areExact(Operands x) {
  return llvm::all_of(x, [](const SymFraction &operand) {
    std::optional<int64_t> den = operand.den.tryConst();
    return den && llvm::isPowerOf2_64(*den);
  });
}

Fraction AddOp::inferElement(Operands x) {
  if (!areExact(x))
    return std::nullopt;
  return SymFraction(x[0].num * x[1].den + x[1].num * x[0].den, x[0].den * x[1].den);
}
Fraction SubOp::inferElement(Operands x) {
  if (!areExact(x))
    return std::nullopt;
  return SymFraction(x[0].num * x[1].den - x[1].num * x[0].den, x[0].den * x[1].den);
}
Fraction MulOp::inferElement(Operands x) {
  if (!areExact(x))
    return std::nullopt;
  return SymFraction(x[0].num * x[1].num, x[0].den * x[1].den);
}

/// a / b with a positive denominator; a divisor of unknown sign is a dim, hence not negative.
static Fraction divide(const SymFraction &a, const SymFraction &b) {
  if (!areExact({a, b}))
    return std::nullopt;
  SymExpr num = a.num * b.den, den = a.den * b.num;
  std::optional<int> sign = signOf(den);
  if (sign == 0)
    return std::nullopt;
  if (sign == -1)
    return SymFraction(-num, -den);
  if (!sign && !den.isNonNegative())
    return std::nullopt;
  return SymFraction(num, den);
}

/// Rounded toward zero.
static Fraction truncate(const SymFraction &x) {
  if (x.isInteger())
    return x;
  if (x.num.isNonNegative())
    return SymFraction(x.floor());
  if ((-x.num).isNonNegative())
    return SymFraction(x.ceil());
  return std::nullopt;
}

Fraction DivOp::inferElement(Operands x) {
  Fraction quotient = divide(x[0], x[1]);
  return quotient && isInteger(*this) ? truncate(*quotient) : quotient;
}

Fraction ModOp::inferElement(Operands x) {
  if (!x[0].isInteger() || !x[1].isInteger())
    return std::nullopt;
  bool agree = x[0].num.isNonNegative() && x[1].num.isNonNegative();
  if (getFmod() && !agree)
    return std::nullopt;
  if ((!agree && !x[1].num.isConst()) || x[1].num.isConst(0))
    return std::nullopt;
  return SymFraction(SymExpr::mod(x[0].num, x[1].num));
}

Fraction MaxOp::inferElement(Operands x) {
  if (x[0].den == x[1].den)
    return SymFraction(SymExpr::max(x[0].num, x[1].num), x[0].den);
  std::optional<int> sign = signOf(difference(x[0], x[1]));
  return sign ? Fraction(*sign >= 0 ? x[0] : x[1]) : std::nullopt;
}
Fraction MinOp::inferElement(Operands x) {
  if (x[0].den == x[1].den)
    return SymFraction(SymExpr::min(x[0].num, x[1].num), x[0].den);
  std::optional<int> sign = signOf(difference(x[0], x[1]));
  return sign ? Fraction(*sign <= 0 ? x[0] : x[1]) : std::nullopt;
}

/// A logical op on two decided flags.
static Fraction logical(Operands x, bool (*f)(bool, bool)) {
  if (!x[0].isConst() || !x[1].isConst())
    return std::nullopt;
  return flag(f(!x[0].num.isConst(0), !x[1].num.isConst(0)));
}
Fraction AndOp::inferElement(Operands x) {
  return logical(x, [](bool a, bool b) { return a && b; });
}
Fraction OrOp::inferElement(Operands x) {
  return logical(x, [](bool a, bool b) { return a || b; });
}
Fraction XorOp::inferElement(Operands x) {
  return logical(x, [](bool a, bool b) { return a != b; });
}
Fraction NotOp::inferElement(Operands x) {
  if (!x[0].isConst())
    return std::nullopt;
  return flag(x[0].num.isConst(0));
}

Fraction CompareOp::inferElement(Operands x) {
  SymExpr d = difference(x[0], x[1]);
  std::optional<int> sign = signOf(d);
  if (sign) {
    switch (getPredicate()) {
    case ComparePredicate::eq:
      return flag(*sign == 0);
    case ComparePredicate::ne:
      return flag(*sign != 0);
    case ComparePredicate::lt:
      return flag(*sign < 0);
    case ComparePredicate::le:
      return flag(*sign <= 0);
    case ComparePredicate::gt:
      return flag(*sign > 0);
    case ComparePredicate::ge:
      return flag(*sign >= 0);
    }
  }
  bool atLeast = d.isNonNegative(), atMost = (-d).isNonNegative();
  switch (getPredicate()) {
  case ComparePredicate::lt:
    return atLeast ? flag(false) : Fraction();
  case ComparePredicate::ge:
    return atLeast ? flag(true) : Fraction();
  case ComparePredicate::gt:
    return atMost ? flag(false) : Fraction();
  case ComparePredicate::le:
    return atMost ? flag(true) : Fraction();
  default:
    return std::nullopt;
  }
}

Fraction SelectOp::inferElement(Operands x) {
  if (x[0].isConst())
    return x[0].num.isConst(0) ? x[2] : x[1];
  return x[1] == x[2] ? Fraction(x[1]) : std::nullopt;
}

Fraction NegOp::inferElement(Operands x) { return SymFraction(-x[0].num, x[0].den); }
Fraction AbsOp::inferElement(Operands x) {
  if (x[0].num.isNonNegative())
    return x[0];
  if ((-x[0].num).isNonNegative())
    return SymFraction(-x[0].num, x[0].den);
  return std::nullopt;
}
Fraction CeilOp::inferElement(Operands x) { return SymFraction(x[0].ceil()); }
Fraction FloorOp::inferElement(Operands x) { return SymFraction(x[0].floor()); }
Fraction RoundOp::inferElement(Operands x) { return x[0].isInteger() ? Fraction(x[0]) : std::nullopt; }
Fraction ReciprocalOp::inferElement(Operands x) { return divide(SymFraction(SymExpr(1)), x[0]); }
Fraction ReluOp::inferElement(Operands x) { return SymFraction(SymExpr::max(x[0].num, SymExpr(0)), x[0].den); }
Fraction SignOp::inferElement(Operands x) {
  std::optional<int> sign = signOf(x[0].num);
  return sign ? Fraction(SymExpr(int64_t(*sign))) : std::nullopt;
}

Fraction CastOp::inferElement(Operands x) {
  Type from = getElementTypeOrSelf(getX()), to = getElementTypeOrSelf(getResult());
  if (to.isInteger(1)) {
    std::optional<int> sign = signOf(x[0].num);
    return sign ? flag(*sign != 0) : std::nullopt;
  }
  if (isa<FloatType>(to)) {
    // The narrow floats are not exact enough.
    if (to.isF32() || to.isF64())
      return x[0];
    return std::nullopt;
  }
  Fraction value = isa<FloatType>(from) ? truncate(x[0]) : x[0];
  auto integer = cast<IntegerType>(to);
  if (!value || integer.getWidth() >= 32)
    return value;
  std::optional<int64_t> number = value->num.tryConst();
  int64_t low = integer.isUnsigned() ? 0 : -(int64_t(1) << (integer.getWidth() - 1));
  int64_t high = (int64_t(1) << (integer.getWidth() - (integer.isUnsigned() ? 0 : 1))) - 1;
  if (!number || *number < low || *number > high)
    return std::nullopt;
  return value;
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult ModOp::verify() {
  if (!isInteger(*this) && !getFmod())
    return emitOpError("expected 'fmod' for floats");
  return success();
}

LogicalResult BitcastOp::verify() {
  auto bytes = [](Value value) { return getElementBytes(*getElementKind(getElementTypeOrSelf(value.getType()))); };
  if (bytes(getX()) != bytes(getResult()))
    return emitOpError() << "expected element types of the same size, got " << getElementTypeOrSelf(getX().getType())
                         << " and " << getElementTypeOrSelf(getResult().getType());
  return success();
}

LogicalResult PowOp::verify() { return verifySameElementType(*this, getA(), getResult(), "'a'", "the result"); }
LogicalResult CompareOp::verify() { return verifySameElementType(*this, getA(), getB(), "'a'", "'b'"); }
LogicalResult SelectOp::verify() {
  if (failed(verifySameElementType(*this, getA(), getB(), "'a'", "'b'")))
    return failure();
  return verifySameElementType(*this, getA(), getResult(), "'a'", "the result");
}

} // namespace ds
