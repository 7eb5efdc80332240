//===- Step.cpp - A model's function to a training step -------------------===//
// Guarantees: see ds/Train/Step.h.
//===----------------------------------------------------------------------===//
#include "ds/Train/Step.h"
#include "Loss.h"
#include "Optimizer.h"
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/shape/Substitute.h"
#include "ds/Autodiff/Gradients.h"
#include "ds/Import/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace ds {

namespace {

/// What arguments and results are, by the letters of the properties (docs/Training.md).
constexpr char kData = 'd', kTarget = 't', kParameter = 'p', kState = 'b', kKept = 'o', kRate = 'l', kStep = 'k';
constexpr char kLoss = 'L', kCount = 'n', kCorrect = 'c', kGradient = 'g';
constexpr StringLiteral kMode = "mode";

/// A result of the step.
struct Result {
  Value value;
  std::string name;
  char role;
  /// The argument whose next value it is.
  std::optional<unsigned> of;
};

class StepMaker {
public:
  StepMaker(ModuleOp module, const TrainingOptions &options) : module(module), options(options), builder(module) {}
  LogicalResult run();

private:
  LogicalResult findFunctions();
  FailureOr<unsigned> findOutput();
  /// The target of both functions, after the data.
  LogicalResult addTarget(unsigned output);
  LogicalResult addArgument(StringRef name, Type element, ArrayRef<SymExpr> dims, char role, Attribute initial = {});
  LogicalResult addOptimizer();
  FailureOr<SmallVector<Result>> train(unsigned output);
  FailureOr<SmallVector<Result>> evaluate(unsigned output);
  void finish(func::FuncOp function, ArrayRef<Result> results);
  /// A function like `function` that makes no gradients, for a mode.
  void addVersion(func::FuncOp function, int64_t mode);
  void describe(ArrayRef<Result> results);
  StringRef nameOf(unsigned argument) { return main.getArgAttrOfType<StringAttr>(argument, kNameAttr).getValue(); }
  SmallVector<unsigned> argumentsOf(char role) {
    SmallVector<unsigned> found;
    for (auto [i, each] : llvm::enumerate(roles))
      if (each == role)
        found.push_back(unsigned(i));
    return found;
  }

  ModuleOp module;
  const TrainingOptions &options;
  Builder builder;
  func::FuncOp main, evaluator;
  std::string roles; // of the arguments
  SmallVector<Attribute> versions;
};

} // namespace

LogicalResult StepMaker::findFunctions() {
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      main = function;
  auto name = main ? main->getAttrOfType<FlatSymbolRefAttr>(kEvaluateAttr) : FlatSymbolRefAttr();
  evaluator = name ? module.lookupSymbol<func::FuncOp>(name.getAttr()) : func::FuncOp();
  if (!evaluator)
    return module.emitError("expected a function that is to be trained, with '") << kEvaluateAttr << "'";
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto role = main.getArgAttrOfType<StringAttr>(i, kRoleAttr);
    roles += !role || role == "data" ? kData : role == "parameter" ? kParameter : kState;
    for (func::FuncOp function : {main, evaluator})
      function.removeArgAttr(i, kRoleAttr);
  }
  return success();
}

FailureOr<unsigned> StepMaker::findOutput() {
  std::string known;
  for (unsigned i = 0; i < main.getNumResults(); ++i) {
    if (main.getResultAttr(i, kRoleAttr))
      continue;
    StringRef name = main.getResultAttrOfType<StringAttr>(i, kNameAttr).getValue();
    if (options.loss.output.empty() || name == options.loss.output)
      return i;
    known += (known.empty() ? "'" : ", '") + name.str() + "'";
  }
  return main.emitError("--loss: the model has no output '") << options.loss.output << "'; it has " << known;
}

