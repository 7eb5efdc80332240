//===- MappedFile.cpp - Weights that stay in their file -------------------===//
// Assumes: nobody changes the file while it is mapped.
// Guarantees: see MappedFile.h. Memory that is not of a file is never dropped: its contents would be lost.

#include "ds/Import/MappedFile.h"

#include <map>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;
using namespace ds;

namespace {
/// The mappings of this process: start and size.
struct Mappings {
  std::mutex mutex;
  std::map<const char *, size_t> ranges;
};
} // namespace

static Mappings &mappings() {
  static Mappings all;
  return all;
}

MappedFile::MappedFile(sys::fs::mapped_file_region given) : region(std::move(given)) {
  std::lock_guard<std::mutex> lock(mappings().mutex);
  mappings().ranges[region.const_data()] = region.size();
}

MappedFile::~MappedFile() {
  std::lock_guard<std::mutex> lock(mappings().mutex);
  mappings().ranges.erase(region.const_data());
}

Expected<std::shared_ptr<MappedFile>> MappedFile::open(StringRef path) {
  Expected<sys::fs::file_t> file = sys::fs::openNativeFileForRead(path);
  if (!file)
    return file.takeError();
  uint64_t size = 0;
  std::error_code code = sys::fs::file_size(path, size);
  sys::fs::mapped_file_region region;
  if (!code)
    region = sys::fs::mapped_file_region(*file, sys::fs::mapped_file_region::readonly, size, 0, code);
  sys::fs::closeFile(*file);
  if (code)
    return createStringError(code, code.message());
  return std::shared_ptr<MappedFile>(new MappedFile(std::move(region)));
}

void ds::dropMappedPages(ArrayRef<char> bytes) {
  Mappings &all = mappings();
  std::lock_guard<std::mutex> lock(all.mutex);
  auto after = all.ranges.upper_bound(bytes.data());
  if (after == all.ranges.begin())
    return;
  auto [start, size] = *std::prev(after);
  if (bytes.end() > start + size)
    return;
  const auto page = uintptr_t(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(bytes.begin()) + page - 1) & -page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(bytes.end()) & -page;
  if (begin < end)
    madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}
