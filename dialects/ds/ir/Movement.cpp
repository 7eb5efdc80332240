//===- Movement.cpp - Ops that move elements ---------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsMovement.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsMovement.cpp.inc"

namespace ds {

/// As many fresh symbols as the shape operand has entries; leaves the result's dims unset if that number is unknown.
static void setFreshDims(Value result, Value shape, ShapeState &state) {
  std::optional<int64_t> rank = shapeOperandLength(shape, state);
  if (!rank)
    return;
  SymDims dims;
  for (int64_t i = 0; i < *rank; ++i)
    dims.push_back(state.freshSymbol());
  state.setDims(result, dims);
}

/// A rank-preserving op on the attr form needs one entry a dim.
static LogicalResult checkEntries(Operation *op, StringRef name, size_t entries, size_t rank) {
  if (entries == rank)
    return success();
  return emitNodeError(op) << "expected " << rank << " entries in '" << name << "', got " << entries;
}

//===----------------------------------------------------------------------===//
// ReshapeOp
//===----------------------------------------------------------------------===//

/// Resolves 0 and -1 of the operand form.
static FailureOr<SymDims> resolveReshape(ReshapeOp op, ArrayRef<SymExpr> x, ArrayRef<SymExpr> shape,
                                         ShapeState &state) {
  SymDims dims;
  std::optional<size_t> open;
  for (auto [i, entry] : llvm::enumerate(shape)) {
    if (entry.isConst(-1)) {
      if (open)
        return emitNodeError(op) << "expected at most one -1 in the shape";
      open = i;
      dims.push_back(SymExpr(1));
    } else if (entry.isConst(0) && !op.getAllowZero()) {
      if (i >= x.size())
        return emitNodeError(op) << "the shape copies dimension " << i << " of an operand of rank " << x.size();
      dims.push_back(x[i]);
    } else {
      dims.push_back(entry);
    }
  }
  SymExpr total = product(x), rest = product(dims);
  if (!open) {
    if (failed(state.requireEqual(total, rest, op, "as many elements in the result as in the operand")))
      return failure();
    return dims;
  }
  if (rest.isConst(0)) {
    if (op.getAllowZero() || !total.isConst(0))
      return emitNodeError(op) << "cannot infer the -1 of a shape that has a 0";
    dims[*open] = SymExpr(0);
    return dims;
  }
  dims[*open] = SymExpr::exactDiv(total, rest);
  if (failed(state.requireEqual(total, dims[*open] * rest, op,
                                "the number of elements to be a multiple of the other dimensions")))
    return failure();
  return dims;
}

LogicalResult ReshapeOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state);
  if (std::optional<ShapeAttr> target = getTarget()) {
    SymDims dims(target->getDims());
    bool named = llvm::equal(x, dims, [&](const SymExpr &a, const SymExpr &b) { return state.isSame(a, b); });
    if (!named && failed(state.requireEqual(product(x), product(dims), *this,
                                            "as many elements in the result as in the operand")))
      return failure();
    state.setDims(getResult(), dims);
  } else if (std::optional<SmallVector<SymExpr>> contents = state.getContents(getShape())) {
    FailureOr<SymDims> dims = resolveReshape(*this, x, *contents, state);
    if (failed(dims))
      return failure();
    state.setDims(getResult(), *dims);
  } else {
    setFreshDims(getResult(), getShape(), state);
  }
  if (std::optional<SmallVector<SymFraction>> elements = state.getFractions(getX()))
    state.setFractions(getResult(), *elements);
  return success();
}

LogicalResult ReshapeOp::verify() {
  if (failed(verifyOneForm(*this, bool(getShape()), bool(getTarget()), "shape", "target")))
    return failure();
  if (getShape() && cast<ShapedType>(getShape().getType()).getRank() != 1)
    return emitOpError("expected 'shape' to have rank 1");
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

/// True if both types are the same and static: then a copy is the identity.
static bool isStaticIdentity(Type from, Type to) { return from == to && cast<RankedTensorType>(from).hasStaticShape(); }

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getTarget() && isStaticIdentity(getX().getType(), getType()))
    return getX();
  return {};
}

//===----------------------------------------------------------------------===//
// TransposeOp
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), dims;
  ArrayRef<int64_t> perm = getPerm();
  if (failed(checkEntries(*this, "perm", perm.size(), x.size())))
    return failure();
  SmallVector<bool> seen(x.size());
  for (int64_t axis : perm) {
    if (axis < 0 || axis >= int64_t(x.size()) || seen[axis])
      return emitNodeError(*this) << "expected 'perm' to be a permutation, got [" << perm << "]";
    seen[axis] = true;
    dims.push_back(x[axis]);
  }
  state.setDims(getResult(), dims);
  if (std::optional<SmallTensor> small = SmallTensor::get(getX(), state))
    SmallTensor::build(getResult(), dims, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
      SmallVector<int64_t> at(index.size());
      for (auto [i, axis] : llvm::zip_equal(index, perm))
        at[axis] = i;
      return small->at(at);
    });
  return success();
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  for (auto [i, axis] : llvm::enumerate(getPerm()))
    if (int64_t(i) != axis)
      return {};
  return getX().getType() == getType() ? OpFoldResult(getX()) : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// ExpandOp
