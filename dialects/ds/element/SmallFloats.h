//===- SmallFloats.h - Floats of 8 bits and fewer -------------------------===//
// Assumes: one value a byte, in its low bits.
// Guarantees: how f32 becomes such a float and back, in code and on the host. Rounding is to nearest even.
//===----------------------------------------------------------------------===//
#ifndef DS_DIALECT_SMALLFLOATS_H
#define DS_DIALECT_SMALLFLOATS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include <optional>

namespace ds {

/// A sign bit, an exponent and a mantissa; what the codes at the upper end mean differs from format to format.
struct SmallFloat {
  int exponentBits, mantissaBits, bias;
  int largest;          ///< magnitude bits of the largest finite number
  int infinity;         ///< magnitude bits, or -1: there is none
  int nan;              ///< bits of what NaN becomes
  bool signedNan;       ///< NaN has both signs, and so has 0
  bool alwaysSaturates; ///< there is neither infinity nor NaN
  int magnitudeBits() const { return exponentBits + mantissaBits; }

  /// nullopt for every other type, f16 and wider floats among them.
  static std::optional<SmallFloat> get(mlir::Type type);

  double decode(uint8_t bits) const;
  /// Too large numbers saturate.
  uint8_t encode(double value) const;

  /// i8 to f32 and f32 to i8, scalars and vectors. Without `saturate` what is too large becomes infinity, or NaN where
  /// there is none.
  mlir::Value buildDecode(mlir::OpBuilder &b, mlir::Location loc, mlir::Value bits) const;
  mlir::Value buildEncode(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, bool saturate) const;
};

/// True for integers of fewer than 8 bits, i1 aside.
bool isSmallInteger(mlir::Type type);
/// True for every type that takes a byte but fewer than 8 bits of it, or is a float of 8 bits.
inline bool isSmallType(mlir::Type type) { return SmallFloat::get(type) || isSmallInteger(type); }

} // namespace ds

#endif
