//===- Quantization.cpp - Integers with a scale and a zero point ----------===//
// Assumes: see Node.h.
// Guarantees: integer products are computed in i32 after the zero points are subtracted.
// Declines: small floats that do not saturate.

#include "../Types.h"
#include "Windows.h"

#include "dialects/ds/element/SmallFloats.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static SmallVector<mlir::NamedAttribute> blockAttrs(Node &n, Value x, Value scale) {
  SmallVector<mlir::NamedAttribute> attrs;
  // The axis means nothing for one scale.
  if (n.rank(scale) == 0 || (n.rank(scale) == 1 && n.dim(scale, 0).isConst(1)))
    return attrs;
  attrs.push_back(n.i64("axis", n.axis(n.getInt("axis", 1), n.rank(x))));
  if (int64_t block = n.getInt("block_size", 0))
    attrs.push_back(n.i64("block_size", block));
  return attrs;
}

/// The zero point with the scale's dims: one element may be of rank 0 or 1.
static Value zeroPoint(Node &n, Value scale) {
  if (!n.has(2))
    return {};
  bool single = n.rank(n.in(2)) != n.rank(scale) && product(n.dims(scale)).isConst(1);
  return single ? n.reshape(n.in(2), n.dims(scale)) : n.in(2);
}

static void quantize(Node &n) {
  Value x = n.in(0), scale = n.in(1), zero = zeroPoint(n, scale);
  Type element = zero ? n.elem(zero) : n.b.getIntegerType(8, /*isSigned=*/false);
  if (int64_t code = zero ? 0 : n.getInt("output_dtype", 0)) {
    element = elementType(n.b.getContext(), int(code));
    if (!element)
      return (void)n.fail("element type " + onnxTypeName(int(code)) + " is not supported");
  }
  if (SmallFloat::get(element) && !n.getInt("saturate", 1))
    return (void)n.fail("saturate=0 is not supported");
  // The quotient is of the scale's type, where nothing else is asked for.
  if (int64_t code = n.getInt("precision", 0)) {
    Type precision = elementType(n.b.getContext(), int(code));
    if (!isa_and_nonnull<mlir::FloatType>(precision))
      return (void)n.fail("precision " + onnxTypeName(int(code)) + " is not supported");
    x = n.cast(x, precision);
    scale = n.cast(scale, precision);
  }
  SmallVector<Value> operands{x, scale};
  if (zero)
    operands.push_back(zero);
  n.set(0, n.make<QuantizeLinearOp>(operands, blockAttrs(n, x, scale), element));
}

static void dequantize(Node &n) {
  Value x = n.in(0), scale = n.in(1);
  Type element = n.elem(scale);
  if (int64_t code = n.getInt("output_dtype", 0)) {
    element = elementType(n.b.getContext(), int(code));
    if (!element)
      return (void)n.fail("element type " + onnxTypeName(int(code)) + " is not supported");
  }
  if (n.elem(x).isInteger(32)) {
    // Accumulators have no zero point other than 0: a product.
    SmallVector<mlir::NamedAttribute> attrs = blockAttrs(n, x, scale);
    Value factor = scale;
    if (attrs.size() == 1) {
      int64_t axis = n.axis(n.getInt("axis", 1), n.rank(x));
      SymDims dims(n.rank(x), SymExpr(1));
      dims[axis] = n.dim(scale, 0);
      factor = n.reshape(scale, dims);
    }
    if (attrs.size() < 2)
      return n.set(0, n.cast(n.mul(n.cast(x, n.elem(scale)), factor), element));
  }
  SmallVector<Value> operands{x, scale};
  if (n.has(2))
    operands.push_back(zeroPoint(n, scale));
  n.set(0, n.make<DequantizeLinearOp>(operands, blockAttrs(n, x, scale), element));
}

/// `x` as i32 without its zero point, which is one element or one an entry of `axis`.
static Value centered(Node &n, Value x, Value zero, int64_t axis) {
  Type i32 = n.b.getI32Type();
  Value wide = n.cast(x, i32);
  if (!zero)
    return wide;
  zero = n.cast(zero, i32);
  if (n.rank(zero) == 1 && !n.dim(zero, 0).isConst(1)) {
    SymDims dims(n.rank(x), SymExpr(1));
    dims[axis] = n.dim(zero, 0);
    zero = n.reshape(zero, dims);
  } else if (n.rank(zero) == 1) {
    zero = n.reshape(zero, {});
  }
  return n.sub(wide, zero);
}

static int64_t rowAxis(Node &n, Value a) { return std::max<int64_t>(int64_t(n.rank(a)) - 2, 0); }
static int64_t columnAxis(Node &n, Value c) { return std::max<int64_t>(int64_t(n.rank(c)) - 1, 0); }

static void matmulInteger(Node &n) {
  Value a = n.in(0), c = n.in(1);
  if (n.rank(a) < 1 || n.rank(c) < 1)
    return (void)n.fail("needs tensors of rank 1 or more");
  n.set(0, n.matmul(centered(n, a, n.in(2), rowAxis(n, a)), centered(n, c, n.in(3), columnAxis(n, c))));
}

