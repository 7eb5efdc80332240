//===- Activity.cpp - Which values depend on which ------------------------===//
// Guarantees: see Activity.h.
//===----------------------------------------------------------------------===//
#include "Activity.h"

using namespace mlir;

namespace ds {

bool isOfFloats(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

static bool runsFunctions(Operation *op) { return isa<IfOp, LoopOp>(op); }

const Activity::Sets &Activity::of(func::FuncOp function) {
  auto [entry, isNew] = functions.try_emplace(function);
  Sets &results = entry->second; // which stays where it is
  if (!isNew)
    return results;
  Block &block = function.getBody().front();
  const unsigned count = block.getNumArguments();
  DenseMap<Value, llvm::BitVector> sets; // of values that depend on something
  auto add = [&](llvm::BitVector &to, Value operand) {
    if (auto known = sets.find(operand); known != sets.end())
      to |= known->second;
  };
  for (BlockArgument argument : block.getArguments())
    if (isOfFloats(argument))
      sets[argument] = llvm::BitVector(count).set(argument.getArgNumber());
  for (Operation &op : block.without_terminator()) {
    Sets needed = runsFunctions(&op) ? operandsOf(&op) : Sets();
    llvm::BitVector all(count);
    if (needed.empty())
      for (Value operand : op.getOperands())
        add(all, operand);
    for (OpResult result : op.getResults()) {
      if (!isOfFloats(result))
        continue;
      llvm::BitVector own = needed.empty() ? all : llvm::BitVector(count);
      if (!needed.empty())
        for (unsigned operand : needed[result.getResultNumber()].set_bits())
          add(own, op.getOperand(operand));
      if (own.any())
        sets[result] = std::move(own);
    }
  }
  for (Value value : block.getTerminator()->getOperands())
    add(results.emplace_back(count), value);
  return results;
}

const Activity::Loop &Activity::of(LoopOp loop) {
  func::FuncOp body = find(loop.getBodyAttr());
  auto [entry, isNew] = loops.try_emplace(body);
  Loop &found = entry->second;
  if (!isNew)
    return found;
  const Sets &results = of(body);
  const unsigned states = loop.getState().size(), count = states + loop.getCaptured().size();
  for (const llvm::BitVector &set : llvm::drop_begin(results)) {
    llvm::BitVector &own = found.once.emplace_back(count);
    for (unsigned argument : set.set_bits())
      own.set(argument - 1); // without the iteration's number
  }
  found.any = found.once;
  for (unsigned k = 0; k < states; ++k)
    if (isOfFloats(loop.getResult(k)))
      found.any[k].set(k); // no iteration at all
  for (bool again = true; again;) {
    again = false;
    for (auto [any, once] : llvm::zip_equal(found.any, found.once)) {
      unsigned before = any.count();
      for (unsigned k : once.set_bits())
        if (k < states)
          any |= found.any[k];
      again |= any.count() != before;
    }
  }
  return found;
}

Activity::Sets Activity::operandsOf(Operation *op) {
  Sets sets(op->getNumResults(), llvm::BitVector(op->getNumOperands()));
  auto add = [&](const Sets &from, unsigned argument, unsigned operand) {
    for (auto [set, given] : llvm::zip_equal(sets, from))
      if (given.test(argument))
        set.set(operand);
  };
  if (auto branch = dyn_cast<IfOp>(op)) {
    unsigned operand = 1; // after the condition
    for (auto [name, inputs] : {std::pair(branch.getThenBodyAttr(), branch.getThenInputs()),
                                std::pair(branch.getElseBodyAttr(), branch.getElseInputs())}) {
      const Sets &given = of(find(name));
      for (unsigned i = 0; i < inputs.size(); ++i)
        add(given, i, operand++);
    }
    return sets;
  }
  auto loop = cast<LoopOp>(op);
  const Loop &given = of(loop);
  unsigned count = loop.getState().size() + loop.getCaptured().size(), first = op->getNumOperands() - count;
  for (unsigned i = 0; i < count; ++i)
    add(given.any, i, first + i);
  return sets;
}

void Activity::spread(Block &block, llvm::DenseSet<Value> &active) {
  auto isActive = [&](Value value) { return active.contains(value); };
  for (Operation &op : block.without_terminator()) {
    if (llvm::none_of(op.getOperands(), isActive))
      continue;
    Sets needed = runsFunctions(&op) ? operandsOf(&op) : Sets();
    for (OpResult result : op.getResults())
      if (isOfFloats(result) &&
          (needed.empty() || llvm::any_of(needed[result.getResultNumber()].set_bits(),
                                          [&](unsigned operand) { return isActive(op.getOperand(operand)); })))
        active.insert(result);
  }
}

} // namespace ds
