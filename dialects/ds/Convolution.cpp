//===- Convolution.cpp - Convolutions and pools ------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsConvolution.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsConvolution.cpp.inc"
