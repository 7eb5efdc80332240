//===- ElfOutput.h - Writing behind what a linker wrote ---------*- C++ -*-===//
// Assumes: a file open for reading and writing.
// Guarantees: weights go from their source to the file without a copy of the whole.
// Declines: knowing ELF; Append.cpp and Embed.cpp do.
// Private to lib/Artifact.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_ARTIFACT_ELFOUTPUT_H
#define DS_LIB_ARTIFACT_ELFOUTPUT_H

#include "ds/Artifact/Program.h"
#include <elf.h>

namespace ds::artifact {

/// Writes in order at a position; the first error stays.
class Output {
public:
  Output(int descriptor, uint64_t position) : descriptor(descriptor), position(position) {}

  void write(const void *data, uint64_t size);
  void alignTo(uint64_t alignment) { position = (position + alignment - 1) & ~(alignment - 1); }
  uint64_t at() const { return position; }
  /// "" or what went wrong.
  std::string error() const;

private:
  int descriptor;
  uint64_t position;
  int failure = 0;
};

bool readExactly(int descriptor, void *out, size_t size, uint64_t offset);

/// Writes all weights, each at its place of layOutWeights, and computes their hash.
std::string writeWeights(Output &out, const Program &program, uint64_t &hash);

/// What a linker wrote: header, section table, and the names of sections.
struct ElfFile {
  Elf64_Ehdr header;
  std::vector<Elf64_Shdr> sections;
  std::string names;
  uint64_t size = 0;

  /// Returns "" or why the file is unusable; `reserve` sections must be addable.
  std::string read(int descriptor, unsigned reserve);
  /// Length and hash of what the linker wrote; `error` where it cannot be read.
  ds_artifact_code hashCode(int descriptor, std::string &error) const;
  /// A section of that name, not yet in the table.
  Elf64_Shdr section(const char *name, uint64_t offset, uint64_t length, uint64_t alignment);
  /// Writes names and section table at the end of `out`, and the header at the file's start, last.
  std::string finish(int descriptor, Output &out);
};

} // namespace ds::artifact

#endif
