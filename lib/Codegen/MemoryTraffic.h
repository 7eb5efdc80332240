//===- MemoryTraffic.h - Bytes that a kernel must move --------------------===//
#ifndef DS_LIB_CODEGEN_MEMORYTRAFFIC_H
#define DS_LIB_CODEGEN_MEMORYTRAFFIC_H

#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"

namespace ds {

/// The bytes of memory that a launch of `kernel` must read and write, were every element moved once.
SymExpr memoryTraffic(rt::KernelOp kernel, ShapeState &shapes);

} // namespace ds

#endif
