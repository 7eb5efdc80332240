//===- KernelRunner.h - Compiles and runs one kernel in this process ------===//
// Assumes: the text of a module with one rt.kernel, or with a function that becomes one.
// Guarantees: the code is what a program would hold: generated, lowered and emitted as an object, then linked here.
//   Buffers and scratch end at a page that cannot be touched, so that an access beyond them stops the test.
//===----------------------------------------------------------------------===//
#ifndef DS_UNITTESTS_CODEGEN_KERNELRUNNER_H
#define DS_UNITTESTS_CODEGEN_KERNELRUNNER_H

#include "dialects/ds/shape/SymExpr.h"
#include "ds_kernel.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace ds::test {

/// Memory between two pages that cannot be touched; its end is at the second one.
class Guarded {
public:
  explicit Guarded(size_t bytes);
  Guarded(Guarded &&other) : base(other.base), mapped(other.mapped), data(other.data) { other.base = nullptr; }
  ~Guarded();
  void *get() const { return data; }

private:
  void *base;
  size_t mapped;
  void *data;
};

template <typename T> class Buffer {
public:
  explicit Buffer(size_t count) : memory(count * sizeof(T)), count(count) {}
  Buffer(size_t count, std::function<T(size_t)> value) : Buffer(count) {
    for (size_t i = 0; i < count; ++i)
      data()[i] = value(i);
  }
  T *data() const { return static_cast<T *>(memory.get()); }
  size_t size() const { return count; }
  T &operator[](size_t i) const { return data()[i]; }

private:
  Guarded memory;
  size_t count;
};

/// Normally distributed numbers, the same on every run.
Buffer<float> randomFloats(size_t count, unsigned seed, float scale = 1.0f, float mean = 0.0f);

class CompiledKernel {
public:
  enum class Form {
    Program,  ///< as in a program: the loops of the kernel's root
    Elements, ///< each op by its element form, computed where it is used
    Expanded  ///< the same, after composite ops were replaced by their definitions
  };
  /// For this machine, or the processor that the environment variable DS_TEST_CPU names (x86-64-v3, ...: other
  /// vectors). Null (with a diagnostic on stderr) if the kernel cannot be compiled.
  /// `prepare` loads further dialects.
  static std::unique_ptr<CompiledKernel> compile(llvm::StringRef text, Form form = Form::Program,
                                                 llvm::function_ref<void(mlir::MLIRContext &)> prepare = nullptr);

  using Symbols = std::map<std::string, int64_t>;
  /// Runs the whole range in `pieces` calls; returns the first code that is not 0.
  int32_t run(const Symbols &symbols, std::vector<void *> arguments, int64_t pieces = 1) const;
  int64_t getRange(const Symbols &symbols) const { return *range.evaluate(symbols); }

private:
  std::unique_ptr<llvm::orc::LLJIT> jit;
  ds_kernel_fn function = nullptr;
  std::vector<SymExpr> sizes;
  SymExpr range, grain, scratch;
};

} // namespace ds::test

#endif
