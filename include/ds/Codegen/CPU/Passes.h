//===- Passes.h - Passes that prepare a model for a CPU's loops -----------===//
// Guarantees: constructors, options and registration of the passes in Passes.td.
//===----------------------------------------------------------------------===//
#ifndef DS_CODEGEN_CPU_PASSES_H
#define DS_CODEGEN_CPU_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ds {
#define GEN_PASS_DECL
#include "ds/Codegen/CPU/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Codegen/CPU/Passes.h.inc"

/// ds-pack with panels of `tile` columns: two vectors of the target.
inline std::unique_ptr<mlir::Pass> createPackPass(int64_t tile, bool winograd) {
  PackPassOptions options;
  options.tile = tile;
  options.winograd = winograd;
  return createPackPass(options);
}
} // namespace ds

#endif
