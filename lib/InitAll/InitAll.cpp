//===- InitAll.cpp - Everything a tool registers --------------------------===//
// Guarantees: see InitAll.h.
//===----------------------------------------------------------------------===//
#include "ds/InitAll.h"
#include "dialects/ds/ir/DsDialect.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Autodiff/Passes.h"
#include "ds/Codegen/CPU/Passes.h"
#include "ds/Codegen/Passes.h"
#include "ds/Conversion/Passes.h"
#include "ds/Group/Passes.h"
#include "ds/Layout/Passes.h"
#include "ds/Memory/Passes.h"
#include "ds/Pipelines/Pipelines.h"
#include "ds/Regions/Passes.h"
#include "ds/Simplify/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"

namespace ds {

void registerAllDialects(mlir::DialectRegistry &registry) {
  registry.insert<DsDialect, rt::RtDialect, mlir::func::FuncDialect>();
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
}

void registerAllPasses() {
  registerDsSimplifyPasses();
  registerDsRegionsPasses();
  registerDsAutodiffPasses();
  registerDsLayoutPasses();
  registerDsGroupPasses();
  registerDsCodegenCPUPasses();
  registerDsCodegenPasses();
  registerDsMemoryPasses();
  registerDsConversionPasses();
  registerPipelines();
}

} // namespace ds
