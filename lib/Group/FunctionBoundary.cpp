//===- FunctionBoundary.cpp - What a function and its host agree on -------===//
// Guarantees: see FunctionBoundary.h.
//===----------------------------------------------------------------------===//
#include "lib/Group/FunctionBoundary.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/shape/Requirements.h"
#include "dialects/rt/RtDialect.h"

using namespace mlir;

namespace ds {

void copyAliasedResults(func::FuncOp function) {
  Block &block = function.getBody().front();
  Operation *terminator = block.getTerminator();
  SmallVector<Operation *> boundaries;
  for (Operation &op : block)
    if (endsStage(&op))
      boundaries.push_back(&op);
  llvm::SmallPtrSet<Value, 8> taken;
  for (OpOperand &operand : terminator->getOpOperands()) {
    Value root = operand.get();
    Operation *lastView = nullptr;
    while (Value viewed = viewedBy(root.getDefiningOp())) {
      lastView = lastView ? lastView : root.getDefiningOp();
      root = viewed;
    }
    bool late = lastView && root.getDefiningOp() && llvm::any_of(boundaries, [&](Operation *boundary) {
                  return root.getDefiningOp()->isBeforeInBlock(boundary) && boundary->isBeforeInBlock(lastView);
                });
    Operation *maker = root.getDefiningOp();
    bool owned = maker && !isHostOp(maker) && !late && taken.insert(root).second;
    if (owned)
      continue;
    OpBuilder builder(terminator);
    Value value = operand.get();
    operand.set(CastOp::create(builder, value.getLoc(), value.getType(), value));
  }
}

void copyViewsToRead(func::FuncOp function) {
  auto copyView = [](OpOperand &operand) {
    if (cast<RankedTensorType>(memoryOf(operand.get()).getType()).hasStaticShape())
      return;
    OpBuilder builder(operand.getOwner());
    Value value = operand.get();
    operand.set(CastOp::create(builder, value.getLoc(), value.getType(), value));
  };
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front()))
    if (auto host = dyn_cast<HostOpInterface>(op))
      for (OpOperand *operand : host.getOperandsRead())
        copyView(*operand);
}

static_assert(int(rt::ConstraintKind::equal) == ShapeConstraint::Equal &&
              int(rt::ConstraintKind::broadcast) == ShapeConstraint::Broadcast &&
              int(rt::ConstraintKind::less_equal) == ShapeConstraint::LessEqual);

void stateConstraints(func::FuncOp function, ShapeState &shapes) {
  SmallVector<Attribute> all;
  MLIRContext *context = function.getContext();
  for (const ShapeConstraint &constraint : allRequirements(function, shapes))
    all.push_back(rt::ConstraintAttr::get(context, static_cast<rt::ConstraintKind>(constraint.kind),
                                          ShapeAttr::get(context, ArrayRef<SymExpr>{constraint.a, constraint.b}),
                                          StringAttr::get(context, constraint.message)));
  function->removeAttr(kRequirementsAttr);
  function->setAttr(rt::kConstraints, ArrayAttr::get(context, all));
}

} // namespace ds
