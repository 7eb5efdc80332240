//===- Loss.h - From outputs and targets to a number ----------------------===//
// Guarantees: formulas in ds ops at the end of a function. The loss is the mean over the targets that count.
// Private to lib/Train.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_TRAIN_LOSS_H
#define DS_LIB_TRAIN_LOSS_H

#include "dialects/ds/grad/VjpBuilder.h"
#include "ds/Train/Options.h"

namespace ds {

/// The type and dims of the targets of an output; failure with a diagnostic.
llvm::FailureOr<std::pair<mlir::Type, SymDims>> targetOf(mlir::Operation *at, mlir::Value output,
                                                         const ShapeState &shapes, const LossOptions &loss);

/// Three numbers of rank 0: the loss, how many targets it is over, and (-1 where that has no meaning, or `counts` is
/// false) how many of them were met.
struct LossValues {
  TensorExpr loss, count, correct;
};
LossValues buildLoss(VjpBuilder &b, const LossOptions &loss, mlir::Value output, mlir::Value target, bool counts);

} // namespace ds

#endif
