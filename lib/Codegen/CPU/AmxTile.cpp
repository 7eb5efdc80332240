//===- AmxTile.cpp - Products of bf16 in the tiles of AMX -----------------===//
// Guarantees: see AmxTile.h. Tiles 0 to 3 hold sums, 4 and 5 rows, 6 and 7 columns, in pairs along the depth as the CPU
//   takes them: [depth / 2][column][2].
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/AmxTile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ds {

static constexpr int64_t kTileRows = 16, kTileBytes = 64; // of a tile of the CPU: 64 bytes a row
static constexpr int64_t kPairBytes = AmxTile::kColumns * 4;

bool AmxTile::isFor(CpuKernelEmitter &e, Type stored, int64_t columns) {
  SmallVector<StringRef> features;
  StringRef(e.getTarget().features).split(features, ',');
  return stored.isBF16() && columns == kColumns && llvm::is_contained(features, "+amx-tile") &&
         llvm::is_contained(features, "+amx-bf16");
}

int64_t AmxTile::block(const SymExpr &rows, const SymExpr &depth) {
  constexpr int64_t kBytes = 512 * 1024, kMost = 512;
  int64_t most = 4 * kRows;
  if (depth.isConst())
    most = std::clamp<int64_t>(kBytes / (2 * std::max<int64_t>(depth.getConst(), 1)), kRows, kMost) / kRows * kRows;
  if (!rows.isConst())
    return most;
  // Equal blocks, as few as can be.
  int64_t count = std::max<int64_t>(1, llvm::divideCeil(rows.getConst(), most));
  return std::max<int64_t>(kRows, llvm::alignTo(llvm::divideCeil(rows.getConst(), count), kRows));
}

AmxTile::AmxTile(CpuKernelEmitter &e, const SymExpr &depth) : e(e), depth(depth) {
  config = e.scratch(SymExpr(64));
  result = e.scratch(SymExpr(kRows * kColumns * 4));
  pairs = e.scratch(SymExpr(kPairBytes / 2) * paddedDepth(depth));
}

void AmxTile::call(StringRef intrinsic, ValueRange operands) {
  LLVM::CallIntrinsicOp::create(e.builder(), e.getLoc(), e.builder().getStringAttr(intrinsic), operands);
}

Value AmxTile::number(int64_t value) {
  return LLVM::ConstantOp::create(e.builder(), e.getLoc(), e.builder().getI8Type(),
                                  e.builder().getI8IntegerAttr(int8_t(value)));
}

Value AmxTile::at(Value pointer, Value bytes) { return e.advance(pointer, e.builder().getI8Type(), bytes); }

Value AmxTile::begin(Value first, Value past) {
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  // Linux gives a process the registers of tiles on request: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA). To
  // ask again is allowed, and costs little beside a product.
  constexpr int64_t kArchPrctl = 158, kRequest = 0x1023, kTileData = 18;
  Value answer =
      LLVM::InlineAsmOp::create(
          b, loc, TypeRange{b.getI64Type()}, ValueRange{e.i64(kArchPrctl), e.i64(kRequest), e.i64(kTileData)},
          "syscall", "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}", /*has_side_effects=*/true,
          /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
          .getResult(0);
  Value refused = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, answer, e.i64(0));
  e.raiseIf(refused, KernelError::NoTiles);
  // Palette 1; 64 bytes a row and 16 rows for each of eight tiles.
  const int64_t words[] = {1, 0, 0x0040004000400040, 0x0040004000400040, 0, 0, 0x1010101010101010, 0};
  for (auto [i, word] : llvm::enumerate(words))
    e.storeAt({config, b.getI64Type()}, e.constantIndex(int64_t(i)), e.i64(word));
  call("llvm.x86.ldtilecfg", ValueRange{config});
  return arith::SelectOp::create(b, loc, refused, first, past);
}

void AmxTile::end() { call("llvm.x86.tilerelease", ValueRange{}); }

LogicalResult AmxTile::setPanel(Value panel) {
  OpBuilder &b = e.builder();
  Location loc = e.getLoc();
  Type word = b.getI16Type();
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < kColumns / 2; ++i) {
    low.append({i, kColumns + i});
    high.append({kColumns / 2 + i, kColumns + kColumns / 2 + i});
  }
  auto load = [&](Value k) { return e.loadVector(panel, e.mulI(k, e.i64(kColumns)), kColumns, word); };
  auto store = [&](Value pair, Value x, Value y) {
    Value to = e.mulI(pair, e.i64(2 * kColumns));
    e.storeVector(pairs, to, vector::ShuffleOp::create(b, loc, x, y, low));
    e.storeVector(pairs, e.addI(to, e.i64(kColumns)), vector::ShuffleOp::create(b, loc, x, y, high));
    return success();
  };
  Value count = e.size(depth), whole = e.divI(count, e.i64(2));
  LogicalResult paired = e.forLoop(e.i64(0), whole, 1, [&](Value pair) {
    Value k = e.mulI(pair, e.i64(2));
    return store(pair, load(k), load(e.addI(k, e.i64(1))));
  });
  if (failed(paired) || depth.isDivisibleBy(kStep))
    return paired;
  Value zero = LLVM::ZeroOp::create(b, loc, VectorType::get({kColumns}, word));
  Value odd = e.lessI(e.mulI(whole, e.i64(2)), count);
  if (failed(e.ifThen(odd, [&] { return store(whole, load(e.subI(count, e.i64(1))), zero); })))
    return failure();
  Value last = e.divI(e.addI(count, e.i64(1)), e.i64(2));
  return e.forLoop(last, e.divI(e.size(paddedDepth(depth)), e.i64(2)), 1,
                   [&](Value pair) { return store(pair, zero, zero); });
}

LogicalResult AmxTile::multiply(Value left, Value rowStride) {
  Value stride = e.mulI(rowStride, e.i64(2)), below = e.mulI(stride, e.i64(kTileRows)), across = e.i64(kPairBytes);
  for (int64_t t = 0; t < 4; ++t)
    call("llvm.x86.tilezero", ValueRange{number(t)});
  Value steps = e.divI(e.size(paddedDepth(depth)), e.i64(kStep));
  LogicalResult summed = e.forLoop(e.i64(0), steps, 1, [&](Value k) {
    Value rows = at(left, e.mulI(k, e.i64(2 * kStep)));
    Value columns = at(pairs, e.mulI(k, e.i64(kStep / 2 * kPairBytes)));
    call("llvm.x86.tileloadd64", ValueRange{number(6), columns, across});
    call("llvm.x86.tileloadd64", ValueRange{number(4), rows, stride});
    call("llvm.x86.tdpbf16ps", ValueRange{number(0), number(4), number(6)});
    call("llvm.x86.tileloadd64", ValueRange{number(7), at(columns, e.i64(kTileBytes)), across});
    call("llvm.x86.tdpbf16ps", ValueRange{number(1), number(4), number(7)});
    call("llvm.x86.tileloadd64", ValueRange{number(5), at(rows, below), stride});
    call("llvm.x86.tdpbf16ps", ValueRange{number(2), number(5), number(6)});
    call("llvm.x86.tdpbf16ps", ValueRange{number(3), number(5), number(7)});
    return success();
  });
  for (int64_t t = 0; t < 4; ++t)
    call("llvm.x86.tilestored64",
         ValueRange{number(t), at(result, e.i64(t / 2 * kTileRows * kColumns * 4 + t % 2 * kTileBytes)),
                    e.i64(kColumns * 4)});
  return summed;
}

} // namespace ds
