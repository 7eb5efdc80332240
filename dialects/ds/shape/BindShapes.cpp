//===- BindShapes.cpp - Shapes that are computed while the model runs -----===//
// Guarantees: BindShapesOpInterface of the ops in operand form. What is bound is never negative: 0 and -1 of a reshape,
//   negative bounds of a slice and so on are resolved by integer arithmetic in the model first.
// Declines: lists of unknown length (the rank of the result would be unknown).
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeBinder.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

namespace ds {

/// The operand as a list of known length; null, with a diagnostic, otherwise.
static Value listOperand(Operation *op, Value list, ShapeBinder &binder) {
  if (cast<RankedTensorType>(list.getType()).hasStaticShape())
    return binder.asList(list);
  emitNodeError(op) << "expected a list of known length, which decides the rank of the result, got " << list.getType();
  return {};
}

static bool isKnown(Value list, const ShapeState &state) { return !list || state.getContents(list).has_value(); }

static ShapeAttr shapeAttr(ShapeBinder &binder, ArrayRef<SymExpr> dims) {
  return ShapeAttr::get(binder.builder().getContext(), dims);
}

/// The op after its operands or attributes changed.
static Value reinfer(Operation *op, ShapeBinder &binder) {
  if (binder.hasFailed() || failed(inferAndRefine(op, binder.getState())))
    return {};
  cast<ShapeOpInterface>(op).useKnownShapes(binder.getState());
  return op->getResult(0);
}

/// Binds the operand as it is.
static Value bindOperand(Operation *op, Value list, MutableOperandRange operand, ShapeBinder &binder) {
  Value known = listOperand(op, list, binder), bound;
  if (!known)
    return {};
  binder.bind(known, &bound);
  operand.assign(bound);
  // What reads the same list later knows it too.
  if (known == list)
    list.replaceUsesWithIf(bound, [&](OpOperand &use) {
      return use.getOwner()->getBlock() == op->getBlock() && op->isBeforeInBlock(use.getOwner());
    });
  return reinfer(op, binder);
}

//===----------------------------------------------------------------------===//
// Shapes as they are
//===----------------------------------------------------------------------===//

bool FillOp::dependsOnData(const ShapeState &state) { return !isKnown(getShape(), state); }
Value FillOp::bindShapes(ShapeBinder &binder) { return bindOperand(*this, getShape(), getShapeMutable(), binder); }

bool ExpandOp::dependsOnData(const ShapeState &state) { return !isKnown(getShape(), state); }

/// Where the operand's own dim is a number, the result's is that too, and no expression says that the shape must fit:
/// it is required.
Value ExpandOp::bindShapes(ShapeBinder &binder) {
  SymDims x = *binder.getState().getDims(getX());
  Value shape = listOperand(*this, getShape(), binder);
  if (!shape)
    return {};
  const size_t asked = cast<RankedTensorType>(shape.getType()).getNumElements();
  SmallVector<std::pair<size_t, size_t>> fixed; // an entry of the shape, and the dim that it must fit
  SmallVector<int64_t> own(asked, 1);
  for (size_t d = 0; d < x.size(); ++d)
    if (d + asked >= x.size() && x[d].isConst() && !x[d].isConst(1)) {
      fixed.emplace_back(d + asked - x.size(), d);
      own[d + asked - x.size()] = x[d].getConst();
    }
  if (fixed.empty())
    return bindOperand(*this, getShape(), getShapeMutable(), binder);
  Value bound;
  SmallVector<SymExpr> symbols =
      binder.bind(binder.select(binder.equal(shape, binder.ints({1})), binder.ints(own), shape), &bound);
  for (auto [entry, dim] : fixed) {
    auto one = [&](const SymExpr &expr) { return shapeAttr(binder, ArrayRef<SymExpr>(expr)); };
    auto fits = RequireOp::create(binder.builder(), getLoc(), one(symbols[entry]), one(x[dim]),
                                  "entry " + std::to_string(entry) + " of the shape to be 1 or dimension " +
                                      std::to_string(dim) + " of the operand");
    if (failed(inferOp(fits, binder.getState())))
      return {};
  }
  getShapeMutable().assign(bound);
  return reinfer(*this, binder);
}

bool TileOp::dependsOnData(const ShapeState &state) { return !isKnown(getRepeats(), state); }
Value TileOp::bindShapes(ShapeBinder &binder) { return bindOperand(*this, getRepeats(), getRepeatsMutable(), binder); }

bool OneHotOp::dependsOnData(const ShapeState &state) {
  return getDepth() && !state.getFractions(getDepth()).has_value();
}
Value OneHotOp::bindShapes(ShapeBinder &binder) {
  Value depth = listOperand(*this, getDepth(), binder);
  if (!depth)
    return {};
  setSizeAttr(shapeAttr(binder, binder.bind(depth)));
  getDepthMutable().clear();
  return reinfer(*this, binder);
}

//===----------------------------------------------------------------------===//
// ReshapeOp
//===----------------------------------------------------------------------===//

bool ReshapeOp::dependsOnData(const ShapeState &state) { return !isKnown(getShape(), state); }

Value ReshapeOp::bindShapes(ShapeBinder &binder) {
  Value shape = listOperand(*this, getShape(), binder);
  if (!shape)
    return {};
  int64_t rank = cast<RankedTensorType>(shape.getType()).getNumElements();
  SymDims x = *binder.getState().getDims(getX());
  if (!getAllowZero()) {
    // Entry i of 0 is dim i of the operand; past its rank there is none, and the number of elements will not fit.
    SymDims own(x);
    own.resize(rank, SymExpr(0));
    shape = binder.select(binder.equal(shape, binder.ints({0})), binder.sizes(own), shape);
  }
  Value open = binder.equal(shape, binder.ints({-1}));
  Value rest = binder.product(binder.select(open, binder.ints({1}), shape));
  Value divisor = binder.select(binder.equal(rest, binder.ints({0})), binder.ints({1}), rest);
  Value inferred = binder.div(binder.sizes({product(x)}), divisor);
  Value bound;
  binder.bind(binder.select(open, inferred, shape), &bound);
  getShapeMutable().assign(bound);
  setAllowZero(true);
  return reinfer(*this, binder);
}

//===----------------------------------------------------------------------===//
// RangeOp
//===----------------------------------------------------------------------===//

bool RangeOp::dependsOnData(const ShapeState &state) {
  auto known = [&](Value value) { return state.getFractions(value).has_value(); };
  std::optional<SmallVector<SymFraction>> delta = state.getFractions(getDelta());
  bool constant = delta && delta->size() == 1 && (*delta)[0].isConst();
  return !getSize() && !(known(getStart()) && known(getLimit()) && constant);
}

Value RangeOp::bindShapes(ShapeBinder &binder) {
  Type type = getElementTypeOrSelf(getResult().getType());
  Value count;
  if (isa<FloatType>(type)) {
    Value distance = binder.make<SubOp>(type, getLimit(), getStart());
    count = binder.asList(binder.make<CeilOp>(type, binder.make<DivOp>(type, distance, getDelta())));
  } else {
    Value distance = binder.sub(binder.asList(getLimit()), binder.asList(getStart()));
    Value delta = binder.asList(getDelta()), zero = binder.ints({0});
    Value quotient = binder.div(distance, delta), rest = binder.sub(distance, binder.mul(quotient, delta));
    // Truncated towards zero: one more where a rest in delta's direction is left.
    auto sign = [&](Value x) {
      Value negative = binder.select(binder.less(x, zero), binder.ints({-1}), zero);
      return binder.select(binder.less(zero, x), binder.ints({1}), negative);
    };
    Value ahead = binder.less(zero, binder.mul(sign(rest), sign(delta)));
    count = binder.select(ahead, binder.add(quotient, binder.ints({1})), quotient);
  }
  setSizeAttr(shapeAttr(binder, binder.bind(binder.max(count, binder.ints({0})))));
  return reinfer(*this, binder);
}

//===----------------------------------------------------------------------===//
// PadOp
//===----------------------------------------------------------------------===//

bool PadOp::dependsOnData(const ShapeState &state) { return !isKnown(getPads(), state); }

/// Padding by what is positive, then a slice that takes off what is negative.
Value PadOp::bindShapes(ShapeBinder &binder) {
  Value pads = listOperand(*this, getPads(), binder);
  SymDims x = *binder.getState().getDims(getX());
  size_t rank = x.size();
  if (!pads)
    return {};
  if (cast<RankedTensorType>(pads.getType()).getNumElements() != static_cast<int64_t>(2 * rank)) {
    emitNodeError(*this) << "expected " << 2 * rank << " entries in 'pads', got " << pads.getType();
    return {};
  }
  // Sizes are bound too, each as one symbol: sums of bound pads would make the number of elements a long polynomial.
  // What would take off more than any dim has stays so when its sign changes.
  pads = binder.max(pads, binder.ints({-(int64_t(1) << 62)}));
  Value zero = binder.ints({0}), added = binder.max(pads, zero), taken = binder.max(binder.sub(zero, pads), zero);
  auto half = [&](Value list, bool second) { return binder.part(list, second ? rank : 0, rank); };
  Value padded = binder.add(binder.sizes(x), binder.add(half(added, false), half(added, true)));
  Value size = binder.sub(padded, binder.add(half(taken, false), half(taken, true)));
  SmallVector<SymExpr> bound = binder.bind(binder.concat({half(added, false), padded, half(taken, false), size}));
  ArrayRef<SymExpr> all(bound);
  ArrayRef<SymExpr> low = all.take_front(rank), whole = all.slice(rank, rank), before = all.slice(2 * rank, rank),
                    left = all.take_back(rank);
  SymDims high;
  for (size_t d = 0; d < rank; ++d)
    high.push_back(whole[d] - x[d] - low[d]);
  setLowAttr(shapeAttr(binder, low));
  setHighAttr(shapeAttr(binder, high));
  getPadsMutable().clear();
  Value result = reinfer(*this, binder);
  if (!result)
    return {};
  binder.builder().setInsertionPointAfter(*this);
  return binder.make<SliceOp>(getElementTypeOrSelf(result.getType()), result, Value(), Value(), Value(), Value(),
                              shapeAttr(binder, before), shapeAttr(binder, left),
                              binder.builder().getDenseI64ArrayAttr(SmallVector<int64_t>(rank, 1)));
}

//===----------------------------------------------------------------------===//
// SliceOp
//===----------------------------------------------------------------------===//

bool SliceOp::dependsOnData(const ShapeState &state) {
  if (getStart())
    return false;
  return !isKnown(getStarts(), state) || !isKnown(getEnds(), state) || !isKnown(getAxes(), state) ||
         !isKnown(getSteps(), state);
}

/// Bounds of all dims, clamped as ONNX's Slice says; then a gather along each dim, whose indices are a progression.
Value SliceOp::bindShapes(ShapeBinder &binder) {
  SymDims x = *binder.getState().getDims(getX());
  int64_t rank = x.size();
  Value starts = listOperand(*this, getStarts(), binder), ends = listOperand(*this, getEnds(), binder);
  Value axes = getAxes() ? listOperand(*this, getAxes(), binder) : Value();
  Value steps = getSteps() ? listOperand(*this, getSteps(), binder) : Value();
  if (!starts || !ends || bool(getAxes()) != bool(axes) || bool(getSteps()) != bool(steps))
    return {};
  Value zero = binder.ints({0}), one = binder.ints({1}), dims = binder.sizes(x);
  int64_t count = cast<RankedTensorType>(starts.getType()).getNumElements();
  if (!axes) {
    SmallVector<int64_t> first;
    for (int64_t axis = 0; axis < count; ++axis)
      first.push_back(axis);
    axes = binder.ints(first);
  } else {
    axes = binder.axesFromFront(axes, rank);
  }
  Value from = binder.scatter(binder.ints(rank, 0), axes, starts), to = binder.scatter(dims, axes, ends);
  Value step = steps ? binder.scatter(binder.ints(rank, 1), axes, steps) : binder.ints(rank, 1);
  Value backwards = binder.less(step, zero), last = binder.sub(dims, one);
  // Counted from the end, then into [0, D] forwards, [0, D-1] (start) and [-1, D-1] (end) backwards.
  auto wrapped = [&](Value bound) { return binder.select(binder.less(bound, zero), binder.add(bound, dims), bound); };
  Value upper = binder.select(backwards, last, dims);
  from = binder.max(binder.min(wrapped(from), upper), zero);
  // The default end of a dim that no axis names is D, which is no bound to wrap.
  to = binder.max(binder.min(wrapped(to), upper), binder.select(backwards, binder.ints({-1}), zero));
  Value distance = binder.select(backwards, binder.sub(from, to), binder.sub(to, from));
  // Whatever the step is, nothing overflows: the least number has no opposite, and differs from the next one in nothing
  // else.
  step = binder.max(step, binder.ints({-std::numeric_limits<int64_t>::max()}));
  Value width = binder.select(backwards, binder.sub(zero, step), step);
  Value further = binder.add(binder.div(binder.sub(distance, one), width), one);
  Value size = binder.select(binder.less(zero, distance), further, zero);
  SmallVector<SymExpr> bound = binder.bind(binder.min(binder.max(size, zero), dims));
  Value result = getX();
  Type element = getElementTypeOrSelf(result.getType()), i64 = binder.builder().getI64Type();
  for (int64_t d = 0; d < rank && !binder.hasFailed(); ++d) {
    Value begin = binder.scalar(from, d, i64), by = binder.scalar(step, d, i64);
    Value indices = binder.make<RangeOp>(i64, begin, begin, by, shapeAttr(binder, bound[d]));
    result = binder.make<GatherOp>(element, result, indices, d);
  }
  return binder.hasFailed() ? Value() : result;
}

} // namespace ds
