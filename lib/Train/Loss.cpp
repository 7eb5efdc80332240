//===- Loss.cpp - From outputs and targets to a number --------------------===//
// Guarantees: see Loss.h. Cross entropy goes through the logarithm of the softmax, binary cross entropy through
//   log(1 + exp(-|x|)): neither overflows.
//===----------------------------------------------------------------------===//
#include "Loss.h"
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/NodeName.h"
#include <numeric>

using namespace mlir;

namespace ds {

static FailureOr<int64_t> classAxis(Operation *at, size_t rank, const LossOptions &loss) {
  int64_t axis = loss.axis < 0 ? loss.axis + int64_t(rank) : loss.axis;
  if (rank == 0 || axis < 0 || axis >= int64_t(rank))
    return at->emitError("--loss: the output has rank ") << rank << " and no axis " << loss.axis << " with the classes";
  return axis;
}

FailureOr<std::pair<Type, SymDims>> targetOf(Operation *at, Value output, const ShapeState &shapes,
                                             const LossOptions &loss) {
  SymDims dims = *shapes.getDims(output);
  Type element = getElementTypeOrSelf(output.getType());
  if (!isa<FloatType>(element))
    return at->emitError("--loss: the output is of ") << element << ", and the loss of floats";
  if (loss.kind != LossOptions::CrossEntropy)
    return std::pair(element, dims);
  FailureOr<int64_t> axis = classAxis(at, dims.size(), loss);
  if (failed(axis))
    return failure();
  dims.erase(dims.begin() + *axis);
  return std::pair<Type, SymDims>(IntegerType::get(at->getContext(), 64), dims);
}

namespace {
class LossBuilder {
public:
  LossBuilder(VjpBuilder &b, const LossOptions &loss, Value output, Value target)
      : b(b), loss(loss), output(output), target(target), element(VjpBuilder::elementOf(output)) {}
  LossValues crossEntropy(bool counts);
  LossValues elementwise();

private:
  TensorExpr all(TensorExpr x) {
    SmallVector<int64_t> axes(b.dims(x.get()).size());
    std::iota(axes.begin(), axes.end(), 0);
    return b.sum(x, axes, /*keepDims=*/false);
  }
  TensorExpr none() { return b.scalar(element, -1); }

  VjpBuilder &b;
  const LossOptions &loss;
  Value output, target;
  Type element;
};
} // namespace

LossValues LossBuilder::crossEntropy(bool counts) {
  SymDims dims = b.dims(output), one = dims;
  const int64_t axis = loss.axis < 0 ? loss.axis + int64_t(dims.size()) : loss.axis;
  one[axis] = SymExpr(1);
  TensorExpr chosen = b.reshape(b(target), one), counted;
  if (loss.ignoreIndex) {
    TensorExpr ignored = b.integer(*loss.ignoreIndex);
    counted = b.compare(ComparePredicate::ne, chosen, ignored);
    chosen = b.select(counted, chosen, b.integer(0));
  }
  // What picks an element may count from the end; a class may not.
  TensorExpr isClass = b.compare(ComparePredicate::ge, chosen, b.integer(0));
  chosen = b.select(isClass, chosen, b.size(VjpBuilder::elementOf(target), dims[axis]));
  TensorExpr logs = b.create<LogSoftmaxOp>(element, output, axis);
  TensorExpr each = -b.create<GatherElementsOp>(element, logs.get(), chosen.get(), axis);
  if (loss.labelSmoothing != 0)
    each = each * (1 - loss.labelSmoothing) -
           b.sum(logs, {axis}, /*keepDims=*/true) * loss.labelSmoothing / b.size(element, dims[axis]);
  TensorExpr count = b.size(element, product(one));
  if (counted) {
    each = keepWhere(counted.get(), each);
    count = all(b.cast(counted, element));
  }
  LossValues values{all(each) / count, count, none()};
  if (!counts)
    return values;
  TensorExpr best = b.create<ArgMaxOp>(IntegerType::get(b.context(), 64), output, axis, /*keepdims=*/true,
                                       /*select_last=*/false);
  TensorExpr met = b.compare(ComparePredicate::eq, best, chosen);
  if (counted)
    met = b.create<AndOp>(IntegerType::get(b.context(), 1), met.get(), counted.get());
  values.correct = all(b.cast(met, element));
  return values;
}

LossValues LossBuilder::elementwise() {
  TensorExpr x = b(output), t = b(target), difference = x - t, each;
  auto magnitude = [&](TensorExpr of) { return b.create<AbsOp>(element, of.get()); };
  switch (loss.kind) {
  case LossOptions::MeanSquared:
    each = difference * difference;
    break;
  case LossOptions::MeanAbsolute:
    each = magnitude(difference);
    break;
  case LossOptions::Huber: {
    TensorExpr size = magnitude(difference);
    each = where(ComparePredicate::gt, size, loss.delta, (size - 0.5 * loss.delta) * loss.delta,
                 difference * difference * 0.5);
    break;
  }
  default: // max(x, 0) - x t + log(1 + exp(-|x|))
    each = b.create<ReluOp>(element, output) - x * t + log(exp(-magnitude(x)) + 1);
  }
  TensorExpr count = b.size(element, product(b.dims(output)));
  return {all(each) / count, count, none()};
}

LossValues buildLoss(VjpBuilder &b, const LossOptions &loss, Value output, Value target, bool counts) {
  if (loss.kind == LossOptions::OwnOutput) {
    TensorExpr own = b.reshape(b(output), {});
    Type element = VjpBuilder::elementOf(output);
    return {own, b.scalar(element, 1), b.scalar(element, -1)};
  }
  LossBuilder builder(b, loss, output, target);
  return loss.kind == LossOptions::CrossEntropy ? builder.crossEntropy(counts) : builder.elementwise();
}

} // namespace ds
