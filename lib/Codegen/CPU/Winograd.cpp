//===- Winograd.cpp - Kernels whose root is a 3x3 convolution -------------===//
// Assumes: f32; ds.conv_winograd with a transformed filter in panels ([panels, positions, C, tile]); what follows the
//   root is pointwise in its result.
// Guarantees: squares of m x m results are computed together, with (m+2)^2 products a channel (WinogradForm.h).
//   Channels are the vectors of both transformations; products are matrix products in register tiles. All intermediate
//   results of a block of squares stay in the worker's scratch.
// The loops, outside in: items (block of squares, share of the panels); input transformation of the block; panels;
//   positions (products); squares (output transformation and epilogue).
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Epilogue.h"
#include "lib/Codegen/CPU/RegisterTile.h"
#include "lib/Codegen/CPU/WinogradForm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

namespace {

class WinogradEmitter {
public:
  WinogradEmitter(CpuKernelEmitter &e, ConvWinogradOp root)
      : e(e), b(e.builder()), loc(e.getLoc()), root(root), epilogue(e, root), form(winogradForm(root.getOutputs())) {}

  LogicalResult emit();

private:
  /// matrix [rows, columns] times a column of vectors.
  SmallVector<Value> multiply(ArrayRef<double> matrix, ArrayRef<Value> vectors);
  /// matrix X matrix^T for a square X of vectors, row-major.
  SmallVector<Value> transform(ArrayRef<double> matrix, ArrayRef<Value> square);
  Value combine(ArrayRef<std::pair<double, Value>> terms);

  /// Image, row and column of square `number`.
  SmallVector<LaneIndex> position(Value number);
  LogicalResult transformInput(Value first, Value count);
  LogicalResult transformOutput(Value first, Value count, Value panel);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  ConvWinogradOp root;
  Epilogue epilogue;
  const WinogradForm &form;

  SymDims x, result;
  SymExpr channels, panels, across, down; // squares of an image
  int64_t block = 0, tile = 0;
  Value zeros;          // as many as the input has channels
  Value transformed;    // [positions][block][channels], with a gap after each position
  Value positionStride; // of it
  Value products;       // [positions][block][tile]
  Value square;         // [outputs * outputs][tile]
};

} // namespace

Value WinogradEmitter::combine(ArrayRef<std::pair<double, Value>> terms) {
  Value sum;
  // Terms that need no factor first: the others are added by one instruction each.
  for (bool plain : {true, false})
    for (auto [factor, value] : terms) {
      if (factor == 0 || (std::abs(factor) == 1) != plain)
        continue;
      if (plain && !sum)
        sum = factor == 1 ? value : Value(arith::NegFOp::create(b, loc, value));
      else if (plain)
        sum = factor == 1 ? Value(arith::AddFOp::create(b, loc, sum, value))
                          : Value(arith::SubFOp::create(b, loc, sum, value));
      else {
        Value scale = e.broadcast(e.constantFloat(b.getF32Type(), factor));
        sum = sum ? Value(vector::FMAOp::create(b, loc, scale, value, sum))
                  : Value(arith::MulFOp::create(b, loc, scale, value));
      }
    }
  return sum;
}

