//===- RegisterTile.cpp - Products of a few rows by one panel -------------===//
// Guarantees: see RegisterTile.h.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/RegisterTile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ds {

int64_t tallestTile(int64_t vectors, int64_t registers) {
  int64_t rows = (registers - 4) / vectors - 1;
  return std::clamp<int64_t>(rows - rows % 2, 4, 12);
}

int64_t tileHeight(int64_t rows, int64_t tallest) {
  return llvm::divideCeil(rows, std::max<int64_t>(1, llvm::divideCeil(rows, tallest)));
}

/// Heights for numbers of rows that are not known: each costs code. Others are rounded to one of these.
static bool isGeneralHeight(int64_t height) { return height <= 4 || height % 2 == 0; }

int64_t balancedBlock(int64_t rows, int64_t most, int64_t tallest) {
  // A tile costs its rows and the loads of its panel.
  constexpr int64_t kTile = 1;
  auto cost = [&](int64_t block) {
    int64_t tiles = llvm::divideCeil(block, tallest);
    return block == 0 ? 0 : tiles * (tileHeight(block, tallest) + kTile);
  };
  if (rows <= most)
    return std::max<int64_t>(rows, 1);
  int64_t best = most, least = INT64_MAX;
  for (int64_t block = most; block >= std::max<int64_t>(most / 2, 1); --block) {
    int64_t total = rows / block * cost(block) + cost(rows % block);
    if (total < least) {
      least = total;
      best = block;
    }
  }
  return best;
}

int64_t registerLanes(CpuKernelEmitter &e, Type element) {
  return std::max<int64_t>(1, e.getWidth() * 32 / element.getIntOrFloatBitWidth());
}

RegisterTile::RegisterTile(CpuKernelEmitter &e, Type element, Type stored, int64_t columns, const SymExpr &rows,
                           int64_t block)
    : e(e), element(element), stored(stored), columns(columns), lanes(registerLanes(e, element)),
      vectors(columns / lanes), tallest(tallestTile(vectors, e.getTarget().vectorRegisters)) {
  if (rows.isConst()) {
    int64_t count = rows.getConst();
    for (int64_t part : {std::min(count, block), count > block ? count % block : 0})
      if (part > 0)
        heights.push_back(tileHeight(part, tallest));
  } else {
    for (int64_t height = 1; height <= tallest; ++height)
      if (isGeneralHeight(height))
        heights.push_back(height);
    general = true;
  }
  llvm::sort(heights);
  heights.erase(llvm::unique(heights), heights.end());
}

Value RegisterTile::height(Value count) {
  if (heights.size() <= 1)
    return e.i64(heights.empty() ? 1 : heights[0]);
  Value tiles = e.maxI(e.divI(e.addI(count, e.i64(tallest - 1)), e.i64(tallest)), e.i64(1));
  Value height = e.divI(e.addI(count, e.subI(tiles, e.i64(1))), tiles);
  if (!general)
    return height;
  // 5 becomes 6 where there are as many rows, and 4 otherwise; so do 7, 9 and 11.
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  Value up = e.addI(height, e.remI(height, e.i64(2))), down = e.subI(height, e.remI(height, e.i64(2)));
  Value fits = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, up, count);
  Value even = arith::SelectOp::create(b, loc, fits, up, down);
  return arith::SelectOp::create(b, loc, e.lessI(e.i64(4), height), even, height);
}

