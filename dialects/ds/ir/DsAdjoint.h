//===- DsAdjoint.h - Ops of backward passes -------------------------------===//
// Guarantees: the classes of the ops in DsAdjoint.td, which few files name: DsOps.h is without them.
//===----------------------------------------------------------------------===//
#ifndef DS_DSADJOINT_H
#define DS_DSADJOINT_H

#include "dialects/ds/ir/DsOps.h"

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsAdjoint.h.inc"

#endif
