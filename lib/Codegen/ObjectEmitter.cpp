//===- ObjectEmitter.cpp - LLVM dialect to object files -------------------===//
// Assumes: modules hold the LLVM dialect only.
// Guarantees: one object a module, the same bytes whatever the number of threads; an LLVM context a thread.
//===----------------------------------------------------------------------===//
#include "ds/Codegen/Passes.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "runtime/include/ds_kernel.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include <atomic>

using namespace mlir;

namespace ds {

void buildLowerToLLVMPipeline(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(arith::createArithExpandOpsPass());
  // Calls of libm take vectors apart with vector ops, which must be there to be lowered next.
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  ConvertVectorToLLVMPassOptions vectorOptions;
  vectorOptions.reassociateFPReductions = true;
  pm.addPass(createConvertVectorToLLVMPass(vectorOptions));
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

static std::unique_ptr<llvm::TargetMachine> createMachine(const CpuTarget &target) {
  std::string error;
  llvm::Triple triple(target.triple);
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  auto level = target.optLevel == 0 ? llvm::CodeGenOptLevel::None : llvm::CodeGenOptLevel::Aggressive;
  return std::unique_ptr<llvm::TargetMachine>(backend->createTargetMachine(triple, target.cpu, target.features, options,
                                                                           llvm::Reloc::PIC_, std::nullopt, level));
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine, int level) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  // Kernels are vectors already.
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  llvm::PassBuilder passes(&machine, tuning);
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(components);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager pipeline =
      level == 0 ? passes.buildO0DefaultPipeline(llvm::OptimizationLevel::O0)
                 : passes.buildPerModuleDefaultPipeline(level == 1   ? llvm::OptimizationLevel::O1
                                                        : level == 2 ? llvm::OptimizationLevel::O2
                                                                     : llvm::OptimizationLevel::O3);
  pipeline.run(module, modules);
}

/// The symbols that the modules define and other modules may see.
static llvm::StringSet<> definedSymbols(ArrayRef<ModuleOp> parts) {
  llvm::StringSet<> names;
  for (ModuleOp part : parts)
    for (Operation &op : *part.getBody()) {
      auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
      auto global = dyn_cast<LLVM::GlobalOp>(op);
      if (function && !function.isExternal())
        names.insert(function.getSymName());
      else if (global)
        names.insert(global.getSymName());
    }
  return names;
}

static void applyNames(llvm::Module &module, const VariantNames &names, const llvm::StringSet<> &defined) {
  if (auto *program = module.getGlobalVariable(DS_PROGRAM_SYMBOL); program && !names.next.empty()) {
    auto *fields = llvm::cast<llvm::ConstantStruct>(program->getInitializer());
    llvm::SmallVector<llvm::Constant *> values;
    for (llvm::Value *value : fields->operands())
      values.push_back(llvm::cast<llvm::Constant>(value));
    values.back() =
        new llvm::GlobalVariable(module, fields->getType(), /*isConstant=*/true, llvm::GlobalValue::ExternalLinkage,
                                 nullptr, DS_PROGRAM_SYMBOL + names.next);
    program->setInitializer(llvm::ConstantStruct::get(fields->getType(), values));
  }
  if (names.suffix.empty())
    return;
  for (llvm::GlobalValue &value : module.global_values())
    if (!value.hasLocalLinkage() && defined.contains(value.getName()))
      value.setName(value.getName() + names.suffix);
}

static bool emitObject(ModuleOp source, const CpuTarget &target, const VariantNames &names,
                       const llvm::StringSet<> &defined, std::string &object) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(source, context, source.getSymName().value_or("host"));
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(target);
  if (!module || !machine)
    return false;
  applyNames(*module, names, defined);
  module->setTargetTriple(llvm::Triple(target.triple));
  module->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *module) {
    if (function.isDeclaration())
      continue;
    // Spills of whole vectors must not cross cache lines, whatever the caller's stack.
    function.addFnAttr("stackrealign");
    function.addFnAttr("no-trapping-math", "true");
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", std::to_string(target.vectorBytes * 8));
  }
  optimize(*module, *machine, target.optLevel);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager emission;
  if (machine->addPassesToEmitFile(emission, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return false;
  emission.run(*module);
  object.assign(bytes.begin(), bytes.end());
  return true;
}

FailureOr<std::vector<std::string>> emitObjects(ModuleOp module, const CpuTarget &target,
                                                std::function<void(size_t, size_t)> progress,
                                                const VariantNames &names) {
  auto parts = llvm::to_vector(module.getOps<ModuleOp>());
  const llvm::StringSet<> defined = names.suffix.empty() ? llvm::StringSet<>() : definedSymbols(parts);
  std::vector<std::string> objects(parts.size());
  std::atomic<size_t> done = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  {
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
    for (size_t i = 0; i < parts.size(); ++i)
      pool.async([&, i] {
        if (failed)
          return;
        if (!emitObject(parts[i], target, names, defined, objects[i]))
          failed = true;
        std::lock_guard<std::mutex> lock(mutex);
        if (progress)
          progress(++done, parts.size());
      });
    pool.wait();
  }
  if (failed) {
    module.emitError("LLVM could not generate code for the target '") << target.cpu << "'";
    return failure();
  }
  return objects;
}

} // namespace ds
