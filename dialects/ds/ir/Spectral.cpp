//===- Spectral.cpp - Fourier transforms ----------------------------------===//
// Guarantees: shape functions and verifiers of the ops in DsSpectral.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsSpectral.cpp.inc"

namespace ds {

LogicalResult DftOp::inferShapes(ShapeState &state) {
  SymDims dims = dimsOf(getX(), state);
  if (dims.size() < 2)
    return emitNodeError(*this) << "expected 'x' of rank 2 or more, got rank " << dims.size();
  int64_t axis = getAxis();
  if (failed(checkAxis(*this, axis, int64_t(dims.size()) - 1)))
    return failure();
  auto half = [](const SymExpr &n) { return SymExpr::floorDiv(n, 2) + SymExpr(1); };
  SymExpr n = dims[axis];
  if (isRealResult()) {
    n = getLength()->getDim(0);
    if (failed(state.requireEqual(dims[axis], half(n), *this, "half a spectrum of the transform's length")))
      return failure();
  }
  if (failed(state.requireLessEqual(SymExpr(1), n, *this, "a transform of at least one point")))
    return failure();
  dims[axis] = getOnesided() && !getInverse() ? half(n) : n;
  dims.back() = SymExpr(isRealResult() ? 1 : 2);
  state.setDims(getResult(), dims);
  return success();
}

LogicalResult DftOp::verify() {
  auto type = cast<RankedTensorType>(getX().getType());
  if (failed(verifySameElementType(*this, getX(), getResult(), "operand", "result")))
    return failure();
  int64_t parts = type.getRank() == 0 ? 0 : type.getShape().back();
  if (type.getRank() > 0 && parts != 1 && parts != 2)
    return emitOpError("expected 1 (real) or 2 (complex) as the last dimension, got ")
           << (ShapedType::isDynamic(parts) ? "one that is not known" : Twine(parts));
  if (getOnesided() && !getInverse() && parts == 2)
    return emitOpError("expected a real operand of a transform to half a spectrum");
  if (bool(getLength()) != isRealResult())
    return emitOpError("expected 'length' with 'onesided' and 'inverse', and only there");
  if (getLength() && getLength()->size() != 1)
    return emitOpError("expected one expression in 'length', got ") << getLength()->size();
  if (Value table = getTable()) {
    auto own = cast<RankedTensorType>(table.getType());
    bool wide = type.getElementType().isF64();
    if (own.getRank() != 1 || !(wide ? own.getElementType().isF64() : own.getElementType().isF32()))
      return emitOpError("expected a table of rank 1 and ") << (wide ? "f64" : "f32") << ", got " << own;
  }
  return success();
}

LogicalResult FramesOp::inferShapes(ShapeState &state) {
  SymDims dims = dimsOf(getX(), state);
  int64_t axis = getAxis();
  if (failed(checkAxis(*this, axis, dims.size())))
    return failure();
  if (getSize().size() != 1 || getStep().size() != 1)
    return emitNodeError(*this) << "expected one expression each in 'size' and 'step'";
  SymExpr size = getSize().getDim(0), step = getStep().getDim(0);
  if (failed(state.requireLessEqual(SymExpr(0), size, *this, "a frame's size that is not negative")) ||
      failed(state.requireLessEqual(SymExpr(1), step, *this, "a step between frames of at least 1")) ||
      failed(state.requireLessEqual(size, dims[axis], *this, "a signal of at least one frame")))
    return failure();
  SymExpr frames = SymExpr::floorDiv(dims[axis] - size, step) + SymExpr(1);
  dims[axis] = size;
  dims.insert(dims.begin() + axis, frames);
  state.setDims(getResult(), dims);
  return success();
}

} // namespace ds
