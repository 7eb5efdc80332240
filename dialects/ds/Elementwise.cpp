//===- Elementwise.cpp - Elementwise ops -------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsElementwise.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsElementwise.cpp.inc"
