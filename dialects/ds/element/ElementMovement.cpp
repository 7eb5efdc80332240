//===- ElementMovement.cpp - Element forms of ops that move elements ------===//
// Assumes: attribute forms.
// Guarantees: `buildElement` of the ops in DsMovement.td that compute each element by itself, resize aside. Indices
// stay
//   uniform or consecutive wherever the op allows; what lies outside an operand is not loaded.
// Declines: scatters and top_k, which have kernels of their own.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

static Type elementType(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

//===----------------------------------------------------------------------===//
// Ops that rearrange whole dimensions
//===----------------------------------------------------------------------===//

namespace {
/// A maximal run of dims of one shape that together have the elements of a run of the other.
struct ReshapeGroup {
  SmallVector<unsigned> from, to;
};
} // namespace

/// Splits the dims (those of size 1 left out) at every place where as many elements precede, or follow, in both shapes.
static SmallVector<ReshapeGroup> groupDims(ArrayRef<SymExpr> from, ArrayRef<SymExpr> to) {
  auto nonUnit = [](ArrayRef<SymExpr> dims) {
    SmallVector<unsigned> result;
    for (auto [d, dim] : llvm::enumerate(dims))
      if (!dim.isConst(1))
        result.push_back(d);
    return result;
  };
  // before[i]: the elements of the first i dims; after[i]: those of the others.
  struct Products {
    SmallVector<SymExpr> before, after;
    Products(ArrayRef<SymExpr> dims, ArrayRef<unsigned> which)
        : before(which.size() + 1, SymExpr(1)), after(which.size() + 1, SymExpr(1)) {
      for (size_t i = 0; i < which.size(); ++i)
        before[i + 1] = before[i] * dims[which[i]];
      for (size_t i = which.size(); i > 0; --i)
        after[i - 1] = after[i] * dims[which[i - 1]];
    }
  };
  SmallVector<unsigned> a = nonUnit(from), b = nonUnit(to);
  Products aProducts(from, a), bProducts(to, b);
  auto isBoundary = [&](size_t i, size_t j) {
    return (i == a.size() && j == b.size()) || aProducts.before[i] == bProducts.before[j] ||
           aProducts.after[i] == bProducts.after[j];
  };
  SmallVector<ReshapeGroup> groups;
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    // The nearest boundary beyond (i, j).
    size_t bestI = a.size(), bestJ = b.size();
    for (size_t length = 1; length <= a.size() - i + b.size() - j; ++length) {
      bool found = false;
      for (size_t di = 0; di <= std::min(length, a.size() - i) && !found; ++di) {
        size_t dj = length - di;
        if (dj > b.size() - j || !isBoundary(i + di, j + dj))
          continue;
        bestI = i + di;
        bestJ = j + dj;
        found = true;
      }
      if (found)
        break;
    }
    groups.push_back({SmallVector<unsigned>(a.begin() + i, a.begin() + bestI),
                      SmallVector<unsigned>(b.begin() + j, b.begin() + bestJ)});
    i = bestI;
    j = bestJ;
  }
  return groups;
}

FailureOr<Value> ReshapeOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims to = eb.dims(getX()), from = eb.dims(getResult());
  SmallVector<LaneIndex> own(to.size(), eb.constantIndex(0));
  for (const ReshapeGroup &group : groupDims(from, to)) {
    if (group.from.size() == 1 && group.to.size() == 1) {
      own[group.to[0]] = indices[group.from[0]];
      continue;
    }
    SmallVector<LaneIndex> groupIndices;
    SmallVector<SymExpr> groupFrom, groupTo;
    for (unsigned d : group.from) {
      groupIndices.push_back(indices[d]);
      groupFrom.push_back(from[d]);
    }
    for (unsigned d : group.to)
      groupTo.push_back(to[d]);
    LaneIndex position = eb.linearize(groupIndices, groupFrom);
    for (auto [d, index] : llvm::zip_equal(group.to, eb.delinearize(position, groupTo)))
      own[d] = index;
  }
  return eb.element(getX(), own);
}

FailureOr<Value> TransposeOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SmallVector<LaneIndex> own(indices);
  for (auto [d, from] : llvm::enumerate(getPerm()))
    own[from] = indices[d];
  return eb.element(getX(), own);
}

bool ExpandOp::isPointwise() { return true; }

FailureOr<Value> ExpandOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  return eb.broadcastElement(getX(), indices, eb.dims(getResult()));
}

