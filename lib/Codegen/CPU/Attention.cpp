//===- Attention.cpp - Kernels whose root is attention --------------------===//
// Assumes: what follows the root is pointwise in its result or permutes it.
// Guarantees: no more than one tile of scores exists at a time, in the worker's scratch. Keys are packed once a head,
//   in panels [S / panel][D][panel]. A tile of up to four queries goes through three steps: scores in registers over
//   all of D, with mask and maximum; exponentials and their sum; results in registers over all of S. Few queries
//   (decoding) are not worth packing for: their scores are dot products with the keys where they lie. Scores are in
//   units of log2(e), but for a mask of floats: there the lowest finite number must stay finite.
// Declines: nothing; f16 and bf16 are computed in f32.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;

namespace ds {

namespace {

constexpr int64_t kBlock = 32;     // queries an item
constexpr int64_t kTallest = 4;    // queries a tile
constexpr int64_t kVectors = 2;    // vectors a panel
constexpr int64_t kFewQueries = 4; // fewer are not worth packing the keys
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class AttentionEmitter {
public:
  AttentionEmitter(CpuKernelEmitter &e, AttentionOp op)
      : e(e), b(e.builder()), loc(e.getLoc()), op(op), results(e, op), q(op.getQ()), k(op.getK()), v(op.getV()),
        type(ElementBuilder::computeType(getElementTypeOrSelf(q.getType()))), math(e, type), lanes(e.getWidth()),
        panel(kVectors * lanes) {}

  LogicalResult emit();

private:
  /// One tile of queries row .. row + height - 1.
  struct Tile {
    int64_t height;
    Value row;
    bool dots;               // scores from the keys where they lie
    Value limit;             // keys that some query of the tile sees
    SmallVector<Value> most; // the maximum of each row, then what is subtracted
    SmallVector<Value> sums;
  };

  SmallVector<LaneIndex> at(LaneIndex row, LaneIndex column) {
    SmallVector<LaneIndex> indices(head);
    indices.append({row, column});
    return indices;
  }
  FailureOr<Value> read(Value tensor, LaneIndex row, LaneIndex column) {
    auto value = e.element(tensor, at(row, column));
    if (failed(value))
      return failure();
    return e.broadcast(*value);
  }
  FailureOr<Value> readValue(Value row, Value column) {
    if (packsValues)
      return e.loadAt(values, LaneIndex::consecutive(e.addI(e.mulI(row, e.size(width)), column)));
    return read(v, LaneIndex::uniform(row), LaneIndex::consecutive(column));
  }
  /// Keys that query `row` sees.
  Value visible(Value row);
  LogicalResult packKeys();
  LogicalResult packKeyBlock(Value first, bool clamped);
  LogicalResult packKeyColumns();
  LogicalResult packValues();
  LogicalResult loadQueries(const Tile &tile);
  FailureOr<SmallVector<Value>> panelProducts(const Tile &tile, Value number);
  FailureOr<SmallVector<Value>> dotProducts(Value number, bool cut);
  LogicalResult scores(Tile &tile);
  FailureOr<Value> maskScore(Value score, Value row, Value column, bool cut);
  LogicalResult exponentials(Tile &tile);
  LogicalResult outputs(const Tile &tile);
  LogicalResult outputBlock(const Tile &tile, Value column, int64_t vectors);
  LogicalResult emitTile(int64_t height, Value row, bool dots);
  Value panelsOf(Value columns) { return e.divI(e.addI(columns, e.i64(panel - 1)), e.i64(panel)); }
  Value scoreAt(int64_t height, Value number, int64_t row) {
    return e.addI(e.mulI(number, e.i64(height * panel)), e.i64(row * panel));
  }

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  AttentionOp op;
  RootResults results;
  Value q, k, v;
  Type type;
  FloatMath math;
  int64_t lanes, panel;
  SymExpr queries, keysCount, depth, paddedDepth, width; // T, S, D, D in whole vectors, E
  SymDims scoreDims;
  bool natural = false, packsValues = false;
  MemoryRef keys, values, queryTile, scoreTile;
  SmallVector<LaneIndex> head; // the batch indices
};

/// The dimension of `tensor` along which memory runs.
unsigned runningDim(CpuKernelEmitter &e, Value tensor) {
  unsigned last = cast<RankedTensorType>(tensor.getType()).getRank() - 1;
  auto transpose = tensor.getDefiningOp<TransposeOp>();
  if (!transpose)
    return last;
  unsigned inner = runningDim(e, transpose.getX());
  return llvm::find(transpose.getPerm(), inner) - transpose.getPerm().begin();
}

/// Whether elements are read from memory as they are.
bool isMoved(CpuKernelEmitter &e, Value tensor) {
  while (auto transpose = tensor.getDefiningOp<TransposeOp>())
    tensor = transpose.getX();
  return e.isArgument(tensor);
}

/// rows[i] lane j <-> rows[j] lane i: halves are exchanged between rows 1, 2, 4, ... apart.
void transpose(CpuKernelEmitter &e, MutableArrayRef<Value> rows) {
  int64_t lanes = rows.size();
  for (int64_t step = 1; step < lanes; step *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      low.push_back(lane & step ? lanes + lane - step : lane);
      high.push_back(lane & step ? lanes + lane : lane + step);
    }
    for (int64_t i = 0; i < lanes; ++i) {
      if (i & step)
        continue;
      Value x = rows[i], y = rows[i + step];
      rows[i] = vector::ShuffleOp::create(e.builder(), e.getLoc(), x, y, low);
      rows[i + step] = vector::ShuffleOp::create(e.builder(), e.getLoc(), x, y, high);
    }
  }
}

/// Lane i of the result: the sum of the lanes of rows[i].
Value sumOfEach(CpuKernelEmitter &e, FloatMath &math, SmallVector<Value> rows) {
  int64_t lanes = rows.size();
  // Lanes of two rows share a vector from each step on: rows i and i + step take the lanes without and with that bit.
  for (int64_t step = lanes / 2; step >= 1; step /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      low.push_back(lane & step ? lanes + lane - step : lane);
      high.push_back(lane & step ? lanes + lane : lane + step);
    }
    for (int64_t i = 0; i < step; ++i) {
      Value x = rows[i], y = rows[i + step];
      rows[i] = math.add(vector::ShuffleOp::create(e.builder(), e.getLoc(), x, y, low),
                         vector::ShuffleOp::create(e.builder(), e.getLoc(), x, y, high));
    }
  }
  return rows[0];
}

} // namespace

