//===- MappedFile.h - Weights that stay in their file ---------------------===//
// Assumes: nobody changes the file while it is mapped.
// Guarantees: pages that were read and dropped count no longer as this process's memory; they are read again if needed.
// Declines: writing.

#ifndef DS_IMPORT_MAPPEDFILE_H
#define DS_IMPORT_MAPPEDFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"

#include <memory>

namespace ds {

/// A file mapped whole, read-only.
class MappedFile {
public:
  /// The error's message is one line and does not name the file.
  static llvm::Expected<std::shared_ptr<MappedFile>> open(llvm::StringRef path);
  MappedFile(const MappedFile &) = delete;
  ~MappedFile();

  llvm::ArrayRef<char> bytes() const { return {region.const_data(), region.size()}; }

private:
  explicit MappedFile(llvm::sys::fs::mapped_file_region region);
  llvm::sys::fs::mapped_file_region region;
};

/// Drops the pages that lie whole in `bytes`, where these are part of a MappedFile; otherwise does nothing.
void dropMappedPages(llvm::ArrayRef<char> bytes);

} // namespace ds

#endif // DS_IMPORT_MAPPEDFILE_H
