//===- ArgExtremum.cpp - Kernels whose root is arg_max or arg_min ---------===//
// Assumes: the axis is the innermost dimension (others need no kernel of their own: lanes go across them).
// Guarantees: a row is read once, vectors of it into several pairs of best value and position; pairs are merged in the
//   end. A NaN counts as the extremum; of equals the first, or the last if asked for.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/LaneMath.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

namespace {

/// Values and where they are, lane by lane.
struct Best {
  Value value, index;
};

class ArgExtremumEmitter {
public:
  ArgExtremumEmitter(CpuKernelEmitter &e, Operation *root)
      : e(e), b(e.builder()), loc(e.getLoc()), root(root), x(root->getOperand(0)), dims(e.dimsOf(x)),
        m(e, getElementTypeOrSelf(x.getType())), isMax(isa<ArgMaxOp>(root)), last(root->hasAttr("select_last")),
        keepdims(root->hasAttr("keepdims")) {}

  LogicalResult emit();

private:
  Value both(Value p, Value q) { return arith::AndIOp::create(b, loc, p, q); }
  Value either(Value p, Value q) { return arith::OrIOp::create(b, loc, p, q); }
  Value isNan(Value v) { return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, v, v); }
  /// Whether p is beyond q; a NaN is beyond every number.
  Value isBeyond(Value p, Value q);
  Value isSame(Value p, Value q);
  /// The better of two pairs anywhere in the row.
  Best merge(Best p, Best q);
  /// Body of the loop: `seen`, then the vector at `at`, all of whose positions come later.
  FailureOr<Best> step(SmallVector<LaneIndex> &position, Value at, Best seen);
  FailureOr<Value> row(SmallVector<LaneIndex> position);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  Operation *root;
  Value x;
  SymDims dims;
  LaneMath m;
  bool isMax, last, keepdims;
};

} // namespace

Value ArgExtremumEmitter::isBeyond(Value p, Value q) {
  if (!m.isFloat()) {
    using P = arith::CmpIPredicate;
    P predicate = m.isUnsigned() ? (isMax ? P::ugt : P::ult) : (isMax ? P::sgt : P::slt);
    return arith::CmpIOp::create(b, loc, predicate, p, q);
  }
  using P = arith::CmpFPredicate;
  // True for NaN on either side; q must be none.
  Value beyond = arith::CmpFOp::create(b, loc, isMax ? P::UGT : P::ULT, p, q);
  return both(beyond, arith::CmpFOp::create(b, loc, P::ORD, q, q));
}

Value ArgExtremumEmitter::isSame(Value p, Value q) {
  if (!m.isFloat())
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, p, q);
  return either(arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, p, q), both(isNan(p), isNan(q)));
}

Best ArgExtremumEmitter::merge(Best p, Best q) {
  auto order = last ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::slt;
  Value preferred = arith::CmpIOp::create(b, loc, order, q.index, p.index);
  Value takes = either(isBeyond(q.value, p.value), both(isSame(q.value, p.value), preferred));
  return {arith::SelectOp::create(b, loc, takes, q.value, p.value),
          arith::SelectOp::create(b, loc, takes, q.index, p.index)};
}

FailureOr<Best> ArgExtremumEmitter::step(SmallVector<LaneIndex> &position, Value at, Best seen) {
  position.back() = LaneIndex::consecutive(at);
  auto element = e.element(x, position);
  if (failed(element))
    return failure();
  Value value = e.broadcast(*element), index = e.valueFromIndex(position.back(), b.getI64Type());
  Value takes = isBeyond(value, seen.value);
  if (last)
    takes = either(takes, isSame(value, seen.value));
  if (Value live = e.getMask())
    takes = both(takes, live);
  return Best{arith::SelectOp::create(b, loc, takes, value, seen.value),
              arith::SelectOp::create(b, loc, takes, e.broadcast(index), seen.index)};
}

FailureOr<Value> ArgExtremumEmitter::row(SmallVector<LaneIndex> position) {
  // Where nothing is beyond the least value, its position is 0.
  constexpr int64_t kPairs = 4;
  int64_t width = e.getWidth();
  SmallVector<Value> init;
  for (int64_t pair = 0; pair < kPairs; ++pair)
    init.append({e.broadcast(isMax ? m.least() : m.greatest()), e.broadcast(e.i64(0))});
  Value size = e.size(dims.back()), blocks = e.roundDown(size, kPairs * width);
  auto state = e.forLoop(e.i64(0), blocks, kPairs * width, init,
                         [&](Value i, ValueRange carried) -> FailureOr<SmallVector<Value>> {
                           SmallVector<Value> next;
                           for (int64_t pair = 0; pair < kPairs; ++pair) {
                             Value at = e.addI(i, e.i64(pair * width));
                             auto best = step(position, at, {carried[2 * pair], carried[2 * pair + 1]});
                             if (failed(best))
                               return failure();
                             next.append({best->value, best->index});
                           }
                           return next;
                         });
  if (failed(state))
    return failure();
  Best best{(*state)[0], (*state)[1]};
  for (int64_t pair = 1; pair < kPairs; ++pair)
    best = merge(best, {(*state)[2 * pair], (*state)[2 * pair + 1]});
  // The rest, the last vector of it under a mask.
  auto rest = e.forLoop(blocks, size, width, {best.value, best.index},
                        [&](Value i, ValueRange carried) -> FailureOr<SmallVector<Value>> {
                          e.setMask(e.lanesBelow(i, size));
                          auto next = step(position, i, {carried[0], carried[1]});
                          if (failed(next))
                            return failure();
                          return SmallVector<Value>{next->value, next->index};
                        });
  if (failed(rest))
    return failure();
  best = {(*rest)[0], (*rest)[1]};
  for (int64_t lanes = width; lanes > 1; lanes /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < lanes / 2; ++i) {
      low.push_back(i);
      high.push_back(i + lanes / 2);
    }
    auto half = [&](ArrayRef<int64_t> part) {
      return Best{vector::ShuffleOp::create(b, loc, best.value, best.value, part),
                  vector::ShuffleOp::create(b, loc, best.index, best.index, part)};
    };
    best = merge(half(low), half(high));
  }
  return Value(vector::ExtractOp::create(b, loc, best.index, ArrayRef<int64_t>{0}));
}

LogicalResult ArgExtremumEmitter::emit() {
  inlineOthers(e, root);
  SmallVector<SymExpr> outer(dims.begin(), dims.end() - 1);
  e.setRange(product(outer), SymExpr::ceilDiv(1 << 14, SymExpr::max(dims.back(), 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) -> LogicalResult {
    SmallVector<LaneIndex> position = e.delinearize(LaneIndex::uniform(item), outer);
    SmallVector<LaneIndex> target(position);
    if (keepdims)
      target.push_back(e.constantIndex(0));
    position.push_back(e.constantIndex(0));
    auto index = row(position);
    if (failed(index))
      return failure();
    e.bind(root->getResult(0), *index);
    return storeResults(e, target);
  });
}

LogicalResult emitArgExtremum(CpuKernelEmitter &e, Operation *root) { return ArgExtremumEmitter(e, root).emit(); }

} // namespace ds
