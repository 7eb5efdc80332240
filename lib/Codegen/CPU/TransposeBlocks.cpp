//===- TransposeBlocks.cpp - Kernels that turn matrices -------------------===//
// Assumes: f32 or f64, read from memory; of ds.pack the transposed form, of ds.transpose those that move the innermost
//   dimension. Of ds.pack_filter what it is computed of may have any element form.
// Guarantees: see TransposeBlocks.h. An item is a panel, or a few rows.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/TransposeBlocks.h"
#include "lib/Codegen/CPU/RegisterTile.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ds {

/// rows[i][j] -> rows[j][i], as many rows as lanes: off-diagonal blocks change places, of half the size each time.
static void transposeRegisters(CpuKernelEmitter &e, MutableArrayRef<Value> rows) {
  const int64_t lanes = rows.size();
  for (int64_t half = lanes / 2; half >= 1; half /= 2) {
    SmallVector<int64_t> upper, lower;
    for (int64_t j = 0; j < lanes; ++j) {
      bool isLeft = (j & half) == 0;
      upper.push_back(isLeft ? j : lanes + j - half);
      lower.push_back(isLeft ? j + half : lanes + j);
    }
    for (int64_t i = 0; i < lanes; ++i) {
      if ((i & half) != 0)
        continue;
      Value x = rows[i], y = rows[i + half];
      rows[i] = vector::ShuffleOp::create(e.builder(), e.getLoc(), x, y, upper);
      rows[i + half] = vector::ShuffleOp::create(e.builder(), e.getLoc(), x, y, lower);
    }
  }
}

LogicalResult transposeBlocks(CpuKernelEmitter &e, Type element, StridedMatrix from, Value rows, Value columns,
                              StridedMatrix to) {
  const int64_t lanes = registerLanes(e, element);
  auto single = [&](Value firstRow, Value pastRow, Value firstColumn, Value pastColumn) {
    return e.forLoop(firstRow, pastRow, 1, [&](Value i) {
      return e.forLoop(firstColumn, pastColumn, 1, [&](Value j) -> LogicalResult {
        Value value = e.loadScalar(from.pointer, e.addI(e.mulI(i, from.stride), j), element);
        e.storeAt({to.pointer, element}, LaneIndex::uniform(e.addI(e.mulI(j, to.stride), i)), value);
        return success();
      });
    });
  };
  Value zero = e.i64(0);
  if (lanes < 2 || !llvm::isPowerOf2_64(lanes))
    return single(zero, rows, zero, columns);
  Value wholeRows = e.roundDown(rows, lanes), wholeColumns = e.roundDown(columns, lanes);
  LogicalResult squares = e.forLoop(zero, wholeRows, lanes, [&](Value i) {
    return e.forLoop(zero, wholeColumns, lanes, [&](Value j) -> LogicalResult {
      SmallVector<Value> square;
      for (int64_t r = 0; r < lanes; ++r)
        square.push_back(
            e.loadVector(from.pointer, e.addI(e.mulI(e.addI(i, e.i64(r)), from.stride), j), lanes, element));
      transposeRegisters(e, square);
      for (int64_t r = 0; r < lanes; ++r)
        e.storeVector(to.pointer, e.addI(e.mulI(e.addI(j, e.i64(r)), to.stride), i), square[r]);
      return success();
    });
  });
  return success(succeeded(squares) && succeeded(single(zero, wholeRows, wholeColumns, columns)) &&
                 succeeded(single(wholeRows, rows, zero, columns)));
}

bool isPackOfTransposed(Operation *op) {
  auto pack = cast<PackOp>(op);
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  return pack.getTransposed() && isa<BlockArgument>(pack.getW()) && (element.isF32() || element.isF64());
}

