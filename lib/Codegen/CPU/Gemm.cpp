//===- Gemm.cpp - Kernels whose root is a matrix product or convolution ---===//
// Assumes: floats, of which halves are multiplied and summed as f32; the right operand is packed in panels of `tile`
// columns (ds.pack, ds.pack_filter); what follows the
//   root is pointwise in its result.
// Guarantees: register tiles over the whole depth (RegisterTile.h); the epilogue works on a tile while it is in the
//   first-level cache. A convolution is the product of its windows' rows: each block of rows is gathered into the
//   worker's scratch once (1x1 windows are read where they lie), and padding exists only there. The rows of a
//   transposed matrix are columns in memory: they are copied as they lie, and the tiles step along the depth with a
//   stride. Where the CPU multiplies tiles of bf16 (AMX), those take the place of register tiles (AmxTile.h): rows stay
//   bf16, and a panel is brought into pairs once for each block of rows.
// The loops, outside in: items (batch or group, block of rows, share of the panels); panels; tiles of rows; depth.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/AmxTile.h"
#include "lib/Codegen/CPU/Epilogue.h"
#include "lib/Codegen/CPU/RegisterTile.h"
#include "lib/Codegen/CPU/TransposeBlocks.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ds {

namespace {

class GemmEmitter {
public:
  GemmEmitter(CpuKernelEmitter &e, Operation *root)
      : e(e), b(e.builder()), loc(e.getLoc()), root(root), stored(getElementTypeOrSelf(root->getResult(0).getType())),
        element(ElementBuilder::computeType(stored)), epilogue(e, root) {}

  LogicalResult emit();

private:
  void describeGemm(GemmOp op);
  void describeConv(ConvGemmOp op);
  /// Rows [first, first + count) of batch or group `batch` into the scratch.
  LogicalResult packRows(Value batch, Value first, Value count);
  LogicalResult packGemmRow(Value batch, Value row, Value target);
  /// The same of a transposed matrix, one step of the depth after the other.
  LogicalResult packColumns(Value batch, Value first, Value count);
  /// The same for tiles: pairs along the depth, then those in rows.
  LogicalResult packPairs(Value batch, Value first, Value count);
  /// Zeros behind the depth of a row, as far as tiles read.
  LogicalResult padRow(Value target);
  /// Whether rows can be read where they are.
  bool liesInMemory() {
    return e.isArgument(a) && getElementTypeOrSelf(a.getType()) == packed &&
           (!amx || depth.isDivisibleBy(AmxTile::kStep));
  }
  /// Once `rows`, `depth` and `tile` are known.
  void chooseTiles();
  LogicalResult packConvRow(Value group, Value row, Value target);
  /// All rows of the block with the panel at `pointer`, by tiles.
  LogicalResult emitTiles(Value count, Value batch, Value firstRow, Value panel, Value pointer);
  /// The epilogue on the rows [row, row + height) of panel `panel`.
  LogicalResult finishTile(Value height, Value batch, Value row, Value panel);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  Operation *root;
  Type stored, element; // of operands and result, and what they are multiplied as
  Type packed;          // of rows in the scratch
  Epilogue epilogue;

  Value a, w;      // operands
  SymExpr batches; // batches with their own right operand, or groups
  SymExpr rows;    // of a batch
  SymExpr depth;   // the summed dimension
  SymExpr columns; // of a batch
  SymExpr panels;  // ceildiv(columns, tile)
  int64_t tile = 0;
  bool direct = false;     // rows are read where they lie
  bool transposed = false; // rows of the left operand lie along its columns in memory
  int64_t block = 0;       // rows of a block
  bool isConv = false;
  Value rowsPointer, rowStride, depthStride, tilePointer;
  std::optional<AmxTile> amx;
  Value pairs; // of transposed rows, [depth / 2][block][2]
};

} // namespace

void GemmEmitter::chooseTiles() {
  constexpr int64_t kFew = 16; // rows, for which half of a tile is not worth to bring a panel into pairs
  packed = element;
  if (!AmxTile::isFor(e, stored, tile) || (rows.isConst() && rows.getConst() < kFew))
    return;
  amx.emplace(e, depth);
  packed = stored;
}

