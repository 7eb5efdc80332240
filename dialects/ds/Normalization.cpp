//===- Normalization.cpp - Composite ops -------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsNormalization.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsNormalization.cpp.inc"
