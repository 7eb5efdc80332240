//===- ds-opt.cpp - Runs passes of ds and MLIR on text --------------------===//
// Guarantees: every pass and pipeline of the project and of MLIR under its name.
//===----------------------------------------------------------------------===//
#include "ds/InitAll.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  ds::registerAllDialects(registry);
  ds::registerAllPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "ds optimizer driver\n", registry));
}
