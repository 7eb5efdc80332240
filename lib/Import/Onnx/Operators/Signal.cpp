//===- Signal.cpp - Fourier transforms ------------------------------------===//
// Assumes: see Node.h.
// Guarantees: a transform is a product with the matrix of its roots of unity, which is a constant where the length is
//   known and exact where sines and cosines are 0 or 1.
// Declines: axes that decide a result's size and are computed while the model runs.

#include "../DataShapes.h"

#include "dialects/ds/fold/Elements.h"

#include <cmath>

using namespace llvm;
using namespace ds;
using namespace ds::importer;

namespace {
/// length points in, `bins` out, or the other way round for the inverse.
struct Transform {
  SymExpr length;
  bool inverse = false, onesided = false;
  bool complexIn = false;
  SymExpr bins() const { return onesided ? SymExpr::floorDiv(length, 2) + SymExpr(1) : length; }
  SymExpr rows() const { return inverse ? bins() : length; }
  SymExpr columns() const { return inverse ? length : bins(); }
  bool complexOut() const { return !(inverse && onesided); }
};
} // namespace

/// cos(2 pi k / n), exact at multiples of a quarter turn.
static double cosine(int64_t k, int64_t n) {
  k %= n;
  if (2 * k > n)
    k = n - k;
  if (4 * k == n)
    return 0;
  return 4 * k > n ? -cosine(n - 2 * k, 2 * n) : std::cos(2 * M_PI * double(k) / double(n));
}
static double sine(int64_t k, int64_t n) { return cosine(4 * (k % n) + 3 * n, 4 * n); }

/// How often a bin of half a spectrum counts: the others stand for their mirror image too.
static double mirrored(const Transform &t, int64_t bin, int64_t length) {
  return t.inverse && t.onesided && bin != 0 && 2 * bin != length ? 2 : 1;
}

/// cosines [rows, columns], then sines, scaled for the inverse.
static std::pair<Value, Value> constantRoots(Node &n, const Transform &t, Type type) {
  int64_t length = t.length.getConst(), rows = t.rows().getConst(), columns = t.columns().getConst();
  std::vector<double> cosines, sines;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double scale = t.inverse ? mirrored(t, i, length) / double(length) : 1;
      cosines.push_back(scale * cosine(i * j % length, length));
      sines.push_back(scale * sine(i * j % length, length));
    }
  auto tensor = mlir::RankedTensorType::get({rows, columns}, type);
  return {n.constant(makeFloatElements(tensor, cosines)), n.constant(makeFloatElements(tensor, sines))};
}

static std::pair<Value, Value> computedRoots(Node &n, const Transform &t, Type result) {
  // In f64, so that what should be 0 or 1 rounds to it.
  Type i64 = n.b.getI64Type(), type = n.b.getF64Type();
  Value row = n.reshape(n.iota(t.rows()), {t.rows(), SymExpr(1)});
  Value length = n.shapeValue({t.length}, /*isScalar=*/true);
  // The product is reduced as an integer: large angles lose no digits.
  Value turns = n.make<ModOp>({n.mul(row, n.iota(t.columns())), length});
  Value angle = n.mul(n.div(n.cast(turns, type), n.cast(length, type)), 2 * M_PI);
  Value cosines = n.make<CosOp>({angle}), sines = n.make<SinOp>({angle});
  if (!t.inverse)
    return {n.cast(cosines, result), n.cast(sines, result)};
  Value scale = n.div(n.scalar(1, type), n.cast(length, type));
  if (t.onesided) {
    Value twice = n.mul(row, n.intScalar(2, i64));
    Value once = n.make<OrOp>(
        {n.compare(ComparePredicate::eq, row, n.intScalar(0, i64)), n.compare(ComparePredicate::eq, twice, length)}, {},
        n.b.getI1Type());
    scale = n.mul(n.select(once, n.scalar(1, type), n.scalar(2, type)), scale);
  }
  return {n.cast(n.mul(cosines, scale), result), n.cast(n.mul(sines, scale), result)};
}

/// Transforms dim -2 of x, [..., rows, 1 or 2], to [..., columns, 1 or 2].
static Value transform(Node &n, Value x, const Transform &t) {
  if (n.failed)
    return {};
  Type type = n.elem(x);
  int64_t last = int64_t(n.rank(x)) - 1;
  Type computed = type == n.b.getF64Type() ? type : Type(n.b.getF32Type());
  auto [cosines, sines] = t.length.isConst() ? constantRoots(n, t, computed) : computedRoots(n, t, computed);
  Value wide = n.cast(x, computed);
  Value real = n.squeeze(n.sliceAxis(wide, last, SymExpr(0), SymExpr(1)), {last});
  // re + i im times cos -+ i sin.
  Value re = n.matmul(real, cosines), im;
  if (t.complexIn) {
    Value imaginary = n.squeeze(n.sliceAxis(wide, last, SymExpr(1), SymExpr(1)), {last});
    Value cross = n.matmul(imaginary, sines);
    re = t.inverse ? n.sub(re, cross) : n.add(re, cross);
    if (t.complexOut()) {
      Value own = n.matmul(imaginary, cosines), other = n.matmul(real, sines);
      im = t.inverse ? n.add(own, other) : n.sub(own, other);
    }
  } else if (t.complexOut()) {
    im = n.matmul(real, sines);
    im = t.inverse ? im : n.make<NegOp>({im});
  }
  re = n.unsqueeze(re, {last});
  return n.cast(im ? n.concat({re, n.unsqueeze(im, {last})}, last) : re, type);
}

