//===- Step.cpp - A model's function to a training step -------------------===//
// Guarantees: see ds/Train/Step.h.
//===----------------------------------------------------------------------===//
#include "Loss.h"
#include "LossScale.h"
#include "Optimizer.h"
#include "StepMaker.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "ds/Autodiff/Gradients.h"
#include "ds/Import/Onnx.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace ds {

FailureOr<StepMaker::Results> StepMaker::addLoss(func::FuncOp function, unsigned output, bool counts) {
  Operation *terminator = function.getBody().front().getTerminator();
  ShapeState shapes;
  if (failed(inferFunction(function, shapes)))
    return failure();
  OpBuilder ops(terminator);
  VjpBuilder b(ops, shapes, terminator, {});
  SmallVector<unsigned> target = argumentsOf({&kTarget, 1});
  LossValues values = buildLoss(b, options.loss, terminator->getOperand(output),
                                target.empty() ? Value() : Value(function.getArgument(target[0])), counts);
  if (b.hasFailed())
    return error() << "--loss: the loss cannot be built on '"
                   << main.getResultAttrOfType<StringAttr>(output, kNameAttr).getValue() << "'";
  return Results{{values.loss.get(), "loss", kLoss, {}},
                 {values.count.get(), "count", kCount, {}},
                 {values.correct.get(), "correct", kCorrect, {}}};
}

/// The first op that takes what depends on `parameters`, and gives no floats.
static Operation *whereFloatsEnd(ArrayRef<BlockArgument> parameters) {
  llvm::DenseSet<Value> active(parameters.begin(), parameters.end());
  auto isFloat = [](Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); };
  for (Operation &op : parameters.front().getOwner()->without_terminator()) {
    if (llvm::none_of(op.getOperands(), [&](Value operand) { return active.contains(operand); }))
      continue;
    if (llvm::none_of(op.getResults(), isFloat) && !isa<ShapeOfOp, SizeOfOp>(op))
      return &op;
    for (Value result : op.getResults())
      if (isFloat(result))
        active.insert(result);
  }
  return nullptr;
}

FailureOr<SmallVector<Value>> StepMaker::gradientsOf(unsigned result, ArrayRef<BlockArgument> parameters) {
  FailureOr<SmallVector<Value>> gradients = buildGradients(main, result, parameters);
  if (failed(gradients) || failed(checkGradients(parameters, *gradients)))
    return failure();
  return gradients;
}

/// Tells of parameters that no gradient comes to; that all are such since floats end somewhere is an error.
LogicalResult StepMaker::checkGradients(ArrayRef<BlockArgument> parameters, ArrayRef<Value> gradients) {
  SmallVector<std::string> without;
  for (auto [parameter, gradient] : llvm::zip_equal(parameters, gradients))
    if (auto fill = gradient.getDefiningOp<FillOp>(); fill && matchPattern(fill.getValueAttr(), m_AnyZeroFloat()))
      without.push_back(("'" + nameOf(parameter.getArgNumber()) + "'").str());
  if (without.empty())
    return success();
  Operation *end = without.size() == parameters.size() ? whereFloatsEnd(parameters) : nullptr;
  if (!end) { // gradients of steps (Round) are 0, too
    constexpr size_t kMost = 4;
    const size_t more = without.size() > kMost ? without.size() - kMost : 0;
    without.resize(without.size() - more);
    main.getContext()->getDiagEngine().emit(UnknownLoc::get(main.getContext()), DiagnosticSeverity::Note)
        << "the loss does not depend on " << llvm::join(without, ", ")
        << (more ? " and " + std::to_string(more) + " more" : "") << ": no gradient comes to "
        << (without.size() + more == 1 ? "it" : "them");
    return success();
  }
  return end->emitError("no gradient comes to any parameter: what depends on them goes through this node, which has no "
                        "derivative");
}

