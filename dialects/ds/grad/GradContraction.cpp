//===- GradContraction.cpp - Derivatives of products, convolutions, pools -===//
// Assumes: channels first (before ds-layout).
// Guarantees: by data and by weights each a contraction again. Where the size of an input is no multiple of the stride,
// what
//   no window reaches gets 0.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"
#include "dialects/ds/ir/DsAdjoint.h"
#include <numeric>

using namespace mlir;

namespace ds {

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

LogicalResult MatmulOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // Vectors as matrices of one row or column.
  SymDims left = b.dims(getA()), right = b.dims(getB()), product = b.dims(cotangents[0]);
  SymDims a = left, c = right, g = product;
  if (left.size() == 1) {
    a.insert(a.begin(), SymExpr(1));
    g.insert(g.end() - (right.size() > 1 ? 1 : 0), SymExpr(1));
  }
  if (right.size() == 1) {
    c.push_back(SymExpr(1));
    g.push_back(SymExpr(1));
  }
  TensorExpr cotangent = b.reshape(b(cotangents[0]), g);
  if (b.needs(0))
    operands[0] = b.reshape(b.reduceTo(b.matmul(cotangent, b.swapLast(b.reshape(b(getB()), c))), a), left).get();
  if (b.needs(1)) {
    // A matrix that all share: one product of the rows of all.
    if (c.size() == 2) {
      SymExpr rows = ds::product(ArrayRef<SymExpr>(a).drop_back());
      a = {rows, a.back()};
      cotangent = b.reshape(cotangent, {rows, g.back()});
    }
    operands[1] = b.reshape(b.reduceTo(b.matmul(b.swapLast(b.reshape(b(getA()), a)), cotangent), c), right).get();
  }
  return failure(b.hasFailed());
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

namespace {
/// A convolution from `x` [N, C, s...] with filters [O, C/group, k...] to `y` [N, O, p...], whichever of the three is
/// computed from the other two: y[p] = sum of x[p * stride - low + k * dilation] * w[k].
struct Windows {
  VjpBuilder &b;
  ArrayRef<int64_t> strides, low, dilations;
  int64_t group;

  unsigned rank() const { return strides.size(); }
  DenseI64ArrayAttr attr(ArrayRef<int64_t> values) const { return DenseI64ArrayAttr::get(b.context(), values); }

