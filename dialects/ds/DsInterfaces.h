//===- DsInterfaces.h - The op interfaces of ds ---------------------------===//
// Guarantees: ShapeOpInterface, CompositeOpInterface (documented in DsInterfaces.td).
//===----------------------------------------------------------------------===//
#ifndef DS_DSINTERFACES_H
#define DS_DSINTERFACES_H

#include "dialects/ds/ShapeState.h"
#include "mlir/IR/OpDefinition.h"

#include "dialects/ds/DsInterfaces.h.inc"

namespace ds {
/// Elementwise ops: see DS_ElementwiseOp.
template <typename ConcreteType> class Elementwise : public mlir::OpTrait::TraitBase<ConcreteType, Elementwise> {};
} // namespace ds

#endif
