//===- Arguments.cpp - What a training step takes -------------------------===//
// Guarantees: see StepMaker.h. Both functions, that which trains and that which evaluates, take the same. No two
//   arguments have one name.
//===----------------------------------------------------------------------===//
#include "Loss.h"
#include "LossScale.h"
#include "Optimizer.h"
#include "StepMaker.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "ds/Import/Onnx.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;

namespace ds {

StringRef StepMaker::nameOf(unsigned argument) {
  return main.getArgAttrOfType<StringAttr>(argument, kNameAttr).getValue();
}

SmallVector<unsigned> StepMaker::argumentsOf(StringRef wanted) const {
  SmallVector<unsigned> found;
  for (char role : wanted)
    for (auto [i, each] : llvm::enumerate(roles))
      if (each == role)
        found.push_back(unsigned(i));
  return found;
}

std::string StepMaker::freshName(std::string name) {
  auto isTaken = [&] {
    for (unsigned i = 0; i < main.getNumArguments(); ++i)
      if (nameOf(i) == name)
        return true;
    return false;
  };
  while (isTaken())
    name += '_';
  return name;
}

LogicalResult StepMaker::findFunctions() {
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      main = function;
  auto name = main ? main->getAttrOfType<FlatSymbolRefAttr>(kEvaluateAttr) : FlatSymbolRefAttr();
  evaluator = name ? module.lookupSymbol<func::FuncOp>(name.getAttr()) : func::FuncOp();
  if (!evaluator)
    return error() << "expected a function that is to be trained, with '" << kEvaluateAttr << "'";
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto role = main.getArgAttrOfType<StringAttr>(i, kRoleAttr), rule = main.getArgAttrOfType<StringAttr>(i, kDrawAttr);
    roles += !role || role == "data" ? kData
             : role == "parameter"   ? kParameter
             : role == kSeedRole     ? kModelSeed
             : role == kRunRole      ? kModelRun
                                     : kState;
    if (roles.back() == kParameter || roles.back() == kState)
      rules += (rules.empty() ? "" : ";") + (rule ? rule.str() : "keep");
    for (func::FuncOp function : {main, evaluator}) {
      function.removeArgAttr(i, kRoleAttr);
      function.removeArgAttr(i, kDrawAttr);
    }
    for (const SymExpr &dim : main.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr).getDims())
      if (dim.symbolName() == kMode)
        return error() << "a dimension of input '" << nameOf(i) << "' is called '" << kMode
                       << "', which says what a step does; give it another name";
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
  return error() << "--loss: the model has no output '" << options.loss.output << "'; it has " << known;
}