LogicalResult StepMaker::addTarget(unsigned output) {
  if (options.loss.kind == LossOptions::OwnOutput)
    return success();
  ShapeState shapes;
  if (failed(inferFunction(main, shapes)))
    return failure();
  Operation *terminator = main.getBody().front().getTerminator();
  auto wanted = targetOf(terminator, terminator->getOperand(output), shapes, options.loss);
  if (failed(wanted))
    return failure();
  // A dim that is no symbol gets one, which must be equal.
  SymDims dims;
  SmallVector<std::pair<std::string, SymExpr>> equal;
  for (const SymExpr &dim : wanted->second) {
    if (dim.isConst() || dim.symbolName()) {
      dims.push_back(dim);
      continue;
    }
    equal.emplace_back("target_" + std::to_string(equal.size()), dim);
    dims.push_back(SymExpr::symbol(equal.back().first));
  }
  const unsigned index = unsigned(argumentsOf(kData).size());
  for (func::FuncOp function : {main, evaluator}) {
    DictionaryAttr attributes = builder.getDictionaryAttr(
        {builder.getNamedAttr(kNameAttr, builder.getStringAttr("target")),
         builder.getNamedAttr(kShapeArgAttr, ShapeAttr::get(module.getContext(), ArrayRef<SymExpr>(dims)))});
    if (failed(function.insertArgument(index, typeFromDims(wanted->first, dims), attributes,
                                       NameLoc::get(builder.getStringAttr("target")))))
      return failure();
    OpBuilder atStart = OpBuilder::atBlockBegin(&function.getBody().front());
    for (const auto &[symbol, dim] : equal) {
      auto one = [&](const SymExpr &expr) { return ShapeAttr::get(module.getContext(), ArrayRef<SymExpr>{expr}); };
      RequireOp::create(atStart, function.getLoc(), one(SymExpr::symbol(symbol)), one(dim),
                        "'target' to have the dimensions of the output without the classes");
    }
  }
  roles.insert(roles.begin() + index, kTarget);
  return success();
}

LogicalResult StepMaker::addArgument(StringRef name, Type element, ArrayRef<SymExpr> dims, char role,
                                     Attribute initial) {
  SmallVector<NamedAttribute> attributes{
      builder.getNamedAttr(kNameAttr, builder.getStringAttr(name)),
      builder.getNamedAttr(kShapeArgAttr, ShapeAttr::get(module.getContext(), dims))};
  for (func::FuncOp function : {main, evaluator}) {
    const unsigned index = function.getNumArguments();
    if (failed(function.insertArgument(index, typeFromDims(element, dims), builder.getDictionaryAttr(attributes),
                                       NameLoc::get(builder.getStringAttr(name)))))
      return failure();
    if (initial)
      function.setArgAttr(index, kDefaultAttr, initial);
  }
  roles += role;
  return success();
}

