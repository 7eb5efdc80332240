//===- ConvFilterVjp.cpp - Derivatives of convolutions by their filters ---===//
// Assumes: layout nhwc, two spatial dims; f32 or f64; operands in memory.
// Guarantees: a tile of the result (a tap, a few input channels, two vectors of output channels) stays in registers
//   while pixels pass by: each is an outer product of channels that lie together in memory, nothing is packed. Taps
//   take turns over blocks of pixels that fit into the first-level cache, and the sums of the blocks are added:
//   rounding errors do not grow with the number of pixels. Bounds of the loops over pixels keep to the input, so that
//   padding costs nothing. Threads share tiles, so that results do not depend on their number. Where each group has one
//   channel on both sides, vectors run along the groups.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsAdjoint.h"
#include "lib/Codegen/CPU/RegisterTile.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

namespace {

class FilterVjpEmitter {
public:
  FilterVjpEmitter(CpuKernelEmitter &e, ConvFilterVjpOp op);
  LogicalResult emit();

private:
  struct Range {
    Value first, past;
  };
  /// The result positions in [range) whose tap `tap` lies within the input along spatial dim d.
  Range inside(unsigned d, Value tap, Range range);
  LogicalResult emitTile();
  LogicalResult addTap(Range images, Range lines, Value kh, Value kw);
  FailureOr<SmallVector<Value>> pixel(Value left, Value right, ValueRange sums);
  LogicalResult store();
  Value scratchAt(Value tap, int64_t row, int64_t v) {
    return e.addI(e.mulI(e.subI(tap, firstTap), e.i64(height * columns)), e.i64(row * columns + v * e.getWidth()));
  }

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  ConvFilterVjpOp op;
  SymDims x, y;
  ArrayRef<int64_t> kernel, strides, low, dilations;
  Type type;
  bool depthwise;
  SymExpr groups, inputs, outputs;              // channels of a group; of all, where vectors run along groups
  int64_t vectors = 0, columns = 0, height = 0; // of a tile
  int64_t shares = 1;                           // of the taps: one, or one a line of taps
  SmallVector<Value> masks;                     // of the tile's vectors; empty if all are whole
  Value buffer;                                 // the tile, for each tap
  // Of the tile at hand.
  Value group, firstIn, ownIn, firstOut, firstTap, pastTap;
};

} // namespace

FilterVjpEmitter::FilterVjpEmitter(CpuKernelEmitter &e, ConvFilterVjpOp op)
    : e(e), b(e.builder()), loc(e.getLoc()), op(op), x(e.dimsOf(op.getX())), y(e.dimsOf(op.getY())),
      kernel(op.getKernel()), strides(op.getStrides()), low(op.getPadsLow()), dilations(op.getDilations()),
      type(getElementTypeOrSelf(op.getResult().getType())) {
  const int64_t group = op.getGroup();
  inputs = SymExpr::exactDiv(x[3], group);
  outputs = SymExpr::exactDiv(y[3], group);
  depthwise = group > 1 && inputs.isConst(1) && outputs.isConst(1);
  groups = SymExpr(depthwise ? 1 : group);
  if (depthwise)
    outputs = y[3];
}

FilterVjpEmitter::Range FilterVjpEmitter::inside(unsigned d, Value tap, Range range) {
  // 0 <= p * stride - low + tap * dilation < size
  Value offset = e.subI(e.i64(low[d]), e.mulI(tap, e.i64(dilations[d])));
  auto steps = [&](Value distance) {
    return e.divI(e.addI(e.maxI(distance, e.i64(0)), e.i64(strides[d] - 1)), e.i64(strides[d]));
  };
  return {e.maxI(range.first, steps(offset)), e.minI(range.past, steps(e.addI(e.size(x[1 + d]), offset)))};
}

FailureOr<SmallVector<Value>> FilterVjpEmitter::pixel(Value left, Value right, ValueRange sums) {
  SmallVector<Value> next;
  auto vectorType = VectorType::get({e.getWidth()}, type);
  auto load = [&](Value pointer, int64_t v) {
    CpuKernelEmitter::Scope scope(e);
    if (!masks.empty())
      e.setMask(masks[v]);
    return e.loadAt({pointer, type}, LaneIndex::consecutive(e.i64(v * e.getWidth())));
  };
  SmallVector<Value> cotangents;
  for (int64_t v = 0; v < vectors; ++v)
    cotangents.push_back(load(right, v));
  for (int64_t row = 0; row < height; ++row) {
    Value one;
    if (!depthwise)
      one = vector::BroadcastOp::create(b, loc, vectorType, e.loadAt({left, type}, LaneIndex::uniform(e.i64(row))));
    for (int64_t v = 0; v < vectors; ++v)
      next.push_back(
          vector::FMAOp::create(b, loc, depthwise ? load(left, v) : one, cotangents[v], sums[row * vectors + v]));
  }
  return next;
}

