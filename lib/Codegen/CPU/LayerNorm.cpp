//===- LayerNorm.cpp - Kernels whose root is layer_norm -------------------===//
// Assumes: what follows the root is pointwise in its result.
// Guarantees: two passes over a row (the dimensions from `axis` on): sums of d and d^2 with d = x - shift, then the
//   results. The shift is the mean of the row's first vector, which keeps the variance from cancelling: its relative
//   error grows by at most the number of vectors of a row. Statistics and results are in f32, or f64 for f64.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Epilogue.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

namespace {

class LayerNormEmitter {
public:
  LayerNormEmitter(CpuKernelEmitter &e, LayerNormOp op)
      : e(e), op(op), x(op.getX()), dims(e.dimsOf(x)), axis(op.getAxis()),
        math(e, ElementBuilder::computeType(getElementTypeOrSelf(x.getType()))) {}

  LogicalResult emit();

private:
  /// Whether a row is one run of memory for all that reads and writes it.
  bool rowsAreRuns();
  /// Loops over the dimensions axis .. last - 1 around `inner`, which carries `state`.
  FailureOr<SmallVector<Value>> overOuter(unsigned d, ValueRange state,
                                          function_ref<FailureOr<SmallVector<Value>>(ValueRange)> inner);
  FailureOr<Value> read(LaneIndex i);
  LogicalResult emitRow(Value row);
  FailureOr<Value> parameter(Value tensor, LaneIndex i);

  CpuKernelEmitter &e;
  LayerNormOp op;
  Value x;
  SymDims dims;
  unsigned axis;
  FloatMath math;
  SymExpr inner, count; // the innermost dimension, the elements of a row
  bool runs = false;
  bool keepInput = false; // x is stored by the first pass
  MemoryRef kept;
  SmallVector<LaneIndex> position, output;
};

} // namespace

bool LayerNormEmitter::rowsAreRuns() {
  if (axis + 1 == dims.size())
    return true;
  SymDims rowDims(dims.begin() + axis, dims.end());
  auto plain = [&](Value tensor) {
    return !tensor || (e.isArgument(tensor) && (e.dimsOf(tensor) == rowDims || product(e.dimsOf(tensor)).isConst(1)));
  };
  return e.isArgument(x) && plain(op.getScale()) && plain(op.getBias()) &&
         llvm::all_of(e.results(), [&](Value v) { return v.getDefiningOp() == op; });
}

FailureOr<SmallVector<Value>>
LayerNormEmitter::overOuter(unsigned d, ValueRange state,
                            function_ref<FailureOr<SmallVector<Value>>(ValueRange)> inner) {
  if (runs || d + 1 == dims.size())
    return inner(state);
  return e.forLoop(e.i64(0), e.size(dims[d]), 1, state, [&](Value i, ValueRange carried) {
    position[d] = output[d] = LaneIndex::uniform(i);
    return overOuter(d + 1, carried, inner);
  });
}

FailureOr<Value> LayerNormEmitter::read(LaneIndex i) {
  position.back() = i;
  auto value = e.element(x, position);
  if (failed(value))
    return failure();
  return e.broadcast(*value);
}

FailureOr<Value> LayerNormEmitter::parameter(Value tensor, LaneIndex i) {
  SymDims own = e.dimsOf(tensor);
  if (!runs || axis + 1 == dims.size()) {
    SmallVector<LaneIndex> indices(output.begin() + axis, output.end());
    indices.back() = i;
    return e.broadcastElement(tensor, indices, ArrayRef<SymExpr>(dims).drop_front(axis));
  }
  SmallVector<LaneIndex> indices(own.size(), e.constantIndex(0));
  if (!product(own).isConst(1))
    indices.back() = i;
  return e.element(tensor, indices);
}

