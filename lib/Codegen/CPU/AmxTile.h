//===- AmxTile.h - Products of bf16 in the tiles of AMX -------------------===//
// Assumes: a CPU with AMX for bf16; a right operand in panels of 32 columns of bf16 (ds.pack); rows of the left operand
//   of bf16, each along the depth without gaps, as far as `paddedDepth` says.
// Guarantees: tiles of 32 rows by 32 columns in f32, four of the CPU's, over the whole depth. What a panel lacks to
// whole
//   steps of 32 along the depth counts as zeros. A kernel ends with an error where the system forbids tiles.
// Declines: subnormal numbers, which the CPU takes for 0.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_AMXTILE_H
#define DS_LIB_CODEGEN_CPU_AMXTILE_H

#include "lib/Codegen/CPU/CpuKernelEmitter.h"

namespace ds {

class AmxTile {
public:
  static constexpr int64_t kRows = 32, kColumns = 32, kStep = 32; // of a product; along the depth

  /// Whether products of `stored` with panels of `columns` are for this.
  static bool isFor(CpuKernelEmitter &e, mlir::Type stored, int64_t columns);
  /// Elements of a row of the left operand.
  static SymExpr paddedDepth(const SymExpr &depth) { return SymExpr::ceilDiv(depth, kStep) * SymExpr(kStep); }
  /// Rows of a block of `rows` rows of that depth: what stays in the second-level cache.
  static int64_t block(const SymExpr &rows, const SymExpr &depth);

  /// Between `begin` and `end` tiles are the kernel's.
  AmxTile(CpuKernelEmitter &e, const SymExpr &depth);
  /// Returns where the items that begin at `first` end: `past`, or `first` where tiles are forbidden.
  mlir::Value begin(mlir::Value first, mlir::Value past);
  void end();

  /// Makes `panel` that of the products from now on.
  mlir::LogicalResult setPanel(mlir::Value panel);
  /// The 32 rows from `left` on, `rowStride` elements apart, into `tile()`, row after row.
  mlir::LogicalResult multiply(mlir::Value left, mlir::Value rowStride);
  mlir::Value tile() const { return result; }

private:
  void call(llvm::StringRef intrinsic, mlir::ValueRange operands);
  mlir::Value number(int64_t value); // an i8
  mlir::Value at(mlir::Value pointer, mlir::Value bytes);

  CpuKernelEmitter &e;
  SymExpr depth;
  mlir::Value config, pairs, result; // scratch
};

} // namespace ds

#endif
