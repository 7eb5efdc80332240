//===- LowerConvTranspose.cpp - Transposed convolutions as convolutions ---===//
// Assumes: shapes inferred.
// Guarantees: see Passes.td. A result at q = m * stride + r (counted from before the padding) is
//   sum over j of x[m - j] * w[r + stride * j]: for each remainder r a convolution of x with every stride-th tap of w.
//   All of them are one convolution with stride^d times the channels, whose results are interleaved. With strides of 1
//   there is nothing to interleave, and the convolution computes no more rows than the result has.
// Declines: dilations, integers, kernels that only the run knows, one channel a group (a convolution of these reads its
//   input as often as it computes).
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"
#include "ds/Simplify/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <numeric>

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_LOWERCONVTRANSPOSEPASS
#include "ds/Simplify/Passes.h.inc"

static bool isLowered(ConvTransposeOp op) {
  auto w = cast<RankedTensorType>(op.getW().getType());
  return isa<FloatType>(w.getElementType()) && w.hasStaticShape() &&
         llvm::all_of(op.getDilations(), [](int64_t d) { return d == 1; }) &&
         (op.getGroup() == 1 || w.getDimSize(0) > int64_t(op.getGroup())) && w.getNumElements() != 0;
}

/// [C, O/g, K...] as the filter [g * S * O/g, C/g, ceil(K / s)...] of a convolution, S being the product of the
/// strides.
static TensorExpr phases(VjpBuilder &b, ConvTransposeOp op, ArrayRef<int64_t> taps) {
  TensorExpr w = b(op.getW());
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getW().getType()).getShape(), strides = op.getStrides();
  const size_t spatial = strides.size();
  const int64_t group = op.getGroup(), in = shape[0] / group, out = shape[1];
  if (group == 1 && llvm::all_of(strides, [](int64_t stride) { return stride == 1; })) {
    // Only taps backwards and channels exchanged, without reshapes, so that packing reads the weights as they lie.
    SymDims dims = b.dims(w.get()), last(2, SymExpr(0));
    SmallVector<int64_t> step(2, 1), perm{1, 0};
    for (size_t d = 0; d < spatial; ++d) {
      last.push_back(SymExpr(taps[d] - 1));
      step.push_back(-1);
      perm.push_back(int64_t(2 + d));
    }
    return b.transpose(b.slice(w, last, dims, step), perm);
  }
  SymDims none(shape.size(), SymExpr(0)), added = none;
  for (size_t d = 0; d < spatial; ++d)
    added[2 + d] = SymExpr(taps[d] * strides[d] - shape[2 + d]);
  w = b.pad(w, none, added);
  // g, C/g, O/g, then taps and remainder of each dim.
  SymDims parts{SymExpr(group), SymExpr(in), SymExpr(out)};
  for (size_t d = 0; d < spatial; ++d)
    parts.append({SymExpr(taps[d]), SymExpr(strides[d])});
  w = b.reshape(w, parts);
  SymDims start(parts.size(), SymExpr(0));
  SmallVector<int64_t> step(parts.size(), 1), perm{0};
  for (size_t d = 0; d < spatial; ++d) {
    start[3 + 2 * d] = SymExpr(taps[d] - 1);
    step[3 + 2 * d] = -1;
    perm.push_back(int64_t(4 + 2 * d));
  }
  w = b.slice(w, start, parts, step);
  perm.append({2, 1});
  for (size_t d = 0; d < spatial; ++d)
    perm.push_back(int64_t(3 + 2 * d));
  w = b.transpose(w, perm);
  const int64_t phase = std::accumulate(strides.begin(), strides.end(), int64_t(1), std::multiplies<>());
  SymDims filter{SymExpr(group * phase * out), SymExpr(in)};
  for (int64_t tap : taps)
    filter.push_back(SymExpr(tap));
  return b.reshape(w, filter);
}

