//===- Indexing.cpp - Gathers, scatters and selections --------------------===//
// Assumes: see Node.h.
// Guarantees: axes normalized; depths and counts that are known become attributes.
// Declines: results whose size depends on data.

#include "../DataShapes.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static void gather(Node &n) {
  int64_t axis = n.axis(n.getInt("axis", 0), n.rank(n.in(0)));
  n.set(0, n.make<GatherOp>({n.in(0), n.in(1)}, {n.i64("axis", axis)}));
}

static void gatherElements(Node &n) {
  int64_t axis = n.axis(n.getInt("axis", 0), n.rank(n.in(0)));
  n.set(0, n.make<GatherElementsOp>({n.in(0), n.in(1)}, {n.i64("axis", axis)}));
}

/// The last dimension of the indices says how many dimensions they index.
static bool knowsDepth(Node &n) {
  return n.rank(n.in(1)) == 0 || n.knowsDim(n.in(1), n.rank(n.in(1)) - 1, "the indices");
}

static void gatherNd(Node &n) {
  if (!knowsDepth(n))
    return;
  n.set(0, n.make<GatherNdOp>({n.in(0), n.in(1)}, {n.i64("batch_dims", n.getInt("batch_dims", 0))}));
}

static std::optional<mlir::NamedAttribute> reduction(Node &n) {
  std::string name = n.getString("reduction", "none");
  std::optional<ScatterReduction> kind = symbolizeScatterReduction(name);
  if (!kind) {
    n.fail("reduction '" + name + "' is unknown");
    return std::nullopt;
  }
  if (n.isString(n.in(0)) && *kind != ScatterReduction::none) {
    n.fail("reduction '" + name + "' is not defined for strings");
    return std::nullopt;
  }
  return n.attr("reduction", ScatterReductionAttr::get(n.b.getContext(), *kind));
}

static void scatterElements(Node &n) {
  int64_t axis = n.axis(n.getInt("axis", 0), n.rank(n.in(0)));
  if (auto kind = reduction(n))
    n.set(0, n.make<ScatterElementsOp>({n.in(0), n.in(1), n.in(2)}, {n.i64("axis", axis), *kind}));
}

static void scatterNd(Node &n) {
  if (!knowsDepth(n))
    return;
  if (auto kind = reduction(n))
    n.set(0, n.make<ScatterNdOp>({n.in(0), n.in(1), n.in(2)}, {*kind}));
}

static void oneHot(Node &n) {
  Value depth = n.in(1);
  int64_t axis = n.axis(n.getInt("axis", -1), n.rank(n.in(0)) + 1);
  std::optional<SymExpr> size = n.shapes.getScalar(depth);
  if (!size)
    if (std::optional<SmallVector<double>> known = n.constantDoubles(depth); known && known->size() == 1)
      size = SymExpr(int64_t((*known)[0]));
  if (!size) {
    SmallVector<SymExpr> bound = sizesOf(n, n.withCount(depth, 1), "depth");
    if (n.failed || bound.size() != 1)
      return (void)n.fail("needs one 'depth'");
    size = bound[0];
  }
  n.set(0, n.make<OneHotOp>({n.in(0), n.in(2)}, {n.i64("axis", axis), n.shape("size", {*size}), n.segments({1, 0, 1})},
                            n.elem(n.in(2))));
}

static void reverseSequence(Node &n) {
  int64_t rank = n.rank(n.in(0));
  n.set(0, n.make<ReverseSequenceOp>({n.in(0), n.in(1)}, {n.i64("batch_axis", n.axis(n.getInt("batch_axis", 1), rank)),
                                                          n.i64("time_axis", n.axis(n.getInt("time_axis", 0), rank))}));
}

static void topK(Node &n) {
  Value x = n.in(0);
  SmallVector<mlir::NamedAttribute> attrs{n.i64("axis", n.axis(n.getInt("axis", -1), n.rank(x)))};
  std::optional<SymExpr> count;
  if (n.opset < 10)
    count = SymExpr(n.getInt("k", 0));
  else
    count = n.shapes.getScalar(n.in(1));
  if (!count) {
    SmallVector<SymExpr> bound = sizesOf(n, n.withCount(n.in(1), 1), "k");
    if (n.failed || bound.size() != 1)
      return (void)n.fail("needs one 'k'");
    count = bound[0];
  }
  attrs.push_back(n.shape("count", {*count}));
  if (!n.getInt("largest", 1))
    attrs.push_back(n.unit("smallest"));
  if (n.getInt("sorted", 1))
    attrs.push_back(n.unit("sorted"));
  SmallVector<Value> results = n.makeMany<TopKOp>({n.elem(x), n.b.getI64Type()}, {x}, attrs);
  n.set(0, results[0]);
  n.set(1, results[1]);
}

