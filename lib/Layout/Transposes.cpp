//===- Transposes.cpp - Making, merging and weighing transposes -----------===//
// Guarantees: see Transposes.h.
//===----------------------------------------------------------------------===//
#include "ds/Layout/Transposes.h"
#include "dialects/ds/fold/ConstantData.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace ds {

Permutation identityPermutation(int64_t rank) { return llvm::to_vector<6>(llvm::seq<int64_t>(rank)); }

bool isIdentity(ArrayRef<int64_t> perm) {
  for (auto [i, axis] : llvm::enumerate(perm))
    if (int64_t(i) != axis)
      return false;
  return true;
}

Permutation inverse(ArrayRef<int64_t> perm) {
  Permutation result(perm.size());
  for (auto [i, axis] : llvm::enumerate(perm))
    result[axis] = i;
  return result;
}

Permutation compose(ArrayRef<int64_t> first, ArrayRef<int64_t> second) {
  Permutation result;
  for (int64_t axis : second)
    result.push_back(first[axis]);
  return result;
}

Permutation extend(ArrayRef<int64_t> perm, int64_t rank) {
  int64_t more = rank - int64_t(perm.size());
  Permutation result = identityPermutation(more);
  for (int64_t axis : perm)
    result.push_back(axis + more);
  return result;
}

//===----------------------------------------------------------------------===//
// Weighing
//===----------------------------------------------------------------------===//

bool TransposeBuilder::isTrivial(ArrayRef<SymExpr> dims, ArrayRef<int64_t> perm) const {
  int64_t last = -1;
  for (int64_t axis : perm) {
    if (dims[axis].isConst(1))
      continue;
    if (axis < last)
      return false;
    last = axis;
  }
  return true;
}

int TransposeBuilder::cost(Value value, ArrayRef<int64_t> perm) const {
  if (auto inner = value.getDefiningOp<TransposeOp>())
    return isTrivial(dims(inner.getX()), compose(inner.getPerm(), perm)) ? 0 : 1;
  if (isTrivial(dims(value), perm) || value.getDefiningOp<ConstantOp>())
    return 0;
  auto fill = value.getDefiningOp<FillOp>();
  return fill && fill.getTarget() ? 0 : 1;
}

int TransposeBuilder::alignCost(Value value, ArrayRef<int64_t> perm) const {
  int64_t more = int64_t(perm.size()) - rank(value);
  if (more == 0)
    return cost(value, perm);
  if (value.getDefiningOp<ConstantOp>())
    return 0;
  SymDims lifted(more, SymExpr(1));
  auto inner = value.getDefiningOp<TransposeOp>();
  SymDims own = dims(inner ? inner.getX() : value);
  lifted.append(own.begin(), own.end());
  if (inner)
    return isTrivial(lifted, compose(extend(inner.getPerm(), perm.size()), perm)) ? 0 : 1;
  return isTrivial(lifted, perm) ? 0 : 1;
}

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

void TransposeBuilder::infer(Operation *op) {
  LogicalResult inferred = inferAndRefine(op, state);
  (void)inferred;
  assert(succeeded(inferred) && "an op on permuted dims is as valid as before");
}

Operation *TransposeBuilder::cloneWith(Operation *op, ValueRange operands) {
  Operation *clone = b.clone(*op);
  clone->setOperands(operands);
  return clone;
}

/// A transpose of `value` that exists already, moved up to the insertion point if need be.
TransposeOp TransposeBuilder::findTranspose(Value value, ArrayRef<int64_t> perm) const {
  Block *block = b.getInsertionBlock();
  for (Operation *user : value.getUsers()) {
    auto other = dyn_cast<TransposeOp>(user);
    if (!other || other->getBlock() != block || other.getPerm() != perm)
      continue;
    Block::iterator point = b.getInsertionPoint();
    if (point != block->end() && !other->isBeforeInBlock(&*point))
      other->moveBefore(block, point);
    return other;
  }
  return {};
}

Value TransposeBuilder::transpose(Value value, ArrayRef<int64_t> perm, Location loc) {
  if (isIdentity(perm))
    return value;
  if (auto inner = value.getDefiningOp<TransposeOp>())
    return transpose(inner.getX(), compose(inner.getPerm(), perm), loc);
  if (auto constant = value.getDefiningOp<ConstantOp>())
    if (ElementsAttr transposed = transposeConstant(constant.getValue(), perm))
      return ConstantOp::create(b, constant.getLoc(), transposed);
  if (auto fill = value.getDefiningOp<FillOp>(); fill && fill.getTarget()) {
    SmallVector<SymExpr> target;
    for (int64_t axis : perm)
      target.push_back(fill.getTarget()->getDim(axis));
    Operation *clone = b.clone(*fill);
    cast<FillOp>(clone).setTargetAttr(ShapeAttr::get(b.getContext(), target));
    infer(clone);
    return clone->getResult(0);
  }
  if (TransposeOp existing = findTranspose(value, perm))
    return existing;
  auto op = TransposeOp::create(b, loc, value.getType(), value, perm);
  infer(op);
  return op;
}

