//===- LargeData.h - The bytes of large tensors, left in the file ---------===//
// Assumes: a serialized ModelProto, possibly malformed.
// Guarantees: `extract` gives the same message with the raw data of large tensors replaced by tokens; `read` gives the
// bytes of a token. So weights are read once, into memory of their own, and those that nothing uses never. Declines:
// judging the message: what it cannot follow it hands on unchanged, for protobuf to judge.

#ifndef DS_LIB_IMPORT_ONNX_LARGEDATA_H
#define DS_LIB_IMPORT_ONNX_LARGEDATA_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ds::importer {

class LargeData {
public:
  LargeData() = default;
  LargeData(const LargeData &) = delete;
  ~LargeData();

  /// Keeps `descriptor` open for `read`.
  void readFromFile(int descriptor) { file = descriptor; }
  /// Reads from memory that outlives this object.
  void readFromMemory(llvm::StringRef bytes) { memory = bytes; }

  /// The message with tokens; nullopt if it is malformed.
  std::optional<std::string> extract(llvm::StringRef message);

  /// The size of the data that `rawData` stands for, or nullopt if it is no token but data.
  std::optional<uint64_t> size(llvm::StringRef rawData) const;
  /// Copies the data of a token; false if the file cannot be read.
  bool read(llvm::StringRef token, char *to) const;

private:
  struct Range {
    uint64_t offset, size;
  };
  const Range *find(llvm::StringRef token) const;
  bool rewrite(llvm::StringRef message, uint64_t offset, int kind, int depth, std::string &to);

  /// Data of at least this size is replaced by exactly as many bytes, which makes tokens unmistakable.
  static constexpr size_t TokenBytes = 1024;

  int file = -1;
  llvm::StringRef memory;
  std::vector<Range> ranges;
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_LARGEDATA_H