FailureOr<Value> FramesOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SmallVector<LaneIndex> own(indices);
  unsigned axis = getAxis();
  LaneIndex step = LaneIndex::uniform(eb.sizeValue(getStep().getDim(0)));
  own[axis + 1] = eb.add(indices[axis + 1], eb.mul(indices[axis], step));
  own.erase(own.begin() + axis);
  return eb.element(getX(), own);
}

FailureOr<Value> TileOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims dims = eb.dims(getX()), resultDims = eb.dims(getResult());
  SmallVector<LaneIndex> own;
  for (auto [index, dim, resultDim] : llvm::zip_equal(indices, dims, resultDims)) {
    if (dim.isConst(1))
      own.push_back(eb.constantIndex(0));
    else
      own.push_back(dim == resultDim ? index : eb.mod(index, LaneIndex::uniform(eb.sizeValue(dim))));
  }
  return eb.element(getX(), own);
}

//===----------------------------------------------------------------------===//
// Parts and compositions
//===----------------------------------------------------------------------===//

FailureOr<Value> SliceOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  if (!getStart() || !getStep()) {
    emitOpError("expected the attribute form inside a kernel");
    return failure();
  }
  SmallVector<LaneIndex> own;
  for (auto [index, start, step] : llvm::zip_equal(indices, getStart()->getDims(), *getStep())) {
    LaneIndex scaled = eb.mul(index, step);
    own.push_back(start.isConst(0) ? scaled : eb.add(scaled, LaneIndex::uniform(eb.sizeValue(start))));
  }
  return eb.element(getX(), own);
}

StringAttr SliceOp::getPlacesAttrName() { return getStartAttrName(); }

/// The element at `indices` of the concatenation, which lies in one of `inputs`; starts[k] is where inputs[k] begins
/// along `axis`. Found by halving: as many comparisons as the number of inputs has digits.
static FailureOr<Value> concatElement(ElementBuilder &eb, ArrayRef<Value> inputs, ArrayRef<LaneIndex> starts,
                                      unsigned axis, ArrayRef<LaneIndex> indices) {
  if (inputs.size() == 1) {
    SmallVector<LaneIndex> own(indices);
    own[axis] = eb.sub(indices[axis], starts[0]);
    return eb.element(inputs[0], own);
  }
  size_t half = inputs.size() / 2;
  return eb.guarded(
      eb.less(indices[axis], starts[half]),
      [&]() { return concatElement(eb, inputs.take_front(half), starts.take_front(half), axis, indices); },
      [&]() { return concatElement(eb, inputs.drop_front(half), starts.drop_front(half), axis, indices); });
}

FailureOr<Value> ConcatOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SmallVector<Value> inputs;
  for (Value input : getInputs())
    if (!eb.dims(input)[getAxis()].isConst(0))
      inputs.push_back(input);
  if (inputs.empty()) // no element: never asked for
    return LaneMath(eb, elementType(getResult())).zero();
  SmallVector<LaneIndex> starts = {eb.constantIndex(0)};
  for (Value input : ArrayRef<Value>(inputs).drop_back())
    starts.push_back(eb.add(starts.back(), eb.dim(input, getAxis())));
  return concatElement(eb, inputs, starts, getAxis(), indices);
}

/// `index` brought into [0, size) as `mode` says; `low` elements were added in front and `high` behind.
static LaneIndex padIndex(ElementBuilder &eb, LaneIndex index, PadMode mode, const SymExpr &size, const SymExpr &low,
                          const SymExpr &high) {
  LaneIndex zero = eb.constantIndex(0), extent = LaneIndex::uniform(eb.sizeValue(size)), last = eb.add(extent, -1);
  if (mode == PadMode::edge)
    return eb.min(eb.max(index, zero), last);
  if (mode == PadMode::wrap)
    return eb.mod(index, extent);
  // Reflection has the period 2 (size - 1).
  LaneIndex period = eb.mul(last, 2);
  if (SymExpr::provablyLessEqual(low + SymExpr(1), size) && SymExpr::provablyLessEqual(high + SymExpr(1), size)) {
    LaneIndex position = eb.max(index, eb.sub(zero, index));
    return eb.min(position, eb.sub(period, position));
  }
  LaneIndex position = eb.mod(index, eb.max(period, eb.constantIndex(1)));
  return eb.min(position, eb.sub(period, position));
}

