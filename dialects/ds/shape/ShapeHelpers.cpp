//===- ShapeHelpers.cpp - What shape functions share ----------------------===//
// Guarantees: see ShapeHelpers.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/ShapeHelpers.h"
#include "dialects/ds/fold/Elements.h"

using namespace mlir;

namespace ds {

std::optional<SmallVector<int64_t>> allConstants(ArrayRef<SymExpr> exprs) {
  SmallVector<int64_t> values;
  for (const SymExpr &expr : exprs) {
    std::optional<int64_t> value = expr.tryConst();
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

/// The dims as constants, if they hold at most kMaxContents elements.
static std::optional<SmallVector<int64_t>> smallDims(ArrayRef<SymExpr> dims) {
  std::optional<SmallVector<int64_t>> sizes = allConstants(dims);
  if (!sizes)
    return std::nullopt;
  int64_t count = 1;
  for (int64_t size : *sizes)
    if (size < 0 || __builtin_mul_overflow(count, size, &count) || count > ShapeState::kMaxContents)
      return std::nullopt;
  return sizes;
}

std::optional<SmallTensor> SmallTensor::get(Value value, const ShapeState &state) {
  std::optional<SymDims> dims = state.getDims(value);
  std::optional<SmallVector<int64_t>> sizes = dims ? smallDims(*dims) : std::nullopt;
  if (!sizes)
    return std::nullopt;
  std::optional<SmallVector<SymFraction>> elements = state.getFractions(value);
  int64_t count = 1;
  for (int64_t size : *sizes)
    count *= size;
  if (!elements || int64_t(elements->size()) != count)
    return std::nullopt;
  return SmallTensor{std::move(*sizes), std::move(*elements)};
}

const SymFraction &SmallTensor::at(ArrayRef<int64_t> index) const {
  int64_t flat = 0;
  for (auto [i, size] : llvm::zip_equal(index, dims))
    flat = flat * size + i;
  return elements[flat];
}

const SymFraction &SmallTensor::atBroadcast(ArrayRef<int64_t> resultIndex) const {
  SmallVector<int64_t> index(resultIndex.take_back(dims.size()));
  for (auto [i, size] : llvm::zip_equal(index, dims))
    if (size == 1)
      i = 0;
  return at(index);
}

void SmallTensor::build(Value value, ArrayRef<SymExpr> dims, ShapeState &state,
                        function_ref<std::optional<SymFraction>(ArrayRef<int64_t>)> element) {
  std::optional<SmallVector<int64_t>> sizes = smallDims(dims);
  if (!sizes)
    return;
  SmallVector<SymFraction> elements;
  int64_t count = 1;
  for (int64_t size : *sizes)
    count *= size;
  for (int64_t flat = 0; flat < count; ++flat) {
    SmallVector<int64_t> index(sizes->size());
    int64_t rest = flat;
    for (int64_t d = int64_t(sizes->size()) - 1; d >= 0; --d) {
      index[d] = rest % (*sizes)[d];
      rest /= (*sizes)[d];
    }
    std::optional<SymFraction> known = element(index);
    if (!known)
      return;
    elements.push_back(std::move(*known));
  }
  state.setFractions(value, elements);
}

LogicalResult checkAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis >= 0 && axis < rank)
    return success();
  return emitNodeError(op) << "expected an axis in [0, " << rank << "), got " << axis;
}

FailureOr<SymExpr> unify(const SymExpr &a, const SymExpr &b, Operation *op, const Twine &what, ShapeState &state) {
  if (failed(state.requireEqual(a, b, op, what)))
    return failure();
  return !a.isConst() && b.isConst() ? b : a;
}

LogicalResult unifyDims(MutableArrayRef<SymExpr> into, ArrayRef<SymExpr> other, Operation *op, const Twine &what,
                        ShapeState &state) {
  if (into.size() != other.size())
    return emitNodeError(op) << "expected " << what << " to have rank " << into.size() << ", got " << other.size();
  for (size_t i = 0; i < into.size(); ++i) {
    FailureOr<SymExpr> dim = unify(into[i], other[i], op, what + " to agree in dimension " + Twine(i), state);
    if (failed(dim))
      return failure();
    into[i] = *dim;
  }
  return success();
}

std::optional<int64_t> shapeOperandLength(Value shape, ShapeState &state) {
  SymDims dims = dimsOf(shape, state);
  if (dims.size() != 1)
    return std::nullopt;
  return dims[0].tryConst();
}

ShapeAttr knownShape(MLIRContext *context, ArrayRef<SymExpr> exprs, const ShapeState &state) {
  for (const SymExpr &expr : exprs)
    if (expr.isOverflow() || !state.isKnownOnEntry(expr))
      return {};
  return ShapeAttr::get(context, exprs);
}

bool haveSameDims(Value a, Value b, const ShapeState &state) {
  std::optional<SymDims> aDims = state.getDims(a), bDims = state.getDims(b);
  return aDims && bDims && *aDims == *bDims;
}

LogicalResult verifyOneForm(Operation *op, bool operandForm, bool attrForm, StringRef operandName, StringRef attrName) {
  if (operandForm != attrForm)
    return success();
  return op->emitOpError() << "expected exactly one of operand '" << operandName << "' and attribute '" << attrName
                           << "', got " << (operandForm ? "both" : "neither");
}

LogicalResult verifySameElementType(Operation *op, Value a, Value b, StringRef aName, StringRef bName) {
  Type aType = getElementTypeOrSelf(a), bType = getElementTypeOrSelf(b);
  if (aType == bType)
    return success();
  return op->emitOpError() << "expected " << aName << " and " << bName << " to have the same element type, got "
                           << aType << " and " << bType;
}

Value floatScalar(OpBuilder &builder, Location loc, Type element, double value) {
  return ConstantOp::create(builder, loc, makeFloatElements(RankedTensorType::get({}, element), {value}));
}

} // namespace ds
