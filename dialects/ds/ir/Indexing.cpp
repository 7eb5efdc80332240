//===- Indexing.cpp - Slices, gathers and scatters ------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsMovement.td that address elements by index.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

namespace ds {

//===----------------------------------------------------------------------===//
// SliceOp
//===----------------------------------------------------------------------===//

static constexpr int64_t kFarAway = INT32_MAX;

/// A bound of the operand form, counted from the start (not yet clamped).
static SymExpr fromStart(const SymExpr &bound, const SymExpr &dim) {
  if (bound.isNonNegative())
    return bound;
  if ((-bound).isPositive())
    return bound + dim;
  // Of unknown sign, such as S-1: a negative one, for which min(1, -bound) is 1, counts from the end.
  return bound + dim * SymExpr::min(SymExpr(1), SymExpr::max(-bound, SymExpr(0)));
}

/// start and size of one sliced dim, by Python's rules.
static void resolveSlice(const SymExpr &dim, const SymExpr &start, const SymExpr &end, int64_t step,
                         SymExpr &resultStart, SymExpr &resultSize) {
  auto isFar = [](const SymExpr &bound, int sign) {
    std::optional<int64_t> value = bound.tryConst();
    return value && (sign > 0 ? *value >= kFarAway : *value <= -kFarAway);
  };
  // Clamps to [low, dim + highOffset].
  auto clamp = [&](const SymExpr &bound, int64_t low, int64_t highOffset) {
    if (isFar(bound, 1))
      return dim + SymExpr(highOffset);
    if (isFar(bound, -1))
      return SymExpr(low);
    return SymExpr::max(SymExpr::min(fromStart(bound, dim), dim + SymExpr(highOffset)), SymExpr(low));
  };
  if (step > 0) {
    SymExpr from = clamp(start, 0, 0), to = clamp(end, 0, 0);
    resultStart = from;
    SymExpr length = to - from;
    // dim - max(dim - c, 0) is min(c, dim): the last c entries.
    if (std::optional<int64_t> c = start.tryConst(); c && *c < 0 && to == dim && !isFar(start, -1))
      length = SymExpr::min(SymExpr(-*c), dim);
    resultSize = SymExpr::max(SymExpr::ceilDiv(length, SymExpr(step)), SymExpr(0));
    return;
  }
  // Downward: the start is at most dim - 1, the end at least -1 (before the first).
  SymExpr from = clamp(start, 0, -1), to = clamp(end, -1, -1);
  if (isFar(end, -1))
    to = SymExpr(-1);
  // From the last entry, which an empty dim has not: it starts at -1 then, where its end is.
  if (start.isConst(-1))
    from = dim - SymExpr(1);
  resultSize = SymExpr::max(SymExpr::ceilDiv(from - to, SymExpr(-step)), SymExpr(0));
  if (!dim.isPositive() && from != dim - SymExpr(1))
    resultSize = SymExpr::min(resultSize, dim);
  resultStart = from;
}

FailureOr<ResolvedSlice> resolveSlice(SliceOp op, ShapeState &state) {
  SymDims x = dimsOf(op.getX(), state);
  ResolvedSlice slice;
  if (op.getStart()) {
    slice.start = SymDims(op.getStart()->getDims());
    slice.size = SymDims(op.getSize()->getDims());
    slice.step.assign(op.getStep()->begin(), op.getStep()->end());
    if (slice.start.size() != x.size() || slice.size.size() != x.size() || slice.step.size() != x.size())
      return emitNodeError(op) << "expected " << x.size() << " entries in 'start', 'size' and 'step'";
    if (llvm::is_contained(slice.step, 0))
      return emitNodeError(op) << "expected steps other than 0";
    slice.known = true;
    return slice;
  }
  int64_t rank = x.size();
  slice.start.assign(rank, SymExpr(0));
  slice.size = x;
  slice.step.assign(rank, 1);
  std::optional<SmallVector<SymExpr>> starts = state.getContents(op.getStarts()),
                                      ends = state.getContents(op.getEnds()), axes, steps;
  if (op.getAxes())
    axes = state.getContents(op.getAxes());
  if (op.getSteps())
    steps = state.getContents(op.getSteps());
  std::optional<int64_t> count = shapeOperandLength(op.getStarts(), state);
  SmallVector<int64_t> axisList;
  if (axes) {
    std::optional<SmallVector<int64_t>> known = allConstants(*axes);
    if (!known)
      return emitNodeError(op) << "the axes of a slice must be constants";
    for (int64_t axis : *known)
      axisList.push_back(axis < 0 ? axis + rank : axis);
  } else if (!op.getAxes() && count) {
    axisList = llvm::to_vector(llvm::seq<int64_t>(0, *count));
  } else {
    // Any dim may be sliced.
    for (SymExpr &dim : slice.size)
      dim = state.freshSymbol();
    return slice;
  }
  SmallVector<bool> seen(rank);
  for (int64_t axis : axisList) {
    if (failed(checkAxis(op, axis, rank)))
      return failure();
    if (seen[axis])
      return emitNodeError(op) << "expected distinct axes, got " << axis << " twice";
    seen[axis] = true;
  }
  for (auto [what, list] : {std::pair("starts", &starts), {"ends", &ends}, {"steps", &steps}})
    if (*list && (*list)->size() != axisList.size())
      return emitNodeError(op) << "expected " << axisList.size() << " entries in '" << what << "', got "
                               << (*list)->size();
  slice.known = starts && ends && (!op.getSteps() || steps);
  for (auto [i, axis] : llvm::enumerate(axisList)) {
    std::optional<int64_t> step = 1;
    if (op.getSteps())
      step = steps ? (*steps)[i].tryConst() : std::nullopt;
    if (step == 0)
      return emitNodeError(op) << "expected steps other than 0";
    if (!starts || !ends || !step || *step == INT64_MIN) {
      slice.known = false;
      slice.size[axis] = state.freshSymbol();
      continue;
    }
    slice.step[axis] = *step;
    resolveSlice(x[axis], (*starts)[i], (*ends)[i], *step, slice.start[axis], slice.size[axis]);
  }
  return slice;
}

LogicalResult SliceOp::inferShapes(ShapeState &state) {
  FailureOr<ResolvedSlice> slice = resolveSlice(*this, state);
  if (failed(slice))
    return failure();
  state.setDims(getResult(), slice->size);
  std::optional<SmallTensor> small = SmallTensor::get(getX(), state);
  std::optional<SmallVector<int64_t>> start = allConstants(slice->start);
  if (!slice->known || !small || !start)
    return success();
  SmallTensor::build(getResult(), slice->size, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
    SmallVector<int64_t> at;
    for (auto [i, from, step, size] : llvm::zip_equal(index, *start, slice->step, small->dims)) {
      at.push_back(from + i * step);
      if (at.back() < 0 || at.back() >= size)
        return std::nullopt;
    }
    return small->at(at);
  });
  return success();
}

