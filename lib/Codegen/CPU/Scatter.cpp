//===- Scatter.cpp - Kernels whose root is a scatter ----------------------===//
// Assumes: the root stands alone.
// Guarantees: a call owns some entries of the result's first dimension: it copies them, then goes through all updates
//   in order and applies those that fall into them. So updates of one element keep their order on any number of
//   threads. An index out of range is skipped, and the kernel ends with an error.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

namespace {

class ScatterEmitter {
public:
  ScatterEmitter(CpuKernelEmitter &e, Operation *root)
      : e(e), b(e.builder()), loc(e.getLoc()), root(root), x(root->getOperand(0)), indices(root->getOperand(1)),
        updates(root->getOperand(2)), dims(e.dimsOf(x)), indexDims(e.dimsOf(indices)), updateDims(e.dimsOf(updates)),
        element(getElementTypeOrSelf(x.getType())), type(ElementBuilder::computeType(element)) {}

  LogicalResult emit();

private:
  LogicalResult copy();
  LogicalResult applyElements(ScatterElementsOp op);
  LogicalResult applySlices(ScatterNdOp op);
  /// Loops over `sizes`, outermost first.
  LogicalResult nest(ArrayRef<SymExpr> sizes, SmallVector<LaneIndex> &position, function_ref<LogicalResult()> body);
  /// The index that element `position` of the indices holds, from 0 on; `valid` becomes false if it is out of range.
  FailureOr<Value> readIndex(ArrayRef<LaneIndex> position, Value size, Value &valid);
  /// Whether the calls' entries contain `first`.
  Value owns(Value first);
  LogicalResult update(LaneIndex target, ArrayRef<LaneIndex> source);
  Value combine(Value old, Value value);

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  Operation *root;
  Value x, indices, updates;
  SymDims dims, indexDims, updateDims;
  Type element, type;
};

} // namespace

LogicalResult ScatterEmitter::nest(ArrayRef<SymExpr> sizes, SmallVector<LaneIndex> &position,
                                   function_ref<LogicalResult()> body) {
  if (sizes.empty())
    return body();
  return e.forLoop(e.i64(0), e.size(sizes[0]), 1, [&](Value i) {
    position.push_back(LaneIndex::uniform(i));
    LogicalResult done = nest(sizes.drop_front(), position, body);
    position.pop_back();
    return done;
  });
}

LogicalResult ScatterEmitter::copy() {
  Value perEntry = e.size(product(ArrayRef<SymExpr>(dims).drop_front()));
  Value first = e.mulI(e.getBegin(), perEntry), last = e.mulI(e.getEnd(), perEntry);
  return e.vectorLoop(first, last, [&](LaneIndex position) -> LogicalResult {
    FailureOr<Value> value = e.isArgument(x) ? FailureOr<Value>(e.loadAt(e.argument(x), position))
                                             : e.element(x, e.delinearize(position, dims));
    if (failed(value))
      return failure();
    e.storeAt(e.result(0), position, *value);
    return success();
  });
}

FailureOr<Value> ScatterEmitter::readIndex(ArrayRef<LaneIndex> position, Value size, Value &valid) {
  auto value = e.element(indices, position);
  if (failed(value))
    return failure();
  Value index = e.indexFromValue(*value, false).getValue();
  Value negative = e.lessI(index, e.i64(0));
  index = e.select(negative, e.addI(index, size), index);
  // Negative numbers are above every size as unsigned ones.
  Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, index, size);
  valid = valid ? e.logicalAnd(valid, inside) : inside;
  return index;
}

Value ScatterEmitter::owns(Value first) {
  Value low = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, first, e.getBegin());
  return e.logicalAnd(low, e.lessI(first, e.getEnd()));
}

Value ScatterEmitter::combine(Value old, Value value) {
  ScatterReduction reduction =
      isa<ScatterNdOp>(root) ? cast<ScatterNdOp>(root).getReduction() : cast<ScatterElementsOp>(root).getReduction();
  e.unify(old, value);
  bool isFloat = isa<FloatType>(type), isUnsigned = element.isUnsignedInteger() || element.isInteger(1);
  switch (reduction) {
  case ScatterReduction::none:
    return value;
  case ScatterReduction::add:
    if (isFloat)
      return arith::AddFOp::create(b, loc, old, value);
    if (element.isInteger(1))
      return arith::OrIOp::create(b, loc, old, value);
    return arith::AddIOp::create(b, loc, old, value);
  case ScatterReduction::mul:
    return isFloat ? Value(arith::MulFOp::create(b, loc, old, value))
                   : Value(arith::MulIOp::create(b, loc, old, value));
  case ScatterReduction::max:
    if (isFloat)
      return arith::MaximumFOp::create(b, loc, old, value);
    return isUnsigned ? Value(arith::MaxUIOp::create(b, loc, old, value))
                      : Value(arith::MaxSIOp::create(b, loc, old, value));
  case ScatterReduction::min:
    if (isFloat)
      return arith::MinimumFOp::create(b, loc, old, value);
    return isUnsigned ? Value(arith::MinUIOp::create(b, loc, old, value))
                      : Value(arith::MinSIOp::create(b, loc, old, value));
  }
  llvm_unreachable("all reductions are named");
}

