//===- Reduction.cpp - Reductions, scans and selections ----------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsReduction.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsReduction.cpp.inc"
