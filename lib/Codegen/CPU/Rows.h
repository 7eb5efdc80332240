//===- Rows.h - Loops over a row of a tensor, a vector at a time ----------===//
// Assumes: a compute type that is a float.
// Guarantees: what normalizations, attention and the like share: folds over a row with several accumulators, folds
//   over lanes, float arithmetic on scalars and vectors alike.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_ROWS_H
#define DS_LIB_CODEGEN_CPU_ROWS_H

#include "lib/Codegen/CPU/CpuKernelEmitter.h"

namespace ds {

/// Float arithmetic; a scalar operand beside a vector is broadcast.
class FloatMath {
public:
  FloatMath(CpuKernelEmitter &e, mlir::Type type) : e(e), b(e.builder()), type(type) {}

  mlir::Type getType() const { return type; }
  mlir::Value constant(double value) { return e.constantFloat(type, value); }
  mlir::Value vectorOf(double value) { return e.broadcast(constant(value)); }
  mlir::Value fromInt(mlir::Value i64);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y);
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value log(mlir::Value x);
  /// e^x and 2^x of what is not above 0.
  mlir::Value expNonPositive(mlir::Value x);
  mlir::Value exp2NonPositive(mlir::Value x);
  /// The greater; `y` where `x` is NaN. One instruction.
  mlir::Value max(mlir::Value x, mlir::Value y);

private:
  CpuKernelEmitter &e;
  mlir::OpBuilder &b;
  mlir::Type type;
};

using CombineFn = llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)>;

/// All lanes of `vector` in one scalar.
mlir::Value foldLanes(CpuKernelEmitter &e, mlir::Value vector, CombineFn combine);

/// Body of a fold: where it stands, the accumulators (vectors) -> the accumulators.
using FoldFn = llvm::function_ref<mlir::FailureOr<llvm::SmallVector<mlir::Value>>(LaneIndex, mlir::ValueRange)>;
using MergeFn = llvm::function_ref<mlir::Value(unsigned, mlir::Value, mlir::Value)>;
/// Folds over [0, size). Up to four sets of accumulators are merged by `merge` (the accumulator's number, two values)
/// in the end; each starts at `neutral`, the first at `init` if given. Lanes beyond the row keep their accumulators.
mlir::FailureOr<llvm::SmallVector<mlir::Value>> foldRow(CpuKernelEmitter &e, const SymExpr &size,
                                                        llvm::ArrayRef<mlir::Value> neutral, FoldFn body, MergeFn merge,
                                                        mlir::ValueRange init = {});

/// Vectors over [0, size): `body` gets `count` (a power of two) consecutive ones at a time while they last, then half
/// as many, and so on; one under a mask for the rest.
mlir::LogicalResult vectorGroups(CpuKernelEmitter &e, const SymExpr &size, int64_t count,
                                 llvm::function_ref<mlir::LogicalResult(llvm::ArrayRef<LaneIndex>)> body);

/// Indices of `tensor` at the row whose number is `row` among all values of the dimensions before `axis`; the others
/// are 0.
llvm::SmallVector<LaneIndex> leadingIndices(CpuKernelEmitter &e, mlir::Value tensor, unsigned axis, mlir::Value row);

/// Declares that all ops but `root` are computed where they are used.
void inlineOthers(CpuKernelEmitter &e, mlir::Operation *root);

/// Whether the kernel's first result has memory for the root's values as they are computed: same dims, and a type that
/// is its own compute type.
bool resultHoldsRoot(CpuKernelEmitter &e, mlir::Operation *root);

/// Stores a kernel's results where the epilogue may permute the root's dimensions (ds.transpose) besides pointwise ops.
class RootResults {
public:
  RootResults(CpuKernelEmitter &e, mlir::Operation *root);
  /// Stores all results; the root's is bound to its value at `indices` (positions in the root's dims).
  mlir::LogicalResult store(llvm::ArrayRef<LaneIndex> indices);

private:
  CpuKernelEmitter &e;
  llvm::SmallVector<llvm::SmallVector<int64_t>> perms; // for each result: its dim i is the root's dim perm[i]
};

} // namespace ds

#endif
