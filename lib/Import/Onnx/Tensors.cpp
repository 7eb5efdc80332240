//===- Tensors.cpp - TensorProto to ElementsAttr --------------------------===//
// Assumes: untrusted messages, whose large data may be moved out of them.
// Guarantees: dims × element size equals the data; large tensors are resources that own (or map) their bytes, uncopied.
//   Types of 2 and 4 bits, which ONNX packs, have a byte an element from here on.
// Declines: complex numbers, and floats that are an exponent only.

#include "Tensors.h"

#include "ds/Import/ExternalData.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/MLIRContext.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"

#include <onnx/onnx_pb.h>

#include "dialects/ds/ir/DsDialect.h"

#include <cstring>
#include <sys/mman.h>

using namespace llvm;
using namespace mlir;
using onnx::TensorProto;

/// Tensors of at most this many elements are literals: they are read by folds and printed in full.
static constexpr int64_t LiteralElements = 64;

ElementsAttr ds::importer::TensorReader::read(TensorProto &tensor, StringRef fallback, std::string &error) {
  if (ElementsAttr known = done.lookup(&tensor))
    return known;
  std::string name = tensor.name().empty() ? fallback.str() : tensor.name();
  auto refuse = [&](const Twine &reason) {
    error = ("tensor '" + name + "' " + reason).str();
    return ElementsAttr();
  };
  Type element = elementType(context, tensor.data_type());
  if (!element)
    return refuse("has element type " + onnxTypeName(tensor.data_type()) + ", which is not supported");
  if (tensor.has_segment())
    return refuse("is a segment of a tensor, which is not supported");

  SmallVector<int64_t> dims(tensor.dims().begin(), tensor.dims().end());
  bool isString = isa<StringType>(element);
  int64_t bound = isString ? 1 : std::max(1u, element.getIntOrFloatBitWidth() / 8);
  for (int64_t dim : dims) {
    if (dim < 0)
      return refuse("has the negative dimension " + Twine(dim));
    // A zero must not hide that the other dimensions overflow: later products leave it out.
    if (dim && MulOverflow(bound, dim, bound))
      return refuse("has more elements than fit into 64 bits");
  }
  uint64_t bytes = is_contained(dims, 0) ? 0 : uint64_t(bound);
  auto type = RankedTensorType::get(dims, element);
  std::string reason;
  if (isString) {
    if (tensor.string_data_size() != int64_t(bytes))
      return refuse("holds " + Twine(tensor.string_data_size()) + " strings, but its dimensions need " + Twine(bytes));
    SmallVector<StringRef> strings(tensor.string_data().begin(), tensor.string_data().end());
    return done[&tensor] = DenseStringElementsAttr::get(type, strings);
  }
  ElementsAttr value = tensor.data_location() == TensorProto::EXTERNAL ? readExternal(tensor, type, bytes, name, reason)
                                                                       : readDense(tensor, type, bytes, name, reason);
  if (!value)
    return refuse(reason);
  done[&tensor] = value;
  return value;
}

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

/// Copies a typed field of the message, whose values may be wider than the elements, into bytes.
template <typename T, typename Field> static ds::importer::Bytes packField(const Field &field) {
  ds::importer::Bytes bytes(size_t(field.size()) * sizeof(T));
  char *to = bytes.data();
  for (auto from : field) {
    T element = static_cast<T>(from);
    std::memcpy(to, &element, sizeof(T));
    to += sizeof(T);
  }
  return bytes;
}

static ds::importer::Bytes packTyped(const TensorProto &tensor, unsigned width) {
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    return packField<float>(tensor.float_data());
  case TensorProto::DOUBLE:
    return packField<double>(tensor.double_data());
  case TensorProto::INT64:
    return packField<int64_t>(tensor.int64_data());
  case TensorProto::UINT64:
    return packField<uint64_t>(tensor.uint64_data());
  case TensorProto::UINT32:
    return packField<uint32_t>(tensor.uint64_data());
  case TensorProto::INT32:
    return packField<int32_t>(tensor.int32_data());
  default: // the small types share int32_data; halves are stored as their bits
    return width == 16 ? packField<int16_t>(tensor.int32_data()) : packField<int8_t>(tensor.int32_data());
  }
}

/// Any other byte than 0 and 1 would be undefined as an i1.
static void normalizeBooleans(MutableArrayRef<char> bytes) {
  for (char &c : bytes)
    c = c != 0;
}

/// Elements an ONNX byte holds.
static int64_t elementsPerByte(Type element) {
  unsigned width = element.getIntOrFloatBitWidth();
  return width > 1 && width < 8 ? 8 / width : 1;
}

/// Elements of 2 or 4 bits, the first in the lowest bits, as a byte each.
static ds::importer::Bytes unpack(ArrayRef<char> packed, int64_t count, unsigned width) {
  ds::importer::Bytes bytes{size_t(count)};
  int64_t perByte = 8 / width;
  for (int64_t i = 0; i < count; ++i)
    bytes.data()[i] = char(uint8_t(packed[i / perByte]) >> (i % perByte * width) & ((1 << width) - 1));
  return bytes;
}

