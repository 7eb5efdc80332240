//===- Pipelines.h - The order of all passes ------------------------------===//
// Guarantees: one function a phase; ds-compile runs them one after another, ds-opt knows each by name
//   (ds-simplify-pipeline, ds-layout-pipeline, ds-group-pipeline, ds-kernels-pipeline, ds-host-pipeline,
//   ds-to-llvm-pipeline), and ds-compile-pipeline is all of them.
//===----------------------------------------------------------------------===//
#ifndef DS_PIPELINES_PIPELINES_H
#define DS_PIPELINES_PIPELINES_H

#include "ds/Codegen/Target.h"
#include "ds/Simplify/Versions.h"
#include "mlir/Pass/PassManager.h"

namespace ds {

/// `forced`: what the user says of sizes that depend on data.
void buildSimplifyPipeline(mlir::OpPassManager &pm, llvm::ArrayRef<ForcedNode> forced = {});
void buildRegionsPipeline(mlir::OpPassManager &pm);
/// `precise`: nothing that trades accuracy for speed.
void buildLayoutPipeline(mlir::OpPassManager &pm, const CpuTarget &target, bool precise = false);
void buildGroupPipeline(mlir::OpPassManager &pm);
void buildKernelsPipeline(mlir::OpPassManager &pm, const CpuTarget &target);
/// `reuse`: kernels may work in place, and memory of tensors may be shared.
void buildHostPipeline(mlir::OpPassManager &pm, bool reuse = true);
void buildToLLVMPipeline(mlir::OpPassManager &pm);

/// Makes the pipelines available by name.
void registerPipelines();

} // namespace ds

#endif