void GemmEmitter::describeGemm(GemmOp op) {
  a = op.getA();
  w = op.getW();
  SymDims dims = e.dimsOf(a), packed = e.dimsOf(w);
  bool shared = packed.size() == 3;
  ArrayRef<SymExpr> leading(dims.begin(), dims.end() - 2);
  batches = shared ? SymExpr(1) : product(leading);
  rows = shared ? product(leading) * dims[dims.size() - 2] : dims[dims.size() - 2];
  depth = dims.back();
  columns = op.getColumns().getDim(0);
  panels = packed[packed.size() - 3];
  tile = packed.back().getConst();
  chooseTiles();
  direct = liesInMemory();
  // Rows over several dims need not lie together.
  auto transpose = a.getDefiningOp<TransposeOp>();
  transposed = transpose && transpose.getPerm()[dims.size() - 2] == int64_t(dims.size()) - 1 &&
               (!batches.isConst(1) || llvm::all_of(leading, [](const SymExpr &dim) { return dim.isConst(1); }));
}

void GemmEmitter::describeConv(ConvGemmOp op) {
  a = op.getX();
  w = op.getW();
  isConv = true;
  SymDims result = e.dimsOf(op.getResult()), packed = e.dimsOf(w);
  batches = SymExpr(static_cast<int64_t>(op.getGroup()));
  rows = result[0] * result[1] * result[2];
  depth = packed[2];
  columns = SymExpr(static_cast<int64_t>(op.getChannels() / op.getGroup()));
  panels = packed[1];
  tile = packed[3].getConst();
  auto all = [](ArrayRef<int64_t> values, int64_t value) {
    return llvm::all_of(values, [&](int64_t v) { return v == value; });
  };
  chooseTiles();
  direct = liesInMemory() && op.getGroup() == 1 && all(op.getKernel(), 1) && all(op.getStrides(), 1) &&
           all(op.getPadsLow(), 0) && all(op.getPadsHigh(), 0);
}

LogicalResult GemmEmitter::packGemmRow(Value batch, Value row, Value target) {
  SymDims dims = e.dimsOf(a);
  SmallVector<SymExpr> leading(dims.begin(), dims.end() - 1);
  SmallVector<LaneIndex> indices;
  if (batches.isConst(1)) {
    indices = e.delinearize(LaneIndex::uniform(row), leading);
  } else {
    leading.pop_back();
    indices = e.delinearize(LaneIndex::uniform(batch), leading);
    indices.push_back(LaneIndex::uniform(row));
  }
  indices.push_back(e.constantIndex(0));
  return e.vectorLoop(e.i64(0), e.size(depth), [&](LaneIndex k) -> LogicalResult {
    indices.back() = k;
    FailureOr<Value> value = e.element(a, indices);
    if (failed(value))
      return failure();
    e.storeAt({target, packed}, k, *value);
    return success();
  });
}

LogicalResult GemmEmitter::padRow(Value target) {
  if (!amx || depth.isDivisibleBy(AmxTile::kStep))
    return success();
  return e.forLoop(e.size(depth), e.size(AmxTile::paddedDepth(depth)), 1, [&](Value k) {
    e.storeAt({target, packed}, LaneIndex::uniform(k), e.constantFloat(element, 0.0));
    return success();
  });
}

