//===- ExternalData.h - Where a model's external tensor data may lie ------===//
// Assumes: nothing; every argument comes from an untrusted model file.
// Guarantees: a path handed back lies inside the model's folder after every link is followed, and the range inside the
// file. Declines: absolute locations, `..`, links that leave the folder, anything that is not a regular file.

#ifndef DS_IMPORT_EXTERNALDATA_H
#define DS_IMPORT_EXTERNALDATA_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>

namespace ds {

/// A checked range of bytes in a file.
struct ExternalRange {
  std::string path;
  uint64_t offset = 0;
  uint64_t length = 0;
};

/// Resolves `location` (as written in the model, relative to `folder`) and checks that `length` bytes at `offset`
/// exist. `expected` is the byte size that the tensor's type needs; a `length` that is present must equal it. The
/// error's message is one line and names the location, not the tensor.
llvm::Expected<ExternalRange> resolveExternalData(llvm::StringRef folder, llvm::StringRef location,
                                                  std::optional<uint64_t> offset, std::optional<uint64_t> length,
                                                  uint64_t expected);

} // namespace ds

#endif // DS_IMPORT_EXTERNALDATA_H
