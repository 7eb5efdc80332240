//===- Layout.cpp - Channels innermost, transposes gone -------------------===//
// Assumes: shapes inferred; attr forms.
// Guarantees: windows of two spatial dims are nhwc; transposes sank as far as they can without becoming more, and were
// hoisted where that removes some; those that move only dims of 1 are reshapes.
// Declines: see Passes.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsAdjoint.h"
#include "dialects/ds/shape/RefineTypes.h"
#include "ds/Layout/Passes.h"
#include "lib/Layout/SinkTransposes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_LAYOUTPASS
#include "ds/Layout/Passes.h.inc"

static constexpr int64_t kToNhwc[] = {0, 2, 3, 1};
static constexpr int64_t kToNchw[] = {0, 3, 1, 2};

namespace {
class LayoutAssigner {
public:
  LayoutAssigner(MLIRContext *context, ShapeState &state) : b(context), transposes(b, state) {}
  void run(Block &block);

private:
  void toNhwc(Operation *op);
  template <typename OpTy> void useNhwc(OpTy op);
  template <typename OpTy> Operation *addHeight(OpTy op);
  int hoistCost(Value value, ArrayRef<int64_t> perm, Operation *user, int depth);
  Value hoist(Value value, ArrayRef<int64_t> perm, Operation *user, int depth);
  bool canHoistThrough(Value value, ArrayRef<int64_t> perm, Operation *user);

  OpBuilder b;
  TransposeBuilder transposes;
};

class LayoutPass : public impl::LayoutPassBase<LayoutPass> {
public:
  using LayoutPassBase::LayoutPassBase;
  void runOnOperation() override;
};
} // namespace

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

/// A pool alone gains less than two transposes cost; convolutions always are nhwc.
static bool wantsNhwc(Operation *op) {
  if (isa<ConvOp, ConvTransposeOp, ConvFilterVjpOp, MaxPoolVjpOp>(op))
    return true;
  if (auto pool = dyn_cast<MaxPoolOp>(op); pool && pool.getIndices())
    return false;
  return isa<MaxPoolOp, AvgPoolOp>(op) && op->getOperand(0).getDefiningOp<TransposeOp>();
}

static void insertFront(Operation *op, StringRef name, int64_t entry) {
  auto attr = op->getAttrOfType<DenseI64ArrayAttr>(name);
  if (!attr)
    return;
  SmallVector<int64_t> entries(attr.asArrayRef());
  entries.insert(entries.begin(), entry);
  op->setAttr(name, DenseI64ArrayAttr::get(op->getContext(), entries));
}

/// One spatial dim becomes two, with a height of 1. Returns the new op.
template <typename OpTy> Operation *LayoutAssigner::addHeight(OpTy op) {
  Location loc = op.getLoc();
  auto withHeight = [&](Value value) {
    SymDims dims = transposes.dims(value);
    dims.insert(dims.begin() + 2, SymExpr(1));
    return transposes.reshape(value, dims, loc);
  };
  SmallVector<Value> operands(op->getOperands());
  operands[0] = withHeight(operands[0]);
  if constexpr (!std::is_same_v<OpTy, MaxPoolOp> && !std::is_same_v<OpTy, AvgPoolOp>)
    operands[1] = withHeight(operands[1]);
  Operation *plane = transposes.cloneWith(op, operands);
  for (StringRef name : {"kernel", "strides", "dilations"})
    insertFront(plane, name, 1);
  for (StringRef name : {"pads_low", "pads_high", "output_padding"})
    insertFront(plane, name, 0);
  transposes.infer(plane);
  return plane;
}

template <typename OpTy> void LayoutAssigner::useNhwc(OpTy op) {
  if (op.getLayout() != Layout::nchw)
    return;
  b.setInsertionPoint(op);
  SymDims result = transposes.dims(op->getResult(0));
  Operation *plane = op;
  if (op.getStrides().size() == 1)
    plane = addHeight(op);
  else if (op.getStrides().size() != 2)
    return;
  SmallVector<Value> operands(plane->getOperands());
  operands[0] = transposes.transpose(operands[0], kToNhwc, op.getLoc());
  constexpr bool isFilter = std::is_same_v<OpTy, ConvFilterVjpOp>; // of the same dims in either layout
  if constexpr (isFilter || std::is_same_v<OpTy, MaxPoolVjpOp>)
    operands[1] = transposes.transpose(operands[1], kToNhwc, op.getLoc());
  auto inner = cast<OpTy>(transposes.cloneWith(plane, operands));
  inner.setLayout(Layout::nhwc);
  transposes.infer(inner);
  Value outer = inner->getResult(0);
  if (!isFilter)
    outer = transposes.transpose(outer, kToNchw, op.getLoc());
  op->getResult(0).replaceAllUsesWith(transposes.reshape(outer, result, op.getLoc()));
  if (plane != op)
    plane->erase();
  op->erase();
}

