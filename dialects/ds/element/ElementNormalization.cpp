//===- ElementNormalization.cpp - Element forms of normalizations ---------===//
// Guarantees: `buildElement` of softmax, log_softmax, layer_norm and batch_norm. The statistics are computed anew for
// each
//   element (for each vector where its lanes share them); as roots of kernels these ops have faster forms.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/element/MathFunctions.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace ds {

static Type elementType(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

static int64_t countFrom(Value x, int64_t first, int64_t end) {
  constexpr int64_t kGuess = 64;
  auto type = cast<RankedTensorType>(x.getType());
  int64_t count = 1;
  for (int64_t d = first; d < end; ++d)
    count *= type.isDynamicDim(d) ? kGuess : type.getDimSize(d);
  return count;
}

/// The indices of dims outside [first, end).
static SmallVector<LaneIndex> without(ArrayRef<LaneIndex> indices, int64_t first, int64_t end) {
  SmallVector<LaneIndex> kept(indices.take_front(first));
  llvm::append_range(kept, indices.drop_front(end));
  return kept;
}

/// term(x) summed (or otherwise combined from `start` on) over the dims [first, end) of `x` at `indices`.
static FailureOr<Value> combine(ElementBuilder &eb, Value x, ArrayRef<LaneIndex> indices, int64_t first, int64_t end,
                                Value start, llvm::function_ref<Value(Value sum, Value element)> term) {
  SmallVector<ElementBuilder::Bounds> bounds;
  for (int64_t d = first; d < end; ++d)
    bounds.push_back({eb.constantIndex(0), eb.dim(x, d)});
  SmallVector<LaneIndex> position(indices);
  auto body = [&](ArrayRef<LaneIndex> loops, ValueRange state) -> FailureOr<SmallVector<Value>> {
    llvm::copy(loops, position.begin() + first);
    FailureOr<Value> value = eb.element(x, position);
    if (failed(value))
      return failure();
    return SmallVector<Value>{term(state[0], *value)};
  };
  FailureOr<SmallVector<Value>> result = eb.loopNest(bounds, eb.initial(start, without(indices, first, end)), body);
  if (failed(result))
    return failure();
  return (*result)[0];
}

//===----------------------------------------------------------------------===//
// softmax, log_softmax
//===----------------------------------------------------------------------===//

/// x - max and the sum of its exponentials along `axis`.
static FailureOr<std::pair<Value, Value>> softmaxParts(ElementBuilder &eb, Value x, int64_t axis,
                                                       ArrayRef<LaneIndex> indices,
                                                       llvm::function_ref<Value(Value)> exponential) {
  LaneMath math(eb, elementType(x));
  FailureOr<Value> greatest = combine(eb, x, indices, axis, axis + 1, math.least(),
                                      [&](Value best, Value value) { return math.max(best, value); });
  if (failed(greatest))
    return failure();
  FailureOr<Value> sum = combine(eb, x, indices, axis, axis + 1, math.zero(), [&](Value total, Value value) {
    return math.add(total, exponential(math.sub(value, *greatest)));
  });
  FailureOr<Value> own = eb.element(x, indices);
  if (failed(sum) || failed(own))
    return failure();
  return std::pair(math.sub(*own, *greatest), *sum);
}

/// e^x for x <= 0.
static Value exponentialOf(ElementBuilder &eb, Value x) {
  if (getElementTypeOrSelf(x.getType()).isF32())
    return buildExpNonPositive(eb.builder(), eb.getLoc(), x);
  return buildExp64(eb.builder(), eb.getLoc(), x);
}

int64_t SoftmaxOp::elementCost() { return 20 * countFrom(getX(), getAxis(), getAxis() + 1); }
int64_t LogSoftmaxOp::elementCost() { return 20 * countFrom(getX(), getAxis(), getAxis() + 1); }

FailureOr<Value> SoftmaxOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  auto exponential = [&](Value x) { return exponentialOf(eb, x); };
  auto parts = softmaxParts(eb, getX(), getAxis(), indices, exponential);
  if (failed(parts))
    return failure();
  return LaneMath(eb, elementType(getX())).div(exponential(parts->first), parts->second);
}

