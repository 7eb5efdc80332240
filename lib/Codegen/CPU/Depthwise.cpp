//===- Depthwise.cpp - Kernels whose root is a depthwise convolution ------===//
// Assumes: channels innermost (ds.depthwise); what follows the root is pointwise in its result.
// Guarantees: an item is one row of the result. Vectors run along channels; a tile of up to eight pixels of the row
//   shares filter and input vectors. Rows of the window outside the input are left out by the loop's bounds, and only
//   the pixels at the row's ends whose windows reach beyond it have such bounds along the row, too.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <map>

using namespace mlir;

namespace ds {

namespace {

class DepthwiseEmitter {
public:
  DepthwiseEmitter(CpuKernelEmitter &e, DepthwiseOp op)
      : e(e), b(e.builder()), op(op), x(op.getX()), w(op.getW()), xDims(e.dimsOf(x)), dims(e.dimsOf(op.getResult())),
        type(ElementBuilder::computeType(getElementTypeOrSelf(x.getType()))) {
    SymDims filter = e.dimsOf(w);
    kernelH = filter[0];
    kernelW = filter[1];
    // Taps along a row are unrolled where that is worth while.
    unrolled = kernelW.isConst() && kernelW.getConst() <= 16;
  }

  LogicalResult emit();

private:
  Value multiplyAdd(Value x, Value y, Value sum);
  Value zero() { return e.broadcast(isa<FloatType>(type) ? e.constantFloat(type, 0) : e.constantInt(type, 0)); }
  FailureOr<Value> input(Value row, Value column, LaneIndex channel);
  FailureOr<Value> filter(Value kh, Value kw, LaneIndex channel);
  /// `count` pixels from `first` on, whose windows lie within the input's columns.
  LogicalResult emitInner(int64_t count, Value first);
  /// Pixels [first, last), one by one, with bounds.
  LogicalResult emitBorder(Value first, Value last);
  LogicalResult store(Value column, LaneIndex channel, Value sum);
  /// The steps k of `count` with 0 <= start + k * dilation < size.
  std::pair<Value, Value> inside(Value start, int64_t dilation, const SymExpr &count, const SymExpr &size);

