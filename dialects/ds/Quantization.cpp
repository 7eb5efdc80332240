//===- Quantization.cpp - Quantization ---------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsQuantization.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsQuantization.cpp.inc"
