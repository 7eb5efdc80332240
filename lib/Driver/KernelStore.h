//===- KernelStore.h - Code of kernels, in memory and in a folder ---------===//
// Guarantees: an entry of the folder is taken only if it is this user's, nobody else may write to it, and its length,
// version, key and checksum are right; what is not is compiled anew and replaced. Entries appear whole, by a rename:
// processes may share a folder. Nothing of it is ever an error.
// Private to lib/Driver.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_DRIVER_KERNELSTORE_H
#define DS_LIB_DRIVER_KERNELSTORE_H

#include "ds/Codegen/KernelCache.h"

#include "llvm/ADT/StringRef.h"

#include <atomic>
#include <map>

namespace ds {

class KernelStore : public KernelCache {
public:
  /// Without a folder ("") entries live as long as this object. Either place holds `mostBytes`; what was not used for
  /// the longest time goes first.
  KernelStore(std::string folder, uint64_t mostBytes) : folder(std::move(folder)), mostBytes(mostBytes) {}

  std::shared_ptr<const KernelCode> find(const KernelKey &key) override;
  void insert(const KernelKey &key, std::shared_ptr<const KernelCode> code) override;

  /// Brings the folder below its size, where something was added since.
  void trim();

private:
  struct Entry {
    std::shared_ptr<const KernelCode> code;
    uint64_t used;
  };
  void remember(const KernelKey &key, const std::shared_ptr<const KernelCode> &code);
  std::string pathOf(const KernelKey &key) const;
  std::shared_ptr<const KernelCode> read(const KernelKey &key) const;
  void write(const KernelKey &key, const KernelCode &code) const;

  const std::string folder;
  const uint64_t mostBytes;
  std::mutex mutex;
  std::map<KernelKey, Entry> entries;
  uint64_t bytes = 0, uses = 0;
  std::atomic<bool> grown = false;
};

/// Makes the folder where it is missing, for this user alone. Returns "" or why it cannot be used.
std::string prepareCacheFolder(const std::string &folder);

} // namespace ds

#endif
