//===- JoinKernels.cpp - Kernels that are computed together ---------------===//
// Guarantees: see JoinKernels.h; one walk over the block.
//   Joined are kernels that go element by element over the same dims (an optimizer's moments and its parameter), where
//   one reads what another makes or both read a tensor of these dims; and reductions of the same dims over the same
//   axes that read a tensor of these dims both (the sums of a normalization's derivative).
//===----------------------------------------------------------------------===//
#include "lib/Group/JoinKernels.h"
#include "dialects/ds/ir/DsOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;

namespace ds {

namespace {

/// Each result is a stream of stores, and each sum takes accumulators.
constexpr size_t kMostResults = 8;
constexpr size_t kMostReductions = 4;
/// Rows from this length on may be a loop of their own: two of the widest vectors.
constexpr int64_t kLongRow = 32;

class Joiner {
public:
  Joiner(Block &block, const Fusion &fusion, ShapeState &shapes) : block(block), fusion(fusion), shapes(shapes) {}
  SmallVector<KernelGroup> run();

private:
  struct Kernel {
    SmallVector<Operation *> members, tails;
    Operation *place = nullptr;
    llvm::SetVector<Value> arguments;
    Operation *reduction = nullptr;
    /// What the loops go over, if kernels like this one are joined.
    std::optional<SymDims> dims;
    /// Dims of what is read along some of the loops only.
    SmallVector<SymDims> broadcast;
    /// Nothing depends on its results yet: it may still be computed later.
    bool isOpen = true;
    bool isJoined = false; // it is part of another
    unsigned stage = 0;
  };

  Kernel describe(Operation *tail);
  void findLoops(Kernel &kernel);
  void closeMakers(ValueRange values);
  void tryJoin(Kernel &kernel);
  bool canJoin(const Kernel &earlier, const Kernel &kernel);
  /// Whether all that `kernel` reads is there where `earlier` is computed.
  bool canComeEarly(const Kernel &earlier, const Kernel &kernel) const;
  void join(Kernel &earlier, Kernel &kernel);
  SmallVector<Value> resultsOf(const Kernel &kernel);

  Block &block;
  const Fusion &fusion;
  ShapeState &shapes;
  std::vector<Kernel> kernels;
  DenseMap<Operation *, unsigned> kernelOf; // of tails
  DenseMap<Value, unsigned> lastReader;     // of tensors with the dims of the reader's loops
  unsigned stage = 0;
  DenseSet<Value> read; // by the host, or by a kernel
};

} // namespace

Joiner::Kernel Joiner::describe(Operation *tail) {
  Kernel kernel;
  kernel.members = fusion.members(tail);
  kernel.tails = {tail};
  kernel.place = tail;
  kernel.stage = stage;
  llvm::SmallPtrSet<Operation *, 16> inside(kernel.members.begin(), kernel.members.end());
  for (Operation *op : kernel.members)
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (!producer || (!inside.contains(producer) && !Fusion::isImmediate(producer)))
        kernel.arguments.insert(operand);
    }
  findLoops(kernel);
  return kernel;
}

void Joiner::findLoops(Kernel &kernel) {
  if (kernel.tails.front()->getNumResults() != 1 || kernel.tails.front()->use_empty())
    return;
  bool isPointwise = true;
  for (Operation *op : kernel.members) {
    if (Fusion::isRoot(op)) {
      if (!op->hasTrait<Reduces>())
        return;
      kernel.reduction = op;
    }
    auto element = dyn_cast<ElementOpInterface>(op);
    isPointwise &= element && (element.isPointwise() || element.isUniform());
  }
  if (kernel.reduction) {
    kernel.dims = *shapes.getDims(kernel.reduction->getOperand(0));
    return;
  }
  if (!isPointwise)
    return;
  SymDims dims = *shapes.getDims(kernel.tails.front()->getResult(0));
  auto note = [&](Value value) {
    SymDims own = *shapes.getDims(value);
    if (own != dims && !product(own).isConst(1) && !llvm::is_contained(kernel.broadcast, own))
      kernel.broadcast.push_back(own);
  };
  for (Operation *op : kernel.members) {
    for (Value operand : op->getOperands())
      note(operand);
    note(op->getResult(0));
  }
  kernel.dims = std::move(dims);
}

void Joiner::closeMakers(ValueRange values) {
  for (Value value : values)
    if (auto maker = kernelOf.find(value.getDefiningOp()); maker != kernelOf.end())
      kernels[maker->second].isOpen = false;
}

static bool readsRows(const SymDims &dims) {
  return !dims.empty() && dims.back().isConst() && dims.back().getConst() >= kLongRow;
}

