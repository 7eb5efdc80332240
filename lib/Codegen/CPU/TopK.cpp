//===- TopK.cpp - Kernels whose root is top_k -----------------------------===//
// Assumes: `count` is at most the axis' size; the root stands alone.
// Guarantees: a heap of the best `count` elements seen, its root the worst of them, in the worker's scratch: n
//   comparisons with the root, and log(count) steps for each element that enters. Then the heap is sorted in place.
//   Elements are compared as i64 keys of the same order (NaN is above all numbers, as in NumPy), equal ones by their
//   index.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ds {

namespace {

class TopKEmitter {
public:
  TopKEmitter(KernelEmitter &e, TopKOp op)
      : e(e), b(e.builder()), loc(e.getLoc()), op(op), x(op.getX()), dims(e.dimsOf(x)), axis(op.getAxis()) {}

  LogicalResult emit();

private:
  struct Entry {
    Value key, index;
  };
  FailureOr<Value> readKey(ArrayRef<LaneIndex> row, Value i);
  Value orderOf(Value value);
  Entry entry(Value position);
  void setEntry(Value position, Entry value);
  Value isWorse(Entry a, Entry b);
  /// Puts `moving` into the heap [0, size) whose position `hole` is free, below which all is in order.
  void siftDown(Value hole, Value size, Entry moving);
  LogicalResult emitRow(SmallVector<LaneIndex> row);

  KernelEmitter &e;
  OpBuilder &b;
  Location loc;
  TopKOp op;
  Value x;
  SymDims dims;
  unsigned axis;
  SymExpr count;
  MemoryRef keys, positions;
};

} // namespace

