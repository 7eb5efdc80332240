//===- EvaluateMovement.cpp - Movements and reductions on constants -------===//
// Guarantees: bytes are moved as they are; sums in double or wrapping int64.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/ShapeHelpers.h"
#include <cstring>

using namespace mlir;

namespace ds {

using Bytes = FailureOr<std::vector<char>>;

static int64_t bytesOf(const ElementsView &view) { return getElementBytes(view.getKind()); }

/// Row-major strides, in elements.
static SmallVector<int64_t> stridesOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (int64_t d = int64_t(shape.size()) - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= shape[d];
  }
  return strides;
}

/// Calls f(flat, source) for each element of `shape`, source = offset + sum of index * stride.
static void walkStrided(ArrayRef<int64_t> shape, int64_t offset, ArrayRef<int64_t> strides,
                        function_ref<void(int64_t, int64_t)> f) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  SmallVector<int64_t> index(shape.size(), 0);
  for (int64_t flat = 0, source = offset; flat < count; ++flat) {
    f(flat, source);
    for (int64_t d = int64_t(shape.size()) - 1; d >= 0; --d) {
      source += strides[d];
      if (++index[d] < shape[d])
        break;
      source -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

/// The elements of `view` at strided positions.
static std::vector<char> readStrided(const ElementsView &view, ArrayRef<int64_t> shape, int64_t offset,
                                     ArrayRef<int64_t> strides) {
  int64_t bytes = bytesOf(view), count = 1;
  for (int64_t size : shape)
    count *= size;
  std::vector<char> result(count * bytes);
  const char *from = view.bytes().data();
  bool splat = view.isSplat();
  walkStrided(shape, offset, strides, [&](int64_t flat, int64_t source) {
    std::memcpy(result.data() + flat * bytes, from + (splat ? 0 : source * bytes), bytes);
  });
  return result;
}

static std::optional<ArrayRef<int64_t>> staticShape(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.hasStaticShape() ? std::optional(type.getShape()) : std::nullopt;
}

Bytes ReshapeOp::evaluate(ArrayRef<ElementsView> operands) {
  std::optional<ArrayRef<int64_t>> shape = staticShape(getResult());
  if (!shape || operands[0].size() != getType().getNumElements())
    return failure();
  return readStrided(operands[0], {operands[0].size()}, 0, {1});
}

Bytes TransposeOp::evaluate(ArrayRef<ElementsView> operands) {
  SmallVector<int64_t> own = stridesOf(operands[0].getType().getShape()), shape, strides;
  for (int64_t axis : getPerm()) {
    strides.push_back(own[axis]);
    shape.push_back(operands[0].getType().getDimSize(axis));
  }
  return readStrided(operands[0], shape, 0, strides);
}

Bytes ExpandOp::evaluate(ArrayRef<ElementsView> operands) {
  std::optional<ArrayRef<int64_t>> shape = staticShape(getResult());
  ArrayRef<int64_t> from = operands[0].getType().getShape();
  if (!shape || from.size() > shape->size())
    return failure();
  SmallVector<int64_t> strides(shape->size() - from.size(), 0);
  for (auto [size, stride, target] : llvm::zip_equal(from, stridesOf(from), shape->take_back(from.size()))) {
    if (size != 1 && size != target)
      return failure();
    strides.push_back(size == 1 ? 0 : stride);
  }
  return readStrided(operands[0], *shape, 0, strides);
}

Bytes SliceOp::evaluate(ArrayRef<ElementsView> operands) {
  std::optional<SmallVector<int64_t>> start, size;
  if (getStart()) {
    start = getStart()->getConstants();
    size = getSize()->getConstants();
  }
  if (!start || !size)
    return failure();
  ArrayRef<int64_t> shape = operands[0].getType().getShape();
  SmallVector<int64_t> strides = stridesOf(shape);
  int64_t offset = 0;
  for (auto [d, step] : llvm::enumerate(*getStep())) {
    int64_t first = (*start)[d], last = first + ((*size)[d] - 1) * step;
    if ((*size)[d] > 0 && (std::min(first, last) < 0 || std::max(first, last) >= shape[d]))
      return failure();
    offset += first * strides[d];
    strides[d] *= step;
  }
  return readStrided(operands[0], *size, offset, strides);
}

Bytes ConcatOp::evaluate(ArrayRef<ElementsView> operands) {
  std::optional<ArrayRef<int64_t>> shape = staticShape(getResult());
  if (!shape)
    return failure();
  // [outer, axis and inner]: each operand gives a run of bytes an outer index.
  int64_t outer = 1, bytes = bytesOf(operands[0]);
  for (int64_t d = 0; d < int64_t(getAxis()); ++d)
    outer *= (*shape)[d];
  std::vector<char> result;
  result.reserve(getType().getNumElements() * bytes);
  SmallVector<std::vector<char>> parts;
  for (const ElementsView &operand : operands)
    parts.push_back(readStrided(operand, {operand.size()}, 0, {1}));
  for (int64_t i = 0; i < outer; ++i)
    for (const std::vector<char> &part : parts) {
      size_t run = part.size() / outer;
      result.insert(result.end(), part.begin() + i * run, part.begin() + (i + 1) * run);
    }
  return result;
}

Bytes GatherOp::evaluate(ArrayRef<ElementsView> operands) {
  const ElementsView &x = operands[0], &indices = operands[1];
  ArrayRef<int64_t> shape = x.getType().getShape();
  int64_t axis = getAxis(), outer = 1, inner = 1, bytes = bytesOf(x);
  for (int64_t d = 0; d < axis; ++d)
    outer *= shape[d];
  for (int64_t d = axis + 1; d < int64_t(shape.size()); ++d)
    inner *= shape[d];
  std::vector<char> from = readStrided(x, {x.size()}, 0, {1}), result(outer * indices.size() * inner * bytes);
  size_t run = inner * bytes;
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t j = 0; j < indices.size(); ++j) {
      int64_t picked = indices.getInt(j);
      picked += picked < 0 ? shape[axis] : 0;
      if (picked < 0 || picked >= shape[axis])
        return failure(); // A run-time error.
      std::memcpy(result.data() + (i * indices.size() + j) * run, from.data() + (i * shape[axis] + picked) * run, run);
    }
  return result;
}

Bytes FillOp::evaluate(ArrayRef<ElementsView>) {
  std::optional<ArrayRef<int64_t>> shape = staticShape(getResult());
  std::optional<ElementKind> kind = getElementKind(getElementTypeOrSelf(getResult()));
  if (!shape || !kind)
    return failure();
  std::optional<ElementsView> value =
      ElementsView::get(DenseElementsAttr::get(RankedTensorType::get({}, getValue().getType()), Attribute(getValue())));
  if (!value)
    return failure();
  return readStrided(*value, {getType().getNumElements()}, 0, {0});
}

Bytes RangeOp::evaluate(ArrayRef<ElementsView> operands) {
  std::optional<ArrayRef<int64_t>> shape = staticShape(getResult());
  if (!shape || operands[0].size() != 1 || operands[2].size() != 1)
    return failure();
  int64_t count = (*shape)[0];
  if (isFloat(operands[0].getKind())) {
    SmallVector<double> values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back(operands[0].getDouble(0) + double(i) * operands[2].getDouble(0));
    return packFloats(operands[0].getKind(), values);
  }
  SmallVector<int64_t> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(detail::host::wrapAdd(operands[0].getInt(0), detail::host::wrapMul(i, operands[2].getInt(0))));
  return packInts(operands[0].getKind(), values);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// Combines elements into an accumulator; `first` tells an empty accumulator.
template <typename OpTy>
static Bytes evaluateReduce(OpTy op, const ElementsView &x, function_ref<double(double, double)> combineFloat,
                            function_ref<int64_t(int64_t, int64_t, bool)> combineInt, bool mean = false) {
  ArrayRef<int64_t> shape = x.getType().getShape();
  SmallVector<int64_t> kept(shape), strides;
  for (int64_t axis : op.getAxes())
    kept[axis] = 1;
  for (auto [size, stride] : llvm::zip_equal(kept, stridesOf(kept)))
    strides.push_back(size == 1 ? 0 : stride);
  int64_t count = 1, reduced = 1;
  for (auto [size, own] : llvm::zip_equal(shape, kept)) {
    count *= own;
    reduced *= own == size ? 1 : size;
  }
  if (x.size() == 0)
    return failure();
  bool isUnsigned = ds::isUnsigned(x.getKind());
  SmallVector<bool> seen(count, false);
  if (isFloat(x.getKind())) {
    SmallVector<double> sums(count, 0);
    walkStrided(shape, 0, strides, [&](int64_t flat, int64_t to) {
      double value = x.getDouble(flat);
      sums[to] = seen[to] ? combineFloat(sums[to], value) : value;
      seen[to] = true;
    });
    for (double &sum : sums)
      sum = mean ? sum / double(reduced) : sum;
    return packFloats(x.getKind(), sums);
  }
  SmallVector<int64_t> sums(count, 0);
  walkStrided(shape, 0, strides, [&](int64_t flat, int64_t to) {
    int64_t value = x.getInt(flat);
    sums[to] = seen[to] ? combineInt(sums[to], value, isUnsigned) : value;
    seen[to] = true;
  });
  if (mean)
    for (int64_t &sum : sums)
      sum = *detail::host::divide(sum, reduced, isUnsigned);
  return packInts(x.getKind(), sums);
}

static double plus(double a, double b) { return a + b; }
static int64_t plusInt(int64_t a, int64_t b, bool) { return detail::host::wrapAdd(a, b); }

Bytes ReduceSumOp::evaluate(ArrayRef<ElementsView> x) { return evaluateReduce(*this, x[0], plus, plusInt); }
Bytes ReduceMeanOp::evaluate(ArrayRef<ElementsView> x) { return evaluateReduce(*this, x[0], plus, plusInt, true); }
Bytes ReduceProdOp::evaluate(ArrayRef<ElementsView> x) {
  return evaluateReduce(
      *this, x[0], [](double a, double b) { return a * b; },
      [](int64_t a, int64_t b, bool) { return detail::host::wrapMul(a, b); });
}
Bytes ReduceMaxOp::evaluate(ArrayRef<ElementsView> x) {
  return evaluateReduce(*this, x[0], detail::host::max, [](int64_t a, int64_t b, bool isUnsigned) {
    return detail::host::less(a, b, isUnsigned) ? b : a;
  });
}
Bytes ReduceMinOp::evaluate(ArrayRef<ElementsView> x) {
  return evaluateReduce(*this, x[0], detail::host::min, [](int64_t a, int64_t b, bool isUnsigned) {
    return detail::host::less(b, a, isUnsigned) ? b : a;
  });
}

} // namespace ds
