//===- Source.cpp - Constants and values made from shapes --------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsSource.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsSource.cpp.inc"
