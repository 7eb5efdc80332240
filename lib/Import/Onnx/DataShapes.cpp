//===- DataShapes.cpp - Operands that decide shapes while the model runs --===//
// Guarantees: see DataShapes.h.
//===----------------------------------------------------------------------===//
#include "DataShapes.h"
#include "dialects/ds/shape/ShapeBinder.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// The list's length; 0 after a failure.
static int64_t lengthOf(Node &n, Value list, StringRef what) {
  if (n.failed)
    return 0;
  return n.knowsLength(list, what) ? product(n.dims(list)).getConst() : 0;
}

SmallVector<SymExpr> ds::importer::sizesOf(Node &n, Value list, StringRef what) {
  if (n.failed)
    return {};
  if (std::optional<SmallVector<SymExpr>> known = n.contents(list))
    return *known;
  lengthOf(n, list, what);
  if (n.failed)
    return {};
  ShapeBinder binder(n.b, n.shapes);
  binder.setLoc(n.loc);
  SmallVector<SymExpr> symbols = binder.bind(binder.asList(list));
  n.failed |= binder.hasFailed();
  return symbols;
}

namespace {
/// Integer arithmetic on the dims of a tensor and axes of it.
struct AxesArithmetic : ShapeBinder {
  AxesArithmetic(Node &n, Value given, int64_t rank) : ShapeBinder(n.b, n.shapes), n(n) {
    setLoc(n.loc);
    zero = ints({0});
    one = ints({1});
    axes = axesFromFront(asList(given), rank);
    int64_t count = cast<mlir::RankedTensorType>(axes.getType()).getNumElements();
    mask = scatter(ints(rank, 0), axes, ints(count, 1));
  }
  /// How many entries before each are not masked.
  Value positions() {
    Value kept = sub(one, mask);
    return n.make<CumSumOp>({kept}, {n.i64("axis", 0), n.unit("exclusive")});
  }
  /// As data: the dims themselves may not be known yet.
  Value dimsOf(Value x) { return n.make<ShapeOfOp>({x}, {}, n.b.getI64Type()); }
  Value masked(Value then, Value otherwise) { return select(less(zero, mask), then, otherwise); }
  SymDims bound(Value list) {
    SmallVector<SymExpr> symbols = bind(list);
    return SymDims(symbols.begin(), symbols.end());
  }

  Node &n;
  Value zero, one, axes, mask;
};
} // namespace

SplitDims ds::importer::splitByAxes(Node &n, Value x, Value axes) {
  SplitDims result;
  int64_t rank = n.rank(x), count = lengthOf(n, axes, "axes"), left = rank - count;
  if (n.failed)
    return result;
  if (left < 0)
    return n.fail("has " + Twine(count) + " axes for rank " + Twine(rank)), result;
  AxesArithmetic math(n, axes, rank);
  Value dims = math.dimsOf(x);
  // The dims that stay, in order; those that do not go to one place more, which is dropped.
  Value place = math.masked(math.ints({left}), math.positions());
  Value kept = math.part(math.scatter(math.ints(left + 1, 0), place, dims), 0, left);
  SymDims bound = math.bound(math.concat({math.masked(math.one, dims), math.masked(dims, math.one), kept}));
  n.failed |= math.hasFailed();
  if (n.failed)
    return result;
  SymDims pairs;
  for (int64_t d = 0; d < rank; ++d)
    pairs.append({bound[d], bound[rank + d]});
  result.x = n.reshape(x, pairs);
  result.outer.assign(bound.begin(), bound.begin() + rank);
  result.kept.assign(bound.begin() + 2 * rank, bound.end());
  return result;
}

Value ds::importer::aroundAxis(Node &n, Value x, Value axis) {
  int64_t rank = n.rank(x), count = lengthOf(n, axis, "axis");
  if (n.failed)
    return {};
  if (count != 1 || rank == 0)
    return n.fail("needs one axis of a tensor of rank 1 or more");
  AxesArithmetic math(n, axis, rank);
  Value dims = math.dimsOf(x), index = math.ints(span(0, rank));
  auto along = [&](Value condition) { return math.product(math.select(condition, dims, math.one)); };
  SymDims bound = math.bound(math.concat({along(math.less(index, math.axes)),
                                          math.product(math.masked(dims, math.one)), // which checks the axis
                                          along(math.less(math.axes, index))}));
  n.failed |= math.hasFailed();
  return n.failed ? Value() : n.reshape(x, bound);
}

SymDims ds::importer::dimsWith(Node &n, Value x, Value axis, const SymExpr &size) {
  if (lengthOf(n, axis, "axis") != 1)
    return n.fail("needs one axis"), SymDims();
  AxesArithmetic math(n, axis, n.rank(x));
  Value own = n.shapeValue({size});
  if (n.failed)
    return {};
  SymDims dims = math.bound(math.masked(own, math.dimsOf(x)));
  n.failed |= math.hasFailed();
  return dims;
}

SymDims ds::importer::insertedOnes(Node &n, Value x, Value axes) {
  int64_t rank = n.rank(x), count = lengthOf(n, axes, "axes");
  if (n.failed)
    return {};
  if (rank == 0)
    return SymDims(count, SymExpr(1));
  AxesArithmetic math(n, axes, rank + count);
  Value at = math.min(math.positions(), math.ints({rank - 1}));
  Value own = math.make<GatherOp>(n.b.getI64Type(), math.dimsOf(x), at, 0);
  SymDims bound = math.bound(math.masked(math.one, own));
  n.failed |= math.hasFailed();
  return bound;
}

Value ds::importer::padsOfAllAxes(Node &n, Value pads, Value axes, int64_t rank) {
  int64_t count = lengthOf(n, axes, "axes");
  pads = n.withCount(pads, 2 * count);
  if (!n.failed && lengthOf(n, pads, "pads") != 2 * count)
    n.fail("needs two pads for each of " + Twine(count) + " axes");
  if (n.failed)
    return {};
  AxesArithmetic math(n, axes, rank);
  Value list = math.asList(pads);
  auto spread = [&](int64_t first) {
    return math.scatter(math.ints(rank, 0), math.axes, math.part(list, first, count));
  };
  Value all = math.concat({spread(0), spread(count)});
  n.failed |= math.hasFailed();
  return n.failed ? Value() : all;
}
