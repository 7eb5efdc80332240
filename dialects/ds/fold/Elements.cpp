//===- Elements.cpp - Reading and making constant tensors -----------------===//
// Guarantees: see Elements.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/element/SmallFloats.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include <array>
#include <cstring>

using namespace mlir;

namespace ds {

std::optional<ElementKind> getElementKind(Type type) {
  if (type.isF16())
    return ElementKind::F16;
  if (type.isBF16())
    return ElementKind::BF16;
  if (type.isF32())
    return ElementKind::F32;
  if (type.isF64())
    return ElementKind::F64;
  if (isa<Float8E4M3FNType>(type))
    return ElementKind::F8E4M3FN;
  if (isa<Float8E4M3FNUZType>(type))
    return ElementKind::F8E4M3FNUZ;
  if (isa<Float8E5M2Type>(type))
    return ElementKind::F8E5M2;
  if (isa<Float8E5M2FNUZType>(type))
    return ElementKind::F8E5M2FNUZ;
  if (isa<Float4E2M1FNType>(type))
    return ElementKind::F4E2M1FN;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || integer.isSigned())
    return std::nullopt;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return isUnsigned ? std::nullopt : std::optional(ElementKind::I1);
  case 2:
    return isUnsigned ? ElementKind::U2 : ElementKind::I2;
  case 4:
    return isUnsigned ? ElementKind::U4 : ElementKind::I4;
  case 8:
    return isUnsigned ? ElementKind::U8 : ElementKind::I8;
  case 16:
    return isUnsigned ? ElementKind::U16 : ElementKind::I16;
  case 32:
    return isUnsigned ? ElementKind::U32 : ElementKind::I32;
  case 64:
    return isUnsigned ? ElementKind::U64 : ElementKind::I64;
  }
  return std::nullopt;
}

int64_t getElementBytes(ElementKind kind) {
  static constexpr auto table = [] {
    using enum ElementKind;
    constexpr std::nullopt_t None = std::nullopt;
    std::array<int64_t, size_t(F4E2M1FN) + 1> table{};
    auto enter = [&](std::optional<ElementKind> kind, int64_t bytes) {
      if (kind)
        table[size_t(*kind)] = bytes;
    };
#define DS_ELEMENT_TYPE(constant, number, name, bytes, code, bits, npy, safetensors, onnx, onnxNumber, kind)           \
  enter(kind, bytes);
#include "runtime/include/ds_types.def"
#undef DS_ELEMENT_TYPE
    return table;
  }();
  return table[size_t(kind)];
}

float bfloatToFloat(uint16_t bits) { return llvm::bit_cast<float>(uint32_t(bits) << 16); }

float halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  if (exponent == 31)
    return llvm::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0)
    return llvm::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  float magnitude = float(mantissa) * 0x1p-24f; // Subnormal halves are normal floats.
  return sign ? -magnitude : magnitude;
}

uint16_t floatToBfloat(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  if (value != value)
    return uint16_t(bits >> 16) | 0x40;
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

uint16_t floatToHalf(float value) {
  bool lossy;
  llvm::APFloat number(value);
  number.convert(llvm::APFloat::IEEEhalf(), llvm::APFloat::rmNearestTiesToEven, &lossy);
  return uint16_t(number.bitcastToAPInt().getZExtValue());
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

std::optional<ElementsView> ElementsView::get(Attribute attr) {
  auto elements = dyn_cast_or_null<ElementsAttr>(attr);
  if (!elements)
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(elements.getShapedType());
  if (!type || !type.hasStaticShape())
    return std::nullopt;
  std::optional<ElementKind> kind = getElementKind(type.getElementType());
  if (!kind)
    return std::nullopt;
  ElementsView view;
  view.type = type;
  view.kind = *kind;
  view.count = type.getNumElements();
  view.splat = false;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || int64_t(blob->getData().size()) != view.count * getElementBytes(*kind))
      return std::nullopt;
    view.data = blob->getData();
    return view;
  }
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  if (!dense)
    return std::nullopt;
  view.splat = dense.isSplat();
  if (*kind != ElementKind::I1) {
    view.data = dense.getRawData();
    return view;
  }
  // Literals of i1 may be packed.
  view.owned = std::make_shared<std::vector<char>>();
  if (view.splat)
    view.owned->push_back(dense.getSplatValue<bool>());
  else
    for (bool value : dense.getValues<bool>())
      view.owned->push_back(value);
  view.data = *view.owned;
  return view;
}

template <typename T> static T readAs(ArrayRef<char> data, int64_t index) {
  T value;
  std::memcpy(&value, data.data() + index * sizeof(T), sizeof(T));
  return value;
}

