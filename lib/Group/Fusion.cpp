//===- Fusion.cpp - What is fused with what -------------------------------===//
// Guarantees: see Fusion.h. Roots take the pointwise ops that follow them and are their only users; other ops with an
// element
//   form are computed where they are used if that reads memory less than storing their results would.
//===----------------------------------------------------------------------===//
#include "lib/Group/Fusion.h"
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/ir/DsOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;

namespace ds {

/// More arithmetic than this is not done twice to save a round trip to memory.
static constexpr int64_t kCheap = 3;
/// So much is, where it only spares writing: a normalization and its scale and bias.
static constexpr int64_t kRepeated = 4;
/// Costs are counted up to here.
static constexpr int64_t kMostCost = 1000;

bool Fusion::isImmediate(Operation *op) { return isHostOp(op) && isUniform(op); }

bool Fusion::isRoot(Operation *op) {
  auto root = dyn_cast<KernelRootOpInterface>(op);
  return root && root.isKernelRoot();
}

static bool isPointwise(Operation *op) {
  auto element = dyn_cast<ElementOpInterface>(op);
  return element && element.isPointwise();
}

void Fusion::countCosts() {
  // Producers come first, so that each op is counted once, however many paths lead to it.
  for (Operation &op : block.without_terminator()) {
    auto element = dyn_cast<ElementOpInterface>(op);
    int64_t cost = element ? element.elementCost() : 1;
    llvm::SmallPtrSet<Value, 4> seen;
    for (Value operand : op.getOperands()) {
      Operation *producer = operand.getDefiningOp();
      bool isNew = !readsAtOwnPlace(&op, operand) || seen.insert(operand).second;
      if (isNew && producer && !isHostOp(producer) && !isRoot(producer))
        cost = std::min(kMostCost, cost + treeCost.lookup(producer));
    }
    treeCost[&op] = std::min(kMostCost, cost);
    followElements(&op);
  }
}

/// Whether every dim is the result's or 1: what is smaller is read along a part of the loops.
static bool isBroadcast(const SymDims &own, const SymDims &result) {
  return own.size() <= result.size() &&
         llvm::all_of(llvm::zip_equal(own, ArrayRef<SymExpr>(result).take_back(own.size())), [](auto pair) {
           auto &[size, whole] = pair;
           return size.isConst(1) || size == whole;
         });
}

void Fusion::followElements(Operation *op) {
  if (!isPointwise(op) || isRoot(op) || isHostOp(op) || op->getNumResults() != 1)
    return;
  SymDims result = dims(op->getResult(0));
  Origin origin;
  origin.cost = cast<ElementOpInterface>(op).elementCost();
  llvm::SmallPtrSet<Value, 4> seen;
  for (Value operand : op->getOperands()) {
    if (!seen.insert(operand).second)
      continue;
    if (dims(operand) != result) {
      origin.isOne &= isBroadcast(dims(operand), result);
      continue;
    }
    Operation *producer = operand.getDefiningOp();
    Value tensor = operand;
    if (auto before = producer ? origins.find(producer) : origins.end(); before != origins.end()) {
      // What is of several tensors is stored where it has several uses, and otherwise computed here.
      if (before->second.isOne) {
        tensor = before->second.tensor;
        origin.cost = std::min(kMostCost, origin.cost + before->second.cost);
      } else {
        origin.isOne &= distinctUses(operand).size() > 1;
      }
    } else if (producer && !isHostOp(producer) && !isRoot(producer)) {
      origin.isOne = false;
    }
    if (!tensor)
      continue;
    origin.isOne &= !origin.tensor || origin.tensor == tensor;
    origin.tensor = tensor;
  }
  origins[op] = origin;
}

bool Fusion::isWorthRepeating(Operation *op, ArrayRef<OpOperand *> uses) {
  auto found = origins.find(op);
  if (found == origins.end() || !found->second.isOne || !found->second.tensor || found->second.cost > kRepeated)
    return false;
  auto bits = [](Value value) { return getElementTypeOrSelf(value.getType()).getIntOrFloatBitWidth(); };
  return bits(found->second.tensor) <= bits(op->getResult(0)) && llvm::all_of(uses, [&](OpOperand *use) {
           // A root of one operand loops over its elements; others may have use for how they lie in memory.
           return timesRead(*use) == 1 && (!isRoot(use->getOwner()) || use->getOwner()->getNumOperands() == 1);
         });
}

int64_t Fusion::timesRead(OpOperand &use) {
  constexpr int64_t kMany = 1 << 20;
  Operation *user = use.getOwner();
  if (isRoot(user))
    return cast<KernelRootOpInterface>(user).timesRead(use).value_or(kMany);
  if (!isa<ElementOpInterface>(user))
    return kMany;
  if (isPointwise(user) || user->hasTrait<RepeatsElements>()) {
    SymDims own = dims(use.get()), result = dims(user->getResult(0));
    return product(own) == product(result) ? 1 : kMany;
  }
  return 1; // movement: an element of the result is one of the operand
}

bool Fusion::readsAtOwnPlace(Operation *user, Value value) {
  return isPointwise(user) && user->getNumResults() == 1 && dims(value) == dims(user->getResult(0));
}

SmallVector<OpOperand *> Fusion::distinctUses(Value value) {
  SmallVector<OpOperand *> uses;
  llvm::SmallPtrSet<Operation *, 4> seen;
  for (OpOperand &use : value.getUses()) {
    if (!readsAtOwnPlace(use.getOwner(), value) || seen.insert(use.getOwner()).second)
      uses.push_back(&use);
  }
  return uses;
}

bool Fusion::shouldInline(Operation *op) {
  if (!isa<ElementOpInterface>(op) || isRoot(op) || isHostOp(op) || op->getNumResults() != 1)
    return false;
  Value result = op->getResult(0);
  if (result.use_empty())
    return false;
  for (Operation *user : result.getUsers())
    if (isHostOp(user) || user->hasTrait<OpTrait::IsTerminator>() ||
        (isRoot(user) && !cast<KernelRootOpInterface>(user).takesComputedOperands()))
      return false;
  int64_t cost = treeCost.lookup(op);
  bool isScalar = product(dims(result)).isConst(1);
  // What needs no memory is never worth storing.
  if (llvm::all_of(op->getOperands(), [](Value operand) { return isImmediate(operand.getDefiningOp()); }))
    return cost <= 4 * kCheap;
  if (isScalar)
    return cost <= 4 * kCheap;
  SmallVector<OpOperand *> uses = distinctUses(result);
  bool single = uses.size() == 1;
  int64_t reads = 0;
  for (OpOperand *use : uses)
    reads += timesRead(*use);
  if (single && reads == 1)
    return true;
  if (isWorthRepeating(op, uses))
    return true;
  // Each use may be at another position, and so may those of an expansion within it: what is computed there is limited.
  if (op->hasTrait<Broadcasts>() && reads <= 8 && (single || cost < kMostCost))
    return true;
  return single && reads <= 9 && cost <= kCheap;
}

void Fusion::absorbEpilogue(Operation *root) {
  Operation *tail = root;
  if (cast<KernelRootOpInterface>(root).hasEpilogue()) {
    SymDims shape = dims(root->getResult(0));
    size_t count = 1;
    while (distinctUses(tail->getResult(0)).size() == 1 && count < kMostOps) {
      Operation *next = *tail->getResult(0).getUsers().begin();
      if (!isPointwise(next) || tailOf.contains(next) || next->getNumResults() != 1 ||
          dims(next->getResult(0)) != shape || next->getBlock() != &block)
        break;
      tail = next;
      ++count;
    }
  }
  for (Operation *op = root;; op = *op->getResult(0).getUsers().begin()) {
    tailOf[op] = tail;
    if (op == tail)
      break;
  }
}

void Fusion::decide() {
  countCosts();
  // Later roots first: of two that meet in a sum, the later one continues without waiting.
  for (Operation &op : llvm::reverse(block.without_terminator()))
    if (!isHostOp(&op) && isRoot(&op))
      absorbEpilogue(&op);
  // Users before producers, so that it is known where a value would be computed.
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    if (isHostOp(&op) || tailOf.contains(&op))
      continue;
    if (shouldInline(&op))
      inlined.insert(&op);
    else
      tailOf[&op] = &op;
  }
  for (Operation &op : block.without_terminator())
    if (auto it = tailOf.find(&op); it != tailOf.end() && it->second == &op)
      tails.push_back(&op);
  for (size_t i = 0, count = tails.size(); i < count; ++i)
    limitSize(tails[i]);
  llvm::sort(tails, [](Operation *x, Operation *y) { return x->isBeforeInBlock(y); });
}