/// [b..., N, K] -> [b..., panels, K, tile].
LogicalResult emitPackOfTransposed(CpuKernelEmitter &e, Operation *root) {
  auto op = cast<PackOp>(root);
  Type element = getElementTypeOrSelf(op.getW().getType());
  SymDims w = e.dimsOf(op.getW()), packed = e.dimsOf(op.getResult());
  const int64_t tile = op.getTile();
  SymExpr columns = w[w.size() - 2], depth = w.back(), panels = packed[packed.size() - 3];
  SymExpr batches = product(ArrayRef<SymExpr>(w).drop_back(2));
  e.setRange(batches * panels, SymExpr::ceilDiv(1 << 15, SymExpr::max(depth * SymExpr(tile), 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) -> LogicalResult {
    Value batch = e.divI(item, e.size(panels)), panel = e.subI(item, e.mulI(batch, e.size(panels)));
    Value first = e.mulI(panel, e.i64(tile)), count = e.minI(e.i64(tile), e.subI(e.size(columns), first));
    Value row = e.addI(e.mulI(batch, e.size(columns)), first);
    Value source = e.advance(e.argument(op.getW()).pointer, element, e.mulI(row, e.size(depth)));
    Value target = e.advance(e.result(0).pointer, element, e.mulI(item, e.mulI(e.size(depth), e.i64(tile))));
    if (failed(transposeBlocks(e, element, {source, e.size(depth)}, count, e.size(depth), {target, e.i64(tile)})))
      return failure();
    if (columns.isDivisibleBy(tile))
      return success();
    return e.forLoop(e.i64(0), e.size(depth), 1, [&](Value k) {
      return e.forLoop(count, e.i64(tile), 1, [&](Value j) -> LogicalResult {
        e.storeAt({target, element}, LaneIndex::uniform(e.addI(e.mulI(k, e.i64(tile)), j)),
                  e.constantFloat(element, 0.0));
        return success();
      });
    });
  });
}

bool isPackOfFilter(Operation *op) {
  return op->hasOneUse() && op->getUsers().begin()->hasTrait<OpTrait::IsTerminator>();
}

/// Taps lie together in a filter and far apart in panels: those of a channel come one after the other, so that the
/// lines that they lie in are read once.
LogicalResult emitPackOfFilter(CpuKernelEmitter &e, Operation *root) {
  constexpr int64_t kChannels = 16; // of an item
  auto op = cast<PackFilterOp>(root);
  SymDims w = e.dimsOf(op.getW()), packed = e.dimsOf(op.getResult());
  for (Operation &member : e.getKernel().getBody().front().without_terminator())
    e.setInlined(&member);
  SymExpr channels = w[1], taps = w[2] * w[3], blocks = SymExpr::ceilDiv(channels, kChannels);
  SmallVector<SymExpr> outer{packed[0], packed[1], blocks};
  e.setRange(product(outer),
             SymExpr::ceilDiv(1 << 15, SymExpr::max(taps * SymExpr(kChannels * int64_t(op.getTile())), 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> at = e.delinearize(LaneIndex::uniform(item), outer);
    Value first = e.mulI(at.back().getValue(), e.i64(kChannels));
    Value past = e.minI(e.addI(first, e.i64(kChannels)), e.size(channels));
    return e.forLoop(first, past, 1, [&](Value channel) {
      return e.forLoop(e.i64(0), e.size(taps), 1, [&](Value tap) {
        Value row = e.addI(e.mulI(tap, e.size(channels)), channel);
        auto store = [&](LaneIndex column) { return storeResults(e, {at[0], at[1], LaneIndex::uniform(row), column}); };
        const int64_t tile = int64_t(op.getTile());
        return e.vectorLoop(e.i64(0), e.i64(tile), store, /*wholeOnly=*/tile % e.getWidth() == 0);
      });
    });
  });
}

bool isTransposeOfRows(Operation *op) {
  auto transpose = cast<TransposeOp>(op);
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  auto type = cast<RankedTensorType>(transpose.getX().getType());
  const int64_t rank = type.getRank();
  if (rank < 2 || !isa<BlockArgument>(transpose.getX()) || (!element.isF32() && !element.isF64()) ||
      !llvm::hasSingleElement(op->getBlock()->without_terminator()))
    return false;
  // Short rows are no squares.
  constexpr int64_t kShort = 8;
  int64_t innermost = transpose.getPerm().back();
  auto isLong = [&](int64_t d) { return type.isDynamicDim(d) || type.getDimSize(d) >= kShort; };
  return innermost != rank - 1 && isLong(innermost) && isLong(rank - 1);
}

/// For each position of the other dimensions a matrix of the operand's rows and what becomes the result's rows.
LogicalResult emitTransposeOfRows(CpuKernelEmitter &e, Operation *root) {
  auto op = cast<TransposeOp>(root);
  Type element = getElementTypeOrSelf(op.getX().getType());
  SymDims x = e.dimsOf(op.getX()), y = e.dimsOf(op.getResult());
  const int64_t rank = x.size(), across = op.getPerm().back();                     // of x, innermost in y
  const int64_t along = llvm::find(op.getPerm(), rank - 1) - op.getPerm().begin(); // of y, innermost in x
  constexpr int64_t kRows = 64;
  SymExpr blocks = SymExpr::ceilDiv(x[across], kRows);
  SmallVector<SymExpr> outer; // those of x but the two
  for (int64_t d = 0; d + 1 < rank; ++d)
    if (d != across)
      outer.push_back(x[d]);
  outer.push_back(blocks);
  e.setRange(product(outer), SymExpr::ceilDiv(1 << 15, SymExpr::max(SymExpr::min(x[across], kRows) * x.back(), 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> at = e.delinearize(LaneIndex::uniform(item), outer);
    Value first = e.mulI(at.back().getValue(), e.i64(kRows));
    SmallVector<LaneIndex> source, target;
    for (int64_t d = 0, next = 0; d < rank; ++d)
      source.push_back(d == across ? LaneIndex::uniform(first) : d == rank - 1 ? e.constantIndex(0) : at[next++]);
    for (int64_t d : op.getPerm())
      target.push_back(source[d]);
    auto stride = [&](const SymDims &dims, int64_t d) {
      return e.size(product(ArrayRef<SymExpr>(dims).drop_front(d + 1)));
    };
    Value from = e.advance(e.argument(op.getX()).pointer, element, e.linearize(source, x).getValue());
    Value to = e.advance(e.result(0).pointer, element, e.linearize(target, y).getValue());
    Value rows = e.minI(e.i64(kRows), e.subI(e.size(x[across]), first));
    return transposeBlocks(e, element, {from, stride(x, across)}, rows, e.size(x.back()), {to, stride(y, along)});
  });
}

} // namespace ds
