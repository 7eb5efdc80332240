//===- Reduction.cpp - Reductions -----------------------------------------===//
// Assumes: see Node.h.
// Guarantees: axes are attributes; norms and logarithms of sums become sums with elementwise ends. Axes that are
// computed
//   while the model runs become static ones of the operand's dims taken apart.

#include "../DataShapes.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

namespace {
struct ReduceAxes {
  Ints axes;
  bool keepdims = true;
  /// No axes and noop_with_empty_axes: nothing is reduced.
  bool none = false;
  /// What the result is reshaped to.
  std::optional<SymDims> shape;

  Value finish(Node &n, Value result) const { return shape && !n.failed ? n.reshape(result, *shape) : result; }
};
} // namespace

/// May replace operand 0.
static ReduceAxes reduceAxes(Node &n) {
  ReduceAxes result;
  int64_t rank = n.rank(n.in(0));
  bool isEmpty = n.has(1) && n.rank(n.in(1)) == 1 && n.dim(n.in(1), 0).isConst(0);
  if (n.has(1) && !isEmpty && !n.constantInts(n.in(1))) {
    SplitDims split = splitByAxes(n, n.in(0), n.in(1));
    if (n.failed)
      return result;
    n.inputs[0] = split.x;
    for (int64_t d = 0; d < rank; ++d)
      result.axes.push_back(2 * d + 1);
    result.shape = n.getInt("keepdims", 1) ? split.outer : split.kept;
    result.keepdims = false;
    return result;
  }
  Ints given = isEmpty ? Ints() : n.has(1) ? n.requireInts(n.in(1), "axes") : n.getInts("axes");
  result.keepdims = n.getInt("keepdims", 1) != 0;
  result.none = given.empty() && n.getInt("noop_with_empty_axes", 0);
  result.axes = given.empty() && !result.none ? span(0, rank) : n.axes(given, rank);
  return result;
}

template <typename OpT> static Value reduced(Node &n, Value x, const ReduceAxes &how) {
  return how.none ? x : n.reduce<OpT>(x, how.axes, how.keepdims);
}

template <typename OpT> static void plain(Node &n) {
  ReduceAxes how = reduceAxes(n);
  n.set(0, n.failed ? Value() : how.finish(n, reduced<OpT>(n, n.in(0), how)));
}

/// The mean of integers, truncated, from sums that do not overflow: in i64, and of 64 bits that of quotients and that
/// of remainders.
static Value meanOfIntegers(Node &n, Value x, const ReduceAxes &how) {
  Type element = n.elem(x);
  if (element.getIntOrFloatBitWidth() < 64)
    return n.cast(reduced<ReduceMeanOp>(n, n.cast(x, n.b.getI64Type()), how), element);
  SymDims dims = n.dims(x);
  SymExpr size(1);
  for (int64_t axis : how.axes)
    size = size * dims[axis];
  Value count = n.cast(n.shapeValue({SymExpr::max(size, SymExpr(1))}, /*isScalar=*/true), element);
  Value quotient = n.div(x, count), rest = n.sub(x, n.mul(quotient, count));
  rest = n.reduce<ReduceSumOp>(rest, how.axes, how.keepdims);
  Value carried = n.div(rest, count);
  Value mean = n.add(n.reduce<ReduceSumOp>(quotient, how.axes, how.keepdims), carried);
  if (element.isUnsignedInteger())
    return mean;
  // Towards zero, whatever the signs of the two.
  Value zero = n.scalar(0, element);
  rest = n.sub(rest, n.mul(carried, count));
  auto isBelow = [&](Value a, Value c) { return n.compare(ComparePredicate::lt, a, c); };
  Value up = n.make<AndOp>({isBelow(mean, zero), isBelow(zero, rest)});
  Value down = n.make<AndOp>({isBelow(zero, mean), isBelow(rest, zero)});
  return n.sub(n.add(mean, n.cast(up, element)), n.cast(down, element));
}

static void mean(Node &n) {
  ReduceAxes how = reduceAxes(n);
  if (n.failed || how.none)
    return n.set(0, n.failed ? Value() : n.in(0));
  Value x = n.in(0);
  n.set(0, how.finish(n, n.isFloat(x) ? reduced<ReduceMeanOp>(n, x, how) : meanOfIntegers(n, x, how)));
}

static Value square(Node &n, Value x) { return n.mul(x, x); }

/// Logarithms and roots of integers are computed in f64 and truncated, as ONNX's reference does.
static Value asFloat(Node &n, Value x) { return n.isFloat(x) ? x : n.cast(x, n.b.getF64Type()); }

static void l1(Node &n) {
  ReduceAxes how = reduceAxes(n);
  n.set(0, how.finish(n, reduced<ReduceSumOp>(n, n.make<AbsOp>({n.in(0)}), how)));
}

static void sumSquare(Node &n) {
  ReduceAxes how = reduceAxes(n);
  n.set(0, how.finish(n, reduced<ReduceSumOp>(n, square(n, n.in(0)), how)));
}

static void l2(Node &n) {
  ReduceAxes how = reduceAxes(n);
  Value x = asFloat(n, n.in(0));
  n.set(0, how.finish(n, n.cast(n.make<SqrtOp>({reduced<ReduceSumOp>(n, square(n, x), how)}), n.elem(n.in(0)))));
}

static void logSum(Node &n) {
  ReduceAxes how = reduceAxes(n);
  Value x = asFloat(n, n.in(0));
  n.set(0, how.finish(n, n.cast(n.make<LogOp>({reduced<ReduceSumOp>(n, x, how)}), n.elem(n.in(0)))));
}

/// max + log(sum(exp(x - max))); an infinite maximum (an empty or all -inf reduction) counts as 0.
static void logSumExp(Node &n) {
  ReduceAxes how = reduceAxes(n);
  Value x = asFloat(n, n.in(0));
  if (how.none)
    return n.set(0, n.in(0));
  Value peak = n.reduce<ReduceMaxOp>(x, how.axes, /*keepdims=*/true);
  Value infinite = n.make<IsInfOp>({peak}, {n.unit("detect_negative"), n.unit("detect_positive")}, n.b.getI1Type());
  peak = n.select(infinite, n.scalar(0, n.elem(x)), peak);
  Value sum = n.reduce<ReduceSumOp>(n.make<ExpOp>({n.sub(x, peak)}), how.axes, /*keepdims=*/true);
  Value result = n.add(n.make<LogOp>({sum}), peak);
  if (!how.keepdims)
    result = n.squeeze(result, how.axes);
  n.set(0, how.finish(n, n.cast(result, n.elem(n.in(0)))));
}

void ds::importer::registerReduction(Registry &r) {
  r.add("ReduceSum", plain<ReduceSumOp>);
  r.add("ReduceMean", mean);
  r.add("ReduceMax", plain<ReduceMaxOp>);
  r.add("ReduceMin", plain<ReduceMinOp>);
  r.add("ReduceProd", plain<ReduceProdOp>);
  r.add("ReduceL1", l1);
  r.add("ReduceL2", inSingle<l2>);
  r.add("ReduceSumSquare", inSingle<sumSquare>);
  r.add("ReduceLogSum", inSingle<logSum>);
  r.add("ReduceLogSumExp", inSingle<logSumExp>);
}
