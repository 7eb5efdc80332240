//===- ElementSource.cpp - Element forms of constants and shapes ----------===//
// Guarantees: `buildElement` of the ops in DsSource.td.
// Declines: large constants, which are arguments of a kernel.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/ir/DsOps.h"

using namespace mlir;

namespace ds {

static Type elementType(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

/// Entry `index` of a list of values, by comparisons with every position.
static Value pick(ElementBuilder &eb, LaneIndex index, int64_t count, llvm::function_ref<Value(int64_t)> entry) {
  if (std::optional<int64_t> position = index.getConst(); position && *position >= 0 && *position < count)
    return entry(*position);
  Value value = entry(count - 1);
  for (int64_t i = count - 2; i >= 0; --i)
    value = eb.select(eb.equal(index, eb.constantIndex(i)), entry(i), value);
  return value;
}

FailureOr<Value> ConstantOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  constexpr int64_t kLargest = 64;
  std::optional<ElementsView> view = ElementsView::get(getValue());
  if (!view || view->size() == 0 || (!view->isSplat() && view->size() > kLargest)) {
    emitOpError("expected a splat or at most ") << kLargest << " elements inside a kernel";
    return failure();
  }
  Type type = ElementBuilder::computeType(elementType(getResult()));
  auto entry = [&](int64_t i) {
    return isa<FloatType>(type) ? eb.constantFloat(type, view->getDouble(i)) : eb.constantInt(type, view->getInt(i));
  };
  if (view->isSplat())
    return entry(0);
  return pick(eb, eb.linearize(indices, eb.dims(getResult())), view->size(), entry);
}

bool ConstantOp::isUniform() { return isa<SplatElementsAttr>(getValue()); }

bool FillOp::isUniform() { return true; }

FailureOr<Value> FillOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex>) {
  Type type = ElementBuilder::computeType(elementType(getResult()));
  if (auto number = dyn_cast<FloatAttr>(getValue()))
    return eb.constantFloat(type, number.getValueAsDouble());
  auto number = cast<IntegerAttr>(getValue());
  bool isUnsigned = number.getType().isUnsignedInteger();
  return eb.constantInt(type,
                        isUnsigned ? int64_t(number.getValue().getZExtValue()) : number.getValue().getSExtValue());
}

FailureOr<Value> RangeOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  auto only = [&](Value tensor) {
    return eb.element(tensor, SmallVector<LaneIndex>(eb.dims(tensor).size(), eb.constantIndex(0)));
  };
  FailureOr<Value> start = only(getStart()), delta = only(getDelta());
  if (failed(start) || failed(delta))
    return failure();
  LaneMath math(eb, elementType(getResult()));
  return math.mulAdd(eb.valueFromIndex(indices[0], math.getType()), *delta, *start);
}

FailureOr<Value> EyeLikeOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  LaneMath math(eb, elementType(getResult()));
  Value onDiagonal = eb.equal(eb.add(indices[0], getK()), indices[1]);
  return eb.select(onDiagonal, math.one(), math.zero());
}

/// Entry `index` of a list of size expressions as an integer of the result's type.
static Value pickSize(ElementBuilder &eb, LaneIndex index, ArrayRef<SymExpr> sizes, Value result) {
  Type type = ElementBuilder::computeType(elementType(result));
  return pick(eb, index, sizes.size(),
              [&](int64_t i) { return eb.valueFromIndex(LaneIndex::uniform(eb.sizeValue(sizes[i])), type); });
}

FailureOr<Value> ShapeOfOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims dims = eb.dims(getX());
  int64_t rank = dims.size(), start = getStart(), end = getEnd();
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  end = std::clamp<int64_t>(end < 0 ? end + rank : end, 0, rank);
  if (start >= end)
    return LaneMath(eb, elementType(getResult())).zero(); // no element: never asked for
  return pickSize(eb, indices[0], ArrayRef<SymExpr>(dims).slice(start, end - start), getResult());
}

FailureOr<Value> SizeOfOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex>) {
  return pickSize(eb, eb.constantIndex(0), {product(eb.dims(getX()))}, getResult());
}

FailureOr<Value> ShapeValueOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SmallVector<SymExpr> sizes = getShape().getDims();
  if (sizes.empty())
    return LaneMath(eb, elementType(getResult())).zero(); // no element: never asked for
  return pickSize(eb, getScalar() ? eb.constantIndex(0) : indices[0], sizes, getResult());
}

} // namespace ds