LogicalResult StepMaker::differentiate(unsigned output) {
  FailureOr<Results> losses = addLoss(main, output, /*counts=*/false);
  if (failed(losses))
    return failure();
  Operation *terminator = main.getBody().front().getTerminator();
  // Results all, so that what is expanded for its derivative stays what they are.
  SmallVector<unsigned> places;
  for (const Result &loss : *losses) {
    places.push_back(main.getNumResults());
    terminator->insertOperands(main.getNumResults(), loss.value);
    if (failed(main.insertResult(main.getNumResults(), loss.value.getType(), {})))
      return failure();
  }
  for (unsigned argument : argumentsOf({&kState, 1}))
    for (unsigned i = 0; i < places.front(); ++i)
      if (main.getResultAttr(i, kRoleAttr) &&
          main.getResultAttrOfType<StringAttr>(i, kNameAttr).getValue() == nameOf(argument))
        places.push_back(i);
  stateCount = unsigned(places.size() - losses->size());
  if (stateCount != argumentsOf({&kState, 1}).size())
    return error() << "expected a result with the next value of each state";
  SmallVector<BlockArgument> parameters;
  for (unsigned parameter : argumentsOf({&kParameter, 1}))
    parameters.push_back(main.getArgument(parameter));
  FailureOr<SmallVector<Value>> gradients =
      scalesLoss() ? scaledGradients(losses->front().value, parameters) : gradientsOf(places.front(), parameters);
  if (failed(gradients))
    return failure();
  SmallVector<Value> values;
  for (unsigned place : places)
    values.push_back(terminator->getOperand(place));
  llvm::append_range(values, *gradients);
  terminator->setOperands(values);
  main.setFunctionType(builder.getFunctionType(main.getArgumentTypes(), ValueRange(values).getTypes()));
  main.setResAttrsAttr(builder.getArrayAttr(SmallVector<Attribute>(values.size(), builder.getDictionaryAttr({}))));
  return success();
}

/// The gradients of the loss by way of those of the loss times its scale.
FailureOr<SmallVector<Value>> StepMaker::scaledGradients(Value loss, ArrayRef<BlockArgument> parameters) {
  Operation *terminator = main.getBody().front().getTerminator();
  Value scale = main.getArgument(argumentsOf({&kScale, 1}).front());
  OpBuilder ops(terminator);
  auto build = [&](function_ref<void(VjpBuilder &)> formulas) -> LogicalResult {
    ShapeState shapes;
    if (failed(inferFunction(main, shapes)))
      return failure();
    VjpBuilder b(ops, shapes, terminator, {});
    formulas(b);
    return b.hasFailed() ? LogicalResult(error() << "the loss cannot be scaled") : success();
  };
  const unsigned place = main.getNumResults();
  Value scaled;
  if (failed(build([&](VjpBuilder &b) { scaled = (b(loss) * b.cast(b(scale), VjpBuilder::elementOf(loss))).get(); })))
    return failure();
  terminator->insertOperands(place, scaled);
  if (failed(main.insertResult(place, scaled.getType(), {})))
    return failure();
  FailureOr<SmallVector<Value>> gradients = gradientsOf(place, parameters);
  if (failed(gradients))
    return failure();
  // What came of the differentiation stands before the terminator, which is another one perhaps.
  terminator = main.getBody().front().getTerminator();
  ops.setInsertionPoint(terminator);
  LogicalResult divided = build([&](VjpBuilder &b) {
    TensorExpr inverse = 1 / b(scale); // exact: a power of two
    for (Value &gradient : *gradients)
      gradient = (b(gradient) * b.cast(inverse, VjpBuilder::elementOf(gradient))).get();
  });
  if (failed(divided))
    return failure();
  return gradients;
}

/// Arguments as they are.
void StepMaker::passOn(Results &results, func::FuncOp function, StringRef passed) {
  for (unsigned argument : argumentsOf(passed))
    results.push_back({function.getArgument(argument), nameOf(argument).str(), roles[argument], argument});
}

SmallVector<TensorExpr> StepMaker::accumulate(VjpBuilder &b, func::FuncOp function, ArrayRef<TensorExpr> gradients,
                                              TensorExpr count, TensorExpr &total) {
  SmallVector<TensorExpr> sums;
  SmallVector<unsigned> arguments = argumentsOf({&kAccumulated, 1});
  for (auto [gradient, argument] : llvm::zip_first(gradients, arguments)) {
    // A batch without targets has a mean that is no number.
    TensorExpr own = b.cast(count, VjpBuilder::elementOf(gradient.get()));
    TensorExpr sum = where(ComparePredicate::gt, own, 0, gradient * own);
    sums.push_back(b.reshape(b(function.getArgument(argument)), b.dims(gradient.get())) + sum);
  }
  TensorExpr before = b.reshape(b(function.getArgument(arguments.back())), {});
  total = before + b.cast(count, VjpBuilder::elementOf(before.get()));
  return sums;
}

/// Those after `before` (null: from the block's start) and before `end`.
static SmallVector<Operation *> opsBetween(Operation *before, Operation *end) {
  SmallVector<Operation *> ops;
  for (Operation *op = before ? before->getNextNode() : &end->getBlock()->front(); op != end; op = op->getNextNode())
    ops.push_back(op);
  return ops;
}

