//===- SinkTransposes.cpp - Ops on transposed operands --------------------===//
// Assumes: attr forms (ds-infer-shapes).
// Guarantees: each rule keeps the values; only the order of dims inside changes.
// Declines: ops without a rule; a transpose stays in front of them.
// Words: `outer` dims are those of a transpose's result, `inner` those of its operand: outer dim i is inner dim
// perm[i].
//===----------------------------------------------------------------------===//
#include "lib/Layout/SinkTransposes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ds {

static bool isElementwise(Operation *op) { return op->hasTrait<Elementwise>() && op->getNumResults() == 1; }

//===----------------------------------------------------------------------===//
// Elementwise ops and concatenations: several operands of the result's order
//===----------------------------------------------------------------------===//

std::optional<int> costOfTransposed(Operation *op, ArrayRef<int64_t> perm, OperandCost cost) {
  if (!isElementwise(op) && !isa<ConcatOp>(op))
    return std::nullopt;
  llvm::SmallSetVector<Value, 4> operands;
  operands.insert(op->operand_begin(), op->operand_end());
  int sum = 0;
  for (Value operand : operands)
    sum += cost(operand, perm);
  return sum;
}

/// A constant without leading dims of 1 broadcasts just as well.
static Value dropLeadingOnes(Value value, TransposeBuilder &transposes, Location loc) {
  SymDims dims = transposes.dims(value);
  ArrayRef<SymExpr> rest(dims);
  while (!rest.empty() && rest.front().isConst(1))
    rest = rest.drop_front();
  return transposes.reshape(value, rest, loc);
}

Value makeTransposed(Operation *op, ArrayRef<int64_t> perm, TransposeBuilder &transposes,
                     TransposeOperand transposeOperand) {
  int64_t rank = perm.size();
  bool keepsRank = llvm::any_of(op->getOperands(), [&](Value operand) {
    return transposes.rank(operand) == rank && !operand.getDefiningOp<ConstantOp>();
  });
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    Value transposed = transposeOperand(operand, perm);
    if (keepsRank && isElementwise(op) && transposed.getDefiningOp<ConstantOp>())
      transposed = dropLeadingOnes(transposed, transposes, op->getLoc());
    operands.push_back(transposed);
  }
  Operation *clone = transposes.cloneWith(op, operands);
  if (auto concat = dyn_cast<ConcatOp>(clone))
    concat.setAxis(inverse(perm)[concat.getAxis()]);
  transposes.infer(clone);
  return clone->getResult(0);
}

static void replaceWith(Operation *op, Value inner, ArrayRef<int64_t> perm, TransposeBuilder &transposes) {
  op->getResult(0).replaceAllUsesWith(transposes.transpose(inner, perm, op->getLoc()));
  op->erase();
}

/// Tries the order of each transposed operand and takes the one that needs the fewest transposes, if that is no more
/// than now. A transpose with other uses counts as gone: these sink as well, or hoisting undoes the split.
static void sinkOperands(Operation *op, TransposeBuilder &transposes) {
  int64_t rank = transposes.rank(op->getResult(0));
  llvm::SmallSetVector<Value, 4> moving;
  SmallVector<Permutation> orders;
  for (Value operand : op->getOperands()) {
    auto inner = operand.getDefiningOp<TransposeOp>();
    if (!inner)
      continue;
    orders.push_back(extend(inner.getPerm(), rank));
    if (!transposes.isTrivial(inner))
      moving.insert(operand);
  }
  std::optional<std::pair<int, Permutation>> best;
  for (const Permutation &perm : orders) {
    std::optional<int> operands = costOfTransposed(
        op, inverse(perm), [&](Value operand, ArrayRef<int64_t> back) { return transposes.alignCost(operand, back); });
    int result = transposes.isTrivial(transposes.dims(op->getResult(0)), inverse(perm)) ? 0 : 1;
    if (operands && (!best || *operands + result < best->first))
      best = {*operands + result, perm};
  }
  if (!best || best->first > int(moving.size()))
    return;
  Value inner = makeTransposed(op, inverse(best->second), transposes, [&](Value operand, ArrayRef<int64_t> back) {
    return transposes.align(operand, back, op->getLoc());
  });
  replaceWith(op, inner, best->second, transposes);
}

//===----------------------------------------------------------------------===//
// Ops with one operand that counts
//===----------------------------------------------------------------------===//

namespace {
/// An op whose operand 0 is transpose(x, perm).
class UnarySinker {
public:
  UnarySinker(Operation *op, TransposeOp source, TransposeBuilder &transposes, OpBuilder &b)
      : op(op), x(source.getX()), perm(source.getPerm()), transposes(transposes), b(b) {}

  void sink();

private:
  /// The op on x; the caller changes its attributes, then calls finish.
  template <typename OpTy> OpTy clone(OpTy op) {
    SmallVector<Value> operands(op->getOperands());
    operands[0] = x;
    return cast<OpTy>(transposes.cloneWith(op, operands));
  }
  void finish(Operation *inner, ArrayRef<int64_t> resultPerm);
  ShapeAttr toInnerShape(ShapeAttr shape) {
    return ShapeAttr::get(b.getContext(), toInner<SymExpr>(shape.getDims(), perm));
  }

