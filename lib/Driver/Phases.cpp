//===- Phases.cpp - The phases of a compilation ---------------------------===//
// Guarantees: the one table that `--stop-after`, `--save-phases`, `--timing` and the driver's loop read.
// Declines: the passes of a phase; their order is lib/Pipelines' matter.

#include "ds/Driver/Phases.h"

#include "dialects/ds/DsDialect.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Artifact/Link.h"
#include "ds/Codegen/Passes.h"
#include "ds/Conversion/RtToLLVM.h"
#include "ds/InitAll.h"
#include "ds/Pipelines/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace ds;

/// The driver has checked the name of the CPU before any phase begins.
static CpuTarget targetOf(const PhaseContext &context) {
  std::string error;
  CpuTarget target = *CpuTarget::resolve(context.options.targetCpu, error);
  target.optLevel = context.options.optLevel;
  return target;
}

static LogicalResult writeArtifact(ModuleOp module, PhaseContext &context) {
  CpuTarget target = targetOf(context);
  FailureOr<artifact::Program> program = describeProgram(module);
  if (failed(program))
    return failure();
  program->triple = target.triple;
  program->cpu = target.cpu;
  program->features = artifact::checkedFeatures(target.features);
  program->compiler = "ds " + compilerVersion().str();
  FailureOr<std::vector<std::string>> objects = emitObjects(module, target, context.progress);
  if (failed(objects))
    return failure();
  std::vector<artifact::Object> parts;
  for (const std::string &object : *objects)
    parts.push_back({"", object});
  auto kind = context.options.emit == EmitKind::Library ? artifact::EmitKind::SharedLibrary
                                                        : artifact::EmitKind::Executable;
  std::string error = artifact::linkArtifact(parts, *program, kind, context.temporaryOutput);
  if (!error.empty())
    return module.emitError(error);
  return success();
}

llvm::ArrayRef<Phase> ds::phases() {
  using PM = OpPassManager;
  using Context = const PhaseContext;
  static const Phase table[] = {
      {"simplify", [](PM &pm, Context &) { buildSimplifyPipeline(pm); }, nullptr, /*judgesModel=*/true},
      {"regions", [](PM &pm, Context &) { buildRegionsPipeline(pm); }, nullptr, /*judgesModel=*/true},
      {"layout", [](PM &pm, Context &context) { buildLayoutPipeline(pm, targetOf(context)); }},
      {"group", [](PM &pm, Context &) { buildGroupPipeline(pm); }},
      {"kernels", [](PM &pm, Context &context) { buildKernelsPipeline(pm, targetOf(context)); }},
      {"host", [](PM &pm, Context &) { buildHostPipeline(pm); }},
      {"llvm", [](PM &pm, Context &) { buildToLLVMPipeline(pm); }},
      {"artifact", nullptr, writeArtifact},
  };
  return table;
}

void ds::registerForCompilation(DialectRegistry &registry) { registerAllDialects(registry); }