  /// x, of `dims`, from y and w.
  TensorExpr transposed(TensorExpr y, TensorExpr w, ArrayRef<SymExpr> dims);
  /// y from x and w: of dims that `dims` says.
  TensorExpr forward(TensorExpr x, TensorExpr w, ArrayRef<SymExpr> dims);
  /// w, of `dims`, from x and y.
  TensorExpr weights(TensorExpr x, TensorExpr y, ArrayRef<SymExpr> dims);

private:
  /// The first `dims` of the spatial dims, or zeros more.
  TensorExpr fit(TensorExpr value, ArrayRef<SymExpr> dims);
};
} // namespace

TensorExpr Windows::fit(TensorExpr value, ArrayRef<SymExpr> dims) {
  if (!value)
    return value;
  SymDims own = b.dims(value.get()), none(own.size(), SymExpr(0)), more;
  for (auto [from, to] : llvm::zip_equal(own, dims))
    more.push_back(to - from);
  return b.pad(value, none, more);
}

TensorExpr Windows::transposed(TensorExpr y, TensorExpr w, ArrayRef<SymExpr> dims) {
  if (!y || !w)
    return {};
  SmallVector<int64_t> none(rank(), 0), high;
  Type element = VjpBuilder::elementOf(y.get());
  // What is padded at the end where that is known: then nothing is computed that is cut off.
  SymDims rows = b.dims(y.get()), kernel = b.dims(w.get());
  bool isKnown = true;
  for (unsigned d = 0; d < rank(); ++d) {
    SymExpr whole = (rows[2 + d] - SymExpr(1)) * SymExpr(strides[d]) +
                    (kernel[2 + d] - SymExpr(1)) * SymExpr(dilations[d]) + SymExpr(1);
    SymExpr past = whole - SymExpr(low[d]) - dims[2 + d];
    isKnown &= low[d] >= 0 && past.isConst() && past.getConst() >= 0;
    high.push_back(past.isConst() ? past.getConst() : 0);
  }
  if (isKnown)
    return b.create<ConvTransposeOp>(element, y.get(), w.get(), Value(), attr(strides), attr(low), attr(high),
                                     attr(dilations), attr(none), static_cast<uint64_t>(group), Layout::nchw);
  // Whole, and then what lies within.
  TensorExpr whole =
      b.create<ConvTransposeOp>(element, y.get(), w.get(), Value(), attr(strides), attr(none), attr(none),
                                attr(dilations), attr(none), static_cast<uint64_t>(group), Layout::nchw);
  if (!whole)
    return {};
  SymDims own = b.dims(whole.get()), before(2, SymExpr(0)), after(2, SymExpr(0));
  for (unsigned d = 0; d < rank(); ++d) {
    before.push_back(SymExpr(-low[d]));
    after.push_back(dims[2 + d] - (own[2 + d] - SymExpr(low[d])));
  }
  return b.pad(whole, before, after);
}

TensorExpr Windows::forward(TensorExpr x, TensorExpr w, ArrayRef<SymExpr> dims) {
  if (!x || !w)
    return {};
  // As much at the end as the last window needs.
  SymDims own = b.dims(x.get()), kernel = b.dims(w.get()), before(2, SymExpr(0)), after(2, SymExpr(0));
  for (unsigned d = 0; d < rank(); ++d) {
    SymExpr needed = (dims[2 + d] - SymExpr(1)) * SymExpr(strides[d]) +
                     (kernel[2 + d] - SymExpr(1)) * SymExpr(dilations[d]) + SymExpr(1);
    before.push_back(SymExpr(low[d]));
    after.push_back(needed - own[2 + d] - SymExpr(low[d]));
  }
  x = b.pad(x, before, after);
  if (!x)
    return {};
  SmallVector<int64_t> none(rank(), 0);
  return b.create<ConvOp>(VjpBuilder::elementOf(x.get()), x.get(), w.get(), Value(), attr(strides), attr(none),
                          attr(none), attr(dilations), static_cast<uint64_t>(group), Layout::nchw);
}

TensorExpr Windows::weights(TensorExpr x, TensorExpr y, ArrayRef<SymExpr> dims) {
  if (!x || !y)
    return {};
  // w[o, c, k] = sum over n, p of x[n, c, p * stride - low + k * dilation] * y[n, o, p].
  Type element = VjpBuilder::elementOf(x.get());
  SmallVector<int64_t> kernel;
  for (const SymExpr &size : dims.drop_front(2))
    if (size.isConst() && size.getConst() > 0)
      kernel.push_back(size.getConst());
  if (kernel.size() == rank() && rank() <= 2) {
    // Halves are summed in f32, whose outer products have a kernel.
    Type wide = element.getIntOrFloatBitWidth() < 32 ? Type(Float32Type::get(b.context())) : element;
    TensorExpr sums = b.create<ConvFilterVjpOp>(wide, b.cast(x, wide).get(), b.cast(y, wide).get(), kernel, strides,
                                                low, dilations, static_cast<uint64_t>(group), Layout::nchw);
    return b.cast(sums, element);
  }
  // A convolution of x, batch and channels exchanged, with y as filters, strides and dilations exchanged. Each group
  // has a part of the channels.
  SymDims xDims = b.dims(x.get()), yDims = b.dims(y.get());
  SymExpr groups(group), batch = xDims[0], perGroup = dims[1];
  SymDims parts = {batch, groups, perGroup}, merged = {perGroup, groups * batch};
  SmallVector<int64_t> perm = {2, 1, 0};
  for (unsigned d = 0; d < rank(); ++d) {
    parts.push_back(xDims[2 + d]);
    merged.push_back(xDims[2 + d]);
    perm.push_back(3 + d);
  }
  TensorExpr data = b.reshape(b.transpose(b.reshape(x, parts), perm), merged);
  SmallVector<int64_t> swap(2 + rank());
  std::iota(swap.begin(), swap.end(), 0);
  std::swap(swap[0], swap[1]);
  TensorExpr filters = b.transpose(y, swap);
  // [C/group, O, k...], of which windows beyond the last tap are not wanted: nothing is padded for them.
  SymDims result = {perGroup, dims[0]};
  result.append(dims.begin() + 2, dims.end());
  Windows inner{b, dilations, low, strides, group};
  return b.transpose(inner.forward(data, filters, result), swap);
}

static TensorExpr biasCotangent(VjpBuilder &b, Value cotangent) {
  SmallVector<int64_t> axes = {0};
  for (int64_t d = 2; d < int64_t(b.dims(cotangent).size()); ++d)
    axes.push_back(d);
  return b.sum(b(cotangent), axes, /*keepDims=*/false);
}

LogicalResult ConvOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (getLayout() != Layout::nchw)
    return failure();
  Windows windows{b, getStrides(), getPadsLow(), getDilations(), int64_t(getGroup())};
  TensorExpr g = b(cotangents[0]);
  if (b.needs(0))
    operands[0] = windows.transposed(g, b(getW()), b.dims(getX())).get();
  if (b.needs(1))
    operands[1] = windows.weights(b(getX()), g, b.dims(getW())).get();
  if (getBias() && b.needs(2))
    operands[2] = biasCotangent(b, cotangents[0]).get();
  return failure(b.hasFailed());
}

LogicalResult ConvTransposeOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (getLayout() != Layout::nchw)
    return failure();
  // The convolution whose adjoint it is goes from the result to x.
  Windows windows{b, getStrides(), getPadsLow(), getDilations(), int64_t(getGroup())};
  TensorExpr g = b(cotangents[0]);
  if (b.needs(0))
    operands[0] = windows.forward(g, b(getW()), b.dims(getX())).get();
  if (b.needs(1))
    operands[1] = windows.weights(g, b(getX()), b.dims(getW())).get();
  if (getBias() && b.needs(2))
    operands[2] = biasCotangent(b, cotangents[0]).get();
  return failure(b.hasFailed());
}

