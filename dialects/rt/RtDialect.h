//===- RtDialect.h - The host program -------------------------------------===//
// Guarantees: the dialect, its type and its ops.
//===----------------------------------------------------------------------===//
#ifndef DS_RTDIALECT_H
#define DS_RTDIALECT_H

#include "dialects/ds/ir/DsDialect.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/rt/RtDialect.h.inc"
#include "dialects/rt/RtEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/rt/RtAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/rt/RtTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/rt/RtOps.h.inc"

namespace ds::rt {

/// On a function that was grouped: what its sizes must fulfil, an array of ConstraintAttr.
inline constexpr llvm::StringLiteral kConstraints = "rt.constraints";

} // namespace ds::rt

#endif