LogicalResult SliceOp::verify() {
  bool operandForm = getStarts() && getEnds(), attrForm = getStart() && getSize() && getStep();
  bool anyOperand = getStarts() || getEnds() || getAxes() || getSteps();
  bool anyAttr = getStart() || getSize() || getStep();
  if (operandForm == attrForm || (operandForm ? anyAttr : anyOperand))
    return emitOpError(
        "expected either the operands 'starts' and 'ends', or the attributes 'start', 'size' and 'step'");
  for (Value list : {getStarts(), getEnds(), getAxes(), getSteps()})
    if (list && cast<ShapedType>(list.getType()).getRank() != 1)
      return emitOpError("expected bounds, axes and steps of rank 1");
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  auto type = getX().getType();
  if (type == getType() && type.hasStaticShape() && getStep() &&
      llvm::all_of(*getStep(), [](int64_t step) { return step == 1; }))
    return getX();
  return {};
}

//===----------------------------------------------------------------------===//
// Gathers
//===----------------------------------------------------------------------===//

/// A constant index, wrapped if negative; nullopt if unknown or out of range.
static std::optional<int64_t> knownIndex(const SymFraction &index, int64_t size) {
  std::optional<int64_t> value = index.isInteger() ? index.num.tryConst() : std::nullopt;
  if (!value)
    return std::nullopt;
  int64_t wrapped = *value < 0 ? *value + size : *value;
  return wrapped >= 0 && wrapped < size ? std::optional(wrapped) : std::nullopt;
}

