//===- Reduction.cpp - Reductions, scans and selections ----------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsReduction.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsReduction.cpp.inc"

namespace ds {

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// Drops `axes` from dims, or makes them 1.
static LogicalResult reduceDims(Operation *op, SymDims &dims, ArrayRef<int64_t> axes, bool keepdims) {
  int64_t rank = dims.size();
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (failed(checkAxis(op, axis, rank)))
      return failure();
    if (i > 0 && axes[i - 1] >= axis)
      return emitNodeError(op) << "expected sorted, distinct axes";
  }
  for (int64_t axis : llvm::reverse(axes)) {
    if (keepdims)
      dims[axis] = SymExpr(1);
    else
      dims.erase(dims.begin() + axis);
  }
  return success();
}

/// Combines a reduced tensor's known elements.
using Combine = function_ref<std::optional<SymFraction>(const SymFraction &, const SymFraction &)>;

static LogicalResult inferReduce(Operation *op, ArrayRef<int64_t> axes, bool keepdims, ShapeState &state,
                                 std::optional<SymFraction> neutral = std::nullopt, Combine combine = nullptr) {
  SymDims dims = dimsOf(op->getOperand(0), state);
  if (failed(reduceDims(op, dims, axes, keepdims)))
    return failure();
  state.setDims(op->getResult(0), dims);
  std::optional<SmallTensor> x = combine ? SmallTensor::get(op->getOperand(0), state) : std::nullopt;
  if (!x)
    return success();
  // Few elements: for each result element, go over all of the operand.
  SmallTensor::build(op->getResult(0), dims, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
    std::optional<SymFraction> result = neutral;
    SmallVector<int64_t> at(x->dims.size());
    for (const auto &[flat, element] : llvm::enumerate(x->elements)) {
      int64_t rest = flat;
      for (int64_t d = int64_t(at.size()) - 1; d >= 0; --d) {
        at[d] = rest % x->dims[d];
        rest /= x->dims[d];
      }
      unsigned next = 0;
      bool same = true;
      for (auto [d, i] : llvm::enumerate(at)) {
        bool reduced = llvm::is_contained(axes, int64_t(d));
        if (!reduced)
          same &= i == index[next];
        next += !reduced || keepdims;
      }
      if (!same)
        continue;
      result = result ? combine(*result, element) : std::optional(element);
      if (!result)
        return std::nullopt;
    }
    return result;
  });
  return success();
}

static SymFraction addFractions(const SymFraction &a, const SymFraction &b) {
  return SymFraction(a.num * b.den + b.num * a.den, a.den * b.den);
}

LogicalResult ReduceSumOp::inferShapes(ShapeState &state) {
  return inferReduce(
      *this, getAxes(), getKeepdims(), state, SymFraction(SymExpr(0)),
      [](const SymFraction &a, const SymFraction &b) -> std::optional<SymFraction> { return addFractions(a, b); });
}
LogicalResult ReduceProdOp::inferShapes(ShapeState &state) {
  return inferReduce(*this, getAxes(), getKeepdims(), state, SymFraction(SymExpr(1)),
                     [](const SymFraction &a, const SymFraction &b) -> std::optional<SymFraction> {
                       return SymFraction(a.num * b.num, a.den * b.den);
                     });
}
LogicalResult ReduceMaxOp::inferShapes(ShapeState &state) {
  return inferReduce(*this, getAxes(), getKeepdims(), state, std::nullopt,
                     [](const SymFraction &a, const SymFraction &b) -> std::optional<SymFraction> {
                       if (!(a.den == b.den))
                         return std::nullopt;
                       return SymFraction(SymExpr::max(a.num, b.num), a.den);
                     });
}
LogicalResult ReduceMinOp::inferShapes(ShapeState &state) {
  return inferReduce(*this, getAxes(), getKeepdims(), state, std::nullopt,
                     [](const SymFraction &a, const SymFraction &b) -> std::optional<SymFraction> {
                       if (!(a.den == b.den))
                         return std::nullopt;
                       return SymFraction(SymExpr::min(a.num, b.num), a.den);
                     });
}
LogicalResult ReduceMeanOp::inferShapes(ShapeState &state) {
  return inferReduce(*this, getAxes(), getKeepdims(), state);
}

LogicalResult ReduceToOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), target = getTarget().getDims();
  if (x.size() != target.size())
    return emitNodeError(*this) << "expected a target of rank " << x.size() << ", got rank " << target.size();
  // The other way around: x broadcasts to nothing else than itself.
  FailureOr<SymDims> whole = state.broadcast(x, target, *this);
  if (failed(whole))
    return failure();
  state.setDims(getResult(), target);
  return success();
}
bool ReduceToOp::isIdentity(const ShapeState &state) { return haveSameDims(getX(), getResult(), state); }