LogicalResult StepMaker::addOptimizer() {
  Type element;
  for (unsigned parameter : argumentsOf(kParameter)) {
    auto type = cast<RankedTensorType>(main.getArgument(parameter).getType());
    element = type.getElementType();
    SymDims dims(type.getShape().begin(), type.getShape().end());
    auto zeros = DenseElementsAttr::get(type, builder.getFloatAttr(element, 0));
    for (StringRef kept : keptBy(options.optimizer))
      if (failed(addArgument((kept + "." + nameOf(parameter)).str(), element, dims, kKept, zeros)))
        return failure();
  }
  if (failed(addArgument("learning_rate", element, {}, kRate)))
    return failure();
  return addArgument("step", builder.getI64Type(), {}, kStep);
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

FailureOr<SmallVector<Result>> StepMaker::train(unsigned output) {
  Operation *terminator = main.getBody().front().getTerminator();
  SmallVector<Result> results;
  // The loss is a result, so that the gradient can be asked of it.
  {
    ShapeState shapes;
    if (failed(inferFunction(main, shapes)))
      return failure();
    OpBuilder ops(terminator);
    VjpBuilder b(ops, shapes, terminator, {});
    SmallVector<unsigned> target = argumentsOf(kTarget);
    LossValues values = buildLoss(b, options.loss, terminator->getOperand(output),
                                  target.empty() ? Value() : Value(main.getArgument(target[0])), /*counts=*/false);
    if (b.hasFailed())
      return main.emitError("--loss: the loss cannot be built on '") << options.loss.output << "'";
    results = {{values.loss.get(), "loss", kLoss, {}},
               {values.count.get(), "count", kCount, {}},
               {values.correct.get(), "correct", kCorrect, {}}};
  }
  SmallVector<Result> states;
  for (unsigned i = 0; i < main.getNumResults(); ++i)
    if (main.getResultAttr(i, kRoleAttr)) {
      StringRef name = main.getResultAttrOfType<StringAttr>(i, kNameAttr).getValue();
      for (unsigned argument : argumentsOf(kState))
        if (nameOf(argument) == name)
          states.push_back({terminator->getOperand(i), name.str(), kState, argument});
    }
  const unsigned lossResult = main.getNumResults();
  terminator->insertOperands(lossResult, results[0].value);
  if (failed(main.insertResult(lossResult, results[0].value.getType(), {})))
    return failure();
  SmallVector<BlockArgument> parameters;
  for (unsigned parameter : argumentsOf(kParameter))
    parameters.push_back(main.getArgument(parameter));
  FailureOr<SmallVector<Value>> gradients = buildGradients(main, lossResult, parameters);
  if (failed(gradients))
    return failure();
  // What was expanded for its derivative is another value now.
  results[0].value = terminator->getOperand(lossResult);
  for (Result &state : states)
    for (unsigned i = 0; i < lossResult; ++i)
      if (main.getResultAttr(i, kRoleAttr) &&
          main.getResultAttrOfType<StringAttr>(i, kNameAttr).getValue() == state.name)
        state.value = terminator->getOperand(i);

  ShapeState shapes;
  if (failed(inferFunction(main, shapes)))
    return failure();
  OpBuilder ops(terminator);
  VjpBuilder b(ops, shapes, terminator, {});
  Operation *before = terminator->getPrevNode();
  OptimizerBuilder optimizer(b, options.optimizer, main.getArgument(argumentsOf(kRate)[0]),
                             main.getArgument(argumentsOf(kStep)[0]));
  // What all updates share comes first, of arguments alone.
  Operation *first = &terminator->getBlock()->front();
  if (before)
    for (Operation *op : opsBetween(before, terminator))
      op->moveBefore(first);
  SmallVector<TensorExpr> scaled;
  for (Value gradient : *gradients)
    scaled.push_back(b(gradient));
  scaled = optimizer.clip(scaled);
  const size_t kept = keptBy(options.optimizer).size();
  SmallVector<unsigned> keptArguments = argumentsOf(kKept);
  SmallVector<Result> keptResults;
  for (auto [i, parameter] : llvm::enumerate(argumentsOf(kParameter))) {
    SmallVector<TensorExpr> own;
    for (size_t k = 0; k < kept; ++k)
      own.push_back(b(main.getArgument(keptArguments[i * kept + k])));
    before = terminator->getPrevNode();
    TensorExpr next = optimizer.update(b(main.getArgument(parameter)), scaled[i], own);
    SmallVector<Value> replaced{main.getArgument(parameter)};
    for (size_t k = 0; k < kept; ++k)
      replaced.push_back(main.getArgument(keptArguments[i * kept + k]));
    moveUp(opsBetween(before, terminator), replaced);
    results.push_back({next.get(), nameOf(parameter).str(), kParameter, parameter});
    for (size_t k = 0; k < kept; ++k) {
      const unsigned argument = keptArguments[i * kept + k];
      keptResults.push_back({own[k].get(), nameOf(argument).str(), kKept, argument});
    }
  }
  if (b.hasFailed())
    return main.emitError("--optimizer: the step cannot be built");
  llvm::append_range(results, states);
  llvm::append_range(results, keptResults);
  for (auto [parameter, gradient] : llvm::zip_equal(argumentsOf(kParameter), *gradients))
    results.push_back({gradient, ("grad." + nameOf(parameter)).str(), kGradient, {}});
  return results;
}

FailureOr<SmallVector<Result>> StepMaker::evaluate(unsigned output) {
  Operation *terminator = evaluator.getBody().front().getTerminator();
  ShapeState shapes;
  if (failed(inferFunction(evaluator, shapes)))
    return failure();
  OpBuilder ops(terminator);
  VjpBuilder b(ops, shapes, terminator, {});
  SmallVector<unsigned> target = argumentsOf(kTarget);
  LossValues values = buildLoss(b, options.loss, terminator->getOperand(output),
                                target.empty() ? Value() : Value(evaluator.getArgument(target[0])), /*counts=*/true);
  if (b.hasFailed())
    return failure();
  SmallVector<Result> results{{values.loss.get(), "loss", kLoss, {}},
                              {values.count.get(), "count", kCount, {}},
                              {values.correct.get(), "correct", kCorrect, {}}};
  for (char role : {kParameter, kState, kKept})
    for (unsigned argument : argumentsOf(role))
      results.push_back({evaluator.getArgument(argument), nameOf(argument).str(), role, argument});
  for (unsigned parameter : argumentsOf(kParameter))
    results.push_back({evaluator.getArgument(parameter), ("grad." + nameOf(parameter)).str(), kGradient, {}});
  return results;
}

void StepMaker::finish(func::FuncOp function, ArrayRef<Result> results) {
  Operation *terminator = function.getBody().front().getTerminator();
  SmallVector<Value> values;
  SmallVector<Type> types;
  for (const Result &result : results) {
    values.push_back(result.value);
    types.push_back(result.value.getType());
  }
  terminator->setOperands(values);
  function.setFunctionType(builder.getFunctionType(function.getArgumentTypes(), types));
  SmallVector<Attribute> attributes;
  for (const Result &result : results)
    attributes.push_back(
        builder.getDictionaryAttr(builder.getNamedAttr(kNameAttr, builder.getStringAttr(result.name))));
  function.setResAttrsAttr(builder.getArrayAttr(attributes));
  for (auto [i, result] : llvm::enumerate(results))
    if (result.of)
      function.setArgAttr(*result.of, kDonateAttr, builder.getI64IntegerAttr(int64_t(i)));
}

void StepMaker::addVersion(func::FuncOp function, int64_t mode) {
  Operation *terminator = function.getBody().front().getTerminator();
  OpBuilder ops(terminator);
  SmallVector<Type> types;
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    Value value = terminator->getOperand(i);
    if (function.getResultAttrOfType<StringAttr>(i, kNameAttr).getValue().starts_with("grad.")) {
      auto type = cast<RankedTensorType>(value.getType());
      SymDims dims(type.getShape().begin(), type.getShape().end());
      dims.front() = SymExpr(0);
      value = FillOp::create(ops, function.getLoc(), typeFromDims(type.getElementType(), dims), Value(),
                             ShapeAttr::get(module.getContext(), ArrayRef<SymExpr>(dims)),
                             cast<TypedAttr>(builder.getFloatAttr(type.getElementType(), 0)));
      terminator->setOperand(i, value);
    }
    types.push_back(value.getType());
  }
  function.setFunctionType(builder.getFunctionType(function.getArgumentTypes(), types));
  function.setPrivate();
  SmallVector<SymExpr> own;
  llvm::StringSet<> seen;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    function.removeArgAttr(i, kDefaultAttr);
    for (const SymExpr &dim : function.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr).getDims())
      if (auto symbol = dim.symbolName(); symbol && seen.insert(*symbol).second)
        own.push_back(dim);
  }
  if (!own.empty())
    function->setAttr(kOwnSymbolsAttr, ShapeAttr::get(module.getContext(), ArrayRef<SymExpr>(own)));
  function->removeAttr(kGivenAttr);
  versions.push_back(builder.getDictionaryAttr(
      {builder.getNamedAttr("body", FlatSymbolRefAttr::get(function)),
       builder.getNamedAttr("sizes",
                            builder.getDictionaryAttr(builder.getNamedAttr(kMode, builder.getI64IntegerAttr(mode))))}));
}

