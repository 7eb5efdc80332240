//===- Movement.cpp - Ops that move elements ---------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsMovement.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsMovement.cpp.inc"