LogicalResult GemmEmitter::packPairs(Value batch, Value first, Value count) {
  SymDims dims = e.dimsOf(a);
  SmallVector<LaneIndex> indices(dims.size(), e.constantIndex(0));
  if (!batches.isConst(1))
    llvm::copy(e.delinearize(LaneIndex::uniform(batch), ArrayRef<SymExpr>(dims).drop_back(2)), indices.begin());
  Type word = b.getI32Type(), single = b.getF32Type();
  // The upper half of the pair at one place of the depth; its lower half is the element before.
  auto bits = [&](Value k, LaneIndex i) -> FailureOr<Value> {
    indices[dims.size() - 2] = e.add(i, LaneIndex::uniform(first));
    indices.back() = LaneIndex::uniform(k);
    FailureOr<Value> value = e.element(a, indices);
    if (failed(value))
      return failure();
    Value half = arith::BitcastOp::create(b, loc, e.laneType(b.getI16Type()),
                                          truncateFloat(b, loc, e.broadcast(*value), stored));
    return Value(arith::ExtUIOp::create(b, loc, e.laneType(word), half));
  };
  auto pair = [&](Value number, bool hasUpper) {
    Value target = e.advance(pairs, word, e.mulI(number, e.i64(block))), k = e.mulI(number, e.i64(2));
    return e.vectorLoop(e.i64(0), count, [&](LaneIndex i) -> LogicalResult {
      FailureOr<Value> both = bits(k, i);
      if (succeeded(both) && hasUpper) {
        FailureOr<Value> upper = bits(e.addI(k, e.i64(1)), i);
        if (failed(upper))
          return failure();
        Value moved = arith::ShLIOp::create(b, loc, *upper, e.broadcast(e.constantInt(word, 16)));
        both = Value(arith::OrIOp::create(b, loc, *both, moved));
      }
      if (failed(both))
        return failure();
      e.storeAt({target, word}, i, *both);
      return success();
    });
  };
  Value whole = e.divI(e.size(depth), e.i64(2)), padded = e.divI(e.size(AmxTile::paddedDepth(depth)), e.i64(2));
  if (failed(e.forLoop(e.i64(0), whole, 1, [&](Value number) { return pair(number, /*hasUpper=*/true); })))
    return failure();
  if (!depth.isDivisibleBy(AmxTile::kStep)) {
    Value odd = e.lessI(e.mulI(whole, e.i64(2)), e.size(depth));
    if (failed(e.ifThen(odd, [&] { return pair(whole, /*hasUpper=*/false); })))
      return failure();
    Value last = e.divI(e.addI(e.size(depth), e.i64(1)), e.i64(2));
    LogicalResult zeros = e.forLoop(last, padded, 1, [&](Value number) {
      Value target = e.advance(pairs, word, e.mulI(number, e.i64(block)));
      return e.vectorLoop(e.i64(0), count, [&](LaneIndex i) -> LogicalResult {
        e.storeAt({target, word}, i, e.constantInt(word, 0));
        return success();
      });
    });
    if (failed(zeros))
      return failure();
  }
  return transposeBlocks(e, single, {pairs, e.i64(block)}, padded, count, {rowsPointer, padded});
}

LogicalResult GemmEmitter::packColumns(Value batch, Value first, Value count) {
  SymDims dims = e.dimsOf(a);
  SmallVector<LaneIndex> indices(dims.size(), e.constantIndex(0));
  if (!batches.isConst(1))
    llvm::copy(e.delinearize(LaneIndex::uniform(batch), ArrayRef<SymExpr>(dims).drop_back(2)), indices.begin());
  return e.forLoop(e.i64(0), e.size(depth), 1, [&](Value k) {
    Value target = e.advance(rowsPointer, packed, e.mulI(k, depthStride));
    indices.back() = LaneIndex::uniform(k);
    return e.vectorLoop(e.i64(0), count, [&](LaneIndex i) -> LogicalResult {
      indices[dims.size() - 2] = e.add(i, LaneIndex::uniform(first));
      FailureOr<Value> value = e.element(a, indices);
      if (failed(value))
        return failure();
      e.storeAt({target, packed}, i, *value);
      return success();
    });
  });
}

