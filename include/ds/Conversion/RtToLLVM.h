//===- RtToLLVM.h - The host program as code and as metadata --------------===//
// Guarantees: phase 7 (lib/Pipelines), second half, and what phase 9 writes beside the code.
//===----------------------------------------------------------------------===//
#ifndef DS_CONVERSION_RTTOLLVM_H
#define DS_CONVERSION_RTTOLLVM_H

#include "ds/Artifact/Program.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include <memory>

namespace ds {

/// Module pass. Before: a host function of rt.buffer and rt.dispatch, and modules of kernels. After: beside them a
/// module `host` in the LLVM, arith and func dialects that defines `ds_program` (ds_kernel.h).
std::unique_ptr<mlir::Pass> createConvertRtToLLVMPass();

/// What the artifact says of the host function in `module` (which still holds its rt ops). Weights point into its
/// attributes.
mlir::FailureOr<artifact::Program> describeProgram(mlir::ModuleOp module);

void registerConversionPasses();

} // namespace ds

#endif
