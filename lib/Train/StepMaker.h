//===- StepMaker.h - How a training step is made --------------------------===//
// Assumes: see ds/Train/Step.h.
// Guarantees: the order of what a step takes (data, target, parameters, state, what the optimizer keeps, learning rate,
//   number of the step, seed, accumulated gradients) and gives (loss, count, correct; parameters, state, what the
//   optimizer keeps, accumulated gradients; gradients) is that of the properties' letters. In f16 what the loss is
//   scaled by stands behind what the optimizer keeps.
// Private to lib/Train.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_TRAIN_STEPMAKER_H
#define DS_LIB_TRAIN_STEPMAKER_H

#include "dialects/ds/grad/VjpBuilder.h"
#include "ds/Train/Step.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ds {

/// What arguments and results are, by the letters of the properties (docs/Training.md).
inline constexpr char kData = 'd', kTarget = 't', kParameter = 'p', kState = 'b', kKept = 'o', kRate = 'l', kStep = 'k',
                      kSeed = 's', kAccumulated = 'a', kScale = 'f', kLoss = 'L', kCount = 'n', kCorrect = 'c',
                      kGradient = 'g';

/// What the model draws random numbers by, until they are the step's: in no property.
inline constexpr char kModelSeed = 'S', kModelRun = 'R';

/// What a run does: the given symbol `mode`.
enum class Mode { Train = 0, WithGradients = 1, Evaluate = 2, Accumulate = 3, Apply = 4 };
inline constexpr llvm::StringLiteral kMode = "mode";

class StepMaker {
public:
  StepMaker(mlir::ModuleOp module, const TrainingOptions &options, Precision precision)
      : module(module), options(options), precision(precision), builder(module) {}
  llvm::LogicalResult run();

private:
  /// A result of the step.
  struct Result {
    mlir::Value value;
    std::string name;
    char role;
    /// The argument whose next value it is.
    std::optional<unsigned> of;
  };
  using Results = llvm::SmallVector<Result>;

  // Arguments.cpp
  llvm::LogicalResult findFunctions();
  llvm::FailureOr<unsigned> findOutput();
  /// The target of both functions, after the data.
  llvm::LogicalResult addTarget(unsigned output);
  llvm::LogicalResult addArgument(llvm::StringRef name, mlir::Type element, llvm::ArrayRef<SymExpr> dims, char role,
                                  mlir::Attribute initial = {});
  llvm::LogicalResult addOptimizer();
  /// f16: what the loss is scaled by (LossScale.h).
  llvm::LogicalResult addLossScale();
  bool scalesLoss() const { return precision == Precision::F16; }
  /// Where random numbers are drawn: by the seed of the run and the number of the step.
  llvm::LogicalResult addSeed();
  llvm::LogicalResult addAccumulators();
  /// `name`, with "_" behind it as long as an argument has it already.
  std::string freshName(std::string name);

  /// Of the model, not of a node.
  mlir::InFlightDiagnostic error() { return mlir::emitError(mlir::UnknownLoc::get(module.getContext())); }

  // Step.cpp
  /// Loss, count and correct at the end of the function.
  llvm::FailureOr<Results> addLoss(mlir::func::FuncOp function, unsigned output, bool counts);
  /// Makes the results of `main` what the forward and backward pass give: loss, count, correct, next states, gradients.
  llvm::LogicalResult differentiate(unsigned output);
  llvm::FailureOr<llvm::SmallVector<mlir::Value>> gradientsOf(unsigned result,
                                                              llvm::ArrayRef<mlir::BlockArgument> parameters);
  llvm::LogicalResult checkGradients(llvm::ArrayRef<mlir::BlockArgument> parameters,
                                     llvm::ArrayRef<mlir::Value> gradients);
  llvm::FailureOr<llvm::SmallVector<mlir::Value>> scaledGradients(mlir::Value loss,
                                                                  llvm::ArrayRef<mlir::BlockArgument> parameters);
  /// What the step adds to that, in a mode that trains.
  llvm::FailureOr<Results> addUpdate(mlir::func::FuncOp function, Mode mode);
  llvm::FailureOr<Results> evaluate(unsigned output);
  /// Of a function that has accumulated gradients: with those of the batch, each target counting once.
  llvm::SmallVector<TensorExpr> accumulate(VjpBuilder &b, mlir::func::FuncOp function,
                                           llvm::ArrayRef<TensorExpr> gradients, TensorExpr count, TensorExpr &total);
  void passOn(Results &results, mlir::func::FuncOp function, llvm::StringRef roles);

  // Versions.cpp
  void finish(mlir::func::FuncOp function, llvm::ArrayRef<Result> results);
  /// A copy of `main` whose accumulated gradients are there.
  mlir::func::FuncOp cloneWithAccumulators(llvm::StringRef suffix);
  /// A function like `function` that makes no gradients, for a mode.
  void addVersion(mlir::func::FuncOp function, Mode mode);
  void requireMode();
  void describe(llvm::ArrayRef<Result> results);

  llvm::StringRef nameOf(unsigned argument);
  llvm::SmallVector<unsigned> argumentsOf(llvm::StringRef roles) const;

  mlir::ModuleOp module;
  const TrainingOptions &options;
  const Precision precision;
  mlir::Builder builder;
  mlir::func::FuncOp main, evaluator;
  std::string roles;            // of the arguments
  std::string accumulateSymbol; // the first dim of accumulated gradients: 0, or 1 where they are there
  std::string rules;            // how parameters and states are drawn anew
  std::string classes = "0";    // how many a target may be one of; 0: any number
  unsigned stateCount = 0;
  llvm::SmallVector<mlir::Attribute> versions;
};

} // namespace ds

#endif
