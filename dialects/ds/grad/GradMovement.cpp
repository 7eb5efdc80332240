//===- GradMovement.cpp - Derivatives of ops that move elements -----------===//
// Assumes: attribute forms, where an op has two.
// Guarantees: the rules of the ops in DsMovement.td. Elements that are read several times get the sum of the
// cotangents, in
//   a fixed order.
// Declines: what is unspecified: scatters without a reduction whose indices repeat.
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

/// The adjoint of picking slices (ds.gather) of a tensor of `dims` at `places` along `axis`.
static TensorExpr addSlices(VjpBuilder &b, TensorExpr g, ArrayRef<SymExpr> dims, int64_t axis, Value places) {
  // [p..., i..., s...] with the places first: [i..., p..., s...] are added to slices of [axis, p..., s...].
  SymDims tuple = b.dims(places), moved;
  int64_t rank = dims.size(), count = tuple.size();
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
  for (auto [to, from] : llvm::enumerate(first)) {
    back[from] = to;
    moved.push_back(dims[from]);
  }
  tuple.push_back(SymExpr(1));
  TensorExpr at = b.reshape(b(places), tuple);
  g = b.transpose(g, front);
  if (!g || !at)
    return {};
  Type element = VjpBuilder::elementOf(g.get());
  TensorExpr sum =
      b.create<ScatterNdOp>(element, b.fill(element, moved, 0).get(), at.get(), g.get(), ScatterReduction::add);
  return b.transpose(sum, back);
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
    TensorExpr places = b.iota(x[d]);
    if (!places)
      return failure();
    places = b.create<PadOp>(VjpBuilder::elementOf(places.get()), places.get(), Value(), Value(), getMode(),
                             b.shape(low[d]), b.shape(high[d]));
    if (!places)
      return failure();
    g = addSlices(b, g, dims, d, places.get());
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
  operands[0] = addSlices(b, b(cotangents[0]), b.dims(getX()), getAxis(), getIndices()).get();
  return failure(b.hasFailed());
}

LogicalResult FramesOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // Frame f has the element at f * step + t in place t.
  SymDims g = b.dims(cotangents[0]);
  SymExpr frames = g[getAxis()], size = g[getAxis() + 1];
  TensorExpr step = b.size(IntegerType::get(b.context(), 64), getStep().getDim(0));
  TensorExpr places = b.reshape(b.iota(frames) * step, {frames, SymExpr(1)}) + b.iota(size);
  if (!places)
    return failure();
  operands[0] = addSlices(b, b(cotangents[0]), b.dims(getX()), getAxis(), places.get()).get();
  return failure(b.hasFailed());
}

LogicalResult GatherElementsOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] = b.create<ScatterElementsOp>(VjpBuilder::elementOf(getX()), b.zerosLike(getX()).get(), getIndices(),
                                            cotangents[0], getAxis(), ScatterReduction::add)
                    .get();
  return failure(b.hasFailed());
}

LogicalResult GatherNdOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // With batch dims, tuples that begin with where they stand.
  SymDims dims = b.dims(getIndices());
  Type index = VjpBuilder::elementOf(getIndices());
  SmallVector<TensorExpr> parts;
  for (unsigned d = 0; d < getBatchDims(); ++d) {
    SymDims line(dims.size(), SymExpr(1)), column = dims;
    line[d] = dims[d];
    column.back() = SymExpr(1);
    parts.push_back(b.expand(b.reshape(b.cast(b.iota(dims[d]), index), line), column));
  }
  parts.push_back(b(getIndices()));
  TensorExpr tuples = b.concat(parts, dims.size() - 1);
  if (!tuples)
    return failure();
  operands[0] = b.create<ScatterNdOp>(VjpBuilder::elementOf(getX()), b.zerosLike(getX()).get(), tuples.get(),
                                      cotangents[0], ScatterReduction::add)
                    .get();
  return failure(b.hasFailed());
}

//===----------------------------------------------------------------------===//
// Scatters
//===----------------------------------------------------------------------===//

/// The same scatter of other values to other ones, and what it stores to, read.
static TensorExpr scatter(ScatterElementsOp op, TensorExpr x, TensorExpr updates, ScatterReduction reduction) {
  return !x || !updates
             ? TensorExpr()
             : x.builder().create<ScatterElementsOp>(VjpBuilder::elementOf(x.get()), x.get(), op.getIndices(),
                                                     updates.get(), op.getAxis(), reduction);
}
static TensorExpr gather(ScatterElementsOp op, TensorExpr x) {
  return !x ? x
            : x.builder().create<GatherElementsOp>(VjpBuilder::elementOf(x.get()), x.get(), op.getIndices(),
                                                   op.getAxis());
}
static TensorExpr scatter(ScatterNdOp op, TensorExpr x, TensorExpr updates, ScatterReduction reduction) {
  return !x || !updates ? TensorExpr()
                        : x.builder().create<ScatterNdOp>(VjpBuilder::elementOf(x.get()), x.get(), op.getIndices(),
                                                          updates.get(), reduction);
}
static TensorExpr gather(ScatterNdOp op, TensorExpr x) {
  return !x ? x
            : x.builder().create<GatherNdOp>(VjpBuilder::elementOf(x.get()), x.get(), op.getIndices(),
                                             /*batch_dims=*/0);
}

