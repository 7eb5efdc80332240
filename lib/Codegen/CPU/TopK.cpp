//===- TopK.cpp - Kernels whose root is top_k -----------------------------===//
// Assumes: `count` is at most the axis' size; the root stands alone.
// Guarantees: a heap of the best `count` elements seen, its root the worst of them, in the worker's scratch: n
//   comparisons with the root, and log(count) steps for each element that enters. Then the heap is sorted in place.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Heap.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

namespace {

class TopKEmitter {
public:
  TopKEmitter(CpuKernelEmitter &e, TopKOp op)
      : e(e), b(e.builder()), loc(e.getLoc()), op(op), x(op.getX()), dims(e.dimsOf(x)), axis(op.getAxis()) {}

  LogicalResult emit();

private:
  FailureOr<Value> readKey(ArrayRef<LaneIndex> row, Value i);
  LogicalResult emitRow(SmallVector<LaneIndex> row);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  TopKOp op;
  Value x;
  SymDims dims;
  unsigned axis;
  SymExpr count;
  std::optional<Heap> heap;
};

} // namespace

FailureOr<Value> TopKEmitter::readKey(ArrayRef<LaneIndex> row, Value i) {
  SmallVector<LaneIndex> position(row);
  position[axis] = LaneIndex::uniform(i);
  auto value = e.element(x, position);
  if (failed(value))
    return failure();
  Value key = orderOf(e, *value, getElementTypeOrSelf(x.getType()));
  if (op.getSmallest())
    key = arith::XOrIOp::create(b, loc, key, e.i64(-1));
  return key;
}

LogicalResult TopKEmitter::emitRow(SmallVector<LaneIndex> row) {
  Value n = e.size(dims[axis]), k = e.size(count), zero = e.i64(0);
  auto failedLoop = [](LogicalResult result) { return failed(result); };
  if (failedLoop(e.forLoop(zero, k, 1, [&](Value i) -> LogicalResult {
        auto key = readKey(row, i);
        if (failed(key))
          return failure();
        heap->set(i, {*key, i});
        return success();
      })))
    return failure();
  if (failedLoop(heap->build(k)))
    return failure();
  if (failedLoop(e.forLoop(k, n, 1, [&](Value i) -> LogicalResult {
        auto key = readKey(row, i);
        if (failed(key))
          return failure();
        // An equal element comes later and stays outside.
        return e.ifThen(e.lessI(heap->rootKey(), *key), [&] {
          heap->siftDown(zero, k, {*key, i});
          return success();
        });
      })))
    return failure();
  // The worst goes last, the next worst before it, ...
  if (failedLoop(e.forLoop(zero, e.subI(k, e.i64(1)), 1, [&](Value i) -> LogicalResult {
        Value end = e.subI(e.subI(k, e.i64(1)), i);
        Heap::Entry moving = heap->get(end);
        heap->set(end, heap->get(zero));
        heap->siftDown(zero, end, moving);
        return success();
      })))
    return failure();
  return e.forLoop(zero, k, 1, [&](Value i) -> LogicalResult {
    Value index = heap->get(i).index;
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
  heap.emplace(e, count);
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> row(dims.size(), e.constantIndex(0));
    for (auto [d, index] : llvm::zip(loopDims, e.delinearize(LaneIndex::uniform(item), loops)))
      row[d] = index;
    return emitRow(row);
  });
}

LogicalResult emitTopK(CpuKernelEmitter &e, Operation *root) { return TopKEmitter(e, cast<TopKOp>(root)).emit(); }

} // namespace ds
