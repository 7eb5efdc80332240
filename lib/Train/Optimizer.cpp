//===- Optimizer.cpp - New parameters from gradients ----------------------===//
// Sources: Sutskever et al. 2013 (momentum, in PyTorch's form), Kingma and Ba 2015 (Adam), Loshchilov and Hutter 2019
// (AdamW),
//   Chen et al. 2023 (Lion).
//===----------------------------------------------------------------------===//
#include "Optimizer.h"
#include "ds/Train/Updates.h"
#include <numeric>

using namespace mlir;

namespace ds {

SmallVector<StringRef> keptBy(const OptimizerOptions &optimizer) {
  switch (optimizer.kind) {
  case OptimizerOptions::Sgd:
    return optimizer.momentum != 0 ? SmallVector<StringRef>{"momentum_buffer"} : SmallVector<StringRef>{};
  case OptimizerOptions::Lion:
    return {"exp_avg"};
  default:
    return {"exp_avg", "exp_avg_sq"};
  }
}

static TensorExpr squareRoot(TensorExpr x) {
  return x.builder().create<SqrtOp>(VjpBuilder::elementOf(x.get()), x.get());
}

Type widerOf(Type a, Type b) { return b.getIntOrFloatBitWidth() > a.getIntOrFloatBitWidth() ? b : a; }

OptimizerBuilder::OptimizerBuilder(VjpBuilder &b, const OptimizerOptions &options, Value rate, Value step)
    : b(b), options(options), rate(b(rate)), step(b.cast(b(step), Float64Type::get(b.context()))) {
  if (options.kind != OptimizerOptions::Adam && options.kind != OptimizerOptions::AdamW)
    return;
  Type element = VjpBuilder::elementOf(rate);
  firstBias = b.cast(bias(options.beta1), element);
  secondRoot = b.cast(squareRoot(bias(options.beta2)), element);
}

TensorExpr OptimizerBuilder::bias(double beta) { return 1 - pow(b.scalar(Float64Type::get(b.context()), beta), step); }

SmallVector<TensorExpr> OptimizerBuilder::clip(ArrayRef<TensorExpr> gradients) {
  SmallVector<TensorExpr> result(gradients);
  if (options.clip == 0)
    return result;
  TensorExpr squares;
  const Type element = VjpBuilder::elementOf(rate.get());
  for (TensorExpr gradient : gradients) {
    gradient = b.cast(gradient, element);
    SmallVector<int64_t> axes(b.dims(gradient.get()).size());
    std::iota(axes.begin(), axes.end(), 0);
    squares = squares + b.sum(gradient * gradient, axes, /*keepDims=*/false);
  }
  // As PyTorch's clip_grad_norm_.
  TensorExpr factor = options.clip / (squareRoot(squares) + 1e-6);
  factor = where(ComparePredicate::lt, factor, 1, factor, b.scalar(element, 1));
  for (TensorExpr &gradient : result)
    gradient = gradient * b.cast(factor, VjpBuilder::elementOf(gradient.get()));
  return result;
}

TensorExpr OptimizerBuilder::update(TensorExpr parameter, TensorExpr gradient, MutableArrayRef<TensorExpr> kept) {
  const Type own = VjpBuilder::elementOf(parameter.get()), element = widerOf(own, VjpBuilder::elementOf(rate.get()));
  SmallVector<TensorExpr> wide;
  for (TensorExpr value : kept)
    wide.push_back(b.cast(value, element));
  TensorExpr next = updateIn(element, b.cast(parameter, element), b.cast(gradient, element), wide);
  for (auto [value, was] : llvm::zip_equal(wide, kept))
    was = b.cast(value, own);
  return b.cast(next, own);
}

TensorExpr OptimizerBuilder::updateIn(Type element, TensorExpr parameter, TensorExpr gradient,
                                      MutableArrayRef<TensorExpr> kept) {
  TensorExpr rate = b.cast(this->rate, element);
  const bool decays = options.weightDecay != 0 && (options.decaysVectors || b.dims(parameter.get()).size() > 1);
  const bool apart = options.kind == OptimizerOptions::AdamW || options.kind == OptimizerOptions::Lion;
  if (decays && apart)
    parameter = parameter * (1 - rate * options.weightDecay);
  else if (decays)
    gradient = gradient + parameter * options.weightDecay;
  switch (options.kind) {
  case OptimizerOptions::Sgd: {
    if (options.momentum == 0)
      return parameter - rate * gradient;
    return momentumUpdate(parameter, gradient, gradient, kept[0], rate, options.momentum, options.nesterov);
  }
  case OptimizerOptions::Lion: {
    TensorExpr direction = sign(kept[0] * options.beta1 + gradient * (1 - options.beta1));
    kept[0] = kept[0] * options.beta2 + gradient * (1 - options.beta2);
    return parameter - rate * direction;
  }
  default: {
    TensorExpr root = b.cast(secondRoot, element);
    return adamUpdate(parameter, gradient, kept[0], kept[1], rate / b.cast(firstBias, element), options.beta1,
                      options.beta2, options.epsilon, &root);
  }
  }
}

} // namespace ds
