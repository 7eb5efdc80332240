//===- Composites.cpp - Composite ops without a rule become their parts ---===//
// Guarantees: see Walk.h.
//===----------------------------------------------------------------------===//
#include "Walk.h"
#include "dialects/ds/ir/NodeName.h"

using namespace mlir;

namespace ds {

LogicalResult expandComposites(Block &block, const llvm::DenseSet<Value> &active, ShapeState &shapes) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto composite = dyn_cast<CompositeOpInterface>(op);
    if (!composite || isa<DifferentiableOpInterface>(op) ||
        llvm::none_of(op.getResults(), [&](Value result) { return active.contains(result); }))
      continue;
    OpBuilder builder(&op);
    FailureOr<SmallVector<Value>> made = composite.expand(builder, shapes);
    if (failed(made))
      return emitNodeError(&op) << "has no derivative in this form";
    op.replaceAllUsesWith(*made);
    for (Value result : op.getResults())
      shapes.forget(result);
    op.erase();
  }
  return success();
}

} // namespace ds
