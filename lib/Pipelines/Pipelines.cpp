//===- Pipelines.cpp - The order of all passes ----------------------------===//
// Assumes: a module with one function of ds ops, as import leaves it.
// Guarantees: the code of each kernel and of the host in the LLVM dialect, and the rt.program that the
// artifact's
//   metadata is read from.
//===----------------------------------------------------------------------===//
#include "ds/Pipelines/Pipelines.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Codegen/CPU/Passes.h"
#include "ds/Codegen/Passes.h"
#include "ds/Conversion/Passes.h"
#include "ds/Group/Passes.h"
#include "ds/Layout/Passes.h"
#include "ds/Memory/Passes.h"
#include "ds/Regions/Passes.h"
#include "ds/Simplify/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include <map>

using namespace mlir;

namespace ds {

static void buildSimplify(OpPassManager &pm, const PipelineOptions &options) {
  pm.addPass(createLowerStringsPass());
  OpPassManager &first = pm.nest<func::FuncOp>();
  first.addPass(createInferShapesPass());
  first.addPass(createCanonicalizerPass());
  first.addPass(createFoldConstantsPass());
  // What no constant says is read while the model runs.
  pm.addPass(createBindValuesPass());
  if (!options.forced.empty())
    pm.addPass(createForceStaticPass(options.forced));
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createInferShapesPass());
  function.addPass(createCanonicalizerPass());
  // Factors of channels go into weights before patterns are looked for: a pattern must not take them.
  function.addPass(createFoldBatchNormPass());
  function.addPass(createRecognizePass());
  function.addPass(createFoldConstantsPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  function.addPass(createCheckDonationsPass());
}

void buildPreparation(OpPassManager &pm) {
  OpPassManager &first = pm.nest<func::FuncOp>();
  first.addPass(createInferShapesPass());
  first.addPass(createCanonicalizerPass());
  first.addPass(createFoldConstantsPass());
  pm.addPass(createBindValuesPass());
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createInferShapesPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createRecognizePass());
  function.addPass(createFoldConstantsPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
}

static void buildRegions(OpPassManager &pm, const PipelineOptions &) {
  pm.addNestedPass<func::FuncOp>(createFormRegionsPass());
}

static void buildLayout(OpPassManager &pm, const PipelineOptions &) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createLayoutPass());
  // Behind the layout: where channels are last, interleaving moves whole pixels, and in one dimension nothing.
  function.addPass(createLowerConvTransposePass());
  function.addPass(createFoldConstantsPass());
  function.addPass(createCanonicalizerPass());
}

/// The host target's own: data in the form in which a CPU's loops read it.
static void buildPack(OpPassManager &pm, const PipelineOptions &options) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  // Panels of two vectors: the register tile's width.
  function.addPass(createPackPass(2 * options.target.host.lanes(), /*winograd=*/!options.precise));
  function.addPass(createCanonicalizerPass());
  pm.addPass(createFoldPackingPass());
  // After specialization and shapes, so that every length that can be known is.
  pm.addPass(createPlanTransformsPass());
  OpPassManager &after = pm.nest<func::FuncOp>();
  after.addPass(createFoldConstantsPass());
  after.addPass(createCanonicalizerPass());
  after.addPass(createCSEPass());
}

static void buildGroup(OpPassManager &pm, const PipelineOptions &) { pm.addPass(createGroupPass()); }

static void buildKernels(OpPassManager &pm, const PipelineOptions &options) {
  pm.addPass(createGenerateKernelsPass(options.target, options.kernels));
}

static void buildHost(OpPassManager &pm, const PipelineOptions &options) {
  if (options.reuse)
    pm.addNestedPass<func::FuncOp>(createPlaceDonationsPass());
  // On launches, whose operands and results are the buffers to be, and behind everything that joins equal ops; once
  // donations are placed, so that nothing runs again that would read what is overwritten.
  if (options.memory) {
    RematerializePassOptions remat;
    remat.budget = options.memory->budget;
    remat.threads = options.memory->threads;
    for (const auto &[name, size] : options.memory->sizes)
      remat.sizes.push_back(name + "=" + std::to_string(size));
    for (const std::string &pattern : options.memory->recomputed)
      remat.recompute.push_back(pattern);
    pm.addPass(createRematerializePass(remat));
  }
  pm.addPass(createConvertDsToRtPass());
  pm.addNestedPass<rt::ProgramOp>(createAssignMemoryPass({options.reuse}));
  pm.addPass(createConvertRtToLLVMPass());
}

static void buildToLLVM(OpPassManager &pm, const PipelineOptions &) { buildLowerToLLVMPipeline(pm); }

ArrayRef<PassPhase> passPhases() {
  static const PassPhase phases[] = {
      {"simplify", "ds-simplify-pipeline", "shapes, constants, patterns", buildSimplify, /*judgesModel=*/true},
      {"regions", "ds-regions-pipeline", "static regions", buildRegions, /*judgesModel=*/true},
      {"layout", "ds-layout-pipeline", "channels innermost", buildLayout},
      {"pack", "ds-pack-pipeline", "packed weights and tables, for a CPU", buildPack},
      {"group", "ds-group-pipeline", "kernels", buildGroup},
      // Sizes may be too large to be expressed, in kernels and between them.
      {"kernels", "ds-kernels-pipeline", "code of the kernels", buildKernels, /*judgesModel=*/true},
      {"host", "ds-host-pipeline", "buffers and the host program", buildHost, /*judgesModel=*/true},
      {"llvm", "ds-to-llvm-pipeline", "everything to the LLVM dialect", buildToLLVM},
  };
  return phases;
}

namespace {
struct TargetOptions : PassPipelineOptions<TargetOptions> {
  Option<std::string> text{*this, "target", llvm::cl::desc("what to generate code for"), llvm::cl::init("")};
  Option<std::string> cpu{*this, "target-cpu", llvm::cl::desc("its processor"), llvm::cl::init("")};
  Option<bool> precise{*this, "precise", llvm::cl::desc("nothing that trades accuracy for speed"),
                       llvm::cl::init(false)};
  /// Passes refer to it, which may live as long as the process.
  const Target &resolve() const {
    static std::map<std::pair<std::string, std::string>, Target> resolved;
    auto found = resolved.find({text, cpu});
    if (found == resolved.end()) {
      std::string error;
      FailureOr<Target> target = Target::resolve(text, cpu, error);
      if (failed(target))
        llvm::reportFatalUsageError(llvm::StringRef(error));
      found = resolved.emplace(std::pair<std::string, std::string>(text, cpu), std::move(*target)).first;
    }
    return found->second;
  }
};
} // namespace

void registerPipelines() {
  auto optionsOf = [](const TargetOptions &options) { return PipelineOptions{options.resolve(), options.precise}; };
  for (auto [index, phase] : llvm::enumerate(passPhases()))
    PassPipelineRegistration<TargetOptions>(
        phase.pipeline, ("phase " + llvm::Twine(index + 2) + ": " + phase.summary).str(),
        [&phase, optionsOf](OpPassManager &pm, const TargetOptions &options) { phase.build(pm, optionsOf(options)); });
  PassPipelineRegistration<TargetOptions>("ds-compile-pipeline", "all phases after import",
                                          [optionsOf](OpPassManager &pm, const TargetOptions &options) {
                                            for (const PassPhase &phase : passPhases())
                                              phase.build(pm, optionsOf(options));
                                          });
}

} // namespace ds
