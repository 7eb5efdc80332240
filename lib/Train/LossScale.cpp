//===- LossScale.cpp - Gradients that f16 can hold -------------------------===//
// Source: Micikevicius et al. 2018 (Mixed Precision Training), with the numbers of PyTorch's GradScaler.
//===----------------------------------------------------------------------===//
#include "LossScale.h"
#include <numeric>

using namespace mlir;

namespace ds {

static constexpr double kGrowth = 2, kBackoff = 0.5, kInterval = 2000;
/// Above, the scale stays as it is: it would become infinite.
static constexpr double kLargest = 0x1p120;

LossScale::LossScale(VjpBuilder &b, ArrayRef<TensorExpr> states, ArrayRef<TensorExpr> gradients)
    : b(b), states(states) {
  TensorExpr bad;
  for (TensorExpr gradient : gradients) {
    auto element = cast<FloatType>(VjpBuilder::elementOf(gradient.get()));
    const double largest = APFloat::getLargest(element.getFloatSemantics()).convertToDouble();
    SmallVector<int64_t> axes(b.dims(gradient.get()).size());
    std::iota(axes.begin(), axes.end(), 0);
    // Neither infinities nor NaN.
    TensorExpr size = b.create<AbsOp>(element, gradient.get());
    TensorExpr flags = where(ComparePredicate::le, size, largest, b.scalar(element, 0), b.scalar(element, 1));
    bad = bad + b.cast(b.sum(flags, axes, /*keepDims=*/false), Float32Type::get(b.context()));
  }
  isFinite = b.compare(ComparePredicate::eq, bad, b.scalar(Float32Type::get(b.context()), 0));
}

SmallVector<TensorExpr> LossScale::next() {
  TensorExpr scale = states[0], good = states[1] + 1, zero = b.scalar(Float32Type::get(b.context()), 0);
  TensorExpr grown = where(ComparePredicate::lt, scale, kLargest, scale * kGrowth, scale);
  TensorExpr kept = where(ComparePredicate::ge, good, kInterval, grown, scale);
  TensorExpr counted = where(ComparePredicate::lt, good, kInterval, good);
  return {choose(kept, scale * kBackoff), choose(counted, zero), choose(states[2], states[2] + 1)};
}

} // namespace ds
