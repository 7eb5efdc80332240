//===- Passes.h - Passes that simplify ds ---------------------------------===//
// Guarantees: constructors, options and registration of the passes in Passes.td.
//===----------------------------------------------------------------------===//
#ifndef DS_SIMPLIFY_PASSES_H
#define DS_SIMPLIFY_PASSES_H

#include "ds/Simplify/Versions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace ds {
#define GEN_PASS_DECL
#include "ds/Simplify/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Simplify/Passes.h.inc"

/// ds-force-static for what the user says of these nodes.
std::unique_ptr<mlir::Pass> createForceStaticPass(llvm::ArrayRef<ForcedNode> forced);
} // namespace ds

#endif
