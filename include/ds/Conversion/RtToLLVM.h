//===- RtToLLVM.h - The host program as metadata --------------------------===//
// Guarantees: what the phase `artifact` (lib/Driver) writes beside the code.
//===----------------------------------------------------------------------===//
#ifndef DS_CONVERSION_RTTOLLVM_H
#define DS_CONVERSION_RTTOLLVM_H

#include "ds/Artifact/Program.h"
#include "mlir/IR/BuiltinOps.h"

namespace ds {

/// What the artifact says of the programs in `module`. Weights point into its
/// attributes.
mlir::FailureOr<artifact::Program> describeProgram(mlir::ModuleOp module);

} // namespace ds

#endif
