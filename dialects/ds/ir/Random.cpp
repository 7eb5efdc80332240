//===- Random.cpp - Random numbers ----------------------------------------===//
// Guarantees: shape functions and verifiers of the ops in DsRandom.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsRandom.cpp.inc"

namespace ds {

static LogicalResult verifyScalar(Operation *op, Value value, StringRef name) {
  if (cast<RankedTensorType>(value.getType()).getRank() == 0)
    return success();
  return op->emitOpError() << "expected '" << name << "' to be of rank 0, got " << value.getType();
}

LogicalResult RandomKeyOp::inferShapes(ShapeState &state) {
  state.setDims(getResult(), {});
  return success();
}

LogicalResult RandomKeyOp::verify() {
  if (getStream().size() != 1)
    return emitOpError() << "expected one expression in 'stream', got " << getStream().size();
  if (failed(verifyScalar(*this, getSeed(), "seed")))
    return failure();
  return verifyScalar(*this, getRun(), "run");
}

LogicalResult RandomOp::inferShapes(ShapeState &state) {
  state.setDims(getResult(), getTarget().getDims());
  return success();
}

LogicalResult RandomOp::verify() { return verifyScalar(*this, getKey(), "key"); }

} // namespace ds
