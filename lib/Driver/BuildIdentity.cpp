//===- BuildIdentity.cpp - Which compiler this is -------------------------===//
// Assumes: Linux's way of naming what is loaded.
// Guarantees: see BuildIdentity.h.
//===----------------------------------------------------------------------===//
#include "BuildIdentity.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <link.h>
#include <vector>

using namespace llvm;

namespace {
struct Search {
  std::vector<std::string> parts;
  bool complete = true;
};
} // namespace

static std::string buildId(const dl_phdr_info &info) {
  for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = info.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE)
      continue;
    const char *at = reinterpret_cast<const char *>(info.dlpi_addr + segment.p_vaddr), *end = at + segment.p_memsz;
    const size_t alignment = std::max<size_t>(segment.p_align, 4);
    auto round = [&](size_t size) { return (size + alignment - 1) / alignment * alignment; };
    while (size_t(end - at) >= sizeof(ElfW(Nhdr))) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const size_t nameAt = sizeof note, dataAt = nameAt + round(note.n_namesz);
      if (dataAt + note.n_descsz > size_t(end - at))
        break;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(at + nameAt, "GNU", 4) == 0)
        return toHex(StringRef(at + dataAt, note.n_descsz), /*LowerCase=*/true);
      at += std::min(dataAt + round(note.n_descsz), size_t(end - at));
    }
  }
  return "";
}

static bool contains(const dl_phdr_info &info, uintptr_t address) {
  for (unsigned i = 0; i < info.dlpi_phnum; ++i)
    if (info.dlpi_phdr[i].p_type == PT_LOAD &&
        address - info.dlpi_addr - info.dlpi_phdr[i].p_vaddr < info.dlpi_phdr[i].p_memsz)
      return true;
  return false;
}

static int visit(dl_phdr_info *info, size_t, void *data) {
  StringRef path(info->dlpi_name), name = sys::path::filename(path);
  const bool isOwn = contains(*info, reinterpret_cast<uintptr_t>(&ds::buildIdentity));
  if (!isOwn && !name.starts_with("libLLVM") && !name.starts_with("libMLIR"))
    return 0;
  auto &search = *static_cast<Search *>(data);
  std::string id = buildId(*info);
  if (id.empty())
    if (auto file = MemoryBuffer::getFile(path.empty() ? "/proc/self/exe" : path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false)) {
      BLAKE3 hash;
      hash.update((*file)->getBuffer());
      id = toHex(ArrayRef<uint8_t>(hash.final()), /*LowerCase=*/true);
    }
  search.complete &= !id.empty();
  search.parts.push_back((isOwn ? "ds" : name).str() + " " + id);
  return 0;
}

const std::string &ds::buildIdentity() {
  static const std::string identity = [] {
    Search search;
    dl_iterate_phdr(visit, &search);
    return search.complete ? join(search.parts, ", ") : std::string();
  }();
  return identity;
}
