//===- Quantization.cpp - Quantization ---------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsQuantization.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsQuantization.cpp.inc"

namespace ds {

/// The three constraints of DsQuantization.td, and the result's dims.
template <typename QuantOp> static LogicalResult inferQuantization(QuantOp op, ShapeState &state) {
  SymDims x = dimsOf(op.getX(), state), scale = dimsOf(op.getScale(), state);
  if (op.getZeroPoint()) {
    SymDims zero = dimsOf(op.getZeroPoint(), state);
    if (failed(unifyDims(zero, scale, op, "zero point and scale", state)))
      return failure();
  }
  state.setDims(op.getResult(), x);
  bool perTensor = scale.empty() || (scale.size() == 1 && scale[0].isConst(1));
  if (op.getBlockSize() < 0)
    return emitNodeError(op) << "expected a block size of 0 or more, got " << op.getBlockSize();
  if (perTensor && op.getBlockSize() == 0)
    return success();
  if (failed(checkAxis(op, op.getAxis(), x.size())))
    return failure();
  if (op.getBlockSize() == 0) {
    if (scale.size() != 1)
      return emitNodeError(op) << "expected a scale of rank 0 or 1, got rank " << scale.size();
    return state.requireEqual(scale[0], x[op.getAxis()], op, "as many scales as entries of the axis");
  }
  SymDims blocks = x;
  blocks[op.getAxis()] = SymExpr::ceilDiv(x[op.getAxis()], SymExpr(int64_t(op.getBlockSize())));
  return unifyDims(blocks, scale, op, "scale and the blocks of the operand", state);
}

LogicalResult QuantizeLinearOp::inferShapes(ShapeState &state) { return inferQuantization(*this, state); }
LogicalResult DequantizeLinearOp::inferShapes(ShapeState &state) { return inferQuantization(*this, state); }

LogicalResult QuantizeLinearOp::verify() {
  if (!getZeroPoint())
    return success();
  return verifySameElementType(*this, getZeroPoint(), getResult(), "'zero_point'", "the result");
}
LogicalResult DequantizeLinearOp::verify() {
  if (!getZeroPoint())
    return success();
  return verifySameElementType(*this, getZeroPoint(), getX(), "'zero_point'", "the operand");
}

} // namespace ds