LogicalResult ConvFilterVjpOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (getLayout() != Layout::nchw)
    return failure();
  // Linear in each operand: the convolution with the cotangent as filter, and its adjoint.
  Windows windows{b, getStrides(), getPadsLow(), getDilations(), int64_t(getGroup())};
  TensorExpr filter = b(cotangents[0]);
  if (b.needs(0))
    operands[0] = windows.transposed(b(getY()), filter, b.dims(getX())).get();
  if (b.needs(1))
    operands[1] = windows.forward(b(getX()), filter, b.dims(getY())).get();
  return failure(b.hasFailed());
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

/// The places (flat indices of x) of the maxima of a pool with the windows of `op`; null after a failure.
template <typename PoolOp> static Value placesOfMaxima(VjpBuilder &b, PoolOp op) {
  SmallVector<NamedAttribute> attributes;
  for (NamedAttribute attribute : op->getAttrs())
    if (attribute.getName() != "column_major")
      attributes.push_back(attribute);
  Type index = IntegerType::get(b.context(), 64);
  auto pool = b.createMany<MaxPoolOp>({VjpBuilder::elementOf(op.getX()), index}, op.getX(), attributes);
  return pool ? pool.getIndices() : Value();
}

LogicalResult MaxPoolOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (getLayout() != Layout::nchw)
    return failure();
  if (!cotangents[0])
    return success();
  Type element = VjpBuilder::elementOf(getX()), index = IntegerType::get(b.context(), 64);
  if (getStrides().size() <= 2 && (element.isF32() || element.isF64())) {
    operands[0] = b.create<MaxPoolVjpOp>(element, getX(), cotangents[0], getKernel(), getStrides(), getPadsLow(),
                                         getPadsHigh(), getDilations(), getCeilMode(), Layout::nchw)
                      .get();
    return failure(b.hasFailed());
  }
  Value places = placesOfMaxima(b, *this);
  if (!places)
    return failure();
  SymDims x = b.dims(getX());
  SymExpr count = product(x), made = product(b.dims(cotangents[0]));
  TensorExpr at = b.create<ReshapeOp>(index, places, Value(), b.shape(made), false);
  TensorExpr g = b.reshape(b(cotangents[0]), made);
  if (!at || !g)
    return failure();
  TensorExpr flat = b.create<ScatterElementsOp>(element, b.fill(element, count, 0).get(), at.get(), g.get(), 0,
                                                ScatterReduction::add);
  operands[0] = b.reshape(flat, x).get();
  return failure(b.hasFailed());
}

LogicalResult MaxPoolVjpOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (getLayout() != Layout::nchw)
    return failure();
  if (!cotangents[0] || !b.needs(1))
    return success();
  // Linear in y: each window's cotangent is that of its maximum. The places do not change with x, almost everywhere.
  Value places = placesOfMaxima(b, *this);
  if (!places)
    return failure();
  Type element = VjpBuilder::elementOf(getX()), index = IntegerType::get(b.context(), 64);
  SymExpr count = product(b.dims(getX())), made = product(b.dims(getY()));
  TensorExpr at = b.create<ReshapeOp>(index, places, Value(), b.shape(made), false);
  TensorExpr h = b.reshape(b(cotangents[0]), {count});
  if (!at || !h)
    return failure();
  operands[1] = b.reshape(b.create<GatherElementsOp>(element, h.get(), at.get(), 0), b.dims(getY())).get();
  return failure(b.hasFailed());
}

LogicalResult AvgPoolOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (getLayout() != Layout::nchw)
    return failure();
  // Each element of a window gets a share: the mean of a window of ones, by the number of ones in it.
  Type element = VjpBuilder::elementOf(getX());
  SymDims x = b.dims(getX()), result = b.dims(cotangents[0]);
  SymDims one = {SymExpr(1), SymExpr(1)}, windows = one, kernel = one;
  one.append(x.begin() + 2, x.end());
  windows.append(result.begin() + 2, result.end());
  for (int64_t size : getKernel())
    kernel.push_back(SymExpr(size));
  TensorExpr ones = b.fill(element, one, 1), taps = b.fill(element, kernel, 1);
  if (!ones || !taps)
    return failure();
  auto mean = b.createMany<AvgPoolOp>({element}, ones.get(), (*this)->getAttrs());
  if (!mean)
    return failure();
  Windows single{b, getStrides(), getPadsLow(), getDilations(), 1};
  TensorExpr inside = single.forward(ones, taps, windows);
  TensorExpr share = b(cotangents[0]) * (b(mean.getResult()) / inside);
  // Every channel by itself: channels are a batch.
  SymDims flat = {x[0] * x[1], SymExpr(1)}, all = flat;
  flat.append(result.begin() + 2, result.end());
  all.append(x.begin() + 2, x.end());
  operands[0] = b.reshape(single.transposed(b.reshape(share, flat), taps, all), x).get();
  return failure(b.hasFailed());
}

} // namespace ds
