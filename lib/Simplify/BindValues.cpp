//===- BindValues.cpp - Read sizes that depend on data --------------------===//
// Assumes: ds-infer-shapes ran; functions of one block.
// Guarantees: no op in operand form has a shape operand of unknown contents: what it says is bound (ds.bind) before.
// Declines: ops whose rank depends on data; they are errors later.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/Requirements.h"
#include "dialects/ds/shape/ShapeBinder.h"
#include "ds/Simplify/Passes.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_BINDVALUESPASS
#include "ds/Simplify/Passes.h.inc"

namespace {
class BindValuesPass : public impl::BindValuesPassBase<BindValuesPass> {
public:
  using BindValuesPassBase::BindValuesPassBase;
  void runOnOperation() override;
};
} // namespace

static LogicalResult bindValues(func::FuncOp function, ShapeState &state) {
  if (failed(seedArguments(function.getBody(), state)))
    return failure();
  const size_t before = state.getConstraints().size(); // those of other functions
  OpBuilder builder(function.getContext());
  ShapeBinder binder(builder, state);
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front().without_terminator())) {
    if (failed(inferOp(&op, state)))
      return failure();
    auto bindable = dyn_cast<BindShapesOpInterface>(op);
    if (!bindable || !bindable.dependsOnData(state)) {
      refineResultTypes(&op, state);
      continue;
    }
    builder.setInsertionPoint(&op);
    binder.setLoc(op.getLoc());
    Value old = op.getResult(0), replacement = bindable.bindShapes(binder);
    if (!replacement)
      return failure();
    if (replacement == old)
      continue;
    // A slice after the op, say, reads the op itself.
    old.replaceUsesWithIf(replacement, [&](OpOperand &use) { return use.getOwner() != replacement.getDefiningOp(); });
    if (old.use_empty())
      op.erase();
  }
  keepRequirements(function, state, before);
  function.setType(FunctionType::get(function.getContext(), function.getBody().getArgumentTypes(),
                                     function.getBody().front().getTerminator()->getOperandTypes()));
  return success();
}

void BindValuesPass::runOnOperation() {
  ShapeState state;
  // Names that ops further down define or mention are taken, and so are those in other functions: what a function runs
  // may know a symbol of its callers that it does not mention itself.
  getOperation()->walk([&](Operation *op) {
    op->getAttrDictionary().walk([&](ShapeAttr shape) {
      for (const SymExpr &expr : shape.getDims())
        state.reserveSymbols(expr);
    });
    if (auto define = dyn_cast<DefineOp>(op))
      state.reserveSymbols(SymExpr::symbol(define.getSymbol()));
  });
  for (auto function : getOperation().getOps<func::FuncOp>())
    if (!function.isExternal() && function.getBody().hasOneBlock() && failed(bindValues(function, state)))
      return signalPassFailure();
}

} // namespace ds
