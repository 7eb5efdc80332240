//===- GradNormalization.cpp - Derivatives of composite ops ---------------===//
// Guarantees: the rules of softmax, log_softmax, layer_norm and attention; the other composites are differentiated by
// their expansions.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"

using namespace mlir;

namespace ds {

LogicalResult SoftmaxOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  TensorExpr g = b(cotangents[0]), y = b.result(0);
  operands[0] = (y * (g - b.sum(g * y, {int64_t(getAxis())}, /*keepDims=*/true))).get();
  return failure(b.hasFailed());
}

LogicalResult LogSoftmaxOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  TensorExpr g = b(cotangents[0]), y = b.result(0);
  operands[0] = (g - exp(y) * b.sum(g, {int64_t(getAxis())}, /*keepDims=*/true)).get();
  return failure(b.hasFailed());
}

LogicalResult LayerNormOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  SymDims dims = b.dims(getX());
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(getAxis(), dims.size()));
  Type element = VjpBuilder::elementOf(getX());
  Type wide = element.isF64() ? element : Type(Float32Type::get(b.context()));
  TensorExpr g = b.cast(b(cotangents[0]), wide), x = b.cast(b(getX()), wide), scale = b.cast(b(getScale()), wide);
  SymExpr count(1);
  for (int64_t axis : axes)
    count = count * dims[axis];
  TensorExpr n = b.size(wide, count);
  auto mean = [&](TensorExpr value) { return b.sum(value, axes, /*keepDims=*/true) / n; };
  TensorExpr centered = x - mean(x);
  TensorExpr inverse = rsqrt(mean(centered * centered) + getEpsilon().convertToDouble());
  TensorExpr normal = centered * inverse;
  if (b.needs(0)) {
    TensorExpr scaled = g * scale;
    operands[0] = b.cast(inverse * (scaled - mean(scaled) - normal * mean(scaled * normal)), element).get();
  }
  if (b.needs(1))
    operands[1] = b.cast(b.reduceTo(g * normal, b.dims(getScale())), element).get();
  if (getBias() && b.needs(2))
    operands[2] = b.cast(b.reduceTo(g, b.dims(getBias())), element).get();
  return failure(b.hasFailed());
}

LogicalResult AttentionOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // The weights are computed again: what the op keeps from memory. Where a score is masked, its weight is 0. Of half
  // precision are products only, what they take and what they give.
  FailureOr<Value> made = buildWeights(b.builder(), b.state());
  if (failed(made))
    return failure();
  SymDims q = b.dims(getQ()), k = b.dims(getK()), v = b.dims(getV());
  int64_t last = q.size() - 1;
  TensorExpr g = b(cotangents[0]), weights = b(*made), y = b.result(0);
  Type element = VjpBuilder::elementOf(getQ()), wide = VjpBuilder::elementOf(*made);
  auto widened = [&](TensorExpr x) { return b.cast(x, wide); };
  if (b.needs(2))
    operands[2] = b.reduceTo(b.matmul(b.swapLast(b.cast(weights, element)), g), v).get();
  if (!b.needs(0) && !b.needs(1) && !(getMask() && b.needs(3)))
    return failure(b.hasFailed());
  // sum_j w_j (v_j . g) is y . g, a row of the result.
  TensorExpr rows = b.sum(widened(g) * widened(y), {last}, /*keepDims=*/true);
  TensorExpr scores = weights * (widened(b.matmul(g, b.swapLast(b(getV())))) - rows);
  if (getMask() && b.needs(3))
    operands[3] = b.cast(b.reduceTo(scores, b.dims(getMask())), VjpBuilder::elementOf(getMask())).get();
  double scale = getScale().convertToDouble();
  scores = b.cast(scores, element);
  if (b.needs(0))
    operands[0] = b.cast(b.reduceTo(widened(b.matmul(scores, b(getK()))) * scale, q), element).get();
  if (b.needs(1))
    operands[1] = b.cast(b.reduceTo(widened(b.matmul(b.swapLast(scores), b(getQ()))) * scale, k), element).get();
  return failure(b.hasFailed());
}

} // namespace ds
