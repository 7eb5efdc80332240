//===- Reduction.cpp - Kernels whose root is a reduction ------------------===//
// Assumes: the root is one of reduce_sum, mean, max, min, prod; what follows it is pointwise in its result. There may
// be several roots, of one
//   element type, over the same axes of inputs of the same dims: they are reduced in one pass.
// Guarantees: vectors along the innermost dimension, whether it is reduced (partial results in four accumulators,
// folded
//   once a result) or kept (a block of columns at a time). The order of summation does not depend on threads. Floats
//   are summed in parts of at most kPart, and these parts again: rounding errors grow with the logarithm of the count.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/CpuKernelEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

namespace {

class ReductionEmitter {
public:
  ReductionEmitter(CpuKernelEmitter &e, Operation *root) : e(e), b(e.builder()), root(root), roots{root} {}

  LogicalResult emit();

private:
  LogicalResult emitRows();
  LogicalResult emitColumns();
  /// Loops over the outer reduced dimensions around `inner`.
  using StateFn = function_ref<FailureOr<SmallVector<Value>>(SmallVector<Value>)>;
  FailureOr<SmallVector<Value>> reduceOuter(unsigned next, SmallVector<Value> init, StateFn inner);
  /// `body`, which goes on from a state, applied to a state of its own, which is then combined with `state`.
  FailureOr<SmallVector<Value>> apart(SmallVector<Value> state, StateFn body);
  /// for (i = lower; i < upper; i += step) in parts that are summed apart.
  FailureOr<SmallVector<Value>> loopInParts(Value lower, Value upper, int64_t step, const SymExpr &size,
                                            SmallVector<Value> init, KernelEmitter::CarryFn body);
  Value combine(Operation *root, Value x, Value y);
  Value neutral(Operation *root);
  Value finish(Operation *root, Value value);
  FailureOr<Value> input(Operation *root, LaneIndex innermost);
  /// A state holds the accumulators of each root, as many for each, one root after the other.
  Operation *rootOf(size_t index, size_t count) { return roots[index / (count / roots.size())]; }
  SmallVector<Value> start(size_t count);
  /// Elements of the roots' inputs from `position` on, combined with accumulator `k` of each.
  LogicalResult add(SmallVector<Value> &state, int64_t k, Value position);
  /// The results' elements at `indices`, given the roots' results.
  LogicalResult store(ArrayRef<Value> sums, LaneIndex innermost);
  /// Positions of the input -> those of the result.
  SmallVector<LaneIndex> resultIndices(LaneIndex innermost);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Operation *root; // the first one
  SmallVector<Operation *> roots;
  Type type; // compute type
  SymDims dims;
  llvm::SmallBitVector reduced;
  bool keepDims = false;
  bool isFloat = false, isUnsigned = false;
  bool isRounded = false; // a sum of floats, whose parts are summed apart
  unsigned innermost = 0;
  int64_t columnVectors = 4; // of a block of columns
  SmallVector<unsigned> outerReduced, outerKept;
  SmallVector<LaneIndex> indices;
};

} // namespace

Value ReductionEmitter::combine(Operation *root, Value x, Value y) {
  e.unify(x, y);
  Location loc = e.getLoc();
  if (isa<ReduceSumOp, ReduceMeanOp>(root))
    return isFloat ? Value(arith::AddFOp::create(b, loc, x, y)) : Value(arith::AddIOp::create(b, loc, x, y));
  if (isa<ReduceProdOp>(root))
    return isFloat ? Value(arith::MulFOp::create(b, loc, x, y)) : Value(arith::MulIOp::create(b, loc, x, y));
  bool isMax = isa<ReduceMaxOp>(root);
  if (isFloat)
    return isMax ? Value(arith::MaximumFOp::create(b, loc, x, y)) : Value(arith::MinimumFOp::create(b, loc, x, y));
  if (type.isInteger(1))
    return isMax ? Value(arith::OrIOp::create(b, loc, x, y)) : Value(arith::AndIOp::create(b, loc, x, y));
  if (isUnsigned)
    return isMax ? Value(arith::MaxUIOp::create(b, loc, x, y)) : Value(arith::MinUIOp::create(b, loc, x, y));
  return isMax ? Value(arith::MaxSIOp::create(b, loc, x, y)) : Value(arith::MinSIOp::create(b, loc, x, y));
}

