//===- GradReduction.cpp - Derivatives of reductions and scans ------------===//
// Guarantees: the rules of the ops in DsReduction.td. Of equal extrema each gets its share.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"

using namespace mlir;

namespace ds {

/// `reduced`, the result (or its cotangent) of a reduction of `x`, with the dims that vanished as 1.
static TensorExpr withAxes(VjpBuilder &b, Value reduced, Value x, ArrayRef<int64_t> axes) {
  SymDims dims = b.dims(x);
  for (int64_t axis : axes)
    dims[axis] = SymExpr(1);
  return b.reshape(b(reduced), dims);
}

static SymExpr countOf(VjpBuilder &b, Value x, ArrayRef<int64_t> axes) {
  SymDims dims = b.dims(x);
  SymExpr count(1);
  for (int64_t axis : axes)
    count = count * dims[axis];
  return count;
}

LogicalResult ReduceSumOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] = b.expand(withAxes(b, cotangents[0], getX(), getAxes()), b.dims(getX())).get();
  return failure(b.hasFailed());
}

LogicalResult ReduceMeanOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  TensorExpr share = withAxes(b, cotangents[0], getX(), getAxes()) /
                     b.size(VjpBuilder::elementOf(getX()), countOf(b, getX(), getAxes()));
  operands[0] = b.expand(share, b.dims(getX())).get();
  return failure(b.hasFailed());
}

template <typename Op>
static LogicalResult extremum(Op op, VjpBuilder &b, Value cotangent, MutableArrayRef<Value> operands) {
  Value x = op.getX();
  TensorExpr g = withAxes(b, cotangent, x, op.getAxes()), best = withAxes(b, op.getResult(), x, op.getAxes());
  TensorExpr chosen = b.cast(b.compare(ComparePredicate::eq, b(x), best), VjpBuilder::elementOf(x));
  operands[0] = (chosen * (g / b.sum(chosen, op.getAxes(), /*keepDims=*/true))).get();
  return failure(b.hasFailed());
}
LogicalResult ReduceMaxOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  return extremum(*this, b, cotangents[0], operands);
}
LogicalResult ReduceMinOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  return extremum(*this, b, cotangents[0], operands);
}

/// The product of all others along the last dim, also where some are 0.
static TensorExpr productOfOthers(VjpBuilder &b, TensorExpr x, int64_t axis) {
  Type element = VjpBuilder::elementOf(x.get());
  TensorExpr before = b.create<CumProdOp>(element, x.get(), axis, /*exclusive=*/true, /*reverse=*/false);
  TensorExpr after = b.create<CumProdOp>(element, x.get(), axis, /*exclusive=*/true, /*reverse=*/true);
  return before * after;
}

LogicalResult ReduceProdOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // Reduced dims last, as one.
  SymDims dims = b.dims(getX());
  SmallVector<int64_t> perm, inverse(dims.size());
  for (int64_t d = 0; d < int64_t(dims.size()); ++d)
    if (!llvm::is_contained(getAxes(), d))
      perm.push_back(d);
  SymDims flat;
  for (int64_t d : perm)
    flat.push_back(dims[d]);
  int64_t axis = flat.size();
  perm.append(getAxes().begin(), getAxes().end());
  flat.push_back(countOf(b, getX(), getAxes()));
  SymDims moved;
  for (auto [to, from] : llvm::enumerate(perm)) {
    inverse[from] = to;
    moved.push_back(dims[from]);
  }
  TensorExpr others = productOfOthers(b, b.reshape(b.transpose(b(getX()), perm), flat), axis);
  if (!others)
    return failure();
  others = b.transpose(b.reshape(others, moved), inverse);
  operands[0] = (others * withAxes(b, cotangents[0], getX(), getAxes())).get();
  return failure(b.hasFailed());
}

LogicalResult CumSumOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] =
      b.create<CumSumOp>(VjpBuilder::elementOf(getX()), cotangents[0], getAxis(), getExclusive(), !getReverse()).get();
  return failure(b.hasFailed());
}

LogicalResult CumProdOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  // y_j = product of x_i for i <= j, so that dL/dx_i = sum over j >= i of g_j * (product of x_k for k <= j, k != i).
  // With rows that hold 1 in the place of x_i: an n x n table, which needs no division.
  SymDims dims = b.dims(getX()), table = dims;
  int64_t axis = getAxis(), n = dims.size();
  SymExpr size = dims[axis];
  table.insert(table.begin() + axis, size);
  SymDims row = dims, eye(n + 1, SymExpr(1));
  row.insert(row.begin() + axis, SymExpr(1));
  eye[axis] = eye[axis + 1] = size;
  Type element = VjpBuilder::elementOf(getX());
  TensorExpr square = b.fill(element, {size, size}, 0);
  if (!square)
    return failure();
  TensorExpr diagonal = b.reshape(b.create<EyeLikeOp>(element, square.get(), /*k=*/0), eye);
  TensorExpr x = b.reshape(b(getX()), row);
  TensorExpr without = b.expand(where(ComparePredicate::gt, diagonal, 0, b.fill(element, row, 1), x), table);
  if (!without)
    return failure();
  TensorExpr products = b.create<CumProdOp>(element, without.get(), axis + 1, getExclusive(), getReverse());
  // Which j the element i takes part in.
  TensorExpr parts = b.create<TriluOp>(element, b.fill(element, {size, size}, 1).get(), /*upper=*/!getReverse(),
                                       getExclusive() ? (getReverse() ? -1 : 1) : 0);
  TensorExpr g = b.reshape(b(cotangents[0]), row);
  operands[0] = b.sum(products * b.reshape(parts, eye) * g, {axis + 1}, /*keepDims=*/false).get();
  return failure(b.hasFailed());
}

LogicalResult TopKOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  if (!cotangents[0])
    return success();
  operands[0] = b.create<ScatterElementsOp>(VjpBuilder::elementOf(getX()), b.zerosLike(getX()).get(), getIndices(),
                                            cotangents[0], getAxis(), ScatterReduction::none)
                    .get();
  return failure(b.hasFailed());
}

LogicalResult ReduceToOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  operands[0] = b.expand(b(cotangents[0]), b.dims(getX())).get();
  return failure(b.hasFailed());
}

} // namespace ds
