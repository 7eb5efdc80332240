//===- AtomicFile.h - Files that appear whole or not at all -----*- C++ -*-===//
// Assumes: nobody else writes to the temporary name.
// Guarantees: until `commit` returns, what was at the path is untouched; afterwards all bytes are on the disk. Whatever
//   ends the process in between leaves at most the temporary file, which the next one of that name takes over.
// Declines: buffering.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_ATOMICFILE_H
#define DS_RUNTIME_ATOMICFILE_H

#include "../src/Support.h"

namespace ds::runtime {

class AtomicFile {
public:
  AtomicFile() = default;
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;
  ~AtomicFile();

  /// All false with errno. Without `Temporary` it is the path with ".tmp".
  bool create(const char *Path, const char *Temporary = nullptr);
  bool write(const void *Data, size_t Size);
  bool commit();

private:
  Text Final, Draft;
  File Opened;
  bool IsDone = true;
};

/// Whether a file can be made at the path: DS_IO_ERROR tells, long before there is anything to write.
ds_status checkWritable(const char *Path, const char *Flag, ds_error *Error);

/// The folder that a file is in: "." for a name alone.
void appendFolder(Text &Out, const char *Path);

} // namespace ds::runtime

#endif
