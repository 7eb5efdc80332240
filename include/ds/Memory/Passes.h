//===- Passes.h - Buffers for tensors -------------------------------------===//
// Guarantees: phase 7 (lib/Pipelines), first half: `ds-assign-buffers`.
//===----------------------------------------------------------------------===//
#ifndef DS_MEMORY_PASSES_H
#define DS_MEMORY_PASSES_H

#include "mlir/Pass/Pass.h"
#include <memory>

namespace ds {

/// Module pass. Before: functions of ds.constant, ds.reshape and rt.launch on tensors; kernels are code. After: the
/// same functions without arguments and results, of rt.buffer and rt.dispatch; views are gone; lifetimes and sizes are
/// stated.
std::unique_ptr<mlir::Pass> createAssignBuffersPass();

void registerMemoryPasses();

} // namespace ds

#endif
