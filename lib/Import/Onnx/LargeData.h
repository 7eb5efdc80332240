//===- LargeData.h - The bytes of large tensors, left in the file ---------===//
// Assumes: a serialized ModelProto, possibly malformed.
// Guarantees: `extract` gives the same message with the raw data of large tensors replaced by tokens; `read` gives the
//   bytes of a token. So weights are read once, into memory of their own, and those that nothing uses never. A token
//   says which data it stands for: copies of a message have equal tokens, and no two data the same.
// Declines: judging the message: what it cannot follow it hands on unchanged, for protobuf to judge.

#ifndef DS_LIB_IMPORT_ONNX_LARGEDATA_H
#define DS_LIB_IMPORT_ONNX_LARGEDATA_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ds::importer {

/// Owned, aligned bytes; large ones lie on pages of 2 MB, where the system has them.
class Bytes {
public:
  explicit Bytes(size_t size);
  Bytes(llvm::ArrayRef<char> from) : Bytes(from.size()) { std::memcpy(data(), from.data(), from.size()); }
  char *data() { return memory.get(); }
  size_t size() const { return length; }
  llvm::MutableArrayRef<char> ref() { return {data(), length}; }
  char *release() { return memory.release(); }

private:
  struct Free {
    void operator()(char *p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> memory;
  size_t length;
};

class LargeData {
public:
  /// Data of at least this size is replaced by exactly as many bytes, which makes tokens unmistakable.
  static constexpr size_t TokenBytes = 1024;

  LargeData() = default;
  LargeData(const LargeData &) = delete;
  ~LargeData();

  /// Keeps `descriptor` open for `read`.
  void readFromFile(int descriptor) { file = descriptor; }
  /// Reads from memory that outlives this object.
  void readFromMemory(llvm::StringRef bytes) { memory = bytes; }

  /// The message with tokens; nullopt if it is malformed.
  std::optional<std::string> extract(llvm::StringRef message);

  /// A token for bytes that are no part of the message: those of a typed field, say.
  std::string keep(Bytes bytes);

  /// Which data `rawData` stands for, or nullopt if it is no token but data.
  std::optional<uint64_t> number(llvm::StringRef rawData) const;
  /// The size of the data that `rawData` stands for, or nullopt if it is no token but data.
  std::optional<uint64_t> size(llvm::StringRef rawData) const;
  /// Copies the data of a token; false if the file cannot be read.
  bool read(llvm::StringRef token, char *to) const;
  /// The data of a token that was kept; null for one of the file.
  std::shared_ptr<Bytes> kept(llvm::StringRef token) const;

private:
  struct Range {
    uint64_t offset, size;
    std::shared_ptr<Bytes> kept; ///< instead of an offset
  };
  std::string token(Range range);
  const Range *find(llvm::StringRef token) const;
  bool rewrite(llvm::StringRef message, uint64_t offset, int kind, int depth, std::string &to);

  int file = -1;
  llvm::StringRef memory;
  std::vector<Range> ranges;
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_LARGEDATA_H
