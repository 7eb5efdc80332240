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
#include "dialects/ds/ir/DsRandom.h.inc"
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

#endif