SmallVector<Value> WinogradEmitter::multiply(ArrayRef<double> matrix, ArrayRef<Value> vectors) {
  size_t columns = vectors.size(), rows = matrix.size() / columns;
  auto at = [&](size_t r, size_t c) { return matrix[r * columns + c]; };
  using Terms = SmallVector<std::pair<double, Value>>;
  // Columns that are equal but for signs: their sum and their difference serve all rows.
  SmallVector<Value> values(vectors), differences(columns);
  SmallVector<size_t> partner(columns, columns);
  for (size_t c = 0; c < columns; ++c)
    for (size_t d = c + 1; d < columns && partner[c] == columns; ++d) {
      bool equal = partner[d] == columns;
      int64_t uses = 0;
      for (size_t r = 0; r < rows; ++r) {
        equal &= std::abs(at(r, c)) == std::abs(at(r, d));
        uses += at(r, c) != 0;
      }
      if (!equal || uses < 2)
        continue;
      partner[c] = d;
      partner[d] = c;
      values[c] = arith::AddFOp::create(b, loc, vectors[c], vectors[d]);
      differences[c] = arith::SubFOp::create(b, loc, vectors[c], vectors[d]);
    }
  auto terms = [&](size_t r, function_ref<bool(size_t)> wanted) {
    Terms list;
    for (size_t c = 0; c < columns; ++c) {
      if (!wanted(c) || (partner[c] < c))
        continue;
      bool difference = partner[c] != columns && at(r, c) != at(r, partner[c]);
      list.emplace_back(at(r, c), difference ? differences[c] : values[c]);
    }
    return list;
  };
  SmallVector<Value> results(rows);
  for (size_t r = 0; r < rows; ++r) {
    if (results[r])
      continue;
    // A later row that is the same but for the signs of some columns: what both share, plus and minus the rest.
    size_t twin = r + 1;
    for (; twin < rows; ++twin) {
      bool equal = true, differs = false, shares = false;
      for (size_t c = 0; c < columns; ++c) {
        equal &= std::abs(at(r, c)) == std::abs(at(twin, c));
        differs |= at(r, c) != at(twin, c);
        shares |= at(r, c) == at(twin, c) && at(r, c) != 0;
      }
      if (equal && differs && shares && llvm::all_of(partner, [&](size_t p) { return p == columns; }))
        break;
    }
    if (twin == rows) {
      results[r] = combine(terms(r, [](size_t) { return true; }));
      continue;
    }
    Value shared = combine(terms(r, [&](size_t c) { return at(r, c) == at(twin, c); }));
    Value rest = combine(terms(r, [&](size_t c) { return at(r, c) != at(twin, c); }));
    results[r] = arith::AddFOp::create(b, loc, shared, rest);
    results[twin] = arith::SubFOp::create(b, loc, shared, rest);
  }
  return results;
}

SmallVector<Value> WinogradEmitter::transform(ArrayRef<double> matrix, ArrayRef<Value> square) {
  size_t side = form.side, rows = matrix.size() / side;
  SmallVector<Value> half(side * rows), whole(rows * rows);
  // Each row of the square first, as soon as it is loaded.
  for (size_t i = 0; i < side; ++i)
    llvm::copy(multiply(matrix, square.slice(i * side, side)), half.begin() + i * rows);
  for (size_t j = 0; j < rows; ++j) {
    SmallVector<Value> column;
    for (size_t i = 0; i < side; ++i)
      column.push_back(half[i * rows + j]);
    for (auto [i, value] : llvm::enumerate(multiply(matrix, column)))
      whole[i * rows + j] = value;
  }
  return whole;
}

SmallVector<LaneIndex> WinogradEmitter::position(Value number) {
  return e.delinearize(LaneIndex::uniform(number), {result[0], down, across});
}

LogicalResult WinogradEmitter::transformInput(Value first, Value count) {
  Value in = root.getX(), height = e.size(x[1]), width = e.size(x[2]);
  bool inMemory = e.isArgument(in);
  return e.forLoop(e.i64(0), count, 1, [&](Value t) -> LogicalResult {
    SmallVector<LaneIndex> at = position(e.addI(first, t));
    auto taps = [&](LaneIndex index, int64_t pad) {
      SmallVector<Value> positions;
      Value start = e.subI(e.mulI(index.getValue(), e.i64(form.outputs)), e.i64(pad));
      for (int64_t i = 0; i < form.side; ++i)
        positions.push_back(e.addI(start, e.i64(i)));
      return positions;
    };
    SmallVector<Value> rows = taps(at[1], root.getPadsLow()[0]), columns = taps(at[2], root.getPadsLow()[1]);
    // Negative positions are above every size as unsigned numbers.
    auto inside = [&](Value index, Value size) -> Value {
      return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::ult, index, size);
    };
    SmallVector<Value> conditions, pointers;
    for (Value row : rows)
      for (Value column : columns) {
        Value condition = b.createOrFold<arith::AndIOp>(loc, inside(row, height), inside(column, width));
        conditions.push_back(condition);
        if (!inMemory)
          continue;
        // Outside of the image zeros are read instead.
        LaneIndex linear =
            e.linearize({at[0], LaneIndex::uniform(row), LaneIndex::uniform(column), e.constantIndex(0)}, x);
        MemoryRef memory = e.argument(in);
        pointers.push_back(arith::SelectOp::create(
            b, loc, condition, e.advance(memory.pointer, memory.elementType, linear.getValue()), zeros));
      }
    Value target = e.advance(transformed, b.getF32Type(), e.mulI(t, e.size(channels)));
    return e.vectorLoop(e.i64(0), e.size(channels), [&](LaneIndex c) -> LogicalResult {
      SmallVector<Value> values;
      for (auto [index, condition] : llvm::enumerate(conditions)) {
        if (inMemory) {
          values.push_back(e.loadAt({pointers[index], b.getF32Type()}, c));
          continue;
        }
        int64_t row = index / form.side, column = index % form.side;
        FailureOr<Value> element = e.guarded(
            condition,
            [&]() -> FailureOr<Value> {
              FailureOr<Value> inner =
                  e.element(in, {at[0], LaneIndex::uniform(rows[row]), LaneIndex::uniform(columns[column]), c});
              return failed(inner) ? inner : FailureOr<Value>(e.broadcast(*inner));
            },
            e.broadcast(e.constantFloat(b.getF32Type(), 0.0)));
        if (failed(element))
          return failure();
        values.push_back(*element);
      }
      for (auto [index, value] : llvm::enumerate(transform(form.input, values)))
        e.storeAt({e.advance(target, b.getF32Type(), e.mulI(e.i64(index), positionStride)), b.getF32Type()}, c, value);
      return success();
    });
  });
}

