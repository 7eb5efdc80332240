//===- Selection.cpp - Operators whose results are as many as data says ---===//
// Assumes: see Node.h.
// Guarantees: NonZero, Compress, Unique and NonMaxSuppression, composed: positions come from running sums, their number
//   is bound (ds.bind), and is a size like any other from there on. Unique along an axis takes time and memory that
//   grow as the square of the number of slices.
// Declines: NonZero of a scalar.

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

/// Whole slices: each is compared with every other at the first place where they differ.
static void uniqueSlices(Node &n, int64_t axis) {
  Type i64 = n.b.getI64Type();
  Value given = n.in(0), x = n.isString(given) ? rankStrings(n, given) : given, zero = n.intScalar(0, i64);
  SymDims dims = n.dims(x);
  SymExpr size = dims[axis], length = SymExpr(1);
  Ints order{axis};
  for (int64_t d = 0; d < int64_t(dims.size()); ++d)
    if (d != axis) {
      order.push_back(d);
      length = length * dims[d];
    }
  Value rows = n.reshape(n.transpose(x, order), {size, length});
  // Slices without elements are equal; one element more, the same in all, makes them so.
  if (!length.isPositive())
    rows = n.concat({rows, n.fill({size, SymExpr(1)}, 0, n.elem(x))}, 1);
  Value differs = n.compare(ComparePredicate::ne, n.unsqueeze(rows, {1}), n.unsqueeze(rows, {0}));
  Value place = n.make<ArgMaxOp>({n.cast(differs, n.b.getIntegerType(32))}, {n.i64("axis", 2)}, i64);
  // At [i, j]: the element of slice i where slice j differs from it; transposed, that of j.
  Value own = n.make<GatherElementsOp>({rows, place}, {n.i64("axis", 1)});
  Value other = n.transpose(own, {1, 0});
  Value index = counting(n, size);
  Value isBefore = n.compare(ComparePredicate::lt, n.unsqueeze(index, {0}), n.unsqueeze(index, {1}));
  auto countOf = [&](Value condition) { return n.reduce<ReduceSumOp>(asOnes(n, condition), {1}, /*keepdims=*/false); };
  auto both = [&](Value p, Value q) { return n.make<AndOp>({p, q}); };
  Value equals = both(isBefore, n.compare(ComparePredicate::eq, own, other));
  Value isFirst = n.compare(ComparePredicate::eq, countOf(equals), zero);
  // A slice's group is the number of different slices that are less.
  Value group = countOf(both(n.compare(ComparePredicate::lt, other, own), n.unsqueeze(isFirst, {0})));
  Value ones = asOnes(n, isFirst);
  Positions firsts = positionsOfOnes(n, ones);
  if (n.failed)
    return;
  Value where = firsts.list;
  if (n.getInt("sorted", 1)) {
    Value at = gather(n, group, where);
    where = scatter(n, n.fill({firsts.count}, 0, i64), at, where);
  } else {
    // In the order of first occurrence: the number of the group's first slice among all firsts.
    Value rank = scatter(n, n.fill({firsts.count}, 0, i64), gather(n, group, where), counting(n, firsts.count));
    group = gather(n, rank, group);
  }
  n.set(0, n.make<GatherOp>({given, where}, {n.i64("axis", axis)}));
  n.set(1, where);
  n.set(2, group);
  n.set(3, scatter(n, n.fill({firsts.count}, 0, i64), group, n.fill({size}, 1, i64), ScatterReduction::add));
}

static void uniqueElements(Node &n) {
  if (n.hasAttr("axis") && n.rank(n.in(0)) != 1) {
    int64_t axis = n.axis(n.getInt("axis", 0), n.rank(n.in(0)));
    return n.failed ? void() : uniqueSlices(n, axis);
  }
  Type i64 = n.b.getI64Type();
  Value x = flatten(n, n.in(0)), given = x;
  if (n.isString(x))
    x = rankStrings(n, x);
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
  n.set(0, n.isString(given) ? gather(n, given, where) : result);
  n.set(1, where);
  n.set(2, inverse);
  n.set(3, counts);
}

/// The kernel leaves a row of indices and their number for each class of each batch entry; here the rows are put one
/// behind the other.
static void nonMaxSuppression(Node &n) {
  Type i64 = n.b.getI64Type(), f32 = n.b.getF32Type();
  Value boxes = n.in(0), scores = n.in(1);
  if (n.rank(boxes) != 3 || n.rank(scores) != 3)
    return (void)n.fail("needs boxes and scores of rank 3, got " + Twine(n.rank(boxes)) + " and " +
                        Twine(n.rank(scores)));
  SymDims dims = n.dims(scores);
  SymExpr most = dims[2];
  Value maximum = n.has(2) ? n.in(2) : n.intScalar(0, i64);
  if (auto known = n.contents(maximum); known && known->size() == 1) {
    SymExpr limit = SymExpr::max((*known)[0], 0);
    if (!limit.isConst() || limit.getConst() < (int64_t(1) << 31))
      most = SymExpr::min(most, limit);
  }
  SmallVector<Value> operands{boxes, scores, maximum, n.has(3) ? n.in(3) : n.scalar(0, f32)};
  if (n.has(4))
    operands.push_back(n.in(4));
  SmallVector<mlir::NamedAttribute> attrs{n.shape("most", {most})};
  if (n.getInt("center_point_box", 0))
    attrs.push_back(n.unit("centered"));
  SmallVector<Value> found = n.makeMany<NonMaxSuppressionOp>({i64, i64}, operands, attrs);
  if (n.failed)
    return;
  SymExpr classes = dims[1], groups = dims[0] * classes;
  Value counts = n.reshape(found[1], {groups});
  SmallVector<SymExpr> total =
      sizesOf(n, n.reduce<ReduceSumOp>(counts, {0}, /*keepdims=*/true), "the number of boxes selected");
  if (n.failed)
    return;
  // A result belongs to the class after those that have ended at it or before.
  Value ends = runningSum(n, counts, /*exclusive=*/false);
  Value marks =
      scatter(n, n.fill({total[0] + SymExpr(1)}, 0, i64), ends, n.fill({groups}, 1, i64), ScatterReduction::add);
  Value group = n.sliceAxis(runningSum(n, marks, /*exclusive=*/false), 0, SymExpr(0), total[0]);
  Value inGroup = n.sub(counting(n, total[0]), gather(n, n.sub(ends, counts), group));
  Value at = n.add(n.mul(group, n.shapeValue({most})), inGroup);
  Value index = gather(n, n.reshape(found[0], {groups * most}), at);
  Value batch = n.div(group, n.shapeValue({classes}));
  Value number = n.sub(group, n.mul(batch, n.shapeValue({classes})));
  SmallVector<Value> columns;
  for (Value column : {batch, number, index})
    columns.push_back(n.unsqueeze(column, {1}));
  n.set(0, n.concat(columns, 1));
}

void ds::importer::registerSelection(Registry &r) {
  r.add("NonZero", nonZero);
  r.add("Compress", compress);
  r.add("Unique", uniqueElements);
  r.add("NonMaxSuppression", nonMaxSuppression);
}
