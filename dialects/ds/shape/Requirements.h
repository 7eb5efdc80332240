//===- Requirements.h - What a run's sizes must fulfil --------------------===//
// Assumes: a function whose shapes were inferred.
// Guarantees: what an op asked of its sizes is asked of every run, whatever takes the op's place later: a reshape that
//   became a view of another one, a slice whose bounds were resolved. Symbols in it are substituted as in ops.
//===----------------------------------------------------------------------===//
#ifndef DS_REQUIREMENTS_H
#define DS_REQUIREMENTS_H

#include "dialects/ds/shape/ShapeState.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ds {

/// Adds what `state` knows of, as far as symbols that have names say it, to the function's requirements: all but its
/// first `skip` constraints.
void keepRequirements(mlir::func::FuncOp function, const ShapeState &state, size_t skip = 0);

/// Those that were kept, each once, and what `state` knows of. Requirements on symbols that nothing in the function
/// defines any more are dropped: what asked for them is gone.
llvm::SmallVector<ShapeConstraint> allRequirements(mlir::func::FuncOp function, const ShapeState &state);

} // namespace ds

#endif
