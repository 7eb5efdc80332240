//===- GradElementwise.cpp - Derivatives of elementwise ops ---------------===//
// Guarantees: the rules that DsElementwise.td names and that are longer than a line. At kinks they are what PyTorch
// takes: 0
//   at the kink of relu and of |x|, halves where two maxima are equal.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"

using namespace mlir;

namespace ds::detail {

TensorExpr geluVjp(TensorExpr g, TensorExpr x, bool tanhForm) {
  if (tanhForm) {
    constexpr double k = 0.7978845608028654; // sqrt(2 / pi)
    TensorExpr square = x * x, t = tanh(x * (square * (0.044715 * k) + k));
    TensorExpr inner = (1 - t * t) * (square * (3 * 0.044715 * k) + k);
    return g * ((t + 1 + x * inner) * 0.5);
  }
  TensorExpr below = erf(x * 0.7071067811865476) * 0.5 + 0.5;
  TensorExpr density = exp(x * x * -0.5) * 0.3989422804014327; // 1 / sqrt(2 pi)
  return g * (below + x * density);
}

TensorExpr extremumVjp(TensorExpr g, TensorExpr x, TensorExpr other, ComparePredicate beats) {
  return where(beats, x, other, g, where(ComparePredicate::eq, x, other, g * 0.5));
}

/// 0 for the exponent 0, of whatever base.
TensorExpr powBaseVjp(TensorExpr g, TensorExpr base, TensorExpr exponent) {
  if (!isa<FloatType>(VjpBuilder::elementOf(exponent.get())))
    exponent = base.builder().cast(exponent, VjpBuilder::elementOf(base.get()));
  TensorExpr slope = exponent * pow(base, exponent - 1);
  return g * where(ComparePredicate::ne, exponent, 0, slope);
}

/// The logarithm of a base that is not positive does not count.
TensorExpr powExponentVjp(TensorExpr g, TensorExpr base, TensorExpr result) {
  return g * where(ComparePredicate::gt, base, 0, result * log(base));
}

} // namespace ds::detail