LogicalResult FilterVjpEmitter::addTap(Range images, Range lines, Value kh, Value kw) {
  Value zero = e.broadcast(e.constantFloat(type, 0.0));
  SmallVector<Value> none(height * vectors, zero);
  Range rows = inside(0, kh, lines), places = inside(1, kw, {e.i64(0), e.size(y[2])});
  Value xPointer = e.advance(e.argument(op.getX()).pointer, type, firstIn);
  Value yPointer = e.advance(e.argument(op.getY()).pointer, type, firstOut);
  Value xStep = e.mulI(e.size(x[3]), e.i64(strides[1]));
  Value top = e.subI(e.mulI(kh, e.i64(dilations[0])), e.i64(low[0]));
  Value side = e.subI(e.mulI(kw, e.i64(dilations[1])), e.i64(low[1]));
  auto line = [&](Value n, Value oh, ValueRange sums) {
    Value ih = e.addI(e.mulI(oh, e.i64(strides[0])), top);
    Value xLine = e.mulI(e.addI(e.mulI(e.addI(e.mulI(n, e.size(x[1])), ih), e.size(x[2])), side), e.size(x[3]));
    Value yLine = e.mulI(e.mulI(e.addI(e.mulI(n, e.size(y[1])), oh), e.size(y[2])), e.size(y[3]));
    Value xStart = e.advance(xPointer, type, xLine), yStart = e.advance(yPointer, type, yLine);
    return e.forLoop(places.first, places.past, 1, sums, [&](Value ow, ValueRange carried) {
      return pixel(e.advance(xStart, type, e.mulI(ow, xStep)), e.advance(yStart, type, e.mulI(ow, e.size(y[3]))),
                   carried);
    });
  };
  auto sums = e.forLoop(images.first, images.past, 1, none, [&](Value n, ValueRange carried) {
    return e.forLoop(rows.first, rows.past, 1, carried, [&](Value oh, ValueRange state) { return line(n, oh, state); });
  });
  if (failed(sums))
    return failure();
  Value tap = e.addI(e.mulI(kh, e.i64(kernel[1])), kw);
  for (int64_t row = 0; row < height; ++row)
    for (int64_t v = 0; v < vectors; ++v) {
      LaneIndex at = LaneIndex::consecutive(scratchAt(tap, row, v));
      Value before = e.loadAt({buffer, type}, at);
      e.storeAt({buffer, type}, at, arith::AddFOp::create(b, loc, before, (*sums)[row * vectors + v]));
    }
  return success();
}

/// The tile's channels, taps together as filters have them.
LogicalResult FilterVjpEmitter::store() {
  Value taps = e.i64(kernel[0] * kernel[1]), perOutput = depthwise ? e.i64(1) : e.size(inputs);
  Value base = e.mulI(group, e.size(outputs)), own = firstOut;
  if (!groups.isConst(1))
    own = e.subI(firstOut, base); // within the group
  Value count = e.minI(e.i64(columns), e.subI(e.size(outputs), own));
  Value firstRow = depthwise ? e.i64(0) : e.subI(firstIn, e.mulI(group, e.size(inputs)));
  return e.forLoop(e.i64(0), count, 1, [&](Value column) {
    Value output = e.mulI(e.addI(firstOut, column), perOutput);
    // Rows that the tile before this one has are its own.
    return e.forLoop(ownIn, e.i64(height), 1, [&](Value row) {
      Value target = e.mulI(e.addI(output, e.addI(firstRow, row)), taps);
      Value source = e.addI(e.mulI(row, e.i64(columns)), column);
      return e.forLoop(firstTap, pastTap, 1, [&](Value tap) -> LogicalResult {
        Value at = e.addI(source, e.mulI(e.subI(tap, firstTap), e.i64(height * columns)));
        e.storeAt(e.result(0), LaneIndex::uniform(e.addI(target, tap)),
                  e.loadAt({buffer, type}, LaneIndex::uniform(at)));
        return success();
      });
    });
  });
}

