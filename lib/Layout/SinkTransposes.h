//===- SinkTransposes.h - Ops on transposed operands ----------------------===//
// Private to lib/Layout.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_LAYOUT_SINKTRANSPOSES_H
#define DS_LIB_LAYOUT_SINKTRANSPOSES_H

#include "ds/Layout/Transposes.h"

namespace ds {

/// If operands of `op` are transposes that it commutes with, replaces it by an op on their operands and a transpose of
/// the result, unless that would add transposes.
void sinkTransposes(mlir::Operation *op, TransposeBuilder &transposes, mlir::OpBuilder &builder);

/// What `op`, an elementwise op or concatenation, costs in transposes of its operands if its result is to be transposed
/// by `perm`; nullopt for other ops.
using OperandCost = llvm::function_ref<int(mlir::Value, llvm::ArrayRef<int64_t>)>;
std::optional<int> costOfTransposed(mlir::Operation *op, llvm::ArrayRef<int64_t> perm, OperandCost cost);
/// Such an op's result transposed by `perm`, made from transposed operands.
using TransposeOperand = llvm::function_ref<mlir::Value(mlir::Value, llvm::ArrayRef<int64_t>)>;
mlir::Value makeTransposed(mlir::Operation *op, llvm::ArrayRef<int64_t> perm, TransposeBuilder &transposes,
                           TransposeOperand transposeOperand);

} // namespace ds

#endif