ElementsAttr ds::importer::TensorReader::readDense(TensorProto &tensor, RankedTensorType type, uint64_t bytes,
                                                   StringRef name, std::string &error) {
  const std::string &raw = tensor.raw_data();
  bool isRaw = tensor.has_raw_data();
  std::optional<uint64_t> large = isRaw ? data.size(raw) : std::nullopt;
  int64_t perByte = elementsPerByte(type.getElementType()), count = type.getNumElements();
  if (perByte > 1)
    bytes = (uint64_t(count) + perByte - 1) / perByte;
  if (uint64_t size = large ? *large : raw.size(); isRaw && size != bytes) {
    error = "holds " + std::to_string(size) + " bytes, but its type and dimensions need " + std::to_string(bytes);
    return {};
  }
  Bytes owned = large   ? Bytes(bytes)
                : isRaw ? Bytes(ArrayRef<char>(raw.data(), raw.size()))
                        : packTyped(tensor, type.getElementTypeBitWidth());
  if (large && !data.read(raw, owned.data())) {
    error = "cannot be read from the model file";
    return {};
  }
  if (owned.size() != bytes) {
    error = "holds " + std::to_string(owned.size()) + " bytes of values, but its type and dimensions need " +
            std::to_string(bytes);
    return {};
  }
  tensor.clear_float_data();
  tensor.clear_double_data();
  tensor.clear_int64_data();
  tensor.clear_int32_data();
  tensor.clear_uint64_data();
  tensor.clear_raw_data();
  if (type.getElementType().isInteger(1))
    normalizeBooleans(owned.ref());
  if (perByte > 1)
    owned = unpack(owned.ref(), count, type.getElementTypeBitWidth());
  if (type.getNumElements() <= LiteralElements)
    return fromBytes(type, owned.ref());
  return makeResource(type, name, std::move(owned));
}

ElementsAttr ds::importer::TensorReader::fromBytes(RankedTensorType type, ArrayRef<char> bytes) {
  if (bytes.empty())
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  if (type.getElementType().isInteger(1)) {
    SmallVector<bool> bits;
    for (char c : bytes)
      bits.push_back(c != 0);
    return DenseElementsAttr::get(type, bits);
  }
  return DenseElementsAttr::getFromRawBuffer(type, bytes);
}

ElementsAttr ds::importer::TensorReader::makeResource(RankedTensorType type, StringRef name, Bytes bytes) {
  size_t size = bytes.size();
  AsmResourceBlob blob(
      ArrayRef<char>(bytes.release(), size), 64, [](void *memory, size_t, size_t) { std::free(memory); },
      /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}

ElementsAttr ds::importer::TensorReader::readExternal(const TensorProto &tensor, RankedTensorType type, uint64_t bytes,
                                                      StringRef name, std::string &error) {
  StringRef location;
  std::optional<uint64_t> offset, length;
  for (const onnx::StringStringEntryProto &entry : tensor.external_data()) {
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset" || entry.key() == "length") {
      uint64_t number;
      if (StringRef(entry.value()).getAsInteger(10, number)) {
        error = "has external data whose " + entry.key() + " is not a number: '" + entry.value() + "'";
        return {};
      }
      (entry.key() == "offset" ? offset : length) = number;
    }
  }
  int64_t perByte = elementsPerByte(type.getElementType()), count = type.getNumElements();
  if (perByte > 1)
    bytes = (uint64_t(count) + perByte - 1) / perByte;
  Expected<ExternalRange> range = resolveExternalData(folder, location, offset, length, bytes);
  if (!range) {
    error = "cannot be read: " + toString(range.takeError());
    return {};
  }
  if (bytes == 0)
    return fromBytes(type, {});

  std::shared_ptr<MappedFile> &file = mapped[range->path];
  if (!file) {
    Expected<std::shared_ptr<MappedFile>> opened = MappedFile::open(range->path);
    if (!opened) {
      error = "cannot be read: external data file '" + location.str() + "': " + toString(opened.takeError());
      return {};
    }
    file = std::move(*opened);
  }
  if (range->offset + bytes > file->bytes().size()) { // the file shrank since it was checked
    error = "cannot be read: external data file '" + location.str() + "' changed while it was read";
    return {};
  }
  ArrayRef<char> data = file->bytes().slice(range->offset, bytes);
  if (perByte > 1) {
    Bytes single = unpack(data, count, type.getElementTypeBitWidth());
    return count <= LiteralElements ? fromBytes(type, single.ref()) : makeResource(type, name, std::move(single));
  }
  if (type.getNumElements() <= LiteralElements)
    return fromBytes(type, data);
  unsigned align = std::max(1u, type.getElementTypeBitWidth() / 8);
  if (range->offset % align || type.getElementType().isInteger(1)) {
    Bytes copy(data);
    dropMappedPages(data);
    if (type.getElementType().isInteger(1))
      normalizeBooleans(copy.ref());
    return makeResource(type, name, std::move(copy));
  }
  // Nobody reads it any more: packed, say.
  auto done = [file](void *bytes, size_t size, size_t) {
    dropMappedPages(ArrayRef<char>(static_cast<char *>(bytes), size));
  };
  AsmResourceBlob blob(data, align, std::move(done), /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}
