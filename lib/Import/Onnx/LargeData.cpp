//===- LargeData.cpp - The bytes of large tensors, left in the file -------===//
// Assumes: a serialized ModelProto, possibly malformed.
// Guarantees: see LargeData.h.
// Declines: judging the message: what it cannot follow it hands on unchanged, for protobuf to judge.

#include "LargeData.h"

#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/LEB128.h"

#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;
using namespace ds::importer;

namespace {
/// The messages on the way from a model to a tensor's data, with the numbers of the fields that lead on (onnx.proto).
enum Kind { Model, Graph, Function, Node, Attribute, Tensor, RawData, None = -1 };

int childOf(int kind, uint64_t field) {
  switch (kind) {
  case Model:
    return field == 7 ? Graph : field == 25 ? Function : None;
  case Graph:
    return field == 1 ? Node : field == 5 ? Tensor : None;
  case Function:
    return field == 7 ? Node : field == 11 ? Attribute : None;
  case Node:
    return field == 5 ? Attribute : None;
  case Attribute:
    return field == 5 || field == 10 ? Tensor : field == 6 || field == 11 ? Graph : None;
  case Tensor:
    return field == 9 ? RawData : None;
  default:
    return None;
  }
}
} // namespace

ds::importer::Bytes::Bytes(size_t size) : length(size) {
  constexpr size_t Line = 64, HugePage = size_t(2) << 20;
  size_t align = size >= 2 * HugePage ? HugePage : Line;
  size_t rounded = (std::max<size_t>(size, 1) + align - 1) / align * align;
  memory.reset(static_cast<char *>(std::aligned_alloc(align, rounded)));
  if (!memory)
    report_bad_alloc_error("no memory for a tensor");
  if (align == HugePage)
    madvise(memory.get(), rounded, MADV_HUGEPAGE); // far fewer page faults; a refusal does no harm
}

LargeData::~LargeData() {
  if (file >= 0)
    ::close(file);
}

static void appendVarint(std::string &to, uint64_t value) {
  uint8_t bytes[10];
  to.append(reinterpret_cast<char *>(bytes), encodeULEB128(value, bytes));
}

bool LargeData::rewrite(StringRef message, uint64_t offset, int kind, int depth, std::string &to) {
  constexpr int MaxDepth = 100; // protobuf's own
  if (depth > MaxDepth)
    return false;
  const auto *begin = reinterpret_cast<const uint8_t *>(message.data()), *end = begin + message.size(), *at = begin;
  auto varint = [&](uint64_t &value) {
    unsigned length = 0;
    const char *error = nullptr;
    value = decodeULEB128(at, &length, end, &error);
    at += length;
    return !error;
  };
  while (at != end) {
    const uint8_t *start = at;
    uint64_t tag, length = 0;
    if (!varint(tag))
      return false;
    switch (tag & 7) {
    case 0: { // a varint
      uint64_t ignored;
      if (!varint(ignored))
        return false;
      break;
    }
    case 1: // 8 bytes
      length = 8;
      break;
    case 2: // a length and as many bytes
      if (!varint(length))
        return false;
      break;
    case 5: // 4 bytes
      length = 4;
      break;
    default: // groups, which ONNX does not use
      return false;
    }
    if (length > uint64_t(end - at))
      return false;
    StringRef payload(reinterpret_cast<const char *>(at), length);
    uint64_t payloadOffset = offset + uint64_t(at - begin);
    at += length;
    int child = (tag & 7) == 2 ? childOf(kind, tag >> 3) : int(None);
    if (child == None || (child == RawData && length < TokenBytes)) {
      to.append(reinterpret_cast<const char *>(start), at - start);
      continue;
    }
    std::string inner;
    if (child == RawData) {
      inner = token({payloadOffset, length, nullptr});
    } else if (!rewrite(payload, payloadOffset, child, depth + 1, inner)) {
      return false;
    }
    appendVarint(to, tag);
    appendVarint(to, inner.size());
    to += inner;
  }
  return true;
}

std::string LargeData::token(Range range) {
  uint64_t index = ranges.size();
  ranges.push_back(std::move(range));
  std::string result(TokenBytes, '\0');
  std::memcpy(result.data(), &index, sizeof(index));
  return result;
}

std::string LargeData::keep(Bytes bytes) {
  uint64_t size = bytes.size();
  return token({0, size, std::make_shared<Bytes>(std::move(bytes))});
}

std::optional<std::string> LargeData::extract(StringRef message) {
  std::string result;
  ranges.clear();
  if (!rewrite(message, 0, Model, 0, result))
    return std::nullopt;
  return result;
}

const LargeData::Range *LargeData::find(StringRef token) const {
  uint64_t index;
  if (token.size() != TokenBytes)
    return nullptr;
  std::memcpy(&index, token.data(), sizeof(index));
  return index < ranges.size() ? &ranges[index] : nullptr;
}

std::optional<uint64_t> LargeData::number(StringRef rawData) const {
  const Range *range = find(rawData);
  return range ? std::optional<uint64_t>(range - ranges.data()) : std::nullopt;
}

std::shared_ptr<Bytes> LargeData::kept(StringRef token) const {
  const Range *range = find(token);
  return range ? range->kept : nullptr;
}

std::optional<uint64_t> LargeData::size(StringRef rawData) const {
  const Range *range = find(rawData);
  return range ? std::optional<uint64_t>(range->size) : std::nullopt;
}

bool LargeData::read(StringRef token, char *to) const {
  const Range *range = find(token);
  if (!range)
    return false;
  if (range->kept) {
    std::memcpy(to, range->kept->data(), range->size);
    return true;
  }
  if (file < 0) {
    std::memcpy(to, memory.data() + range->offset, range->size);
    return true;
  }
  for (uint64_t done = 0; done < range->size;) {
    ssize_t count = ::pread(file, to + done, range->size - done, off_t(range->offset + done));
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return false;
    done += uint64_t(count);
  }
  return true;
}
