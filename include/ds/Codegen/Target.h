//===- Target.h - What code generation knows of a processor ---------------===//
// Guarantees: plain data; `resolve` turns a CPU name into it.
//===----------------------------------------------------------------------===//
#ifndef DS_CODEGEN_TARGET_H
#define DS_CODEGEN_TARGET_H

#include "mlir/Support/LLVM.h"
#include <string>

namespace ds {

struct CpuTarget {
  std::string triple, cpu, features;
  /// Bytes of the widest vector register, and the number of such registers.
  int64_t vectorBytes = 16;
  int64_t vectorRegisters = 16;
  int optLevel = 3;

  /// Lanes of a vector of f32.
  int64_t lanes() const { return vectorBytes / 4; }

  /// The target called `cpu` ("native", or a name LLVM knows). `error` says what is wrong with it otherwise.
  static mlir::FailureOr<CpuTarget> resolve(llvm::StringRef cpu, std::string &error);
};

} // namespace ds

#endif
