//===- FunctionBoundary.cpp - What a function and its host agree on -------===//
// Guarantees: see FunctionBoundary.h.
//===----------------------------------------------------------------------===//
#include "lib/Group/FunctionBoundary.h"
#include "dialects/ds/ir/Donations.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/Requirements.h"
#include "dialects/rt/RtDialect.h"
#include <unordered_set>

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
    if (isUnchangedDonation(function, operand.getOperandNumber()))
      continue;
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
              int(rt::ConstraintKind::less_equal) == ShapeConstraint::LessEqual &&
              int(rt::ConstraintKind::not_zero) == ShapeConstraint::NotZero);

void stateConstraints(func::FuncOp function, ShapeState &shapes) {
  MLIRContext *context = function.getContext();
  SmallVector<Attribute> all;
  auto state = [&](const SymExpr &a, const SymExpr &b, ShapeConstraint::Kind kind, const Twine &message) {
    all.push_back(rt::ConstraintAttr::get(context, static_cast<rt::ConstraintKind>(kind),
                                          ShapeAttr::get(context, ArrayRef<SymExpr>{a, b}),
                                          StringAttr::get(context, message)));
  };
  // First, so that none fails because of a quotient that does not exist.
  std::unordered_set<SymExpr, SymExpr::Hash> looked, divisors;
  auto stateDivisors = [&](const SymExpr &expr, llvm::function_ref<std::string()> node) {
    if (!expr.isConst() && looked.insert(expr).second)
      expr.forEachDivisor([&](const SymExpr &divisor) {
        if (!divisor.isPositive() && divisors.insert(divisor).second)
          state(divisor, divisor, ShapeConstraint::NotZero,
                node() + ": a size is computed by dividing by " + divisor.str() + ", which is 0");
      });
  };
  function.walk([&](Operation *op) {
    auto node = [&] { return describeNode(op); };
    for (Value result : op->getResults())
      if (auto dims = shapes.getDims(result))
        for (const SymExpr &dim : *dims)
          stateDivisors(dim, node);
    if (op == function) // its requirements name nodes of their own
      return;
    op->getAttrDictionary().walk([&](ShapeAttr shape) {
      for (const SymExpr &expr : shape.getDims())
        stateDivisors(expr, node);
    });
  });
  SmallVector<ShapeConstraint> constraints = allRequirements(function, shapes);
  for (const ShapeConstraint &constraint : constraints)
    for (const SymExpr &side : {constraint.a, constraint.b})
      stateDivisors(side, [&] { return StringRef(constraint.message).split(": ").first.str(); });
  for (const ShapeConstraint &constraint : constraints)
    state(constraint.a, constraint.b, constraint.kind, constraint.message);
  function->removeAttr(kRequirementsAttr);
  function->setAttr(rt::kConstraints, ArrayAttr::get(context, all));
}

} // namespace ds
