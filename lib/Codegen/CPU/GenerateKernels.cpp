//===- GenerateKernels.cpp - rt.kernel -> loops over vectors --------------===//
// Assumes: kernels as `ds-group` leaves them.
// Guarantees: each rt.kernel became a module of the same name holding one function of the kernel ABI in scf, arith,
// math,
//   vector (rank 1) and LLVM loads and stores; the module's attributes say which sizes it wants (RtDialect.h).
// Declines: nothing; an op without any code form is an error that names its node.
//===----------------------------------------------------------------------===//
#include "ds/Codegen/Passes.h"
#include "lib/Codegen/CPU/CpuRootInterface.h"
#include "lib/Codegen/CPU/KernelEmitter.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Threading.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_GENERATEKERNELSPASS
#include "ds/Codegen/Passes.h.inc"

namespace {

/// Results may lie where an argument of equal dims lies: every op reads its own position only.
bool mayWorkInPlace(rt::KernelOp kernel) {
  return llvm::all_of(kernel.getBody().front().without_terminator(), [](Operation &op) {
    auto element = dyn_cast<ElementOpInterface>(op);
    return element && (element.isPointwise() || element.isUniform());
  });
}

FailureOr<OwningOpRef<ModuleOp>> generate(rt::KernelOp kernel, const CpuTarget &target) {
  ShapeState shapes;
  if (failed(inferFunction(kernel, shapes)))
    return failure();
  OwningOpRef<ModuleOp> module = ModuleOp::create(kernel.getLoc(), kernel.getSymName());
  OpBuilder builder(kernel.getContext());
  bool inPlace = mayWorkInPlace(kernel);
  KernelEmitter emitter(kernel, *module, builder, shapes, target, inPlace);
  auto run = [&]() -> LogicalResult {
    for (Operation &op : kernel.getBody().front().without_terminator())
      if (auto root = dyn_cast<CpuRootOpInterface>(op); root && root.hasCpuLoops())
        return root.emitCpuLoops(emitter);
    return emitLoops(emitter);
  };
  if (failed(run()) || failed(emitter.finish()))
    return failure();
  if (inPlace)
    (*module)->setAttr(rt::kInPlace, builder.getUnitAttr());
  return module;
}

std::string textOf(Attribute attribute) {
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  return text;
}

/// The module of a kernel whose code is known: its attributes without a function. Null where it must be generated.
OwningOpRef<ModuleOp> fromCache(rt::KernelOp kernel, ProgramKernels &known) {
  std::string text, name = kernel.getSymName().str();
  llvm::raw_string_ostream stream(text);
  kernel.setSymName(kCachedSymbol);
  // In the form that holds all that a parser reads, and without locations, which are names of the model.
  kernel->print(stream, OpPrintingFlags().useLocalScope().printGenericOpForm());
  kernel.setSymName(name);
  std::shared_ptr<const KernelCode> code = known.find(name, text);
  if (!code)
    return {};
  auto attributes = dyn_cast_or_null<DictionaryAttr>(parseAttribute(code->attributes, kernel.getContext()));
  if (!attributes) {
    known.reject(name);
    return {};
  }
  OwningOpRef<ModuleOp> module = ModuleOp::create(kernel.getLoc(), name);
  (*module)->setDiscardableAttrs(attributes);
  return module;
}

class GenerateKernelsPass : public impl::GenerateKernelsPassBase<GenerateKernelsPass> {
public:
  using GenerateKernelsPassBase::GenerateKernelsPassBase;
  GenerateKernelsPass(const Target &target, ProgramKernels *known) : given(&target), known(known) {}

  void getDependentDialects(DialectRegistry &registry) const override {
    GenerateKernelsPassBase::getDependentDialects(registry);
    registerCpuRootEmitters(registry);
  }

  void runOnOperation() override {
    std::string error;
    FailureOr<Target> own = failure();
    if (!given)
      own = Target::resolve(text, cpu, error);
    const Target *target = given ? given : succeeded(own) ? &*own : nullptr;
    if (target)
      error = target->whyNoCode();
    if (!error.empty()) {
      getOperation().emitError(error);
      return signalPassFailure();
    }
    auto kernels = llvm::to_vector(getOperation().getOps<rt::KernelOp>());
    std::vector<OwningOpRef<ModuleOp>> modules(kernels.size());
    auto one = [&](size_t i) {
      if (known && (modules[i] = fromCache(kernels[i], *known)))
        return success();
      FailureOr<OwningOpRef<ModuleOp>> module = generate(kernels[i], target->host);
      if (failed(module))
        return failure();
      modules[i] = std::move(*module);
      if (known)
        known->describe(kernels[i].getSymName(), textOf((*modules[i])->getDiscardableAttrDictionary()));
      return success();
    };
    if (failed(failableParallelForEachN(&getContext(), 0, kernels.size(), one)))
      return signalPassFailure();
    for (auto [kernel, module] : llvm::zip_equal(kernels, modules)) {
      OpBuilder builder(kernel);
      builder.insert(module.release());
      kernel.erase();
    }
  }

private:
  const Target *given = nullptr; // null: the options say it
  ProgramKernels *known = nullptr;
};

} // namespace

std::unique_ptr<Pass> createGenerateKernelsPass(const Target &target, ProgramKernels *kernels) {
  return std::make_unique<GenerateKernelsPass>(target, kernels);
}

} // namespace ds
