//===- FunctionBoundary.cpp - What a function and its host agree on -------===//
// Guarantees: see FunctionBoundary.h.
//===----------------------------------------------------------------------===//
#include "lib/Group/FunctionBoundary.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
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
    Value root = operand.get();
    Operation *lastView = nullptr;
    for (Operation *op = root.getDefiningOp(); isa_and_nonnull<ReshapeOp, BindOp>(op); op = root.getDefiningOp()) {
      lastView = lastView ? lastView : op;
      root = op->getOperand(0);
    }
    bool late = lastView && root.getDefiningOp() && llvm::any_of(boundaries, [&](Operation *boundary) {
                  return root.getDefiningOp()->isBeforeInBlock(boundary) && boundary->isBeforeInBlock(lastView);
                });
    Operation *maker = root.getDefiningOp();
    bool owned = maker && !isa<ConstantOp>(maker) && !isCall(maker) && !late && taken.insert(root).second;
    if (owned)
      continue;
    OpBuilder builder(terminator);
    Value value = operand.get();
    operand.set(CastOp::create(builder, value.getLoc(), value.getType(), value));
  }
}

void copyViewsToRead(func::FuncOp function) {
  auto copyView = [](OpOperand &operand) {
    Value root = operand.get();
    while (isa_and_nonnull<ReshapeOp, BindOp>(root.getDefiningOp()))
      root = root.getDefiningOp()->getOperand(0);
    if (cast<RankedTensorType>(root.getType()).hasStaticShape())
      return;
    OpBuilder builder(operand.getOwner());
    Value value = operand.get();
    operand.set(CastOp::create(builder, value.getLoc(), value.getType(), value));
  };
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
    if (auto bind = dyn_cast<BindOp>(op))
      copyView(bind.getXMutable());
    if (auto branch = dyn_cast<IfOp>(op))
      copyView(branch.getConditionMutable());
    if (auto loop = dyn_cast<LoopOp>(op))
      for (MutableOperandRange operands : {loop.getTripsMutable(), loop.getConditionMutable()})
        for (OpOperand &operand : operands)
          copyView(operand);
  }
}

void stateConstraints(func::FuncOp function, ShapeState &shapes) {
  Builder builder(function.getContext());
  SmallVector<Attribute> all;
  auto state = [&](const SymExpr &a, const SymExpr &b, ShapeConstraint::Kind kind, const Twine &message) {
    auto sides = ShapeAttr::get(function.getContext(), ArrayRef<SymExpr>{a, b});
    all.push_back(builder.getDictionaryAttr({builder.getNamedAttr("sides", sides),
                                             builder.getNamedAttr("kind", builder.getI64IntegerAttr(kind)),
                                             builder.getNamedAttr("message", builder.getStringAttr(message))}));
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
    op->getAttrDictionary().walk([&](ShapeAttr shape) {
      for (const SymExpr &expr : shape.getDims())
        stateDivisors(expr, node);
    });
  });
  for (const ShapeConstraint &constraint : shapes.getConstraints())
    for (const SymExpr &side : {constraint.a, constraint.b})
      stateDivisors(side, [&] { return StringRef(constraint.message).split(": expected ").first.str(); });
  for (const ShapeConstraint &constraint : shapes.getConstraints())
    state(constraint.a, constraint.b, constraint.kind, constraint.message);
  std::unordered_set<SymExpr, SymExpr::Hash> seen;
  function.walk([&](Operation *op) {
    for (Value result : op->getResults())
      if (auto dims = shapes.getDims(result))
        for (const SymExpr &dim : *dims)
          if (!dim.isNonNegative() && seen.insert(dim).second)
            state(SymExpr(0), dim, ShapeConstraint::LessEqual,
                  describeNode(op) + ": its result would have the negative dimension " + dim.str());
  });
  function->setAttr(rt::kConstraints, builder.getArrayAttr(all));
}

void stateDefinitions(func::FuncOp function) {
  Builder builder(function.getContext());
  SmallVector<Attribute> all;
  for (auto define : function.getOps<DefineOp>())
    all.push_back(builder.getDictionaryAttr({builder.getNamedAttr("symbol", define.getSymbolAttr()),
                                             builder.getNamedAttr("value", define.getValueAttr())}));
  if (!all.empty())
    function->setAttr(rt::kDefined, builder.getArrayAttr(all));
}

} // namespace ds
