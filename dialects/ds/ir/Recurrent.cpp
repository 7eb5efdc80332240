//===- Recurrent.cpp - Recurrent layers -----------------------------------===//
// Guarantees: shape functions and verifiers of the ops in DsRecurrent.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeHelpers.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsRecurrent.cpp.inc"

namespace ds {

/// Fails unless the optional `value` has the dims `expected`.
static LogicalResult checkDims(Operation *op, Value value, ArrayRef<SymExpr> expected, StringRef name,
                               ShapeState &state) {
  if (!value)
    return success();
  SymDims dims = dimsOf(value, state);
  if (dims.size() != expected.size())
    return emitNodeError(op) << "expected '" << name << "' of rank " << expected.size() << ", got rank " << dims.size();
  for (auto [d, pair] : llvm::enumerate(llvm::zip_equal(dims, expected))) {
    auto [dim, want] = pair;
    if (failed(state.requireEqual(dim, want, op, "dimension " + Twine(d) + " of '" + name + "' to fit")))
      return failure();
  }
  return success();
}

namespace {
struct RecurrentDims {
  SymExpr steps, batch, directions, hidden;
  SymDims state() const { return {directions, batch, hidden}; }
  /// `count` numbers a hidden unit, of all steps.
  SymDims all(int64_t count) const { return {directions, steps, batch, SymExpr(count) * hidden}; }
};
} // namespace

/// Checks `x`, `lengths`, and `r`: as ONNX has it, or packed in panels, for which `packed` says the dims that follow
/// the directions'.
template <typename OpTy>
static FailureOr<RecurrentDims>
inferLayer(OpTy op, size_t packedRank,
           function_ref<SymDims(const RecurrentDims &dims, const SymExpr &panels, const SymExpr &tile)> packed,
           ShapeState &state) {
  SymDims x = dimsOf(op.getX(), state), r = dimsOf(op.getR(), state);
  if (x.size() != 3)
    return emitNodeError(op) << "expected 'x' of rank 3, got rank " << x.size();
  SymExpr gates(OpTy::kGates);
  RecurrentDims dims{x[0], x[1], SymExpr(op.getDirections()), SymExpr(static_cast<int64_t>(op.getHidden()))};
  if (failed(state.requireEqual(x[2], dims.directions * gates * dims.hidden, op,
                                "the last dimension of 'x' to be directions * gates * hidden")))
    return failure();
  SymDims weights{dims.directions, gates * dims.hidden, dims.hidden};
  if (r.size() == packedRank) {
    std::optional<int64_t> tile = r.back().tryConst();
    if (!tile || *tile < 1)
      return emitNodeError(op) << "expected a constant tile of packed recurrent weights, got " << r.back().str();
    weights = packed(dims, SymExpr::ceilDiv(dims.hidden, *tile), r.back());
  }
  if (failed(checkDims(op, op.getR(), weights, "r", state)) ||
      failed(checkDims(op, op.getLengths(), {dims.batch}, "lengths", state)))
    return failure();
  return dims;
}

/// Sets the dims of `y` and `y_h`.
template <typename OpTy> static FailureOr<RecurrentDims> inferRecurrent(OpTy op, ShapeState &state) {
  auto packed = [](const RecurrentDims &dims, const SymExpr &panels, const SymExpr &tile) {
    return SymDims{dims.directions, SymExpr(OpTy::kGates), panels, dims.hidden, tile};
  };
  FailureOr<RecurrentDims> layer = inferLayer(op, 5, packed, state);
  if (failed(layer))
    return failure();
  RecurrentDims &dims = *layer;
  if (failed(checkDims(op, op.getH0(), dims.state(), "h0", state)))
    return failure();
  state.setDims(op.getY(), {dims.steps, dims.directions, dims.batch, dims.hidden});
  state.setDims(op.getYH(), dims.state());
  return dims;
}

template <typename OpTy> static LogicalResult verifyRecurrent(OpTy op) {
  static const llvm::StringSet<> known{"affine", "relu",        "leaky_relu", "thresholded_relu",
                                       "tanh",   "scaled_tanh", "sigmoid",    "hard_sigmoid",
                                       "elu",    "softsign",    "softplus"};
  if (static_cast<int64_t>(op.getHidden()) < 1)
    return op.emitOpError() << "expected a positive hidden size, got " << static_cast<int64_t>(op.getHidden());
  size_t functions = OpTy::kFunctions * op.getDirections();
  for (size_t count : {op.getActivations().size(), op.getAlphas().size(), op.getBetas().size()})
    if (count != functions)
      return op.emitOpError() << "expected " << functions << " activations, alphas and betas, got " << count;
  for (auto name : op.getActivations().template getAsRange<StringAttr>())
    if (!known.contains(name.getValue()))
      return op.emitOpError() << "unknown activation '" << name.getValue() << "'";
  Type element = getElementTypeOrSelf(op.getX().getType());
  for (Value value : llvm::concat<Value>(llvm::to_vector(op->getOperands()), llvm::to_vector(op->getResults())))
    if (Type type = getElementTypeOrSelf(value.getType()); isa<FloatType>(type) && type != element)
      return op.emitOpError() << "expected floats of one element type, got " << element << " and " << type;
  return success();
}

LogicalResult LstmOp::inferShapes(ShapeState &state) {
  FailureOr<RecurrentDims> dims = inferRecurrent(*this, state);
  if (failed(dims) || failed(checkDims(*this, getC0(), dims->state(), "c0", state)) ||
      failed(checkDims(*this, getP(), {dims->directions, SymExpr(3) * dims->hidden}, "p", state)))
    return failure();
  state.setDims(getYC(), dims->state());
  return success();
}
LogicalResult LstmOp::verify() { return verifyRecurrent(*this); }

LogicalResult GruOp::inferShapes(ShapeState &state) {
  FailureOr<RecurrentDims> dims = inferRecurrent(*this, state);
  if (failed(dims))
    return failure();
  return checkDims(*this, getRBias(), {dims->directions, dims->hidden}, "r_bias", state);
}
LogicalResult GruOp::verify() { return verifyRecurrent(*this); }

LogicalResult RnnOp::inferShapes(ShapeState &state) { return success(succeeded(inferRecurrent(*this, state))); }
LogicalResult RnnOp::verify() { return verifyRecurrent(*this); }

//===----------------------------------------------------------------------===//
// Derivatives
//===----------------------------------------------------------------------===//

/// Sets the dims of `dx` and `dh0`.
template <typename OpTy> static FailureOr<RecurrentDims> inferRecurrentVjp(OpTy op, ShapeState &state) {
  auto packed = [](const RecurrentDims &dims, const SymExpr &panels, const SymExpr &tile) {
    return SymDims{dims.directions, panels, SymExpr(OpTy::kGates) * dims.hidden, tile};
  };
  FailureOr<RecurrentDims> dims = inferLayer(op, 4, packed, state);
  if (failed(dims))
    return failure();
  SymDims gates = dims->all(OpTy::kGates), y{dims->steps, dims->directions, dims->batch, dims->hidden};
  if (failed(checkDims(op, op.getQ(), gates, "q", state)) || failed(checkDims(op, op.getDy(), y, "dy", state)) ||
      failed(checkDims(op, op.getDyH(), dims->state(), "dy_h", state)))
    return failure();
  state.setDims(op.getDx(), gates);
  state.setDims(op.getDh0(), dims->state());
  return dims;
}

LogicalResult LstmVjpOp::inferShapes(ShapeState &state) {
  FailureOr<RecurrentDims> dims = inferRecurrentVjp(*this, state);
  if (failed(dims) || failed(checkDims(*this, getC0(), dims->state(), "c0", state)) ||
      failed(checkDims(*this, getP(), {dims->directions, SymExpr(3) * dims->hidden}, "p", state)) ||
      failed(checkDims(*this, getDyC(), dims->state(), "dy_c", state)))
    return failure();
  state.setDims(getDc0(), dims->state());
  state.setDims(getCells(), dims->all(1));
  return success();
}
LogicalResult LstmVjpOp::verify() { return verifyRecurrent(*this); }

LogicalResult GruVjpOp::inferShapes(ShapeState &state) {
  FailureOr<RecurrentDims> dims = inferRecurrentVjp(*this, state);
  if (failed(dims) || failed(checkDims(*this, getH(), dims->all(1), "h", state)) ||
      failed(checkDims(*this, getRBias(), {dims->directions, dims->hidden}, "r_bias", state)))
    return failure();
  if (getDq())
    state.setDims(getDq(), dims->all(kGates));
  return success();
}
LogicalResult GruVjpOp::verify() {
  if (bool(getDq()) != getLinearBeforeReset())
    return emitOpError() << "expected a result dq if and only if linear_before_reset is set";
  return verifyRecurrent(*this);
}

LogicalResult RnnVjpOp::inferShapes(ShapeState &state) { return success(succeeded(inferRecurrentVjp(*this, state))); }
LogicalResult RnnVjpOp::verify() { return verifyRecurrent(*this); }

} // namespace ds
