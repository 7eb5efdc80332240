//===- ShapeBinder.cpp - Integer arithmetic that ends in known sizes ------===//
// Guarantees: see ShapeBinder.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/ShapeBinder.h"
#include "dialects/ds/ir/DsOps.h"

using namespace mlir;

namespace ds {

Value ShapeBinder::stand() {
  auto type = RankedTensorType::get({1}, b.getI64Type());
  auto op = ConstantOp::create(b, loc, makeIntElements(type, {0}));
  state.setDims(op, {SymExpr(1)});
  return op;
}

SmallVector<SymExpr> ShapeBinder::bind(Value x, Value *bound) {
  SmallVector<SymExpr> symbols;
  int64_t count = cast<RankedTensorType>(x.getType()).getNumElements();
  for (int64_t i = 0; i < count; ++i)
    symbols.push_back(state.boundSymbol("b"));
  auto op = BindOp::create(b, loc, x.getType(), x, ShapeAttr::get(b.getContext(), ArrayRef<SymExpr>(symbols)));
  failed |= mlir::failed(inferOp(op, state));
  if (bound)
    *bound = op.getResult();
  return symbols;
}

Value ShapeBinder::ints(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, b.getI64Type());
  auto op = ConstantOp::create(b, loc, makeIntElements(type, values));
  state.setDims(op, {SymExpr(type.getNumElements())});
  return op;
}

Value ShapeBinder::sizes(ArrayRef<SymExpr> dims) {
  return make<ShapeValueOp>(b.getI64Type(), ShapeAttr::get(b.getContext(), dims), /*scalar=*/false);
}

Value ShapeBinder::asList(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  if (!type.getElementType().isSignlessInteger(64))
    x = make<CastOp>(b.getI64Type(), x);
  if (type.getRank() == 1)
    return x;
  return make<ReshapeOp>(b.getI64Type(), x, Value(),
                         ShapeAttr::get(b.getContext(), ArrayRef<SymExpr>{ds::product(*state.getDims(x))}), false);
}

Value ShapeBinder::part(Value list, int64_t first, int64_t count) {
  auto attr = [&](int64_t value) { return ShapeAttr::get(b.getContext(), ArrayRef<int64_t>{value}); };
  return make<SliceOp>(getElementTypeOrSelf(list.getType()), list, Value(), Value(), Value(), Value(), attr(first),
                       attr(count), b.getDenseI64ArrayAttr({1}));
}

Value ShapeBinder::scalar(Value list, int64_t index, Type element) {
  Value one = part(list, index, 1);
  if (getElementTypeOrSelf(one.getType()) != element)
    one = make<CastOp>(element, one);
  return make<ReshapeOp>(element, one, Value(), ShapeAttr::get(b.getContext(), ArrayRef<SymExpr>()), false);
}

Value ShapeBinder::concat(ArrayRef<Value> lists) { return make<ConcatOp>(b.getI64Type(), lists, 0); }

Value ShapeBinder::axesFromFront(Value axes, int64_t rank) {
  Value zero = ints({0});
  axes = select(less(axes, zero), add(axes, ints({rank})), axes);
  // One below -rank would count from the end once more.
  return select(less(axes, zero), ints({rank}), axes);
}

Value ShapeBinder::scatter(Value list, Value at, Value updates) {
  return make<ScatterElementsOp>(b.getI64Type(), list, at, updates, 0, ScatterReduction::none);
}

Value ShapeBinder::product(Value list) {
  return make<ReduceProdOp>(b.getI64Type(), list, ArrayRef<int64_t>{0}, /*keepdims=*/true);
}

Value ShapeBinder::add(Value x, Value y) { return make<AddOp>(b.getI64Type(), x, y); }
Value ShapeBinder::sub(Value x, Value y) { return make<SubOp>(b.getI64Type(), x, y); }
Value ShapeBinder::mul(Value x, Value y) { return make<MulOp>(b.getI64Type(), x, y); }
Value ShapeBinder::div(Value x, Value y) { return make<DivOp>(b.getI64Type(), x, y); }
Value ShapeBinder::max(Value x, Value y) { return make<MaxOp>(b.getI64Type(), x, y); }
Value ShapeBinder::min(Value x, Value y) { return make<MinOp>(b.getI64Type(), x, y); }
Value ShapeBinder::equal(Value x, Value y) { return make<CompareOp>(b.getI1Type(), ComparePredicate::eq, x, y); }
Value ShapeBinder::less(Value x, Value y) { return make<CompareOp>(b.getI1Type(), ComparePredicate::lt, x, y); }
Value ShapeBinder::select(Value condition, Value x, Value y) { return make<SelectOp>(b.getI64Type(), condition, x, y); }

} // namespace ds
