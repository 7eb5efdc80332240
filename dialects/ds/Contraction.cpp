//===- Contraction.cpp - Matrix products -------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsContraction.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsContraction.cpp.inc"
