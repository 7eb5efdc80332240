//===- Elements.h - Reading and making constant tensors -------------------===//
// Guarantees: one view of dense literals, splats and resources of every element type of ds; i1 is one byte an element.
// Declines: sparse and string elements.
//===----------------------------------------------------------------------===//
#ifndef DS_ELEMENTS_H
#define DS_ELEMENTS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include <memory>
#include <optional>
#include <vector>

namespace ds {

enum class ElementKind {
  I1,
  I2,
  I4,
  I8,
  I16,
  I32,
  I64,
  U2,
  U4,
  U8,
  U16,
  U32,
  U64,
  F16,
  BF16,
  F32,
  F64,
  F8E4M3FN,
  F8E4M3FNUZ,
  F8E5M2,
  F8E5M2FNUZ,
  F4E2M1FN
};

/// nullopt for a type that is no element type of ds.
std::optional<ElementKind> getElementKind(mlir::Type type);
/// Bytes an element; 1 for types of fewer bits, whose bits are the byte's lowest.
int64_t getElementBytes(ElementKind kind);
inline bool isFloat(ElementKind kind) { return kind >= ElementKind::F16; }
inline bool isUnsigned(ElementKind kind) {
  return kind == ElementKind::I1 || (kind >= ElementKind::U2 && kind <= ElementKind::U64);
}

float halfToFloat(uint16_t bits);
float bfloatToFloat(uint16_t bits);
/// Round to nearest even.
uint16_t floatToHalf(float value);
uint16_t floatToBfloat(float value);

/// A read-only view of a constant's elements in row-major order.
class ElementsView {
public:
  /// nullopt if `attr` is neither dense nor a resource of the right size, or of another element type.
  static std::optional<ElementsView> get(mlir::Attribute attr);

  mlir::RankedTensorType getType() const { return type; }
  ElementKind getKind() const { return kind; }
  int64_t size() const { return count; }
  /// All elements are the one stored.
  bool isSplat() const { return splat; }
  /// The stored bytes: one element if isSplat(), all of them otherwise.
  llvm::ArrayRef<char> bytes() const { return data; }

  /// Element i of an integer tensor (ui64: its bits).
  int64_t getInt(int64_t i) const;
  /// Element i as a double (i64 and ui64 are rounded).
  double getDouble(int64_t i) const;

private:
  mlir::RankedTensorType type;
  ElementKind kind;
  int64_t count;
  bool splat;
  llvm::ArrayRef<char> data;
  /// Holds `data` where the attribute stores another form.
  std::shared_ptr<std::vector<char>> owned;
};

/// A constant attribute of `type` (static) from row-major bytes (i1: one byte an element): a literal up to 64 elements,
/// a resource named after `name` beyond.
mlir::ElementsAttr makeElements(mlir::RankedTensorType type, std::vector<char> bytes,
                                llvm::StringRef name = "constant");

/// The bytes that store `values` as elements of `kind` (integers: low bits; floats: rounded).
std::vector<char> packInts(ElementKind kind, llvm::ArrayRef<int64_t> values);
std::vector<char> packFloats(ElementKind kind, llvm::ArrayRef<double> values);

/// Integers as a constant of `type`; they must fit.
mlir::ElementsAttr makeIntElements(mlir::RankedTensorType type, llvm::ArrayRef<int64_t> values);
/// Floats as a constant of `type`, rounded.
mlir::ElementsAttr makeFloatElements(mlir::RankedTensorType type, llvm::ArrayRef<double> values);

} // namespace ds

#endif
