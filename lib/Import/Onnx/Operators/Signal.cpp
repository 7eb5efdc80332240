//===- Signal.cpp - Fourier transforms ------------------------------------===//
// Assumes: see Node.h.
// Guarantees: a transform is one ds.dft of as many points as it has; frames and windows are ops before it, which fuse
// with it. Declines: nothing.

#include "../DataShapes.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// Makes dim `axis` `size` long: cut, or zeros after it.
static Value fit(Node &n, Value x, int64_t axis, const SymExpr &size) {
  SymExpr own = n.dim(x, axis);
  if (own == size)
    return x;
  SymDims low(n.rank(x), SymExpr(0)), high(n.rank(x), SymExpr(0));
  high[axis] = size - own; // negative: removed
  return n.padConstant(x, low, high);
}

namespace {
struct Transform {
  bool inverse = false, onesided = false;
  std::optional<SymExpr> length; ///< that of the axis otherwise
};
} // namespace

static Value alongAxis(Node &n, Value x, int64_t axis, const Transform &t) {
  if (n.failed)
    return {};
  bool toReal = t.inverse && t.onesided;
  SymExpr own = n.dim(x, axis);
  // Half a spectrum came from twice as many points.
  SymExpr length = t.length ? *t.length : toReal ? SymExpr(2) * (own - SymExpr(1)) : own;
  x = fit(n, x, axis, toReal ? SymExpr::floorDiv(length, 2) + SymExpr(1) : length);
  SmallVector<mlir::NamedAttribute> attributes{n.i64("axis", axis)};
  if (t.inverse)
    attributes.push_back(n.unit("inverse"));
  if (t.onesided)
    attributes.push_back(n.unit("onesided"));
  if (toReal)
    attributes.push_back(n.shape("length", {length}));
  return n.make<DftOp>({x}, attributes);
}

static std::optional<SymExpr> lengthInput(Node &n, unsigned i, StringRef what) {
  if (!n.has(i))
    return std::nullopt;
  SmallVector<SymExpr> length = sizesOf(n, n.in(i), what);
  if (!n.failed && length.size() != 1)
    n.fail("'" + what + "' must be one number, not " + Twine(length.size()));
  return n.failed ? std::nullopt : std::optional(length[0]);
}

/// `x` with a last dim that is known: 1 (real) or 2 (complex); one that only the run knows as a complex number, whose
/// imaginary part a real one lacks, or as the real number that half a spectrum comes from.
static Value withParts(Node &n, Value x, const Transform &t) {
  if (n.failed)
    return {};
  int64_t last = int64_t(n.rank(x)) - 1;
  bool needsReal = t.onesided && !t.inverse;
  SymExpr parts = n.dim(x, last);
  if (std::optional<int64_t> known = parts.tryConst()) {
    if (*known != 1 && *known != 2)
      return n.fail("the last dimension must be 1 (real) or 2 (complex), not " + Twine(*known));
    if (*known == 2 && needsReal)
      return n.fail("half a spectrum needs a real input, whose last dimension is 1");
    return x;
  }
  SymExpr allowed = needsReal ? SymExpr(1) : SymExpr::min(SymExpr::max(parts, SymExpr(1)), SymExpr(2));
  n.require(parts, allowed,
            needsReal ? "1 (real) as the last dimension" : "1 (real) or 2 (complex) as the last dimension");
  if (n.failed)
    return {};
  return fit(n, x, last, SymExpr(needsReal ? 1 : 2));
}

/// The axis is dim 1 of [before, axis, between, parts] while it is transformed.
static Value alongComputedAxis(Node &n, Value x, Value axis, const Transform &t) {
  Value around = aroundAxis(n, x, axis);
  if (n.failed)
    return {};
  SymDims dims = n.dims(around);
  SymExpr parts = n.dim(x, n.rank(x) - 1);
  Value y = alongAxis(n, n.reshape(around, {dims[0], dims[1], SymExpr::exactDiv(dims[2], parts), parts}), 1, t);
  if (n.failed)
    return {};
  SymDims result = dimsWith(n, x, axis, n.dim(y, 1));
  if (n.failed)
    return {};
  result.back() = n.dim(y, 3);
  return n.reshape(y, result);
}

static void dft(Node &n) {
  Value x = n.in(0);
  int64_t rank = n.rank(x);
  if (rank < 2)
    return (void)n.fail("needs a tensor of rank 2 or more");
  Transform t;
  t.inverse = n.getInt("inverse", 0) != 0;
  t.onesided = n.getInt("onesided", 0) != 0;
  t.length = lengthInput(n, 1, "dft_length");
  x = withParts(n, x, t);
  if (n.failed)
    return;
  Value axisInput = n.opset >= 20 ? n.in(2) : Value();
  if (axisInput && !n.constantInts(axisInput))
    return n.set(0, alongComputedAxis(n, x, axisInput, t));
  int64_t given = axisInput ? n.requireInt(axisInput, "axis") : n.getInt("axis", n.opset >= 20 ? -2 : 1);
  int64_t axis = n.axis(given, rank);
  if (axis == rank - 1)
    return (void)n.fail("the axis must not be the last one, which holds real and imaginary parts");
  n.set(0, alongAxis(n, x, axis, t));
}

/// Frames of a signal [B, L, 1 or 2] or [B, L], a window over each, transformed: [B, frames, bins, 2].
static void stft(Node &n) {
  Value signal = n.in(0), window = n.in(2);
  if (n.rank(signal) == 2)
    signal = n.unsqueeze(signal, {2}); // as torch.onnx wrote it, and ONNX Runtime takes it
  if (n.rank(signal) != 3)
    return (void)n.fail("needs a signal of rank 3, or 2 (real), not " + Twine(n.rank(signal)));
  Transform t;
  // A complex signal has no half of a spectrum to leave out.
  std::optional<int64_t> parts = n.dim(signal, 2).tryConst();
  t.onesided = n.getInt("onesided", 1) != 0 && parts != 2;
  signal = withParts(n, signal, t);
  std::optional<SymExpr> step = lengthInput(n, 1, "frame_step"), length = lengthInput(n, 3, "frame_length");
  if (n.failed)
    return;
  if (!length && !window)
    return (void)n.fail("needs a window or a frame length");
  if (step->isConst() && step->getConst() < 1)
    return (void)n.fail("the frame step must be positive, not " + step->str());
  SymExpr size = length ? *length : n.dim(window, 0);
  Value framed = n.make<FramesOp>({signal}, {n.i64("axis", 1), n.shape("size", {size}), n.shape("step", {*step})});
  if (window)
    framed = n.mul(framed, n.reshape(window, {size, SymExpr(1)}));
  n.set(0, alongAxis(n, framed, 2, t));
}

void ds::importer::registerSignal(Registry &r) {
  r.add("DFT", dft);
  r.add("STFT", stft);
}
