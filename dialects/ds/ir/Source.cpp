//===- Source.cpp - Constants and values made from shapes --------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsSource.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsSource.cpp.inc"

namespace ds {

//===----------------------------------------------------------------------===//
// ConstantOp
//===----------------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValueAttr(); }

LogicalResult ConstantOp::inferShapes(ShapeState &state) {
  ArrayRef<int64_t> shape = cast<ShapedType>(getValue().getType()).getShape();
  state.setDims(getResult(), SymDims(shape.begin(), shape.end()));
  return success();
}

LogicalResult ConstantOp::verify() {
  if (!isa<DenseElementsAttr, DenseResourceElementsAttr>(getValueAttr()))
    return emitOpError("expected a dense or dense_resource value");
  if (getValue().getType() != getType())
    return emitOpError() << "expected a value of the result's type " << getType() << ", got " << getValue().getType();
  // A resource that is only named has no bytes to check.
  auto resource = dyn_cast<DenseResourceElementsAttr>(getValueAttr());
  AsmResourceBlob *blob = resource ? resource.getRawHandle().getBlob() : nullptr;
  if (!blob)
    return success();
  int64_t bytes = getType().getNumElements() * getElementBytes(*getElementKind(getType().getElementType()));
  if (int64_t(blob->getData().size()) != bytes)
    return emitOpError() << "expected " << bytes << " bytes in the resource, got " << blob->getData().size();
  return success();
}

//===----------------------------------------------------------------------===//
// FillOp
//===----------------------------------------------------------------------===//

LogicalResult FillOp::inferShapes(ShapeState &state) {
  if (std::optional<ShapeAttr> target = getTarget()) {
    state.setDims(getResult(), target->getDims());
  } else if (std::optional<SmallVector<SymExpr>> contents = state.getContents(getShape())) {
    state.setDims(getResult(), *contents);
  } else {
    std::optional<int64_t> rank = shapeOperandLength(getShape(), state);
    if (!rank)
      return success();
    SymDims dims;
    for (int64_t i = 0; i < *rank; ++i)
      dims.push_back(state.freshSymbol());
    state.setDims(getResult(), dims);
  }
  std::optional<SymFraction> value;
  if (auto integer = dyn_cast<IntegerAttr>(getValue()))
    value = SymExpr(integer.getType().isInteger(1) || integer.getType().isUnsignedInteger()
                        ? int64_t(integer.getValue().getZExtValue())
                        : integer.getValue().getSExtValue());
  else if (auto number = dyn_cast<FloatAttr>(getValue()))
    value = SymFraction::fromDouble(number.getValueAsDouble());
  if (value)
    SmallTensor::build(getResult(), *state.getInferredDims(getResult()), state,
                       [&](ArrayRef<int64_t>) { return value; });
  return success();
}

LogicalResult FillOp::verify() {
  if (failed(verifyOneForm(*this, bool(getShape()), bool(getTarget()), "shape", "target")))
    return failure();
  if (getValue().getType() != getElementTypeOrSelf(getResult()))
    return emitOpError() << "expected a value of the result's element type, got " << getValue().getType();
  if (getShape() && cast<ShapedType>(getShape().getType()).getRank() != 1)
    return emitOpError("expected 'shape' to have rank 1");
  return success();
}

//===----------------------------------------------------------------------===//
// RangeOp
//===----------------------------------------------------------------------===//

LogicalResult RangeOp::inferShapes(ShapeState &state) {
  auto scalar = [&](Value value) -> std::optional<SymFraction> {
    std::optional<SmallVector<SymFraction>> contents = state.getFractions(value);
    return contents && contents->size() == 1 ? std::optional((*contents)[0]) : std::nullopt;
  };
  std::optional<SymFraction> start = scalar(getStart()), limit = scalar(getLimit()), delta = scalar(getDelta());
  SymExpr size;
  if (delta && delta->num.isConst(0))
    return emitNodeError(*this) << "expected a delta other than 0";
  if (std::optional<ShapeAttr> attr = getSize()) {
    if (attr->size() != 1)
      return emitOpError() << "expected one expression in 'size', got " << attr->size();
    size = attr->getDim(0);
  } else if (start && limit && delta && delta->isConst()) {
    // ceil((limit - start) / delta) over a positive denominator.
    int64_t sign = delta->num.getConst() < 0 ? -1 : 1;
    SymExpr num = (limit->num * start->den - start->num * limit->den) * delta->den * SymExpr(sign);
    SymExpr den = limit->den * start->den * delta->num * SymExpr(sign);
    size = SymExpr::max(SymExpr::ceilDiv(num, den), SymExpr(0));
  } else {
    size = state.freshSymbol();
  }
  state.setDims(getResult(), {size});
  if (start && delta)
    SmallTensor::build(getResult(), {size}, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
      return SymFraction(start->num * delta->den + SymExpr(index[0]) * delta->num * start->den,
                         start->den * delta->den);
    });
  return success();
}

LogicalResult RangeOp::verify() {
  for (auto [index, operand] : llvm::enumerate(getOperands())) {
    if (failed(verifySameElementType(*this, operand, getResult(), "each operand", "the result")))
      return failure();
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.getRank() != 0 && !(type.hasStaticShape() && type.getNumElements() == 1))
      return emitOpError() << "expected operand " << index << " to be a scalar, got " << type;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// EyeLikeOp, ShapeOfOp, SizeOfOp, ShapeValueOp
//===----------------------------------------------------------------------===//

LogicalResult EyeLikeOp::inferShapes(ShapeState &state) {
  SymDims dims = dimsOf(getX(), state);
  if (dims.size() != 2)
    return emitNodeError(*this) << "expected an operand of rank 2, got rank " << dims.size();
  state.setDims(getResult(), dims);
  return success();
}

LogicalResult ShapeOfOp::inferShapes(ShapeState &state) {
  SymDims dims = dimsOf(getX(), state);
  int64_t rank = dims.size(), start = getStart(), end = getEnd();
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  end = std::clamp<int64_t>(end < 0 ? end + rank : end, start, rank);
  ArrayRef<SymExpr> part = ArrayRef(dims).slice(start, end - start);
  state.setDims(getResult(), {SymExpr(int64_t(part.size()))});
  state.setContents(getResult(), part);
  return success();
}

LogicalResult SizeOfOp::inferShapes(ShapeState &state) {
  state.setDims(getResult(), {});
  state.setContents(getResult(), {product(dimsOf(getX(), state))});
  return success();
}

LogicalResult ShapeValueOp::inferShapes(ShapeState &state) {
  SmallVector<SymExpr> values = getShape().getDims();
  if (getScalar() && values.size() != 1)
    return emitOpError() << "expected one expression with 'scalar', got " << values.size();
  if (getScalar())
    state.setDims(getResult(), {});
  else
    state.setDims(getResult(), {SymExpr(int64_t(values.size()))});
  state.setContents(getResult(), values);
  return success();
}

//===----------------------------------------------------------------------===//
// Attr forms
//===----------------------------------------------------------------------===//

bool FillOp::useKnownShapes(const ShapeState &state) { return useKnownTarget(*this, state); }

bool RangeOp::useKnownShapes(const ShapeState &state) {
  ShapeAttr size = getSize() ? ShapeAttr() : knownShape(getContext(), dimsOf(getResult(), state), state);
  if (!size)
    return false;
  setSizeAttr(size);
  getLimitMutable().assign(getStart()); // Ignored from now on.
  return true;
}

} // namespace ds