bool Joiner::canJoin(const Kernel &earlier, const Kernel &kernel) {
  if (earlier.isJoined || earlier.stage != kernel.stage || !earlier.dims || *earlier.dims != *kernel.dims ||
      bool(earlier.reduction) != bool(kernel.reduction))
    return false;
  llvm::SmallPtrSet<Operation *, 32> members(earlier.members.begin(), earlier.members.end());
  members.insert(kernel.members.begin(), kernel.members.end());
  if (members.size() > Fusion::kMostOps || earlier.tails.size() + kernel.tails.size() > kMostResults)
    return false;
  if (!kernel.reduction) {
    if (!earlier.isOpen)
      return false;
    // Where something is read along a few loops, rows must be worth a loop each.
    auto same = [&](const SymDims &dims) { return llvm::is_contained(kernel.broadcast, dims); };
    bool alike = earlier.broadcast.size() == kernel.broadcast.size() && llvm::all_of(earlier.broadcast, same);
    return alike || readsRows(*kernel.dims);
  }
  Operation *one = earlier.reduction, *other = kernel.reduction;
  // A sum of what another sum is needed for takes another pass.
  bool depends =
      llvm::any_of(earlier.tails, [&](Operation *tail) { return kernel.arguments.contains(tail->getResult(0)); });
  return !depends && (canComeEarly(earlier, kernel) || earlier.isOpen) &&
         earlier.tails.size() + kernel.tails.size() <= kMostReductions &&
         getElementTypeOrSelf(one->getOperand(0).getType()) == getElementTypeOrSelf(other->getOperand(0).getType()) &&
         one->getAttr("axes") == other->getAttr("axes") &&
         *shapes.getDims(one->getResult(0)) == *shapes.getDims(other->getResult(0));
}

bool Joiner::canComeEarly(const Kernel &earlier, const Kernel &kernel) const {
  return llvm::all_of(kernel.arguments, [&](Value argument) {
    Operation *producer = argument.getDefiningOp();
    auto maker = kernelOf.find(producer);
    return !producer ||
           (maker == kernelOf.end() ? producer : kernels[maker->second].place)->isBeforeInBlock(earlier.place);
  });
}

void Joiner::join(Kernel &earlier, Kernel &kernel) {
  // Sums are small, and what they are of is needed no longer: they come early. Elements come when they are used.
  if (kernel.reduction && canComeEarly(earlier, kernel)) {
    kernel.place = earlier.place;
    kernel.isOpen = earlier.isOpen;
  }
  llvm::SetVector<Operation *> members(earlier.members.begin(), earlier.members.end());
  members.insert(kernel.members.begin(), kernel.members.end());
  kernel.members = members.takeVector();
  llvm::sort(kernel.members, [](Operation *x, Operation *y) { return x->isBeforeInBlock(y); });
  kernel.tails.insert(kernel.tails.begin(), earlier.tails.begin(), earlier.tails.end());
  llvm::SetVector<Value> arguments = earlier.arguments;
  arguments.insert(kernel.arguments.begin(), kernel.arguments.end());
  for (Operation *tail : kernel.tails)
    arguments.remove(tail->getResult(0));
  kernel.arguments = std::move(arguments);
  for (const SymDims &dims : earlier.broadcast)
    if (!llvm::is_contained(kernel.broadcast, dims))
      kernel.broadcast.push_back(dims);
  earlier.isJoined = true;
}

void Joiner::tryJoin(Kernel &kernel) {
  llvm::SetVector<unsigned> candidates;
  for (Value argument : kernel.arguments) {
    if (auto maker = kernelOf.find(argument.getDefiningOp()); maker != kernelOf.end())
      candidates.insert(maker->second);
    if (auto reader = lastReader.find(argument); reader != lastReader.end())
      candidates.insert(reader->second);
  }
  for (unsigned candidate : candidates)
    if (canJoin(kernels[candidate], kernel)) {
      join(kernels[candidate], kernel);
      if (kernel.reduction) // its place is another's now
        return;
    }
}

SmallVector<Value> Joiner::resultsOf(const Kernel &kernel) {
  if (kernel.tails.size() == 1)
    return SmallVector<Value>(kernel.tails.front()->getResults());
  SmallVector<Value> results;
  for (Operation *tail : kernel.tails)
    if (read.contains(tail->getResult(0)))
      results.push_back(tail->getResult(0));
  if (results.empty())
    results.push_back(kernel.tails.back()->getResult(0));
  return results;
}

SmallVector<KernelGroup> Joiner::run() {
  llvm::SmallPtrSet<Operation *, 32> tails(fusion.kernels().begin(), fusion.kernels().end());
  for (Operation &op : block) {
    if (isHostOp(&op) || op.hasTrait<OpTrait::IsTerminator>()) {
      read.insert(op.operand_begin(), op.operand_end());
      closeMakers(op.getOperands());
      // Memory of one stage is gone in the next.
      stage += isHostOp(&op) && endsStage(&op);
      continue;
    }
    if (!tails.contains(&op))
      continue;
    Kernel kernel = describe(&op);
    if (kernel.dims)
      tryJoin(kernel);
    closeMakers(kernel.arguments.getArrayRef());
    const unsigned number = kernels.size();
    for (Operation *tail : kernel.tails)
      kernelOf[tail] = number;
    if (kernel.dims)
      for (Value argument : kernel.arguments)
        if (*shapes.getDims(argument) == *kernel.dims)
          lastReader[argument] = number;
    kernels.push_back(std::move(kernel));
  }
  for (const Kernel &kernel : kernels)
    if (!kernel.isJoined)
      read.insert(kernel.arguments.begin(), kernel.arguments.end());
  SmallVector<KernelGroup> groups;
  for (const Kernel &kernel : kernels)
    if (!kernel.isJoined)
      groups.push_back({kernel.members, resultsOf(kernel), kernel.place});
  return groups;
}

SmallVector<KernelGroup> joinKernels(Block &block, const Fusion &fusion, ShapeState &shapes) {
  return Joiner(block, fusion, shapes).run();
}

} // namespace ds
