//===- ElementReduction.cpp - Element forms of reductions and scans -------===//
// Guarantees: `buildElement` of the ops in DsReduction.td (top_k aside): a loop over the reduced dims for each element,
// in
//   order. A reduction that is the root of a kernel has a faster form.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

static Type elementType(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

/// The elements along `axes`; a guess for sizes that are not known.
static int64_t countAlong(Value x, ArrayRef<int64_t> axes) {
  constexpr int64_t kGuess = 64;
  auto type = cast<RankedTensorType>(x.getType());
  int64_t count = 1;
  for (int64_t axis : axes)
    count *= type.isDynamicDim(axis) ? kGuess : type.getDimSize(axis);
  return count;
}

//===----------------------------------------------------------------------===//
// reduce_*
//===----------------------------------------------------------------------===//

using CombineFn = llvm::function_ref<Value(Value, Value)>;

/// The combination of all elements of `x` along `axes`, for the result's position `indices`.
static FailureOr<Value> reduce(ElementBuilder &eb, Value x, ArrayRef<int64_t> axes, bool keepDims,
                               ArrayRef<LaneIndex> indices, Value neutral, CombineFn combine) {
  SymDims dims = eb.dims(x);
  SmallVector<LaneIndex> position, kept;
  SmallVector<ElementBuilder::Bounds> bounds;
  unsigned next = 0;
  for (int64_t d = 0; d < static_cast<int64_t>(dims.size()); ++d) {
    bool isReduced = llvm::is_contained(axes, d);
    if (isReduced) {
      position.push_back(eb.constantIndex(0));
      bounds.push_back({eb.constantIndex(0), LaneIndex::uniform(eb.sizeValue(dims[d]))});
    } else {
      position.push_back(indices[next]);
      kept.push_back(indices[next]);
    }
    next += !isReduced || keepDims;
  }
  auto body = [&](ArrayRef<LaneIndex> reduced, ValueRange state) -> FailureOr<SmallVector<Value>> {
    for (auto [axis, index] : llvm::zip_equal(axes, reduced))
      position[axis] = index;
    FailureOr<Value> value = eb.element(x, position);
    if (failed(value))
      return failure();
    return SmallVector<Value>{combine(state[0], *value)};
  };
  FailureOr<SmallVector<Value>> result = eb.loopNest(bounds, eb.initial(neutral, kept), body);
  if (failed(result))
    return failure();
  return (*result)[0];
}

#define DS_REDUCE(op, start, method)                                                                                   \
  int64_t op::elementCost() { return countAlong(getX(), getAxes()); }                                                  \
  FailureOr<Value> op::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {                       \
    LaneMath math(eb, elementType(getX()));                                                                            \
    return reduce(eb, getX(), getAxes(), getKeepdims(), indices, math.start(),                                         \
                  [&](Value x, Value y) { return math.method(x, y); });                                                \
  }
DS_REDUCE(ReduceSumOp, zero, add)
DS_REDUCE(ReduceProdOp, one, mul)
DS_REDUCE(ReduceMaxOp, least, max)
DS_REDUCE(ReduceMinOp, greatest, min)
#undef DS_REDUCE

int64_t ReduceMeanOp::elementCost() { return countAlong(getX(), getAxes()) + 5; }

FailureOr<Value> ReduceMeanOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  LaneMath math(eb, elementType(getX()));
  FailureOr<Value> sum = reduce(eb, getX(), getAxes(), getKeepdims(), indices, math.zero(),
                                [&](Value x, Value y) { return math.add(x, y); });
  if (failed(sum))
    return failure();
  SymDims dims = eb.dims(getX());
  SymExpr count(1);
  for (int64_t axis : getAxes())
    count = count * dims[axis];
  LaneIndex number = LaneIndex::uniform(eb.sizeValue(count));
  // An empty float mean is 0 / 0; an empty integer mean is 0.
  if (!math.isFloat())
    number = eb.max(number, eb.constantIndex(1));
  return math.div(*sum, eb.valueFromIndex(number, math.getType()));
}

int64_t ReduceToOp::elementCost() { return 64; }

FailureOr<Value> ReduceToOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  // Where the result's dim is that of x, one step from its index; where it is 1, as many as x has, from 0.
  LaneMath math(eb, elementType(getX()));
  SmallVector<ElementBuilder::Bounds> bounds;
  for (auto [size, target] : llvm::zip_equal(eb.dims(getX()), getTarget().getDims())) {
    SymExpr steps = SymExpr::floorDiv(size, SymExpr::max(target, SymExpr(1)));
    bounds.push_back({eb.constantIndex(0), LaneIndex::uniform(eb.sizeValue(steps))});
  }
  auto body = [&](ArrayRef<LaneIndex> steps, ValueRange state) -> FailureOr<SmallVector<Value>> {
    SmallVector<LaneIndex> position;
    for (auto [index, step] : llvm::zip_equal(indices, steps))
      position.push_back(eb.add(index, step));
    FailureOr<Value> value = eb.element(getX(), position);
    if (failed(value))
      return failure();
    return SmallVector<Value>{math.add(state[0], *value)};
  };
  FailureOr<SmallVector<Value>> sum = eb.loopNest(bounds, eb.initial(math.zero(), indices), body);
  if (failed(sum))
    return failure();
  return (*sum)[0];
}

