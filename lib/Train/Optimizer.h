//===- Optimizer.h - New parameters from gradients ------------------------===//
// Guarantees: the formulas of PyTorch's optimizers, elementwise ops over each parameter. What they keep of a parameter
// has
//   its type and dims, and begins as zeros. What is computed between has the learning rate's type where that is wider.
// Private to lib/Train.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_TRAIN_OPTIMIZER_H
#define DS_LIB_TRAIN_OPTIMIZER_H

#include "dialects/ds/grad/VjpBuilder.h"
#include "ds/Train/Options.h"

namespace ds {

/// Names of what is kept of each parameter, as PyTorch's state has them.
llvm::SmallVector<llvm::StringRef> keptBy(const OptimizerOptions &optimizer);

/// Of two types of floats the one with more bits.
mlir::Type widerOf(mlir::Type a, mlir::Type b);

class OptimizerBuilder {
public:
  /// `rate` and `step` (1 for the first one) are of rank 0: a float, and an i64.
  OptimizerBuilder(VjpBuilder &b, const OptimizerOptions &options, mlir::Value rate, mlir::Value step);

  /// Gradients scaled down to the global norm that the options ask for; their types may differ.
  llvm::SmallVector<TensorExpr> clip(llvm::ArrayRef<TensorExpr> gradients);
  /// The parameter's next value, and what is kept of it from now on (in place of `kept`).
  TensorExpr update(TensorExpr parameter, TensorExpr gradient, llvm::MutableArrayRef<TensorExpr> kept);

private:
  /// 1 - beta^step, computed in f64.
  TensorExpr bias(double beta);
  /// All in the element type `element`.
  TensorExpr updateIn(mlir::Type element, TensorExpr parameter, TensorExpr gradient,
                      llvm::MutableArrayRef<TensorExpr> kept);

  VjpBuilder &b;
  const OptimizerOptions &options;
  TensorExpr rate, step;
  TensorExpr firstBias, secondRoot; // of Adam
};

} // namespace ds

#endif
