//===- InitAll.cpp - Everything a tool registers --------------------------===//
// Guarantees: see InitAll.h.
//===----------------------------------------------------------------------===//
#include "ds/InitAll.h"
#include "dialects/ds/DsDialect.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Regions/Passes.h"
#include "ds/Simplify/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"

namespace ds {

void registerAllDialects(mlir::DialectRegistry &registry) {
  registry.insert<DsDialect, rt::RtDialect, mlir::func::FuncDialect>();
}

void registerAllPasses() {
  registerDsSimplifyPasses();
  registerDsRegionsPasses();
}

} // namespace ds