Value ReductionEmitter::neutral(Operation *root) {
  bool isMax = isa<ReduceMaxOp>(root);
  if (isa<ReduceSumOp, ReduceMeanOp>(root))
    return isFloat ? e.constantFloat(type, 0.0) : e.constantInt(type, 0);
  if (isa<ReduceProdOp>(root))
    return isFloat ? e.constantFloat(type, 1.0) : e.constantInt(type, 1);
  if (isFloat)
    return e.constantFloat(type,
                           isMax ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity());
  unsigned width = type.getIntOrFloatBitWidth();
  APInt value = type.isInteger(1) || isUnsigned ? (isMax ? APInt::getZero(width) : APInt::getAllOnes(width))
                : isMax                         ? APInt::getSignedMinValue(width)
                                                : APInt::getSignedMaxValue(width);
  return arith::ConstantOp::create(b, e.getLoc(), b.getIntegerAttr(type, value));
}

Value ReductionEmitter::finish(Operation *root, Value value) {
  if (!isa<ReduceMeanOp>(root))
    return value;
  Location loc = e.getLoc();
  SymExpr count(1);
  for (unsigned d : reduced.set_bits())
    count = count * dims[d];
  // An empty integer mean is 0, an empty float mean 0/0.
  Value number = isFloat ? e.size(count) : e.maxI(e.size(count), e.i64(1));
  Value divisor = isFloat ? Value(arith::SIToFPOp::create(b, loc, type, number))
                          : (type.isInteger(64) ? number : Value(arith::TruncIOp::create(b, loc, type, number)));
  e.unify(value, divisor);
  if (isFloat)
    return arith::DivFOp::create(b, loc, value, divisor);
  return arith::DivSIOp::create(b, loc, value, divisor);
}

FailureOr<Value> ReductionEmitter::input(Operation *root, LaneIndex last) {
  SmallVector<LaneIndex> position = indices;
  if (!dims.empty())
    position[innermost] = last;
  return e.element(root->getOperand(0), position);
}

SmallVector<Value> ReductionEmitter::start(size_t count) {
  SmallVector<Value> state;
  for (size_t i = 0; i < count; ++i)
    state.push_back(e.broadcast(neutral(rootOf(i, count))));
  return state;
}

LogicalResult ReductionEmitter::add(SmallVector<Value> &state, int64_t k, Value position) {
  const size_t each = state.size() / roots.size();
  for (auto [number, root] : llvm::enumerate(roots)) {
    auto value = input(root, LaneIndex::consecutive(position));
    if (failed(value))
      return failure();
    Value &sum = state[number * each + k];
    sum = combine(root, sum, e.broadcast(*value));
  }
  return success();
}

LogicalResult ReductionEmitter::store(ArrayRef<Value> sums, LaneIndex last) {
  for (auto [root, sum] : llvm::zip_equal(roots, sums))
    e.bind(root->getResult(0), finish(root, sum));
  return storeResults(e, resultIndices(last));
}

SmallVector<LaneIndex> ReductionEmitter::resultIndices(LaneIndex last) {
  SmallVector<LaneIndex> result;
  for (unsigned d = 0; d < dims.size(); ++d) {
    if (!reduced.test(d))
      result.push_back(d == innermost ? last : indices[d]);
    else if (keepDims)
      result.push_back(e.constantIndex(0));
  }
  return result;
}

/// Terms of a sum that are added to one accumulator.
static constexpr int64_t kPart = 64;

FailureOr<SmallVector<Value>> ReductionEmitter::apart(SmallVector<Value> state, StateFn body) {
  FailureOr<SmallVector<Value>> part = body(start(state.size()));
  if (failed(part))
    return failure();
  for (size_t i = 0; i < state.size(); ++i)
    state[i] = combine(rootOf(i, state.size()), state[i], (*part)[i]);
  return state;
}

FailureOr<SmallVector<Value>> ReductionEmitter::loopInParts(Value lower, Value upper, int64_t step, const SymExpr &size,
                                                            SmallVector<Value> init, KernelEmitter::CarryFn body) {
  if (!isRounded || (size.isConst() && size.getConst() <= kPart * step))
    return e.forLoop(lower, upper, step, init, body);
  return e.forLoop(lower, upper, kPart * step, init, [&](Value first, ValueRange state) {
    Value past = e.minI(e.addI(first, e.i64(kPart * step)), upper);
    return apart(SmallVector<Value>(state),
                 [&](SmallVector<Value> own) { return e.forLoop(first, past, step, own, body); });
  });
}