LogicalResult WinogradEmitter::transformOutput(Value first, Value count, Value panel) {
  int64_t lanes = e.getWidth(), vectors = tile / lanes, m = form.outputs;
  Value limit = e.size(result[3]), base = e.mulI(panel, e.i64(tile));
  return e.forLoop(e.i64(0), count, 1, [&](Value t) -> LogicalResult {
    for (int64_t v = 0; v < vectors; ++v) {
      SmallVector<Value> values;
      for (int64_t p = 0; p < form.side * form.side; ++p)
        values.push_back(
            e.loadVector(products, e.addI(e.i64(p * block * tile + v * lanes), e.mulI(t, e.i64(tile))), lanes));
      for (auto [index, value] : llvm::enumerate(transform(form.output, values)))
        e.storeVector(square, e.i64(index * tile + v * lanes), value);
    }
    SmallVector<LaneIndex> at = position(e.addI(first, t));
    Value top = e.mulI(at[1].getValue(), e.i64(m)), left = e.mulI(at[2].getValue(), e.i64(m));
    // Squares at the lower and right edges stick out.
    Value rows = e.minI(e.i64(m), e.subI(e.size(result[1]), top));
    Value columns = e.minI(e.i64(m), e.subI(e.size(result[2]), left));
    return e.forLoop(e.i64(0), rows, 1, [&](Value i) {
      Value row = e.addI(e.mulI(at[0].getValue(), e.size(result[1])), e.addI(top, i));
      return e.forLoop(e.i64(0), columns, 1, [&](Value j) -> LogicalResult {
        Value pixel = e.addI(e.mulI(row, e.size(result[2])), e.addI(left, j));
        SmallVector<LaneIndex> indices = epilogue.rowIndices(Value(), pixel);
        Value from = e.mulI(e.addI(e.mulI(i, e.i64(m)), j), e.i64(tile));
        for (int64_t v = 0; v < vectors; ++v) {
          CpuKernelEmitter::Scope scope(e);
          Value column = e.addI(base, e.i64(v * lanes));
          if (!result[3].isDivisibleBy(tile))
            e.setMask(e.lanesBelow(column, limit));
          e.bind(root.getResult(), e.loadVector(square, e.addI(from, e.i64(v * lanes)), lanes));
          indices.back() = LaneIndex::consecutive(column);
          if (failed(storeResults(e, indices)))
            return failure();
        }
        return success();
      });
    });
  });
}

