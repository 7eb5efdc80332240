//===- Append.cpp - Puts metadata and weights behind a linked file ---------===//
// Assumes: an ELF file as a linker wrote it, with section headers.
// Guarantees: nothing that the dynamic linker looks at moves; weights go from their source to the file without a copy
// of
//             the whole.
// Declines: files that already have the two sections.
// Layout: [linked file][weights][metadata][section names][section headers]. The gap before the weights is a hole.
//===----------------------------------------------------------------------===//
#include "ds/Artifact/Link.h"
#include "runtime/include/ds_hash.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ds::artifact {

namespace {

constexpr uint64_t smallAlignment = 4096, largeAlignment = 2 << 20; // a page, a huge page
constexpr uint64_t largeWeights = 4 << 20;

/// Writes in order at a position; the first error stays.
class Output {
public:
  Output(int descriptor, uint64_t position) : descriptor(descriptor), position(position) {}

  void write(const void *data, uint64_t size) {
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
  void alignTo(uint64_t alignment) { position = (position + alignment - 1) & ~(alignment - 1); }
  uint64_t at() const { return position; }
  std::string error() const { return failure ? std::string("cannot write: ") + strerror(failure) : ""; }

private:
  int descriptor;
  uint64_t position;
  int failure = 0;
};

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

} // namespace

std::string appendArtifact(int descriptor, const Program &program, uint64_t codeId) {
  struct stat info;
  Elf64_Ehdr header;
  if (fstat(descriptor, &info) || !readExactly(descriptor, &header, sizeof header, 0) ||
      memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0 || header.e_shnum + 2 >= SHN_LORESERVE ||
      header.e_shstrndx >= header.e_shnum)
    return "the linker wrote no usable ELF file";
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!readExactly(descriptor, sections.data(), sections.size() * sizeof(Elf64_Shdr), header.e_shoff))
    return "the linker's section table cannot be read";
  Elf64_Shdr &nameSection = sections[header.e_shstrndx];
  if (nameSection.sh_size > uint64_t(info.st_size))
    return "the linker's section names cannot be read";
  std::string names(nameSection.sh_size, '\0');
  if (!readExactly(descriptor, names.data(), names.size(), nameSection.sh_offset))
    return "the linker's section names cannot be read";
  if (names.find(DS_ARTIFACT_META_SECTION) != std::string::npos)
    return "the file already is an artifact";

  auto section = [&](const char *name, uint64_t offset, uint64_t size, uint64_t alignment) {
    Elf64_Shdr s = {};
    s.sh_name = Elf64_Word(names.size());
    names.append(name).push_back('\0');
    s.sh_type = SHT_PROGBITS;
    s.sh_offset = offset;
    s.sh_size = size;
    s.sh_addralign = alignment;
    return s;
  };

  Output out(descriptor, uint64_t(info.st_size));
  uint64_t weightsLength, weightsHash = ds_hash_bytes("", 0);
  layOutWeights(program, weightsLength);
  const uint64_t alignment = weightsLength > largeWeights ? largeAlignment : smallAlignment;
  if (weightsLength)
    out.alignTo(alignment);
  const uint64_t weightsAt = out.at();
  if (std::string error = writeWeights(out, program, weightsHash); !error.empty())
    return error;
  std::string error;
  const std::vector<char> metadata = serializeMetadata(program, codeId, weightsHash, error);
  if (!error.empty())
    return "the program's description is inconsistent: " + error;
  out.alignTo(8);
  const uint64_t metadataAt = out.at();
  out.write(metadata.data(), metadata.size());

  const Elf64_Shdr added[] = {section(DS_ARTIFACT_META_SECTION, metadataAt, metadata.size(), 8),
                              section(DS_ARTIFACT_WEIGHTS_SECTION, weightsAt, weightsLength, alignment)};
  nameSection.sh_offset = out.at();
  nameSection.sh_size = names.size();
  sections.insert(sections.end(), std::begin(added), std::end(added));
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
