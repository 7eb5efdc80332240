//===- Passes.h - Which ops share a kernel --------------------------------===//
// Guarantees: phase 5 (lib/Pipelines): `ds-group`.
//===----------------------------------------------------------------------===//
#ifndef DS_GROUP_PASSES_H
#define DS_GROUP_PASSES_H

#include "mlir/Pass/Pass.h"
#include <memory>

namespace ds {

/// Module pass. Before: functions with ds.static regions of ds ops in attribute form. After: functions of ds.constant,
/// views (ds.reshape) and rt.launch; the kernels launched are rt.kernel, equal ones only once.
std::unique_ptr<mlir::Pass> createGroupPass();

void registerGroupPasses();

} // namespace ds

#endif
