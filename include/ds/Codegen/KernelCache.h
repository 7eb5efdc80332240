//===- KernelCache.h - Code that was generated before ---------------------===//
// Assumes: a key says everything that the code depends on (ProgramKernels says what that is).
// Guarantees: what is found under a key was inserted under the same one; any number of threads may use one cache.
// Declines: where entries are kept; lib/Driver/KernelStore.h keeps them in memory and in a folder.
//===----------------------------------------------------------------------===//
#ifndef DS_CODEGEN_KERNELCACHE_H
#define DS_CODEGEN_KERNELCACHE_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringMap.h"
#include <array>
#include <memory>
#include <mutex>
#include <string>

namespace ds {

/// What was made of a kernel: the text of its rt.code, which has no body and the name kCachedSymbol, and an object file
/// that defines it. Of the host program: no text, and an object with the names that it has.
struct KernelCode {
  std::string contract, object;
};

/// What a kernel's function is called while it is compiled, whatever its number in the program.
inline constexpr llvm::StringLiteral kCachedSymbol = "ds_kernel";

/// BLAKE3 of a key's text.
using KernelKey = std::array<uint8_t, 32>;
KernelKey keyOf(llvm::StringRef text);

class KernelCache {
public:
  virtual ~KernelCache() = default;
  /// Null where nothing (or nothing sound) is kept under the key.
  virtual std::shared_ptr<const KernelCode> find(const KernelKey &key) = 0;
  virtual void insert(const KernelKey &key, std::shared_ptr<const KernelCode> code) = 0;
};

/// The kernels of one program for one CPU, by name, on their way from the pass that generates them to their objects.
/// A kernel's key is the text of its rt.kernel, which holds no names of the model, after `circumstances`: all
/// else that the code depends on (the compiler's build, the machine, flags).
class ProgramKernels {
public:
  ProgramKernels(KernelCache &cache, std::string circumstances)
      : cache(cache), circumstances(std::move(circumstances)) {}

  /// The code of the part of that name, from the cache, or null; then it must be generated.
  std::shared_ptr<const KernelCode> find(llvm::StringRef name, llvm::StringRef text);
  /// What `find` found for the part of that name.
  std::shared_ptr<const KernelCode> found(llvm::StringRef name) const;
  /// States the contract of a part that is generated,
  void describe(llvm::StringRef name, std::string contract);
  /// and its object, with which it enters the cache.
  void insert(llvm::StringRef name, llvm::StringRef object);
  /// Forgets what was found: what is kept under the key cannot be used.
  void reject(llvm::StringRef name);

  size_t foundCount() const;
  size_t count() const;

private:
  struct Part {
    KernelKey key;
    std::shared_ptr<const KernelCode> code; // null: not in the cache
    std::string contract;
  };
  KernelCache &cache;
  const std::string circumstances;
  mutable std::mutex mutex;
  llvm::StringMap<Part> parts;
};

} // namespace ds

#endif
