//===- Scan.cpp - Kernels whose root is a running sum or product ----------===//
// Assumes: the root stands alone.
// Guarantees: one pass along the axis. Vectors across it where it is not innermost, each lane in order; along it
//   otherwise: a vector's own running sums by log2(lanes) shifted additions, then what came before it is added.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/LaneMath.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

namespace {

class ScanEmitter {
public:
  ScanEmitter(CpuKernelEmitter &e, Operation *root)
      : e(e), b(e.builder()), root(root), x(root->getOperand(0)), dims(e.dimsOf(x)),
        m(e, getElementTypeOrSelf(x.getType())), lanes(e.getWidth()),
        axis(root->getAttrOfType<IntegerAttr>("axis").getInt()), exclusive(root->hasAttr("exclusive")),
        reverse(root->hasAttr("reverse")), isProduct(isa<CumProdOp>(root)) {}

  LogicalResult emit();

private:
  Value neutral() { return isProduct ? m.one() : m.zero(); }
  Value combine(Value p, Value q) { return isProduct ? m.mul(p, q) : m.add(p, q); }
  void store(ArrayRef<LaneIndex> position, Value value) { e.storeAt(e.result(0), e.linearize(position, dims), value); }
  /// `vector` moved by `count` lanes away from where the scan starts; the neutral element comes in.
  Value shifted(Value vector, int64_t count);
  /// Lanes in order, `position` along the axis left open.
  LogicalResult across(SmallVector<LaneIndex> position);
  LogicalResult along(SmallVector<LaneIndex> position);
  /// One vector from `at` on, of which `live` lanes count (null: all); returns what to carry on.
  FailureOr<Value> step(SmallVector<LaneIndex> position, Value at, Value live, Value carry);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Operation *root;
  Value x;
  SymDims dims;
  LaneMath m;
  int64_t lanes;
  unsigned axis;
  bool exclusive, reverse, isProduct;
};

} // namespace

Value ScanEmitter::shifted(Value vector, int64_t count) {
  SmallVector<int64_t> from;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    int64_t source = reverse ? lane + count : lane - count;
    from.push_back(source < 0 || source >= lanes ? lanes : source);
  }
  return vector::ShuffleOp::create(b, e.getLoc(), vector, e.broadcast(neutral()), from);
}

LogicalResult ScanEmitter::across(SmallVector<LaneIndex> position) {
  Value count = e.size(dims[axis]), top = e.subI(count, e.i64(1)), init = e.broadcast(neutral());
  auto sums = e.forLoop(e.i64(0), count, 1, init, [&](Value j, ValueRange state) -> FailureOr<SmallVector<Value>> {
    position[axis] = LaneIndex::uniform(reverse ? e.subI(top, j) : j);
    auto value = e.element(x, position);
    if (failed(value))
      return failure();
    Value sum = combine(state[0], *value);
    store(position, exclusive ? Value(state[0]) : sum);
    return SmallVector<Value>{sum};
  });
  return success(succeeded(sums));
}

FailureOr<Value> ScanEmitter::step(SmallVector<LaneIndex> position, Value at, Value live, Value carry) {
  e.setMask(live);
  position[axis] = LaneIndex::consecutive(at);
  auto value = e.element(x, position);
  if (failed(value))
    return failure();
  Value own = e.broadcast(*value);
  if (live)
    own = e.select(live, own, e.broadcast(neutral()));
  for (int64_t count = 1; count < lanes; count *= 2)
    own = combine(own, shifted(own, count));
  store(position, combine(exclusive ? shifted(own, 1) : own, carry));
  Value total = vector::ExtractOp::create(b, e.getLoc(), own, ArrayRef<int64_t>{reverse ? 0 : lanes - 1});
  return combine(carry, total);
}

LogicalResult ScanEmitter::along(SmallVector<LaneIndex> position) {
  Value count = e.size(dims[axis]), whole = e.roundDown(count, lanes);
  auto vectors = [&](Value carry) -> FailureOr<Value> {
    auto sums =
        e.forLoop(e.i64(0), whole, lanes, carry, [&](Value i, ValueRange state) -> FailureOr<SmallVector<Value>> {
          Value at = reverse ? e.subI(e.subI(whole, e.i64(lanes)), i) : i;
          auto next = step(position, at, Value(), state[0]);
          if (failed(next))
            return failure();
          return SmallVector<Value>{*next};
        });
    if (failed(sums))
      return failure();
    return (*sums)[0];
  };
  // At most one step: what the last vector lacks of being whole.
  auto tail = [&](Value carry) -> FailureOr<Value> {
    auto sums = e.forLoop(whole, count, lanes, carry, [&](Value i, ValueRange state) -> FailureOr<SmallVector<Value>> {
      auto next = step(position, i, e.lanesBelow(i, count), state[0]);
      if (failed(next))
        return failure();
      return SmallVector<Value>{*next};
    });
    if (failed(sums))
      return failure();
    return (*sums)[0];
  };
  FailureOr<Value> first = reverse ? tail(neutral()) : vectors(neutral());
  if (failed(first))
    return failure();
  return success(succeeded(reverse ? vectors(*first) : tail(*first)));
}

LogicalResult ScanEmitter::emit() {
  inlineOthers(e, root);
  unsigned last = dims.size() - 1;
  SmallVector<SymExpr> loops;
  SmallVector<unsigned> loopDims;
  for (unsigned d = 0; d < dims.size(); ++d)
    if (d != axis && !dims[d].isConst(1)) {
      loopDims.push_back(d);
      loops.push_back(d == last ? SymExpr::ceilDiv(dims[d], lanes) : dims[d]);
    }
  bool isAcross = !loopDims.empty() && loopDims.back() == last;
  e.setRange(product(loops), SymExpr::ceilDiv(1 << 13, SymExpr::max(dims[axis], 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) -> LogicalResult {
    SmallVector<LaneIndex> position(dims.size(), e.constantIndex(0));
    for (auto [d, index] : llvm::zip(loopDims, e.delinearize(LaneIndex::uniform(item), loops)))
      position[d] = index;
    if (!isAcross)
      return along(position);
    Value column = e.mulI(position[last].getValue(), e.i64(lanes)), limit = e.size(dims[last]);
    position[last] = LaneIndex::consecutive(column);
    if (!dims[last].isDivisibleBy(lanes))
      e.setMask(e.lanesBelow(column, limit));
    return across(position);
  });
}

LogicalResult emitScan(CpuKernelEmitter &e, Operation *root) { return ScanEmitter(e, root).emit(); }

} // namespace ds
