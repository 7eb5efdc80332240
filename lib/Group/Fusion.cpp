//===- Fusion.cpp - What is fused with what -------------------------------===//
// Guarantees: see Fusion.h. Roots take the pointwise ops that follow them and are their only users; other ops with an
// element
//   form are computed where they are used if that reads memory less than storing their results would.
//===----------------------------------------------------------------------===//
#include "lib/Group/Fusion.h"
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/ir/DsOps.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace ds {

/// More arithmetic than this is not done twice to save a round trip to memory.
static constexpr int64_t kCheap = 3;
static constexpr size_t kMostOps = 64;

bool Fusion::isHostOp(Operation *op) { return isa<ConstantOp, ReshapeOp, RequireOp>(op) || endsStage(op); }

bool Fusion::isRoot(Operation *op) {
  return isa<GemmOp, ConvGemmOp, ConvWinogradOp, DepthwiseOp, MatmulOp, ConvOp, ConvTransposeOp, MaxPoolOp, AvgPoolOp,
             ReduceSumOp, ReduceMeanOp, ReduceMaxOp, ReduceMinOp, ReduceProdOp, ArgMaxOp, ArgMinOp, CumSumOp, CumProdOp,
             TopKOp, NonMaxSuppressionOp, SoftmaxOp, LogSoftmaxOp, LayerNormOp, AttentionOp, ScatterElementsOp,
             ScatterNdOp, ConcatOp, ResizeOp>(op) ||
         !isa<ElementOpInterface>(op);
}

/// Roots whose result an epilogue cannot continue from.
static bool standsAlone(Operation *op) {
  return op->getNumResults() != 1 || isa<ScatterElementsOp, ScatterNdOp, CumSumOp, CumProdOp, DftOp>(op);
}

static bool isPointwise(Operation *op) {
  auto element = dyn_cast<ElementOpInterface>(op);
  return element && element.isPointwise();
}

int64_t Fusion::treeCost(Operation *op) {
  auto element = dyn_cast<ElementOpInterface>(op);
  int64_t cost = element ? element.elementCost() : 1;
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp(); producer && !isHostOp(producer) && !isRoot(producer))
      cost += treeCost(producer);
  return std::min<int64_t>(cost, 1000);
}

int64_t Fusion::timesRead(OpOperand &use) {
  constexpr int64_t kMany = 1 << 20;
  Operation *user = use.getOwner();
  SymDims own = dims(use.get());
  if (isPointwise(user) || isa<ExpandOp, TileOp>(user)) {
    SymDims result = dims(user->getResult(0));
    return product(own) == product(result) ? 1 : kMany;
  }
  if (auto conv = dyn_cast<ConvGemmOp>(user))
    return use.getOperandNumber() == 0 ? conv.getKernel()[0] * conv.getKernel()[1] : kMany;
  if (isa<ConvWinogradOp>(user))
    return use.getOperandNumber() == 0 ? 4 : kMany; // squares of 2 + 2 or 4 + 2 overlap
  if (isa<GemmOp>(user))
    return use.getOperandNumber() == 0 ? 1 : kMany;
  if (isa<SoftmaxOp, LogSoftmaxOp>(user))
    return 2;
  if (isa<LayerNormOp>(user))
    return use.getOperandNumber() == 0 ? 3 : kMany;
  if (isa<ReduceSumOp, ReduceMeanOp, ReduceMaxOp, ReduceMinOp, ReduceProdOp, ConcatOp, PackOp, PackFilterOp>(user))
    return 1;
  if (isa<AttentionOp>(user)) {
    // Queries and keys are copied into tiles once; values and masks are read again for every tile.
    bool moved = isa_and_nonnull<TransposeOp>(use.get().getDefiningOp());
    return use.getOperandNumber() <= 1 || moved ? 1 : kMany;
  }
  if (isa<DftOp>(user) && use.getOperandNumber() == 0)
    return 1;
  if (isRoot(user))
    return kMany;
  return 1; // movement: an element of the result is one of the operand
}

bool Fusion::shouldInline(Operation *op) {
  if (isRoot(op) || isHostOp(op) || op->getNumResults() != 1)
    return false;
  Value result = op->getResult(0);
  if (result.use_empty())
    return false;
  for (Operation *user : result.getUsers())
    if (isHostOp(user) || user->hasTrait<OpTrait::IsTerminator>() ||
        isa<TopKOp, NonMaxSuppressionOp, ScatterElementsOp, ScatterNdOp>(user))
      return false;
  int64_t cost = treeCost(op);
  bool isScalar = product(dims(result)).isConst(1);
  // What needs no memory is never worth storing.
  if (llvm::all_of(op->getOperands(), [](Value operand) {
        auto constant = operand.getDefiningOp<ConstantOp>();
        return constant && isa<SplatElementsAttr>(constant.getValue());
      }))
    return cost <= 4 * kCheap;
  if (isScalar)
    return cost <= 4 * kCheap;
  bool single = result.hasOneUse();
  int64_t reads = 0;
  for (OpOperand &use : result.getUses())
    reads += timesRead(use);
  if (single && reads == 1)
    return true;
  if (isa<ExpandOp>(op) && reads <= 8)
    return true;
  return single && reads <= 9 && cost <= kCheap;
}

void Fusion::absorbEpilogue(Operation *root) {
  Operation *tail = root;
  if (!standsAlone(root)) {
    SymDims shape = dims(root->getResult(0));
    size_t count = 1;
    while (tail->getResult(0).hasOneUse() && count < kMostOps) {
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
  llvm::SetVector<Operation *> ordered;
  for (Operation &op : block.without_terminator())
    if (auto it = tailOf.find(&op); it != tailOf.end() && it->second == &op)
      ordered.insert(&op);
  // A kernel that would grow too large keeps fewer ops inlined.
  tails.assign(ordered.begin(), ordered.end());
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < tails.size(); ++i) {
      SmallVector<Operation *> ops = members(tails[i]);
      if (ops.size() <= kMostOps)
        continue;
      // Store the inlined op in the middle.
      for (Operation *op : llvm::drop_begin(ops, ops.size() / 2))
        if (inlined.erase(op)) {
          tailOf[op] = op;
          tails.push_back(op);
          changed = true;
          break;
        }
    }
  }
  llvm::sort(tails, [](Operation *x, Operation *y) { return x->isBeforeInBlock(y); });
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
