//===- InferShapes.cpp - Derive shapes, remove shape arithmetic -----------===//
// Assumes: functions of ds ops.
// Guarantees: refined types; shape operands became attributes and shape tensors constants where their contents are
// known on entry; ops that change nothing and dead ops are gone.
// Declines: contents that depend on data.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/RefineTypes.h"
#include "dialects/ds/shape/Requirements.h"
#include "ds/Simplify/Passes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_INFERSHAPESPASS
#include "ds/Simplify/Passes.h.inc"

namespace {
class InferShapesPass : public impl::InferShapesPassBase<InferShapesPass> {
public:
  using InferShapesPassBase::InferShapesPassBase;
  void runOnOperation() override;

private:
  void materializeContents(Region &region, const ShapeState &state);
};
} // namespace

static void eraseDeadOps(Region &region) {
  for (Block &block : region)
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
      for (Region &inner : op.getRegions())
        eraseDeadOps(inner);
      if (isOpTriviallyDead(&op))
        op.erase();
    }
}

/// A constant, or the expressions as a tensor; null if they are not known on entry.
static Value materialize(OpBuilder &builder, Location loc, RankedTensorType type, ArrayRef<SymExpr> contents,
                         const ShapeState &state) {
  bool constant = true;
  for (const SymExpr &expr : contents) {
    constant &= expr.isConst();
    if (expr.isOverflow() || !state.isKnownOnEntry(expr))
      return {};
  }
  if (constant && type.hasStaticShape()) {
    SmallVector<int64_t> values;
    for (const SymExpr &expr : contents)
      values.push_back(expr.getConst());
    return ConstantOp::create(builder, loc, makeIntElements(type, values));
  }
  if (type.getElementType().isInteger(1) || !type.hasStaticShape())
    return {};
  ShapeAttr shape = ShapeAttr::get(builder.getContext(), contents);
  if (type.getRank() == 0)
    return ShapeValueOp::create(builder, loc, type, shape, /*scalar=*/true);
  auto flat = RankedTensorType::get({int64_t(contents.size())}, type.getElementType());
  Value values = ShapeValueOp::create(builder, loc, flat, shape, /*scalar=*/false);
  if (type.getRank() == 1)
    return values;
  return ReshapeOp::create(builder, loc, type, values, Value(), ShapeAttr::get(builder.getContext(), type.getShape()),
                           /*allow_zero=*/false);
}

void InferShapesPass::materializeContents(Region &region, const ShapeState &state) {
  for (Block &block : region)
    for (Operation &op : llvm::make_early_inc_range(block)) {
      for (Region &inner : op.getRegions())
        materializeContents(inner, state);
      if (isa<ConstantOp, ShapeValueOp>(op) || !isMemoryEffectFree(&op) || op.getNumRegions() != 0)
        continue;
      OpBuilder builder(&op);
      for (Value result : op.getResults()) {
        std::optional<SmallVector<SymExpr>> contents = result.use_empty() ? std::nullopt : state.getContents(result);
        auto type = dyn_cast<RankedTensorType>(result.getType());
        if (!contents || !type)
          continue;
        if (Value value = materialize(builder, op.getLoc(), type, *contents, state))
          result.replaceAllUsesWith(value);
      }
    }
}

void InferShapesPass::runOnOperation() {
  func::FuncOp function = getOperation();
  if (function.isExternal())
    return;
  ShapeState state;
  if (failed(inferFunction(function, state)))
    return signalPassFailure();
  keepRequirements(function, state);

  refineTypes(function, state);
  SmallVector<Operation *> ops;
  function.walk([&](ShapeOpInterface op) { ops.push_back(op); });
  for (Operation *op : ops) {
    auto shaped = cast<ShapeOpInterface>(op);
    shaped.useKnownShapes(state);
    if (shaped.isIdentity(state) && op->getResult(0).getType() == op->getOperand(0).getType())
      op->getResult(0).replaceAllUsesWith(op->getOperand(0));
  }
  eraseDeadOps(function.getBody());
  materializeContents(function.getBody(), state);
  eraseDeadOps(function.getBody());
  setTypeFromBody(function); // what was replaced may be a result
}
} // namespace ds
