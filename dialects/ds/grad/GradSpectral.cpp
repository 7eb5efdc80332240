//===- GradSpectral.cpp - Derivatives of Fourier transforms ---------------===//
// Guarantees: a transform's cotangent is the transform the other way, scaled; real and one-sided ones take the real
// part,
//   and count the points that stand for two twice.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"

using namespace mlir;

namespace ds {

/// Along `axis`, 1 for the points of half a spectrum of `n` that are their own mirror images, and `others` for those
/// that stand for two.
static TensorExpr mirrored(VjpBuilder &b, Type element, const SymExpr &n, double others, int64_t axis, int64_t rank) {
  SymExpr points = SymExpr::floorDiv(n, 2) + SymExpr(1);
  Type index = IntegerType::get(b.context(), 64);
  TensorExpr twice = b.iota(points) * b.size(index, SymExpr(2));
  TensorExpr first = b.compare(ComparePredicate::eq, twice, b.size(index, SymExpr(0)));
  TensorExpr middle = b.compare(ComparePredicate::eq, twice, b.size(index, n));
  TensorExpr one = b.scalar(element, 1), two = b.scalar(element, others);
  SymDims line(rank, SymExpr(1));
  line[axis] = points;
  return b.reshape(b.select(first, one, b.select(middle, one, two)), line);
}

LogicalResult DftOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (!b.needs(0))
    return success();
  TensorExpr g = b(cotangents[0]);
  SymDims x = b.dims(getX()), result = b.dims(g.get());
  int64_t axis = getAxis(), rank = x.size();
  Type element = VjpBuilder::elementOf(getX());
  SymExpr n = isRealResult() ? result[axis] : x[axis];
  auto transform = [&](TensorExpr value, bool inverse, bool onesided) -> TensorExpr {
    if (!value)
      return value;
    ShapeAttr length = inverse && onesided ? b.shape(n) : ShapeAttr();
    return b.create<DftOp>(element, value.get(), Value(), axis, inverse, onesided, length);
  };
  // The inverse has a factor of 1 / n, which the adjoint of the forward transform has not.
  TensorExpr count = b.size(element, n);
  if (getOnesided() && !getInverse()) {
    // Each point once: the inverse counts most of them twice.
    g = transform(g * mirrored(b, element, n, 0.5, axis, rank), true, true) * count;
  } else if (getOnesided()) {
    g = transform(g, false, true) * (mirrored(b, element, n, 2, axis, rank) / count);
  } else {
    g = getInverse() ? transform(g, false, false) / count : transform(g, true, false) * count;
    if (g && x.back().isConst(1))
      g = b.slice(g, SymDims(rank, SymExpr(0)), x);
  }
  operands[0] = g.get();
  return failure(b.hasFailed());
}

} // namespace ds
