//===- Scan.cpp - Kernels whose root is a running sum ---------------------===//
// Assumes: the root stands alone.
// Guarantees: one pass along the axis, in order; vectors across it where it is not innermost.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

LogicalResult emitScan(KernelEmitter &e, Operation *root) {
  auto op = cast<CumSumOp>(root);
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  inlineOthers(e, op);
  Value x = op.getX();
  SymDims dims = e.dimsOf(x);
  Type type = ElementBuilder::computeType(getElementTypeOrSelf(x.getType()));
  unsigned axis = op.getAxis(), last = dims.size() - 1;
  int64_t width = e.getWidth();
  SmallVector<SymExpr> loops;
  SmallVector<unsigned> loopDims;
  for (unsigned d = 0; d < dims.size(); ++d)
    if (d != axis && !dims[d].isConst(1)) {
      loopDims.push_back(d);
      loops.push_back(d == last ? SymExpr::ceilDiv(dims[d], width) : dims[d]);
    }
  bool across = !loopDims.empty() && loopDims.back() == last;
  e.setFlops(product(dims));
  e.setRange(product(loops), SymExpr::ceilDiv(1 << 13, SymExpr::max(dims[axis], 1)));

  auto add = [&](Value p, Value q) -> Value {
    e.unify(p, q);
    return isa<FloatType>(type) ? Value(arith::AddFOp::create(b, loc, p, q))
                                : Value(arith::AddIOp::create(b, loc, p, q));
  };
  auto scan = [&](SmallVector<LaneIndex> position) -> LogicalResult {
    Value zero = isa<FloatType>(type) ? e.constantFloat(type, 0) : e.constantInt(type, 0);
    if (across)
      zero = e.broadcast(zero);
    Value count = e.size(dims[axis]), top = e.subI(count, e.i64(1));
    auto sums = e.forLoop(e.i64(0), count, 1, zero, [&](Value j, ValueRange state) -> FailureOr<SmallVector<Value>> {
      position[axis] = LaneIndex::uniform(op.getReverse() ? e.subI(top, j) : j);
      auto value = e.element(x, position);
      if (failed(value))
        return failure();
      Value sum = add(state[0], *value);
      e.storeAt(e.result(0), e.linearize(position, dims), op.getExclusive() ? Value(state[0]) : sum);
      return SmallVector<Value>{sum};
    });
    return success(succeeded(sums));
  };
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) -> LogicalResult {
    SmallVector<LaneIndex> position(dims.size(), e.constantIndex(0));
    for (auto [d, index] : llvm::zip(loopDims, e.delinearize(LaneIndex::uniform(item), loops)))
      position[d] = index;
    if (!across)
      return scan(position);
    Value column = e.mulI(position[last].getValue(), e.i64(width)), limit = e.size(dims[last]);
    position[last] = LaneIndex::consecutive(column);
    if (!dims[last].isDivisibleBy(width))
      e.setMask(e.lanesBelow(column, limit));
    return scan(position);
  });
}

} // namespace ds
