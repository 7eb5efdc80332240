//===- Passes.h - Passes that assign memory -------------------------------===//
// Guarantees: constructors, options and registration of the passes in Passes.td.
//===----------------------------------------------------------------------===//
#ifndef DS_MEMORY_PASSES_H
#define DS_MEMORY_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace ds {
#define GEN_PASS_DECL
#include "ds/Memory/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Memory/Passes.h.inc"
} // namespace ds

#endif
