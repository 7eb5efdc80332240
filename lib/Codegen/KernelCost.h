//===- KernelCost.h - What a kernel has to compute and to move ------------===//
#ifndef DS_LIB_CODEGEN_KERNELCOST_H
#define DS_LIB_CODEGEN_KERNELCOST_H

#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"

namespace ds {

/// Floating-point operations of a launch of `kernel`: its root's, or those of all its elements.
SymExpr operationCount(rt::KernelOp kernel, ShapeState &shapes);

/// The bytes of memory that a launch of `kernel` must read and write, were every element moved once.
SymExpr memoryTraffic(rt::KernelOp kernel, ShapeState &shapes);

} // namespace ds

#endif