LogicalResult StepMaker::addTarget(unsigned output) {
  ShapeState shapes;
  if (failed(inferFunction(main, shapes)))
    return failure();
  Operation *terminator = main.getBody().front().getTerminator();
  if (options.loss.kind == LossOptions::OwnOutput) {
    const SymDims dims = *shapes.getDims(terminator->getOperand(output));
    if (product(dims).isConst(1))
      return success();
    InFlightDiagnostic diagnostic = error() << "--loss=output: expected an output of one element, and '"
                                            << main.getResultAttrOfType<StringAttr>(output, kNameAttr).getValue()
                                            << "' has the dims [";
    llvm::interleaveComma(dims, diagnostic, [&](const SymExpr &dim) { diagnostic << dim.str(); });
    return diagnostic << "]; its mean would be one, or give a loss of targets (cross_entropy, mse, ...)";
  }
  auto wanted = targetOf(terminator, terminator->getOperand(output), shapes, options.loss);
  if (failed(wanted))
    return failure();
  if (options.loss.kind == LossOptions::CrossEntropy) {
    SymDims all = *shapes.getDims(terminator->getOperand(output));
    const SymExpr &size = all[size_t(options.loss.axis + (options.loss.axis < 0 ? int64_t(all.size()) : 0))];
    classes = size.isConst() ? std::to_string(size.getConst()) : "0";
  }
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
  const unsigned index = unsigned(argumentsOf({&kData, 1}).size());
  const std::string name = freshName("target");
  for (func::FuncOp function : {main, evaluator}) {
    DictionaryAttr attributes = builder.getDictionaryAttr(
        {builder.getNamedAttr(kNameAttr, builder.getStringAttr(name)),
         builder.getNamedAttr(kShapeArgAttr, ShapeAttr::get(module.getContext(), ArrayRef<SymExpr>(dims)))});
    if (failed(function.insertArgument(index, typeFromDims(wanted->first, dims), attributes,
                                       NameLoc::get(builder.getStringAttr(name)))))
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

LogicalResult StepMaker::addArgument(StringRef wanted, Type element, ArrayRef<SymExpr> dims, char role,
                                     Attribute initial) {
  const std::string name = freshName(wanted.str());
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
  // A learning rate is no number for half precision; double precision has one of its own.
  Type rate = builder.getF32Type();
  for (unsigned parameter : argumentsOf({&kParameter, 1})) {
    auto type = cast<RankedTensorType>(main.getArgument(parameter).getType());
    Type element = type.getElementType();
    rate = widerOf(rate, element);
    SymDims dims(type.getShape().begin(), type.getShape().end());
    auto zeros = DenseElementsAttr::get(type, builder.getFloatAttr(element, 0));
    for (StringRef kept : keptBy(options.optimizer))
      if (failed(addArgument((kept + "." + nameOf(parameter)).str(), element, dims, kKept, zeros)))
        return failure();
  }
  if (failed(addLossScale()))
    return failure();
  if (failed(addArgument("learning_rate", rate, {}, kRate)))
    return failure();
  return addArgument("step", builder.getI64Type(), {}, kStep);
}

LogicalResult StepMaker::addLossScale() {
  if (!scalesLoss())
    return success();
  Type element = builder.getF32Type();
  for (auto [name, initial] : kScaleStates) {
    auto value =
        DenseElementsAttr::get(RankedTensorType::get({}, element), Attribute(builder.getFloatAttr(element, initial)));
    if (failed(addArgument(name, element, {}, kScale, value)))
      return failure();
  }
  return success();
}

LogicalResult StepMaker::addSeed() {
  if (argumentsOf({&kModelSeed, 1}).empty())
    return success();
  if (failed(addArgument("seed", builder.getI64Type(), {}, kSeed)))
    return failure();
  // A step's numbers are those of its number: a run that is resumed goes on with the same.
  for (auto [was, is] : {std::pair(kModelSeed, kSeed), std::pair(kModelRun, kStep)}) {
    const unsigned from = argumentsOf({&was, 1})[0], to = argumentsOf({&is, 1})[0];
    for (func::FuncOp function : {main, evaluator}) {
      function.getArgument(from).replaceAllUsesWith(function.getArgument(to));
      if (failed(function.eraseArgument(from)))
        return failure();
    }
    roles.erase(from, 1);
  }
  return success();
}

LogicalResult StepMaker::addAccumulators() {
  auto isTaken = [&] {
    return llvm::any_of(llvm::seq(main.getNumArguments()), [&](unsigned i) {
      return llvm::any_of(main.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr).getDims(),
                          [&](const SymExpr &dim) { return dim.symbolName() == accumulateSymbol; });
    });
  };
  for (accumulateSymbol = "accumulate"; isTaken();)
    accumulateSymbol += '_';
  auto add = [&](StringRef name, Type element, ArrayRef<int64_t> dims) {
    SmallVector<int64_t> none{0};
    llvm::append_range(none, dims);
    SymDims all{SymExpr::symbol(accumulateSymbol)};
    all.append(dims.begin(), dims.end());
    return addArgument(name, element, all, kAccumulated,
                       DenseElementsAttr::get(RankedTensorType::get(none, element), ArrayRef<Attribute>()));
  };
  Type targets = builder.getF32Type();
  for (unsigned parameter : argumentsOf({&kParameter, 1})) {
    auto type = cast<RankedTensorType>(main.getArgument(parameter).getType());
    Type element = type.getElementType();
    targets = widerOf(targets, element);
    if (failed(add(("accumulated." + nameOf(parameter)).str(), element, type.getShape())))
      return failure();
  }
  return add("accumulated_targets", targets, {});
}

} // namespace ds
