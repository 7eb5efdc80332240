//===- ShapeBinder.h - Integer arithmetic that ends in known sizes --------===//
// Assumes: an insertion point; shapes of all operands known to the state.
// Guarantees: ops on small i64 tensors, with shapes inferred; `bind` makes their elements symbols (ds.bind).
//===----------------------------------------------------------------------===//
#ifndef DS_SHAPEBINDER_H
#define DS_SHAPEBINDER_H

#include "dialects/ds/shape/ShapeState.h"

namespace ds {

class ShapeBinder {
public:
  ShapeBinder(mlir::OpBuilder &builder, ShapeState &state) : b(builder), state(state) {}

  mlir::OpBuilder &builder() { return b; }
  ShapeState &getState() { return state; }
  void setLoc(mlir::Location location) { loc = location; }
  /// True once an op could not be built; a diagnostic said why, and the values since are of no use.
  bool hasFailed() const { return failed; }

  /// The elements of `x` (i32 or i64, static dims) as symbols, which must turn out not to be negative.
  llvm::SmallVector<SymExpr> bind(mlir::Value x, mlir::Value *bound = nullptr);

  /// Rank 1, i64.
  mlir::Value ints(llvm::ArrayRef<int64_t> values);
  mlir::Value ints(int64_t count, int64_t value) { return ints(llvm::SmallVector<int64_t>(count, value)); }
  /// Expressions that are known here.
  mlir::Value sizes(llvm::ArrayRef<SymExpr> dims);
  /// A scalar or list of integers or floats as i64 of rank 1.
  mlir::Value asList(mlir::Value x);
  /// Element `index` of a list, as a scalar of `element` type.
  mlir::Value scalar(mlir::Value list, int64_t index, mlir::Type element);
  mlir::Value part(mlir::Value list, int64_t first, int64_t count);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> lists);
  /// `list` with `updates` written at the positions `at`.
  mlir::Value scatter(mlir::Value list, mlir::Value at, mlir::Value updates);
  mlir::Value product(mlir::Value list);
  /// Axes of a tensor of rank `rank`, not negative; one out of range is `rank` or more, which `scatter` refuses.
  mlir::Value axesFromFront(mlir::Value axes, int64_t rank);

  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y); ///< truncates
  mlir::Value max(mlir::Value x, mlir::Value y);
  mlir::Value min(mlir::Value x, mlir::Value y);
  mlir::Value equal(mlir::Value x, mlir::Value y);
  mlir::Value less(mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);

  /// Any op of one result, with inferred shape.
  template <typename OpTy, typename... Args> mlir::Value make(mlir::Type element, Args &&...args) {
    llvm::FailureOr<OpTy> op = createInferred<OpTy>(b, loc, state, element, std::forward<Args>(args)...);
    if (mlir::succeeded(op))
      return (*op)->getResult(0);
    failed = true;
    return stand();
  }

private:
  /// Stands for a value that could not be built.
  mlir::Value stand();

  mlir::OpBuilder &b;
  ShapeState &state;
  mlir::Location loc = b.getUnknownLoc();
  bool failed = false;
};

} // namespace ds

#endif