//===----------------------------------------------------------------------===//
// Hoisting
//===----------------------------------------------------------------------===//

/// Every use of `value` is a transpose by `perm`, or `user`: then nobody needs it in its present order.
bool LayoutAssigner::canHoistThrough(Value value, ArrayRef<int64_t> perm, Operation *user) {
  Operation *op = value.getDefiningOp();
  return op && op->getBlock() == user->getBlock() && llvm::all_of(value.getUsers(), [&](Operation *other) {
           auto transpose = dyn_cast<TransposeOp>(other);
           return other == user || (transpose && transpose.getPerm() == perm);
         });
}

/// How many transposes more there are if `user` gets `value` in another order, above all the ops that only serve it.
int LayoutAssigner::hoistCost(Value value, ArrayRef<int64_t> perm, Operation *user, int depth) {
  int here = transposes.alignCost(value, perm);
  if (auto inner = value.getDefiningOp<TransposeOp>(); inner && value.hasOneUse() && !transposes.isTrivial(inner))
    return here - 1;
  if (here == 0 || depth == 0 || transposes.rank(value) != int64_t(perm.size()) || !canHoistThrough(value, perm, user))
    return here;
  Operation *op = value.getDefiningOp();
  std::optional<int> above = costOfTransposed(
      op, perm, [&](Value operand, ArrayRef<int64_t> perm) { return hoistCost(operand, perm, op, depth - 1); });
  return above ? std::min(here, *above) : here;
}

Value LayoutAssigner::hoist(Value value, ArrayRef<int64_t> perm, Operation *user, int depth) {
  int here = transposes.alignCost(value, perm);
  if (here == 0 || hoistCost(value, perm, user, depth) >= here || value.getDefiningOp<TransposeOp>())
    return transposes.align(value, perm, user->getLoc());
  Operation *op = value.getDefiningOp();
  return makeTransposed(op, perm, transposes,
                        [&](Value operand, ArrayRef<int64_t> perm) { return hoist(operand, perm, op, depth - 1); });
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

static void eraseDeadOps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

void LayoutAssigner::toNhwc(Operation *op) {
  llvm::TypeSwitch<Operation *>(op).Case<ConvOp, ConvTransposeOp, MaxPoolOp, AvgPoolOp, ConvFilterVjpOp, MaxPoolVjpOp>(
      [&](auto op) { useNhwc(op); });
}

void LayoutAssigner::run(Block &block) {
  // In order: the operands of each op have their final order when it is visited.
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (wantsNhwc(&op))
      toNhwc(&op);
    else
      sinkTransposes(&op, transposes, b);
  }
  eraseDeadOps(block);

  // Deep enough for any chain that a transpose separates from its inverse; each visit costs its length.
  constexpr int kMaxDepth = 32;
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    auto transpose = dyn_cast<TransposeOp>(op);
    if (!transpose)
      continue;
    Value x = transpose.getX();
    Permutation perm(transpose.getPerm());
    if (!transposes.isTrivial(transpose) && hoistCost(x, perm, transpose, kMaxDepth) >= 1)
      continue;
    b.setInsertionPoint(transpose);
    transpose.getResult().replaceAllUsesWith(transposes.isTrivial(transpose)
                                                 ? transposes.reshape(x, transposes.dims(transpose), transpose.getLoc())
                                                 : hoist(x, perm, transpose, kMaxDepth));
    transpose.erase();
  }
  eraseDeadOps(block);
}

void LayoutPass::runOnOperation() {
  func::FuncOp function = getOperation();
  ShapeState state;
  if (function.isExternal())
    return;
  if (failed(inferFunction(function, state)))
    return signalPassFailure();
  LayoutAssigner assigner(&getContext(), state);
  SmallVector<Block *> blocks;
  function.walk([&](Block *block) { blocks.push_back(block); });
  for (Block *block : blocks)
    assigner.run(*block);
  // Where operands broadcast in another order, a size may be known that was not: what a body returns, too.
  ShapeState ordered;
  if (failed(inferFunction(function, ordered)))
    return signalPassFailure();
  refineTypes(function, ordered);
}

} // namespace ds
