//===- Versions.cpp - A training step for each mode -----------------------===//
// Guarantees: see StepMaker.h. Versions take and give what `main` does; gradients have no elements in them.
//===----------------------------------------------------------------------===//
#include "StepMaker.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "ds/Import/Onnx.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace ds {

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

func::FuncOp StepMaker::cloneWithAccumulators(StringRef suffix) {
  auto function = cast<func::FuncOp>(main->clone());
  function.setName((main.getName() + suffix).str());
  module.push_back(function);
  for (unsigned i : argumentsOf({&kAccumulated, 1})) {
    SymDims dims(function.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr).getDims());
    dims.front() = SymExpr(1);
    BlockArgument argument = function.getArgument(i);
    argument.setType(typeFromDims(VjpBuilder::elementOf(argument), dims));
    function.setArgAttr(i, kShapeArgAttr, ShapeAttr::get(module.getContext(), ArrayRef<SymExpr>(dims)));
  }
  function.setFunctionType(
      builder.getFunctionType(function.getBody().front().getArgumentTypes(), function.getResultTypes()));
  return function;
}

void StepMaker::addVersion(func::FuncOp function, Mode mode) {
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
  SmallVector<NamedAttribute> sizes{builder.getNamedAttr(kMode, builder.getI64IntegerAttr(int64_t(mode)))};
  if (mode >= Mode::Accumulate)
    sizes.push_back(builder.getNamedAttr(accumulateSymbol, builder.getI64IntegerAttr(1)));
  versions.push_back(builder.getDictionaryAttr({builder.getNamedAttr("body", FlatSymbolRefAttr::get(function)),
                                                builder.getNamedAttr("sizes", builder.getDictionaryAttr(sizes))}));
}

/// `main` is what runs where no version fits, and does what one mode asks for.
void StepMaker::requireMode() {
  OpBuilder atStart = OpBuilder::atBlockBegin(&main.getBody().front());
  auto one = [&](const SymExpr &expr) { return ShapeAttr::get(module.getContext(), ArrayRef<SymExpr>{expr}); };
  RequireOp::create(
      atStart, main.getLoc(), one(SymExpr::symbol(kMode.str())), one(SymExpr(int64_t(Mode::WithGradients))),
      "'mode' to be 0 (train), 1 (train and give gradients), 2 (evaluate), or, where the session has states "
      "for accumulated gradients, 3 (accumulate) or 4 (accumulate and train)");
}

void StepMaker::describe(ArrayRef<Result> results) {
  std::string outputs, rate;
  for (const Result &result : results)
    outputs += result.role;
  const std::string ignored = options.loss.ignoreIndex ? std::to_string(*options.loss.ignoreIndex) : "";
  llvm::raw_string_ostream(rate) << llvm::format("%.17g", options.optimizer.learningRate);
  SmallVector<NamedAttribute> properties;
  if (auto known = module->getAttrOfType<DictionaryAttr>(kPropertiesAttr))
    for (NamedAttribute property : known)
      if (!property.getName().strref().starts_with("ds.train"))
        properties.push_back(property);
  for (auto [key, value] :
       std::initializer_list<std::pair<StringRef, StringRef>>{{"ds.train", "1"},
                                                              {"ds.train.inputs", roles},
                                                              {"ds.train.initialize", rules},
                                                              {"ds.train.outputs", outputs},
                                                              {"ds.train.loss", options.lossText},
                                                              {"ds.train.classes", classes},
                                                              {"ds.train.ignored", ignored},
                                                              {"ds.train.optimizer", options.optimizerText},
                                                              {"ds.train.lr", rate},
                                                              {"ds.train.schedule", options.schedule}})
    properties.push_back(builder.getNamedAttr(key, builder.getStringAttr(value)));
  module->setAttr(kPropertiesAttr, builder.getDictionaryAttr(properties));
}

} // namespace ds
