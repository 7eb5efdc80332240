//===- Targets.h - The machines that a compilation is for -------*- C++ -*-===//
// Guarantees: what `--target` and `--target-cpu` mean, in the order in which loading tries it.
// Private to lib/Driver.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_DRIVER_TARGETS_H
#define DS_LIB_DRIVER_TARGETS_H

#include "ds/Codegen/Target.h"

namespace ds {

/// The host and devices of `target` (Target::resolve) with each CPU of a list ("znver4,x86-64-v3"), the most capable
/// first. `error` says what is wrong with it otherwise: an unknown name, or two CPUs between which no machine could
/// choose.
mlir::FailureOr<std::vector<Target>> resolveTargets(llvm::StringRef cpus, llvm::StringRef target, std::string &error);

} // namespace ds

#endif
