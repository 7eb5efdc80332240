//===- Passes.h - Passes that form regions -------------------------------===//
// Guarantees: constructors, options and registration of the passes in Passes.td.
//===----------------------------------------------------------------------===//
#ifndef DS_REGIONS_PASSES_H
#define DS_REGIONS_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace ds {
#define GEN_PASS_DECL
#include "ds/Regions/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Regions/Passes.h.inc"
} // namespace ds

#endif
