//===- Target.h - What code generation knows of a processor ---------------===//
// Guarantees: plain data; `resolve` turns the names of a machine and a CPU into it. Its features are those that loading
//   can check, and tuning.
// Declines: machines other than x86-64 and AArch64 with Linux and glibc.
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

  /// The CPU of that name ("native", or one that LLVM knows) in a machine of that triple ("": this one). Without a
  /// name: "native" for a machine of this one's kind, "generic" for another. `error` says what is wrong otherwise.
  static mlir::FailureOr<CpuTarget> resolve(llvm::StringRef cpu, std::string &error, llvm::StringRef triple = "");
};

} // namespace ds

#endif
