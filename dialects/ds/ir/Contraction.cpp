//===- Contraction.cpp - Matrix products -------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsContraction.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsContraction.cpp.inc"

namespace ds {

LogicalResult MatmulOp::inferShapes(ShapeState &state) {
  SymDims a = dimsOf(getA(), state), b = dimsOf(getB(), state);
  if (a.empty() || b.empty())
    return emitNodeError(*this) << "expected operands of rank 1 or more, got ranks " << a.size() << " and " << b.size();
  const SymExpr &inner = b.size() == 1 ? b[0] : b[b.size() - 2];
  if (failed(state.requireEqual(a.back(), inner, *this, "inner dimensions of 'a' and 'b' to agree")))
    return failure();
  auto batch = [](const SymDims &dims) { return ArrayRef<SymExpr>(dims).drop_back(std::min<size_t>(dims.size(), 2)); };
  FailureOr<SymDims> dims = state.broadcast(batch(a), batch(b), *this);
  if (failed(dims))
    return failure();
  if (a.size() > 1)
    dims->push_back(a[a.size() - 2]);
  if (b.size() > 1)
    dims->push_back(b.back());
  state.setDims(getResult(), *dims);
  return success();
}

} // namespace ds
