//===- RefineTypes.h - Types of a function from inferred sizes ------------===//
// Assumes: inferFunction has run on the function. Guarantees: see the functions.

#ifndef DS_REFINE_TYPES_H
#define DS_REFINE_TYPES_H

#include "dialects/ds/shape/ShapeState.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace ds {

/// Sets the types of all arguments and results within a function of one block from the state's dims (element types
/// stay), and the function's own type.
void refineTypes(mlir::FunctionOpInterface function, const ShapeState &state);

/// The function's type becomes what its block takes and returns.
void setTypeFromBody(mlir::FunctionOpInterface function);

} // namespace ds

#endif
