//===- GradMovement.cpp - Derivatives of ops that move elements -----------===//
// Assumes: attribute forms, where an op has two.
// Guarantees: the rules of the ops in DsMovement.td. Elements that are read several times get the sum of the
// cotangents, in
//   a fixed order.
// Declines: scatters that multiply or choose, and what is unspecified: scatters without a reduction whose indices
// repeat.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"
#include <numeric>

using namespace mlir;

namespace ds {

static SmallVector<int64_t> identity(size_t rank) { return llvm::to_vector(llvm::seq<int64_t>(0, rank)); }
static SymDims zeros(size_t rank) { return SymDims(rank, SymExpr(0)); }

LogicalResult ReshapeOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] = b.reshape(b(cotangents[0]), b.dims(getX())).get();
  return failure(b.hasFailed());
}

LogicalResult TransposeOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  SmallVector<int64_t> inverse(getPerm().size());
  for (auto [to, from] : llvm::enumerate(getPerm()))
    inverse[from] = to;
  operands[0] = b.transpose(b(cotangents[0]), inverse).get();
  return failure(b.hasFailed());
}

LogicalResult ExpandOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] = b.reduceTo(b(cotangents[0]), b.dims(getX())).get();
  return failure(b.hasFailed());
}

LogicalResult SliceOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (!getStart())
    return failure();
  SymDims x = b.dims(getX()), start = getStart()->getDims(), size = getSize()->getDims(), low, high;
  TensorExpr g = b(cotangents[0]);
  for (unsigned d = 0; d < x.size(); ++d) {
    int64_t step = (*getStep())[d];
    if (step < 0) { // from the other end
      SymDims at = zeros(x.size()), all = b.dims(g.get());
      SmallVector<int64_t> steps(x.size(), 1);
      at[d] = size[d] - SymExpr(1);
      steps[d] = -1;
      g = b.slice(g, at, all, steps);
      start[d] = start[d] + (size[d] - SymExpr(1)) * SymExpr(step);
      step = -step;
    }
    if (step != 1 && g) { // step - 1 zeros after each element
      SymDims all = b.dims(g.get()), wide = all, more = zeros(x.size() + 1);
      wide.insert(wide.begin() + d + 1, SymExpr(1));
      more[d + 1] = SymExpr(step - 1);
      g = b.pad(b.reshape(g, wide), zeros(x.size() + 1), more);
      all[d] = all[d] * SymExpr(step);
      g = b.reshape(g, all);
    }
    low.push_back(start[d]);
    high.push_back(x[d] - start[d] - size[d] * SymExpr(step)); // negative where the last zeros reach beyond
  }
  operands[0] = b.pad(g, low, high).get();
  return failure(b.hasFailed());
}

LogicalResult ConcatOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  SymDims start = zeros(b.dims(cotangents[0]).size());
  for (auto [i, input] : llvm::enumerate(getInputs())) {
    SymDims size = b.dims(input);
    if (b.needs(i))
      operands[i] = b.slice(b(cotangents[0]), start, size).get();
    start[getAxis()] = start[getAxis()] + size[getAxis()];
  }
  return failure(b.hasFailed());
}

/// The adjoint of taking, along `axis`, the elements at `places` (of rank 1) of a tensor of `dims`.
static TensorExpr addAlong(VjpBuilder &b, TensorExpr g, ArrayRef<SymExpr> dims, int64_t axis, Value places) {
  SmallVector<int64_t> perm = identity(dims.size());
  std::swap(perm[0], perm[axis]);
  SymDims moved;
  for (int64_t from : perm)
    moved.push_back(dims[from]);
  SymDims tuple = b.dims(places);
  tuple.push_back(SymExpr(1));
  TensorExpr at = b.create<ReshapeOp>(VjpBuilder::elementOf(places), places, Value(), b.shape(tuple), false);
  g = b.transpose(g, perm);
  if (!g || !at)
    return {};
  Type element = VjpBuilder::elementOf(g.get());
  TensorExpr sum =
      b.create<ScatterNdOp>(element, b.fill(element, moved, 0).get(), at.get(), g.get(), ScatterReduction::add);
  return b.transpose(sum, perm);
}

