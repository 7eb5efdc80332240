//===- Pipelines.cpp - The order of all passes ----------------------------===//
// Assumes: a module with one function of ds ops, as import leaves it.
// Guarantees: modules in the LLVM dialect, one a kernel and one for the host, and the function of rt ops that the
// artifact's
//   metadata is read from.
//===----------------------------------------------------------------------===//
#include "ds/Pipelines/Pipelines.h"
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

using namespace mlir;

namespace ds {

namespace {
class ForceStaticPass : public PassWrapper<ForceStaticPass, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ForceStaticPass)
  explicit ForceStaticPass(ArrayRef<ForcedNode> forced) : forced(forced) {}
  StringRef getName() const override { return "ForceStatic"; }
  void runOnOperation() override {
    if (failed(forceStatic(getOperation(), forced)))
      signalPassFailure();
  }

private:
  std::vector<ForcedNode> forced;
};
} // namespace

void buildSimplifyPipeline(OpPassManager &pm, ArrayRef<ForcedNode> forced) {
  pm.addPass(createLowerStringsPass());
  OpPassManager &first = pm.nest<func::FuncOp>();
  first.addPass(createInferShapesPass());
  first.addPass(createCanonicalizerPass());
  first.addPass(createFoldConstantsPass());
  // What no constant says is read while the model runs.
  first.addPass(createBindValuesPass());
  if (!forced.empty())
    pm.addPass(std::make_unique<ForceStaticPass>(forced));
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createInferShapesPass());
  function.addPass(createCanonicalizerPass());
  // Factors of channels go into weights before patterns are looked for: a pattern must not take them.
  function.addPass(createFoldBatchNormPass());
  function.addPass(createRecognizePass());
  function.addPass(createFoldConstantsPass());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
}

void buildRegionsPipeline(OpPassManager &pm) { pm.addNestedPass<func::FuncOp>(createFormRegionsPass()); }

void buildLayoutPipeline(OpPassManager &pm, const CpuTarget &target, bool precise) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createLayoutPass());
  function.addPass(createCanonicalizerPass());
  // Panels of two vectors: the register tile's width.
  function.addPass(createPackPass(2 * target.lanes(), /*winograd=*/!precise));
  function.addPass(createCanonicalizerPass());
  pm.addPass(createFoldPackingPass());
  OpPassManager &after = pm.nest<func::FuncOp>();
  after.addPass(createFoldConstantsPass());
  after.addPass(createCanonicalizerPass());
  after.addPass(createCSEPass());
}

void buildGroupPipeline(OpPassManager &pm) { pm.addPass(createGroupPass()); }

void buildKernelsPipeline(OpPassManager &pm, const CpuTarget &target) { pm.addPass(createGenerateKernelsPass(target)); }

void buildHostPipeline(OpPassManager &pm, bool reuse) {
  pm.addPass(createConvertDsToRtPass());
  pm.addNestedPass<func::FuncOp>(createAssignMemoryPass({reuse}));
  pm.addPass(createConvertRtToLLVMPass());
}

void buildToLLVMPipeline(OpPassManager &pm) {
  // Kernels and host are modules of their own: they are lowered in parallel.
  buildLowerToLLVMPipeline(pm.nest<ModuleOp>());
}

namespace {
struct TargetOptions : PassPipelineOptions<TargetOptions> {
  Option<std::string> triple{*this, "target", llvm::cl::desc("the machine to generate code for"), llvm::cl::init("")};
  Option<std::string> cpu{*this, "target-cpu", llvm::cl::desc("its processor"), llvm::cl::init("")};
  Option<bool> precise{*this, "precise", llvm::cl::desc("nothing that trades accuracy for speed"),
                       llvm::cl::init(false)};
  CpuTarget resolve() const {
    std::string error;
    FailureOr<CpuTarget> target = CpuTarget::resolve(cpu, error, triple);
    if (failed(target))
      llvm::reportFatalUsageError(llvm::StringRef(error));
    return *target;
  }
};
} // namespace

void registerPipelines() {
  PassPipelineRegistration<>("ds-simplify-pipeline", "phase 2: shapes, constants, patterns",
                             [](OpPassManager &pm) { buildSimplifyPipeline(pm); });
  PassPipelineRegistration<>("ds-regions-pipeline", "phase 6: static regions", buildRegionsPipeline);
  PassPipelineRegistration<TargetOptions>("ds-layout-pipeline", "phase 7: channels innermost, packed weights",
                                          [](OpPassManager &pm, const TargetOptions &options) {
                                            buildLayoutPipeline(pm, options.resolve(), options.precise);
                                          });
  PassPipelineRegistration<>("ds-group-pipeline", "phase 7: kernels", buildGroupPipeline);
  PassPipelineRegistration<TargetOptions>(
      "ds-kernels-pipeline", "phase 8: code of the kernels",
      [](OpPassManager &pm, const TargetOptions &options) { buildKernelsPipeline(pm, options.resolve()); });
  PassPipelineRegistration<>("ds-host-pipeline", "phase 9: buffers and the host program",
                             [](OpPassManager &pm) { buildHostPipeline(pm); });
  PassPipelineRegistration<>("ds-to-llvm-pipeline", "phase 9: everything to the LLVM dialect", buildToLLVMPipeline);
  PassPipelineRegistration<TargetOptions>("ds-compile-pipeline", "all phases after import",
                                          [](OpPassManager &pm, const TargetOptions &options) {
                                            CpuTarget target = options.resolve();
                                            buildSimplifyPipeline(pm);
                                            buildRegionsPipeline(pm);
                                            buildLayoutPipeline(pm, target, options.precise);
                                            buildGroupPipeline(pm);
                                            buildKernelsPipeline(pm, target);
                                            buildHostPipeline(pm);
                                            buildToLLVMPipeline(pm);
                                          });
}

} // namespace ds
