//===- Pipelines.h - The order of all passes ------------------------------===//
// Guarantees: one table of the phases that consist of passes: ds-compile runs them one after another, ds-opt knows each
//   by the name of its pipeline, and ds-compile-pipeline is all of them.
//===----------------------------------------------------------------------===//
#ifndef DS_PIPELINES_PIPELINES_H
#define DS_PIPELINES_PIPELINES_H

#include "ds/Codegen/KernelCache.h"
#include "ds/Codegen/Target.h"
#include "ds/Memory/Options.h"
#include "ds/Simplify/Versions.h"
#include "mlir/Pass/PassManager.h"

namespace ds {

/// What a compilation is told.
struct PipelineOptions {
  const Target &target;
  /// Nothing that trades accuracy for speed.
  bool precise = false;
  /// What the user says of sizes that depend on data.
  llvm::ArrayRef<ForcedNode> forced = {};
  /// Code that is known already, or null.
  ProgramKernels *kernels = nullptr;
  /// Kernels may work in place, and memory of tensors may be shared.
  bool reuse = true;
  /// What a training step may hold, or null.
  const MemoryOptions *memory = nullptr;
};

struct PassPhase {
  llvm::StringLiteral name, pipeline, summary;
  void (*build)(mlir::OpPassManager &pm, const PipelineOptions &options);
  /// Failures may be the model's fault; those of other phases are internal errors.
  bool judgesModel = false;
};

/// In order; the first is phase 2, after import.
llvm::ArrayRef<PassPhase> passPhases();

/// Known shapes and patterns, before a model is differentiated.
void buildPreparation(mlir::OpPassManager &pm);

/// Makes the pipelines available by name.
void registerPipelines();

} // namespace ds

#endif
