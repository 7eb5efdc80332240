//===- LoopFacts.h - What a loop's body does with sizes and slices --------===//
// Assumes: a ds.loop in a function whose shapes are known.
// Guarantees: what one look at its body tells.
//===----------------------------------------------------------------------===//
#ifndef DS_AUTODIFF_LOOPFACTS_H
#define DS_AUTODIFF_LOOPFACTS_H

#include "Walk.h"
#include <set>

namespace ds {

/// An iteration takes one slice of a tensor that the loop captures, each another one, one after another.
struct LoopSlice {
  mlir::Value made; ///< by the body
  unsigned captured;
  int64_t axis;
  /// Iteration i takes the slice first + i, or first - i.
  SymExpr first;
  bool isBackward;
};

struct LoopFacts {
  /// Of each state, whether an iteration may change its dims.
  llvm::SmallVector<bool> changes;
  llvm::SmallVector<LoopSlice> slices;
  /// The number of iterations that there are in every run, where it is known before.
  std::optional<SymExpr> trips;
};

/// `shapes` knows the function that the loop is in.
llvm::FailureOr<LoopFacts> lookAtLoop(LoopOp loop, mlir::func::FuncOp body, ShapeState &shapes);

} // namespace ds

#endif
