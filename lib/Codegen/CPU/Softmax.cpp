//===- Softmax.cpp - Kernels whose root is softmax or log_softmax ---------===//
// Assumes: what follows the root is pointwise in its result.
// Guarantees: three passes over a row (maximum; exponentials and their sum; results), vectors along the axis where it
//   is innermost, else across it. What passes hand on lies in the result's memory if that has the compute type, else
//   in the worker's scratch. NaN and infinities come out as the defining formula has them: a row of -inf is NaN.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Epilogue.h"
#include "lib/Codegen/CPU/Rows.h"
#include <limits>

using namespace mlir;

namespace ds {

namespace {

class SoftmaxEmitter {
public:
  SoftmaxEmitter(CpuKernelEmitter &e, Operation *root)
      : e(e), root(root), x(root->getOperand(0)), dims(e.dimsOf(x)), isLog(isa<LogSoftmaxOp>(root)),
        math(e, ElementBuilder::computeType(getElementTypeOrSelf(x.getType()))) {}

  LogicalResult emit();

private:
  LogicalResult emitRows();
  LogicalResult emitRow(ArrayRef<LaneIndex> input, ArrayRef<LaneIndex> output, MemoryRef kept);
  LogicalResult emitColumns();
  LogicalResult emitColumn(SmallVector<LaneIndex> position, bool keptInResult, MemoryRef kept);
  /// What is subtracted from x (and, but for the logarithm, the factor of the exponentials).
  Value finish(Value value, Value largest, Value sumTerm);
  Value sumTerm(Value sum) {
    return isLog ? math.log(sum) : math.div(e.isVector(sum) ? math.vectorOf(1) : math.constant(1), sum);
  }

  CpuKernelEmitter &e;
  Operation *root;
  Value x;
  SymDims dims;
  bool isLog;
  FloatMath math;
  unsigned axis = 0;
  /// x is stored by the first pass: computing it again costs more.
  bool keepInput = false;
};

} // namespace

Value SoftmaxEmitter::finish(Value value, Value largest, Value term) {
  return isLog ? math.sub(math.sub(value, largest), term) : math.mul(value, term);
}

LogicalResult SoftmaxEmitter::emitRow(ArrayRef<LaneIndex> input, ArrayRef<LaneIndex> output, MemoryRef kept) {
  SmallVector<LaneIndex> in(input), out(output);
  auto read = [&](LaneIndex i) -> FailureOr<Value> {
    in[axis] = i;
    auto value = e.element(x, in);
    if (failed(value))
      return failure();
    return e.broadcast(*value);
  };
  auto readAgain = [&](LaneIndex i) -> FailureOr<Value> { return keepInput ? e.loadAt(kept, i) : read(i); };
  auto larger = [&](Value a, Value b) { return math.max(a, b); };
  auto sum = [&](Value a, Value b) { return math.add(a, b); };

  auto maxima = foldRow(
      e, dims[axis], math.vectorOf(-std::numeric_limits<double>::infinity()),
      [&](LaneIndex i, ValueRange state) -> FailureOr<SmallVector<Value>> {
        auto value = read(i);
        if (failed(value))
          return failure();
        if (keepInput)
          e.storeAt(kept, i, *value);
        return SmallVector<Value>{math.max(*value, state[0])};
      },
      [&](unsigned, Value a, Value b) { return math.max(a, b); });
  if (failed(maxima))
    return failure();
  Value largest = e.broadcast(foldLanes(e, (*maxima)[0], larger));
  auto sums = foldRow(
      e, dims[axis], math.vectorOf(0),
      [&](LaneIndex i, ValueRange state) -> FailureOr<SmallVector<Value>> {
        auto value = readAgain(i);
        if (failed(value))
          return failure();
        Value power = math.expNonPositive(math.sub(*value, largest));
        if (!isLog)
          e.storeAt(kept, i, power);
        return SmallVector<Value>{math.add(state[0], power)};
      },
      [&](unsigned, Value a, Value b) { return math.add(a, b); });
  if (failed(sums))
    return failure();
  Value term = e.broadcast(sumTerm(foldLanes(e, (*sums)[0], sum)));
  return e.vectorLoop(e.i64(0), e.size(dims[axis]), [&](LaneIndex i) -> LogicalResult {
    FailureOr<Value> value = isLog ? readAgain(i) : FailureOr<Value>(e.loadAt(kept, i));
    if (failed(value))
      return failure();
    e.bind(root->getResult(0), finish(*value, largest, term));
    out[axis] = i;
    return storeResults(e, out);
  });
}

LogicalResult SoftmaxEmitter::emitRows() {
  SymDims leading(dims.begin(), dims.begin() + axis);
  // About four operations' time an element.
  e.setRange(product(leading), SymExpr::ceilDiv(4096, SymExpr::max(dims[axis], 1)));
  bool inResult = resultHoldsRoot(e, root), needed = !isLog || keepInput;
  Value buffer;
  if (needed && !inResult)
    buffer = e.scratch(dims[axis] * SymExpr(math.getType().getIntOrFloatBitWidth() / 8));
  Epilogue epilogue(e, root);
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value row) {
    MemoryRef kept{buffer, math.getType()};
    if (needed && inResult)
      kept.pointer = e.advance(e.result(0).pointer, math.getType(), e.mulI(row, e.size(dims[axis])));
    SmallVector<LaneIndex> output;
    if (axis + 1 == dims.size()) {
      output = epilogue.rowIndices(Value(), row);
    } else {
      output = e.delinearize(LaneIndex::uniform(row), leading);
      output.resize(dims.size(), e.constantIndex(0));
    }
    return emitRow(leadingIndices(e, x, axis, row), output, kept);
  });
}