FailureOr<Value> PadOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  if (!getLow() || !getHigh()) {
    emitOpError("expected the attribute form inside a kernel");
    return failure();
  }
  SymDims dims = eb.dims(getX());
  SmallVector<LaneIndex> own;
  Value uniform, varying; // conditions for being inside: of all lanes, and of each
  auto require = [&](Value condition) {
    Value &sum = eb.isVector(condition) ? varying : uniform;
    sum = sum ? eb.logicalAnd(sum, condition) : condition;
  };
  auto isPositive = [](const SymExpr &count) { return !(-count).isNonNegative(); };
  for (unsigned d = 0; d < dims.size(); ++d) {
    SymExpr low = getLow()->getDim(d), high = getHigh()->getDim(d);
    LaneIndex index = low.isConst(0) ? indices[d] : eb.sub(indices[d], LaneIndex::uniform(eb.sizeValue(low)));
    if (getMode() != PadMode::constant) {
      bool changes = isPositive(low) || isPositive(high);
      own.push_back(changes ? padIndex(eb, index, getMode(), dims[d], low, high) : index);
      continue;
    }
    own.push_back(index);
    if (isPositive(low))
      require(eb.lessEqual(eb.constantIndex(0), index));
    if (isPositive(high))
      require(eb.less(index, eb.dim(getX(), d)));
  }
  auto inside = [&]() { return eb.element(getX(), own); };
  if (!uniform && !varying)
    return inside();
  FailureOr<Value> value = LaneMath(eb, elementType(getX())).zero();
  if (getValue())
    value = eb.element(getValue(), SmallVector<LaneIndex>(eb.dims(getValue()).size(), eb.constantIndex(0)));
  if (failed(value))
    return failure();
  auto checkedLanes = [&]() { return varying ? eb.guarded(varying, inside, *value) : inside(); };
  return uniform ? eb.guarded(uniform, checkedLanes, *value) : checkedLanes();
}

FailureOr<Value> TriluOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  FailureOr<Value> value = eb.element(getX(), indices);
  if (failed(value))
    return failure();
  // Row and column are sizes, and their difference holds where a sum with `k` may not.
  LaneIndex diagonal = eb.sub(indices.back(), indices[indices.size() - 2]), k = eb.constantIndex(getK());
  Value kept = getUpper() ? eb.lessEqual(k, diagonal) : eb.lessEqual(diagonal, k);
  return eb.select(kept, *value, LaneMath(eb, elementType(getX())).zero());
}

//===----------------------------------------------------------------------===//
// Ops that read indices
//===----------------------------------------------------------------------===//

/// An element of an index tensor made an index into `tensor`'s dim `d`: negative ones count from the end. One out of
/// range is an error, and becomes 0; `inRange` is set where even 0 may be outside (an empty dimension).
static FailureOr<LaneIndex> readIndex(ElementBuilder &eb, Value indexTensor, ArrayRef<LaneIndex> position, Value tensor,
                                      unsigned d, Value &inRange) {
  FailureOr<Value> value = eb.element(indexTensor, position);
  if (failed(value))
    return failure();
  LaneIndex index = eb.indexFromValue(*value, elementType(indexTensor).isUnsignedInteger());
  LaneIndex zero = eb.constantIndex(0), size = eb.dim(tensor, d);
  index = eb.select(eb.less(index, zero), eb.add(index, size), index);
  Value good = eb.logicalAnd(eb.lessEqual(zero, index), eb.less(index, size));
  eb.raiseIf(eb.logicalNot(good), KernelError::IndexOutOfRange);
  if (!eb.dims(tensor)[d].isPositive())
    inRange = inRange ? eb.logicalAnd(inRange, good) : good;
  return eb.select(good, index, zero);
}

/// The element, or 0 where `inRange` (if any) does not hold.
static FailureOr<Value> elementIf(ElementBuilder &eb, Value inRange, Value tensor, ArrayRef<LaneIndex> indices) {
  auto read = [&]() { return eb.element(tensor, indices); };
  return inRange ? eb.guarded(inRange, read, LaneMath(eb, elementType(tensor)).zero()) : read();
}

FailureOr<Value> GatherOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  unsigned axis = getAxis(), count = eb.dims(getIndices()).size();
  Value inRange;
  FailureOr<LaneIndex> picked = readIndex(eb, getIndices(), indices.slice(axis, count), getX(), axis, inRange);
  if (failed(picked))
    return failure();
  SmallVector<LaneIndex> own(indices.take_front(axis));
  own.push_back(*picked);
  llvm::append_range(own, indices.drop_front(axis + count));
  return elementIf(eb, inRange, getX(), own);
}

FailureOr<Value> GatherElementsOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  Value inRange;
  FailureOr<LaneIndex> picked = readIndex(eb, getIndices(), indices, getX(), getAxis(), inRange);
  if (failed(picked))
    return failure();
  SmallVector<LaneIndex> own(indices);
  own[getAxis()] = *picked;
  return elementIf(eb, inRange, getX(), own);
}