FailureOr<SmallVector<Value>> RegisterTile::sum(const Operands &operands, int64_t rows, Value rowStart, Value first,
                                                Value past) {
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  auto vectorType = VectorType::get({lanes}, element);
  Value zero = vector::BroadcastOp::create(b, loc, vectorType, e.constantFloat(element, 0.0));
  // What comes later in the panel, into the second-level cache: what the processor fetches by itself ends with each
  // page.
  constexpr int64_t kLineBytes = 64, kAhead = 128;
  const int64_t perLine = kLineBytes * 8 / stored.getIntOrFloatBitWidth();
  // Low tiles sum alternate steps of the depth apart: enough additions in flight to hide their latency.
  int64_t chains = std::max<int64_t>(1, llvm::bit_floor(static_cast<uint64_t>(8 / (rows * vectors))));
  auto step = [&](Value k, MutableArrayRef<Value> sums) {
    SmallVector<Value> right;
    Value at = e.mulI(k, e.i64(columns));
    for (int64_t v = 0; v < vectors; ++v) {
      right.push_back(e.loadVector(operands.panel, e.addI(at, e.i64(v * lanes)), lanes, stored));
      if (stored != element)
        right.back() = arith::ExtFOp::create(b, loc, vectorType, right.back());
    }
    for (int64_t line = 0; line < columns; line += perLine) {
      Value ahead = e.advance(operands.panel, stored, e.addI(at, e.i64(kAhead * columns + line)));
      LLVM::Prefetch::create(b, loc, ahead, /*rw=*/0, /*hint=*/2, /*cache=*/1);
    }
    Value along = operands.depthStride ? e.mulI(k, operands.depthStride) : k;
    for (int64_t r = 0; r < rows; ++r) {
      Value left = e.loadScalar(rowStart, e.addI(e.mulI(e.i64(r), operands.rowStride), along), element);
      left = vector::BroadcastOp::create(b, loc, vectorType, left);
      for (int64_t v = 0; v < vectors; ++v)
        sums[r * vectors + v] = vector::FMAOp::create(b, loc, left, right[v], sums[r * vectors + v]);
    }
  };
  int64_t count = rows * vectors;
  SmallVector<Value> init(count * chains, zero);
  Value whole = chains == 1 ? past : e.addI(first, e.roundDown(e.subI(past, first), chains));
  auto sums = e.forLoop(first, whole, chains, init, [&](Value k, ValueRange state) -> FailureOr<SmallVector<Value>> {
    SmallVector<Value> next(state);
    for (int64_t c = 0; c < chains; ++c)
      step(e.addI(k, e.i64(c)), MutableArrayRef<Value>(next).slice(c * count, count));
    return next;
  });
  if (failed(sums))
    return failure();
  for (int64_t c = chains; c > 1; c /= 2)
    for (int64_t i = 0; i < count * c / 2; ++i)
      (*sums)[i] = arith::AddFOp::create(b, loc, (*sums)[i], (*sums)[i + count * c / 2]);
  sums->resize(count);
  if (chains == 1 || operands.depth.isDivisibleBy(chains))
    return sums;
  return e.forLoop(whole, past, 1, *sums, [&](Value k, ValueRange state) -> FailureOr<SmallVector<Value>> {
    SmallVector<Value> next(state);
    step(k, next);
    return next;
  });
}

LogicalResult RegisterTile::product(const Operands &operands, int64_t rows, Value row, Value target) {
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  // Steps of the depth that one accumulator sums. Its error is that of as many additions; those of the parts' sums are
  // few.
  constexpr int64_t kPart = 256;
  Value rowStart = e.advance(operands.left, element, e.mulI(row, operands.rowStride));
  Value limit = e.size(operands.depth);
  int64_t count = rows * vectors;
  auto store = [&](ArrayRef<Value> sums) {
    for (int64_t i = 0; i < count; ++i)
      e.storeVector(target, e.i64(i * lanes), sums[i]);
  };
  if (operands.depth.isConst() && operands.depth.getConst() <= kPart + kPart / 2) {
    auto sums = sum(operands, rows, rowStart, e.i64(0), limit);
    if (failed(sums))
      return failure();
    store(*sums);
    return success();
  }
  Value zero = vector::BroadcastOp::create(b, loc, VectorType::get({lanes}, element), e.constantFloat(element, 0.0));
  store(SmallVector<Value>(count, zero));
  return e.forLoop(e.i64(0), limit, kPart, [&](Value first) -> LogicalResult {
    auto sums = sum(operands, rows, rowStart, first, e.minI(e.addI(first, e.i64(kPart)), limit));
    if (failed(sums))
      return failure();
    for (int64_t i = 0; i < count; ++i)
      (*sums)[i] = arith::AddFOp::create(b, loc, e.loadVector(target, e.i64(i * lanes), lanes, element), (*sums)[i]);
    store(*sums);
    return success();
  });
}

LogicalResult RegisterTile::emit(const Operands &operands, Value count, Value height, function_ref<Value(Value)> target,
                                 function_ref<LogicalResult(Value)> finish) {
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  Value tiles = e.divI(e.addI(count, e.subI(height, e.i64(1))), height);
  return e.forLoop(e.i64(0), tiles, 1, [&](Value number) -> LogicalResult {
    Value row = e.minI(e.mulI(number, height), e.subI(count, height));
    // Of constant sizes, LLVM's loop strength reduction would otherwise compute the minimum again for each row of the
    // tile in every step along the depth.
    if (!general)
      row = e.opaque(row);
    Value to = target(row);
    if (heights.size() <= 1) {
      if (failed(product(operands, heights.empty() ? 1 : heights[0], row, to)))
        return failure();
      return finish(row);
    }
    SmallVector<int64_t> cases(ArrayRef<int64_t>(heights).drop_back());
    Value selector = arith::IndexCastOp::create(b, loc, b.getIndexType(), height);
    auto switchOp = scf::IndexSwitchOp::create(b, loc, TypeRange(), selector, cases, cases.size());
    for (auto [index, rows] : llvm::enumerate(heights)) {
      bool isLast = index + 1 == heights.size();
      Region &region = isLast ? switchOp.getDefaultRegion() : switchOp.getCaseRegions()[index];
      OpBuilder::InsertionGuard guard(b);
      CpuKernelEmitter::Scope scope(e);
      b.createBlock(&region);
      if (failed(product(operands, rows, row, to)))
        return failure();
      scf::YieldOp::create(b, loc);
    }
    return finish(row);
  });
}

} // namespace ds
