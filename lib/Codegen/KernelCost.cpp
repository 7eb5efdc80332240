//===- KernelCost.cpp - What a kernel has to compute and to move ----------===//
// Assumes: one block of ds ops, their shapes inferred.
// Guarantees: figures of the ops, the same for every target. Operations are those of the root, as it says
//   (KernelRootOpInterface), or as many as the elements of the results cost. Of bytes, each result counts once as a
//   whole. An argument counts as a whole too, unless ops that only copy elements (slices, gathers) ask for fewer of its
//   elements than it has: a row looked up in a table is not the table.
// Declines: to count what caches cannot hold and is read again; the figure is what the kernel needs, not what it does.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/KernelCost.h"
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"

using namespace mlir;

namespace ds {

namespace {
/// How many elements of a tensor are asked for; `part` missing means all of them.
struct Demand {
  std::optional<SymExpr> part = SymExpr(0);

  void all() { part = std::nullopt; }
  void add(const SymExpr &elements) {
    if (part)
      part = *part + elements;
  }
};
} // namespace

SymExpr operationCount(rt::KernelOp kernel, ShapeState &shapes) {
  Block &block = kernel.getBody().front();
  int64_t cost = 0;
  std::optional<SymExpr> ofRoots;
  for (Operation &op : block.without_terminator()) {
    auto root = dyn_cast<KernelRootOpInterface>(op);
    if (root && root.isKernelRoot())
      if (std::optional<SymExpr> flops = root.getFlops(shapes))
        ofRoots = ofRoots ? *ofRoots + *flops : *flops;
    auto element = dyn_cast<ElementOpInterface>(op);
    bool computes = !op.hasTrait<CopiesElements>() && !op.hasTrait<Broadcasts>() && !isUniform(&op);
    if (element && computes)
      cost += element.elementCost();
  }
  if (ofRoots)
    return *ofRoots;
  return product(*shapes.getDims(block.getTerminator()->getOperand(0))) * SymExpr(cost);
}

SymExpr memoryTraffic(rt::KernelOp kernel, ShapeState &shapes) {
  Block &block = kernel.getBody().front();
  auto elements = [&](Value tensor) { return product(*shapes.getDims(tensor)); };
  auto elementBytes = [](Value tensor) {
    return SymExpr((getElementTypeOrSelf(tensor.getType()).getIntOrFloatBitWidth() + 7) / 8);
  };

  DenseMap<Value, Demand> demands;
  SymExpr bytes;
  for (Value result : block.getTerminator()->getOperands()) {
    demands[result].all();
    bytes = bytes + elements(result) * elementBytes(result);
  }
  // Users come after what they use, so that a demand is complete when its op is reached.
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    auto element = dyn_cast<ElementOpInterface>(op);
    bool copies = op.hasTrait<CopiesElements>();
    if (!copies && !(element && element.isPointwise())) {
      for (Value operand : op.getOperands())
        demands[operand].all();
      continue;
    }
    Demand wanted = demands.lookup(op.getResult(0));
    for (OpOperand &operand : op.getOpOperands()) {
      Demand &demand = demands[operand.get()];
      if (!copies && !wanted.part)
        demand.all(); // broadcast or not, every element is some result's
      else if (!copies || operand.getOperandNumber() == 0)
        demand.add(wanted.part ? *wanted.part : elements(op.getResult(0)));
      else
        demand.all();
    }
  }
  for (Value argument : block.getArguments()) {
    const Demand &demand = demands[argument];
    SymExpr read = demand.part ? SymExpr::min(elements(argument), *demand.part) : elements(argument);
    bytes = bytes + read * elementBytes(argument);
  }
  return bytes;
}

} // namespace ds