LogicalResult GemmEmitter::packConvRow(Value group, Value row, Value target) {
  auto op = cast<ConvGemmOp>(root);
  SymDims x = e.dimsOf(a), result = e.dimsOf(op.getResult());
  SmallVector<LaneIndex> position = e.delinearize(LaneIndex::uniform(row), {result[0], result[1], result[2]});
  SymExpr channels = SymExpr::exactDiv(x[3], op.getGroup());
  Value perTap = e.size(channels), firstChannel = e.mulI(group, perTap);
  int64_t kernelH = op.getKernel()[0], kernelW = op.getKernel()[1];
  Value height = e.size(x[1]), width = e.size(x[2]);
  Value topEdge = e.addI(e.mulI(position[1].getValue(), e.i64(op.getStrides()[0])), e.i64(-op.getPadsLow()[0]));
  Value leftEdge = e.addI(e.mulI(position[2].getValue(), e.i64(op.getStrides()[1])), e.i64(-op.getPadsLow()[1]));
  MemoryRef scratch{target, packed};
  // Negative positions are above every size as unsigned numbers.
  auto inside = [&](Value at, Value size) -> Value {
    return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::ult, at, size);
  };
  // Copies `count` elements from channel `from` of the pixel (y, x) on, which lie in one run, or zeros.
  auto copy = [&](Value condition, Value y, Value xPosition, Value count, Value at) -> LogicalResult {
    auto ifOp = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    CpuKernelEmitter::Scope scope(e);
    b.setInsertionPoint(ifOp.thenBlock()->getTerminator());
    LogicalResult copied = e.vectorLoop(e.i64(0), count, [&](LaneIndex i) -> LogicalResult {
      FailureOr<Value> value = e.element(a, {position[0], LaneIndex::uniform(y), LaneIndex::uniform(xPosition),
                                             e.add(i, LaneIndex::uniform(firstChannel))});
      if (failed(value))
        return failure();
      e.storeAt(scratch, e.add(i, LaneIndex::uniform(at)), *value);
      return success();
    });
    if (failed(copied))
      return failure();
    b.setInsertionPoint(ifOp.elseBlock()->getTerminator());
    return e.vectorLoop(e.i64(0), count, [&](LaneIndex i) -> LogicalResult {
      e.storeAt(scratch, e.add(i, LaneIndex::uniform(at)), e.constantFloat(element, 0.0));
      return success();
    });
  };
  bool runs = e.isArgument(a) && op.getGroup() == 1 && op.getDilations()[1] == 1 && kernelW > 1;
  return e.forLoop(e.i64(0), e.i64(kernelH), 1, [&](Value kh) -> LogicalResult {
    Value y = e.addI(topEdge, e.mulI(kh, e.i64(op.getDilations()[0])));
    Value insideY = inside(y, height);
    Value rowAt = e.mulI(kh, e.mulI(e.i64(kernelW), perTap));
    auto byTaps = [&]() -> LogicalResult {
      return e.forLoop(e.i64(0), e.i64(kernelW), 1, [&](Value kw) -> LogicalResult {
        Value xPosition = e.addI(leftEdge, e.mulI(kw, e.i64(op.getDilations()[1])));
        Value condition = b.createOrFold<arith::AndIOp>(loc, insideY, inside(xPosition, width));
        return copy(condition, y, xPosition, perTap, e.addI(rowAt, e.mulI(kw, perTap)));
      });
    };
    if (!runs)
      return byTaps();
    // The taps of a row that lies within the image are one run of memory.
    Value last = e.addI(leftEdge, e.i64(kernelW - 1));
    Value whole = b.createOrFold<arith::AndIOp>(
        loc, insideY, b.createOrFold<arith::AndIOp>(loc, inside(leftEdge, width), inside(last, width)));
    auto ifOp = scf::IfOp::create(b, loc, whole, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    CpuKernelEmitter::Scope scope(e);
    b.setInsertionPoint(ifOp.thenBlock()->getTerminator());
    LaneIndex start =
        e.linearize({position[0], LaneIndex::uniform(y), LaneIndex::uniform(leftEdge), e.constantIndex(0)}, x);
    Value count = e.mulI(perTap, e.i64(kernelW));
    if (failed(e.vectorLoop(e.i64(0), count, [&](LaneIndex i) -> LogicalResult {
          e.storeAt(scratch, e.add(i, LaneIndex::uniform(rowAt)), e.loadAt(e.argument(a), e.add(i, start)));
          return success();
        })))
      return failure();
    b.setInsertionPoint(ifOp.elseBlock()->getTerminator());
    return byTaps();
  });
}

LogicalResult GemmEmitter::packRows(Value batch, Value first, Value count) {
  if (transposed)
    return amx ? packPairs(batch, first, count) : packColumns(batch, first, count);
  return e.forLoop(e.i64(0), count, 1, [&](Value i) {
    Value target = e.advance(rowsPointer, packed, e.mulI(i, rowStride));
    Value row = e.addI(first, i);
    LogicalResult done = isConv ? packConvRow(batch, row, target) : packGemmRow(batch, row, target);
    return succeeded(done) ? padRow(target) : done;
  });
}

