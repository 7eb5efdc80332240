//===- Rows.cpp - Loops over a row of a tensor, a vector at a time --------===//
// Guarantees: see Rows.h.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Rows.h"
#include "dialects/ds/element/MathFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

Value FloatMath::fromInt(Value i64) { return arith::SIToFPOp::create(b, e.getLoc(), type, i64); }

Value FloatMath::add(Value x, Value y) {
  e.unify(x, y);
  return arith::AddFOp::create(b, e.getLoc(), x, y);
}
Value FloatMath::sub(Value x, Value y) {
  e.unify(x, y);
  return arith::SubFOp::create(b, e.getLoc(), x, y);
}
Value FloatMath::mul(Value x, Value y) {
  e.unify(x, y);
  return arith::MulFOp::create(b, e.getLoc(), x, y);
}
Value FloatMath::div(Value x, Value y) {
  e.unify(x, y);
  return arith::DivFOp::create(b, e.getLoc(), x, y);
}
Value FloatMath::fma(Value x, Value y, Value z) {
  Value all[] = {x, y, z};
  e.unify(all);
  return math::FmaOp::create(b, e.getLoc(), all[0], all[1], all[2]);
}
Value FloatMath::sqrt(Value x) { return math::SqrtOp::create(b, e.getLoc(), x); }
Value FloatMath::log(Value x) {
  return type.isF32() ? buildLog(b, e.getLoc(), x) : math::LogOp::create(b, e.getLoc(), x);
}
Value FloatMath::expNonPositive(Value x) {
  return type.isF32() ? buildExpNonPositive(b, e.getLoc(), x) : buildExp64(b, e.getLoc(), x);
}
Value FloatMath::exp2NonPositive(Value x) {
  return type.isF32() ? buildExp2NonPositive(b, e.getLoc(), x) : math::Exp2Op::create(b, e.getLoc(), x);
}
Value FloatMath::max(Value x, Value y) {
  e.unify(x, y);
  Value greater = arith::CmpFOp::create(b, e.getLoc(), arith::CmpFPredicate::OGT, x, y);
  return arith::SelectOp::create(b, e.getLoc(), greater, x, y);
}

Value foldLanes(CpuKernelEmitter &e, Value vector, CombineFn combine) {
  OpBuilder &b = e.builder();
  // Halves onto each other: every step is a vector operation.
  for (int64_t lanes = e.getWidth(); lanes > 1; lanes /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < lanes / 2; ++i) {
      low.push_back(i);
      high.push_back(i + lanes / 2);
    }
    Value x = vector::ShuffleOp::create(b, e.getLoc(), vector, vector, low);
    Value y = vector::ShuffleOp::create(b, e.getLoc(), vector, vector, high);
    vector = combine(x, y);
  }
  return vector::ExtractOp::create(b, e.getLoc(), vector, ArrayRef<int64_t>{0});
}

FailureOr<SmallVector<Value>> foldRow(CpuKernelEmitter &e, const SymExpr &size, ArrayRef<Value> neutral, FoldFn body,
                                      MergeFn merge, ValueRange init) {
  int64_t width = e.getWidth(), count = neutral.size(), sets = 4;
  if (size.isConst())
    sets = std::clamp<int64_t>(size.getConst() / width, 1, sets);
  Value upper = e.size(size);
  SmallVector<Value> start;
  for (int64_t set = 0; set < sets; ++set)
    start.append(neutral.begin(), neutral.end());
  llvm::copy(init, start.begin());
  Value blocks = e.roundDown(upper, sets * width);
  auto state = e.forLoop(
      e.i64(0), blocks, sets * width, start, [&](Value i, ValueRange carried) -> FailureOr<SmallVector<Value>> {
        SmallVector<Value> next;
        for (int64_t set = 0; set < sets; ++set) {
          auto values = body(LaneIndex::consecutive(e.addI(i, e.i64(set * width))), carried.slice(set * count, count));
          if (failed(values))
            return failure();
          next.append(*values);
        }
        return next;
      });
  if (failed(state))
    return failure();
  for (int64_t half = sets; half > 1; half = (half + 1) / 2)
    for (int64_t set = (half + 1) / 2; set < half; ++set)
      for (int64_t i = 0; i < count; ++i) {
        Value &into = (*state)[(set - (half + 1) / 2) * count + i];
        into = merge(i, into, (*state)[set * count + i]);
      }
  state->resize(count);
  if (size.isDivisibleBy(sets * width))
    return state;
  Value whole = e.roundDown(upper, width);
  state = e.forLoop(blocks, whole, width, *state,
                    [&](Value i, ValueRange carried) { return body(LaneIndex::consecutive(i), carried); });
  if (failed(state) || size.isDivisibleBy(width))
    return state;
  return e.forLoop(whole, upper, width, *state, [&](Value i, ValueRange carried) -> FailureOr<SmallVector<Value>> {
    Value live = e.lanesBelow(i, upper);
    e.setMask(live);
    auto values = body(LaneIndex::consecutive(i), carried);
    if (failed(values))
      return failure();
    for (auto [value, old] : llvm::zip_equal(*values, carried))
      value = e.select(live, value, old);
    return values;
  });
}

