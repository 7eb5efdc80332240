//===- Options.h - What a training step is to be --------------------------===//
// Guarantees: the texts of `ds-compile --loss` and `--optimizer` as values, or one line that says what is wrong with
// one.
//===----------------------------------------------------------------------===//
#ifndef DS_TRAIN_OPTIONS_H
#define DS_TRAIN_OPTIONS_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>

namespace ds {

/// What is computed where a model says f32: in f32; in f64, all of it; or products in half precision, the rest in f32.
enum class Precision { F32, F64, BF16, F16 };
/// Reads "fp32", "fp64", "bf16", "fp16"; the reason, or "". Half precision is for training.
std::string parsePrecision(llvm::StringRef text, bool trains, Precision &precision);

struct LossOptions {
  enum Kind { CrossEntropy, MeanSquared, MeanAbsolute, Huber, BinaryCrossEntropy, OwnOutput };
  Kind kind = CrossEntropy;
  /// The output that is compared with the targets, or is the loss; "": the model's first one.
  std::string output;
  /// Cross entropy: where the classes are; targets that do not count; how much of the target goes to all classes alike.
  int64_t axis = -1;
  std::optional<int64_t> ignoreIndex;
  double labelSmoothing = 0;
  /// Huber: where squares become absolute values.
  double delta = 1;
};

struct OptimizerOptions {
  enum Kind { Sgd, Adam, AdamW, Lion };
  Kind kind = Sgd;
  double learningRate = 0.01, momentum = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0;
  /// The global norm that gradients are scaled down to; 0: none.
  double clip = 0;
  bool nesterov = false;
  /// Parameters of rank 0 and 1 (biases, scales of norms) decay too.
  bool decaysVectors = true;
};

struct TrainingOptions {
  LossOptions loss;
  OptimizerOptions optimizer;
  /// As the flags said.
  std::string lossText = "cross_entropy", optimizerText = "sgd", schedule = "constant";
};

/// Reads "cross_entropy:ignore_index=-100,label_smoothing=0.1"; the reason, or "".
std::string parseLoss(llvm::StringRef text, LossOptions &loss);
/// Reads "adamw:lr=1e-3,weight_decay=0.01"; the reason, or "".
std::string parseOptimizer(llvm::StringRef text, OptimizerOptions &optimizer);
/// Checks "constant", "step:size=30,factor=0.1", "linear:warmup=100,total=1000",
/// "cosine:warmup=100,total=1000,minimum=0"; the reason, or "".
std::string checkSchedule(llvm::StringRef text);
/// Reads the texts in `training`; the reason, or "".
std::string parseTexts(TrainingOptions &training);

} // namespace ds

#endif
