//===- Step.h - A model's function to a training step ---------------------===//
// Assumes: a module as an import for training leaves it (lib/Import/Onnx/Training.h), or text that says the same: roles
// of
//   arguments and results (`ds.role`), and a function that evaluates (`ds.evaluate`).
// Guarantees: `main` is a step: (data, target, parameters, state, the optimizer's state, learning rate, number of the
//   step, accumulated gradients; in f16 what the loss is scaled by comes after the optimizer's state)
//   -> (loss, count, correct, new parameters and states, gradients), each state donated to
//   its next value. The symbol `mode` is given: 0 trains, 1 makes the gradients too, 2 evaluates, 3 accumulates
//   gradients, 4 trains with those and the batch's own; all but 1 are versions. Accumulated gradients have a dim more
//   than their parameters, of 0 where none are kept. What the program that trains must know are properties of the
//   module (`ds.train...`).
// Declines: models that the differentiation declines (docs/Autodiff.md).
//===----------------------------------------------------------------------===//
#ifndef DS_TRAIN_STEP_H
#define DS_TRAIN_STEP_H

#include "ds/Train/Options.h"

#include "mlir/IR/BuiltinOps.h"

namespace ds {

/// Emits a diagnostic on failure. In half precision products are narrowed first, and in f16 the loss is scaled by a
/// state of the step, which skips the update where a gradient is not finite.
llvm::LogicalResult makeTrainingStep(mlir::ModuleOp module, const TrainingOptions &options,
                                     Precision precision = Precision::F32);

/// The number that a model's f32 stands for: a decimal of up to six digits (0.9), else a constant of mathematics (pi,
/// ln 2, sqrt(2/pi), 1/3, ...) or a square root of an integer or its inverse, else the shortest decimal. All are
/// rounded to `value` by f32.
double meantBy(float value);

/// Everything that is computed in f32 becomes f64, constants and arguments too. Weights keep their values; numbers in
/// attributes and constants of one element become what they stand for (meantBy), as a model in f64 would have them.
void widenFloats(mlir::ModuleOp module);

/// The f32 products of all functions take and give `half` (bf16 or f16): casts before and behind them, none where a
/// product's result reaches another one moved only. What else is computed stays in f32, as do arguments and results.
void narrowProducts(mlir::ModuleOp module, mlir::FloatType half);

} // namespace ds

#endif