LogicalResult vectorGroups(CpuKernelEmitter &e, const SymExpr &size, int64_t count,
                           function_ref<LogicalResult(ArrayRef<LaneIndex>)> body) {
  int64_t lanes = e.getWidth();
  Value limit = e.size(size), start = e.i64(0);
  for (; count >= 1; count /= 2) {
    Value end = e.addI(start, e.roundDown(e.subI(limit, start), count * lanes));
    if (failed(e.forLoop(start, end, count * lanes, [&](Value first) {
          SmallVector<LaneIndex> all;
          for (int64_t i = 0; i < count; ++i)
            all.push_back(LaneIndex::consecutive(e.addI(first, e.i64(i * lanes))));
          return body(all);
        })))
      return failure();
    if (size.isDivisibleBy(count * lanes))
      return success();
    start = end;
  }
  return e.ifThen(e.lessI(start, limit), [&] {
    e.setMask(e.lanesBelow(start, limit));
    return body(LaneIndex::consecutive(start));
  });
}

SmallVector<LaneIndex> leadingIndices(CpuKernelEmitter &e, Value tensor, unsigned axis, Value row) {
  SymDims dims = e.dimsOf(tensor);
  SmallVector<LaneIndex> indices(dims.size(), e.constantIndex(0));
  if (axis == 0)
    return indices;
  if (e.isArgument(tensor)) {
    // Row-major addresses come out right with the whole number in the last of the dimensions.
    indices[axis - 1] = LaneIndex::uniform(row);
    return indices;
  }
  auto leading = e.delinearize(LaneIndex::uniform(row), ArrayRef<SymExpr>(dims).take_front(axis));
  llvm::copy(leading, indices.begin());
  return indices;
}

void inlineOthers(CpuKernelEmitter &e, Operation *root) {
  for (Operation &op : e.getKernel().getBody().front().without_terminator())
    if (&op != root)
      e.setInlined(&op);
}

bool resultHoldsRoot(CpuKernelEmitter &e, Operation *root) {
  Value result = e.results()[0];
  Type element = getElementTypeOrSelf(result.getType());
  Type type = ElementBuilder::computeType(getElementTypeOrSelf(root->getResult(0).getType()));
  return element == type && e.dimsOf(result) == e.dimsOf(root->getResult(0));
}

using Permutation = SmallVector<int64_t>;

/// How the dimensions of `value` follow from those of `root`; nullopt if it does not depend on it.
static std::optional<Permutation> permutation(Value value, Value root,
                                              DenseMap<Value, std::optional<Permutation>> &known) {
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  std::optional<Permutation> result;
  Operation *op = value.getDefiningOp();
  if (value == root) {
    result = llvm::to_vector(llvm::seq<int64_t>(0, cast<RankedTensorType>(root.getType()).getRank()));
  } else if (auto transpose = dyn_cast_or_null<TransposeOp>(op)) {
    if (auto inner = permutation(transpose.getX(), root, known)) {
      result.emplace();
      for (int64_t d : transpose.getPerm())
        result->push_back((*inner)[d]);
    }
  } else if (op) {
    for (Value operand : op->getOperands())
      if (!result)
        result = permutation(operand, root, known);
  }
  known[value] = result;
  return result;
}

RootResults::RootResults(CpuKernelEmitter &e, Operation *root) : e(e) {
  DenseMap<Value, std::optional<Permutation>> known;
  for (Value result : e.results()) {
    auto perm = permutation(result, root->getResult(0), known);
    assert(perm && "a kernel's results follow from its root");
    perms.push_back(*perm);
  }
}

LogicalResult RootResults::store(ArrayRef<LaneIndex> indices) {
  for (auto [number, value] : llvm::enumerate(e.results())) {
    SmallVector<LaneIndex> position;
    for (int64_t d : perms[number])
      position.push_back(indices[d]);
    FailureOr<Value> element = e.element(value, position);
    if (failed(element))
      return failure();
    e.storeAt(e.result(number), e.linearize(position, e.dimsOf(value)), *element);
  }
  return success();
}

} // namespace ds