int64_t ElementsView::getInt(int64_t i) const {
  int64_t at = splat ? 0 : i;
  switch (kind) {
  case ElementKind::I1:
    return data[at] != 0;
  case ElementKind::I2:
    return int8_t(data[at] << 6) >> 6;
  case ElementKind::I4:
    return int8_t(data[at] << 4) >> 4;
  case ElementKind::U2:
    return data[at] & 3;
  case ElementKind::U4:
    return data[at] & 15;
  case ElementKind::I8:
    return readAs<int8_t>(data, at);
  case ElementKind::I16:
    return readAs<int16_t>(data, at);
  case ElementKind::I32:
    return readAs<int32_t>(data, at);
  case ElementKind::I64:
    return readAs<int64_t>(data, at);
  case ElementKind::U8:
    return readAs<uint8_t>(data, at);
  case ElementKind::U16:
    return readAs<uint16_t>(data, at);
  case ElementKind::U32:
    return readAs<uint32_t>(data, at);
  case ElementKind::U64:
    return int64_t(readAs<uint64_t>(data, at));
  default:
    return int64_t(getDouble(i));
  }
}

double ElementsView::getDouble(int64_t i) const {
  int64_t at = splat ? 0 : i;
  switch (kind) {
  case ElementKind::F16:
    return halfToFloat(readAs<uint16_t>(data, at));
  case ElementKind::BF16:
    return bfloatToFloat(readAs<uint16_t>(data, at));
  case ElementKind::F32:
    return readAs<float>(data, at);
  case ElementKind::F64:
    return readAs<double>(data, at);
  case ElementKind::U64:
    return double(readAs<uint64_t>(data, at));
  case ElementKind::F8E4M3FN:
  case ElementKind::F8E4M3FNUZ:
  case ElementKind::F8E5M2:
  case ElementKind::F8E5M2FNUZ:
  case ElementKind::F4E2M1FN:
    return SmallFloat::get(type.getElementType())->decode(uint8_t(data[at]));
  default:
    return double(getInt(i));
  }
}

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

ElementsAttr makeElements(RankedTensorType type, std::vector<char> bytes, StringRef name) {
  constexpr int64_t kMaxLiteral = 64;
  ElementKind kind = *getElementKind(type.getElementType());
  int64_t count = type.getNumElements();
  assert(int64_t(bytes.size()) == count * getElementBytes(kind));
  if (count <= kMaxLiteral) {
    if (kind == ElementKind::I1) {
      SmallVector<bool> values;
      for (char byte : bytes)
        values.push_back(byte != 0);
      return DenseElementsAttr::get(type, ArrayRef<bool>(values));
    }
    return DenseElementsAttr::getFromRawBuffer(type, bytes);
  }
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, /*align=*/64);
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}

template <typename T> static void append(std::vector<char> &bytes, T value) {
  const char *begin = reinterpret_cast<const char *>(&value);
  bytes.insert(bytes.end(), begin, begin + sizeof(T));
}

std::vector<char> packInts(ElementKind kind, ArrayRef<int64_t> values) {
  int64_t width = getElementBytes(kind);
  std::vector<char> bytes;
  bytes.reserve(values.size() * width);
  for (int64_t value : values) {
    if (kind == ElementKind::I1)
      value &= 1;
    const char *begin = reinterpret_cast<const char *>(&value); // Little endian: the low bytes come first.
    bytes.insert(bytes.end(), begin, begin + width);
  }
  return bytes;
}

std::vector<char> packFloats(ElementKind kind, ArrayRef<double> values) {
  std::vector<char> bytes;
  bytes.reserve(values.size() * getElementBytes(kind));
  for (double value : values) {
    switch (kind) {
    case ElementKind::F16:
      append(bytes, floatToHalf(float(value)));
      break;
    case ElementKind::BF16:
      append(bytes, floatToBfloat(float(value)));
      break;
    case ElementKind::F32:
      append(bytes, float(value));
      break;
    default:
      append(bytes, value);
      break;
    }
  }
  return bytes;
}

ElementsAttr makeIntElements(RankedTensorType type, ArrayRef<int64_t> values) {
  return makeElements(type, packInts(*getElementKind(type.getElementType()), values));
}

ElementsAttr makeFloatElements(RankedTensorType type, ArrayRef<double> values) {
  if (std::optional<SmallFloat> small = SmallFloat::get(type.getElementType())) {
    std::vector<char> bytes;
    for (double value : values)
      bytes.push_back(char(small->encode(value)));
    return makeElements(type, std::move(bytes));
  }
  return makeElements(type, packFloats(*getElementKind(type.getElementType()), values));
}

} // namespace ds