/// A factor of an i32 result: one element, or one an entry of `axis` of a result of `rank` dims.
static Value factorAlong(Node &n, Value scale, int64_t axis, int64_t rank) {
  if (n.rank(scale) == 1 && !n.dim(scale, 0).isConst(1)) {
    SymDims dims(rank, SymExpr(1));
    dims[axis] = n.dim(scale, 0);
    return n.reshape(scale, dims);
  }
  return n.rank(scale) == 1 ? n.reshape(scale, {}) : scale;
}

/// acc * (scale of a * scale of b), quantized by the output's scale.
static Value requantize(Node &n, Value acc, Value scaleA, Value scaleB, Value scaleY, Value zeroY) {
  Type f32 = n.b.getF32Type();
  Value real = n.mul(n.cast(acc, f32), n.mul(n.cast(scaleA, f32), n.cast(scaleB, f32)));
  return n.make<QuantizeLinearOp>({real, n.cast(scaleY, f32), zeroY}, {}, n.elem(zeroY));
}

static void qlinearMatmul(Node &n) {
  Value a = n.in(0), c = n.in(3);
  if (n.rank(a) < 1 || n.rank(c) < 1)
    return (void)n.fail("needs tensors of rank 1 or more");
  Value acc = n.matmul(centered(n, a, n.in(2), rowAxis(n, a)), centered(n, c, n.in(5), columnAxis(n, c)));
  int64_t rank = n.rank(acc);
  Value scaleA = factorAlong(n, n.in(1), std::max<int64_t>(rank - 2, 0), rank);
  Value scaleB = factorAlong(n, n.in(4), std::max<int64_t>(rank - 1, 0), rank);
  n.set(0, requantize(n, acc, scaleA, scaleB, n.in(6), n.in(7)));
}

static Value integerConv(Node &n, Value x, Value zeroX, Value w, Value zeroW, Value bias) {
  if (n.rank(w) < 3 || n.rank(x) != n.rank(w))
    return n.fail("the input has rank " + Twine(n.rank(x)) + " and the weights have rank " + Twine(n.rank(w)) +
                  "; both must be equal and at least 3");
  Ints kernel;
  for (unsigned i = 2; i < n.rank(w); ++i)
    kernel.push_back(n.staticDim(w, i, "the weights"));
  std::optional<Window> window = readWindow(n, x, kernel);
  if (!window || n.failed)
    return {};
  SmallVector<Value> operands{applySymbolicPadding(n, centered(n, x, zeroX, 1), *window), centered(n, w, zeroW, 0)};
  if (bias)
    operands.push_back(bias);
  return n.make<ConvOp>(operands, {n.i64s("strides", window->strides), n.i64s("pads_low", window->low),
                                   n.i64s("pads_high", window->high), n.i64s("dilations", window->dilations),
                                   n.i64("group", n.getInt("group", 1))});
}

static void convInteger(Node &n) { n.set(0, integerConv(n, n.in(0), n.in(2), n.in(1), n.in(3), {})); }

static void qlinearConv(Node &n) {
  Value acc = integerConv(n, n.in(0), n.in(2), n.in(3), n.in(5), n.in(8));
  if (n.failed)
    return;
  Value scaleX = factorAlong(n, n.in(1), 1, n.rank(acc)), scaleW = factorAlong(n, n.in(4), 1, n.rank(acc));
  n.set(0, requantize(n, acc, scaleX, scaleW, n.in(6), n.in(7)));
}

/// Scale and zero point from the range of x, which is widened to hold 0; for uint8.
static void dynamicQuantize(Node &n) {
  Value x = n.in(0);
  Type f32 = n.elem(x), u8 = n.b.getIntegerType(8, /*isSigned=*/false);
  Ints axes = span(0, n.rank(x));
  Value zero = n.scalar(0, f32);
  Value high = n.maximum(n.reduce<ReduceMaxOp>(x, axes, false), zero);
  Value low = n.minimum(n.reduce<ReduceMinOp>(x, axes, false), zero);
  Value scale = n.div(n.sub(high, low), 255.0);
  // All zeros: any scale will do, but 0/0 must not occur.
  Value safe = n.select(n.compare(ComparePredicate::eq, scale, zero), n.scalar(1, f32), scale);
  Value point = n.make<RoundOp>({n.div(n.make<NegOp>({low}), safe)});
  point = n.cast(n.minimum(n.maximum(point, zero), n.scalar(255, f32)), u8);
  n.set(0, n.make<QuantizeLinearOp>({x, safe, point}, {}, u8));
  n.set(1, scale);
  n.set(2, point);
}

void ds::importer::registerQuantization(Registry &r) {
  r.add("QuantizeLinear", quantize);
  r.add("DequantizeLinear", dequantize);
  r.add("MatMulInteger", matmulInteger);
  r.add("QLinearMatMul", qlinearMatmul);
  r.add("ConvInteger", convInteger);
  r.add("QLinearConv", qlinearConv);
  r.add("DynamicQuantizeLinear", dynamicQuantize);
}
