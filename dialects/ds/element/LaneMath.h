//===- LaneMath.h - Arithmetic on element values of one tensor type -------===//
// Assumes: values are of the compute type of the element type (see ElementBuilder.h).
// Guarantees: the semantics of ds's elementwise ops, for scalars and vectors; operands are made to agree first.
// Constants
//   fold.
//===----------------------------------------------------------------------===//
#ifndef DS_DIALECT_LANEMATH_H
#define DS_DIALECT_LANEMATH_H

#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/ir/DsDialect.h"

namespace ds {

class LaneMath {
public:
  LaneMath(ElementBuilder &eb, mlir::Type elementType);

  mlir::Type getType() const { return type; }
  bool isFloat() const { return floating; }
  bool isUnsigned() const { return unsignedInt; }

  // Scalar constants.
  mlir::Value constant(double value);
  mlir::Value zero() { return constant(0); }
  mlir::Value one() { return constant(1); }
  /// The least and greatest value; infinities for floats.
  mlir::Value least();
  mlir::Value greatest();

  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  /// x * y + z; fused for floats.
  mlir::Value mulAdd(mlir::Value x, mlir::Value y, mlir::Value z);
  /// Integers: truncating, wrapping at -least; a zero divisor ends the kernel with an error.
  mlir::Value div(mlir::Value x, mlir::Value y);
  /// The remainder with the sign of the dividend, or (`floored`) of the divisor.
  mlir::Value rem(mlir::Value x, mlir::Value y, bool floored);
  /// NaN if either is.
  mlir::Value max(mlir::Value x, mlir::Value y);
  mlir::Value min(mlir::Value x, mlir::Value y);
  /// Ordered comparisons; `ne` is true for NaN.
  mlir::Value compare(ComparePredicate predicate, mlir::Value x, mlir::Value y);
  /// True where `x` takes the place of `best` in a search for an extremum: a NaN beats every number, as in NumPy, and
  /// an equal value (a NaN another one) with `orEqual`.
  mlir::Value beats(mlir::Value x, mlir::Value best, bool isMax, bool orEqual = false);

private:
  mlir::Value extremum(mlir::Value x, mlir::Value y, bool isMax);
  /// A divisor that cannot trap, and where y is -1 (null if it cannot be).
  mlir::Value safeDivisor(mlir::Value y, mlir::Value &minusOne);

  ElementBuilder &eb;
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Type type;
  bool floating, unsignedInt;
};

} // namespace ds

#endif
