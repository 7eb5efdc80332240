//===- NonMaxSuppression.cpp - Kernels whose root is non_max_suppression --===//
// Assumes: the root stands alone.
// Guarantees: for each class of each batch entry, a heap hands out the boxes from the best score on; each is compared
//   with those kept so far, a vector of them at a time, until one overlaps it too much. What is compared, and in which
//   order it is rounded, is what the op's description says: the boxes kept are the same on every target.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Heap.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

namespace {

/// Scalars of a candidate, or vectors of those kept.
struct Box {
  Value left, right, top, bottom, area;
};

class NonMaxSuppressionEmitter {
public:
  NonMaxSuppressionEmitter(CpuKernelEmitter &e, NonMaxSuppressionOp op)
      : e(e), b(e.builder()), loc(e.getLoc()), op(op), scores(e.dimsOf(op.getScores())), m(e, b.getF32Type()),
        lanes(e.getWidth()) {}

  LogicalResult emit();

private:
  Value compare(arith::CmpFPredicate predicate, Value p, Value q) {
    e.unify(p, q);
    return arith::CmpFOp::create(b, loc, predicate, p, q);
  }
  FailureOr<Value> scalar(Value tensor) {
    return e.element(tensor,
                     SmallVector<LaneIndex>(cast<RankedTensorType>(tensor.getType()).getRank(), e.constantIndex(0)));
  }
  LogicalResult emitClass(Value batch, Value number);
  /// Fills the heap; returns the number of candidates.
  FailureOr<Value> collect(Value batch, Value number);
  FailureOr<Box> readBox(Value batch, Value index);
  Box keptBoxes(Value first);
  void keep(Value position, const Box &box);
  /// Lanes of `kept` that `box` overlaps by more than the threshold.
  Value overlaps(const Box &kept, const Box &box);
  Value overlapsAny(Value count, const Box &box);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  NonMaxSuppressionOp op;
  SymDims scores;
  FloatMath m;
  int64_t lanes;
  std::optional<Heap> heap;
  SmallVector<MemoryRef> kept; // as the members of Box
  Value limit, iouThreshold, scoreThreshold;
};

} // namespace

FailureOr<Value> NonMaxSuppressionEmitter::collect(Value batch, Value number) {
  auto counts = e.forLoop(e.i64(0), e.size(scores[2]), 1, e.i64(0), [&](Value i, ValueRange state) {
    auto one = [&]() -> FailureOr<SmallVector<Value>> {
      auto score =
          e.element(op.getScores(), {LaneIndex::uniform(batch), LaneIndex::uniform(number), LaneIndex::uniform(i)});
      if (failed(score))
        return failure();
      // The heap's root is the least key and the greatest index; wanted are the best score and the least index.
      Value key = arith::XOrIOp::create(b, loc, orderOf(e, *score, b.getF32Type()), e.i64(-1));
      heap->set(state[0], {key, arith::XOrIOp::create(b, loc, i, e.i64(-1))});
      if (!scoreThreshold)
        return SmallVector<Value>{e.addI(state[0], e.i64(1))};
      Value isCandidate = compare(arith::CmpFPredicate::OGT, *score, scoreThreshold);
      return SmallVector<Value>{e.addI(state[0], arith::ExtUIOp::create(b, loc, b.getI64Type(), isCandidate))};
    };
    return one();
  });
  if (failed(counts))
    return failure();
  return (*counts)[0];
}