LogicalResult WinogradEmitter::emit() {
  for (Operation &op : e.getKernel().getBody().front().without_terminator())
    if (&op != root)
      e.setInlined(&op);
  SymDims filter = e.dimsOf(root.getW());
  x = e.dimsOf(root.getX());
  result = e.dimsOf(root.getResult());
  channels = x[3];
  panels = filter[0];
  tile = filter[3].getConst();
  down = SymExpr::ceilDiv(result[1], form.outputs);
  across = SymExpr::ceilDiv(result[2], form.outputs);
  SymExpr squares = result[0] * down * across;
  int64_t positions = form.side * form.side, depth = filter[2].getConst();

  // Squares of a block: what stays in the second-level cache beside a panel.
  constexpr int64_t kBlockBytes = 1024 * 1024;
  constexpr int64_t kItems = 16;
  int64_t tallest = tallestTile(tile / e.getWidth(), e.getTarget().vectorRegisters);
  block = std::clamp<int64_t>(kBlockBytes / (4 * positions * (depth + tile)), tallest, 4 * tallest);
  block = squares.isConst() ? balancedBlock(squares.getConst(), block, tallest) : block - block % tallest;
  RegisterTile registers(e, b.getF32Type(), b.getF32Type(), tile, squares, block);
  SymExpr blocks = SymExpr::ceilDiv(squares, block);
  // Few blocks: the panels are shared out too.
  SymExpr shares = SymExpr::max(SymExpr::min(panels, SymExpr::ceilDiv(kItems, SymExpr::max(blocks, 1))), 1);
  SymExpr share = SymExpr::ceilDiv(panels, shares);
  SymExpr perItem = SymExpr::min(squares, block) * SymExpr(positions * depth * tile) * share;
  e.setRange(blocks * shares, SymExpr::ceilDiv(1 << 18, SymExpr::max(perItem, 1)));

  positionStride = e.addI(e.mulI(e.i64(block), e.size(channels)), e.i64(16));
  transformed = e.scratch(SymExpr(4 * positions) * (SymExpr(block) * channels + SymExpr(16)));
  products = e.scratch(SymExpr(4 * positions * block * tile));
  square = e.scratch(SymExpr(4 * form.outputs * form.outputs * tile));
  zeros = e.scratch(SymExpr(4) * channels);
  MemoryRef right = e.argument(root.getW());
  if (failed(e.vectorLoop(e.i64(0), e.size(channels), [&](LaneIndex c) {
        e.storeAt({zeros, b.getF32Type()}, c, e.constantFloat(b.getF32Type(), 0.0));
        return success();
      })))
    return failure();

  auto item = [&](Value index, ValueRange state) -> FailureOr<SmallVector<Value>> {
    Value number = e.divI(index, e.size(shares));
    Value shareNumber = e.subI(index, e.mulI(number, e.size(shares)));
    Value first = e.mulI(number, e.i64(block));
    Value count = e.minI(e.i64(block), e.subI(e.size(squares), first));
    Value changed = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, number, state[0]);
    if (failed(e.ifThen(changed, [&] { return transformInput(first, count); })))
      return failure();
    Value height = registers.height(count);
    Value firstPanel = e.mulI(shareNumber, e.size(share));
    Value lastPanel = e.minI(e.addI(firstPanel, e.size(share)), e.size(panels));
    LogicalResult done = e.forLoop(firstPanel, lastPanel, 1, [&](Value panel) -> LogicalResult {
      LogicalResult multiplied = e.forLoop(e.i64(0), e.i64(positions), 1, [&](Value p) -> LogicalResult {
        Value matrix = e.addI(e.mulI(panel, e.i64(positions)), p);
        RegisterTile::Operands operands{
            e.advance(transformed, b.getF32Type(), e.mulI(p, positionStride)), e.size(channels),
            e.advance(right.pointer, right.elementType, e.mulI(matrix, e.i64(depth * tile))), channels, Value()};
        Value target = e.advance(products, b.getF32Type(), e.mulI(p, e.i64(block * tile)));
        return registers.emit(
            operands, count, height,
            [&](Value row) { return e.advance(target, b.getF32Type(), e.mulI(row, e.i64(tile))); },
            [](Value) { return success(); });
      });
      return failed(multiplied) ? failure() : transformOutput(first, count, panel);
    });
    if (failed(done))
      return failure();
    return SmallVector<Value>{number};
  };
  return success(succeeded(e.forLoop(e.getBegin(), e.getEnd(), 1, ValueRange{e.i64(-1)}, item)));
}

LogicalResult emitWinograd(CpuKernelEmitter &e, Operation *root) {
  return WinogradEmitter(e, cast<ConvWinogradOp>(root)).emit();
}

} // namespace ds
