//===- KernelRunner.cpp - Compiles and runs one kernel in this process ----===//
// Guarantees: see KernelRunner.h.
//===----------------------------------------------------------------------===//
#include "KernelRunner.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Codegen/Passes.h"
#include "ds/Group/Passes.h"
#include "lib/Codegen/CPU/CpuKernelEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/Support/TargetSelect.h"
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;

namespace ds::test {

Guarded::Guarded(size_t bytes) {
  size_t page = sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
  mapped = inner + 2 * page;
  base = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *start = static_cast<char *>(base) + page;
  if (inner)
    mprotect(start, inner, PROT_READ | PROT_WRITE);
  data = start + inner - bytes;
}

Guarded::~Guarded() {
  if (base)
    munmap(base, mapped);
}

Buffer<float> randomFloats(size_t count, unsigned seed, float scale, float mean) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, scale);
  return Buffer<float>(count, [&](size_t) { return normal(generator); });
}

/// Replaces composite ops by their definitions until none is left.
static LogicalResult expandComposites(rt::KernelOp kernel, ShapeState &shapes) {
  for (;;) {
    CompositeOpInterface composite;
    for (Operation &op : kernel.getBody().front())
      if ((composite = dyn_cast<CompositeOpInterface>(op)))
        break;
    if (!composite)
      return success();
    OpBuilder builder(composite);
    FailureOr<SmallVector<Value>> values = composite.expand(builder, shapes);
    if (failed(values))
      return failure();
    composite->replaceAllUsesWith(*values);
    composite->erase();
  }
}

/// The kernel as one loop over the elements of its results.
static LogicalResult generateElements(ModuleOp module, const CpuTarget &target, bool expand) {
  rt::KernelOp kernel = *module.getOps<rt::KernelOp>().begin();
  ShapeState shapes;
  if (failed(inferFunction(kernel, shapes)) || (expand && failed(expandComposites(kernel, shapes))))
    return failure();
  OpBuilder builder(module.getContext());
  CpuKernelEmitter emitter(kernel, builder, shapes, target, /*inPlace=*/false);
  if (failed(emitLoops(emitter)))
    return failure();
  FailureOr<OwningOpRef<rt::CodeOp>> code = emitter.finish();
  if (failed(code))
    return failure();
  kernel.erase();
  builder.setInsertionPointToEnd(module.getBody());
  builder.insert(code->release());
  return success();
}

std::unique_ptr<CompiledKernel> CompiledKernel::compile(llvm::StringRef text, Form form,
                                                        llvm::function_ref<void(MLIRContext &)> prepare) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto fail = [](const llvm::Twine &message) -> std::unique_ptr<CompiledKernel> {
    llvm::errs() << message << "\n";
    return nullptr;
  };
  MLIRContext context;
  registerBuiltinDialectTranslation(context);
  registerLLVMDialectTranslation(context);
  context.loadDialect<DsDialect, rt::RtDialect, arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                      math::MathDialect, scf::SCFDialect, vector::VectorDialect>();
  if (prepare)
    prepare(context);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  const char *cpu = std::getenv("DS_TEST_CPU");
  std::string error;
  FailureOr<Target> target = Target::resolve("", cpu ? cpu : "native", error);
  if (!module || failed(target))
    return fail("no module or no target " + error);
  PassManager passes(&context);
  if (module->getOps<rt::KernelOp>().empty())
    passes.addPass(createGroupPass());
  if (form == Form::Program)
    passes.addPass(createGenerateKernelsPass(*target));
  else if (failed(generateElements(*module, target->host, form == Form::Expanded)))
    return fail("code generation failed");
  buildLowerToLLVMPipeline(passes);
  if (failed(passes.run(*module)))
    return fail("code generation failed");
  auto objects = emitObjects(*module, target->host, {});
  if (failed(objects) || objects->size() != 1)
    return fail("no object");
  rt::CodeOp code = *module->getOps<rt::CodeOp>().begin();
  auto kernel = std::make_unique<CompiledKernel>();
  llvm::append_range(kernel->sizes, code.getSizes().getExprs());
  kernel->range = code.getRange().getDim(0);
  kernel->grain = code.getGrain().getDim(0);
  kernel->scratch = code.getScratch().getDim(0);

  auto jit = llvm::orc::LLJITBuilder().create();
  if (!jit)
    return fail(llvm::toString(jit.takeError()));
  auto process =
      llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess((*jit)->getDataLayout().getGlobalPrefix());
  if (!process)
    return fail(llvm::toString(process.takeError()));
  (*jit)->getMainJITDylib().addGenerator(std::move(*process));
  if (auto failure = (*jit)->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy((*objects)[0])))
    return fail(llvm::toString(std::move(failure)));
  auto symbol = (*jit)->lookup(code.getSymName());
  if (!symbol)
    return fail(llvm::toString(symbol.takeError()));
  kernel->function = symbol->toPtr<ds_kernel_fn>();
  kernel->jit = std::move(*jit);
  return kernel;
}

int32_t CompiledKernel::run(const Symbols &symbols, std::vector<void *> arguments, int64_t pieces) const {
  std::vector<int64_t> values;
  for (const SymExpr &size : sizes)
    values.push_back(*size.evaluate(symbols));
  int64_t items = *range.evaluate(symbols), bytes = *scratch.evaluate(symbols);
  ds_kernel_state state{arguments.data(), values.data()};
  for (int64_t i = 0; i < pieces; ++i) {
    // Scratch is not cleared between pieces in a program either; what a kernel finds there must not matter.
    Guarded memory((bytes + 63) / 64 * 64);
    memset(memory.get(), 0xff, bytes);
    ds_kernel_worker worker{i, memory.get()};
    if (int32_t code = function(&state, &worker, items * i / pieces, items * (i + 1) / pieces))
      return code;
  }
  return 0;
}

} // namespace ds::test