LogicalResult SoftmaxEmitter::emitColumn(SmallVector<LaneIndex> position, bool keptInResult, MemoryRef kept) {
  Value count = e.size(dims[axis]);
  // Where value `j` of these columns is kept.
  auto keptAt = [&](Value j) {
    position[axis] = LaneIndex::uniform(j);
    if (keptInResult)
      return e.linearize(position, dims);
    return LaneIndex::consecutive(e.mulI(j, e.i64(e.getWidth())));
  };
  auto read = [&](Value j) -> FailureOr<Value> {
    position[axis] = LaneIndex::uniform(j);
    auto value = e.element(x, position);
    if (failed(value))
      return failure();
    return e.broadcast(*value);
  };
  auto readAgain = [&](Value j) -> FailureOr<Value> { return keepInput ? e.loadAt(kept, keptAt(j)) : read(j); };
  auto maxima = e.forLoop(e.i64(0), count, 1, math.vectorOf(-std::numeric_limits<double>::infinity()),
                          [&](Value j, ValueRange state) -> FailureOr<SmallVector<Value>> {
                            auto value = read(j);
                            if (failed(value))
                              return failure();
                            if (keepInput)
                              e.storeAt(kept, keptAt(j), *value);
                            return SmallVector<Value>{math.max(*value, state[0])};
                          });
  if (failed(maxima))
    return failure();
  Value largest = (*maxima)[0];
  auto sums =
      e.forLoop(e.i64(0), count, 1, math.vectorOf(0), [&](Value j, ValueRange state) -> FailureOr<SmallVector<Value>> {
        auto value = readAgain(j);
        if (failed(value))
          return failure();
        Value power = math.expNonPositive(math.sub(*value, largest));
        if (!isLog)
          e.storeAt(kept, keptAt(j), power);
        return SmallVector<Value>{math.add(state[0], power)};
      });
  if (failed(sums))
    return failure();
  Value term = sumTerm((*sums)[0]);
  return e.forLoop(e.i64(0), count, 1, [&](Value j) -> LogicalResult {
    FailureOr<Value> value = isLog ? readAgain(j) : FailureOr<Value>(e.loadAt(kept, keptAt(j)));
    if (failed(value))
      return failure();
    e.bind(root->getResult(0), finish(*value, largest, term));
    position[axis] = LaneIndex::uniform(j);
    return storeResults(e, position);
  });
}

LogicalResult SoftmaxEmitter::emitColumns() {
  unsigned last = dims.size() - 1;
  // Memory alone does not tell the dimensions of the columns apart.
  bool plain = e.isArgument(x) && llvm::all_of(e.results(), [&](Value v) { return v.getDefiningOp() == root; });
  if (plain) {
    SymDims outer(dims.begin(), dims.begin() + axis), inner(dims.begin() + axis + 1, dims.end());
    for (unsigned d = 0; d < dims.size(); ++d)
      if (d != axis)
        dims[d] = SymExpr(1);
    if (axis > 0)
      dims[axis - 1] = product(outer);
    dims[last] = product(inner);
  }
  SmallVector<SymExpr> loops;
  SmallVector<unsigned> loopDims;
  for (unsigned d = 0; d < last; ++d)
    if (d != axis && !dims[d].isConst(1)) {
      loops.push_back(dims[d]);
      loopDims.push_back(d);
    }
  int64_t width = e.getWidth();
  loops.push_back(SymExpr::ceilDiv(dims[last], width));
  e.setRange(product(loops), SymExpr::ceilDiv(4096, SymExpr::max(dims[axis] * SymExpr(width), 1)));
  bool inResult = resultHoldsRoot(e, root) || (plain && getElementTypeOrSelf(x.getType()) == math.getType());
  MemoryRef kept{Value(), math.getType()};
  if (!isLog || keepInput)
    kept.pointer = inResult ? e.result(0).pointer
                            : e.scratch(dims[axis] * SymExpr(width * math.getType().getIntOrFloatBitWidth() / 8));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) -> LogicalResult {
    SmallVector<LaneIndex> position(dims.size(), e.constantIndex(0));
    SmallVector<LaneIndex> at = e.delinearize(LaneIndex::uniform(item), loops);
    for (auto [d, index] : llvm::zip(loopDims, at))
      position[d] = index;
    Value column = e.mulI(at.back().getValue(), e.i64(width)), limit = e.size(dims[last]);
    position[last] = LaneIndex::consecutive(column);
    Value isCut = e.lessI(limit, e.addI(column, e.i64(width)));
    if (failed(e.ifThen(e.logicalNot(isCut), [&] { return emitColumn(position, inResult, kept); })))
      return failure();
    if (dims[last].isDivisibleBy(width))
      return success();
    return e.ifThen(isCut, [&] {
      e.setMask(e.lanesBelow(column, limit));
      return emitColumn(position, inResult, kept);
    });
  });
}

LogicalResult SoftmaxEmitter::emit() {
  inlineOthers(e, root);
  axis = cast<IntegerAttr>(root->getAttr("axis")).getInt();
  keepInput = !e.isArgument(x);
  SymDims inner(dims.begin() + axis + 1, dims.end());
  return product(inner).isConst(1) ? emitRows() : emitColumns();
}

LogicalResult emitSoftmax(CpuKernelEmitter &e, Operation *root) { return SoftmaxEmitter(e, root).emit(); }

} // namespace ds