Value TransposeBuilder::align(Value value, ArrayRef<int64_t> perm, Location loc) {
  SymDims own = dims(value);
  if (llvm::all_of(own, [](const SymExpr &dim) { return dim.isConst(1); }))
    return value;
  SymDims lifted(perm.size() - own.size(), SymExpr(1));
  lifted.append(own.begin(), own.end());
  return transpose(reshape(value, lifted, loc), perm, loc);
}

//===----------------------------------------------------------------------===//
// Reshapes
//===----------------------------------------------------------------------===//

Value TransposeBuilder::makeReshape(Value value, ArrayRef<SymExpr> target, Location loc) {
  while (auto inner = value.getDefiningOp<ReshapeOp>())
    value = inner.getX();
  if (ArrayRef<SymExpr>(dims(value)) == target)
    return value;
  if (auto constant = value.getDefiningOp<ConstantOp>()) {
    RankedTensorType type = typeFromDims(getElementTypeOrSelf(value.getType()), target);
    if (type.hasStaticShape())
      if (ElementsAttr reshaped = reshapeConstant(constant.getValue(), type))
        return ConstantOp::create(b, constant.getLoc(), reshaped);
  }
  auto op = ReshapeOp::create(b, loc, value.getType(), value, Value(), ShapeAttr::get(b.getContext(), target),
                              /*allow_zero=*/false);
  infer(op);
  return op;
}

namespace {
/// Dims from[] whose product is that of the dims to[]: what a reshape does, in its smallest independent parts.
struct DimGroup {
  SmallVector<int64_t> from, to;
};
} // namespace

/// Groups of the dims other than 1. What cannot be told apart is one group.
static SmallVector<DimGroup> groupDims(ArrayRef<SymExpr> from, ArrayRef<SymExpr> to) {
  auto skipOnes = [](ArrayRef<SymExpr> dims, size_t &i) {
    while (i < dims.size() && dims[i].isConst(1))
      ++i;
    return i < dims.size();
  };
  SmallVector<DimGroup> groups;
  size_t i = 0, j = 0;
  auto atEnd = [&] {
    bool moreFrom = skipOnes(from, i), moreTo = skipOnes(to, j);
    return !moreFrom && !moreTo;
  };
  while (!atEnd()) {
    DimGroup &group = groups.emplace_back();
    SymExpr a(1), c(1);
    auto takeFrom = [&] {
      if (!skipOnes(from, i))
        return false;
      group.from.push_back(i);
      a *= from[i++];
      return true;
    };
    auto takeTo = [&] {
      if (!skipOnes(to, j))
        return false;
      group.to.push_back(j);
      c *= to[j++];
      return true;
    };
    auto takeBoth = [&] {
      bool tookFrom = takeFrom(), tookTo = takeTo();
      return tookFrom || tookTo;
    };
    bool more = takeBoth();
    while (more && a != c) {
      if (SymExpr::quotient(c, a))
        more = takeFrom() || takeTo();
      else if (SymExpr::quotient(a, c))
        more = takeTo() || takeFrom();
      else
        more = takeBoth();
    }
  }
  return groups;
}

/// The order of the groups by their place in the operand of a transpose, if each lies there in one piece.
static std::optional<SmallVector<DimGroup>> orderInside(SmallVector<DimGroup> groups, ArrayRef<int64_t> perm,
                                                        ArrayRef<SymExpr> innerDims) {
  // Places among the operand's dims other than 1.
  SmallVector<int64_t> place;
  int64_t next = 0;
  for (const SymExpr &dim : innerDims)
    place.push_back(dim.isConst(1) ? -1 : next++);
  auto first = [&](const DimGroup &group) { return place[perm[group.from.front()]]; };
  for (const DimGroup &group : groups) {
    if (group.from.empty() || group.to.empty())
      return std::nullopt;
    for (auto [i, axis] : llvm::enumerate(group.from))
      if (place[perm[axis]] != first(group) + int64_t(i))
        return std::nullopt;
  }
  llvm::sort(groups, [&](const DimGroup &a, const DimGroup &b) { return first(a) < first(b); });
  return groups;
}

Value TransposeBuilder::reshape(Value value, ArrayRef<SymExpr> target, Location loc) {
  if (ArrayRef<SymExpr>(dims(value)) == target)
    return value;
  auto op = value.getDefiningOp<TransposeOp>();
  if (!op)
    return makeReshape(value, target, loc);
  if (isTrivial(op))
    return makeReshape(op.getX(), target, loc);
  SymDims outer = dims(value);
  std::optional<SmallVector<DimGroup>> groups = orderInside(groupDims(outer, target), op.getPerm(), dims(op.getX()));
  if (!groups)
    return makeReshape(value, target, loc);
  // Dims of 1 keep their places in the new operand; the others fill the rest in the operand's order.
  SymDims inner(target.begin(), target.end());
  Permutation perm = identityPermutation(target.size());
  size_t place = 0;
  for (const DimGroup &group : *groups)
    for (int64_t axis : group.to) {
      while (target[place].isConst(1))
        ++place;
      inner[place] = target[axis];
      perm[axis] = place++;
    }
  return transpose(makeReshape(op.getX(), inner, loc), perm, loc);
}

} // namespace ds