//===----------------------------------------------------------------------===//
// arg_max, arg_min
//===----------------------------------------------------------------------===//

/// A NaN counts as the extremum, as in NumPy.
template <typename ArgOp>
static FailureOr<Value> argExtremum(ArgOp op, ElementBuilder &eb, ArrayRef<LaneIndex> indices, bool isMax) {
  LaneMath math(eb, elementType(op.getX()));
  int64_t axis = op.getAxis();
  SmallVector<LaneIndex> position(indices), kept(indices);
  if (op.getKeepdims())
    kept.erase(kept.begin() + axis);
  else
    position.insert(position.begin() + axis, eb.constantIndex(0));
  Value init[] = {eb.initial(isMax ? math.least() : math.greatest(), kept), eb.initial(eb.constantI64(0), kept)};
  auto body = [&](LaneIndex index, ValueRange state) -> FailureOr<SmallVector<Value>> {
    position[axis] = index;
    FailureOr<Value> value = eb.element(op.getX(), position);
    if (failed(value))
      return failure();
    Value better = math.beats(*value, state[0], isMax, op.getSelectLast());
    return SmallVector<Value>{eb.select(better, *value, state[0]), eb.select(better, index.getValue(), state[1])};
  };
  FailureOr<SmallVector<Value>> result = eb.loop(eb.constantIndex(0), eb.dim(op.getX(), axis), init, body);
  if (failed(result))
    return failure();
  return (*result)[1];
}

int64_t ArgMaxOp::elementCost() { return 3 * countAlong(getX(), getAxis()); }
int64_t ArgMinOp::elementCost() { return 3 * countAlong(getX(), getAxis()); }

FailureOr<Value> ArgMaxOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  return argExtremum(*this, eb, indices, true);
}
FailureOr<Value> ArgMinOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  return argExtremum(*this, eb, indices, false);
}

//===----------------------------------------------------------------------===//
// cum_sum, cum_prod
//===----------------------------------------------------------------------===//

int64_t CumSumOp::elementCost() { return countAlong(getX(), getAxis()) / 2 + 1; }
int64_t CumProdOp::elementCost() { return countAlong(getX(), getAxis()) / 2 + 1; }

/// Element by element: each is a loop of its own. Kernels with the op as their root do better.
template <typename CumOp>
static FailureOr<Value> accumulate(CumOp op, ElementBuilder &eb, ArrayRef<LaneIndex> indices, bool isProduct) {
  Value x = op.getX();
  LaneMath math(eb, elementType(x));
  int64_t axis = op.getAxis();
  LaneIndex own = indices[axis], size = eb.dim(x, axis), zero = eb.constantIndex(0);
  // Lanes that stand at different positions share a loop over the whole dimension, and each takes its part.
  bool shared = !own.isUniform();
  LaneIndex lower = zero, upper = size;
  if (!shared && op.getReverse())
    lower = op.getExclusive() ? eb.add(own, 1) : own;
  else if (!shared)
    upper = op.getExclusive() ? own : eb.add(own, 1);
  SmallVector<LaneIndex> position(indices);
  auto body = [&](LaneIndex index, ValueRange state) -> FailureOr<SmallVector<Value>> {
    // From the end, sums start there too: the order of additions is that of the definition.
    if (op.getReverse())
      index = eb.sub(eb.add(lower, eb.add(upper, -1)), index);
    position[axis] = index;
    FailureOr<Value> value = eb.element(x, position);
    if (failed(value))
      return failure();
    Value sum = isProduct ? math.mul(state[0], *value) : math.add(state[0], *value);
    if (!shared)
      return SmallVector<Value>{sum};
    LaneIndex first = op.getReverse() ? own : index, second = op.getReverse() ? index : own;
    Value counts = op.getExclusive() ? eb.less(first, second) : eb.lessEqual(first, second);
    return SmallVector<Value>{eb.select(counts, sum, state[0])};
  };
  FailureOr<SmallVector<Value>> result =
      eb.loop(lower, upper, eb.initial(isProduct ? math.one() : math.zero(), indices), body);
  if (failed(result))
    return failure();
  return (*result)[0];
}

FailureOr<Value> CumSumOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  return accumulate(*this, eb, indices, /*isProduct=*/false);
}
FailureOr<Value> CumProdOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  return accumulate(*this, eb, indices, /*isProduct=*/true);
}

} // namespace ds