  template <typename OpTy> void alongAxis(OpTy op);
  template <typename OpTy> void reduce(OpTy op);
  template <typename OpTy> void argReduce(OpTy op);
  template <typename OpTy> void quantize(OpTy op);
  void layerNorm(LayerNormOp op);
  void batchNorm(BatchNormOp op);
  void slice(SliceOp op);
  void pad(PadOp op);
  void tile(TileOp op);
  void resize(ResizeOp op);
  void expand(ExpandOp op);
  void gather(GatherOp op);
  void topK(TopKOp op);
  void reshape(ReshapeOp op);

  Operation *op;
  Value x;
  Permutation perm;
  TransposeBuilder &transposes;
  OpBuilder &b;
};
} // namespace

void UnarySinker::finish(Operation *inner, ArrayRef<int64_t> resultPerm) {
  transposes.infer(inner);
  for (auto [from, to] : llvm::zip_equal(op->getResults(), inner->getResults()))
    from.replaceAllUsesWith(transposes.transpose(to, resultPerm, op->getLoc()));
  op->erase();
}

template <typename OpTy> void UnarySinker::alongAxis(OpTy op) {
  OpTy inner = clone(op);
  inner.setAxis(perm[op.getAxis()]);
  finish(inner, perm);
}

/// The order of a result that lacks the given outer dims.
static Permutation withoutDims(ArrayRef<int64_t> perm, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> place(perm.size());
  int64_t next = 0;
  Permutation back = inverse(perm), result;
  for (auto [inner, outer] : llvm::enumerate(back))
    place[inner] = llvm::is_contained(axes, outer) ? -1 : next++;
  for (int64_t inner : perm)
    if (place[inner] >= 0)
      result.push_back(place[inner]);
  return result;
}

template <typename OpTy> void UnarySinker::reduce(OpTy op) {
  SmallVector<int64_t> axes;
  for (int64_t axis : op.getAxes())
    axes.push_back(perm[axis]);
  llvm::sort(axes);
  OpTy inner = clone(op);
  inner.setAxes(axes);
  finish(inner, op.getKeepdims() ? perm : withoutDims(perm, op.getAxes()));
}

template <typename OpTy> void UnarySinker::argReduce(OpTy op) {
  int64_t axis = op.getAxis();
  OpTy inner = clone(op);
  inner.setAxis(perm[axis]);
  finish(inner, op.getKeepdims() ? perm : withoutDims(perm, axis));
}

template <typename OpTy> void UnarySinker::quantize(OpTy op) {
  if (op.getBlockSize() != 0)
    return;
  bool perTensor = llvm::all_of(transposes.dims(op.getScale()), [](const SymExpr &dim) { return dim.isConst(1); });
  OpTy inner = clone(op);
  if (!perTensor)
    inner.setAxis(perm[op.getAxis()]);
  finish(inner, perm);
}

void UnarySinker::layerNorm(LayerNormOp op) {
  for (int64_t axis = op.getAxis(), rank = perm.size(); axis < rank; ++axis)
    if (perm[axis] != axis)
      return;
  finish(clone(op), perm);
}

void UnarySinker::batchNorm(BatchNormOp op) {
  if (op.getLayout() != Layout::nchw || perm.size() < 2 || perm[1] != int64_t(perm.size()) - 1)
    return;
  BatchNormOp inner = clone(op);
  inner.setLayout(Layout::nhwc);
  finish(inner, perm);
}

void UnarySinker::slice(SliceOp op) {
  if (!op.getStart())
    return;
  SliceOp inner = clone(op);
  inner.setStartAttr(toInnerShape(*op.getStart()));
  inner.setSizeAttr(toInnerShape(*op.getSize()));
  inner.setStep(toInner<int64_t>(*op.getStep(), perm));
  finish(inner, perm);
}

void UnarySinker::pad(PadOp op) {
  if (!op.getLow())
    return;
  PadOp inner = clone(op);
  inner.setLowAttr(toInnerShape(*op.getLow()));
  inner.setHighAttr(toInnerShape(*op.getHigh()));
  finish(inner, perm);
}

void UnarySinker::tile(TileOp op) {
  if (!op.getRepeat())
    return;
  TileOp inner = clone(op);
  inner.setRepeatAttr(toInnerShape(*op.getRepeat()));
  finish(inner, perm);
}

void UnarySinker::resize(ResizeOp op) {
  if (op.getGiven())
    return;
  ResizeOp inner = clone(op);
  inner.setSizeAttr(toInnerShape(op.getSize()));
  if (std::optional<ArrayRef<double>> scales = op.getScales())
    inner.setScales(toInner<double>(*scales, perm));
  if (std::optional<ArrayRef<double>> roi = op.getRoi()) {
    SmallVector<double> regions = toInner<double>(roi->take_front(perm.size()), perm);
    regions.append(toInner<double>(roi->take_back(perm.size()), perm));
    inner.setRoi(regions);
  }
  finish(inner, perm);
}