void StepMaker::describe(ArrayRef<Result> results) {
  std::string outputs, rate;
  for (const Result &result : results)
    outputs += result.role;
  llvm::raw_string_ostream(rate) << llvm::format("%.17g", options.optimizer.learningRate);
  SmallVector<NamedAttribute> properties;
  if (auto known = module->getAttrOfType<DictionaryAttr>(kPropertiesAttr))
    for (NamedAttribute property : known)
      if (!property.getName().strref().starts_with("ds.train"))
        properties.push_back(property);
  for (auto [key, value] :
       std::initializer_list<std::pair<StringRef, StringRef>>{{"ds.train", "1"},
                                                              {"ds.train.inputs", roles},
                                                              {"ds.train.outputs", outputs},
                                                              {"ds.train.loss", options.lossText},
                                                              {"ds.train.optimizer", options.optimizerText},
                                                              {"ds.train.lr", rate},
                                                              {"ds.train.schedule", options.schedule}})
    properties.push_back(builder.getNamedAttr(key, builder.getStringAttr(value)));
  module->setAttr(kPropertiesAttr, builder.getDictionaryAttr(properties));
}

LogicalResult StepMaker::run() {
  if (failed(findFunctions()))
    return failure();
  FailureOr<unsigned> output = findOutput();
  if (failed(output) || failed(addTarget(*output)) || failed(addOptimizer()))
    return failure();
  // What differentiates erases functions that nothing names: the attribute goes when it is done.
  FailureOr<SmallVector<Result>> step = train(*output);
  main->removeAttr(kEvaluateAttr);
  if (failed(step))
    return failure();
  FailureOr<SmallVector<Result>> evaluation = evaluate(*output);
  if (failed(evaluation))
    return failure();
  finish(main, *step);
  finish(evaluator, *evaluation);
  auto trainer = cast<func::FuncOp>(main->clone());
  trainer.setName((main.getName() + "_train").str());
  module.push_back(trainer);
  addVersion(trainer, 0);
  addVersion(evaluator, 2);
  main->setAttr(kVersionsAttr, builder.getArrayAttr(versions));
  main->setAttr(kGivenAttr, builder.getStrArrayAttr({kMode}));
  describe(*step);
  return success();
}

LogicalResult makeTrainingStep(ModuleOp module, const TrainingOptions &options) {
  return StepMaker(module, options).run();
}

} // namespace ds
