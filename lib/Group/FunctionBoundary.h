//===- FunctionBoundary.h - What a function and its host agree on ---------===//
// Assumes: a function of ds ops without regions.
// Guarantees: results have buffers of their own, what the host reads lies in
// buffers of constant size, and what must hold of
//   the entry dimensions is stated.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_GROUP_FUNCTIONBOUNDARY_H
#define DS_LIB_GROUP_FUNCTIONBOUNDARY_H

#include "dialects/ds/shape/ShapeState.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ds {

/// A result that is an input, a constant, another result, or memory of a call
/// needs a buffer of its own: a copy. So does one that is written in a stage
/// that does not know its dims yet: a view, by later sizes, of what came before
/// they were bound.
void copyAliasedResults(mlir::func::FuncOp function);

/// What the host reads lies in a buffer of constant size: a view of one whose
/// size varies is copied.
void copyViewsToRead(mlir::func::FuncOp function);

/// What the entry dimensions must fulfil, for the host program to check:
/// inference's constraints, and that no size is negative.
void stateConstraints(mlir::func::FuncOp function, ShapeState &shapes);

/// The names that the function gives to long sizes (ds.define), for the host
/// program to compute.
void stateDefinitions(mlir::func::FuncOp function);

} // namespace ds

#endif