/// Moves `ops`, which make what takes the place of `replaced`, to where all that they need is there and nobody else
/// reads what they replace: a gradient dies early then, and the update can be in place.
static void moveUp(ArrayRef<Operation *> ops, ArrayRef<Value> replaced) {
  if (ops.empty())
    return;
  Block *block = ops.front()->getBlock();
  llvm::SmallPtrSet<Operation *, 16> own(ops.begin(), ops.end());
  Operation *last = nullptr;
  auto after = [&](Operation *op) {
    op = op ? block->findAncestorOpInBlock(*op) : nullptr;
    if (op && op != block->getTerminator() && !own.contains(op) && (!last || last->isBeforeInBlock(op)))
      last = op;
  };
  for (Operation *op : ops)
    for (Value operand : op->getOperands())
      after(operand.getDefiningOp());
  for (Value value : replaced)
    for (Operation *user : value.getUsers())
      after(user);
  if (!last)
    return;
  for (Operation *op : ops) {
    op->moveAfter(last);
    last = op;
  }
}

FailureOr<StepMaker::Results> StepMaker::addUpdate(func::FuncOp function, Mode mode) {
  Operation *terminator = function.getBody().front().getTerminator();
  ShapeState shapes;
  if (failed(inferFunction(function, shapes)))
    return failure();
  OpBuilder ops(terminator);
  VjpBuilder b(ops, shapes, terminator, {});
  SmallVector<Value> passes(terminator->getOperands());
  const size_t firstGradient = 3 + stateCount;
  Results results{
      {passes[0], "loss", kLoss, {}}, {passes[1], "count", kCount, {}}, {passes[2], "correct", kCorrect, {}}};
  Results states, kept, scales, accumulated;
  for (auto [i, argument] : llvm::enumerate(argumentsOf({&kState, 1})))
    states.push_back({passes[3 + i], nameOf(argument).str(), kState, argument});

  SmallVector<TensorExpr> gradients;
  for (size_t i = firstGradient; i < passes.size(); ++i)
    gradients.push_back(b(passes[i]));
  if (mode >= Mode::Accumulate) {
    TensorExpr total;
    gradients = accumulate(b, function, gradients, b(passes[1]), total);
    SmallVector<TensorExpr> sums(gradients);
    sums.push_back(total);
    for (auto [sum, argument] : llvm::zip_equal(sums, argumentsOf({&kAccumulated, 1}))) {
      Value before = function.getArgument(argument);
      TensorExpr next = mode == Mode::Apply ? b.zerosLike(before) : b.reshape(sum, b.dims(before));
      accumulated.push_back({next.get(), nameOf(argument).str(), kAccumulated, argument});
    }
    for (TensorExpr &gradient : gradients)
      gradient = gradient / b.cast(total, VjpBuilder::elementOf(gradient.get()));
  }
  if (mode == Mode::Accumulate) {
    passOn(results, function, {&kParameter, 1});
    passOn(kept, function, {&kKept, 1});
    passOn(scales, function, {&kScale, 1});
  } else {
    std::optional<LossScale> scale;
    SmallVector<TensorExpr> scaleStates;
    for (unsigned argument : argumentsOf({&kScale, 1}))
      scaleStates.push_back(b(function.getArgument(argument)));
    if (scalesLoss())
      scale.emplace(b, scaleStates, gradients);
    Operation *before = terminator->getPrevNode();
    Value number = function.getArgument(argumentsOf({&kStep, 1})[0]);
    // Bias corrections count the updates that were made.
    if (scalesLoss()) {
      Type index = builder.getI64Type();
      number = b.create<SubOp>(index, number, b.cast(scaleStates.back(), index).get()).get();
    }
    OptimizerBuilder optimizer(b, options.optimizer, function.getArgument(argumentsOf({&kRate, 1})[0]), number);
    // What all updates share comes first, of arguments alone.
    Operation *first = &terminator->getBlock()->front();
    if (before)
      for (Operation *op : opsBetween(before, terminator))
        op->moveBefore(first);
    gradients = optimizer.clip(gradients);
    const size_t keptCount = keptBy(options.optimizer).size();
    SmallVector<unsigned> keptArguments = argumentsOf({&kKept, 1});
    for (auto [i, parameter] : llvm::enumerate(argumentsOf({&kParameter, 1}))) {
      SmallVector<TensorExpr> own;
      for (size_t k = 0; k < keptCount; ++k)
        own.push_back(b(function.getArgument(keptArguments[i * keptCount + k])));
      before = terminator->getPrevNode();
      TensorExpr next = optimizer.update(b(function.getArgument(parameter)), gradients[i], own);
      if (scale) {
        next = scale->choose(next, b(function.getArgument(parameter)));
        for (size_t k = 0; k < keptCount; ++k)
          own[k] = scale->choose(own[k], b(function.getArgument(keptArguments[i * keptCount + k])));
      }
      SmallVector<Value> replaced{function.getArgument(parameter)};
      for (size_t k = 0; k < keptCount; ++k)
        replaced.push_back(function.getArgument(keptArguments[i * keptCount + k]));
      moveUp(opsBetween(before, terminator), replaced);
      results.push_back({next.get(), nameOf(parameter).str(), kParameter, parameter});
      for (size_t k = 0; k < keptCount; ++k) {
        const unsigned argument = keptArguments[i * keptCount + k];
        kept.push_back({own[k].get(), nameOf(argument).str(), kKept, argument});
      }
    }
    if (scale)
      for (auto [next, argument] : llvm::zip_equal(scale->next(), argumentsOf({&kScale, 1})))
        scales.push_back({next.get(), nameOf(argument).str(), kScale, argument});
  }
  if (b.hasFailed())
    return error() << "--optimizer: the step cannot be built";
  llvm::append_range(results, states);
  llvm::append_range(results, kept);
  llvm::append_range(results, scales);
  if (mode < Mode::Accumulate)
    passOn(accumulated, function, {&kAccumulated, 1});
  llvm::append_range(results, accumulated);
  for (auto [i, parameter] : llvm::enumerate(argumentsOf({&kParameter, 1})))
    results.push_back({passes[firstGradient + i], ("grad." + nameOf(parameter)).str(), kGradient, {}});
  return results;
}