LogicalResult LayerNormEmitter::emitRow(Value row) {
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  auto add = [&](Value p, Value q) { return math.add(p, q); };
  // Positions in what is kept: as in a row of memory.
  auto keptAt = [&](LaneIndex i) {
    if (runs)
      return i;
    SmallVector<LaneIndex> at(position.begin() + axis, position.end());
    at.back() = i;
    return e.linearize(at, ArrayRef<SymExpr>(dims).drop_front(axis));
  };

  Value length = e.size(inner), lanes = e.minI(length, e.i64(e.getWidth()));
  Value start; // the mean of the first vector
  {
    CpuKernelEmitter::Scope scope(e);
    bool whole = inner.isConst() && inner.getConst() >= e.getWidth();
    Value live;
    if (!whole) {
      live = e.lanesBelow(e.i64(0), length);
      e.setMask(live);
    }
    auto first = read(LaneIndex::consecutive(e.i64(0)));
    if (failed(first))
      return failure();
    Value sum = foldLanes(e, whole ? *first : e.select(live, *first, math.vectorOf(0)), add);
    start = math.div(sum, math.fromInt(lanes));
  }
  Value shift = e.broadcast(start);
  auto sums = overOuter(axis, ValueRange{math.vectorOf(0), math.vectorOf(0)}, [&](ValueRange state) {
    return foldRow(
        e, inner, {math.vectorOf(0), math.vectorOf(0)},
        [&](LaneIndex i, ValueRange carried) -> FailureOr<SmallVector<Value>> {
          auto value = read(i);
          if (failed(value))
            return failure();
          if (keepInput)
            e.storeAt(kept, keptAt(i), *value);
          Value d = math.sub(*value, shift);
          return SmallVector<Value>{math.add(carried[0], d), math.fma(d, d, carried[1])};
        },
        [&](unsigned, Value p, Value q) { return math.add(p, q); }, state);
  });
  if (failed(sums))
    return failure();
  Value n = math.fromInt(e.size(count));
  Value offset = math.div(foldLanes(e, (*sums)[0], add), n);
  Value square = math.div(foldLanes(e, (*sums)[1], add), n);
  Value variance = math.sub(square, math.mul(offset, offset));
  Value zero = math.constant(0);
  // Rounding may leave a little less than 0; NaN stays.
  Value below = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, variance, zero);
  variance = e.select(below, zero, variance);
  Value mean = e.broadcast(math.add(start, offset));
  Value deviation = math.sqrt(math.add(variance, math.constant(op.getEpsilon().convertToDouble())));
  Value inverse = e.broadcast(math.div(math.constant(1), deviation));
  auto done = overOuter(axis, ValueRange{}, [&](ValueRange) -> FailureOr<SmallVector<Value>> {
    LogicalResult stored = e.vectorLoop(e.i64(0), length, [&](LaneIndex i) -> LogicalResult {
      FailureOr<Value> value = keepInput ? FailureOr<Value>(e.loadAt(kept, keptAt(i))) : read(i);
      FailureOr<Value> scale = parameter(op.getScale(), i);
      if (failed(value) || failed(scale))
        return failure();
      Value normal = math.mul(math.sub(*value, mean), inverse);
      Value result;
      if (op.getBias()) {
        FailureOr<Value> bias = parameter(op.getBias(), i);
        if (failed(bias))
          return failure();
        result = math.fma(normal, *scale, *bias);
      } else {
        result = math.mul(normal, *scale);
      }
      e.bind(op.getResult(), result);
      output.back() = i;
      return storeResults(e, output);
    });
    if (failed(stored))
      return failure();
    return SmallVector<Value>();
  });
  return success(succeeded(done));
}

LogicalResult LayerNormEmitter::emit() {
  inlineOthers(e, op);
  SymDims leading(dims.begin(), dims.begin() + axis);
  count = product(ArrayRef<SymExpr>(dims).drop_front(axis));
  runs = rowsAreRuns();
  inner = runs ? count : dims.back();
  keepInput = !e.isArgument(x);
  // An empty row has no first vector.
  SymExpr rows = product(leading) * SymExpr::min(count, 1);
  e.setRange(rows, SymExpr::ceilDiv(8192, SymExpr::max(count, 1)));
  bool inResult = resultHoldsRoot(e, op);
  kept.elementType = math.getType();
  Value buffer;
  if (keepInput && !inResult)
    buffer = e.scratch(count * SymExpr(math.getType().getIntOrFloatBitWidth() / 8));
  Epilogue epilogue(e, op);
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value row) -> LogicalResult {
    kept.pointer = buffer;
    if (keepInput && inResult)
      kept.pointer = e.advance(e.result(0).pointer, math.getType(), e.mulI(row, e.size(count)));
    position = leadingIndices(e, x, axis, row);
    if (axis + 1 == dims.size()) {
      output = epilogue.rowIndices(Value(), row);
    } else if (runs) {
      output = position;
    } else {
      output = e.delinearize(LaneIndex::uniform(row), leading);
      output.resize(dims.size(), e.constantIndex(0));
    }
    return emitRow(row);
  });
}

LogicalResult emitLayerNorm(CpuKernelEmitter &e, Operation *root) {
  return LayerNormEmitter(e, cast<LayerNormOp>(root)).emit();
}

} // namespace ds
