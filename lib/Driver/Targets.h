//===- Targets.h - The CPUs that a compilation is for -----------*- C++ -*-===//
// Guarantees: what `--target` and `--target-cpu` mean, in the order in which loading tries it.
// Private to lib/Driver.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_DRIVER_TARGETS_H
#define DS_LIB_DRIVER_TARGETS_H

#include "ds/Codegen/Target.h"
#include <vector>

namespace ds {

/// The CPUs of a list ("znver4,x86-64-v3"), the most capable first. `error` says what is wrong with it otherwise: an
/// unknown name, or two CPUs between which no machine could choose.
mlir::FailureOr<std::vector<CpuTarget>> resolveTargets(llvm::StringRef cpus, llvm::StringRef triple,
                                                       std::string &error);

} // namespace ds

#endif