Value AttentionEmitter::visible(Value row) {
  Value all = e.size(keysCount);
  if (!op.getCausal())
    return all;
  Value offset = e.size(keysCount - queries + SymExpr(1));
  return e.maxI(e.minI(e.addI(row, offset), all), e.i64(0));
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

LogicalResult AttentionEmitter::packKeyBlock(Value first, bool clamped) {
  Value number = e.divI(first, e.i64(panel)), inPanel = e.remI(first, e.i64(panel));
  Value start = e.addI(e.mulI(number, e.size(paddedDepth * SymExpr(panel))), inPanel);
  Value last = e.size(keysCount - SymExpr(1));
  return e.vectorLoop(e.i64(0), e.size(depth), [&](LaneIndex d) -> LogicalResult {
    SmallVector<Value> rows;
    for (int64_t i = 0; i < lanes; ++i) {
      Value row = e.addI(first, e.i64(i));
      auto value = read(k, LaneIndex::uniform(clamped ? e.minI(row, last) : row), d);
      if (failed(value))
        return failure();
      rows.push_back(*value);
    }
    transpose(e, rows);
    // A panel has room for whole vectors of D.
    e.setMask(Value());
    for (int64_t i = 0; i < lanes; ++i) {
      Value position = e.addI(start, e.mulI(e.addI(d.getValue(), e.i64(i)), e.i64(panel)));
      e.storeAt(keys, LaneIndex::consecutive(position), rows[i]);
    }
    return success();
  });
}

/// The keys lie transposed in memory: what the panels need is there already.
LogicalResult AttentionEmitter::packKeyColumns() {
  return e.forLoop(e.i64(0), e.size(depth), 1, [&](Value d) -> LogicalResult {
    return e.vectorLoop(e.i64(0), e.size(keysCount), [&](LaneIndex s) -> LogicalResult {
      auto value = read(k, s, LaneIndex::uniform(d));
      if (failed(value))
        return failure();
      Value number = e.divI(s.getValue(), e.i64(panel)), inPanel = e.remI(s.getValue(), e.i64(panel));
      Value position = e.mulI(e.addI(e.mulI(number, e.size(paddedDepth)), d), e.i64(panel));
      e.storeAt(keys, LaneIndex::consecutive(e.addI(position, inPanel)), *value);
      return success();
    });
  });
}

LogicalResult AttentionEmitter::packKeys() {
  if (runningDim(e, k) + 2 == scoreDims.size())
    return packKeyColumns();
  Value count = e.size(keysCount), whole = e.roundDown(count, lanes);
  if (failed(e.forLoop(e.i64(0), whole, lanes, [&](Value first) { return packKeyBlock(first, false); })))
    return failure();
  if (keysCount.isDivisibleBy(lanes))
    return success();
  return e.ifThen(e.lessI(whole, count), [&] { return packKeyBlock(whole, true); });
}

LogicalResult AttentionEmitter::packValues() {
  return e.forLoop(e.i64(0), e.size(keysCount), 1, [&](Value row) -> LogicalResult {
    Value start = e.mulI(row, e.size(width));
    return e.vectorLoop(e.i64(0), e.size(width), [&](LaneIndex column) -> LogicalResult {
      auto value = read(v, LaneIndex::uniform(row), column);
      if (failed(value))
        return failure();
      e.storeAt(values, e.add(column, LaneIndex::uniform(start)), *value);
      return success();
    });
  });
}

LogicalResult AttentionEmitter::loadQueries(const Tile &tile) {
  constexpr double kLog2E = 1.4426950408889634;
  double scale = op.getScale().convertToDouble();
  Value factor = math.constant(natural ? scale : scale * kLog2E);
  return e.vectorLoop(e.i64(0), e.size(depth), [&](LaneIndex d) -> LogicalResult {
    Value live = e.getMask();
    for (int64_t r = 0; r < tile.height; ++r) {
      e.setMask(live);
      auto value = read(q, LaneIndex::uniform(e.addI(tile.row, e.i64(r))), d);
      if (failed(value))
        return failure();
      Value scaled = math.mul(*value, factor);
      if (live)
        scaled = e.select(live, scaled, math.vectorOf(0));
      e.setMask(Value());
      Value start = e.mulI(e.i64(r), e.size(paddedDepth));
      e.storeAt(queryTile, e.add(d, LaneIndex::uniform(start)), scaled);
    }
    return success();
  });
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> AttentionEmitter::panelProducts(const Tile &tile, Value number) {
  int64_t count = tile.height * kVectors;
  // Low tiles sum alternate steps apart: enough additions in flight to hide their latency.
  int64_t chains = std::max<int64_t>(1, 8 / count);
  SmallVector<Value> init(count * chains, math.vectorOf(0));
  Value start = e.mulI(number, e.size(paddedDepth * SymExpr(panel)));
  auto step = [&](Value d, MutableArrayRef<Value> sums) {
    SmallVector<Value> right;
    Value position = e.addI(start, e.mulI(d, e.i64(panel)));
    for (int64_t i = 0; i < kVectors; ++i)
      right.push_back(e.loadAt(keys, LaneIndex::consecutive(e.addI(position, e.i64(i * lanes)))));
    for (int64_t r = 0; r < tile.height; ++r) {
      Value left = e.loadAt(queryTile, LaneIndex::uniform(e.addI(e.mulI(e.i64(r), e.size(paddedDepth)), d)));
      for (int64_t i = 0; i < kVectors; ++i)
        sums[r * kVectors + i] = math.fma(left, right[i], sums[r * kVectors + i]);
    }
  };
  Value limit = e.size(depth), whole = e.roundDown(limit, chains);
  auto sums = e.forLoop(e.i64(0), whole, chains, init, [&](Value d, ValueRange state) -> FailureOr<SmallVector<Value>> {
    SmallVector<Value> next(state);
    for (int64_t c = 0; c < chains; ++c)
      step(e.addI(d, e.i64(c)), MutableArrayRef<Value>(next).slice(c * count, count));
    return next;
  });
  if (failed(sums))
    return failure();
  for (int64_t c = chains; c > 1; c /= 2)
    for (int64_t i = 0; i < count * c / 2; ++i)
      (*sums)[i] = math.add((*sums)[i], (*sums)[i + count * c / 2]);
  sums->resize(count);
  if (depth.isDivisibleBy(chains))
    return sums;
  return e.forLoop(whole, limit, 1, *sums, [&](Value d, ValueRange state) -> FailureOr<SmallVector<Value>> {
    SmallVector<Value> next(state);
    step(d, next);
    return next;
  });
}

FailureOr<SmallVector<Value>> AttentionEmitter::dotProducts(Value number, bool cut) {
  SmallVector<Value> sums;
  Value limit = e.size(depth), whole = e.roundDown(limit, lanes), last = e.size(keysCount - SymExpr(1));
  for (int64_t part = 0; part < kVectors; ++part) {
    Value first = e.addI(e.mulI(number, e.i64(panel)), e.i64(part * lanes));
    auto step = [&](Value d, ValueRange state) -> FailureOr<SmallVector<Value>> {
      Value live = e.getMask();
      Value left = e.loadAt(queryTile, LaneIndex::consecutive(d));
      SmallVector<Value> next;
      for (int64_t i = 0; i < lanes; ++i) {
        Value row = e.addI(first, e.i64(i));
        auto key = read(k, LaneIndex::uniform(cut ? e.minI(row, last) : row), LaneIndex::consecutive(d));
        if (failed(key))
          return failure();
        if (live)
          *key = e.select(live, *key, math.vectorOf(0));
        next.push_back(math.fma(left, *key, state[i]));
      }
      return next;
    };
    SmallVector<Value> init(lanes, math.vectorOf(0));
    auto rows = e.forLoop(e.i64(0), whole, lanes, init, step);
    if (succeeded(rows) && !depth.isDivisibleBy(lanes))
      rows = e.forLoop(whole, limit, lanes, *rows, [&](Value d, ValueRange state) {
        e.setMask(e.lanesBelow(d, limit));
        return step(d, state);
      });
    if (failed(rows))
      return failure();
    sums.push_back(sumOfEach(e, math, *rows));
  }
  return sums;
}

FailureOr<Value> AttentionEmitter::maskScore(Value score, Value row, Value column, bool cut) {
  CpuKernelEmitter::Scope scope(e);
  Value hidden = math.vectorOf(-kInfinity), live;
  if (cut) {
    live = e.lanesBelow(column, visible(row));
    e.setMask(live);
  }
  if (Value mask = op.getMask()) {
    auto value = e.broadcastElement(mask, at(LaneIndex::uniform(row), LaneIndex::consecutive(column)), scoreDims);
    if (failed(value))
      return failure();
    bool flags = getElementTypeOrSelf(mask.getType()).isInteger(1);
    score = flags ? e.select(*value, score, hidden) : math.add(score, *value);
  }
  return cut ? e.select(live, score, hidden) : score;
}

LogicalResult AttentionEmitter::scores(Tile &tile) {
  auto body = [&](Value number, ValueRange state, bool cut) -> FailureOr<SmallVector<Value>> {
    auto products = tile.dots ? dotProducts(number, cut) : panelProducts(tile, number);
    if (failed(products))
      return failure();
    SmallVector<Value> most(state);
    Value column = e.mulI(number, e.i64(panel));
    for (int64_t r = 0; r < tile.height; ++r)
      for (int64_t i = 0; i < kVectors; ++i) {
        auto score =
            maskScore((*products)[r * kVectors + i], e.addI(tile.row, e.i64(r)), e.addI(column, e.i64(i * lanes)), cut);
        if (failed(score))
          return failure();
        Value position = e.addI(scoreAt(tile.height, number, r), e.i64(i * lanes));
        e.storeAt(scoreTile, LaneIndex::consecutive(position), *score);
        most[r] = math.max(*score, most[r]);
      }
    return most;
  };
  // Panels that all queries see whole need no comparisons.
  Value whole = e.divI(visible(tile.row), e.i64(panel)), all = panelsOf(tile.limit);
  SmallVector<Value> init(tile.height, math.vectorOf(-kInfinity));
  auto most =
      e.forLoop(e.i64(0), whole, 1, init, [&](Value number, ValueRange state) { return body(number, state, false); });
  if (succeeded(most) && (op.getCausal() || !keysCount.isDivisibleBy(panel)))
    most = e.forLoop(whole, all, 1, *most, [&](Value number, ValueRange state) { return body(number, state, true); });
  if (failed(most))
    return failure();
  for (Value &value : *most) {
    value = foldLanes(e, value, [&](Value x, Value y) { return math.max(x, y); });
    if (op.getZeroMaskedRows()) {
      Value none = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, value, math.constant(-kInfinity));
      value = e.select(none, math.constant(0), value);
    }
    value = e.broadcast(value);
  }
  tile.most = *most;
  return success();
}

LogicalResult AttentionEmitter::exponentials(Tile &tile) {
  SmallVector<Value> init(tile.height, math.vectorOf(0));
  auto sums = e.forLoop(
      e.i64(0), panelsOf(tile.limit), 1, init, [&](Value number, ValueRange state) -> FailureOr<SmallVector<Value>> {
        SmallVector<Value> next(state);
        for (int64_t r = 0; r < tile.height; ++r)
          for (int64_t i = 0; i < kVectors; ++i) {
            auto position = LaneIndex::consecutive(e.addI(scoreAt(tile.height, number, r), e.i64(i * lanes)));
            Value x = math.sub(e.loadAt(scoreTile, position), tile.most[r]);
            Value power = natural ? math.expNonPositive(x) : math.exp2NonPositive(x);
            e.storeAt(scoreTile, position, power);
            next[r] = math.add(next[r], power);
          }
        return next;
      });
  if (failed(sums))
    return failure();
  for (Value &value : *sums)
    value = foldLanes(e, value, [&](Value x, Value y) { return math.add(x, y); });
  tile.sums = *sums;
  return success();
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

LogicalResult AttentionEmitter::outputBlock(const Tile &tile, Value column, int64_t vectors) {
  int64_t count = tile.height * vectors;
  int64_t chains = std::max<int64_t>(1, 8 / count);
  SmallVector<Value> init(count * chains, math.vectorOf(0));
  auto step = [&](Value row, Value score, MutableArrayRef<Value> sums) -> LogicalResult {
    SmallVector<Value> right;
    for (int64_t i = 0; i < vectors; ++i) {
      auto value = readValue(row, e.addI(column, e.i64(i * lanes)));
      if (failed(value))
        return failure();
      right.push_back(*value);
    }
    for (int64_t r = 0; r < tile.height; ++r) {
      Value left = e.loadAt(scoreTile, LaneIndex::uniform(e.addI(score, e.i64(r * panel))));
      for (int64_t i = 0; i < vectors; ++i)
        sums[r * vectors + i] = math.fma(left, right[i], sums[r * vectors + i]);
    }
    return success();
  };
  auto overPanel = [&](Value number, ValueRange state) -> FailureOr<SmallVector<Value>> {
    Value first = e.mulI(number, e.i64(panel)), start = scoreAt(tile.height, number, 0);
    Value limit = e.minI(e.i64(panel), e.subI(tile.limit, first)), whole = e.roundDown(limit, chains);
    auto sums =
        e.forLoop(e.i64(0), whole, chains, state, [&](Value j, ValueRange carried) -> FailureOr<SmallVector<Value>> {
          SmallVector<Value> next(carried);
          for (int64_t c = 0; c < chains; ++c) {
            Value offset = e.addI(j, e.i64(c));
            if (failed(step(e.addI(first, offset), e.addI(start, offset),
                            MutableArrayRef<Value>(next).slice(c * count, count))))
              return failure();
          }
          return next;
        });
    if (failed(sums) || chains == 1)
      return sums;
    return e.forLoop(whole, limit, 1, *sums, [&](Value j, ValueRange carried) -> FailureOr<SmallVector<Value>> {
      SmallVector<Value> next(carried);
      if (failed(step(e.addI(first, j), e.addI(start, j), MutableArrayRef<Value>(next).take_front(count))))
        return failure();
      return next;
    });
  };
  auto sums = e.forLoop(e.i64(0), panelsOf(tile.limit), 1, init, overPanel);
  if (failed(sums))
    return failure();
  for (int64_t c = chains; c > 1; c /= 2)
    for (int64_t i = 0; i < count * c / 2; ++i)
      (*sums)[i] = math.add((*sums)[i], (*sums)[i + count * c / 2]);
  for (int64_t r = 0; r < tile.height; ++r) {
    Value sum = tile.sums[r], factor = math.div(math.constant(1), sum), empty;
    if (op.getZeroMaskedRows()) {
      // A row without keys has weights of 0 as well as a sum of 0: its result is 0 * v, NaN where v is not finite.
      Value none = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, sum, math.constant(0));
      factor = e.select(none, math.constant(1), factor);
      empty = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, sum, sum);
    } else if (!keysCount.isPositive())
      empty = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, e.size(keysCount), e.i64(0));
    for (int64_t i = 0; i < vectors; ++i) {
      Value result = math.mul((*sums)[r * vectors + i], factor);
      if (empty)
        result = e.select(empty, math.vectorOf(0), result);
      e.bind(op.getResult(), result);
      Value at = e.addI(column, e.i64(i * lanes));
      if (failed(results.store(this->at(LaneIndex::uniform(e.addI(tile.row, e.i64(r))), LaneIndex::consecutive(at)))))
        return failure();
    }
  }
  return success();
}