FailureOr<Value> LogSoftmaxOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  auto parts = softmaxParts(eb, getX(), getAxis(), indices, [&](Value x) { return exponentialOf(eb, x); });
  if (failed(parts))
    return failure();
  auto [shifted, sum] = *parts;
  Value log = getElementTypeOrSelf(sum.getType()).isF32() ? buildLog(eb.builder(), eb.getLoc(), sum)
                                                          : Value(math::LogOp::create(eb.builder(), eb.getLoc(), sum));
  return LaneMath(eb, elementType(getX())).sub(shifted, log);
}

//===----------------------------------------------------------------------===//
// layer_norm, batch_norm
//===----------------------------------------------------------------------===//

int64_t LayerNormOp::elementCost() {
  return 4 * countFrom(getX(), getAxis(), cast<RankedTensorType>(getX().getType()).getRank()) + 20;
}

FailureOr<Value> LayerNormOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  LaneMath math(eb, elementType(getX()));
  SymDims dims = eb.dims(getX());
  int64_t axis = getAxis(), rank = dims.size();
  SymExpr count = product(ArrayRef<SymExpr>(dims).drop_front(axis));
  Value number = eb.valueFromIndex(LaneIndex::uniform(eb.sizeValue(count)), math.getType());
  FailureOr<Value> sum = combine(eb, getX(), indices, axis, rank, math.zero(),
                                 [&](Value total, Value value) { return math.add(total, value); });
  if (failed(sum))
    return failure();
  Value mean = math.div(*sum, number);
  FailureOr<Value> squares = combine(eb, getX(), indices, axis, rank, math.zero(), [&](Value total, Value value) {
    Value difference = math.sub(value, mean);
    return math.mulAdd(difference, difference, total);
  });
  FailureOr<Value> own = eb.element(getX(), indices);
  ArrayRef<LaneIndex> inner = indices.drop_front(axis);
  ArrayRef<SymExpr> innerDims = ArrayRef<SymExpr>(dims).drop_front(axis);
  FailureOr<Value> scale = eb.broadcastElement(getScale(), inner, innerDims);
  if (failed(squares) || failed(own) || failed(scale))
    return failure();
  Value variance = math.add(math.div(*squares, number), math.constant(getEpsilon().convertToDouble()));
  Value deviation = math::SqrtOp::create(eb.builder(), eb.getLoc(), variance);
  Value result = math.mul(math.div(math.sub(*own, mean), deviation), *scale);
  if (!getBias())
    return result;
  FailureOr<Value> bias = eb.broadcastElement(getBias(), inner, innerDims);
  if (failed(bias))
    return failure();
  return math.add(result, *bias);
}

/// The dim that the statistics belong to, or none where there is one channel.
static std::optional<int64_t> channelDim(BatchNormOp op) {
  int64_t rank = cast<RankedTensorType>(op.getX().getType()).getRank();
  if (op.getLayout() == Layout::nhwc)
    return rank - 1;
  return rank < 2 ? std::nullopt : std::optional<int64_t>(1);
}

bool BatchNormOp::isPointwise() {
  std::optional<int64_t> channel = channelDim(*this);
  return !channel || *channel == cast<RankedTensorType>(getX().getType()).getRank() - 1;
}

int64_t BatchNormOp::elementCost() { return 15; }

FailureOr<Value> BatchNormOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  LaneMath math(eb, elementType(getResult()));
  std::optional<int64_t> dim = channelDim(*this);
  LaneIndex channel = dim ? indices[*dim] : eb.constantIndex(0);
  auto read = [&](Value tensor) -> FailureOr<Value> {
    FailureOr<Value> value = eb.element(tensor, channel);
    if (failed(value))
      return failure();
    return eb.convert(*value, elementType(tensor), math.getType());
  };
  FailureOr<Value> x = eb.element(getX(), indices);
  FailureOr<Value> scale = read(getScale()), bias = read(getBias()), mean = read(getMean()), variance = read(getVar());
  if (failed(x) || failed(scale) || failed(bias) || failed(mean) || failed(variance))
    return failure();
  Value sum = math.add(*variance, math.constant(getEpsilon().convertToDouble()));
  Value deviation = math::SqrtOp::create(eb.builder(), eb.getLoc(), sum);
  // The factor depends on the channel only: one division a channel where lanes share it.
  return math.mulAdd(math.sub(*x, *mean), math.div(*scale, deviation), *bias);
}

} // namespace ds
