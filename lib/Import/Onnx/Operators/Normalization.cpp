//===- Normalization.cpp - Normalizations and softmax ---------------------===//
// Assumes: see Node.h.
// Guarantees: softmax of old operator sets, which flattened its operand, is reshaped; statistics are computed in f32 or
// more. Declines: batch normalization with a scale an element (`spatial` = 0).

#include "../Node.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// [C] as [C, 1, ...] to meet dim 1 of a tensor of `rank` dims.
static Value perChannel(Node &n, Value v, int64_t rank) {
  SymDims dims = n.dims(v);
  dims.append(std::max<int64_t>(rank - 2, 0), SymExpr(1));
  return n.reshape(v, dims);
}

/// f32, or the type itself where it is wider.
static Type statisticsType(Node &n, Value x) {
  return n.elem(x) == n.b.getF64Type() ? n.elem(x) : Type(n.b.getF32Type());
}

namespace {
struct Moments {
  Value mean, centered, variance;
};
} // namespace

static Moments moments(Node &n, Value x, ArrayRef<int64_t> axes) {
  Value mean = n.reduce<ReduceMeanOp>(x, axes, /*keepdims=*/true);
  Value centered = n.sub(x, mean);
  return {mean, centered, n.reduce<ReduceMeanOp>(n.mul(centered, centered), axes, /*keepdims=*/true)};
}

static Value inverseRoot(Node &n, Value variance, double epsilon) {
  return n.make<RsqrtOp>({n.add(variance, epsilon)});
}

static Ints allButChannel(Node &n, Value x) {
  Ints axes;
  for (int64_t i = 0; i < int64_t(n.rank(x)); ++i)
    if (i != 1)
      axes.push_back(i);
  return axes;
}

static void batchNorm(Node &n) {
  Value x = n.in(0);
  double epsilon = n.getFloat("epsilon", 1e-5), momentum = n.getFloat("momentum", 0.9);
  if (n.rank(x) < 1)
    return (void)n.fail("needs a tensor of rank 1 or more");
  if (n.opset < 9 && !n.getInt("spatial", 1))
    return (void)n.fail("spatial=0 is not supported");
  bool training = n.opset >= 14 ? n.getInt("training_mode", 0) != 0
                                : n.opset < 7 && n.hasAttr("is_test") && !n.getInt("is_test", 0);
  if (!training) {
    if (n.wants(1) || n.wants(2))
      return (void)n.fail("running statistics are computed in training mode only");
    return n.set(0, n.make<BatchNormOp>({x, n.in(1), n.in(2), n.in(3), n.in(4)}, {n.f64("epsilon", epsilon)}));
  }
  if (n.rank(x) < 2)
    return (void)n.fail("needs a tensor of rank 2 or more in training mode");
  Type type = statisticsType(n, x);
  Ints axes = allButChannel(n, x);
  Moments m = moments(n, n.cast(x, type), axes);
  Value normal = n.mul(m.centered, inverseRoot(n, m.variance, epsilon));
  auto channel = [&](unsigned i) { return perChannel(n, n.cast(n.in(i), type), n.rank(x)); };
  n.set(0, n.cast(n.add(n.mul(normal, channel(1)), channel(2)), n.elem(x)));
  auto running = [&](Value old, Value now) {
    Value flat = n.cast(n.squeeze(now, axes), n.elem(old));
    return n.add(flat, n.mul(n.sub(old, flat), momentum));
  };
  if (n.wants(1))
    n.set(1, running(n.in(3), m.mean));
  if (n.wants(2))
    n.set(2, running(n.in(4), m.variance));
}

static void instanceNorm(Node &n) {
  Value x = n.in(0);
  if (n.rank(x) < 3)
    return (void)n.fail("needs a tensor of rank 3 or more");
  Type type = statisticsType(n, x);
  Moments m = moments(n, n.cast(x, type), span(2, n.rank(x)));
  Value normal = n.mul(m.centered, inverseRoot(n, m.variance, n.getFloat("epsilon", 1e-5)));
  auto channel = [&](unsigned i) { return perChannel(n, n.cast(n.in(i), type), n.rank(x)); };
  n.set(0, n.cast(n.add(n.mul(normal, channel(1)), channel(2)), n.elem(x)));
}

/// (x - mean) / (deviation + 1e-9). ONNX's function takes the variance as E[x^2] - E[x]^2, which is the same number and
/// loses all its digits where the mean is large against the deviation.
static void meanVarianceNorm(Node &n) {
  Value x = n.in(0);
  Ints axes = n.axes(n.hasAttr("axes") ? n.getInts("axes") : Ints{0, 2, 3}, n.rank(x));
  if (n.failed)
    return;
  Moments m = moments(n, n.cast(x, statisticsType(n, x)), axes);
  n.set(0, n.cast(n.div(m.centered, n.add(n.make<SqrtOp>({m.variance}), 1e-9)), n.elem(x)));
}