LogicalResult PadOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (!getLow())
    return failure();
  SymDims x = b.dims(getX()), low = getLow()->getDims(), high = getHigh()->getDims(), less, more;
  TensorExpr g = b(cotangents[0]);
  if (getMode() == PadMode::constant) {
    for (unsigned d = 0; d < x.size(); ++d) {
      less.push_back(-low[d]);
      more.push_back(-high[d]);
    }
    TensorExpr inside = b.pad(g, less, more);
    operands[0] = inside.get();
    if (getValue() && b.needs(1) && inside) {
      // What the border got; elements that negative counts remove are of neither.
      SmallVector<int64_t> all = identity(x.size());
      TensorExpr kept = b.pad(inside, low, high);
      operands[1] = b.reshape(b.sum(g - kept, all, false), b.dims(getValue())).get();
    }
    return failure(b.hasFailed());
  }
  // Along one dim after another the border's elements are those at some places.
  SymDims dims = b.dims(cotangents[0]);
  for (unsigned d = 0; d < x.size() && g; ++d) {
    if (low[d].isConst(0) && high[d].isConst(0))
      continue;
    dims[d] = x[d];
    Type index = IntegerType::get(b.context(), 64);
    auto number = [&](const SymExpr &expr) { return b.create<ShapeValueOp>(index, b.shape(expr), true).get(); };
    Value zero = number(SymExpr(0)), limit = number(x[d]), one = number(SymExpr(1));
    TensorExpr places = b.create<RangeOp>(index, zero, limit, one, b.shape(x[d]));
    if (!places)
      return failure();
    places = b.create<PadOp>(index, places.get(), Value(), Value(), getMode(), b.shape(low[d]), b.shape(high[d]));
    if (!places)
      return failure();
    g = addAlong(b, g, dims, d, places.get());
  }
  operands[0] = g.get();
  return failure(b.hasFailed());
}

LogicalResult TileOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (!getRepeat())
    return failure();
  SymDims x = b.dims(getX()), parts;
  SmallVector<int64_t> axes;
  for (auto [size, count] : llvm::zip_equal(x, getRepeat()->getDims())) {
    axes.push_back(parts.size());
    parts.push_back(count);
    parts.push_back(size);
  }
  operands[0] = b.sum(b.reshape(b(cotangents[0]), parts), axes, false).get();
  return failure(b.hasFailed());
}

LogicalResult GatherOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // [p..., i..., s...] with the indices first: [i..., p..., s...] are added to slices of [axis, p..., s...].
  SymDims x = b.dims(getX()), indices = b.dims(getIndices());
  int64_t axis = getAxis(), rank = x.size(), count = indices.size();
  SmallVector<int64_t> front, first{axis}, back(rank);
  for (int64_t i = 0; i < count; ++i)
    front.push_back(axis + i);
  for (int64_t d = 0; d < axis; ++d)
    front.push_back(d);
  for (int64_t d = axis + 1; d < rank; ++d)
    front.push_back(d + count - 1);
  for (int64_t d = 0; d < rank; ++d)
    if (d != axis)
      first.push_back(d);
  SymDims moved;
  for (auto [to, from] : llvm::enumerate(first)) {
    back[from] = to;
    moved.push_back(x[from]);
  }
  SymDims tuple = indices;
  tuple.push_back(SymExpr(1));
  Type element = VjpBuilder::elementOf(getX());
  TensorExpr at =
      b.create<ReshapeOp>(VjpBuilder::elementOf(getIndices()), getIndices(), Value(), b.shape(tuple), false);
  TensorExpr g = b.transpose(b(cotangents[0]), front);
  if (!g || !at)
    return failure();
  TensorExpr sum =
      b.create<ScatterNdOp>(element, b.fill(element, moved, 0).get(), at.get(), g.get(), ScatterReduction::add);
  operands[0] = b.transpose(sum, back).get();
  return failure(b.hasFailed());
}

LogicalResult GatherElementsOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] = b.create<ScatterElementsOp>(VjpBuilder::elementOf(getX()), b.zerosLike(getX()).get(), getIndices(),
                                            cotangents[0], getAxis(), ScatterReduction::add)
                    .get();
  return failure(b.hasFailed());
}

