//===- Passes.h - Which ops share a kernel --------------------------------===//
// Guarantees: constructors, options and registration of the passes in Passes.td.
//===----------------------------------------------------------------------===//
#ifndef DS_GROUP_PASSES_H
#define DS_GROUP_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ds {
#define GEN_PASS_DECL
#include "ds/Group/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Group/Passes.h.inc"
} // namespace ds

#endif