LogicalResult GemmEmitter::finishTile(Value height, Value batch, Value row, Value panel) {
  Value base = e.mulI(panel, e.i64(tile));
  Value limit = e.size(columns);
  bool whole = columns.isDivisibleBy(tile);
  return e.forLoop(e.i64(0), height, 1, [&](Value r) -> LogicalResult {
    SmallVector<LaneIndex> indices =
        epilogue.rowIndices(isConv || batches.isConst(1) ? Value() : batch, e.addI(row, r));
    // A kernel's vectors are of as many elements whatever their type is: a register or two.
    for (int64_t first = 0; first < tile; first += e.getWidth()) {
      CpuKernelEmitter::Scope scope(e);
      Value column = e.addI(base, e.i64(first));
      if (!whole)
        e.setMask(e.lanesBelow(column, limit));
      Value at = e.addI(e.mulI(r, e.i64(tile)), e.i64(first));
      e.bind(root->getResult(0), e.loadVector(tilePointer, at, e.getWidth(), element));
      Value resultColumn = isConv ? e.addI(column, e.mulI(batch, limit)) : column;
      indices.back() = LaneIndex::consecutive(resultColumn);
      if (failed(storeResults(e, indices)))
        return failure();
    }
    return success();
  });
}

LogicalResult GemmEmitter::emitTiles(Value count, Value batch, Value firstRow, Value panel, Value pointer) {
  if (failed(amx->setPanel(pointer)))
    return failure();
  Value rowsOfTile = e.i64(AmxTile::kRows), whole = tilePointer;
  return e.forLoop(e.i64(0), count, AmxTile::kRows, [&](Value row) -> LogicalResult {
    // The last tile moves back to whole rows; those that the one before it computed are left as they are.
    Value from = e.maxI(e.minI(row, e.subI(count, rowsOfTile)), e.i64(0));
    if (failed(amx->multiply(e.advance(rowsPointer, packed, e.mulI(from, rowStride)), rowStride)))
      return failure();
    tilePointer = e.advance(whole, element, e.mulI(e.subI(row, from), e.i64(tile)));
    LogicalResult finished = finishTile(e.minI(rowsOfTile, e.subI(count, row)), batch, e.addI(firstRow, row), panel);
    tilePointer = whole;
    return finished;
  });
}

