//===- ValueTable.cpp - The sizes that a program computes -----------------===//
#include "lib/Conversion/RtToLLVM/ValueTable.h"
#include "llvm/ADT/SetVector.h"
#include <set>

using namespace mlir;

namespace ds {

ModuleOp kernelModule(rt::DispatchOp dispatch) {
  return SymbolTable::lookupNearestSymbolFrom<ModuleOp>(dispatch, dispatch.getKernelAttr());
}

SymExpr kernelExpr(ModuleOp kernel, StringRef attribute) {
  return kernel->getAttrOfType<ShapeAttr>(attribute).getDim(0);
}

SmallVector<ModuleOp> launchedKernels(func::FuncOp function) {
  llvm::SetVector<Operation *> kernels;
  for (auto dispatch : function.getOps<rt::DispatchOp>())
    kernels.insert(kernelModule(dispatch));
  SmallVector<ModuleOp> result;
  for (Operation *kernel : kernels)
    result.push_back(cast<ModuleOp>(kernel));
  return result;
}

FailureOr<func::FuncOp> hostFunction(ModuleOp module) {
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  if (functions.size() != 1) {
    module.emitError("expected one function, the model; got ") << functions.size();
    return failure();
  }
  return functions.front();
}

void ValueTable::addSymbol(const std::string &name) {
  symbolIndices.try_emplace(name, names.size());
  names.push_back(name);
}

unsigned ValueTable::stageOf(const SymExpr &expr) const {
  unsigned known = 0;
  for (const std::string &symbol : expr.symbols())
    if (auto it = symbolIndices.find(symbol); it != symbolIndices.end())
      known = std::max(known, it->second + 1);
  unsigned stage = 0;
  while (stages[stage].symbolCount < known)
    ++stage;
  return stage;
}

void ValueTable::numberValues(const std::vector<SymExpr> &wanted) {
  std::vector<std::vector<SymExpr>> ofStage(stages.size());
  std::set<std::string> seen;
  for (const SymExpr &expr : wanted)
    if (!expr.isConst() && seen.insert(expr.str()).second)
      ofStage[stageOf(expr)].push_back(expr);
  for (auto [stage, list] : llvm::zip_equal(stages, ofStage)) {
    for (const SymExpr &expr : list) {
      indices.try_emplace(expr.str(), values.size());
      values.push_back(expr);
    }
    stage.valueCount = values.size();
  }
}

ValueTable::ValueTable(func::FuncOp function) {
  for (auto [input, entry] :
       llvm::enumerate(function->getAttrOfType<ArrayAttr>(rt::kInputs).getAsRange<DictionaryAttr>()))
    for (auto [d, dim] : llvm::enumerate(entry.getAs<ShapeAttr>("shape").getDims()))
      if (auto name = dim.symbolName(); name && !symbolIndices.count(*name)) {
        symbols.push_back({*name, static_cast<unsigned>(input), static_cast<unsigned>(d)});
        addSymbol(*name);
      }
  stages.emplace_back();
  stages.back().symbolCount = names.size();
  unsigned launches = 0;
  bool reading = false; // binds without a dispatch between them begin one stage
  for (Operation &op : function.getBody().front()) {
    if (auto bind = dyn_cast<rt::BindOp>(op)) {
      if (!reading) {
        stages.emplace_back();
        stages.back().firstLaunch = launches;
      }
      reading = true;
      for (auto [element, symbol] : llvm::enumerate(bind.getSymbols().getDims())) {
        bound.push_back({*symbol.symbolName(), bind, static_cast<unsigned>(element)});
        addSymbol(bound.back().name);
      }
      stages.back().symbolCount = names.size();
    } else if (auto dispatch = dyn_cast<rt::DispatchOp>(op)) {
      reading = false;
      ++launches;
      ++stages.back().launchCount;
      SymExpr &scratch = stages.back().scratch;
      scratch = SymExpr::max(scratch, kernelExpr(kernelModule(dispatch), rt::kScratch));
    }
  }

  std::vector<SymExpr> wanted;
  for (auto entry : function->getAttrOfType<ArrayAttr>(rt::kOutputs).getAsRange<DictionaryAttr>())
    llvm::append_range(wanted, entry.getAs<ShapeAttr>("shape").getDims());
  for (auto buffer : function.getOps<rt::BufferOp>())
    if (buffer.getKind() == rt::BufferKind::temporary)
      wanted.push_back(buffer.getBytes().getDim(0));
  for (ModuleOp kernel : launchedKernels(function)) {
    llvm::append_range(wanted, kernel->getAttrOfType<ShapeAttr>(rt::kSizes).getDims());
    for (StringRef attribute : {rt::kRange, rt::kGrain, rt::kFlops, rt::kBytes})
      wanted.push_back(kernelExpr(kernel, attribute));
  }
  for (const Stage &stage : stages)
    wanted.push_back(stage.scratch);
  numberValues(wanted);

  std::vector<std::vector<ShapeConstraint>> ofStage(stages.size());
  if (auto stated = function->getAttrOfType<ArrayAttr>(rt::kConstraints))
    for (auto entry : stated.getAsRange<DictionaryAttr>()) {
      auto expr = [&](StringRef key) { return *SymExpr::parse(entry.getAs<StringAttr>(key).getValue()); };
      ShapeConstraint constraint{expr("a"), expr("b"),
                                 static_cast<ShapeConstraint::Kind>(entry.getAs<IntegerAttr>("kind").getInt()),
                                 entry.getAs<StringAttr>("message").str()};
      ofStage[std::max(stageOf(constraint.a), stageOf(constraint.b))].push_back(constraint);
    }
  for (auto [stage, list] : llvm::zip_equal(stages, ofStage)) {
    stage.firstConstraint = constraints.size();
    stage.constraintCount = list.size();
    llvm::append_range(constraints, list);
  }
}

} // namespace ds