FailureOr<SmallVector<Value>> ReductionEmitter::reduceOuter(unsigned next, SmallVector<Value> init, StateFn inner) {
  if (next == outerReduced.size())
    return inner(std::move(init));
  unsigned d = outerReduced[next];
  // What the loops within sum is a part already.
  bool isPart = isRounded && next + 1 < outerReduced.size();
  auto step = [&](Value index, ValueRange state) -> FailureOr<SmallVector<Value>> {
    indices[d] = LaneIndex::uniform(index);
    auto deeper = [&](SmallVector<Value> own) { return reduceOuter(next + 1, std::move(own), inner); };
    return isPart ? apart(SmallVector<Value>(state), deeper) : deeper(SmallVector<Value>(state));
  };
  return loopInParts(e.i64(0), e.size(dims[d]), 1, dims[d], std::move(init), step);
}

/// The innermost dimension is reduced.
LogicalResult ReductionEmitter::emitRows() {
  // As many as registers have room for.
  const int64_t kAccumulators = roots.size() <= 2 ? 4 : 2;
  int64_t width = e.getWidth();
  Value upper = e.size(dims[innermost]);
  SmallVector<Value> init = start(roots.size() * kAccumulators);
  auto sums = reduceOuter(0, init, [&](SmallVector<Value> state) -> FailureOr<SmallVector<Value>> {
    Value whole = e.roundDown(upper, kAccumulators * width);
    auto blocks = loopInParts(e.i64(0), whole, kAccumulators * width, dims[innermost], state,
                              [&](Value i, ValueRange carried) -> FailureOr<SmallVector<Value>> {
                                SmallVector<Value> next(carried);
                                for (int64_t k = 0; k < kAccumulators; ++k)
                                  if (failed(add(next, k, e.addI(i, e.i64(k * width)))))
                                    return failure();
                                return next;
                              });
    if (failed(blocks))
      return failure();
    if (dims[innermost].isDivisibleBy(kAccumulators * width))
      return blocks;
    SmallVector<Value> firsts;
    for (size_t number = 0; number < roots.size(); ++number)
      firsts.push_back((*blocks)[number * kAccumulators]);
    auto rest =
        e.forLoop(whole, upper, width, firsts, [&](Value i, ValueRange carried) -> FailureOr<SmallVector<Value>> {
          Value live = e.lanesBelow(i, upper);
          e.setMask(live);
          SmallVector<Value> next;
          for (auto [root, sum] : llvm::zip_equal(roots, carried)) {
            auto value = input(root, LaneIndex::consecutive(i));
            if (failed(value))
              return failure();
            next.push_back(e.select(live, combine(root, sum, e.broadcast(*value)), sum));
          }
          return next;
        });
    if (failed(rest))
      return failure();
    for (auto [number, sum] : llvm::enumerate(*rest))
      (*blocks)[number * kAccumulators] = sum;
    return blocks;
  });
  if (failed(sums))
    return failure();
  // Folding halves keeps every step a vector operation.
  Location loc = e.getLoc();
  SmallVector<Value> scalars;
  for (auto [number, root] : llvm::enumerate(roots)) {
    ArrayRef<Value> own = ArrayRef(*sums).slice(number * kAccumulators, kAccumulators);
    Value sum = combine(root, own[0], own[1]);
    if (kAccumulators == 4)
      sum = combine(root, sum, combine(root, own[2], own[3]));
    for (int64_t lanes = width; lanes > 1; lanes /= 2) {
      SmallVector<int64_t> low, high;
      for (int64_t i = 0; i < lanes / 2; ++i) {
        low.push_back(i);
        high.push_back(i + lanes / 2);
      }
      Value x = vector::ShuffleOp::create(b, loc, sum, sum, low), y = vector::ShuffleOp::create(b, loc, sum, sum, high);
      sum = combine(root, x, y);
    }
    scalars.push_back(vector::ExtractOp::create(b, loc, sum, ArrayRef<int64_t>{0}));
  }
  return store(scalars, e.constantIndex(0));
}