FailureOr<Box> NonMaxSuppressionEmitter::readBox(Value batch, Value index) {
  Value number[4];
  for (auto [i, value] : llvm::enumerate(number)) {
    auto element = e.element(op.getBoxes(), {LaneIndex::uniform(batch), LaneIndex::uniform(index), e.constantIndex(i)});
    if (failed(element))
      return failure();
    value = *element;
  }
  Box box;
  if (op.getCentered()) { // x, y, width, height
    auto around = [&](Value center, Value size, Value &low, Value &high) {
      Value half = m.div(size, m.constant(2));
      low = m.sub(center, half);
      high = m.add(center, half);
    };
    around(number[0], number[2], box.left, box.right);
    around(number[1], number[3], box.top, box.bottom);
  } else { // y, x and y, x of opposite corners
    auto sorted = [&](Value p, Value q, Value &low, Value &high) {
      Value swapped = compare(arith::CmpFPredicate::OGE, p, q);
      low = e.select(swapped, q, p);
      high = e.select(swapped, p, q);
    };
    sorted(number[1], number[3], box.left, box.right);
    sorted(number[0], number[2], box.top, box.bottom);
  }
  box.area = m.mul(m.sub(box.right, box.left), m.sub(box.bottom, box.top));
  return box;
}

Box NonMaxSuppressionEmitter::keptBoxes(Value first) {
  auto load = [&](unsigned i) { return e.loadVector(kept[i].pointer, first, lanes); };
  return {load(0), load(1), load(2), load(3), load(4)};
}

void NonMaxSuppressionEmitter::keep(Value position, const Box &box) {
  // The rest of the last vector is boxes without an area, which overlap nothing.
  Value isFirst = e.lessI(e.remI(position, e.i64(lanes)), e.i64(1));
  (void)e.ifThen(isFirst, [&] {
    e.storeVector(kept[4].pointer, position, m.vectorOf(0));
    return success();
  });
  const Value members[] = {box.left, box.right, box.top, box.bottom, box.area};
  for (auto [memory, value] : llvm::zip_equal(kept, members))
    e.storeAt(memory, LaneIndex::uniform(position), value);
}

Value NonMaxSuppressionEmitter::overlaps(const Box &kept, const Box &box) {
  using P = arith::CmpFPredicate;
  auto greater = [&](Value p, Value q) {
    e.unify(p, q);
    return e.select(compare(P::OLT, p, q), q, p);
  };
  auto less = [&](Value p, Value q) {
    e.unify(p, q);
    return e.select(compare(P::OLT, q, p), q, p);
  };
  Value left = greater(kept.left, box.left), right = less(kept.right, box.right);
  Value top = greater(kept.top, box.top), bottom = less(kept.bottom, box.bottom);
  Value common = m.mul(m.sub(right, left), m.sub(bottom, top));
  Value united = m.sub(m.add(kept.area, box.area), common);
  Value result = compare(P::OGT, m.div(common, united), iouThreshold);
  for (auto [p, q] : {std::pair(right, left), {bottom, top}})
    result = e.logicalAnd(result, compare(P::UGT, p, q));
  for (Value area : {common, kept.area, e.broadcast(box.area), united})
    result = e.logicalAnd(result, compare(P::UGT, area, m.constant(0)));
  return result;
}

Value NonMaxSuppressionEmitter::overlapsAny(Value count, const Box &box) {
  auto check = [&](OpBuilder &, Location, ValueRange state) {
    CpuKernelEmitter::Scope scope(e);
    Value goes = e.logicalAnd(e.lessI(state[0], count), e.logicalNot(state[1]));
    scf::ConditionOp::create(b, loc, goes, state);
  };
  auto step = [&](OpBuilder &, Location, ValueRange state) {
    CpuKernelEmitter::Scope scope(e);
    Value any = vector::ReductionOp::create(b, loc, vector::CombiningKind::OR, overlaps(keptBoxes(state[0]), box));
    scf::YieldOp::create(b, loc, ValueRange{e.addI(state[0], e.i64(lanes)), any});
  };
  OpBuilder::InsertionGuard guard(b);
  return scf::WhileOp::create(b, loc, TypeRange{b.getI64Type(), b.getI1Type()},
                              ValueRange{e.i64(0), e.constantTrue(false)}, check, step)
      .getResult(1);
}

