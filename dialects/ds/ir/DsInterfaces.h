//===- DsInterfaces.h - The op interfaces of ds ---------------------------===//
// Guarantees: ShapeOpInterface, KernelRootOpInterface, HostOpInterface, CompositeOpInterface (documented in
// DsInterfaces.td), ElementOpInterface (ElementInterface.td).
//===----------------------------------------------------------------------===//
#ifndef DS_DSINTERFACES_H
#define DS_DSINTERFACES_H

#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/shape/ShapeState.h"
#include "mlir/IR/OpDefinition.h"
#include <cmath>

namespace ds {
namespace detail {
/// Computes an elementwise op on constants through ElementRuleOpInterface.
llvm::FailureOr<std::vector<char>> evaluateElementwise(mlir::Operation *op, llvm::ArrayRef<ElementsView> operands);
/// Host arithmetic with the semantics of ds where C++'s differ.
namespace host {
double relu(double x);
double sign(double x);
double max(double a, double b);
double min(double a, double b);
double floorMod(double a, double b);
double gelu(double x, bool tanhForm);
int64_t wrapAdd(int64_t a, int64_t b);
int64_t wrapSub(int64_t a, int64_t b);
int64_t wrapMul(int64_t a, int64_t b);
std::optional<int64_t> divide(int64_t a, int64_t b, bool isUnsigned);
std::optional<int64_t> modulo(int64_t a, int64_t b, bool isUnsigned, bool truncating);
std::optional<int64_t> power(int64_t a, int64_t b);
bool less(int64_t a, int64_t b, bool isUnsigned);
int64_t shiftLeft(int64_t a, int64_t b);
int64_t shiftRight(int64_t a, int64_t b, bool isUnsigned);
} // namespace host
} // namespace detail
class ElementBuilder;
class LaneIndex;
class VjpBuilder;
class ShapeBinder;
namespace detail {
/// ElementOpInterface::buildElement of elementwise ops: `lanes` gets the operands' values.
mlir::FailureOr<mlir::Value> buildElementwise(mlir::Operation *op, ElementBuilder &eb,
                                              llvm::ArrayRef<LaneIndex> indices,
                                              llvm::function_ref<mlir::Value(llvm::ArrayRef<mlir::Value>)> lanes);
} // namespace detail
} // namespace ds

#include "dialects/ds/element/ElementInterface.h.inc"
#include "dialects/ds/ir/DsInterfaces.h.inc"

namespace ds {
// What an op says by HostOpInterface; "no" (null) for those that have it not.
inline bool isHostOp(mlir::Operation *op) { return llvm::isa_and_present<HostOpInterface>(op); }
inline bool isCall(mlir::Operation *op) {
  auto host = llvm::dyn_cast_if_present<HostOpInterface>(op);
  return host && host.isCall();
}
inline bool endsStage(mlir::Operation *op) {
  auto host = llvm::dyn_cast_if_present<HostOpInterface>(op);
  return host && host.endsStage();
}
inline mlir::Value viewedBy(mlir::Operation *op) {
  auto host = llvm::dyn_cast_if_present<HostOpInterface>(op);
  return host ? host.getViewed() : mlir::Value();
}
/// The value whose memory `value` is: views are seen through.
inline mlir::Value memoryOf(mlir::Value value) {
  while (mlir::Value viewed = viewedBy(value.getDefiningOp()))
    value = viewed;
  return value;
}

/// Whether `op` has the same number at every position of its result: ElementOpInterface::isUniform.
inline bool isUniform(mlir::Operation *op) {
  auto element = llvm::dyn_cast_if_present<ElementOpInterface>(op);
  return element && element.isUniform();
}

/// Elementwise ops: see DS_ElementwiseOp.
template <typename ConcreteType> class Elementwise : public mlir::OpTrait::TraitBase<ConcreteType, Elementwise> {};
/// Ops that move elements: see DS_CopiesElements.
template <typename ConcreteType>
class CopiesElements : public mlir::OpTrait::TraitBase<ConcreteType, CopiesElements> {};
/// Ops that repeat elements: see DS_RepeatsElements.
template <typename ConcreteType>
class RepeatsElements : public mlir::OpTrait::TraitBase<ConcreteType, RepeatsElements> {};
/// Reductions over `axes`: see DS_Reduces.
template <typename ConcreteType> class Reduces : public mlir::OpTrait::TraitBase<ConcreteType, Reduces> {};
/// Ops that broadcast: see DS_Broadcasts.
template <typename ConcreteType> class Broadcasts : public mlir::OpTrait::TraitBase<ConcreteType, Broadcasts> {};
/// Ops without a derivative: see DS_NoVjp.
template <typename ConcreteType> class HasNoVjp : public mlir::OpTrait::TraitBase<ConcreteType, HasNoVjp> {};
} // namespace ds

#endif