//===----------------------------------------------------------------------===//

LogicalResult ExpandOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state);
  if (std::optional<ShapeAttr> target = getTarget()) {
    SymDims dims(target->getDims());
    if (dims.size() < x.size())
      return emitNodeError(*this) << "expected a target of rank " << x.size() << " or more, got " << *target;
    // Each dim of x is 1 or the target's: the broadcast of both is the target.
    for (auto [from, to] : llvm::zip_equal(x, ArrayRef(dims).take_back(x.size())))
      if (!from.isConst(1) && to.isConst(1) && from.isConst())
        return emitNodeError(*this) << "cannot expand dimension " << from.str() << " to " << to.str();
    if (failed(state.broadcast(x, dims, *this)))
      return failure();
    state.setDims(getResult(), dims);
  } else if (std::optional<SmallVector<SymExpr>> contents = state.getContents(getShape())) {
    FailureOr<SymDims> dims = state.broadcast(x, *contents, *this);
    if (failed(dims))
      return failure();
    state.setDims(getResult(), *dims);
  } else {
    std::optional<int64_t> length = shapeOperandLength(getShape(), state);
    if (!length)
      return success();
    SymDims dims;
    for (int64_t i = 0, rank = std::max<int64_t>(*length, x.size()); i < rank; ++i) {
      int64_t own = i - (rank - int64_t(x.size())), asked = i - (rank - *length);
      // A dim that the shape does not reach, or that is known not to be 1, stays.
      bool stays = own >= 0 && (asked < 0 || (x[own].isConst() && !x[own].isConst(1)));
      dims.push_back(stays ? x[own] : state.freshSymbol());
    }
    state.setDims(getResult(), dims);
  }
  if (std::optional<SmallTensor> small = SmallTensor::get(getX(), state))
    SmallTensor::build(
        getResult(), *state.getInferredDims(getResult()), state,
        [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> { return small->atBroadcast(index); });
  return success();
}

LogicalResult ExpandOp::verify() {
  if (failed(verifyOneForm(*this, bool(getShape()), bool(getTarget()), "shape", "target")))
    return failure();
  if (getShape() && cast<ShapedType>(getShape().getType()).getRank() != 1)
    return emitOpError("expected 'shape' to have rank 1");
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

OpFoldResult ExpandOp::fold(FoldAdaptor) {
  if (getTarget() && isStaticIdentity(getX().getType(), getType()))
    return getX();
  return {};
}

//===----------------------------------------------------------------------===//
// ConcatOp
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::inferShapes(ShapeState &state) {
  if (getInputs().empty())
    return emitNodeError(*this) << "expected at least one operand";
  SymDims dims = dimsOf(getInputs()[0], state);
  int64_t axis = getAxis();
  if (failed(checkAxis(*this, axis, dims.size())))
    return failure();
  for (Value input : getInputs().drop_front()) {
    SymDims other = dimsOf(input, state);
    if (other.size() != dims.size())
      return emitNodeError(*this) << "expected operands of one rank, got ranks " << dims.size() << " and "
                                  << other.size();
    SymExpr sum = dims[axis] + other[axis];
    dims[axis] = other[axis];
    if (failed(unifyDims(dims, other, *this, "the operands", state)))
      return failure();
    dims[axis] = sum;
  }
  state.setDims(getResult(), dims);

  SmallVector<SmallTensor> parts;
  for (Value input : getInputs()) {
    std::optional<SmallTensor> part = SmallTensor::get(input, state);
    if (!part)
      return success();
    parts.push_back(std::move(*part));
  }
  SmallTensor::build(getResult(), dims, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
    SmallVector<int64_t> at(index);
    for (const SmallTensor &part : parts) {
      if (at[axis] < part.dims[axis])
        return part.at(at);
      at[axis] -= part.dims[axis];
    }
    return std::nullopt;
  });
  return success();
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  if (getInputs().size() == 1 && getInputs()[0].getType() == getType())
    return getInputs()[0];
  return {};
}

//===----------------------------------------------------------------------===//
// PadOp, TileOp
//===----------------------------------------------------------------------===//

