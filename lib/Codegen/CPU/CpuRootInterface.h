//===- CpuRootInterface.h - How a CPU computes a kernel's root ------------===//
// Guarantees: CpuRootOpInterface (documented in CpuRootInterface.td), and its registration for the ops of ds.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_CPUROOTINTERFACE_H
#define DS_LIB_CODEGEN_CPU_CPUROOTINTERFACE_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OpDefinition.h"

namespace ds {
class CpuKernelEmitter;
}

#include "lib/Codegen/CPU/CpuRootInterface.h.inc"

namespace ds {

/// Attaches the emitters of this folder to the ops of ds, as soon as a context has loaded them.
void registerCpuRootEmitters(mlir::DialectRegistry &registry);

} // namespace ds

#endif