/// Groups of channels are normalized together: N×G×(C/G · spatial). Scale and bias are one a group before operator set
/// 21, one a channel since.
static void groupNorm(Node &n) {
  Value x = n.in(0);
  int64_t groups = n.getInt("num_groups", 0);
  SymDims dims = n.dims(x);
  if (n.rank(x) < 3 || groups < 1)
    return (void)n.fail("needs a tensor of rank 3 or more and a positive number of groups");
  if (dims[1].isConst() && dims[1].getConst() % groups)
    return (void)n.fail(dims[1].str() + " channels are no multiple of " + Twine(groups) + " groups");
  Type type = n.getInt("stash_type", 1) == 1 ? statisticsType(n, x) : n.elem(x);
  SymExpr perGroup = SymExpr::exactDiv(dims[1], SymExpr(groups));
  SymExpr rest = perGroup * product(ArrayRef<SymExpr>(dims).drop_front(2));
  Moments m = moments(n, n.reshape(n.cast(x, type), {dims[0], SymExpr(groups), rest}), {2});
  Value normal = n.cast(n.mul(m.centered, inverseRoot(n, m.variance, n.getFloat("epsilon", 1e-5))), n.elem(x));
  if (n.opset < 21) {
    Value scaled = n.add(n.mul(normal, n.unsqueeze(n.in(1), {1})), n.unsqueeze(n.in(2), {1}));
    return n.set(0, n.reshape(scaled, dims));
  }
  normal = n.reshape(normal, dims);
  n.set(0, n.add(n.mul(normal, perChannel(n, n.in(1), n.rank(x))), perChannel(n, n.in(2), n.rank(x))));
}

static void layerNorm(Node &n) {
  Value x = n.in(0);
  int64_t axis = n.axis(n.getInt("axis", -1), n.rank(x));
  double epsilon = n.getFloat("epsilon", 1e-5);
  SmallVector<Value> operands{x, n.in(1)};
  if (n.has(2))
    operands.push_back(n.in(2));
  if (n.elem(n.in(1)) != n.elem(x))
    for (Value &operand : operands)
      operand = n.cast(operand, n.elem(x));
  n.set(0, n.make<LayerNormOp>(operands, {n.i64("axis", axis), n.f64("epsilon", epsilon)}));
  if (n.wants(1) || n.wants(2)) {
    Moments m = moments(n, n.cast(x, statisticsType(n, x)), span(axis, n.rank(x)));
    n.set(1, m.mean);
    n.set(2, inverseRoot(n, m.variance, epsilon));
  }
}

template <typename OpT> static void softmax(Node &n) {
  Value x = n.in(0);
  if (n.opset >= 13)
    return n.set(0, n.make<OpT>({x}, {n.i64("axis", n.axis(n.getInt("axis", -1), n.rank(x)))}));
  SymDims dims = n.dims(x);
  int64_t axis = n.axis(n.getInt("axis", 1), n.rank(x));
  if (n.failed)
    return;
  if (axis == int64_t(dims.size()) - 1) // one dim: the same as today
    return n.set(0, n.make<OpT>({x}, {n.i64("axis", axis)}));
  ArrayRef<SymExpr> all(dims);
  Value flat = n.reshape(x, {product(all.take_front(axis)), product(all.drop_front(axis))});
  n.set(0, n.reshape(n.make<OpT>({flat}, {n.i64("axis", 1)}), dims));
}

/// x / (bias + alpha * mean of squares over a window of channels)^beta; the window is an average pool.
static void lrn(Node &n) {
  Value x = n.in(0);
  int64_t size = n.getInt("size", 1);
  if (n.rank(x) < 2 || size < 1)
    return (void)n.fail("needs a tensor of rank 2 or more and a positive size");
  SymDims dims = n.dims(x);
  Value squares =
      n.reshape(n.mul(x, x), {dims[0], SymExpr(1), dims[1], product(ArrayRef<SymExpr>(dims).drop_front(2))});
  Value mean = n.make<AvgPoolOp>({squares}, {n.i64s("kernel", {size, 1}), n.i64s("strides", {1, 1}),
                                             n.i64s("pads_low", {(size - 1) / 2, 0}),
                                             n.i64s("pads_high", {size - 1 - (size - 1) / 2, 0}),
                                             n.i64s("dilations", {1, 1}), n.unit("count_include_pad")});
  Value base = n.add(n.mul(mean, n.getFloat("alpha", 1e-4)), n.getFloat("bias", 1));
  Value divisor = n.make<PowOp>({base, n.scalar(n.getFloat("beta", 0.75), n.elem(x))});
  n.set(0, n.div(x, n.reshape(divisor, dims)));
}

static void lpNorm(Node &n) {
  Value x = n.in(0);
  int64_t axis = n.axis(n.getInt("axis", -1), n.rank(x)), p = n.getInt("p", 2);
  if (p != 1 && p != 2)
    return (void)n.fail("p must be 1 or 2, not " + Twine(p));
  Value sum = n.reduce<ReduceSumOp>(p == 1 ? n.make<AbsOp>({x}) : n.mul(x, x), {axis}, /*keepdims=*/true);
  Value norm = p == 1 ? sum : n.make<SqrtOp>({sum});
  // A vector of zeros stays one.
  Value zero = n.scalar(0, n.elem(x));
  n.set(0, n.div(x, n.select(n.compare(ComparePredicate::eq, norm, zero), n.scalar(1, n.elem(x)), norm)));
}

void ds::importer::registerNormalization(Registry &r) {
  r.add("BatchNormalization", batchNorm);
  r.add("InstanceNormalization", instanceNorm);
  r.add("MeanVarianceNormalization", meanVarianceNorm);
  r.add("GroupNormalization", groupNorm);
  r.add("LayerNormalization", layerNorm);
  r.add("Softmax", softmax<SoftmaxOp>);
  r.add("LogSoftmax", softmax<LogSoftmaxOp>);
  r.add("LRN", inSingle<lrn>);
  r.add("LpNormalization", inSingle<lpNorm>);
}
