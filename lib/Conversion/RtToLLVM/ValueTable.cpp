//===- ValueTable.cpp - The sizes that a program computes -----------------===//
#include "lib/Conversion/RtToLLVM/ValueTable.h"
#include "llvm/ADT/SetVector.h"

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

void ValueTable::add(const SymExpr &expr) {
  if (!expr.isConst() && indices.try_emplace(expr.str(), values.size()).second)
    values.push_back(expr);
}

ValueTable::ValueTable(func::FuncOp function) {
  for (auto [input, entry] :
       llvm::enumerate(function->getAttrOfType<ArrayAttr>(rt::kInputs).getAsRange<DictionaryAttr>()))
    for (auto [d, dim] : llvm::enumerate(entry.getAs<ShapeAttr>("shape").getDims()))
      if (auto name = dim.symbolName(); name && symbolIndices.try_emplace(*name, symbols.size()).second)
        symbols.push_back({*name, static_cast<unsigned>(input), static_cast<unsigned>(d)});
  for (auto entry : function->getAttrOfType<ArrayAttr>(rt::kOutputs).getAsRange<DictionaryAttr>())
    for (const SymExpr &dim : entry.getAs<ShapeAttr>("shape").getDims())
      add(dim);
  for (auto buffer : function.getOps<rt::BufferOp>())
    if (buffer.getKind() == rt::BufferKind::temporary)
      add(buffer.getBytes().getDim(0));
  for (ModuleOp kernel : launchedKernels(function)) {
    for (const SymExpr &size : kernel->getAttrOfType<ShapeAttr>(rt::kSizes).getDims())
      add(size);
    for (StringRef attribute : {rt::kRange, rt::kGrain, rt::kFlops, rt::kBytes})
      add(kernelExpr(kernel, attribute));
    scratch = SymExpr::max(scratch, kernelExpr(kernel, rt::kScratch));
  }
  add(scratch);
  if (auto stated = function->getAttrOfType<ArrayAttr>(rt::kConstraints))
    for (auto entry : stated.getAsRange<DictionaryAttr>()) {
      auto expr = [&](StringRef key) { return *SymExpr::parse(entry.getAs<StringAttr>(key).getValue()); };
      constraints.push_back({expr("a"), expr("b"),
                             static_cast<ShapeConstraint::Kind>(entry.getAs<IntegerAttr>("kind").getInt()),
                             entry.getAs<StringAttr>("message").str()});
    }
}

} // namespace ds
