//===- Jit.h - Runs functions that a test has built -----------------------===//
// Assumes: the module holds func, arith, math, scf, vector and LLVM ops.
// Guarantees: compiled for this machine, all its features on.
//===----------------------------------------------------------------------===//
#ifndef DS_UNITTESTS_ELEMENT_JIT_H
#define DS_UNITTESTS_ELEMENT_JIT_H

#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/IR/BuiltinOps.h"
#include <memory>

namespace ds::test {

/// Registers and loads what the tests build with.
void loadDialects(mlir::MLIRContext &context);

class Jit {
public:
  /// Lowers `module` (in place) and compiles it; null after a diagnostic.
  static std::unique_ptr<Jit> create(mlir::ModuleOp module);

  /// The address of function `name`.
  template <typename Function> Function *lookup(llvm::StringRef name) {
    return reinterpret_cast<Function *>(lookupAddress(name));
  }

private:
  void *lookupAddress(llvm::StringRef name);
  std::unique_ptr<mlir::ExecutionEngine> engine;
};

} // namespace ds::test

#endif