/// The result of `y`, a convolution that has `rows` and the remainders among its channels.
static TensorExpr interleave(VjpBuilder &b, ConvTransposeOp op, TensorExpr y, const SymDims &rows) {
  ArrayRef<int64_t> strides = op.getStrides();
  const int64_t spatial = int64_t(strides.size()), group = op.getGroup();
  const int64_t out = cast<RankedTensorType>(op.getW().getType()).getDimSize(1);
  const bool isLast = op.getLayout() == Layout::nhwc; // channels
  const int64_t first = isLast ? 1 : 2;               // spatial dim of x and of the result
  SymDims x = b.dims(op.getX()), result = b.dims(op.getResult());
  // Channels are g, remainders, O/g. They come apart, each remainder goes behind its row, g and O/g become one again:
  //   N, (g, s, s, O/g), H, W -> N, g, O/g, H, s, W, s     N, H, W, (g, s, s, O/g) -> N, H, s, W, s, g, O/g
  const int64_t channels = isLast ? 1 + spatial : 1, row = isLast ? 1 : 3 + spatial;
  SymDims split{SymExpr(group)};
  for (int64_t stride : strides)
    split.push_back(SymExpr(stride));
  split.push_back(SymExpr(out));
  SymDims parts{x[0]}, joined{x[0]}, pixels;
  SmallVector<int64_t> interleaved, perm{0}, ofChannels{channels, channels + 1 + spatial};
  for (int64_t d = 0; d < spatial; ++d) {
    interleaved.append({row + d, channels + 1 + d});
    pixels.push_back(rows[d] * SymExpr(strides[d]));
  }
  auto inOrder = [&](auto &to, const auto &ofChannels, const auto &ofRows) {
    llvm::append_range(to, isLast ? ofRows : ofChannels);
    llvm::append_range(to, isLast ? ofChannels : ofRows);
  };
  inOrder(parts, split, rows);
  inOrder(perm, ofChannels, interleaved);
  inOrder(joined, SymDims{SymExpr(group * out)}, pixels);
  y = b.reshape(b.transpose(b.reshape(y, parts), perm), joined);
  SymDims start(2 + spatial, SymExpr(0));
  for (int64_t d = 0; d < spatial; ++d)
    start[first + d] = SymExpr(op.getPadsLow()[d]);
  return b.slice(y, start, result);
}

static Value lower(ConvTransposeOp op, ShapeState &shapes) {
  OpBuilder builder(op);
  VjpBuilder b(builder, shapes, op, {});
  ArrayRef<int64_t> strides = op.getStrides();
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getW().getType()).getShape();
  const int64_t spatial = int64_t(strides.size()), group = op.getGroup(), out = shape[1];
  const bool isLast = op.getLayout() == Layout::nhwc; // channels
  const int64_t first = isLast ? 1 : 2;               // spatial dim of x and of the result
  Type element = VjpBuilder::elementOf(op.getX());
  SymDims x = b.dims(op.getX());
  SmallVector<int64_t> taps, low, high, ones(spatial, 1);
  SymDims rows; // of the convolution
  bool isWhole = true;
  for (int64_t d = 0; d < spatial; ++d) {
    const int64_t kernel = shape[2 + d];
    taps.push_back(llvm::divideCeil(kernel, strides[d]));
    low.push_back(taps[d] - 1);
    // Rows past the input that the result reaches; where it reaches fewer, the last ones are cut off at the end.
    const int64_t end = kernel - op.getPadsHigh()[d] + op.getOutputPadding()[d];
    high.push_back(std::max<int64_t>(llvm::divideCeilSigned(end, strides[d]) - 1, 0));
    rows.push_back(x[first + d] + SymExpr(high[d]));
    isWhole &= strides[d] == 1 && op.getPadsLow()[d] < kernel && end >= 1;
  }
  if (isWhole)
    for (int64_t d = 0; d < spatial; ++d)
      low[d] -= op.getPadsLow()[d];
  TensorExpr w = phases(b, op, taps);
  TensorExpr y = b.create<ConvOp>(element, op.getX(), w.get(), Value(), ones, low, high, ones, group, op.getLayout());
  if (!isWhole)
    y = interleave(b, op, y, rows);
  if (Value bias = op.getBias()) {
    SymDims aligned{SymExpr(group * out)};
    aligned.append(isLast ? 0 : spatial, SymExpr(1));
    y = y + b.reshape(b(bias), aligned);
  }
  return b.hasFailed() ? Value() : y.get();
}

namespace {
class LowerConvTransposePass : public impl::LowerConvTransposePassBase<LowerConvTransposePass> {
public:
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SmallVector<ConvTransposeOp> found;
    function.walk([&](ConvTransposeOp op) {
      if (isLowered(op))
        found.push_back(op);
    });
    if (found.empty())
      return;
    ShapeState shapes;
    if (failed(inferFunction(function, shapes)))
      return signalPassFailure();
    for (ConvTransposeOp op : found) {
      Value made = lower(op, shapes);
      if (!made)
        return signalPassFailure();
      op.getResult().replaceAllUsesWith(made);
      op.erase();
    }
  }
};
} // namespace

} // namespace ds