/// Makes dim `axis` `size` long: cut, or zeros after it.
static Value fit(Node &n, Value x, int64_t axis, const SymExpr &size) {
  SymExpr own = n.dim(x, axis);
  if (own == size)
    return x;
  SymDims low(n.rank(x), SymExpr(0)), high(n.rank(x), SymExpr(0));
  high[axis] = size - own; // negative: removed
  return n.padConstant(x, low, high);
}

static Value alongAxis(Node &n, Value x, int64_t axis, Transform t, std::optional<SymExpr> length) {
  if (n.failed)
    return {};
  SymExpr own = n.dim(x, axis);
  // Half a spectrum came from twice as many points.
  t.length = length ? *length : t.inverse && t.onesided ? SymExpr(2) * (own - SymExpr(1)) : own;
  x = fit(n, x, axis, t.rows());
  Ints perm = span(0, n.rank(x));
  std::swap(perm[axis], perm[perm.size() - 2]);
  return n.transpose(transform(n, n.transpose(x, perm), t), perm);
}

static bool isComplex(Node &n, Value x) {
  int64_t parts = n.staticDim(x, n.rank(x) - 1, "the input");
  if (!n.failed && parts != 1 && parts != 2)
    n.fail("the last dimension must be 1 (real) or 2 (complex), not " + Twine(parts));
  return parts == 2;
}

static std::optional<SymExpr> lengthInput(Node &n, unsigned i, StringRef what) {
  if (!n.has(i))
    return std::nullopt;
  SmallVector<SymExpr> length = sizesOf(n, n.in(i), what);
  if (!n.failed && length.size() != 1)
    n.fail("'" + what + "' must be one number, not " + Twine(length.size()));
  return n.failed ? std::nullopt : std::optional(length[0]);
}

static void dft(Node &n) {
  Value x = n.in(0);
  int64_t rank = n.rank(x);
  if (rank < 2)
    return (void)n.fail("needs a tensor of rank 2 or more");
  Transform t;
  t.inverse = n.getInt("inverse", 0) != 0;
  t.onesided = n.getInt("onesided", 0) != 0;
  t.complexIn = isComplex(n, x);
  if (t.onesided && !t.inverse && t.complexIn)
    return (void)n.fail("half a spectrum needs a real input");
  std::optional<SymExpr> length = lengthInput(n, 1, "dft_length");
  if (n.failed)
    return;
  Value axisInput = n.opset >= 20 ? n.in(2) : Value();
  if (axisInput && !n.constantInts(axisInput)) {
    if (t.onesided || length)
      return (void)n.needsDynamic("'axis' is computed while the model runs and decides the result's dimensions");
    return n.set(0, n.forAxis(axisInput, rank, [&](int64_t axis) {
      return axis == rank - 1 ? Value() : alongAxis(n, x, axis, t, length);
    }));
  }
  int64_t given = axisInput ? n.requireInt(axisInput, "axis") : n.getInt("axis", n.opset >= 20 ? -2 : 1);
  int64_t axis = n.axis(given, rank);
  if (axis == rank - 1)
    return (void)n.fail("the axis must not be the last one, which holds real and imaginary parts");
  n.set(0, alongAxis(n, x, axis, t, length));
}

/// Frames of a signal [B, L, 1 or 2], a window over each, transformed: [B, frames, bins, 2].
static void stft(Node &n) {
  Value signal = n.in(0), window = n.in(2);
  if (n.rank(signal) == 2) // [B, L], as PyTorch's exporter writes it
    signal = n.unsqueeze(signal, {2});
  if (n.rank(signal) != 3)
    return (void)n.fail("needs a signal of rank 2 or 3");
  Transform t;
  t.complexIn = isComplex(n, signal);
  t.onesided = n.getInt("onesided", 1) != 0 && !t.complexIn;
  std::optional<SymExpr> step = lengthInput(n, 1, "frame_step"), length = lengthInput(n, 3, "frame_length");
  if (n.failed)
    return;
  if (!length && !window)
    return (void)n.fail("needs a window or a frame length");
  if (step->isConst() && step->getConst() < 1)
    return (void)n.fail("the frame step must be positive, not " + step->str());
  t.length = length ? *length : n.dim(window, 0);
  SymExpr frames = SymExpr::floorDiv(n.dim(signal, 1) - t.length, *step) + SymExpr(1);
  Value first = n.mul(n.iota(frames), n.shapeValue({*step}, /*isScalar=*/true));
  Value index = n.add(n.reshape(first, {frames, SymExpr(1)}), n.iota(t.length));
  Value framed = n.make<GatherOp>({signal, index}, {n.i64("axis", 1)});
  if (window)
    framed = n.mul(framed, n.reshape(window, {t.length, SymExpr(1)}));
  n.set(0, transform(n, framed, t));
}

void ds::importer::registerSignal(Registry &r) {
  r.add("DFT", dft);
  r.add("STFT", stft);
}
