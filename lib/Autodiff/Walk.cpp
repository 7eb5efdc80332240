//===- Walk.cpp - Cotangents from the results of a function to its values -===//
// Guarantees: see Walk.h.
// Declines: ops without a rule; each is an error that names the node.
//===----------------------------------------------------------------------===//
#include "Walk.h"
#include "dialects/ds/ir/NodeName.h"

using namespace mlir;

namespace ds {

Reverser::Reverser(ModuleOp module) : table(module), activity(table) {
  // What a function runs may know a symbol of its callers: a new one is new to all.
  module.walk([&](Operation *op) {
    op->getAttrDictionary().walk([&](ShapeAttr shape) {
      for (const SymExpr &expr : shape.getDims())
        shapes.reserveSymbols(expr);
    });
    if (auto define = dyn_cast<DefineOp>(op))
      shapes.reserveSymbols(SymExpr::symbol(define.getSymbol()));
  });
}

LogicalResult Walk::prepare() {
  auto find = [&] {
    active.clear();
    active.insert_range(roots);
    reverser.activity.spread(block, active);
  };
  find();
  if (failed(expandComposites(block, active, reverser.shapes)))
    return failure();
  find();
  return success();
}

LogicalResult Walk::add(Value value, Value cotangent) {
  Value &sum = cotangents[value];
  if (!sum) {
    sum = cotangent;
    return success();
  }
  OpBuilder builder = this->builder();
  FailureOr<AddOp> made =
      createInferred<AddOp>(builder, cotangent.getLoc(), reverser.shapes, getElementTypeOrSelf(value), sum, cotangent);
  if (succeeded(made))
    sum = *made;
  return made;
}

LogicalResult Walk::differentiate(Operation *op) {
  SmallVector<Value> results, operands(op->getNumOperands());
  for (Value result : op->getResults())
    results.push_back(cotangents.lookup(result));
  if (llvm::none_of(results, [](Value cotangent) { return bool(cotangent); }))
    return success();
  SmallVector<bool> needed;
  for (Value operand : op->getOperands())
    needed.push_back(isActive(operand));
  if (llvm::none_of(needed, [](bool need) { return need; }))
    return success();
  if (auto branch = dyn_cast<IfOp>(op))
    return differentiateIf(*this, branch, results);
  if (auto loop = dyn_cast<LoopOp>(op))
    return differentiateLoop(*this, loop, results);
  auto rule = dyn_cast<DifferentiableOpInterface>(op);
  if (!rule)
    return emitNodeError(op) << "has no derivative (" << op->getName() << "), but the gradient depends on it";
  if (StringRef reason = rule.whyNoVjp(); !reason.empty())
    return emitNodeError(op) << "has no derivative (" << reason << "), but the gradient depends on it";
  OpBuilder builder = this->builder();
  VjpBuilder vjp(builder, reverser.shapes, op, needed);
  if (failed(rule.buildVjp(vjp, results, operands)))
    return emitNodeError(op) << "has no derivative in this form (" << op->getName() << ")";
  for (auto [operand, cotangent, need] : llvm::zip_equal(op->getOperands(), operands, needed)) {
    if (!need || !cotangent)
      continue;
    Value own = vjp.reduceTo(vjp(cotangent), vjp.dims(operand)).get();
    if (!own || failed(add(operand, own)))
      return emitNodeError(op) << "its derivative cannot be built";
  }
  return success();
}

LogicalResult Walk::run(const llvm::DenseSet<Operation *> &leaves) {
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (!leaves.contains(op) && failed(differentiate(op)))
      return failure();
  return success();
}

} // namespace ds
