//===- Target.h - What a program runs on ----------------------------------===//
// Guarantees: plain data, resolved once and carried by reference from there on. Of a CPU the features are those that
//   loading can check, and tuning.
// Declines: hosts other than x86-64 and AArch64 with Linux and glibc. For devices there is no code generator yet:
//   `whyNoCode` says so.
//===----------------------------------------------------------------------===//
#ifndef DS_CODEGEN_TARGET_H
#define DS_CODEGEN_TARGET_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

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

/// A kind of device beside the host, with memory of its own.
struct DeviceTarget {
  enum class Kind { Cuda };
  Kind kind = Kind::Cuda;
  std::string arch; // "sm_90a"

  /// "cuda:sm_90a".
  std::string str() const;
  bool operator==(const DeviceTarget &other) const = default;
};

struct Target {
  CpuTarget host;
  std::vector<DeviceTarget> devices; // in the order of the artifact's table

  /// `text` is [HOST-TRIPLE][,cuda:ARCH]..., or devices alone: the host is then this machine, as it is for "". `cpu` is
  /// the host's (CpuTarget::resolve). `error` says what is wrong otherwise.
  static mlir::FailureOr<Target> resolve(llvm::StringRef text, llvm::StringRef cpu, std::string &error);

  /// "", or why no code can be generated for one of the devices.
  std::string whyNoCode() const;
};

} // namespace ds

#endif