void UnarySinker::expand(ExpandOp op) {
  if (!op.getTarget())
    return;
  perm = extend(perm, op.getTarget()->size());
  ExpandOp inner = clone(op);
  inner.setTargetAttr(toInnerShape(*op.getTarget()));
  finish(inner, perm);
}

void UnarySinker::gather(GatherOp op) {
  int64_t axis = op.getAxis(), innerAxis = perm[axis], more = transposes.rank(op.getIndices());
  GatherOp inner = clone(op);
  inner.setAxis(innerAxis);
  // The index dims stand where the axis was, in both orders.
  Permutation result;
  for (auto [outer, innerDim] : llvm::enumerate(perm)) {
    if (int64_t(outer) != axis)
      result.push_back(innerDim < innerAxis ? innerDim : innerDim + more - 1);
    else
      for (int64_t i = 0; i < more; ++i)
        result.push_back(innerAxis + i);
  }
  finish(inner, result);
}

void UnarySinker::topK(TopKOp op) {
  if (!op.getCount())
    return;
  alongAxis(op);
}

void UnarySinker::reshape(ReshapeOp op) {
  if (!op.getTarget())
    return;
  Value result = transposes.reshape(op.getX(), op.getTarget()->getDims(), op.getLoc());
  // A reshape of the transpose itself is what `op` is already; the new one is dead then.
  if (auto same = result.getDefiningOp<ReshapeOp>(); same && same.getX() == op.getX()) {
    same.erase();
    return;
  }
  op.getResult().replaceAllUsesWith(result);
  op.erase();
}

void UnarySinker::sink() {
  llvm::TypeSwitch<Operation *>(op)
      .Case<SoftmaxOp, LogSoftmaxOp, CumSumOp, CumProdOp>([&](auto op) { alongAxis(op); })
      .Case<ReduceSumOp, ReduceMeanOp, ReduceMaxOp, ReduceMinOp, ReduceProdOp>([&](auto op) { reduce(op); })
      .Case<ArgMaxOp, ArgMinOp>([&](auto op) { argReduce(op); })
      .Case<QuantizeLinearOp, DequantizeLinearOp>([&](auto op) { quantize(op); })
      .Case([&](LayerNormOp op) { layerNorm(op); })
      .Case([&](BatchNormOp op) { batchNorm(op); })
      .Case([&](SliceOp op) { slice(op); })
      .Case([&](PadOp op) { pad(op); })
      .Case([&](TileOp op) { tile(op); })
      .Case([&](ResizeOp op) { resize(op); })
      .Case([&](ExpandOp op) { expand(op); })
      .Case([&](GatherOp op) { gather(op); })
      .Case([&](TopKOp op) { topK(op); })
      .Case([&](ReshapeOp op) { reshape(op); });
}

//===----------------------------------------------------------------------===//
// Entry
//===----------------------------------------------------------------------===//

/// (A B)^T = B^T A^T: products read either operand transposed for nothing (`ds-pack`), and gradients of weights that a
/// model transposes come out as the weights lie.
static bool transposeProduct(TransposeOp outer, TransposeBuilder &transposes) {
  auto product = outer.getX().getDefiningOp<MatmulOp>();
  ArrayRef<int64_t> perm = outer.getPerm();
  const int64_t rank = perm.size();
  if (!product || !product.getResult().hasOneUse() || rank < 2 || transposes.rank(product.getA()) != rank ||
      transposes.rank(product.getB()) != rank || !isa<FloatType>(getElementTypeOrSelf(outer.getType())))
    return false;
  Permutation swapped = identityPermutation(rank);
  std::swap(swapped[rank - 1], swapped[rank - 2]);
  if (perm != ArrayRef<int64_t>(swapped))
    return false;
  Location loc = outer.getLoc();
  Value left = transposes.transpose(product.getB(), perm, loc), right = transposes.transpose(product.getA(), perm, loc);
  Operation *turned = transposes.cloneWith(product, {left, right});
  transposes.infer(turned);
  outer.getResult().replaceAllUsesWith(turned->getResult(0));
  outer.erase();
  product.erase();
  return true;
}

void sinkTransposes(Operation *op, TransposeBuilder &transposes, OpBuilder &b) {
  b.setInsertionPoint(op);
  if (auto outer = dyn_cast<TransposeOp>(op)) {
    if (transposeProduct(outer, transposes))
      return;
    if (!outer.getX().getDefiningOp<TransposeOp>() && !isIdentity(outer.getPerm()))
      return;
    op->getResult(0).replaceAllUsesWith(transposes.transpose(outer.getX(), outer.getPerm(), op->getLoc()));
    op->erase();
    return;
  }
  if (isElementwise(op) || isa<ConcatOp>(op))
    return sinkOperands(op, transposes);
  if (op->getNumOperands() == 0)
    return;
  if (auto source = op->getOperand(0).getDefiningOp<TransposeOp>())
    UnarySinker(op, source, transposes, b).sink();
}

} // namespace ds
