//===- DsOps.h - The ops of ds --------------------------------------------===//
// Guarantees: all op classes (ds::AddOp, ...). One .td, .h.inc and .cpp a subject.
//===----------------------------------------------------------------------===//
#ifndef DS_DSOPS_H
#define DS_DSOPS_H

#include "dialects/ds/DsDialect.h"
#include "dialects/ds/DsInterfaces.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/ds/DsElementwise.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsSource.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsMovement.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsReduction.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsContraction.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsConvolution.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsNormalization.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsQuantization.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsPacked.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsRecurrent.h.inc"
#define GET_OP_CLASSES
#include "dialects/ds/DsRegion.h.inc"

namespace ds {
/// True for ops that the runtime carries out between two stages, and whose results are memory of their own.
inline bool isCall(mlir::Operation *op) { return llvm::isa<IfOp, LoopOp, CustomOp>(op); }
/// True for ops between two stages of a program: after them more sizes are known than before.
inline bool endsStage(mlir::Operation *op) { return llvm::isa<BindOp>(op) || isCall(op); }
} // namespace ds

#endif