/// The innermost dimension is kept: `columnVectors` vectors of columns at a time.
LogicalResult ReductionEmitter::emitColumns() {
  Value limit = e.size(dims[innermost]);
  // The first outer kept dimension is a block of columns (set by emit); its index is in `indices[innermost]`.
  Value first = indices[innermost].getValue();
  int64_t width = e.getWidth();
  auto block = [&](int64_t count, Value first) -> LogicalResult {
    SmallVector<Value> init = start(roots.size() * count);
    auto sums = reduceOuter(0, init, [&](SmallVector<Value> state) -> FailureOr<SmallVector<Value>> {
      for (int64_t k = 0; k < count; ++k)
        if (failed(add(state, k, e.addI(first, e.i64(k * width)))))
          return failure();
      return state;
    });
    if (failed(sums))
      return failure();
    for (int64_t k = 0; k < count; ++k) {
      CpuKernelEmitter::Scope scope(e);
      SmallVector<Value> own;
      for (size_t number = 0; number < roots.size(); ++number)
        own.push_back((*sums)[number * count + k]);
      if (failed(store(own, LaneIndex::consecutive(e.addI(first, e.i64(k * width))))))
        return failure();
    }
    return success();
  };
  const int64_t columns = columnVectors * width;
  Value end = e.minI(e.addI(first, e.i64(columns)), limit);
  Value isWhole =
      b.createOrFold<arith::CmpIOp>(e.getLoc(), arith::CmpIPredicate::eq, e.subI(end, first), e.i64(columns));
  if (failed(e.ifThen(isWhole, [&] { return block(columnVectors, first); })))
    return failure();
  if (dims[innermost].isDivisibleBy(columns))
    return success();
  return e.ifThen(e.lessI(e.subI(end, first), e.i64(columns)), [&] {
    return e.forLoop(first, end, width, [&](Value start) -> LogicalResult {
      e.setMask(e.lanesBelow(start, end));
      return block(1, start);
    });
  });
}

LogicalResult ReductionEmitter::emit() {
  for (Operation &op : e.getKernel().getBody().front().without_terminator())
    if (&op != root && op.hasTrait<Reduces>())
      roots.push_back(&op);
  dims = e.dimsOf(root->getOperand(0));
  Type element = getElementTypeOrSelf(root->getOperand(0).getType());
  type = ElementBuilder::computeType(element);
  isFloat = isa<FloatType>(type);
  isUnsigned = element.isUnsignedInteger();
  isRounded = isFloat && llvm::any_of(roots, [](Operation *root) { return isa<ReduceSumOp, ReduceMeanOp>(root); });
  keepDims = e.dimsOf(root->getResult(0)).size() == dims.size();
  reduced.resize(dims.size());
  for (int64_t axis : cast<DenseI64ArrayAttr>(root->getAttr("axes")).asArrayRef())
    reduced.set(axis);
  for (Operation &op : e.getKernel().getBody().front().without_terminator())
    if (!llvm::is_contained(roots, &op))
      e.setInlined(&op);

  // Trailing dimensions of size 1 are no place for vectors.
  innermost = dims.size() - 1;
  while (innermost > 0 && dims[innermost].isConst(1))
    --innermost;
  indices.assign(dims.size(), e.constantIndex(0));
  SymExpr keptSize(1);
  for (unsigned d = 0; d < dims.size(); ++d) {
    if (!reduced.test(d))
      keptSize = keptSize * dims[d];
    if (d == innermost || dims[d].isConst(1))
      continue;
    (reduced.test(d) ? outerReduced : outerKept).push_back(d);
  }

  bool rows = reduced.test(innermost);
  SmallVector<SymExpr> loops;
  for (unsigned d : outerKept)
    loops.push_back(dims[d]);
  // Few columns, as the channels of an image are: each thread shall get some.
  constexpr int64_t kFewBlocks = 8;
  if (!rows && dims[innermost].isConst() && product(loops).isConst()) {
    int64_t vectors = product(loops).getConst() * llvm::divideCeil(dims[innermost].getConst(), e.getWidth());
    columnVectors = vectors >= 4 * kFewBlocks ? 4 : vectors >= 2 * kFewBlocks ? 2 : 1;
  }
  if (roots.size() > 2)
    columnVectors = std::min<int64_t>(columnVectors, 2);
  int64_t block = columnVectors * e.getWidth();
  if (!rows)
    loops.push_back(SymExpr::ceilDiv(dims[innermost], block));
  SymExpr items = product(loops);
  SymExpr perItem(1);
  for (unsigned d : reduced.set_bits())
    perItem = perItem * dims[d];
  if (!rows)
    perItem = perItem * SymExpr(block);
  e.setRange(items, SymExpr::ceilDiv(16384, SymExpr::max(perItem, 1)));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> position = e.delinearize(LaneIndex::uniform(item), loops);
    for (auto [d, index] : llvm::zip(outerKept, position))
      indices[d] = index;
    if (rows)
      return emitRows();
    indices[innermost] = e.mul(position.back(), block);
    return emitColumns();
  });
}

LogicalResult emitReduction(CpuKernelEmitter &e, Operation *root) { return ReductionEmitter(e, root).emit(); }

} // namespace ds