/// Products at each place; of its factors, each one's cotangent has all others, also where some are 0.
template <typename Op>
static void multiplyingScatter(Op op, VjpBuilder &b, TensorExpr g, MutableArrayRef<Value> operands) {
  Type element = VjpBuilder::elementOf(op.getX());
  SymDims dims = b.dims(op.getX());
  TensorExpr updates = b(op.getUpdates()), one = b.scalar(element, 1);
  TensorExpr isZero = b.compare(ComparePredicate::eq, updates, b.scalar(element, 0));
  TensorExpr factors = b.select(isZero, one, updates);
  TensorExpr zeros = scatter(op, b.fill(element, dims, 0), b.cast(isZero, element), ScatterReduction::add);
  TensorExpr product = scatter(op, b.fill(element, dims, 1), factors, ScatterReduction::mul);
  if (!product || !zeros)
    return;
  if (b.needs(0))
    operands[0] = (g * where(ComparePredicate::eq, zeros, 0, product)).get();
  if (!b.needs(2))
    return;
  TensorExpr here = gather(op, product), zerosHere = gather(op, zeros);
  if (!here || !zerosHere)
    return;
  TensorExpr others = b.select(isZero, where(ComparePredicate::eq, zerosHere, 1, here),
                               where(ComparePredicate::eq, zerosHere, 0, here / factors));
  operands[2] = (gather(op, g * b(op.getX())) * others).get();
}

/// The greatest or least at each place: equal shares among those that are.
template <typename Op>
static void choosingScatter(Op op, VjpBuilder &b, TensorExpr g, MutableArrayRef<Value> operands) {
  Type element = VjpBuilder::elementOf(op.getX());
  TensorExpr best = b(op.getResult()), there = gather(op, best);
  if (!there)
    return;
  TensorExpr ofX = b.cast(b.compare(ComparePredicate::eq, b(op.getX()), best), element);
  TensorExpr ofUpdates = b.cast(b.compare(ComparePredicate::eq, b(op.getUpdates()), there), element);
  TensorExpr share = g / scatter(op, ofX, ofUpdates, ScatterReduction::add);
  if (b.needs(0))
    operands[0] = (share * ofX).get();
  if (b.needs(2))
    operands[2] = (gather(op, share) * ofUpdates).get();
}

template <typename Op>
static LogicalResult scatterVjp(Op op, VjpBuilder &b, Value cotangent, MutableArrayRef<Value> operands) {
  TensorExpr g = b(cotangent);
  switch (op.getReduction()) {
  case ScatterReduction::none:
  case ScatterReduction::add: {
    bool adds = op.getReduction() == ScatterReduction::add;
    if (b.needs(0))
      operands[0] = adds ? cotangent : scatter(op, g, b.zerosLike(op.getUpdates()), ScatterReduction::none).get();
    if (b.needs(2))
      operands[2] = gather(op, g).get();
    break;
  }
  case ScatterReduction::mul:
    multiplyingScatter(op, b, g, operands);
    break;
  case ScatterReduction::max:
  case ScatterReduction::min:
    choosingScatter(op, b, g, operands);
    break;
  }
  return failure(b.hasFailed());
}

LogicalResult ScatterElementsOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  return scatterVjp(*this, b, cotangents[0], operands);
}
LogicalResult ScatterNdOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  return scatterVjp(*this, b, cotangents[0], operands);
}

//===----------------------------------------------------------------------===//
// The rest
//===----------------------------------------------------------------------===//

LogicalResult OneHotOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (!b.needs(getValuesMutable().getOperandNumber()))
    return success();
  // Where it is hot: the same with 0 and 1.
  Type element = VjpBuilder::elementOf(getValues());
  SymDims dims = b.dims(cotangents[0]);
  TensorExpr bits = b.cast(b.iota(SymExpr(2)), element);
  if (!bits)
    return failure();
  TensorExpr hot = b.create<OneHotOp>(element, getIndices(), Value(), bits.get(), getAxis(), b.shape(dims[getAxis()]));
  TensorExpr g = b(cotangents[0]);
  SmallVector<int64_t> all = identity(dims.size());
  TensorExpr on = b.reshape(b.sum(g * hot, all, false), {SymExpr(1)});
  TensorExpr off = b.reshape(b.sum(g * (1 - hot), all, false), {SymExpr(1)});
  operands[getValuesMutable().getOperandNumber()] = b.concat({off, on}, 0).get();
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
    SmallVector<Value> inputs;
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
    inputs.push_back(eye.get());
    if (getGiven() && (*getScales())[d] == 0) {
      // Scale, start and end of the dim, each also in the place of the other one, where none counts.
      Value given = getGiven();
      SmallVector<TensorExpr> own;
      for (int64_t which : {d, d, rank + d, rank + d, 2 * rank + d, 2 * rank + d})
        own.push_back(b.slice(b(given), {SymExpr(which)}, {SymExpr(1)}));
      TensorExpr both = b.concat(own, 0);
      if (!both)
        return failure();
      inputs.push_back(both.get());
    }
    auto resized = b.createMany<ResizeOp>({element}, inputs, attributes.getAttrs());
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
