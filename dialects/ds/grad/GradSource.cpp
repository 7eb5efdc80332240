//===- GradSource.cpp - Derivatives of values made from shapes ------------===//
// Guarantees: the rules of the ops in DsSource.td that take floats.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"

using namespace mlir;

namespace ds {

LogicalResult RangeOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // start + i * delta; how many there are is no float's derivative.
  TensorExpr g = b(cotangents[0]);
  if (b.needs(0))
    operands[0] = b.reshape(b.sum(g, {0}, /*keepDims=*/false), b.dims(getStart())).get();
  if (b.needs(2)) {
    TensorExpr steps = b.cast(b.iota(b.dims(g.get())[0]), VjpBuilder::elementOf(g.get()));
    operands[2] = b.reshape(b.sum(g * steps, {0}, /*keepDims=*/false), b.dims(getDelta())).get();
  }
  return failure(b.hasFailed());
}

/// Of the operand only the dims matter.
LogicalResult EyeLikeOp::buildVjp(VjpBuilder &, ArrayRef<Value>, MutableArrayRef<Value>) { return success(); }

} // namespace ds
