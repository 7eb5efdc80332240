//===- KernelStore.cpp - Code of kernels, in memory and in a folder -------===//
// Guarantees: see KernelStore.h.
// Entries: `<key in hexadecimal>.kernel`, a Header, the contract, the object.
//===----------------------------------------------------------------------===//
#include "KernelStore.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using namespace ds;

static constexpr StringLiteral kSuffix = ".kernel", kTemporarySuffix = ".kernel.tmp";

namespace {
struct Header {
  char magic[8] = {'d', 's', 'k', 'e', 'r', 'n', 'e', 'l'};
  uint32_t version = 2, contractSize = 0;
  uint64_t objectSize = 0;
  KernelKey key = {};
  /// BLAKE3 of all above, the contract and the object.
  KernelKey checksum = {};
};
static_assert(sizeof(Header) == 88, "no padding, whose bytes would be left to chance");

class Descriptor {
public:
  explicit Descriptor(int number) : number(number) {}
  Descriptor(const Descriptor &) = delete;
  ~Descriptor() {
    if (number >= 0)
      close(number);
  }
  int get() const { return number; }

private:
  int number;
};
} // namespace

static KernelKey checksumOf(const Header &header, StringRef payload) {
  BLAKE3 hash;
  hash.update(StringRef(reinterpret_cast<const char *>(&header), offsetof(Header, checksum)));
  hash.update(payload);
  return hash.final<sizeof(KernelKey)>();
}

std::string KernelStore::pathOf(const KernelKey &key) const {
  return folder + "/" + toHex(ArrayRef<uint8_t>(key), /*LowerCase=*/true) + kSuffix.str();
}

std::shared_ptr<const KernelCode> KernelStore::read(const KernelKey &key) const {
  Descriptor file(open(pathOf(key).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status;
  if (file.get() < 0 || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
      (status.st_mode & (S_IWGRP | S_IWOTH)))
    return nullptr;
  constexpr uint64_t mostEntry = uint64_t(1) << 30;
  if (uint64_t(status.st_size) < sizeof(Header) || uint64_t(status.st_size) > mostEntry)
    return nullptr;
  std::string contents(size_t(status.st_size), '\0');
  for (size_t at = 0; at < contents.size();) {
    ssize_t got = ::read(file.get(), contents.data() + at, contents.size() - at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return nullptr;
    at += size_t(got);
  }
  Header header;
  const Header expected;
  std::memcpy(&header, contents.data(), sizeof header);
  StringRef payload = StringRef(contents).drop_front(sizeof header);
  if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0 || header.version != expected.version ||
      header.key != key || header.contractSize > payload.size() ||
      header.objectSize != payload.size() - header.contractSize || checksumOf(header, payload) != header.checksum)
    return nullptr;
  futimens(file.get(), nullptr); // used now
  auto code = std::make_shared<KernelCode>();
  code->contract = payload.take_front(header.contractSize).str();
  code->object = payload.drop_front(header.contractSize).str();
  return code;
}

void KernelStore::write(const KernelKey &key, const KernelCode &code) const {
  static std::atomic<unsigned> number;
  const std::string path = pathOf(key);
  const std::string temporary = path.substr(0, path.size() - kSuffix.size()) + "." + std::to_string(getpid()) + "." +
                                std::to_string(number++) + kTemporarySuffix.str();
  Header header;
  header.contractSize = uint32_t(code.contract.size());
  header.objectSize = code.object.size();
  header.key = key;
  const std::string payload = code.contract + code.object;
  header.checksum = checksumOf(header, payload);
  const std::string contents = std::string(reinterpret_cast<const char *>(&header), sizeof header) + payload;
  bool whole = false;
  {
    Descriptor file(open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    if (file.get() < 0)
      return;
    size_t at = 0;
    while (at < contents.size()) {
      ssize_t put = ::write(file.get(), contents.data() + at, contents.size() - at);
      if (put < 0 && errno == EINTR)
        continue;
      if (put <= 0)
        break;
      at += size_t(put);
    }
    whole = at == contents.size();
  }
  if (!whole || rename(temporary.c_str(), path.c_str()) != 0)
    unlink(temporary.c_str());
}

void KernelStore::remember(const KernelKey &key, const std::shared_ptr<const KernelCode> &code) {
  std::lock_guard<std::mutex> lock(mutex);
  Entry &entry = entries[key];
  auto sizeOf = [](const Entry &e) { return e.code ? e.code->contract.size() + e.code->object.size() : 0; };
  bytes -= sizeOf(entry);
  entry = {code, ++uses};
  bytes += sizeOf(entry);
  if (bytes <= mostBytes)
    return;
  // Half of it goes, so that this is rare.
  std::vector<std::pair<uint64_t, KernelKey>> order;
  for (const auto &[other, kept] : entries)
    order.emplace_back(kept.used, other);
  llvm::sort(order);
  for (const auto &[used, other] : order) {
    if (bytes <= mostBytes / 2)
      break;
    auto at = entries.find(other);
    bytes -= sizeOf(at->second);
    entries.erase(at);
  }
}

std::shared_ptr<const KernelCode> KernelStore::find(const KernelKey &key) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (auto entry = entries.find(key); entry != entries.end()) {
      entry->second.used = ++uses;
      return entry->second.code;
    }
  }
  std::shared_ptr<const KernelCode> code = folder.empty() ? nullptr : read(key);
  if (code)
    remember(key, code);
  return code;
}

void KernelStore::insert(const KernelKey &key, std::shared_ptr<const KernelCode> code) {
  remember(key, code);
  if (folder.empty())
    return;
  write(key, *code);
  grown = true;
}

void KernelStore::trim() {
  if (!grown.exchange(false))
    return;
  using Time = sys::TimePoint<>;
  struct File {
    Time used;
    uint64_t size;
    std::string path;
  };
  std::vector<File> files;
  uint64_t all = 0;
  std::error_code code;
  for (sys::fs::directory_iterator at(folder, code, /*follow_symlinks=*/false), end; !code && at != end;
       at.increment(code)) {
    StringRef path(at->path());
    const bool isTemporary = path.ends_with(kTemporarySuffix);
    ErrorOr<sys::fs::basic_file_status> status = at->status();
    if ((!isTemporary && !path.ends_with(kSuffix)) || !status || status->type() != sys::fs::file_type::regular_file)
      continue;
    if (isTemporary) { // of a process that is dead, if it is that old
      if (std::chrono::system_clock::now() - status->getLastModificationTime() > std::chrono::hours(1))
        sys::fs::remove(path);
      continue;
    }
    files.push_back({status->getLastModificationTime(), status->getSize(), path.str()});
    all += status->getSize();
  }
  if (all <= mostBytes)
    return;
  llvm::sort(files, [](const File &a, const File &b) { return std::tie(a.used, a.path) < std::tie(b.used, b.path); });
  // A tenth below, so that this is rare.
  for (const File &file : files) {
    if (all <= mostBytes - mostBytes / 10)
      break;
    sys::fs::remove(file.path);
    all -= file.size;
  }
}

std::string ds::prepareCacheFolder(const std::string &folder) {
  StringRef parent = sys::path::parent_path(folder);
  if (std::error_code code = parent.empty() ? std::error_code() : sys::fs::create_directories(parent))
    return code.message();
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return std::generic_category().message(errno);
  if (!sys::fs::is_directory(folder))
    return "it is no folder";
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    return std::generic_category().message(errno);
  return "";
}