FailureOr<StepMaker::Results> StepMaker::evaluate(unsigned output) {
  FailureOr<Results> results = addLoss(evaluator, output, /*counts=*/true);
  if (failed(results))
    return failure();
  for (char role : {kParameter, kState, kKept, kScale, kAccumulated})
    passOn(*results, evaluator, {&role, 1});
  for (unsigned parameter : argumentsOf({&kParameter, 1}))
    results->push_back({evaluator.getArgument(parameter), ("grad." + nameOf(parameter)).str(), kGradient, {}});
  return results;
}

LogicalResult StepMaker::run() {
  if (failed(findFunctions()))
    return failure();
  FailureOr<unsigned> output = findOutput();
  if (failed(output) || failed(addTarget(*output)) || failed(addOptimizer()) || failed(addSeed()) ||
      failed(addAccumulators()))
    return failure();
  FailureOr<Results> evaluation = evaluate(*output);
  // What differentiates erases functions that nothing names: the attribute goes when it is done.
  if (failed(evaluation) || failed(differentiate(*output)))
    return failure();
  main->removeAttr(kEvaluateAttr);
  func::FuncOp accumulating = cloneWithAccumulators("_accumulate"), applying = cloneWithAccumulators("_apply");
  FailureOr<Results> step = addUpdate(main, Mode::WithGradients), sums = addUpdate(accumulating, Mode::Accumulate),
                     applied = addUpdate(applying, Mode::Apply);
  if (failed(step) || failed(sums) || failed(applied))
    return failure();
  finish(main, *step);
  finish(evaluator, *evaluation);
  finish(accumulating, *sums);
  finish(applying, *applied);
  auto trainer = cast<func::FuncOp>(main->clone());
  trainer.setName((main.getName() + "_train").str());
  module.push_back(trainer);
  addVersion(trainer, Mode::Train);
  addVersion(evaluator, Mode::Evaluate);
  addVersion(accumulating, Mode::Accumulate);
  addVersion(applying, Mode::Apply);
  main->setAttr(kVersionsAttr, builder.getArrayAttr(versions));
  main->setAttr(kGivenAttr, builder.getStrArrayAttr({kMode}));
  requireMode();
  describe(*step);
  return success();
}

LogicalResult makeTrainingStep(ModuleOp module, const TrainingOptions &options, Precision precision) {
  if (precision == Precision::BF16)
    narrowProducts(module, BFloat16Type::get(module.getContext()));
  if (precision == Precision::F16)
    narrowProducts(module, Float16Type::get(module.getContext()));
  return StepMaker(module, options, precision).run();
}

} // namespace ds
