//===- Transposes.h - Making, merging and weighing transposes -------------===//
// Assumes: the state knows the dims of every value that is passed in.
// Guarantees: values are made with inferred types, merged with the transposes and reshapes they are made from;
// constants stay constants.
//===----------------------------------------------------------------------===//
#ifndef DS_LAYOUT_TRANSPOSES_H
#define DS_LAYOUT_TRANSPOSES_H

#include "dialects/ds/ir/DsOps.h"

namespace ds {

/// As `ds.transpose`'s: dim i of the result is dim perm[i] of the operand.
using Permutation = llvm::SmallVector<int64_t, 6>;

Permutation identityPermutation(int64_t rank);
bool isIdentity(llvm::ArrayRef<int64_t> perm);
Permutation inverse(llvm::ArrayRef<int64_t> perm);
/// What two transposes, `first` nearer to the operand, do together.
Permutation compose(llvm::ArrayRef<int64_t> first, llvm::ArrayRef<int64_t> second);
/// The permutation for a tensor of `rank` dims that leaves the leading ones alone.
Permutation extend(llvm::ArrayRef<int64_t> perm, int64_t rank);
/// `entries` of the dims of transpose(x, perm) as entries of the dims of x.
template <typename T> llvm::SmallVector<T> toInner(llvm::ArrayRef<T> entries, llvm::ArrayRef<int64_t> perm) {
  llvm::SmallVector<T> inner(entries);
  for (size_t i = 0; i < perm.size(); ++i)
    inner[perm[i]] = entries[i];
  return inner;
}

class TransposeBuilder {
public:
  TransposeBuilder(mlir::OpBuilder &builder, ShapeState &state) : b(builder), state(state) {}

  SymDims dims(mlir::Value value) const { return *state.getDims(value); }
  int64_t rank(mlir::Value value) const { return mlir::cast<mlir::RankedTensorType>(value.getType()).getRank(); }

  /// Only dims of 1 move: a reshape does the same.
  bool isTrivial(llvm::ArrayRef<SymExpr> dims, llvm::ArrayRef<int64_t> perm) const;
  bool isTrivial(TransposeOp op) const { return isTrivial(dims(op.getX()), op.getPerm()); }
  /// 1 if transpose(value, perm) moves data at run time, otherwise 0.
  int cost(mlir::Value value, llvm::ArrayRef<int64_t> perm) const;

  mlir::Value transpose(mlir::Value value, llvm::ArrayRef<int64_t> perm, mlir::Location loc);
  /// If `value` is a transpose whose order the reshape can keep, the result is a transpose of a reshape.
  mlir::Value reshape(mlir::Value value, llvm::ArrayRef<SymExpr> target, mlir::Location loc);
  /// `value` with leading dims of 1 up to the rank of `perm`, transposed. A tensor of one element stays as it is.
  mlir::Value align(mlir::Value value, llvm::ArrayRef<int64_t> perm, mlir::Location loc);
  int alignCost(mlir::Value value, llvm::ArrayRef<int64_t> perm) const;

  /// A copy of `op` on other operands; its types are not inferred yet.
  mlir::Operation *cloneWith(mlir::Operation *op, mlir::ValueRange operands);
  /// Infers types and dims of what was just made. It cannot fail, as the op was valid in the other order of dims.
  void infer(mlir::Operation *op);

private:
  mlir::Value makeReshape(mlir::Value value, llvm::ArrayRef<SymExpr> target, mlir::Location loc);
  TransposeOp findTranspose(mlir::Value value, llvm::ArrayRef<int64_t> perm) const;

  mlir::OpBuilder &b;
  ShapeState &state;
};

} // namespace ds

#endif