LogicalResult NonMaxSuppressionEmitter::emitClass(Value batch, Value number) {
  auto candidates = collect(batch, number);
  if (failed(candidates) || failed(heap->build(*candidates)))
    return failure();
  MemoryRef indices, counts;
  for (auto [i, result] : llvm::enumerate(e.results()))
    (result == op.getIndices() ? indices : counts) = e.result(i);
  Value group = e.addI(e.mulI(batch, e.size(scores[1])), number);
  Value most = e.size(e.dimsOf(op.getIndices())[2]), base = e.mulI(group, most);
  if (indices.pointer && failed(e.forLoop(e.i64(0), most, 1, [&](Value i) {
        e.storeAt(indices, LaneIndex::uniform(e.addI(base, i)), e.i64(-1));
        return success();
      })))
    return failure();
  LogicalResult built = success();
  auto check = [&](OpBuilder &, Location, ValueRange state) {
    CpuKernelEmitter::Scope scope(e);
    Value goes = e.logicalAnd(e.lessI(e.i64(0), state[0]), e.lessI(state[1], limit));
    scf::ConditionOp::create(b, loc, goes, state);
  };
  auto step = [&](OpBuilder &, Location, ValueRange state) {
    CpuKernelEmitter::Scope scope(e);
    Value left = e.subI(state[0], e.i64(1)), count = state[1];
    Value index = arith::XOrIOp::create(b, loc, heap->get(e.i64(0)).index, e.i64(-1));
    heap->siftDown(e.i64(0), left, heap->get(left));
    auto box = readBox(batch, index);
    if (failed(box))
      built = failure();
    Value isKept = succeeded(box) ? e.logicalNot(overlapsAny(count, *box)) : e.constantTrue();
    (void)e.ifThen(isKept, [&] {
      if (succeeded(box))
        keep(count, *box);
      if (indices.pointer)
        e.storeAt(indices, LaneIndex::uniform(e.addI(base, count)), index);
      return success();
    });
    Value more = arith::ExtUIOp::create(b, loc, b.getI64Type(), isKept);
    scf::YieldOp::create(b, loc, ValueRange{left, e.addI(count, more)});
  };
  Value found;
  {
    OpBuilder::InsertionGuard guard(b);
    found = scf::WhileOp::create(b, loc, TypeRange{b.getI64Type(), b.getI64Type()}, ValueRange{*candidates, e.i64(0)},
                                 check, step)
                .getResult(1);
  }
  if (counts.pointer)
    e.storeAt(counts, LaneIndex::uniform(group), found);
  return built;
}

LogicalResult NonMaxSuppressionEmitter::emit() {
  inlineOthers(e, op);
  SymExpr most = e.dimsOf(op.getIndices())[2], classes = scores[0] * scores[1];
  e.setRange(classes, SymExpr::ceilDiv(1 << 10, SymExpr::max(scores[2], 1)));
  heap.emplace(e, scores[2]);
  for (unsigned i = 0; i < 5; ++i)
    kept.push_back({e.scratch(SymExpr(4 * lanes) * SymExpr::ceilDiv(most, lanes)), b.getF32Type()});
  auto maximum = scalar(op.getMaxOutput()), overlap = scalar(op.getIouThreshold());
  if (failed(maximum) || failed(overlap))
    return failure();
  limit = e.minI(e.indexFromValue(*maximum, false).getValue(), e.size(most));
  iouThreshold = *overlap;
  if (op.getScoreThreshold()) {
    auto threshold = scalar(op.getScoreThreshold());
    if (failed(threshold))
      return failure();
    scoreThreshold = *threshold;
  }
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    auto position = e.delinearize(LaneIndex::uniform(item), {scores[0], scores[1]});
    return emitClass(position[0].getValue(), position[1].getValue());
  });
}

LogicalResult emitNonMaxSuppression(CpuKernelEmitter &e, Operation *root) {
  return NonMaxSuppressionEmitter(e, cast<NonMaxSuppressionOp>(root)).emit();
}

} // namespace ds