LogicalResult GatherOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), indices = dimsOf(getIndices(), state);
  int64_t axis = getAxis();
  if (failed(checkAxis(*this, axis, x.size())))
    return failure();
  SymDims dims(x.begin(), x.begin() + axis);
  dims.append(indices.begin(), indices.end());
  dims.append(x.begin() + axis + 1, x.end());
  state.setDims(getResult(), dims);
  std::optional<SmallTensor> from = SmallTensor::get(getX(), state), at = SmallTensor::get(getIndices(), state);
  if (!from || !at)
    return success();
  SmallTensor::build(getResult(), dims, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
    std::optional<int64_t> picked = knownIndex(at->at(index.slice(axis, indices.size())), from->dims[axis]);
    if (!picked)
      return std::nullopt;
    SmallVector<int64_t> source(index.take_front(axis));
    source.push_back(*picked);
    llvm::append_range(source, index.drop_front(axis + indices.size()));
    return from->at(source);
  });
  return success();
}
LogicalResult GatherOp::verify() { return verifySameElementType(*this, getX(), getResult(), "operand", "result"); }

LogicalResult GatherElementsOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), indices = dimsOf(getIndices(), state);
  if (failed(checkAxis(*this, getAxis(), x.size())))
    return failure();
  if (indices.size() != x.size())
    return emitNodeError(*this) << "expected indices of rank " << x.size() << ", got rank " << indices.size();
  state.setDims(getResult(), indices);
  return success();
}
LogicalResult GatherElementsOp::verify() {
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

/// The constant last dim of an index tensor (constraint 2 of gather_nd, 1 of scatter_nd).
static FailureOr<int64_t> indexDepth(Operation *op, ArrayRef<SymExpr> indices, int64_t limit) {
  if (indices.empty())
    return emitNodeError(op) << "expected indices of rank 1 or more, got rank 0";
  std::optional<int64_t> depth = indices.back().tryConst();
  if (!depth || *depth < 1 || *depth > limit)
    return emitNodeError(op) << "expected the last dimension of the indices to be a constant in [1, " << limit
                             << "], got " << indices.back().str();
  return *depth;
}

LogicalResult GatherNdOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), indices = dimsOf(getIndices(), state);
  int64_t batch = getBatchDims();
  if (batch < 0 || batch >= int64_t(x.size()) || batch >= int64_t(indices.size()))
    return emitNodeError(*this) << "expected 'batch_dims' below the ranks " << x.size() << " and " << indices.size()
                                << ", got " << batch;
  FailureOr<int64_t> depth = indexDepth(*this, indices, int64_t(x.size()) - batch);
  if (failed(depth))
    return failure();
  SymDims dims;
  for (int64_t i = 0; i + 1 < int64_t(indices.size()); ++i) {
    dims.push_back(indices[i]);
    if (i >= batch)
      continue;
    FailureOr<SymExpr> dim = unify(indices[i], x[i], *this, "equal batch dimensions", state);
    if (failed(dim))
      return failure();
    dims.back() = *dim;
  }
  dims.append(x.begin() + batch + *depth, x.end());
  state.setDims(getResult(), dims);
  std::optional<SmallTensor> from = SmallTensor::get(getX(), state), at = SmallTensor::get(getIndices(), state);
  if (!from || !at)
    return success();
  size_t outer = indices.size() - 1;
  SmallTensor::build(getResult(), dims, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
    SmallVector<int64_t> source(index.take_front(batch));
    SmallVector<int64_t> tuple(index.take_front(outer));
    tuple.push_back(0);
    for (; tuple.back() < *depth; ++tuple.back()) {
      std::optional<int64_t> picked = knownIndex(at->at(tuple), from->dims[source.size()]);
      if (!picked)
        return std::nullopt;
      source.push_back(*picked);
    }
    llvm::append_range(source, index.drop_front(outer));
    return from->at(source);
  });
  return success();
}
LogicalResult GatherNdOp::verify() { return verifySameElementType(*this, getX(), getResult(), "operand", "result"); }