LogicalResult FilterVjpEmitter::emitTile() {
  Value zero = e.broadcast(e.constantFloat(type, 0.0));
  Value length = e.mulI(e.subI(pastTap, firstTap), e.i64(height * columns));
  if (failed(e.forLoop(e.i64(0), length, e.getWidth(), [&](Value at) -> LogicalResult {
        e.storeAt({buffer, type}, LaneIndex::consecutive(at), zero);
        return success();
      })))
    return failure();
  // Pixels of a block: their cotangents stay in the first-level cache for all taps.
  constexpr int64_t kPixels = 128;
  int64_t images = 1, lines = 4;
  if (y[2].isConst() && y[2].getConst() > 0) {
    int64_t width = y[2].getConst();
    lines = std::max<int64_t>(1, kPixels / width);
    if (y[1].isConst() && y[1].getConst() > 0 && y[1].getConst() <= lines) {
      lines = y[1].getConst();
      images = std::max<int64_t>(1, kPixels / (lines * width));
    }
  }
  Value kernelW = e.i64(kernel[1]);
  Value firstLine = e.divI(firstTap, kernelW), pastLine = e.divI(pastTap, kernelW);
  Value batch = e.size(x[0]), height = e.size(y[1]);
  LogicalResult summed = e.forLoop(e.i64(0), batch, images, [&](Value n) {
    Range block{n, images == 1 ? e.addI(n, e.i64(1)) : e.minI(e.addI(n, e.i64(images)), batch)};
    return e.forLoop(e.i64(0), height, lines, [&](Value oh) {
      Range rows{oh, e.minI(e.addI(oh, e.i64(lines)), height)};
      return e.forLoop(firstLine, pastLine, 1, [&](Value kh) {
        return e.forLoop(e.i64(0), kernelW, 1, [&](Value kw) { return addTap(block, rows, kh, kw); });
      });
    });
  });
  return success(succeeded(summed) && succeeded(store()));
}

LogicalResult FilterVjpEmitter::emit() {
  inlineOthers(e, op);
  const int64_t registers = type.isF64() ? 2 : 1, lanes = e.getWidth();
  const int64_t available = e.getTarget().vectorRegisters;
  vectors = 2 / registers;
  height = inputs.isConst() && !depthwise && inputs.getConst() > 0
               ? tileHeight(inputs.getConst(), tallestTile(2, available))
               : 1;
  // Few rows: more vectors, for enough sums in flight.
  if (height <= 4 && (height + 1) * 2 * vectors * registers < available)
    vectors *= 2;
  if (outputs.isConst())
    vectors = std::clamp<int64_t>(llvm::divideCeil(outputs.getConst(), lanes), 1, vectors);
  columns = vectors * lanes;
  SymExpr rowTiles = SymExpr::ceilDiv(depthwise ? SymExpr(1) : inputs, height);
  SymExpr columnTiles = SymExpr::ceilDiv(outputs, columns), tiles = groups * rowTiles * columnTiles;
  // Where tiles are few, threads share the taps too.
  constexpr int64_t kFewTiles = 16;
  const int64_t taps = kernel[0] * kernel[1];
  if (tiles.isConst() && tiles.getConst() < kFewTiles)
    shares = kernel[0];
  const int64_t perShare = taps / shares;
  buffer = e.scratch(SymExpr(int64_t(type.getIntOrFloatBitWidth() / 8) * perShare * height * columns));
  SymExpr perItem = x[0] * y[1] * y[2] * SymExpr(perShare * height * columns);
  e.setRange(tiles * SymExpr(shares), SymExpr::ceilDiv(1 << 18, SymExpr::max(perItem, 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> at =
        e.delinearize(LaneIndex::uniform(item), {groups, columnTiles, rowTiles, SymExpr(shares)});
    group = at[0].getValue();
    Value column = e.mulI(at[1].getValue(), e.i64(columns));
    firstOut = e.addI(e.mulI(group, e.size(outputs)), column);
    masks.clear();
    if (!outputs.isDivisibleBy(columns))
      for (int64_t v = 0; v < vectors; ++v)
        masks.push_back(e.lanesBelow(e.addI(column, e.i64(v * lanes)), e.size(outputs)));
    if (depthwise) {
      firstIn = firstOut;
      ownIn = e.i64(0);
    } else {
      // The last tile moves back over rows of the one before it.
      Value wanted = e.mulI(at[2].getValue(), e.i64(height));
      Value row = e.minI(wanted, e.subI(e.size(inputs), e.i64(height)));
      ownIn = e.subI(wanted, row);
      firstIn = e.addI(e.mulI(group, e.size(inputs)), row);
    }
    firstTap = e.mulI(at[3].getValue(), e.i64(perShare));
    pastTap = e.addI(firstTap, e.i64(perShare));
    return emitTile();
  });
}

LogicalResult emitConvFilterVjp(CpuKernelEmitter &e, Operation *root) {
  return FilterVjpEmitter(e, cast<ConvFilterVjpOp>(root)).emit();
}

} // namespace ds
