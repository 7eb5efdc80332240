//===- ObjectEmitter.cpp - LLVM dialect to object files -------------------===//
// Assumes: kernels' code and the host program are in the LLVM dialect only.
// Guarantees: one object a kernel, and one of the host program, the same bytes whatever the number of threads; an LLVM
// context a thread.
//===----------------------------------------------------------------------===//
#include "dialects/rt/RtDialect.h"
#include "ds/Codegen/Passes.h"
#include "lib/Codegen/ObjectSymbols.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Threading.h"
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
#include "llvm/IR/OptBisect.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/GVN.h"
#include "llvm/Transforms/Scalar/InstSimplifyPass.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include <atomic>

using namespace mlir;

namespace ds {

static void lowerToLLVM(OpPassManager &pm) {
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

void buildLowerToLLVMPipeline(OpPassManager &pm) {
  // All are isolated, and lowered in parallel.
  OpPassManager &kernels = pm.nest<rt::CodeOp>().nest<ModuleOp>();
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  lowerToLLVM(kernels);
  // The host program says nothing twice, and only integers.
  OpPassManager &host = pm.nest<ModuleOp>();
  host.addPass(arith::createArithExpandOpsPass());
  host.addPass(createArithToLLVMConversionPass());
  host.addPass(createConvertControlFlowToLLVMPass());
  host.addPass(createReconcileUnrealizedCastsPass());
}

namespace {
/// What becomes an object: the code of a kernel, or the host program.
struct Part {
  rt::CodeOp kernel; // null: the host program
  ModuleOp module;   // null: a kernel's object is known

  std::string name() { return kernel ? kernel.getSymName().str() : module.getSymName().value_or("host").str(); }
};
} // namespace

static SmallVector<Part> partsOf(ModuleOp program) {
  SmallVector<Part> parts;
  for (Operation &op : *program.getBody())
    if (auto kernel = dyn_cast<rt::CodeOp>(op))
      parts.push_back({kernel, kernel.getModule()});
    else if (auto host = dyn_cast<ModuleOp>(op))
      parts.push_back({{}, host});
  return parts;
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

/// More instructions than this are a host program of thousands of nodes, in a few blocks.
static bool isLong(const llvm::Module &module) {
  constexpr unsigned kLong = 4000;
  unsigned count = 0;
  for (const llvm::Function &function : module)
    count += function.getInstructionCount();
  return count > kLong;
}

/// Choosing and ordering the instructions of a block at once takes time that grows with its square.
static void divideBlocks(llvm::Module &module) {
  constexpr size_t kMost = 256;
  for (llvm::Function &function : module) {
    std::vector<llvm::Instruction *> starts;
    for (llvm::BasicBlock &block : function) {
      size_t count = 0;
      for (llvm::Instruction &instruction : block)
        if (++count % kMost == 0 && !isa<llvm::PHINode>(instruction) && !instruction.isTerminator())
          starts.push_back(&instruction);
    }
    for (llvm::Instruction *start : llvm::reverse(starts)) // each moves what follows it
      start->getParent()->splitBasicBlock(start);
  }
}

/// Straight-line code, mostly, and much of it: what combines instructions with each other takes seconds there (a
/// detector: four of five) and finds nothing that the code generator does not.
static void addHostPasses(llvm::ModulePassManager &pipeline, bool isLong) {
  llvm::FunctionPassManager function;
  function.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  function.addPass(llvm::EarlyCSEPass());
  function.addPass(llvm::InstSimplifyPass());
  function.addPass(llvm::SimplifyCFGPass());
  if (!isLong)
    function.addPass(llvm::GVNPass());
  pipeline.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(function)));
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine, int level, bool isHost) {
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
  llvm::ModulePassManager pipeline;
  if (level == 0)
    pipeline = passes.buildO0DefaultPipeline(llvm::OptimizationLevel::O0);
  else if (isHost)
    addHostPasses(pipeline, isLong(module));
  else
    pipeline = passes.buildPerModuleDefaultPipeline(level == 1   ? llvm::OptimizationLevel::O1
                                                    : level == 2 ? llvm::OptimizationLevel::O2
                                                                 : llvm::OptimizationLevel::O3);
  pipeline.run(module, modules);
}

/// Loop strength reduction weighs all addresses of a loop against each other: 30 buffers take 15 seconds. A loop over
/// that many (a concatenation) waits for memory, whatever its addresses are computed from.
static bool hasManyBuffers(const llvm::Module &module) {
  constexpr size_t kMany = 16, kOthers = 4; // sizes, scratch, begin, end
  return llvm::any_of(module, [](const llvm::Function &function) { return function.arg_size() > kMany + kOthers; });
}

/// Passes of the code generator that a module goes without.
struct NoStrengthReduction : llvm::OptPassGate {
  bool isEnabled() const override { return true; }
  bool shouldRunPass(StringRef pass, StringRef) const override { return pass != "Loop Strength Reduction"; }
};

/// The symbols that the parts define and others may see.
static llvm::StringSet<> definedSymbols(ArrayRef<Part> parts) {
  llvm::StringSet<> names;
  for (Part part : parts) {
    if (part.kernel)
      names.insert(part.name());
    if (!part.module)
      continue;
    for (Operation &op : *part.module.getBody()) {
      auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
      auto global = dyn_cast<LLVM::GlobalOp>(op);
      if (function && !function.isExternal())
        names.insert(function.getSymName());
      else if (global)
        names.insert(global.getSymName());
    }
  }
  return names;
}

/// The table of functions leads to the next variant's.
static void linkNext(llvm::Module &module, const std::string &suffix) {
  auto *program = module.getGlobalVariable(DS_PROGRAM_SYMBOL);
  if (!program || suffix.empty())
    return;
  auto *fields = llvm::cast<llvm::ConstantStruct>(program->getInitializer());
  llvm::SmallVector<llvm::Constant *> values;
  for (llvm::Value *value : fields->operands())
    values.push_back(llvm::cast<llvm::Constant>(value));
  values.back() = new llvm::GlobalVariable(module, fields->getType(), /*isConstant=*/true,
                                           llvm::GlobalValue::ExternalLinkage, nullptr, DS_PROGRAM_SYMBOL + suffix);
  program->setInitializer(llvm::ConstantStruct::get(fields->getType(), values));
}

/// Every kernel is compiled under one name, so that its object is the same whatever the kernel's number.
static std::string canonicalName(StringRef name, StringRef kernel) {
  return name == kernel || name.starts_with((kernel + ".").str())
             ? (kCachedSymbol + name.drop_front(kernel.size())).str()
             : name.str();
}

static bool emitObject(Part part, const CpuTarget &target, const std::string &next, std::string &object) {
  llvm::LLVMContext context;
  const std::string name = part.name();
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(part.module, context, part.kernel ? StringRef(kCachedSymbol) : name);
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(target);
  if (!module || !machine)
    return false;
  if (part.kernel)
    for (llvm::GlobalValue &value : module->global_values())
      if (std::string other = canonicalName(value.getName(), name); other != value.getName())
        value.setName(other);
  linkNext(*module, next);
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
  optimize(*module, *machine, target.optLevel, /*isHost=*/!part.kernel);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  NoStrengthReduction gate;
  if (hasManyBuffers(*module))
    context.setOptPassGate(gate);
  if (!part.kernel && isLong(*module)) {
    machine->setOptLevel(llvm::CodeGenOptLevel::None);
    divideBlocks(*module);
  }
  llvm::legacy::PassManager emission;
  if (machine->addPassesToEmitFile(emission, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return false;
  emission.run(*module);
  object.assign(bytes.begin(), bytes.end());
  return true;
}

/// The object of one part, from the cache or compiled, with the names that it has in the program.
static bool emitPart(Part part, const CpuTarget &target, const VariantNames &names, const llvm::StringSet<> &defined,
                     ProgramKernels *kernels, std::string &object) {
  const std::string own = part.name();
  std::shared_ptr<const KernelCode> code;
  if (kernels && part.kernel) {
    code = kernels->found(own);
  } else if (kernels) {
    std::string text = names.next + "\n";
    llvm::raw_string_ostream stream(text);
    part.module->print(stream, OpPrintingFlags().useLocalScope().printGenericOpForm());
    code = kernels->find(own, text);
  }
  if (code) {
    object = code->object;
  } else {
    if (!part.module || !emitObject(part, target, names.next, object))
      return false;
    if (kernels)
      kernels->insert(own, object);
  }
  return renameSymbols(object, [&](StringRef name) {
    bool isOwn = part.kernel && (name == kCachedSymbol || name.starts_with((kCachedSymbol + ".").str()));
    std::string full = (isOwn ? own : "") + name.drop_front(isOwn ? kCachedSymbol.size() : 0).str();
    return isOwn || defined.contains(full) ? full + names.suffix : full;
  });
}

FailureOr<std::vector<std::string>> emitObjects(ModuleOp module, const CpuTarget &target,
                                                std::function<void(size_t, size_t)> progress, const VariantNames &names,
                                                ProgramKernels *kernels) {
  const SmallVector<Part> parts = partsOf(module);
  const llvm::StringSet<> defined = names.suffix.empty() ? llvm::StringSet<>() : definedSymbols(parts);
  std::vector<std::string> objects(parts.size());
  // The longest first: none is begun when the others are about to end.
  SmallVector<std::pair<size_t, size_t>> order; // ops, part
  for (auto [i, part] : llvm::enumerate(parts)) {
    size_t ops = 0;
    if (ModuleOp(part.module))
      ModuleOp(part.module).walk([&](Operation *) { ++ops; });
    order.emplace_back(ops, i);
  }
  llvm::sort(order, std::greater<>());
  std::atomic<size_t> done = 0;
  std::mutex mutex;
  LogicalResult result = failableParallelForEachN(module.getContext(), 0, parts.size(), [&](size_t turn) {
    const size_t i = order[turn].second;
    if (!emitPart(parts[i], target, names, defined, kernels, objects[i]))
      return failure();
    std::lock_guard<std::mutex> lock(mutex);
    if (progress)
      progress(++done, parts.size());
    return success();
  });
  if (failed(result)) {
    module.emitError("LLVM could not generate code for the target '") << target.cpu << "'";
    return failure();
  }
  return objects;
}

} // namespace ds