  CpuKernelEmitter &e;
  OpBuilder &b;
  DepthwiseOp op;
  Value x, w;
  SymDims xDims, dims;
  Type type;
  SymExpr kernelH, kernelW;
  bool unrolled;
  Value image, row;             // of the result
  Value top, firstTap, pastTap; // the window's first input row, and its rows within the input
};

} // namespace

Value DepthwiseEmitter::multiplyAdd(Value p, Value q, Value sum) {
  p = e.broadcast(p);
  q = e.broadcast(q);
  if (isa<FloatType>(type))
    return math::FmaOp::create(b, e.getLoc(), p, q, sum);
  return arith::AddIOp::create(b, e.getLoc(), arith::MulIOp::create(b, e.getLoc(), p, q), sum);
}

FailureOr<Value> DepthwiseEmitter::input(Value inputRow, Value column, LaneIndex channel) {
  return e.element(x, {LaneIndex::uniform(image), LaneIndex::uniform(inputRow), LaneIndex::uniform(column), channel});
}

FailureOr<Value> DepthwiseEmitter::filter(Value kh, Value kw, LaneIndex channel) {
  return e.element(w, {LaneIndex::uniform(kh), LaneIndex::uniform(kw), channel});
}

std::pair<Value, Value> DepthwiseEmitter::inside(Value start, int64_t dilation, const SymExpr &count,
                                                 const SymExpr &size) {
  // ceil(-start / dilation) and ceil((size - start) / dilation), both at least 0.
  auto steps = [&](Value distance) {
    Value positive = e.maxI(distance, e.i64(0));
    return e.divI(e.addI(positive, e.i64(dilation - 1)), e.i64(dilation));
  };
  Value first = steps(e.subI(e.i64(0), start)), past = steps(e.subI(e.size(size), start));
  return {first, e.minI(past, e.size(count))};
}

LogicalResult DepthwiseEmitter::store(Value column, LaneIndex channel, Value sum) {
  e.bind(op.getResult(), sum);
  return storeResults(e, {LaneIndex::uniform(image), LaneIndex::uniform(row), LaneIndex::uniform(column), channel});
}

LogicalResult DepthwiseEmitter::emitInner(int64_t count, Value first) {
  int64_t stride = op.getStrides()[1], dilation = op.getDilations()[1];
  Value left = e.subI(e.mulI(first, e.i64(stride)), e.i64(op.getPadsLow()[1]));
  return e.vectorLoop(e.i64(0), e.size(dims[3]), [&](LaneIndex channel) -> LogicalResult {
    SmallVector<Value> init(count, zero());
    auto tapRow = [&](Value kh, ValueRange state) -> FailureOr<SmallVector<Value>> {
      Value inputRow = e.addI(top, e.mulI(kh, e.i64(op.getDilations()[0])));
      SmallVector<Value> sums(state);
      std::map<int64_t, Value> loaded; // by column after `left`
      auto tap = [&](Value kw, std::optional<int64_t> known) -> LogicalResult {
        auto weight = filter(kh, kw, channel);
        if (failed(weight))
          return failure();
        for (int64_t i = 0; i < count; ++i) {
          Value value;
          int64_t offset = known ? i * stride + *known * dilation : 0;
          if (known)
            value = loaded[offset];
          if (!value) {
            Value column = known ? e.addI(left, e.i64(offset))
                                 : e.addI(e.addI(left, e.i64(i * stride)), e.mulI(kw, e.i64(dilation)));
            auto read = input(inputRow, column, channel);
            if (failed(read))
              return failure();
            value = *read;
            if (known)
              loaded[offset] = value;
          }
          sums[i] = multiplyAdd(value, *weight, sums[i]);
        }
        return success();
      };
      if (unrolled) {
        for (int64_t kw = 0; kw < kernelW.getConst(); ++kw)
          if (failed(tap(e.i64(kw), kw)))
            return failure();
        return sums;
      }
      return e.forLoop(e.i64(0), e.size(kernelW), 1, sums,
                       [&](Value kw, ValueRange carried) -> FailureOr<SmallVector<Value>> {
                         sums.assign(carried.begin(), carried.end());
                         if (failed(tap(kw, std::nullopt)))
                           return failure();
                         return sums;
                       });
    };
    auto sums = e.forLoop(firstTap, pastTap, 1, init, tapRow);
    if (failed(sums))
      return failure();
    for (int64_t i = 0; i < count; ++i)
      if (failed(store(e.addI(first, e.i64(i)), channel, (*sums)[i])))
        return failure();
    return success();
  });
}

LogicalResult DepthwiseEmitter::emitBorder(Value first, Value last) {
  return e.forLoop(first, last, 1, [&](Value column) -> LogicalResult {
    int64_t dilation = op.getDilations()[1];
    Value left = e.subI(e.mulI(column, e.i64(op.getStrides()[1])), e.i64(op.getPadsLow()[1]));
    auto [firstKw, pastKw] = inside(left, dilation, kernelW, xDims[2]);
    // Several vectors of channels at once: a window's sum alone would wait for its own additions.
    auto block = [&, firstKw = firstKw, pastKw = pastKw](ArrayRef<LaneIndex> channels) -> LogicalResult {
      SmallVector<Value> init(channels.size(), zero());
      auto sums = e.forLoop(firstTap, pastTap, 1, init, [&](Value kh, ValueRange state) {
        Value inputRow = e.addI(top, e.mulI(kh, e.i64(op.getDilations()[0])));
        return e.forLoop(firstKw, pastKw, 1, state, [&](Value kw, ValueRange carried) -> FailureOr<SmallVector<Value>> {
          Value inputColumn = e.addI(left, e.mulI(kw, e.i64(dilation)));
          SmallVector<Value> next;
          for (auto [channel, sum] : llvm::zip_equal(channels, carried)) {
            auto weight = filter(kh, kw, channel);
            auto value = input(inputRow, inputColumn, channel);
            if (failed(weight) || failed(value))
              return failure();
            next.push_back(multiplyAdd(*value, *weight, sum));
          }
          return next;
        });
      });
      if (failed(sums))
        return failure();
      for (auto [channel, sum] : llvm::zip_equal(channels, *sums))
        if (failed(store(column, channel, sum)))
          return failure();
      return success();
    };
    return vectorGroups(e, dims[3], 4, block);
  });
}

LogicalResult DepthwiseEmitter::emit() {
  inlineOthers(e, op);
  SymExpr perRow = dims[2] * dims[3] * kernelH * kernelW;
  e.setRange(dims[0] * dims[1], SymExpr::ceilDiv(1 << 17, SymExpr::max(perRow, 1)));
  int64_t stride = op.getStrides()[1], dilation = op.getDilations()[1], pad = op.getPadsLow()[1];
  int64_t widest = e.getTarget().vectorRegisters >= 32 ? 8 : 4;
  // Pixels p whose windows lie within the row: from stride * p - pad >= 0 on, to the last one with
  // stride * p - pad + dilation * (kernel - 1) < size.
  Value width = e.size(dims[2]);
  Value innerFirst = e.minI(e.i64(pad > 0 ? (pad + stride - 1) / stride : 0), width);
  SymExpr room = xDims[2] + SymExpr(pad) - SymExpr(dilation) * (kernelW - SymExpr(1)) - SymExpr(1);
  Value innerLast = e.addI(e.divI(e.maxI(e.size(room), e.i64(0)), e.i64(stride)), e.i64(1));
  innerLast =
      e.builder().createOrFold<arith::SelectOp>(e.getLoc(), e.lessI(e.size(room), e.i64(0)), e.i64(0), innerLast);
  innerLast = e.maxI(e.minI(innerLast, width), innerFirst);
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) -> LogicalResult {
    image = e.divI(item, e.size(dims[1]));
    row = e.subI(item, e.mulI(image, e.size(dims[1])));
    top = e.subI(e.mulI(row, e.i64(op.getStrides()[0])), e.i64(op.getPadsLow()[0]));
    std::tie(firstTap, pastTap) = inside(top, op.getDilations()[0], kernelH, xDims[1]);
    if (failed(emitBorder(e.i64(0), innerFirst)))
      return failure();
    Value column = innerFirst;
    for (int64_t count = widest; count >= 1; count /= 2) {
      Value wholes = e.roundDown(e.subI(innerLast, column), count);
      Value next = e.addI(column, wholes);
      if (failed(e.forLoop(column, next, count, [&](Value first) { return emitInner(count, first); })))
        return failure();
      column = next;
    }
    return emitBorder(innerLast, width);
  });
}

LogicalResult emitDepthwise(CpuKernelEmitter &e, Operation *root) {
  return DepthwiseEmitter(e, cast<DepthwiseOp>(root)).emit();
}

} // namespace ds