LogicalResult GatherNdOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (getBatchDims() != 0)
    return failure();
  operands[0] = b.create<ScatterNdOp>(VjpBuilder::elementOf(getX()), b.zerosLike(getX()).get(), getIndices(),
                                      cotangents[0], ScatterReduction::add)
                    .get();
  return failure(b.hasFailed());
}

LogicalResult ScatterElementsOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  bool adds = getReduction() == ScatterReduction::add;
  if (!adds && getReduction() != ScatterReduction::none)
    return failure();
  Type element = VjpBuilder::elementOf(getX());
  if (b.needs(0))
    operands[0] = adds ? cotangents[0]
                       : b.create<ScatterElementsOp>(element, cotangents[0], getIndices(),
                                                     b.zerosLike(getUpdates()).get(), getAxis(), ScatterReduction::none)
                             .get();
  if (b.needs(2))
    operands[2] = b.create<GatherElementsOp>(element, cotangents[0], getIndices(), getAxis()).get();
  return failure(b.hasFailed());
}

LogicalResult ScatterNdOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  bool adds = getReduction() == ScatterReduction::add;
  if (!adds && getReduction() != ScatterReduction::none)
    return failure();
  Type element = VjpBuilder::elementOf(getX());
  if (b.needs(0))
    operands[0] = adds ? cotangents[0]
                       : b.create<ScatterNdOp>(element, cotangents[0], getIndices(), b.zerosLike(getUpdates()).get(),
                                               ScatterReduction::none)
                             .get();
  if (b.needs(2))
    operands[2] = b.create<GatherNdOp>(element, cotangents[0], getIndices(), /*batch_dims=*/0).get();
  return failure(b.hasFailed());
}

LogicalResult TriluOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] = b.create<TriluOp>(VjpBuilder::elementOf(getX()), cotangents[0], getUpper(), getK()).get();
  return failure(b.hasFailed());
}

LogicalResult ReverseSequenceOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] = b.create<ReverseSequenceOp>(VjpBuilder::elementOf(getX()), cotangents[0], getLengths(), getBatchAxis(),
                                            getTimeAxis())
                    .get();
  return failure(b.hasFailed());
}

LogicalResult ResizeOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // Interpolation is linear, one dim after another: along each the matrix that resizing the identity gives.
  if (getGiven())
    return failure();
  SymDims x = b.dims(getX()), size = getSize().getDims();
  int64_t rank = x.size();
  Type element = VjpBuilder::elementOf(getX());
  TensorExpr g = b(cotangents[0]);
  for (int64_t d = 0; d < rank && g; ++d) {
    bool isScaled = !getScales() || (*getScales())[d] != 1;
    if (x[d] == size[d] && !isScaled)
      continue;
    SymDims matrix = {x[d], x[d]}, wanted = {size[d], x[d]};
    DenseF64ArrayAttr scales, roi;
    if (getScales())
      scales = DenseF64ArrayAttr::get(b.context(), {(*getScales())[d], 1.0});
    if (getRoi())
      roi = DenseF64ArrayAttr::get(b.context(), {(*getRoi())[d], 0.0, (*getRoi())[rank + d], 1.0});
    TensorExpr square = b.fill(element, matrix, 0);
    if (!square)
      return failure();
    TensorExpr eye = b.create<EyeLikeOp>(element, square.get(), /*k=*/0);
    if (!eye)
      return failure();
    NamedAttrList attributes((*this)->getAttrs());
    attributes.set(getSizeAttrName(), b.shape(wanted));
    attributes.set(getExtrapolationValueAttrName(), FloatAttr::get(Float64Type::get(b.context()), 0.0));
    if (scales)
      attributes.set(getScalesAttrName(), scales);
    if (roi)
      attributes.set(getRoiAttrName(), roi);
    auto resized = b.createMany<ResizeOp>({element}, eye.get(), attributes.getAttrs());
    if (!resized)
      return failure();
    TensorExpr weights = b(resized.getResult());
    // The dim last, times [size, x].
    SmallVector<int64_t> perm = identity(rank);
    std::swap(perm[d], perm[rank - 1]);
    g = b.transpose(b.matmul(b.transpose(g, perm), weights), perm);
  }
  operands[0] = g.get();
  return failure(b.hasFailed());
}

} // namespace ds
