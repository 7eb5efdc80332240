//===- Pooling.cpp - Pools ------------------------------------------------===//
// Assumes: see Node.h.
// Guarantees: global pools are reductions; Lp pools are average pools of powers.
// Declines: average pools with SAME padding that depends on a symbolic size; Lp pools that round their size up.

#include "../DataShapes.h"
#include "Windows.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static SmallVector<mlir::NamedAttribute> windowAttrs(Node &n, const Window &w) {
  SmallVector<mlir::NamedAttribute> attrs{n.i64s("kernel", w.kernel), n.i64s("strides", w.strides),
                                          n.i64s("pads_low", w.low), n.i64s("pads_high", w.high),
                                          n.i64s("dilations", w.dilations)};
  if (n.getInt("ceil_mode", 0))
    attrs.push_back(n.unit("ceil_mode"));
  return attrs;
}

/// The least value of a type, which no maximum prefers.
static Value lowest(Node &n, Type element) {
  return n.scalar(isa<mlir::FloatType>(element) ? -std::numeric_limits<double>::infinity() : -0x1p63, element);
}

static void maxPool(Node &n) {
  Value x = n.in(0);
  std::optional<Window> window = readWindow(n, x);
  if (!window)
    return;
  SmallVector<mlir::NamedAttribute> attrs = windowAttrs(n, *window);
  if (window->symbolic && n.wants(1))
    return (void)n.fail("indices with SAME padding need spatial dimensions that are known when the model is compiled");
  if (window->symbolic)
    x = applySymbolicPadding(n, x, *window, lowest(n, n.elem(x)));
  if (n.getInt("storage_order", 0))
    attrs.push_back(n.unit("column_major"));
  SmallVector<Type> types{n.elem(x)};
  if (n.wants(1))
    types.push_back(n.b.getI64Type());
  SmallVector<Value> results = n.makeMany<MaxPoolOp>(types, {x}, attrs);
  n.set(0, results[0]);
  if (n.wants(1))
    n.set(1, results[1]);
}

static void averagePool(Node &n) {
  Value x = n.in(0);
  std::optional<Window> window = readWindow(n, x);
  if (!window)
    return;
  bool includePad = n.getInt("count_include_pad", 0) != 0;
  if (window->symbolic && !includePad)
    return (void)n.needsDynamic("SAME padding of an average pool depends on a symbolic size");
  SmallVector<mlir::NamedAttribute> attrs = windowAttrs(n, *window);
  if (includePad)
    attrs.push_back(n.unit("count_include_pad"));
  n.set(0, n.make<AvgPoolOp>({applySymbolicPadding(n, x, *window)}, attrs));
}

static Value power(Node &n, Value x, double exponent) {
  if (exponent == 1)
    return x;
  if (exponent == 2)
    return n.mul(x, x);
  if (exponent == 0.5)
    return n.make<SqrtOp>({x});
  return n.make<PowOp>({x, n.scalar(exponent, n.elem(x))});
}

/// p was a float in operator set 1.
static double normOrder(Node &n) { return n.opset < 2 ? n.getFloat("p", 2) : double(n.getInt("p", 2)); }

static void lpPool(Node &n) {
  Value x = n.in(0);
  double p = normOrder(n);
  std::optional<Window> window = readWindow(n, x);
  if (!window)
    return;
  if (n.getInt("ceil_mode", 0))
    return (void)n.fail("an Lp pool with ceil_mode is not supported");
  double count = 1;
  for (int64_t size : window->kernel)
    count *= double(size);
  SmallVector<mlir::NamedAttribute> attrs = windowAttrs(n, *window);
  attrs.push_back(n.unit("count_include_pad"));
  Value powers = applySymbolicPadding(n, power(n, n.make<AbsOp>({x}), p), *window);
  n.set(0, power(n, n.mul(n.make<AvgPoolOp>({powers}, attrs), count), 1 / p));
}

/// Each value goes to where its maximum was, given as a flat index into the result; the rest is 0.
static void maxUnpool(Node &n) {
  Value x = n.in(0), index = n.in(1);
  if (n.rank(x) < 3)
    return (void)n.fail("needs a tensor of rank 3 or more");
  Ints kernel = n.getInts("kernel_shape"), strides = n.getInts("strides"), pads = n.getInts("pads");
  unsigned spatial = n.rank(x) - 2;
  strides.resize(spatial, 1);
  pads.resize(2 * spatial, 0);
  if (kernel.size() != spatial)
    return (void)n.fail("needs one kernel size a spatial dimension");
  SymDims dims = n.dims(x), result = dims;
  for (unsigned d = 0; d < spatial; ++d)
    result[2 + d] = (dims[2 + d] - SymExpr(1)) * SymExpr(strides[d]) + SymExpr(kernel[d] - pads[d] - pads[spatial + d]);
  SymDims wanted = result;
  if (n.has(2)) {
    SmallVector<SymExpr> given = sizesOf(n, n.in(2), "output_shape");
    if (!n.failed && given.size() != dims.size())
      n.fail("'output_shape' has " + Twine(given.size()) + " entries for rank " + Twine(dims.size()));
    if (n.failed)
      return;
    wanted.assign(given.begin(), given.end());
  }
  Value zeros = n.fill({product(result)}, 0, n.elem(x));
  auto none = n.attr("reduction", ScatterReductionAttr::get(n.b.getContext(), ScatterReduction::none));
  SymDims flat{product(dims)};
  Value filled =
      n.make<ScatterElementsOp>({zeros, n.reshape(index, flat), n.reshape(x, flat)}, {n.i64("axis", 0), none});
  // A larger output has the image at its start; indices count in the image.
  SymDims low(dims.size(), SymExpr(0)), high;
  for (auto [from, to] : zip_equal(result, wanted))
    high.push_back(to - from);
  Value image = n.reshape(filled, result);
  n.set(0, wanted == result ? image : n.padConstant(image, low, high));
}

static Ints spatialAxes(Node &n) {
  if (n.rank(n.in(0)) < 3)
    n.fail("needs a tensor of rank 3 or more");
  return span(2, n.rank(n.in(0)));
}

template <typename OpT> static void globalPool(Node &n) {
  n.set(0, n.reduce<OpT>(n.in(0), spatialAxes(n), /*keepdims=*/true));
}

static void globalLpPool(Node &n) {
  double p = normOrder(n);
  Value sum = n.reduce<ReduceSumOp>(power(n, n.make<AbsOp>({n.in(0)}), p), spatialAxes(n), /*keepdims=*/true);
  n.set(0, power(n, sum, 1 / p));
}

void ds::importer::registerPooling(Registry &r) {
  r.add("MaxPool", maxPool);
  r.add("AveragePool", averagePool);
  r.add("LpPool", inSingle<lpPool>);
  r.add("MaxUnpool", maxUnpool);
  r.add("GlobalAveragePool", globalPool<ReduceMeanOp>);
  r.add("GlobalMaxPool", globalPool<ReduceMaxOp>);
  r.add("GlobalLpPool", inSingle<globalLpPool>);
}
