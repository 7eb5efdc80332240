//===- Passes.h - Passes that cross from one IR to the next ---------------===//
// Guarantees: constructors, options and registration of the passes in Passes.td.
//===----------------------------------------------------------------------===//
#ifndef DS_CONVERSION_PASSES_H
#define DS_CONVERSION_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ds {
#define GEN_PASS_DECL
#include "ds/Conversion/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Conversion/Passes.h.inc"
} // namespace ds

#endif