LogicalResult PadOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state);
  SmallVector<SymExpr> low, high;
  if (getLow() && getHigh()) {
    low = getLow()->getDims();
    high = getHigh()->getDims();
    if (failed(checkEntries(*this, "low", low.size(), x.size())) ||
        failed(checkEntries(*this, "high", high.size(), x.size())))
      return failure();
  } else if (std::optional<SmallVector<SymExpr>> pads = getPads() ? state.getContents(getPads()) : std::nullopt) {
    if (failed(checkEntries(*this, "pads", pads->size(), 2 * x.size())))
      return failure();
    low.assign(pads->begin(), pads->begin() + x.size());
    high.assign(pads->begin() + x.size(), pads->end());
  } else {
    SymDims dims;
    for (size_t i = 0; i < x.size(); ++i)
      dims.push_back(state.freshSymbol());
    state.setDims(getResult(), dims);
    return success();
  }
  for (auto [dim, before, after] : llvm::zip_equal(x, low, high)) {
    SymExpr padded = dim + before + after;
    // An empty dim has no border, and nothing to repeat.
    if (getMode() != PadMode::constant && padded != dim &&
        failed(
            state.requireLessEqual(SymExpr::min(padded, SymExpr(1)), dim, *this,
                                   "an operand with at least one element in a dimension that is padded with its own")))
      return failure();
    dim = padded;
  }
  state.setDims(getResult(), x);
  return success();
}

LogicalResult PadOp::verify() {
  if (bool(getLow()) != bool(getHigh()))
    return emitOpError("expected 'low' and 'high' together");
  if (failed(verifyOneForm(*this, bool(getPads()), bool(getLow()), "pads", "low")))
    return failure();
  if (getValue() && failed(verifySameElementType(*this, getX(), getValue(), "operand", "'value'")))
    return failure();
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

LogicalResult TileOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), dims;
  SmallVector<SymExpr> repeat;
  if (getRepeat()) {
    repeat = getRepeat()->getDims();
  } else if (std::optional<SmallVector<SymExpr>> contents = state.getContents(getRepeats())) {
    repeat = *contents;
  } else {
    for (size_t i = 0; i < x.size(); ++i)
      dims.push_back(state.freshSymbol());
    state.setDims(getResult(), dims);
    return success();
  }
  if (failed(checkEntries(*this, "repeat", repeat.size(), x.size())))
    return failure();
  for (auto [dim, count] : llvm::zip_equal(x, repeat))
    dims.push_back(dim * count);
  state.setDims(getResult(), dims);
  if (std::optional<SmallTensor> small = SmallTensor::get(getX(), state))
    SmallTensor::build(getResult(), dims, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
      SmallVector<int64_t> at(index);
      for (auto [i, size] : llvm::zip_equal(at, small->dims))
        i %= size;
      return small->at(at);
    });
  return success();
}

LogicalResult TileOp::verify() {
  if (failed(verifyOneForm(*this, bool(getRepeats()), bool(getRepeat()), "repeats", "repeat")))
    return failure();
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

//===----------------------------------------------------------------------===//
// ResizeOp, TriluOp, OneHotOp, ReverseSequenceOp
//===----------------------------------------------------------------------===//

LogicalResult ResizeOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state);
  if (failed(checkEntries(*this, "size", getSize().size(), x.size())))
    return failure();
  if (getScales() && failed(checkEntries(*this, "scales", getScales()->size(), x.size())))
    return failure();
  if (getRoi() && failed(checkEntries(*this, "roi", getRoi()->size(), 2 * x.size())))
    return failure();
  SymDims size = getSize().getDims();
  if (std::optional<ArrayRef<double>> scales = getScales())
    for (unsigned d = 0; d < x.size(); ++d)
      if ((*scales)[d] == 1 &&
          failed(state.requireEqual(size[d], x[d], *this, "a dimension of scale 1 to keep its size")))
        return failure();
  if (getGiven() && failed(state.requireEqual(product(dimsOf(getGiven(), state)), SymExpr(3 * int64_t(x.size())), *this,
                                              "three entries a dimension in 'given'")))
    return failure();
  state.setDims(getResult(), size);
  return success();
}

LogicalResult ResizeOp::verify() {
  bool asks = false;
  if (std::optional<ArrayRef<double>> scales = getScales())
    for (double scale : *scales) {
      if (!(scale >= 0))
        return emitOpError() << "expected positive scales, got " << scale;
      asks |= scale == 0;
    }
  if (asks != bool(getGiven()))
    return emitOpError() << "expected 'given' if and only if a scale is 0";
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

LogicalResult TriluOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state);
  if (x.size() < 2)
    return emitNodeError(*this) << "expected an operand of rank 2 or more, got rank " << x.size();
  state.setDims(getResult(), x);
  return success();
}

