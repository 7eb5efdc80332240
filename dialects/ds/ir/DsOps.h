//===- DsOps.h - The ops of ds --------------------------------------------===//
// Guarantees: all op classes (ds::AddOp, ...). One .td, .h.inc and .cpp a subject.
//===----------------------------------------------------------------------===//
#ifndef DS_DSOPS_H
#define DS_DSOPS_H

#include "dialects/ds/ir/DsDialect.h"
#include "dialects/ds/ir/DsInterfaces.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsElementwise.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsSource.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsMovement.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsReduction.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsContraction.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsConvolution.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsNormalization.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsQuantization.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsPacked.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsRecurrent.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsRegion.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsSpectral.h.inc"

namespace ds {
/// True for ops that the runtime carries out between two stages, and whose results are memory of their own.
inline bool isCall(mlir::Operation *op) { return llvm::isa<IfOp, LoopOp, CustomOp>(op); }
/// True for ops between two stages of a program: after them more sizes are known than before.
inline bool endsStage(mlir::Operation *op) { return llvm::isa<BindOp>(op) || isCall(op); }
} // namespace ds

#endif
