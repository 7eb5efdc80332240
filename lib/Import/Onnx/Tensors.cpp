//===- Tensors.cpp - TensorProto to ElementsAttr --------------------------===//
// Assumes: untrusted messages, whose large data are tokens.
// Guarantees: dims × element size equals the data; large tensors are resources that own (or map) their bytes, uncopied;
//   tensors of equal type and contents are one attribute, wherever their messages lie.
//   Types of 2 and 4 bits, which ONNX packs, have a byte an element from here on.
// Declines: complex numbers, and floats that are an exponent only.

#include "Tensors.h"
#include "TypedData.h"

#include "ds/Import/ExternalData.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/MLIRContext.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"

#include <onnx/onnx_pb.h>

#include "dialects/ds/ir/DsDialect.h"

using namespace llvm;
using namespace mlir;
using onnx::TensorProto;

/// Tensors of at most this many elements are literals: they are read by folds and printed in full.
static constexpr int64_t LiteralElements = 64;

ElementsAttr ds::importer::TensorReader::read(const TensorProto &tensor, StringRef fallback, std::string &error) {
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

  if (tensor.dims_size() > MaxRank)
    return refuse("has " + Twine(tensor.dims_size()) + " dimensions; at most " + Twine(MaxRank) + " are supported");
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
    return DenseStringElementsAttr::get(type, strings);
  }
  ElementsAttr value = tensor.data_location() == TensorProto::EXTERNAL ? readExternal(tensor, type, bytes, name, reason)
                                                                       : readDense(tensor, type, bytes, name, reason);
  if (!value)
    return refuse(reason);
  return value;
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

ElementsAttr ds::importer::TensorReader::readDense(const TensorProto &tensor, RankedTensorType type, uint64_t bytes,
                                                   StringRef name, std::string &error) {
  const std::string &raw = tensor.raw_data();
  bool isRaw = tensor.has_raw_data();
  std::optional<uint64_t> large = isRaw ? data.size(raw) : std::nullopt;
  int64_t perByte = elementsPerByte(type.getElementType()), count = type.getNumElements();
  bool isLiteral = count <= LiteralElements; // which the context keeps once
  if (perByte > 1)
    bytes = (uint64_t(count) + perByte - 1) / perByte;
  if (uint64_t size = large ? *large : raw.size(); isRaw && size != bytes) {
    error = "holds " + std::to_string(size) + " bytes, but its type and dimensions need " + std::to_string(bytes);
    return {};
  }
  auto known = done.end();
  auto isKnown = [&](const Twine &contents) {
    known = done.try_emplace({type.getAsOpaquePointer(), contents.str()}).first;
    return bool(known->second);
  };
  if (large && isKnown("token " + Twine(*data.number(raw))))
    return known->second;
  if (std::shared_ptr<Bytes> kept = large ? data.kept(raw) : nullptr;
      kept && !isLiteral && perByte == 1 && !type.getElementType().isInteger(1))
    return known->second = makeResource(type, name, std::move(kept));
  Bytes owned = large ? Bytes(bytes) : isRaw ? Bytes(ArrayRef<char>(raw.data(), raw.size())) : packTyped(tensor);
  if (large && !data.read(raw, owned.data())) {
    error = "cannot be read from the model file";
    return {};
  }
  if (owned.size() != bytes) {
    error = "holds " + std::to_string(owned.size()) + " bytes of values, but its type and dimensions need " +
            std::to_string(bytes);
    return {};
  }
  if (!large && !isLiteral && isKnown("bytes " + Twine(StringRef(owned.data(), owned.size()))))
    return known->second;
  if (type.getElementType().isInteger(1))
    normalizeBooleans(owned.ref());
  if (perByte > 1)
    owned = unpack(owned.ref(), count, type.getElementTypeBitWidth());
  ElementsAttr value = isLiteral ? fromBytes(type, owned.ref()) : makeResource(type, name, std::move(owned));
  if (known != done.end())
    known->second = value;
  return value;
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

ElementsAttr ds::importer::TensorReader::makeResource(RankedTensorType type, StringRef name,
                                                      std::shared_ptr<Bytes> bytes) {
  ArrayRef<char> data = bytes->ref();
  AsmResourceBlob blob(data, 64, [owner = std::move(bytes)](void *, size_t, size_t) {}, /*dataIsMutable=*/false);
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
  std::string place = ("file " + Twine(range->path) + " " + Twine(range->offset)).str();
  ElementsAttr &value = done[{type.getAsOpaquePointer(), place}];
  if (value)
    return value;

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
    return value =
               count <= LiteralElements ? fromBytes(type, single.ref()) : makeResource(type, name, std::move(single));
  }
  if (type.getNumElements() <= LiteralElements)
    return value = fromBytes(type, data);
  unsigned align = std::max(1u, type.getElementTypeBitWidth() / 8);
  if (range->offset % align || type.getElementType().isInteger(1)) {
    Bytes copy(data);
    dropMappedPages(data);
    if (type.getElementType().isInteger(1))
      normalizeBooleans(copy.ref());
    return value = makeResource(type, name, std::move(copy));
  }
  // Nobody reads it any more: packed, say.
  auto drop = [file](void *bytes, size_t size, size_t) {
    dropMappedPages(ArrayRef<char>(static_cast<char *>(bytes), size));
  };
  AsmResourceBlob blob(data, align, std::move(drop), /*dataIsMutable=*/false);
  return value = DenseResourceElementsAttr::get(type, name, std::move(blob));
}