LogicalResult OneHotOp::inferShapes(ShapeState &state) {
  SymDims dims = dimsOf(getIndices(), state);
  if (failed(checkAxis(*this, getAxis(), dims.size() + 1)))
    return failure();
  SymDims values = dimsOf(getValues(), state);
  if (values.size() != 1)
    return emitNodeError(*this) << "expected values of rank 1, got rank " << values.size();
  if (failed(state.requireEqual(values[0], SymExpr(2), *this, "two values, off and on")))
    return failure();
  SymExpr depth;
  if (std::optional<ShapeAttr> size = getSize()) {
    if (failed(checkEntries(*this, "size", size->size(), 1)))
      return failure();
    depth = size->getDim(0);
  } else {
    std::optional<SmallVector<SymFraction>> known = state.getFractions(getDepth());
    depth = known && known->size() == 1 ? (*known)[0].floor() : state.freshSymbol();
  }
  dims.insert(dims.begin() + getAxis(), depth);
  state.setDims(getResult(), dims);
  return success();
}

LogicalResult OneHotOp::verify() {
  if (failed(verifyOneForm(*this, bool(getDepth()), bool(getSize()), "depth", "size")))
    return failure();
  return verifySameElementType(*this, getValues(), getResult(), "'values'", "the result");
}

LogicalResult ReverseSequenceOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), lengths = dimsOf(getLengths(), state);
  if (x.size() < 2)
    return emitNodeError(*this) << "expected an operand of rank 2 or more, got rank " << x.size();
  if (failed(checkAxis(*this, getBatchAxis(), x.size())) || failed(checkAxis(*this, getTimeAxis(), x.size())))
    return failure();
  if (getBatchAxis() == getTimeAxis())
    return emitNodeError(*this) << "expected different batch and time axes";
  if (lengths.size() != 1)
    return emitNodeError(*this) << "expected lengths of rank 1, got rank " << lengths.size();
  if (failed(state.requireEqual(lengths[0], x[getBatchAxis()], *this, "as many lengths as batch entries")))
    return failure();
  state.setDims(getResult(), x);
  return success();
}

LogicalResult ReverseSequenceOp::verify() {
  return verifySameElementType(*this, getX(), getResult(), "operand", "result");
}

//===----------------------------------------------------------------------===//
// Attr forms and identities
//===----------------------------------------------------------------------===//

bool ReshapeOp::useKnownShapes(const ShapeState &state) {
  bool changed = useKnownTarget(*this, state);
  if (changed)
    setAllowZero(false);
  return changed;
}
bool ReshapeOp::isIdentity(const ShapeState &state) { return haveSameDims(getX(), getResult(), state); }

bool TransposeOp::isIdentity(const ShapeState &state) {
  return llvm::equal(getPerm(), llvm::seq<int64_t>(0, getPerm().size()));
}

// Dims that the operand decides say nothing of what the run asks for: that is checked where it is bound.
bool ExpandOp::useKnownShapes(const ShapeState &state) {
  return (!getShape() || state.getContents(getShape())) && useKnownTarget(*this, state);
}
// A shape that the run gives may be one that the operand cannot be expanded to.
bool ExpandOp::isIdentity(const ShapeState &state) { return getTarget() && haveSameDims(getX(), getResult(), state); }

bool PadOp::useKnownShapes(const ShapeState &state) {
  std::optional<SmallVector<SymExpr>> pads = getPads() ? state.getContents(getPads()) : std::nullopt;
  if (!pads)
    return false;
  size_t rank = pads->size() / 2;
  ShapeAttr low = knownShape(getContext(), ArrayRef(*pads).take_front(rank), state);
  ShapeAttr high = knownShape(getContext(), ArrayRef(*pads).drop_front(rank), state);
  if (!low || !high)
    return false;
  setLowAttr(low);
  setHighAttr(high);
  getPadsMutable().clear();
  return true;
}
bool PadOp::isIdentity(const ShapeState &state) {
  auto isZero = [](const SymExpr &expr) { return expr.isConst(0); };
  return getLow() && getHigh() && llvm::all_of(getLow()->getDims(), isZero) &&
         llvm::all_of(getHigh()->getDims(), isZero);
}

bool TileOp::useKnownShapes(const ShapeState &state) {
  std::optional<SmallVector<SymExpr>> repeats = getRepeats() ? state.getContents(getRepeats()) : std::nullopt;
  ShapeAttr repeat = repeats ? knownShape(getContext(), *repeats, state) : ShapeAttr();
  if (!repeat)
    return false;
  setRepeatAttr(repeat);
  getRepeatsMutable().clear();
  return true;
}
bool TileOp::isIdentity(const ShapeState &state) {
  return getRepeat() && llvm::all_of(getRepeat()->getDims(), [](const SymExpr &expr) { return expr.isConst(1); });
}

bool OneHotOp::useKnownShapes(const ShapeState &state) {
  ShapeAttr size = getDepth() ? knownShape(getContext(), {dimsOf(getResult(), state)[getAxis()]}, state) : ShapeAttr();
  if (!size)
    return false;
  setSizeAttr(size);
  getDepthMutable().clear();
  return true;
}

} // namespace ds
