//===- ds-lsp-server.cpp - Language server for ds text --------------------===//
// Guarantees: diagnostics, definitions and completion for .mlir files of the project in any editor that speaks LSP.
//===----------------------------------------------------------------------===//
#include "ds/InitAll.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllDialects.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  ds::registerAllDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
