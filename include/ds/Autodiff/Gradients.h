//===- Gradients.h - Gradients of a function's result ---------------------===//
// Assumes: a function of one block of ds ops in attribute form, shapes inferred, and with it those that it runs.
// Guarantees: values at the end of the function, before its terminator; its results are what they were. Its versions
//   (ds.versions), which would lack the gradients, are gone.
//===----------------------------------------------------------------------===//
#ifndef DS_AUTODIFF_GRADIENTS_H
#define DS_AUTODIFF_GRADIENTS_H

#include "dialects/ds/shape/ShapeState.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace ds {

/// The gradients of result `of`, which has one element, with respect to `wrt`, of float types. Fails with a diagnostic
/// that names the node.
llvm::FailureOr<llvm::SmallVector<mlir::Value>> buildGradients(mlir::func::FuncOp function, unsigned of,
                                                               llvm::ArrayRef<mlir::BlockArgument> wrt);
/// Those of the sum of the elements of result `of`, in a module that is still being made: `shapes` is what is known of
/// its values, and knows what is added. Functions that none runs are not erased.
llvm::FailureOr<llvm::SmallVector<mlir::Value>> buildSumGradients(mlir::func::FuncOp function, unsigned of,
                                                                  llvm::ArrayRef<mlir::BlockArgument> wrt,
                                                                  ShapeState &shapes);
/// Private functions that no function runs any more: others are in their place. `shapes` knows nothing of them then.
void eraseUnreached(mlir::ModuleOp module, ShapeState *shapes = nullptr);

} // namespace ds

#endif
