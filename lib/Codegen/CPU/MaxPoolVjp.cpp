//===- MaxPoolVjp.cpp - Derivatives of maximum pools ----------------------===//
// Assumes: layout nhwc, two spatial dims; f32 or f64; operands in memory.
// Guarantees: an item is a vector of channels of an image: it finds each window's maximum again, and adds the window's
//   cotangent there. Windows add in their order, so that results do not depend on threads.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsAdjoint.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

namespace {

class MaxPoolVjpEmitter {
public:
  MaxPoolVjpEmitter(CpuKernelEmitter &e, MaxPoolVjpOp op)
      : e(e), b(e.builder()), loc(e.getLoc()), op(op), x(e.dimsOf(op.getX())), y(e.dimsOf(op.getY())),
        type(getElementTypeOrSelf(op.getResult().getType())) {}
  LogicalResult emit();

private:
  LogicalResult emitWindow(Value oh, Value ow);
  /// Loops over the taps that lie within the input: body(row, column, number of the tap, state).
  using TapFn = function_ref<SmallVector<Value>(Value, Value, Value, ValueRange)>;
  SmallVector<Value> overTaps(Value oh, Value ow, ValueRange init, TapFn body);
  LaneIndex at(const SymDims &dims, Value row, Value column) {
    return e.linearize({LaneIndex::uniform(image), LaneIndex::uniform(row), LaneIndex::uniform(column), channel}, dims);
  }

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  MaxPoolVjpOp op;
  SymDims x, y;
  Type type;
  Value image;
  LaneIndex channel = LaneIndex::uniform(Value());
};

} // namespace

SmallVector<Value> MaxPoolVjpEmitter::overTaps(Value oh, Value ow, ValueRange init, TapFn body) {
  Value start[2], first[2], past[2], place[2] = {oh, ow};
  for (unsigned d = 0; d < 2; ++d) {
    int64_t dilation = op.getDilations()[d];
    auto steps = [&](Value distance) {
      return e.divI(e.addI(e.maxI(distance, e.i64(0)), e.i64(dilation - 1)), e.i64(dilation));
    };
    start[d] = e.addI(e.mulI(place[d], e.i64(op.getStrides()[d])), e.i64(-op.getPadsLow()[d]));
    first[d] = steps(e.subI(e.i64(0), start[d]));
    past[d] = e.minI(steps(e.subI(e.size(x[1 + d]), start[d])), e.i64(op.getKernel()[d]));
  }
  auto position = [&](unsigned d, Value tap) { return e.addI(start[d], e.mulI(tap, e.i64(op.getDilations()[d]))); };
  auto done = e.forLoop(first[0], past[0], 1, init, [&](Value kh, ValueRange outer) {
    return e.forLoop(first[1], past[1], 1, outer, [&](Value kw, ValueRange state) -> FailureOr<SmallVector<Value>> {
      Value number = e.addI(e.mulI(kh, e.i64(op.getKernel()[1])), kw);
      return body(position(0, kh), position(1, kw), number, state);
    });
  });
  return *done; // the body cannot fail
}

LogicalResult MaxPoolVjpEmitter::emitWindow(Value oh, Value ow) {
  MemoryRef input = e.argument(op.getX()), result = e.result(0);
  auto number = [&](Value tap) {
    return e.broadcast(arith::TruncIOp::create(b, loc, b.getI32Type(), tap).getResult());
  };
  Value none = e.broadcast(e.constantInt(b.getI32Type(), -1));
  Value least = e.broadcast(e.constantFloat(type, -std::numeric_limits<double>::infinity()));
  SmallVector<Value> best = overTaps(
      oh, ow, ValueRange{least, none}, [&](Value row, Value column, Value tap, ValueRange state) -> SmallVector<Value> {
        Value value = e.loadAt(input, at(x, row, column));
        // As ds.max_pool's indices: the first element counts, and the first NaN.
        auto compare = [&](arith::CmpFPredicate predicate, Value p, Value q) -> Value {
          return arith::CmpFOp::create(b, loc, predicate, p, q);
        };
        Value isNew = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, state[1], none);
        Value nan = e.logicalAnd(compare(arith::CmpFPredicate::UNO, value, value),
                                 compare(arith::CmpFPredicate::ORD, state[0], state[0]));
        Value better = e.logicalOr(e.logicalOr(compare(arith::CmpFPredicate::OGT, value, state[0]), nan), isNew);
        return {e.select(better, value, state[0]), e.select(better, number(tap), state[1])};
      });
  Value cotangent = e.loadAt(e.argument(op.getY()), at(y, oh, ow));
  overTaps(oh, ow, {}, [&](Value row, Value column, Value tap, ValueRange) -> SmallVector<Value> {
    Value own = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, best[1], number(tap));
    Value before = e.loadAt(result, at(x, row, column));
    e.storeAt(result, at(x, row, column), e.select(own, arith::AddFOp::create(b, loc, before, cotangent), before));
    return {};
  });
  return success();
}

LogicalResult MaxPoolVjpEmitter::emit() {
  inlineOthers(e, op);
  SymExpr blocks = SymExpr::ceilDiv(x[3], e.getWidth());
  SymExpr perItem = y[1] * y[2] * SymExpr(op.getKernel()[0] * op.getKernel()[1] * e.getWidth());
  e.setRange(x[0] * blocks, SymExpr::ceilDiv(1 << 14, SymExpr::max(perItem, 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> place = e.delinearize(LaneIndex::uniform(item), {x[0], blocks});
    image = place[0].getValue();
    Value first = e.mulI(place[1].getValue(), e.i64(e.getWidth()));
    channel = LaneIndex::consecutive(first);
    if (!x[3].isDivisibleBy(e.getWidth()))
      e.setMask(e.lanesBelow(first, e.size(x[3])));
    Value zero = e.broadcast(e.constantFloat(type, 0.0));
    auto plane = [&](const SymDims &dims, function_ref<LogicalResult(Value, Value)> body) {
      return e.forLoop(e.i64(0), e.size(dims[1]), 1, [&](Value row) {
        return e.forLoop(e.i64(0), e.size(dims[2]), 1, [&](Value column) { return body(row, column); });
      });
    };
    LogicalResult cleared = plane(x, [&](Value row, Value column) {
      e.storeAt(e.result(0), at(x, row, column), zero);
      return success();
    });
    return success(succeeded(cleared) &&
                   succeeded(plane(y, [&](Value row, Value column) { return emitWindow(row, column); })));
  });
}

LogicalResult emitMaxPoolVjp(CpuKernelEmitter &e, Operation *root) {
  return MaxPoolVjpEmitter(e, cast<MaxPoolVjpOp>(root)).emit();
}

} // namespace ds
