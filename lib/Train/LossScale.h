//===- LossScale.h - Gradients that f16 can hold ---------------------------===//
// Guarantees: PyTorch's GradScaler as a state of the step. Gradients are those of the loss times a power of two, so
// that
//   small ones are no zeros in f16, and are divided by it where they are f32 again. Where one of them is not finite,
//   the update is not made and the scale is halved; after 2000 steps that were made it is doubled.
// Private to lib/Train.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_TRAIN_LOSSSCALE_H
#define DS_LIB_TRAIN_LOSSSCALE_H

#include "dialects/ds/grad/VjpBuilder.h"

namespace ds {

/// The states, f32 scalars: the scale, steps that were made since it changed, steps that were skipped in all. Names and
/// what they begin with.
inline constexpr std::pair<llvm::StringLiteral, double> kScaleStates[] = {
    {"loss_scale", 65536}, {"loss_scale.good_steps", 0}, {"loss_scale.skipped_steps", 0}};

class LossScale {
public:
  /// `states` as above; `gradients` divided by the scale.
  LossScale(VjpBuilder &b, llvm::ArrayRef<TensorExpr> states, llvm::ArrayRef<TensorExpr> gradients);

  /// `next` if the update is made, `before` otherwise.
  TensorExpr choose(TensorExpr next, TensorExpr before) { return b.select(isFinite, next, before); }
  /// What takes the place of `states`.
  llvm::SmallVector<TensorExpr> next();

private:
  VjpBuilder &b;
  llvm::SmallVector<TensorExpr> states;
  TensorExpr isFinite;
};

} // namespace ds

#endif