Value TopKEmitter::orderOf(Value value) {
  Type element = getElementTypeOrSelf(x.getType()), type = value.getType(), i64Type = b.getI64Type();
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

FailureOr<Value> TopKEmitter::readKey(ArrayRef<LaneIndex> row, Value i) {
  SmallVector<LaneIndex> position(row);
  position[axis] = LaneIndex::uniform(i);
  auto value = e.element(x, position);
  if (failed(value))
    return failure();
  Value key = orderOf(*value);
  if (op.getSmallest())
    key = arith::XOrIOp::create(b, loc, key, e.i64(-1));
  return key;
}

TopKEmitter::Entry TopKEmitter::entry(Value position) {
  return {e.loadAt(keys, LaneIndex::uniform(position)), e.loadAt(positions, LaneIndex::uniform(position))};
}

void TopKEmitter::setEntry(Value position, Entry value) {
  e.storeAt(keys, LaneIndex::uniform(position), value.key);
  e.storeAt(positions, LaneIndex::uniform(position), value.index);
}

Value TopKEmitter::isWorse(Entry p, Entry q) {
  auto compare = [&](arith::CmpIPredicate predicate, Value l, Value r) -> Value {
    return arith::CmpIOp::create(b, loc, predicate, l, r);
  };
  Value later = e.logicalAnd(compare(arith::CmpIPredicate::eq, p.key, q.key),
                             compare(arith::CmpIPredicate::sgt, p.index, q.index));
  return arith::OrIOp::create(b, loc, compare(arith::CmpIPredicate::slt, p.key, q.key), later);
}

void TopKEmitter::siftDown(Value hole, Value size, Entry moving) {
  Type i64Type = b.getI64Type();
  Value last = e.maxI(e.subI(size, e.i64(1)), e.i64(0));
  auto before = [&](OpBuilder &, Location, ValueRange state) {
    KernelEmitter::Scope scope(e);
    // The worse child; reads stay inside where there is none.
    Value left = e.addI(e.mulI(state[0], e.i64(2)), e.i64(1));
    Value first = e.minI(left, last), second = e.minI(e.addI(left, e.i64(1)), last);
    Entry p = entry(first), q = entry(second);
    Value worse = isWorse(q, p);
    Value child = e.select(worse, second, first);
    Entry candidate{e.select(worse, q.key, p.key), e.select(worse, q.index, p.index)};
    Value goes = e.logicalAnd(e.lessI(left, size), isWorse(candidate, moving));
    scf::ConditionOp::create(b, loc, goes, ValueRange{state[0], child, candidate.key, candidate.index});
  };
  auto after = [&](OpBuilder &, Location, ValueRange state) {
    KernelEmitter::Scope scope(e);
    setEntry(state[0], {state[2], state[3]});
    scf::YieldOp::create(b, loc, ValueRange{state[1]});
  };
  // The builder of the regions is the emitter's own: it stands in them while they are built.
  OpBuilder::InsertionGuard guard(b);
  auto loop =
      scf::WhileOp::create(b, loc, TypeRange{i64Type, i64Type, i64Type, i64Type}, ValueRange{hole}, before, after);
  b.setInsertionPointAfter(loop);
  setEntry(loop.getResult(0), moving);
}

LogicalResult TopKEmitter::emitRow(SmallVector<LaneIndex> row) {
  Value n = e.size(dims[axis]), k = e.size(count), zero = e.i64(0);
  auto failedLoop = [](LogicalResult result) { return failed(result); };
  if (failedLoop(e.forLoop(zero, k, 1, [&](Value i) -> LogicalResult {
        auto key = readKey(row, i);
        if (failed(key))
          return failure();
        setEntry(i, {*key, i});
        return success();
      })))
    return failure();
  Value half = e.divI(k, e.i64(2));
  if (failedLoop(e.forLoop(zero, half, 1, [&](Value i) -> LogicalResult {
        Value hole = e.subI(e.subI(half, e.i64(1)), i);
        siftDown(hole, k, entry(hole));
        return success();
      })))
    return failure();
  if (failedLoop(e.forLoop(k, n, 1, [&](Value i) -> LogicalResult {
        auto key = readKey(row, i);
        if (failed(key))
          return failure();
        // An equal element comes later and stays outside.
        Value root = e.loadAt(keys, LaneIndex::uniform(zero));
        return e.ifThen(e.lessI(root, *key), [&] {
          siftDown(zero, k, {*key, i});
          return success();
        });
      })))
    return failure();
  // The worst goes last, the next worst before it, ...
  if (failedLoop(e.forLoop(zero, e.subI(k, e.i64(1)), 1, [&](Value i) -> LogicalResult {
        Value end = e.subI(e.subI(k, e.i64(1)), i);
        Entry moving = entry(end);
        setEntry(end, entry(zero));
        siftDown(zero, end, moving);
        return success();
      })))
    return failure();
  return e.forLoop(zero, k, 1, [&](Value i) -> LogicalResult {
    Value index = e.loadAt(positions, LaneIndex::uniform(i));
    SmallVector<LaneIndex> source(row), target(row);
    source[axis] = LaneIndex::uniform(index);
    target[axis] = LaneIndex::uniform(i);
    auto value = e.element(x, source);
    if (failed(value))
      return failure();
    LaneIndex position = e.linearize(target, e.dimsOf(op.getValues()));
    e.bind(op.getValues(), *value);
    e.bind(op.getIndices(), index);
    for (auto [number, result] : llvm::enumerate(e.results())) {
      auto stored = e.element(result, target);
      if (failed(stored))
        return failure();
      e.storeAt(e.result(number), position, *stored);
    }
    return success();
  });
}

LogicalResult TopKEmitter::emit() {
  inlineOthers(e, op);
  count = e.dimsOf(op.getValues())[axis];
  SmallVector<SymExpr> loops;
  SmallVector<unsigned> loopDims;
  for (unsigned d = 0; d < dims.size(); ++d)
    if (d != axis && !dims[d].isConst(1)) {
      loops.push_back(dims[d]);
      loopDims.push_back(d);
    }
  e.setRange(product(loops) * SymExpr::min(count, 1), SymExpr::ceilDiv(1 << 13, SymExpr::max(dims[axis], 1)));
  e.setFlops(product(dims));
  keys = {e.scratch(SymExpr(8) * count), b.getI64Type()};
  positions = {e.scratch(SymExpr(8) * count), b.getI64Type()};
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> row(dims.size(), e.constantIndex(0));
    for (auto [d, index] : llvm::zip(loopDims, e.delinearize(LaneIndex::uniform(item), loops)))
      row[d] = index;
    return emitRow(row);
  });
}

LogicalResult emitTopK(KernelEmitter &e, Operation *root) { return TopKEmitter(e, cast<TopKOp>(root)).emit(); }

} // namespace ds