LogicalResult GemmEmitter::emit() {
  if (auto gemm = dyn_cast<GemmOp>(root))
    describeGemm(gemm);
  else
    describeConv(cast<ConvGemmOp>(root));
  for (Operation &op : e.getKernel().getBody().front().without_terminator())
    if (&op != root)
      e.setInlined(&op);
  if (tile % e.getWidth() != 0)
    return root->emitOpError("expected panels of whole vectors of ") << e.getWidth() << ", got " << tile << " columns";
  const int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  int64_t tallest = tallestTile(tile / registerLanes(e, element), e.getTarget().vectorRegisters);

  // Rows of a block: what stays in the second-level cache beside a panel, or beside all of them. Each block reads all
  // panels: where they do not fit, more rows at once are worth more than a place in that cache.
  constexpr int64_t kCacheBytes = 1024 * 1024;
  constexpr int64_t kItems = 16;
  SymExpr panelBytes = SymExpr(bytes * tile) * depth * panels;
  int64_t blockBytes = panelBytes.isConst() && panelBytes.getConst() > kCacheBytes ? kCacheBytes : 192 * 1024;
  block = 4 * tallest;
  if (depth.isConst() && depth.getConst() > 0)
    block = std::clamp<int64_t>(blockBytes / (bytes * depth.getConst()), tallest, 16 * tallest);
  block = rows.isConst() ? balancedBlock(rows.getConst(), block, tallest) : block - block % tallest;
  if (amx)
    block = AmxTile::block(rows, depth);
  RegisterTile registers(e, element, stored, tile, rows, block);
  SymExpr blocks = SymExpr::ceilDiv(rows, block);
  // Blocks of equal height: a short last one would leave the thread that gets it idle.
  SymExpr step = rows.isConst() ? SymExpr(block) : SymExpr::ceilDiv(rows, SymExpr::max(blocks, 1));
  // Few blocks of rows: the panels are shared out too.
  SymExpr shares = SymExpr::max(SymExpr::min(panels, SymExpr::ceilDiv(kItems, SymExpr::max(blocks * batches, 1))), 1);
  SymExpr share = SymExpr::ceilDiv(panels, shares);
  SymExpr perItem = SymExpr::min(rows, block) * depth * share * SymExpr(tile);
  e.setRange(batches * blocks * shares, SymExpr::ceilDiv(1 << 18, SymExpr::max(perItem, 1)));

  SymExpr rowElements = amx ? AmxTile::paddedDepth(depth) : depth;
  const int64_t rowBytes = packed.getIntOrFloatBitWidth() / 8;
  tilePointer = amx ? amx->tile() : e.scratch(SymExpr(bytes * tallest * tile));
  rowStride = transposed && !amx ? e.i64(1) : e.size(rowElements);
  if (transposed)
    depthStride = e.i64(block);
  MemoryRef left = direct ? e.argument(a) : MemoryRef{};
  // Of rows that lie in memory tiles read those that are fewer than a tile from here.
  Value copied = direct && !amx ? Value() : e.scratch(SymExpr(rowBytes * block) * rowElements);
  if (amx && transposed)
    pairs = e.scratch(SymExpr(rowBytes * block) * rowElements);
  Value begin = e.getBegin(), end = amx ? amx->begin(begin, e.getEnd()) : e.getEnd();
  MemoryRef right = e.argument(w);
  bool sharedWeights = batches.isConst(1);

  auto item = [&](Value index, ValueRange state) -> FailureOr<SmallVector<Value>> {
    Value shareCount = e.size(shares), blockCount = e.size(blocks);
    Value blockNumber = e.divI(index, shareCount);
    Value shareNumber = e.subI(index, e.mulI(blockNumber, shareCount));
    Value batch = sharedWeights ? e.i64(0) : e.divI(blockNumber, blockCount);
    Value firstRow = e.mulI(sharedWeights ? blockNumber : e.subI(blockNumber, e.mulI(batch, blockCount)), e.size(step));
    Value count = e.minI(e.size(step), e.subI(e.size(rows), firstRow));
    auto inPlace = [&] {
      Value offset = e.mulI(e.addI(e.mulI(batch, e.size(rows)), firstRow), rowStride);
      return e.advance(left.pointer, left.elementType, offset);
    };
    if (direct && !amx) {
      rowsPointer = inPlace();
    } else {
      rowsPointer = copied;
      Value packs = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, blockNumber, state[0]), few;
      if (direct) {
        few = e.lessI(count, e.i64(AmxTile::kRows));
        packs = arith::AndIOp::create(b, loc, packs, few);
      }
      if (failed(e.ifThen(packs, [&] { return packRows(batch, firstRow, count); })))
        return failure();
      if (direct)
        rowsPointer = arith::SelectOp::create(b, loc, few, copied, inPlace());
    }
    Value height = amx ? Value() : registers.height(count);
    Value firstPanel = e.mulI(shareNumber, e.size(share));
    Value lastPanel = e.minI(e.addI(firstPanel, e.size(share)), e.size(panels));
    LogicalResult done = e.forLoop(firstPanel, lastPanel, 1, [&](Value panel) -> LogicalResult {
      Value number = e.addI(e.mulI(batch, e.size(panels)), panel);
      Value pointer = e.advance(right.pointer, right.elementType, e.mulI(number, e.mulI(e.size(depth), e.i64(tile))));
      if (amx)
        return emitTiles(count, batch, firstRow, panel, pointer);
      return registers.emit(
          {rowsPointer, rowStride, pointer, depth, depthStride}, count, height, [&](Value) { return tilePointer; },
          [&](Value row) { return finishTile(height, batch, e.addI(firstRow, row), panel); });
    });
    if (failed(done))
      return failure();
    return SmallVector<Value>{blockNumber};
  };
  if (failed(e.forLoop(begin, end, 1, ValueRange{e.i64(-1)}, item)))
    return failure();
  if (amx)
    amx->end();
  return success();
}

LogicalResult emitGemm(CpuKernelEmitter &e, Operation *root) { return GemmEmitter(e, root).emit(); }

} // namespace ds
