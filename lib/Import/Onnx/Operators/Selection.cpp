//===- Selection.cpp - Operators whose results are as many as data says ---===//
// Assumes: see Node.h.
// Guarantees: NonZero, Compress and Unique of all elements, composed: positions come from running sums, their number is
//   bound (ds.bind), and is a size like any other from there on.
// Declines: Unique along an axis; NonZero of a scalar.

#include "../DataShapes.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// 0, 1, ... size - 1.
static Value counting(Node &n, const SymExpr &size) {
  Type i64 = n.b.getI64Type();
  Value zero = n.intScalar(0, i64), one = n.intScalar(1, i64);
  return n.make<RangeOp>({zero, zero, one}, {n.shape("size", {size})});
}

static Value runningSum(Node &n, Value x, bool exclusive) {
  SmallVector<mlir::NamedAttribute> attrs{n.i64("axis", 0)};
  if (exclusive)
    attrs.push_back(n.unit("exclusive"));
  return n.make<CumSumOp>({x}, attrs);
}

static Value scatter(Node &n, Value into, Value at, Value updates, ScatterReduction how = ScatterReduction::none) {
  return n.make<ScatterElementsOp>(
      {into, at, updates}, {n.attr("reduction", ScatterReductionAttr::get(n.b.getContext(), how)), n.i64("axis", 0)});
}

namespace {
/// The positions at which a list of 0 and 1 (i64) has ones, in order.
struct Positions {
  Value list;
  SymExpr count;
};
} // namespace

static Positions positionsOfOnes(Node &n, Value ones) {
  Positions result;
  SmallVector<SymExpr> count = sizesOf(n, n.reduce<ReduceSumOp>(ones, {0}, /*keepdims=*/true), "the number of results");
  if (n.failed)
    return result;
  result.count = count[0];
  Type i64 = n.b.getI64Type();
  // The others go to one place more, which is dropped.
  Value isOne = n.compare(ComparePredicate::ne, ones, n.intScalar(0, i64));
  Value place = n.select(isOne, runningSum(n, ones, /*exclusive=*/true), n.shapeValue(count));
  Value list = scatter(n, n.fill({count[0] + SymExpr(1)}, 0, i64), place, counting(n, n.dim(ones, 0)));
  result.list = n.sliceAxis(list, 0, SymExpr(0), count[0]);
  return result;
}

static Value flatten(Node &n, Value x) { return n.failed ? Value() : n.reshape(x, {product(n.dims(x))}); }

static Value asOnes(Node &n, Value condition) { return n.cast(condition, n.b.getI64Type()); }

static void nonZero(Node &n) {
  Value x = n.in(0);
  if (n.rank(x) == 0)
    return (void)n.fail("needs a tensor of rank 1 or more, got a scalar");
  SymDims dims = n.dims(x);
  Value flat = flatten(n, x);
  if (!n.failed && !n.elem(x).isInteger(1))
    flat = n.compare(ComparePredicate::ne, flat, n.scalar(0, n.elem(x)));
  Positions found = positionsOfOnes(n, asOnes(n, flat));
  SmallVector<Value> rows;
  for (auto [d, dim] : enumerate(dims)) {
    if (n.failed)
      return;
    Value index = found.list;
    SymExpr stride = product(ArrayRef<SymExpr>(dims).drop_front(d + 1));
    if (!stride.isConst(1))
      index = n.div(index, n.shapeValue({stride}));
    if (d > 0)
      index = n.sub(index, n.mul(n.div(index, n.shapeValue({dim})), n.shapeValue({dim})));
    rows.push_back(n.unsqueeze(index, {0}));
  }
  n.set(0, n.concat(rows, 0));
}

static void compress(Node &n) {
  Value x = n.in(0);
  bool hasAxis = n.hasAttr("axis");
  int64_t axis = hasAxis ? n.axis(n.getInt("axis", 0), n.rank(x)) : 0;
  if (!hasAxis)
    x = flatten(n, x);
  Positions found = positionsOfOnes(n, asOnes(n, n.in(1)));
  n.set(0, n.failed ? Value() : n.make<GatherOp>({x, found.list}, {n.i64("axis", axis)}));
}

/// The elements in order, and where each was.
static std::pair<Value, Value> sorted(Node &n, Value list) {
  SmallVector<Value> results =
      n.makeMany<TopKOp>({n.elem(list), n.b.getI64Type()}, {list},
                         {n.i64("axis", 0), n.shape("count", {n.dim(list, 0)}), n.unit("smallest"), n.unit("sorted")});
  return {results[0], results[1]};
}

static Value gather(Node &n, Value x, Value at) { return n.make<GatherOp>({x, at}, {n.i64("axis", 0)}); }

static void uniqueElements(Node &n) {
  if (n.hasAttr("axis") && n.rank(n.in(0)) != 1)
    return (void)n.needsDynamic("the axis is given: whole slices are compared");
  Type i64 = n.b.getI64Type();
  Value x = flatten(n, n.in(0));
  if (n.failed)
    return;
  SymExpr size = n.dim(x, 0);
  auto [values, from] = sorted(n, x);
  Value index = counting(n, size), zero = n.intScalar(0, i64);
  Value before = gather(n, values, n.maximum(n.sub(index, n.intScalar(1, i64)), zero));
  // One where a new value begins.
  Value begins = n.maximum(asOnes(n, n.compare(ComparePredicate::ne, values, before)),
                           asOnes(n, n.compare(ComparePredicate::eq, index, zero)));
  Positions first = positionsOfOnes(n, begins);
  if (n.failed)
    return;
  Value group = n.sub(runningSum(n, begins, /*exclusive=*/false), n.intScalar(1, i64));
  Value result = gather(n, values, first.list), where = gather(n, from, first.list);
  Value inverse = scatter(n, n.fill({size}, 0, i64), from, group);
  Value counts = scatter(n, n.fill({first.count}, 0, i64), group, n.fill({size}, 1, i64), ScatterReduction::add);
  if (!n.getInt("sorted", 1)) {
    auto [order, place] = sorted(n, where);
    Value rank = scatter(n, n.fill({first.count}, 0, i64), place, counting(n, first.count));
    result = gather(n, result, place);
    counts = gather(n, counts, place);
    inverse = gather(n, rank, inverse);
    where = order;
  }
  n.set(0, result);
  n.set(1, where);
  n.set(2, inverse);
  n.set(3, counts);
}

void ds::importer::registerSelection(Registry &r) {
  r.add("NonZero", nonZero);
  r.add("Compress", compress);
  r.add("Unique", uniqueElements);
}
