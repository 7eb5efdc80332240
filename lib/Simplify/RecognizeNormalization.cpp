//===- RecognizeNormalization.cpp - Softmax and layer norm ----------------===//
// Guarantees: softmax from exp and its sum (with or without the maximum subtracted), layer norm from its means.
//===----------------------------------------------------------------------===//
#include "Recognize.h"

using namespace mlir;

namespace ds {

//===----------------------------------------------------------------------===//
// Softmax:  e / reduce_sum(e),  e = exp(x - reduce_max(x)) or exp(x)
//===----------------------------------------------------------------------===//

bool recognizeSoftmax(Operation *op, ShapeState &state) {
  if (!isa<DivOp, MulOp>(op))
    return false;
  Value e = op->getOperand(0), divisor = op->getOperand(1);
  if (isa<MulOp>(op)) {
    if (!divisor.getDefiningOp<ReciprocalOp>())
      std::swap(e, divisor);
    auto reciprocal = divisor.getDefiningOp<ReciprocalOp>();
    if (!reciprocal)
      return false;
    divisor = reciprocal.getX();
  }
  auto exp = e.getDefiningOp<ExpOp>();
  auto sum = divisor.getDefiningOp<ReduceSumOp>();
  if (!exp || !sum || sum.getX() != e || !sum.getKeepdims() || sum.getAxes().size() != 1 || !sum->hasOneUse())
    return false;
  // e is used by the sum and the quotient only.
  if (std::distance(e.use_begin(), e.use_end()) != 2)
    return false;
  Value x = exp.getX();
  if (auto shifted = x.getDefiningOp<SubOp>()) {
    auto max = shifted.getB().getDefiningOp<ReduceMaxOp>();
    if (max && max.getX() == shifted.getA() && max.getKeepdims() && max.getAxes() == sum.getAxes())
      x = shifted.getA();
  }
  OpBuilder builder(op);
  FailureOr<SoftmaxOp> softmax = createInferred<SoftmaxOp>(builder, op->getLoc(), state,
                                                           getElementTypeOrSelf(op->getResult(0)), x, sum.getAxes()[0]);
  return succeeded(softmax) && replaceValue(op->getResult(0), *softmax);
}

//===----------------------------------------------------------------------===//
// Layer norm
//===----------------------------------------------------------------------===//

namespace {
/// x and axes of a mean over them, dims kept.
struct Mean {
  Value x;
  SmallVector<int64_t> axes;
};
} // namespace

/// reduce_mean(x), or reduce_sum(x) over the number of elements.
static std::optional<Mean> meanOf(Value value) {
  if (auto mean = value.getDefiningOp<ReduceMeanOp>()) {
    if (!mean.getKeepdims())
      return std::nullopt;
    return Mean{mean.getX(), llvm::to_vector(mean.getAxes())};
  }
  double scale = 1;
  Value inner = peelScale(value, scale);
  // The mean itself may have several uses (it is subtracted, and squared); peelScale then stops at once.
  if (inner == value)
    if (Operation *op = value.getDefiningOp(); op && isa<MulOp, DivOp>(op))
      if (std::optional<double> c = scalarConstant(op->getOperand(1))) {
        scale = isa<MulOp>(op) ? *c : 1 / *c;
        inner = op->getOperand(0);
      }
  auto sum = inner.getDefiningOp<ReduceSumOp>();
  if (!sum || !sum.getKeepdims())
    return std::nullopt;
  double count = 1;
  for (int64_t axis : sum.getAxes())
    count *= double(sum.getX().getType().getDimSize(axis));
  if (!isRounded(scale * count, 1, getElementTypeOrSelf(sum.getType()), /*roundings=*/1))
    return std::nullopt;
  return Mean{sum.getX(), llvm::to_vector(sum.getAxes())};
}

/// The base of a square: c * c or pow(c, 2).
static Value squareBase(Value value) {
  if (auto mul = value.getDefiningOp<MulOp>())
    return mul.getA() == mul.getB() ? mul.getA() : Value();
  if (auto pow = value.getDefiningOp<PowOp>())
    return scalarConstant(pow.getB()) == 2.0 ? pow.getA() : Value();
  return {};
}

/// c = x - mean(x): x and the mean.
static std::optional<Mean> centeredOf(Value value) {
  auto sub = value.getDefiningOp<SubOp>();
  std::optional<Mean> mean = sub ? meanOf(sub.getB()) : std::nullopt;
  if (!mean || mean->x != sub.getA())
    return std::nullopt;
  return mean;
}

/// v + epsilon: v, with epsilon set.
static Value peelEpsilon(Value value, double &epsilon) {
  auto add = value.getDefiningOp<AddOp>();
  for (unsigned i = 0; add && i < 2; ++i)
    if (std::optional<double> c = scalarConstant(add->getOperand(i))) {
      epsilon = *c;
      return add->getOperand(1 - i);
    }
  return {};
}

/// (c, v + epsilon) of c / sqrt(v + epsilon), c * rsqrt(v + epsilon) or c * reciprocal(sqrt(v + epsilon)).
static std::pair<Value, Value> normalizedOf(Operation *op) {
  auto sqrtArgument = [](Value value) {
    auto sqrt = value.getDefiningOp<SqrtOp>();
    return sqrt ? Value(sqrt.getX()) : Value();
  };
  if (auto div = dyn_cast<DivOp>(op))
    return {div.getA(), sqrtArgument(div.getB())};
  if (!isa<MulOp>(op))
    return {};
  for (unsigned i = 0; i < 2; ++i) {
    Value factor = op->getOperand(i);
    if (auto rsqrt = factor.getDefiningOp<RsqrtOp>())
      return {op->getOperand(1 - i), rsqrt.getX()};
    auto reciprocal = factor.getDefiningOp<ReciprocalOp>();
    if (Value argument = reciprocal ? sqrtArgument(reciprocal.getX()) : Value())
      return {op->getOperand(1 - i), argument};
    auto div = factor.getDefiningOp<DivOp>();
    if (Value argument = div && scalarConstant(div.getA()) == 1.0 ? sqrtArgument(div.getB()) : Value())
      return {op->getOperand(1 - i), argument};
  }
  return {};
}

/// The operand besides `value` of its only user, an OpTy, if it broadcasts to the last `rank` static dims of value.
template <typename OpTy> static Value parameterOf(Value value, int64_t rank) {
  if (!value.hasOneUse())
    return {};
  auto op = dyn_cast<OpTy>(*value.user_begin());
  if (!op || op.getType() != value.getType())
    return {};
  Value other = op.getA() == value ? op.getB() : op.getA();
  auto type = cast<RankedTensorType>(other.getType());
  ArrayRef<int64_t> dims = cast<RankedTensorType>(value.getType()).getShape();
  if (other == value || type.getRank() > rank || !type.hasStaticShape())
    return {};
  for (auto [size, dim] : llvm::zip_equal(type.getShape(), dims.take_back(type.getRank())))
    if (size != 1 && size != dim)
      return {};
  return other;
}

bool recognizeLayerNorm(Operation *op, ShapeState &state) {
  auto [centered, shifted] = normalizedOf(op);
  if (!centered || !shifted)
    return false;
  double epsilon = 0;
  Value variance = peelEpsilon(shifted, epsilon);
  std::optional<Mean> meanSquare = variance ? meanOf(variance) : std::nullopt, mean = centeredOf(centered);
  Value base = meanSquare ? squareBase(meanSquare->x) : Value();
  if (!mean || !base || mean->axes != meanSquare->axes)
    return false;
  if (base != centered) {
    std::optional<Mean> other = centeredOf(base);
    if (!other || other->x != mean->x || other->axes != mean->axes)
      return false;
  }
  // The axes are the last ones.
  Value x = mean->x;
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank(), axis = rank - int64_t(mean->axes.size());
  if (!llvm::equal(mean->axes, llvm::seq<int64_t>(axis, rank)))
    return false;

  Value root = op->getResult(0);
  Type element = getElementTypeOrSelf(root);
  OpBuilder builder(op);
  Value scale = parameterOf<MulOp>(root, rank - axis), bias;
  if (scale) {
    root = (*root.user_begin())->getResult(0);
    bias = parameterOf<AddOp>(root, rank - axis);
    if (bias)
      root = (*root.user_begin())->getResult(0);
  } else {
    auto one = RankedTensorType::get({1}, element);
    scale = ConstantOp::create(builder, op->getLoc(), makeFloatElements(one, {1.0}));
  }
  // Behind all parameters.
  builder.setInsertionPoint(root.getDefiningOp());
  FailureOr<LayerNormOp> norm =
      createInferred<LayerNormOp>(builder, root.getLoc(), state, element, x, scale, bias, axis, APFloat(epsilon));
  return succeeded(norm) && replaceValue(root, *norm);
}

} // namespace ds
