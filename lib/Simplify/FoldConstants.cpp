//===- FoldConstants.cpp - Compute what depends on constants only ---------===//
// Assumes: shapes inferred.
// Guarantees: an op whose operands are all constants is one, if FoldOpInterface computes it and the result is not
// larger than its operands (or than max-growth bytes). Declines: decompression (a cast or dequantization of a large
// weight) for that reason.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "ds/Simplify/Passes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_FOLDCONSTANTSPASS
#include "ds/Simplify/Passes.h.inc"

namespace {
class FoldConstantsPass : public impl::FoldConstantsPassBase<FoldConstantsPass> {
public:
  using FoldConstantsPassBase::FoldConstantsPassBase;
  void runOnOperation() override;
};
} // namespace

/// The constant that `op` computes; null if it declines.
static ElementsAttr fold(Operation *op, int64_t maxGrowth) {
  auto foldable = dyn_cast<FoldOpInterface>(op);
  if (!foldable || op->getNumResults() != 1)
    return {};
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  std::optional<ElementKind> kind = getElementKind(type.getElementType());
  if (!type.hasStaticShape() || !kind)
    return {};
  // A product that wraps around could be a small one.
  int64_t bytes = getElementBytes(*kind), operandBytes = 0;
  for (int64_t dim : type.getShape())
    if (dim && llvm::MulOverflow(bytes, dim, bytes))
      return {};
  if (llvm::is_contained(type.getShape(), 0))
    bytes = 0;
  SmallVector<ElementsView> operands;
  for (Value operand : op->getOperands()) {
    auto constant = operand.getDefiningOp<ConstantOp>();
    std::optional<ElementsView> view = constant ? ElementsView::get(constant.getValue()) : std::nullopt;
    if (!view)
      return {};
    operandBytes += int64_t(view->bytes().size());
    operands.push_back(*view);
  }
  // What has no operands (a fill) is cheaper to compute than to load; only a small one may help other ops to fold.
  constexpr int64_t kMaxFromNothing = 1024;
  if (bytes > (operands.empty() ? kMaxFromNothing : std::max(operandBytes, maxGrowth)))
    return {};
  FailureOr<std::vector<char>> result = foldable.evaluate(operands);
  if (failed(result))
    return {};
  std::optional<NodeName> node = getNodeName(op->getLoc());
  return makeElements(type, std::move(*result), node ? node->name : "folded");
}

void FoldConstantsPass::runOnOperation() {
  SmallVector<Operation *> dead;
  getOperation().walk([&](Operation *op) {
    if (isa<ConstantOp>(op))
      return;
    ElementsAttr value = fold(op, maxGrowth);
    if (!value)
      return;
    OpBuilder builder(op);
    op->getResult(0).replaceAllUsesWith(ConstantOp::create(builder, op->getLoc(), value));
    dead.push_back(op);
  });
  for (Operation *op : dead)
    op->erase();
  // Operands of what was folded.
  getOperation().walk([](ConstantOp constant) {
    if (constant.use_empty())
      constant.erase();
  });
}
} // namespace ds
