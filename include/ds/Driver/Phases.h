//===- Phases.h - The phases of a compilation -----------------------------===//
// Guarantees: the one table that `--stop-after`, `--save-phases`, `--timing` and the driver's loop read.
// Declines: the passes of a phase; their order is lib/Pipelines' matter.

#ifndef DS_DRIVER_PHASES_H
#define DS_DRIVER_PHASES_H

#include "ds/Artifact/Assemble.h"
#include "ds/Codegen/Passes.h"
#include "ds/Compiler.h"
#include "ds/Pipelines/Pipelines.h"

#include "mlir/IR/BuiltinOps.h"

namespace ds {

class OutputFile;

/// What a phase may know and do beside changing the module.
struct PhaseContext {
  const CompileOptions &options;
  const Target &target;
  VariantNames names;
  /// Those that are done; the last phase adds one, and links all where it is the last one.
  std::vector<artifact::Variant> &variants;
  /// Where the last phase writes: an open file that becomes `options.output` when all went well.
  int outputDescriptor;
  /// More files that appear with it.
  std::vector<OutputFile> &besides;
  std::function<void(size_t done, size_t all)> progress;
  /// Code that may be known already; null where the program's IR is asked for.
  ProgramKernels *kernels = nullptr;
};

struct Phase {
  llvm::StringRef name;
  /// The phase's passes, or
  const PassPhase *passes = nullptr;
  /// what does what no pass does (writes files); emits diagnostics on failure.
  mlir::LogicalResult (*run)(mlir::ModuleOp module, PhaseContext &context) = nullptr;
  /// Failures may be the model's fault; those of other phases are internal errors.
  bool judgesModel = false;
};

/// All phases after import, in order.
llvm::ArrayRef<Phase> phases();

} // namespace ds

#endif // DS_DRIVER_PHASES_H