// Of a scalar, say: each element is the only one of its reduction.
bool ReduceSumOp::isIdentity(const ShapeState &) { return getAxes().empty(); }
bool ReduceProdOp::isIdentity(const ShapeState &) { return getAxes().empty(); }
bool ReduceMaxOp::isIdentity(const ShapeState &) { return getAxes().empty(); }
bool ReduceMinOp::isIdentity(const ShapeState &) { return getAxes().empty(); }
bool ReduceMeanOp::isIdentity(const ShapeState &) { return getAxes().empty(); }

LogicalResult ArgMaxOp::inferShapes(ShapeState &state) {
  return inferReduce(*this, {int64_t(getAxis())}, getKeepdims(), state);
}
LogicalResult ArgMinOp::inferShapes(ShapeState &state) {
  return inferReduce(*this, {int64_t(getAxis())}, getKeepdims(), state);
}

//===----------------------------------------------------------------------===//
// CumSumOp, CumProdOp, TopKOp
//===----------------------------------------------------------------------===//

LogicalResult CumSumOp::inferShapes(ShapeState &state) {
  SymDims dims = dimsOf(getX(), state);
  if (failed(checkAxis(*this, getAxis(), dims.size())))
    return failure();
  state.setDims(getResult(), dims);
  if (dims.size() != 1 || getReverse())
    return success();
  std::optional<SmallTensor> x = SmallTensor::get(getX(), state);
  if (!x)
    return success();
  SmallTensor::build(getResult(), dims, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
    SymFraction sum;
    for (int64_t i = 0; i < index[0] + (getExclusive() ? 0 : 1); ++i)
      sum = addFractions(sum, x->elements[i]);
    return sum;
  });
  return success();
}

LogicalResult CumProdOp::inferShapes(ShapeState &state) {
  SymDims dims = dimsOf(getX(), state);
  if (failed(checkAxis(*this, getAxis(), dims.size())))
    return failure();
  state.setDims(getResult(), dims);
  return success();
}

LogicalResult TopKOp::inferShapes(ShapeState &state) {
  SymDims dims = dimsOf(getX(), state);
  if (failed(checkAxis(*this, getAxis(), dims.size())))
    return failure();
  SymExpr count;
  if (std::optional<ShapeAttr> attr = getCount()) {
    if (attr->size() != 1)
      return emitOpError() << "expected one expression in 'count', got " << attr->size();
    count = attr->getDim(0);
  } else if (std::optional<SymExpr> known = getK() ? state.getScalar(getK()) : std::nullopt) {
    count = *known;
  } else {
    count = state.freshSymbol();
  }
  if (failed(state.requireLessEqual(count, dims[getAxis()], *this, "k to be at most the size of the axis")))
    return failure();
  dims[getAxis()] = count;
  state.setDims(getValues(), dims);
  state.setDims(getIndices(), dims);
  return success();
}

LogicalResult TopKOp::verify() {
  if (failed(verifyOneForm(*this, bool(getK()), bool(getCount()), "k", "count")))
    return failure();
  return verifySameElementType(*this, getX(), getValues(), "the operand", "'values'");
}

bool TopKOp::useKnownShapes(const ShapeState &state) {
  ShapeAttr count = getK() ? knownShape(getContext(), {dimsOf(getValues(), state)[getAxis()]}, state) : ShapeAttr();
  if (!count)
    return false;
  setCountAttr(count);
  getKMutable().clear();
  return true;
}

//===----------------------------------------------------------------------===//
// NonMaxSuppressionOp
//===----------------------------------------------------------------------===//

LogicalResult NonMaxSuppressionOp::inferShapes(ShapeState &state) {
  SymDims boxes = dimsOf(getBoxes(), state), scores = dimsOf(getScores(), state);
  if (boxes.size() != 3 || scores.size() != 3)
    return emitNodeError(*this) << "expected boxes and scores of rank 3, got " << boxes.size() << " and "
                                << scores.size();
  if (getMost().size() != 1)
    return emitNodeError(*this) << "expected one expression in 'most', got " << getMost().size();
  if (failed(state.requireEqual(boxes[2], SymExpr(4), *this, "four numbers a box")) ||
      failed(state.requireEqual(boxes[0], scores[0], *this, "as many batch entries of boxes as of scores")) ||
      failed(state.requireEqual(boxes[1], scores[2], *this, "as many boxes as scores of a class")))
    return failure();
  for (Value single : {getMaxOutput(), getIouThreshold(), getScoreThreshold()})
    if (single &&
        failed(state.requireEqual(product(dimsOf(single, state)), SymExpr(1), *this, "one element in each limit")))
      return failure();
  state.setDims(getIndices(), {scores[0], scores[1], getMost().getDim(0)});
  state.setDims(getCounts(), {scores[0], scores[1]});
  return success();
}

} // namespace ds
