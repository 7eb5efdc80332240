//===- GradQuantization.cpp - Derivatives of dequantization ---------------===//
// Guarantees: the rule of ds.dequantize_linear by its scale. Integers have no derivative; ds.quantize_linear has none.
// Declines: small floats that depend on what is differentiated.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"

using namespace mlir;

namespace ds {

LogicalResult DequantizeLinearOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (b.needs(0) || !b.needs(1))
    return failure();
  // (x - zero_point) is what a scale of 1 gives.
  Type element = VjpBuilder::elementOf(getResult());
  SymDims dims = b.dims(getX()), scale = b.dims(getScale());
  SmallVector<Value> inputs(getOperands());
  inputs[1] = b.fill(VjpBuilder::elementOf(getScale()), scale, 1).get();
  if (!inputs[1])
    return failure();
  auto ofOne = b.createMany<DequantizeLinearOp>({element}, inputs, (*this)->getAttrs());
  if (!ofOne)
    return failure();
  TensorExpr share = b(cotangents[0]) * b(ofOne.getResult());
  int64_t axis = getAxis(), block = getBlockSize(), rank = dims.size();
  SmallVector<int64_t> summed;
  if (block > 0) {
    // Whole blocks, in a dim of their own.
    SymDims none(rank, SymExpr(0)), more = none, parts = dims;
    more[axis] = scale[axis] * SymExpr(block) - dims[axis];
    parts[axis] = scale[axis];
    parts.insert(parts.begin() + axis + 1, SymExpr(block));
    share = b.reshape(b.pad(share, none, more), parts);
    summed.push_back(axis + 1);
  } else {
    bool isOne = product(scale).isConst(1);
    for (int64_t d = 0; d < rank; ++d)
      if (isOne || d != axis)
        summed.push_back(d);
  }
  operands[1] =
      b.cast(b.reshape(b.sum(share, summed, /*keepDims=*/false), scale), VjpBuilder::elementOf(getScale())).get();
  return failure(b.hasFailed());
}

} // namespace ds
