//===- ElfOutput.cpp - Writing behind what a linker wrote ------------------===//
// Assumes: a file open for reading and writing.
// Guarantees: see ElfOutput.h; until `finish` the file is the linker's.
// Declines: files with 65280 or more sections.
//===----------------------------------------------------------------------===//
#include "ElfOutput.h"
#include "runtime/include/ds_hash.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace ds::artifact {

void Output::write(const void *data, uint64_t size) {
  const char *from = static_cast<const char *>(data);
  while (size && !failure) {
    const ssize_t put = pwrite(descriptor, from, std::min<uint64_t>(size, 1 << 30), off_t(position));
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0) {
      failure = put < 0 ? errno : ENOSPC;
      return;
    }
    from += put;
    size -= uint64_t(put);
    position += uint64_t(put);
  }
}

std::string Output::error() const { return failure ? std::string("cannot write: ") + strerror(failure) : ""; }

bool readExactly(int descriptor, void *out, size_t size, uint64_t offset) {
  char *to = static_cast<char *>(out);
  while (size) {
    const ssize_t got = pread(descriptor, to, size, off_t(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    to += got;
    size -= size_t(got);
    offset += uint64_t(got);
  }
  return true;
}

std::string writeWeights(Output &out, const Program &program, uint64_t &hash) {
  ds_hash state;
  ds_hash_start(&state);
  const uint64_t start = out.at();
  uint64_t length;
  const std::vector<uint64_t> offsets = layOutWeights(program, length);
  static const char zeros[DS_ARTIFACT_WEIGHT_ALIGNMENT] = {};
  for (size_t i = 0; i < offsets.size(); ++i) {
    const Weight &weight = program.weights[i];
    uint64_t written = 0;
    auto put = [&](const void *data, uint64_t size) {
      ds_hash_add(&state, data, size);
      out.write(data, size);
    };
    put(zeros, start + offsets[i] - out.at());
    if (weight.data)
      put(weight.data, weight.size);
    else if (weight.size)
      weight.produce([&](const void *data, uint64_t size) {
        if ((written += size) <= weight.size)
          put(data, size);
      });
    if (std::string error = out.error(); !error.empty())
      return error;
    if (!weight.data && written != weight.size)
      return "weight " + std::to_string(i) + " should have " + std::to_string(weight.size) + " bytes, got " +
             std::to_string(written);
  }
  hash = ds_hash_finish(&state);
  return "";
}

std::string ElfFile::read(int descriptor, unsigned reserve) {
  struct stat info;
  if (fstat(descriptor, &info) || !readExactly(descriptor, &header, sizeof header, 0) ||
      memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0 || header.e_shnum + reserve >= SHN_LORESERVE ||
      header.e_shstrndx >= header.e_shnum)
    return "the linker wrote no usable ELF file";
  size = uint64_t(info.st_size);
  sections.resize(header.e_shnum);
  if (!readExactly(descriptor, sections.data(), sections.size() * sizeof(Elf64_Shdr), header.e_shoff))
    return "the linker's section table cannot be read";
  const Elf64_Shdr &nameSection = sections[header.e_shstrndx];
  if (nameSection.sh_size > size)
    return "the linker's section names cannot be read";
  names.resize(nameSection.sh_size);
  if (!readExactly(descriptor, names.data(), names.size(), nameSection.sh_offset))
    return "the linker's section names cannot be read";
  return "";
}

ds_artifact_code ElfFile::hashCode(int descriptor, std::string &error) const {
  Elf64_Ehdr start = header;
  start.e_shoff = 0; // `finish` changes these
  start.e_shnum = 0;
  ds_hash hash;
  ds_hash_start(&hash);
  ds_hash_add(&hash, &start, sizeof start);
  std::vector<char> piece(1 << 18);
  for (uint64_t at = sizeof start; at < size; at += piece.size()) {
    const uint64_t length = std::min<uint64_t>(piece.size(), size - at);
    if (!readExactly(descriptor, piece.data(), length, at)) {
      error = "the linked file cannot be read";
      return {};
    }
    ds_hash_add(&hash, piece.data(), length);
  }
  return {size, ds_hash_finish(&hash)};
}

Elf64_Shdr ElfFile::section(const char *name, uint64_t offset, uint64_t length, uint64_t alignment) {
  Elf64_Shdr s = {};
  s.sh_name = Elf64_Word(names.size());
  names.append(name).push_back('\0');
  s.sh_type = SHT_PROGBITS;
  s.sh_offset = offset;
  s.sh_size = length;
  s.sh_addralign = alignment;
  return s;
}

std::string ElfFile::finish(int descriptor, Output &out) {
  sections[header.e_shstrndx].sh_offset = out.at();
  sections[header.e_shstrndx].sh_size = names.size();
  out.write(names.data(), names.size());
  out.alignTo(8);
  header.e_shoff = out.at();
  header.e_shnum = Elf64_Half(sections.size());
  out.write(sections.data(), sections.size() * sizeof(Elf64_Shdr));
  // The header last: until then the file is the linker's.
  Output start(descriptor, 0);
  start.write(&header, sizeof header);
  return out.error().empty() ? start.error() : out.error();
}

} // namespace ds::artifact
