//===- ElementQuantization.cpp - Element forms of (de)quantization --------===//
// Guarantees: `buildElement` of quantize_linear and dequantize_linear, with scales per tensor, per entry of an axis, or
//   per block along it. Quantization divides by the scale (never multiplies by its inverse), rounds the quotient to the
//   scale's type, then half to even, and saturates after the zero point is added.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/element/SmallFloats.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace ds {

static Type elementType(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

static bool hasOneElement(Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return type.hasStaticShape() && type.getNumElements() == 1;
}

/// Where the scale (and zero point) of the element at `indices` stands.
template <typename QuantizationOp>
static SmallVector<LaneIndex> scaleIndices(QuantizationOp op, ElementBuilder &eb, ArrayRef<LaneIndex> indices) {
  SymDims dims = eb.dims(op.getScale());
  if (hasOneElement(op.getScale()))
    return SmallVector<LaneIndex>(dims.size(), eb.constantIndex(0));
  int64_t axis = op.getAxis(), block = op.getBlockSize();
  if (block == 0)
    return {indices[axis]};
  SmallVector<LaneIndex> result(indices);
  result[axis] = eb.floorDiv(indices[axis], eb.constantIndex(block));
  return result;
}

/// A scale of one element, or one an entry of the last dim, broadcasts like any operand.
template <typename QuantizationOp> static bool broadcastsScale(QuantizationOp op) {
  int64_t rank = cast<RankedTensorType>(op.getX().getType()).getRank();
  return hasOneElement(op.getScale()) || (op.getBlockSize() == 0 && static_cast<int64_t>(op.getAxis()) == rank - 1);
}

bool QuantizeLinearOp::isPointwise() { return broadcastsScale(*this); }
int64_t QuantizeLinearOp::elementCost() { return 12; }
bool DequantizeLinearOp::isPointwise() { return broadcastsScale(*this); }
int64_t DequantizeLinearOp::elementCost() { return 4; }

FailureOr<Value> QuantizeLinearOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  Type scaleElement = elementType(getScale()), resultElement = elementType(getResult());
  Type work = ElementBuilder::computeType(scaleElement);
  LaneMath math(eb, work);
  SmallVector<LaneIndex> own = scaleIndices(*this, eb, indices);
  FailureOr<Value> x = eb.element(getX(), indices), scale = eb.element(getScale(), own);
  if (failed(x) || failed(scale))
    return failure();
  Value quotient = math.div(eb.convert(*x, elementType(getX()), work), *scale);
  if (scaleElement.isF16() || scaleElement.isBF16())
    quotient = eb.convert(quotient, work, scaleElement);
  if (SmallFloat::get(resultElement))
    return eb.convert(quotient, work, resultElement, /*saturate=*/true);
  Value rounded = math::RoundEvenOp::create(eb.builder(), eb.getLoc(), quotient);
  if (getZeroPoint()) {
    FailureOr<Value> zeroPoint = eb.element(getZeroPoint(), own);
    if (failed(zeroPoint))
      return failure();
    rounded = math.add(rounded, eb.convert(*zeroPoint, elementType(getZeroPoint()), work));
  }
  return eb.convert(rounded, work, resultElement, /*saturate=*/true);
}

FailureOr<Value> DequantizeLinearOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  Type element = elementType(getX()), scaleElement = elementType(getScale());
  Type work = ElementBuilder::computeType(scaleElement);
  LaneMath math(eb, work);
  SmallVector<LaneIndex> own = scaleIndices(*this, eb, indices);
  FailureOr<Value> x = eb.element(getX(), indices), scale = eb.element(getScale(), own);
  if (failed(x) || failed(scale))
    return failure();
  // The difference needs one bit more than its terms.
  Type wide = isa<FloatType>(element)
                  ? Type(eb.builder().getF32Type())
                  : Type(eb.builder().getIntegerType(element.getIntOrFloatBitWidth() <= 16 ? 32 : 64));
  Value difference = eb.convert(*x, element, wide);
  if (getZeroPoint()) {
    FailureOr<Value> zeroPoint = eb.element(getZeroPoint(), own);
    if (failed(zeroPoint))
      return failure();
    difference = LaneMath(eb, wide).sub(difference, eb.convert(*zeroPoint, elementType(getZeroPoint()), wide));
  }
  Value result = math.mul(eb.convert(difference, wide, work), *scale);
  return eb.convert(result, work, elementType(getResult()));
}

} // namespace ds
