//===- Heap.cpp - A heap in the worker's scratch, as generated code -------===//
// Guarantees: see Heap.h.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Heap.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ds {

Value orderOf(CpuKernelEmitter &e, Value value, Type element) {
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  Type type = value.getType(), i64Type = b.getI64Type();
  auto constant = [&](Type type, int64_t number) { return e.constantInt(type, number); };
  if (auto floating = dyn_cast<FloatType>(type)) {
    unsigned bits = floating.getWidth();
    Type integer = b.getIntegerType(bits);
    // -0 becomes 0, and every NaN the same one.
    Value clean = arith::AddFOp::create(b, loc, value, e.constantFloat(type, 0.0));
    Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, value, value);
    Value pattern = arith::BitcastOp::create(b, loc, integer, clean);
    int64_t nan = APFloat::getQNaN(floating.getFloatSemantics()).bitcastToAPInt().getSExtValue();
    pattern = e.select(isNan, constant(integer, nan), pattern);
    // Negative numbers grow as their patterns shrink.
    Value sign = arith::ShRSIOp::create(b, loc, pattern, constant(integer, bits - 1));
    Value low = arith::AndIOp::create(b, loc, sign, constant(integer, bits == 32 ? 0x7fffffff : INT64_MAX));
    Value key = arith::XOrIOp::create(b, loc, pattern, low);
    return bits == 64 ? key : Value(arith::ExtSIOp::create(b, loc, i64Type, key));
  }
  bool isUnsigned = element.isUnsignedInteger();
  if (type.isInteger(64))
    return isUnsigned ? Value(arith::XOrIOp::create(b, loc, value, e.i64(INT64_MIN))) : value;
  return isUnsigned ? Value(arith::ExtUIOp::create(b, loc, i64Type, value))
                    : Value(arith::ExtSIOp::create(b, loc, i64Type, value));
}

Heap::Heap(CpuKernelEmitter &e, const SymExpr &capacity)
    : e(e), b(e.builder()), loc(e.getLoc()), keys{e.scratch(SymExpr(8) * capacity), b.getI64Type()},
      positions{e.scratch(SymExpr(8) * capacity), b.getI64Type()} {}

Heap::Entry Heap::get(Value position) {
  return {e.loadAt(keys, LaneIndex::uniform(position)), e.loadAt(positions, LaneIndex::uniform(position))};
}

void Heap::set(Value position, Entry value) {
  e.storeAt(keys, LaneIndex::uniform(position), value.key);
  e.storeAt(positions, LaneIndex::uniform(position), value.index);
}

Value Heap::rootKey() { return e.loadAt(keys, e.constantIndex(0)); }

Value Heap::isBefore(Entry p, Entry q) {
  auto compare = [&](arith::CmpIPredicate predicate, Value l, Value r) -> Value {
    return arith::CmpIOp::create(b, loc, predicate, l, r);
  };
  Value later = e.logicalAnd(compare(arith::CmpIPredicate::eq, p.key, q.key),
                             compare(arith::CmpIPredicate::sgt, p.index, q.index));
  return arith::OrIOp::create(b, loc, compare(arith::CmpIPredicate::slt, p.key, q.key), later);
}

LogicalResult Heap::build(Value size) {
  Value half = e.divI(size, e.i64(2));
  return e.forLoop(e.i64(0), half, 1, [&](Value i) -> LogicalResult {
    Value hole = e.subI(e.subI(half, e.i64(1)), i);
    siftDown(hole, size, get(hole));
    return success();
  });
}

void Heap::siftDown(Value hole, Value size, Entry moving) {
  Type i64Type = b.getI64Type();
  Value last = e.maxI(e.subI(size, e.i64(1)), e.i64(0));
  auto check = [&](OpBuilder &, Location, ValueRange state) {
    CpuKernelEmitter::Scope scope(e);
    // The child nearer to the root; reads stay inside where there is none.
    Value left = e.addI(e.mulI(state[0], e.i64(2)), e.i64(1));
    Value first = e.minI(left, last), second = e.minI(e.addI(left, e.i64(1)), last);
    Entry p = get(first), q = get(second);
    Value before = isBefore(q, p);
    Value child = e.select(before, second, first);
    Entry candidate{e.select(before, q.key, p.key), e.select(before, q.index, p.index)};
    Value goes = e.logicalAnd(e.lessI(left, size), isBefore(candidate, moving));
    scf::ConditionOp::create(b, loc, goes, ValueRange{state[0], child, candidate.key, candidate.index});
  };
  auto move = [&](OpBuilder &, Location, ValueRange state) {
    CpuKernelEmitter::Scope scope(e);
    set(state[0], {state[2], state[3]});
    scf::YieldOp::create(b, loc, ValueRange{state[1]});
  };
  // The builder of the regions is the emitter's own: it stands in them while they are built.
  OpBuilder::InsertionGuard guard(b);
  auto loop =
      scf::WhileOp::create(b, loc, TypeRange{i64Type, i64Type, i64Type, i64Type}, ValueRange{hole}, check, move);
  b.setInsertionPointAfter(loop);
  set(loop.getResult(0), moving);
}

} // namespace ds
