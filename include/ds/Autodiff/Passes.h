//===- Passes.h - Passes that differentiate -------------------------------===//
// Guarantees: constructors, options and registration of the passes in Passes.td.
//===----------------------------------------------------------------------===//
#ifndef DS_AUTODIFF_PASSES_H
#define DS_AUTODIFF_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ds {
#define GEN_PASS_DECL
#include "ds/Autodiff/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Autodiff/Passes.h.inc"
} // namespace ds

#endif