void Fusion::limitSize(Operation *tail) {
  SmallVector<Operation *> ops = members(tail);
  if (ops.size() <= kMostOps)
    return;
  // How many ops are computed for each op's result within the kernel, itself included. From producers to users, what is
  // too much is stored at its largest parts.
  llvm::SmallDenseMap<Operation *, size_t> sizes;
  for (Operation *op : ops) {
    llvm::SmallSetVector<Operation *, 4> producers;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp(); producer && sizes.contains(producer))
        producers.insert(producer);
    size_t size = 1;
    SmallVector<Operation *> parts;
    for (Operation *producer : producers) {
      size += sizes.lookup(producer);
      if (inlined.contains(producer))
        parts.push_back(producer);
    }
    llvm::sort(parts, [&](Operation *x, Operation *y) {
      size_t left = sizes.lookup(x), right = sizes.lookup(y);
      return left != right ? left > right : x->isBeforeInBlock(y);
    });
    for (Operation *part : parts) {
      if (size <= kMostOps)
        break;
      size -= sizes.lookup(part);
      sizes.erase(part);
      inlined.erase(part);
      tailOf[part] = part;
      tails.push_back(part);
    }
    sizes[op] = size;
  }
}

SmallVector<Operation *> Fusion::members(Operation *tail) const {
  llvm::SetVector<Operation *> found;
  SmallVector<Operation *> work{tail};
  while (!work.empty()) {
    Operation *op = work.pop_back_val();
    if (!found.insert(op))
      continue;
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (!producer)
        continue;
      auto it = tailOf.find(producer);
      bool samekernel = it != tailOf.end() && it->second == tail && producer != tail;
      if (samekernel || inlined.contains(producer))
        work.push_back(producer);
    }
  }
  SmallVector<Operation *> ops = found.takeVector();
  llvm::sort(ops, [](Operation *x, Operation *y) { return x->isBeforeInBlock(y); });
  return ops;
}

} // namespace ds