LogicalResult AttentionEmitter::outputs(const Tile &tile) {
  int64_t vectors = e.getTarget().vectorRegisters >= 32 ? 4 : 2;
  Value limit = e.size(width), wide = e.roundDown(limit, vectors * lanes), whole = e.roundDown(limit, lanes);
  if (failed(
          e.forLoop(e.i64(0), wide, vectors * lanes, [&](Value column) { return outputBlock(tile, column, vectors); })))
    return failure();
  if (width.isDivisibleBy(vectors * lanes))
    return success();
  if (failed(e.forLoop(wide, whole, lanes, [&](Value column) { return outputBlock(tile, column, 1); })))
    return failure();
  if (width.isDivisibleBy(lanes))
    return success();
  return e.ifThen(e.lessI(whole, limit), [&] {
    e.setMask(e.lanesBelow(whole, limit));
    return outputBlock(tile, whole, 1);
  });
}

LogicalResult AttentionEmitter::emitTile(int64_t height, Value row, bool dots) {
  CpuKernelEmitter::Scope scope(e);
  Tile tile{height, row, dots, visible(e.addI(row, e.i64(height - 1))), {}, {}};
  if (failed(loadQueries(tile)) || failed(scores(tile)) || failed(exponentials(tile)))
    return failure();
  return outputs(tile);
}

