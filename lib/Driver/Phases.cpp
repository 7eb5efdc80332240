//===- Phases.cpp - The phases of a compilation ---------------------------===//
// Guarantees: the one table that `--stop-after`, `--save-phases`, `--timing` and the driver's loop read.
// Declines: the passes of a phase; their order is lib/Pipelines' matter.

#include "ds/Driver/Phases.h"

#include "dialects/ds/DsDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace ds;

llvm::ArrayRef<Phase> ds::phases() {
  return {};
}

void ds::registerForCompilation(mlir::DialectRegistry &registry) {
  registry.insert<DsDialect, mlir::func::FuncDialect>();
}