template <typename OpT> static void argSelect(Node &n) {
  Value x = n.in(0);
  SmallVector<mlir::NamedAttribute> attrs{n.i64("axis", n.axis(n.getInt("axis", 0), n.rank(x)))};
  if (n.getInt("keepdims", 1))
    attrs.push_back(n.unit("keepdims"));
  if (n.getInt("select_last_index", 0))
    attrs.push_back(n.unit("select_last"));
  n.set(0, n.make<OpT>({x}, attrs, n.b.getI64Type()));
}

template <typename OpT> static void cumulative(Node &n) {
  Value x = n.in(0);
  bool known = n.constantInts(n.in(1)).has_value();
  SmallVector<mlir::NamedAttribute> attrs;
  attrs.push_back(n.i64("axis", known ? n.axis(n.requireInt(n.in(1), "axis"), n.rank(x)) : 1));
  if (n.getInt("exclusive", 0))
    attrs.push_back(n.unit("exclusive"));
  if (n.getInt("reverse", 0))
    attrs.push_back(n.unit("reverse"));
  if (known)
    return n.set(0, n.make<OpT>({x}, attrs));
  Value result = n.make<OpT>({aroundAxis(n, x, n.in(1))}, attrs);
  n.set(0, n.failed ? Value() : n.reshape(result, n.dims(x)));
}

/// Rows of `update` go to `cache` from each batch's own index on, in a circle if asked for.
static void tensorScatter(Node &n) {
  Value cache = n.in(0), update = n.in(1), start = n.in(2);
  int64_t rank = n.rank(cache), axis = n.axis(n.getInt("axis", -2), rank);
  std::string mode = n.getString("mode", "linear");
  if (rank < 2 || int64_t(n.rank(update)) != rank || axis == 0)
    return (void)n.fail("needs a cache and an update of the same rank, at least 2, and an axis other than the batch's");
  if (mode != "linear" && mode != "circular")
    return (void)n.fail("mode '" + mode + "' is unknown");
  SymDims along(rank, SymExpr(1)), batch(rank, SymExpr(1));
  along[axis] = n.dim(update, axis);
  batch[0] = n.dim(update, 0);
  Value index = n.reshape(n.iota(along[axis]), along);
  if (start)
    index = n.add(index, n.reshape(start, batch));
  if (mode == "circular")
    index = n.make<ModOp>({index, n.shapeValue({n.dim(cache, axis)}, /*isScalar=*/true)});
  auto none = n.attr("reduction", ScatterReductionAttr::get(n.b.getContext(), ScatterReduction::none));
  n.set(0, n.make<ScatterElementsOp>({cache, n.expand(index, n.dims(update)), update}, {n.i64("axis", axis), none}));
}

/// One along `axis` where the (first) maximum is, zero elsewhere.
static void hardmax(Node &n) {
  Value x = n.in(0);
  SymDims original = n.dims(x);
  int64_t axis = n.axis(n.getInt("axis", n.opset < 13 ? 1 : -1), n.rank(x));
  if (n.opset < 13 && !n.failed) { // the trailing dims were one
    ArrayRef<SymExpr> dims(original);
    x = n.reshape(x, {product(dims.take_front(axis)), product(dims.drop_front(axis))});
    axis = 1;
  }
  Value index = n.make<ArgMaxOp>({x}, {n.i64("axis", axis)}, n.b.getI64Type());
  auto values =
      mlir::DenseElementsAttr::get(mlir::RankedTensorType::get({2}, n.b.getF64Type()), ArrayRef<double>{0, 1});
  Value offOn = n.cast(n.constant(values), n.elem(x));
  Value result = n.make<OneHotOp>(
      {index, offOn}, {n.i64("axis", axis), n.shape("size", {n.dim(x, axis)}), n.segments({1, 0, 1})}, n.elem(x));
  n.set(0, n.reshape(result, original));
}

void ds::importer::registerIndexing(Registry &r) {
  r.add("Gather", gather);
  r.add("GatherElements", gatherElements);
  r.add("GatherND", gatherNd);
  r.add("Scatter", scatterElements);
  r.add("ScatterElements", scatterElements);
  r.add("ScatterND", scatterNd);
  r.add("OneHot", oneHot);
  r.add("ReverseSequence", reverseSequence);
  r.add("TopK", topK);
  r.add("ArgMax", argSelect<ArgMaxOp>);
  r.add("ArgMin", argSelect<ArgMinOp>);
  r.add("CumSum", cumulative<CumSumOp>);
  r.add("CumProd", cumulative<CumProdOp>);
  r.add("TensorScatter", tensorScatter);
  r.add("Hardmax", hardmax);
}