LogicalResult AttentionEmitter::emit() {
  inlineOthers(e, op);
  SymDims qDims = e.dimsOf(q), vDims = e.dimsOf(v);
  unsigned rank = qDims.size();
  scoreDims = qDims;
  scoreDims.back() = keysCount = e.dimsOf(k)[rank - 2];
  queries = qDims[rank - 2];
  depth = qDims.back();
  width = vDims.back();
  paddedDepth = SymExpr::ceilDiv(depth, lanes) * SymExpr(lanes);
  SmallVector<SymExpr> leading(qDims.begin(), qDims.end() - 2);
  natural = op.getMask() && !getElementTypeOrSelf(op.getMask().getType()).isInteger(1);
  packsValues = !isMoved(e, v) || runningDim(e, v) + 1 != rank || getElementTypeOrSelf(v.getType()) != type;

  SymExpr heads = product(leading), blocks = SymExpr::ceilDiv(queries, kBlock);
  SymExpr perItem = SymExpr::min(queries, kBlock) * keysCount * (depth + width);
  e.setRange(heads * blocks, SymExpr::ceilDiv(1 << 17, SymExpr::max(perItem, 1)));

  bool few = queries.upperBound() && *queries.upperBound() < kFewQueries;
  bool many = queries.lowerBound() && *queries.lowerBound() >= kFewQueries;
  int64_t tallest = few ? 1 : kTallest;
  SymExpr bytes(type.getIntOrFloatBitWidth() / 8), panels = SymExpr::ceilDiv(keysCount, panel);
  queryTile = {e.scratch(bytes * SymExpr(tallest) * paddedDepth), type};
  scoreTile = {e.scratch(bytes * SymExpr(tallest * panel) * panels), type};
  if (!few)
    keys = {e.scratch(bytes * SymExpr(panel) * panels * paddedDepth), type};
  if (packsValues)
    values = {e.scratch(bytes * keysCount * width), type};

  auto item = [&](Value index, ValueRange state) -> FailureOr<SmallVector<Value>> {
    Value number = e.divI(index, e.size(blocks));
    Value first = e.mulI(e.subI(index, e.mulI(number, e.size(blocks))), e.i64(kBlock));
    Value count = e.minI(e.i64(kBlock), e.subI(e.size(queries), first));
    head = leading.empty() ? SmallVector<LaneIndex>() : e.delinearize(LaneIndex::uniform(number), leading);
    Value changed = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, number, state[0]);
    Value isFew = e.lessI(e.size(queries), e.i64(kFewQueries));
    if (packsValues && failed(e.ifThen(changed, [&] { return packValues(); })))
      return failure();
    auto single = [&] {
      return e.forLoop(e.i64(0), count, 1, [&](Value r) { return emitTile(1, e.addI(first, r), true); });
    };
    auto packed = [&]() -> LogicalResult {
      if (failed(e.ifThen(changed, [&] { return packKeys(); })))
        return failure();
      Value whole = e.roundDown(count, kTallest);
      if (failed(e.forLoop(e.i64(0), whole, kTallest,
                           [&](Value r) { return emitTile(kTallest, e.addI(first, r), false); })))
        return failure();
      if (queries.isDivisibleBy(kTallest))
        return success();
      return e.forLoop(whole, count, 1, [&](Value r) { return emitTile(1, e.addI(first, r), false); });
    };
    if (few ? failed(single()) : !many && failed(e.ifThen(isFew, single)))
      return failure();
    if (many ? failed(packed()) : !few && failed(e.ifThen(e.logicalNot(isFew), packed)))
      return failure();
    return SmallVector<Value>{number};
  };
  return success(succeeded(e.forLoop(e.getBegin(), e.getEnd(), 1, ValueRange{e.i64(-1)}, item)));
}

LogicalResult emitAttention(CpuKernelEmitter &e, Operation *root) {
  return AttentionEmitter(e, cast<AttentionOp>(root)).emit();
}

} // namespace ds
