//===- RtDialect.h - The host program -------------------------------------===//
// Guarantees: the dialect, its type and its ops.
//===----------------------------------------------------------------------===//
#ifndef DS_RTDIALECT_H
#define DS_RTDIALECT_H

#include "dialects/ds/ir/DsDialect.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
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

/// What code generation says of a kernel, as attributes of the module that holds its code:
inline constexpr llvm::StringLiteral kSizes = "rt.sizes";     ///< ShapeAttr: the kernel's size parameters, in order
inline constexpr llvm::StringLiteral kRange = "rt.range";     ///< ShapeAttr of one: items of a launch
inline constexpr llvm::StringLiteral kGrain = "rt.grain";     ///< ShapeAttr of one: fewest items worth a thread
inline constexpr llvm::StringLiteral kScratch = "rt.scratch"; ///< ShapeAttr of one: bytes of scratch a worker needs
inline constexpr llvm::StringLiteral kFlops = "rt.flops";     ///< ShapeAttr of one: floating-point operations
inline constexpr llvm::StringLiteral kBytes = "rt.bytes";     ///< ShapeAttr of one: bytes a launch must read and write
/// On a launch and its dispatch: a ShapeAttr of what the kernel's symbols k0, k1, ... are there. Without it the
/// kernel's symbols are the program's.
inline constexpr llvm::StringLiteral kSymbols = "rt.symbols";
/// On a launch: ShapeAttrs of its results.
inline constexpr llvm::StringLiteral kShapes = "rt.shapes";
/// On the host function: what the entry dimensions must fulfil ({sides, kind, message}, see ShapeConstraint;
/// sides is a ShapeAttr of a and b).
inline constexpr llvm::StringLiteral kConstraints = "rt.constraints";
/// On the host function: names of long sizes ({symbol, value}: a StringAttr and a ShapeAttr of one), each over what
/// comes before it.
inline constexpr llvm::StringLiteral kDefined = "rt.defined";
/// On the host function, once it has buffers instead of arguments and results: {name, type, shape} of each.
inline constexpr llvm::StringLiteral kInputs = "rt.inputs";
inline constexpr llvm::StringLiteral kOutputs = "rt.outputs";
/// On a host function that calls run: the symbols (StringAttrs) whose values the caller gives, in order.
inline constexpr llvm::StringLiteral kGiven = "rt.given";
/// UnitAttr on a dispatch's kernel module: results may share the buffer of an argument of equal size.
inline constexpr llvm::StringLiteral kInPlace = "rt.in_place";

} // namespace ds::rt

#endif
