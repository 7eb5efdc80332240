//===- RegisterTile.h - Products of a few rows by one panel ---------------===//
// Assumes: f32 or f64; a right operand in panels of two vectors (ds.pack), of that type or of halves that are widened
// as
//   they are read; elements of the left operand at one distance from row to row, and at another along the depth.
// Guarantees: accumulators stay in registers over parts of the depth, whose sums are added: rounding errors do not grow
//   with it. The rows of a block are covered by tiles of one
//   height: as few as possible, none much lower than the others. Where the height does not divide the rows, the last
//   tile moves back over rows that the one before it computed, and computes them again, to the same values.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_REGISTERTILE_H
#define DS_LIB_CODEGEN_CPU_REGISTERTILE_H

#include "lib/Codegen/CPU/CpuKernelEmitter.h"

namespace ds {

/// Elements of a register.
int64_t registerLanes(CpuKernelEmitter &e, mlir::Type element);

/// Rows of the highest register tile whose rows have `vectors` vectors, on a machine with `registers` of them.
int64_t tallestTile(int64_t vectors, int64_t registers);

/// The height of the tiles that cover `rows` rows in as few tiles as possible.
int64_t tileHeight(int64_t rows, int64_t tallest);

/// Rows of a block, at most `most`, such that the tiles of all blocks of `rows` rows compute few rows twice.
int64_t balancedBlock(int64_t rows, int64_t most, int64_t tallest);

class RegisterTile {
public:
  /// `columns` is the width of a panel of `stored`s, which are multiplied as `element`s; blocks of `rows` rows hold
  /// `block` of them, the last one what is left.
  RegisterTile(CpuKernelEmitter &e, mlir::Type element, mlir::Type stored, int64_t columns, const SymExpr &rows,
               int64_t block);

  int64_t getTallest() const { return tallest; }
  int64_t getVectors() const { return vectors; }

  struct Operands {
    mlir::Value left;      // the first row of the block
    mlir::Value rowStride; // elements from one row to the next
    mlir::Value panel;
    SymExpr depth;
    mlir::Value depthStride; // elements from one to the next along the depth; null: 1
  };
  /// The tile height for `count` rows, to be computed once a block.
  mlir::Value height(mlir::Value count);
  /// Covers rows [0, count): the tile of rows [row, row + height) goes to target(row), row after row without gaps; then
  /// finish(row).
  mlir::LogicalResult emit(const Operands &operands, mlir::Value count, mlir::Value height,
                           llvm::function_ref<mlir::Value(mlir::Value)> target,
                           llvm::function_ref<mlir::LogicalResult(mlir::Value)> finish);

private:
  mlir::LogicalResult product(const Operands &operands, int64_t rows, mlir::Value row, mlir::Value target);
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> sum(const Operands &operands, int64_t rows, mlir::Value rowStart,
                                                      mlir::Value first, mlir::Value past);

  CpuKernelEmitter &e;
  mlir::Type element, stored;
  int64_t columns, lanes, vectors, tallest; // `lanes` of a register
  llvm::SmallVector<int64_t> heights;       // those that may occur, ascending
  bool general = false;                     // the number of rows is not known
};

} // namespace ds

#endif
