//===- GenerateKernels.cpp - rt.kernel -> loops over vectors --------------===//
// Assumes: kernels as `ds-group` leaves them.
// Guarantees: each rt.kernel became an rt.code of the same name: one function of the kernel ABI in scf, arith, math,
// vector
//   (rank 1) and LLVM loads and stores, or none where the object is known already.
// Declines: nothing; an op without any code form is an error that names its node.
//===----------------------------------------------------------------------===//
#include "ds/Codegen/Passes.h"
#include "lib/Codegen/CPU/CpuKernelEmitter.h"
#include "lib/Codegen/CPU/CpuRootInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/Threading.h"

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

FailureOr<OwningOpRef<rt::CodeOp>> generate(rt::KernelOp kernel, const CpuTarget &target) {
  ShapeState shapes;
  if (failed(inferFunction(kernel, shapes)))
    return failure();
  OpBuilder builder(kernel.getContext());
  CpuKernelEmitter emitter(kernel, builder, shapes, target, mayWorkInPlace(kernel));
  auto run = [&]() -> LogicalResult {
    for (Operation &op : kernel.getBody().front().without_terminator())
      if (auto root = dyn_cast<CpuRootOpInterface>(op); root && root.hasCpuLoops())
        return root.emitCpuLoops(emitter);
    return emitLoops(emitter);
  };
  if (failed(run()))
    return failure();
  return emitter.finish();
}

/// The form in which code, and the kernel that it is made of, are remembered: all that a parser reads, but neither the
/// kernel's number nor locations, which are names of the model.
template <typename Op> std::string textOf(Op op) {
  std::string text, name = op.getSymName().str();
  llvm::raw_string_ostream stream(text);
  op.setSymName(kCachedSymbol);
  op->print(stream, OpPrintingFlags().useLocalScope().printGenericOpForm());
  op.setSymName(name);
  return text;
}

std::string contractOf(rt::CodeOp code) {
  OwningOpRef<rt::CodeOp> contract = cast<rt::CodeOp>(code->cloneWithoutRegions());
  return textOf(*contract);
}

/// What `text` says, if it is a contract for that kernel. What is wrong with it concerns nobody.
OwningOpRef<rt::CodeOp> parseContract(StringRef text, rt::KernelOp kernel) {
  ScopedDiagnosticHandler quiet(kernel.getContext(), [self = llvm::get_threadid()](Diagnostic &) {
    return success(llvm::get_threadid() == self); // other threads' are theirs
  });
  auto module = parseSourceString<ModuleOp>(text, ParserConfig(kernel.getContext(), /*verifyAfterParse=*/false));
  if (!module || !llvm::hasSingleElement(*module->getBody()))
    return {};
  auto code = dyn_cast<rt::CodeOp>(module->getBody()->front());
  if (!code || failed(verify(code)) || !code.getBody().empty() || code.getFunctionType() != kernel.getFunctionType() ||
      code.getSymbols() != kernel.getSymbolNames())
    return {};
  code->remove();
  return code;
}

/// The code of a kernel whose object is known. Null where it must be generated.
OwningOpRef<rt::CodeOp> fromCache(rt::KernelOp kernel, ProgramKernels &known) {
  StringRef name = kernel.getSymName();
  std::shared_ptr<const KernelCode> kept = known.find(name, textOf(kernel));
  if (!kept)
    return {};
  OwningOpRef<rt::CodeOp> code = parseContract(kept->contract, kernel);
  if (!code) {
    known.reject(name);
    return {};
  }
  code->setSymName(name);
  (*code)->setLoc(kernel.getLoc());
  return code;
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
    std::vector<OwningOpRef<rt::CodeOp>> codes(kernels.size());
    auto one = [&](size_t i) {
      if (known && (codes[i] = fromCache(kernels[i], *known)))
        return success();
      FailureOr<OwningOpRef<rt::CodeOp>> code = generate(kernels[i], target->host);
      if (failed(code))
        return failure();
      codes[i] = std::move(*code);
      if (known)
        known->describe(kernels[i].getSymName(), contractOf(*codes[i]));
      return success();
    };
    if (failed(failableParallelForEachN(&getContext(), 0, kernels.size(), one)))
      return signalPassFailure();
    for (auto [kernel, code] : llvm::zip_equal(kernels, codes)) {
      OpBuilder builder(kernel);
      builder.insert(code.release());
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
