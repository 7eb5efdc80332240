//===- DsInterfaces.h - The op interfaces of ds ---------------------------===//
// Guarantees: ShapeOpInterface, CompositeOpInterface (documented in DsInterfaces.td), ElementOpInterface (ElementInterface.td).
//===----------------------------------------------------------------------===//
#ifndef DS_DSINTERFACES_H
#define DS_DSINTERFACES_H

#include "dialects/ds/ShapeState.h"
#include "mlir/IR/OpDefinition.h"

namespace ds {
class ElementBuilder;
class LaneIndex;
} // namespace ds

#include "dialects/ds/DsInterfaces.h.inc"
#include "dialects/ds/ElementInterface.h.inc"

namespace ds {
/// Elementwise ops: see DS_ElementwiseOp.
template <typename ConcreteType> class Elementwise : public mlir::OpTrait::TraitBase<ConcreteType, Elementwise> {};
} // namespace ds

#endif