FailureOr<Value> GatherNdOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims tupleDims = eb.dims(getIndices());
  std::optional<int64_t> length = tupleDims.back().tryConst();
  if (!length) {
    emitOpError("expected a constant last dimension of the indices");
    return failure();
  }
  SmallVector<LaneIndex> own(indices.take_front(getBatchDims()));
  SmallVector<LaneIndex> position(indices.take_front(tupleDims.size() - 1));
  position.push_back(eb.constantIndex(0));
  Value inRange;
  for (int64_t k = 0; k < *length; ++k) {
    position.back() = eb.constantIndex(k);
    FailureOr<LaneIndex> picked = readIndex(eb, getIndices(), position, getX(), getBatchDims() + k, inRange);
    if (failed(picked))
      return failure();
    own.push_back(*picked);
  }
  llvm::append_range(own, indices.drop_front(tupleDims.size() - 1));
  return elementIf(eb, inRange, getX(), own);
}

FailureOr<Value> OneHotOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  unsigned axis = getAxis();
  SmallVector<LaneIndex> position(indices.take_front(axis));
  llvm::append_range(position, indices.drop_front(axis + 1));
  FailureOr<Value> number = eb.element(getIndices(), position);
  FailureOr<Value> off = eb.element(getValues(), eb.constantIndex(0));
  FailureOr<Value> on = eb.element(getValues(), eb.constantIndex(1));
  if (failed(number) || failed(off) || failed(on))
    return failure();
  Type type = elementType(getIndices());
  LaneIndex depth = eb.dim(getResult(), axis), zero = eb.constantIndex(0);
  LaneIndex hot = eb.indexFromValue(eb.convert(*number, type, eb.builder().getI64Type()), false);
  hot = eb.select(eb.less(hot, zero), eb.add(hot, depth), hot);
  return eb.select(eb.equal(hot, indices[axis]), *on, *off);
}

FailureOr<Value> ReverseSequenceOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  unsigned time = getTimeAxis();
  FailureOr<Value> number = eb.element(getLengths(), indices[getBatchAxis()]);
  if (failed(number))
    return failure();
  LaneIndex length = eb.indexFromValue(*number, false), size = eb.dim(getX(), time), zero = eb.constantIndex(0);
  Value good = eb.logicalAnd(eb.lessEqual(zero, length), eb.lessEqual(length, size));
  eb.raiseIf(eb.logicalNot(good), KernelError::IndexOutOfRange);
  length = eb.select(good, length, zero);
  SmallVector<LaneIndex> own(indices);
  LaneIndex mirrored = eb.sub(eb.add(length, -1), indices[time]);
  own[time] = eb.select(eb.less(indices[time], length), mirrored, indices[time]);
  return eb.element(getX(), own);
}

//===----------------------------------------------------------------------===//
// Packing (DsPacked.td)
//===----------------------------------------------------------------------===//

FailureOr<Value> PackOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  unsigned batch = indices.size() - 3;
  SymDims dims = eb.dims(getW());
  unsigned columnDim = getTransposed() ? batch : batch + 1;
  LaneIndex panel = indices[batch], row = indices[batch + 1], lane = indices[batch + 2];
  LaneIndex column = eb.add(eb.mul(panel, getTile()), lane);
  SmallVector<LaneIndex> own(indices.take_front(batch));
  own.push_back(getTransposed() ? column : row);
  own.push_back(getTransposed() ? row : column);
  auto inside = [&]() { return eb.element(getW(), own); };
  if (dims[columnDim].isDivisibleBy(getTile()))
    return inside();
  return eb.guarded(eb.less(column, eb.dim(getW(), columnDim)), inside, LaneMath(eb, elementType(getW())).zero());
}

FailureOr<Value> PackFilterOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims dims = eb.dims(getW());
  SymExpr perGroup = SymExpr::exactDiv(dims[0], SymExpr(static_cast<int64_t>(getGroup())));
  LaneIndex column = eb.add(eb.mul(indices[1], getTile()), indices[3]);
  LaneIndex size = LaneIndex::uniform(eb.sizeValue(perGroup));
  // Row (kh*KW + kw)*C + c.
  SmallVector<LaneIndex> row = eb.delinearize(indices[2], {dims[2], dims[3], dims[1]});
  SmallVector<LaneIndex> own = {eb.add(eb.mul(indices[0], size), column), row[2], row[0], row[1]};
  auto inside = [&]() { return eb.element(getW(), own); };
  if (perGroup.isDivisibleBy(getTile()))
    return inside();
  return eb.guarded(eb.less(column, size), inside, LaneMath(eb, elementType(getW())).zero());
}

} // namespace ds