LogicalResult ScatterEmitter::update(LaneIndex target, ArrayRef<LaneIndex> source) {
  auto value = e.element(updates, source);
  if (failed(value))
    return failure();
  bool replaces = isa<ScatterNdOp>(root) ? cast<ScatterNdOp>(root).getReduction() == ScatterReduction::none
                                         : cast<ScatterElementsOp>(root).getReduction() == ScatterReduction::none;
  Value result = replaces ? *value : combine(e.loadAt(e.result(0), target), *value);
  e.storeAt(e.result(0), target, result);
  return success();
}

LogicalResult ScatterEmitter::applyElements(ScatterElementsOp op) {
  unsigned axis = op.getAxis();
  Value size = e.size(dims[axis]);
  SmallVector<LaneIndex> position;
  auto one = [&]() -> LogicalResult {
    Value valid;
    auto index = readIndex(position, size, valid);
    if (failed(index))
      return failure();
    e.raiseIf(e.logicalNot(valid), KernelError::IndexOutOfRange);
    SmallVector<LaneIndex> target(position);
    target[axis] = LaneIndex::uniform(*index);
    Value applies = axis == 0 ? e.logicalAnd(valid, owns(*index)) : valid;
    return e.ifThen(applies, [&] { return update(e.linearize(target, dims), position); });
  };
  if (axis == 0)
    return nest(indexDims, position, one);
  // Only the updates of the call's own entries.
  Value last = e.minI(e.getEnd(), e.size(indexDims[0]));
  return e.forLoop(e.getBegin(), last, 1, [&](Value i) {
    position.assign(1, LaneIndex::uniform(i));
    return nest(ArrayRef<SymExpr>(indexDims).drop_front(), position, one);
  });
}

LogicalResult ScatterEmitter::applySlices(ScatterNdOp op) {
  int64_t tuple = indexDims.back().getConst();
  ArrayRef<SymExpr> outer = ArrayRef<SymExpr>(indexDims).drop_back(), slice = ArrayRef<SymExpr>(dims).drop_front(tuple);
  SmallVector<LaneIndex> position;
  return nest(outer, position, [&]() -> LogicalResult {
    Value valid;
    SmallVector<LaneIndex> start, at(position);
    at.push_back(LaneIndex::uniform(Value()));
    for (int64_t i = 0; i < tuple; ++i) {
      at.back() = e.constantIndex(i);
      auto index = readIndex(at, e.size(dims[i]), valid);
      if (failed(index))
        return failure();
      start.push_back(LaneIndex::uniform(*index));
    }
    e.raiseIf(e.logicalNot(valid), KernelError::IndexOutOfRange);
    return e.ifThen(e.logicalAnd(valid, owns(start[0].getValue())), [&]() -> LogicalResult {
      start.resize(dims.size(), e.constantIndex(0));
      LaneIndex target = e.linearize(start, dims);
      return e.vectorLoop(e.i64(0), e.size(product(slice)), [&](LaneIndex i) -> LogicalResult {
        SmallVector<LaneIndex> source(position);
        if (e.isArgument(updates) && !slice.empty()) {
          source.resize(updateDims.size(), e.constantIndex(0));
          source.back() = i;
        } else if (!slice.empty()) {
          llvm::append_range(source, e.delinearize(i, slice));
        } else {
          i = e.constantIndex(0); // a slice is one element
        }
        return update(e.add(target, i), source);
      });
    });
  });
}

LogicalResult ScatterEmitter::emit() {
  inlineOthers(e, root);
  // Each call reads all indices: eight calls at most.
  SymExpr perEntry = product(ArrayRef<SymExpr>(dims).drop_front());
  e.setRange(dims[0], SymExpr::max(SymExpr::ceilDiv(dims[0], 8), SymExpr::ceilDiv(1 << 15, SymExpr::max(perEntry, 1))));
  if (failed(copy()))
    return failure();
  if (auto op = dyn_cast<ScatterElementsOp>(root))
    return applyElements(op);
  return applySlices(cast<ScatterNdOp>(root));
}

LogicalResult emitScatter(CpuKernelEmitter &e, Operation *root) { return ScatterEmitter(e, root).emit(); }

} // namespace ds
