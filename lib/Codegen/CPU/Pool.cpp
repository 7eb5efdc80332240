//===- Pool.cpp - Kernels whose root is a pool with channels innermost ----===//
// Assumes: layout nhwc, no indices; what follows the root is pointwise in its result.
// Guarantees: an item is the innermost spatial dimension of the result at one position of the others. Vectors run
//   along channels, four at a time; the window's loops have the bounds that lie within the input.
// Declines: other layouts and indices, which have an element form.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

namespace {

class PoolEmitter {
public:
  PoolEmitter(CpuKernelEmitter &e, Operation *root)
      : e(e), b(e.builder()), loc(e.getLoc()), root(root), x(root->getOperand(0)), xDims(e.dimsOf(x)),
        dims(e.dimsOf(root->getResult(0))), kernel(ints("kernel")), strides(ints("strides")), low(ints("pads_low")),
        high(ints("pads_high")), dilations(ints("dilations")), isMax(isa<MaxPoolOp>(root)),
        element(getElementTypeOrSelf(x.getType())), type(ElementBuilder::computeType(element)) {}

  LogicalResult emit();

private:
  ArrayRef<int64_t> ints(StringRef name) { return cast<DenseI64ArrayAttr>(root->getAttr(name)).asArrayRef(); }
  LogicalResult emitPixel(ArrayRef<LaneIndex> position);
  FailureOr<SmallVector<Value>> overWindow(unsigned d, ValueRange state, ArrayRef<LaneIndex> channels);
  Value neutral();
  Value combine(Value p, Value q);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  Operation *root;
  Value x;
  SymDims xDims, dims;
  ArrayRef<int64_t> kernel, strides, low, high, dilations;
  bool isMax;
  Type element, type;
  SmallVector<LaneIndex> source;                  // the input position
  SmallVector<Value> starts, firstTaps, pastTaps; // of the window, a spatial dim
};

} // namespace

Value PoolEmitter::neutral() {
  if (auto floating = dyn_cast<FloatType>(type))
    return e.constantFloat(floating, isMax ? -std::numeric_limits<double>::infinity() : 0.0);
  unsigned bits = type.getIntOrFloatBitWidth();
  APInt least = element.isUnsignedInteger() ? APInt::getZero(bits) : APInt::getSignedMinValue(bits);
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, least));
}

Value PoolEmitter::combine(Value p, Value q) {
  e.unify(p, q);
  if (!isMax)
    return arith::AddFOp::create(b, loc, p, q);
  if (isa<FloatType>(type)) {
    // The maximum instruction, and a NaN in `p` stays; one in `q` is what the instruction returns.
    Value greater = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, p, q);
    Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, p, p);
    return arith::SelectOp::create(b, loc, isNan, p, arith::SelectOp::create(b, loc, greater, p, q));
  }
  return element.isUnsignedInteger() ? Value(arith::MaxUIOp::create(b, loc, p, q))
                                     : Value(arith::MaxSIOp::create(b, loc, p, q));
}

FailureOr<SmallVector<Value>> PoolEmitter::overWindow(unsigned d, ValueRange state, ArrayRef<LaneIndex> channels) {
  if (d == kernel.size()) {
    SmallVector<Value> next;
    for (auto [channel, sum] : llvm::zip_equal(channels, state)) {
      source.back() = channel;
      auto value = e.element(x, source);
      if (failed(value))
        return failure();
      next.push_back(combine(sum, *value));
    }
    return next;
  }
  return e.forLoop(firstTaps[d], pastTaps[d], 1, state, [&](Value tap, ValueRange carried) {
    source[d + 1] = LaneIndex::uniform(e.addI(starts[d], e.mulI(tap, e.i64(dilations[d]))));
    return overWindow(d + 1, carried, channels);
  });
}

LogicalResult PoolEmitter::emitPixel(ArrayRef<LaneIndex> position) {
  source.assign(dims.size(), position[0]);
  starts.clear();
  firstTaps.clear();
  pastTaps.clear();
  // Steps of `dilation` up to `distance`, which need not be positive.
  auto steps = [&](Value distance, int64_t dilation) {
    return e.divI(e.addI(e.maxI(distance, e.i64(0)), e.i64(dilation - 1)), e.i64(dilation));
  };
  bool padded = !isMax && cast<AvgPoolOp>(root).getCountIncludePad();
  Value count = e.i64(1);
  for (unsigned d = 0; d < kernel.size(); ++d) {
    Value start = e.addI(e.mulI(position[d + 1].getValue(), e.i64(strides[d])), e.i64(-low[d]));
    Value size = e.size(xDims[d + 1]), taps = e.i64(kernel[d]);
    starts.push_back(start);
    firstTaps.push_back(steps(e.subI(e.i64(0), start), dilations[d]));
    pastTaps.push_back(e.minI(steps(e.subI(size, start), dilations[d]), taps));
    Value past =
        padded ? e.minI(steps(e.subI(e.addI(size, e.i64(high[d])), start), dilations[d]), taps) : pastTaps.back();
    Value own = padded ? past : e.maxI(e.subI(past, firstTaps.back()), e.i64(0));
    count = e.mulI(count, own);
  }
  Value divisor;
  if (!isMax)
    divisor = arith::SIToFPOp::create(b, loc, type, e.maxI(count, e.i64(1)));
  auto block = [&](ArrayRef<LaneIndex> channels) -> LogicalResult {
    SmallVector<Value> init(channels.size(), e.broadcast(neutral()));
    auto sums = overWindow(0, init, channels);
    if (failed(sums))
      return failure();
    SmallVector<LaneIndex> target(position);
    for (auto [channel, sum] : llvm::zip_equal(channels, *sums)) {
      Value result = sum;
      if (divisor)
        result = arith::DivFOp::create(b, loc, sum, e.broadcast(divisor));
      e.bind(root->getResult(0), result);
      target.back() = channel;
      if (failed(storeResults(e, target)))
        return failure();
    }
    return success();
  };
  return vectorGroups(e, dims.back(), 4, block);
}

LogicalResult PoolEmitter::emit() {
  inlineOthers(e, root);
  int64_t window = 1;
  for (int64_t taps : kernel)
    window *= taps;
  unsigned inner = dims.size() - 2;
  SmallVector<SymExpr> outer(dims.begin(), dims.begin() + inner);
  SymExpr perItem = dims[inner] * dims.back() * SymExpr(window);
  e.setRange(product(outer), SymExpr::ceilDiv(1 << 15, SymExpr::max(perItem, 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> position = e.delinearize(LaneIndex::uniform(item), outer);
    position.resize(dims.size(), e.constantIndex(0));
    return e.forLoop(e.i64(0), e.size(dims[inner]), 1, [&](Value column) {
      position[inner] = LaneIndex::uniform(column);
      return emitPixel(position);
    });
  });
}

LogicalResult emitPool(CpuKernelEmitter &e, Operation *root) { return PoolEmitter(e, root).emit(); }

} // namespace ds