//===----------------------------------------------------------------------===//
// Scatters
//===----------------------------------------------------------------------===//

LogicalResult ScatterElementsOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), indices = dimsOf(getIndices(), state), updates = dimsOf(getUpdates(), state);
  if (failed(checkAxis(*this, getAxis(), x.size())))
    return failure();
  if (indices.size() != x.size())
    return emitNodeError(*this) << "expected indices of rank " << x.size() << ", got rank " << indices.size();
  if (failed(unifyDims(indices, updates, *this, "indices and updates", state)))
    return failure();
  state.setDims(getResult(), x);
  return success();
}
LogicalResult ScatterElementsOp::verify() {
  if (failed(verifySameElementType(*this, getX(), getUpdates(), "'x'", "'updates'")))
    return failure();
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

LogicalResult ScatterNdOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), indices = dimsOf(getIndices(), state), updates = dimsOf(getUpdates(), state);
  if (x.empty())
    return emitNodeError(*this) << "expected an operand of rank 1 or more, got rank 0";
  FailureOr<int64_t> depth = indexDepth(*this, indices, x.size());
  if (failed(depth))
    return failure();
  SymDims expected(indices.begin(), indices.end() - 1);
  expected.append(x.begin() + *depth, x.end());
  if (failed(unifyDims(expected, updates, *this, "updates and the slices that the indices address", state)))
    return failure();
  state.setDims(getResult(), x);
  return success();
}
LogicalResult ScatterNdOp::verify() {
  if (failed(verifySameElementType(*this, getX(), getUpdates(), "'x'", "'updates'")))
    return failure();
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

//===----------------------------------------------------------------------===//
// Attr form of slices
//===----------------------------------------------------------------------===//

bool SliceOp::useKnownShapes(const ShapeState &state) {
  if (!getStarts())
    return false;
  // On a state of its own: resolving records constraints that inference has recorded already.
  ShapeState scratch;
  for (Value operand : (*this)->getOperands()) {
    scratch.setDims(operand, dimsOf(operand, state));
    if (std::optional<SmallVector<SymFraction>> contents = state.getFractions(operand))
      scratch.setFractions(operand, *contents);
  }
  FailureOr<ResolvedSlice> slice = resolveSlice(*this, scratch);
  if (failed(slice) || !slice->known)
    return false;
  ShapeAttr start = knownShape(getContext(), slice->start, scratch);
  ShapeAttr size = knownShape(getContext(), slice->size, scratch);
  if (!start || !size)
    return false;
  setStartAttr(start);
  setSizeAttr(size);
  setStep(slice->step);
  // Each range is asked for when its turn comes: clearing one moves the others.
  getStepsMutable().clear();
  getAxesMutable().clear();
  getEndsMutable().clear();
  getStartsMutable().clear();
  return true;
}

bool SliceOp::isIdentity(const ShapeState &state) {
  return getStart() && llvm::all_of(*getStep(), [](int64_t step) { return step == 1; }) &&
         haveSameDims(getX(), getResult(), state);
}

} // namespace ds
