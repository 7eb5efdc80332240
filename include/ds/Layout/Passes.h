//===- Passes.h - Passes that choose layouts ------------------------------===//
// Guarantees: constructors, options and registration of the passes in Passes.td.
//===----------------------------------------------------------------------===//
#ifndef DS_LAYOUT_PASSES_H
#define DS_LAYOUT_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ds {
#define GEN_PASS_DECL
#include "ds/Layout/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Layout/Passes.h.inc"
} // namespace ds

#endif
