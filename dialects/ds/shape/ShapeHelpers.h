//===- ShapeHelpers.h - What shape functions share ------------------------===//
// Private to dialects/ds.
//===----------------------------------------------------------------------===//
#ifndef DS_SHAPEHELPERS_H
#define DS_SHAPEHELPERS_H

#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"

namespace ds {

/// The contents of a tensor whose dims and elements are all known to the state (at most ShapeState::kMaxContents).
struct SmallTensor {
  llvm::SmallVector<int64_t> dims;
  llvm::SmallVector<SymFraction> elements;

  static std::optional<SmallTensor> get(mlir::Value value, const ShapeState &state);

  const SymFraction &at(llvm::ArrayRef<int64_t> index) const;
  /// The element that a result index reads under NumPy's broadcasting.
  const SymFraction &atBroadcast(llvm::ArrayRef<int64_t> resultIndex) const;

  /// Sets the contents of `value` from an element function, if the dims are small constants and every element is known.
  static void build(mlir::Value value, llvm::ArrayRef<SymExpr> dims, ShapeState &state,
                    llvm::function_ref<std::optional<SymFraction>(llvm::ArrayRef<int64_t>)> element);
};

inline SymDims dimsOf(mlir::Value value, const ShapeState &state) { return *state.getDims(value); }

/// All as constants, or nullopt.
std::optional<llvm::SmallVector<int64_t>> allConstants(llvm::ArrayRef<SymExpr> exprs);

/// Fails unless 0 <= axis < rank.
llvm::LogicalResult checkAxis(mlir::Operation *op, int64_t axis, int64_t rank);

/// One of two equal dims: the constant one, else the first. Records the constraint.
llvm::FailureOr<SymExpr> unify(const SymExpr &a, const SymExpr &b, mlir::Operation *op, const llvm::Twine &what,
                               ShapeState &state);

/// Makes all dims equal, one by one; the ranks must match.
llvm::LogicalResult unifyDims(llvm::MutableArrayRef<SymExpr> into, llvm::ArrayRef<SymExpr> other, mlir::Operation *op,
                              const llvm::Twine &what, ShapeState &state);

/// The number of entries of a rank-1 shape operand, or nullopt (with a diagnostic unless verifying).
std::optional<int64_t> shapeOperandLength(mlir::Value shape, ShapeState &state);

/// A slice in attr form; `known` is false where a bound is not (its dim is then a fresh symbol).
struct ResolvedSlice {
  SymDims start, size;
  llvm::SmallVector<int64_t> step;
  bool known = false;
};
llvm::FailureOr<ResolvedSlice> resolveSlice(SliceOp op, ShapeState &state);

/// The expressions as an attribute, if all are known on entry; null otherwise.
ShapeAttr knownShape(mlir::MLIRContext *context, llvm::ArrayRef<SymExpr> exprs, const ShapeState &state);

/// For `useKnownShapes` of ops whose result's dims are either operand 'shape' or attribute 'target': the attribute,
/// where all are known on entry. False where nothing changed.
template <typename OpTy> bool useKnownTarget(OpTy op, const ShapeState &state) {
  ShapeAttr target = op.getShape() ? knownShape(op.getContext(), dimsOf(op.getResult(), state), state) : ShapeAttr();
  if (!target)
    return false;
  op.setTargetAttr(target);
  op.getShapeMutable().clear();
  return true;
}

/// True if both values have provably the same dims.
bool haveSameDims(mlir::Value a, mlir::Value b, const ShapeState &state);

/// Exactly one of an operand and an attribute.
llvm::LogicalResult verifyOneForm(mlir::Operation *op, bool operandForm, bool attrForm, llvm::StringRef operandName,
                                  llvm::StringRef attrName);

/// Fails unless both have the same element type.
llvm::LogicalResult verifySameElementType(mlir::Operation *op, mlir::Value a, mlir::Value b, llvm::StringRef aName,
                                          llvm::StringRef bName);

/// A rank-0 float constant.
mlir::Value floatScalar(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type element, double value);

} // namespace ds

#endif
