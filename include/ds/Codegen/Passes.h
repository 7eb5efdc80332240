//===- Passes.h - Kernels to code -----------------------------------------===//
// Guarantees: passes of the phases `kernels` and `llvm` (lib/Pipelines), and the last step to object files.
//===----------------------------------------------------------------------===//
#ifndef DS_CODEGEN_PASSES_H
#define DS_CODEGEN_PASSES_H

#include "ds/Codegen/KernelCache.h"
#include "ds/Codegen/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include <functional>
#include <memory>
#include <vector>

namespace ds {
#define GEN_PASS_DECL
#include "ds/Codegen/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "ds/Codegen/Passes.h.inc"

/// ds-generate-kernels for `target`, which outlives the pass. With `kernels`, code that is known already is not
/// generated: the kernel's rt.code has no body.
std::unique_ptr<mlir::Pass> createGenerateKernelsPass(const Target &target, ProgramKernels *kernels = nullptr);

/// Adds what brings kernels' code and the host program, of scf, arith, math, vector, cf and func, to the LLVM dialect.
void buildLowerToLLVMPipeline(mlir::OpPassManager &pm);

/// What the code of one program for several CPUs needs to be linked together.
struct VariantNames {
  std::string suffix; // of every symbol that this variant defines; "" in the first one
  std::string next;   // the suffix of the next one, which this one's table of functions leads to; "" in the last one
};

/// Compiles the code of every kernel, and the host program, to an object file in memory, in their order, several at a
/// time; `progress` is told how many are done. Objects are taken from `kernels`, or put there. Emits a diagnostic on
/// failure.
mlir::FailureOr<std::vector<std::string>> emitObjects(mlir::ModuleOp module, const CpuTarget &target,
                                                      std::function<void(size_t done, size_t all)> progress,
                                                      const VariantNames &names = {},
                                                      ProgramKernels *kernels = nullptr);

} // namespace ds

#endif
