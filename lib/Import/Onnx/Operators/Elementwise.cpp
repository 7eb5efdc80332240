//===- Elementwise.cpp - Elementwise operators ----------------------------===//
// Assumes: see Node.h.
// Guarantees: broadcasting by axis (operator sets before 7) becomes explicit; n-ary operators become chains.
// Declines: dropout in training mode.

#include "../Node.h"

#include <cmath>

using namespace llvm;
using namespace ds;
using namespace ds::importer;

template <typename OpT> static void unary(Node &n) { n.set(0, n.make<OpT>({n.in(0)})); }

/// Before operator set 7, B was matched to the dims of A that start at `axis`.
static Value alignLegacy(Node &n, Value a, Value c) {
  if (n.opset >= 7 || !n.getInt("broadcast", 0) || !n.hasAttr("axis") || !a || !c || n.rank(c) == 0)
    return c;
  int64_t axis = n.axis(n.getInt("axis", 0), n.rank(a));
  int64_t trailing = int64_t(n.rank(a)) - axis - int64_t(n.rank(c));
  if (trailing < 0)
    return n.fail("axis " + Twine(axis) + " leaves no room for the dimensions of the second operand");
  SymDims dims = n.dims(c);
  dims.append(trailing, SymExpr(1));
  return n.reshape(c, dims);
}

template <typename OpT> static void binary(Node &n) {
  n.set(0, n.make<OpT>({n.in(0), alignLegacy(n, n.in(0), n.in(1))}));
}

template <ComparePredicate predicate> static void comparison(Node &n) {
  n.set(0, n.compare(predicate, n.in(0), alignLegacy(n, n.in(0), n.in(1))));
}

template <typename OpT> static void variadic(Node &n) {
  Value result = n.in(0);
  for (Value next : drop_begin(n.inputs))
    result = n.make<OpT>({result, next});
  n.set(0, result);
}

static void mean(Node &n) {
  Value sum = n.in(0);
  for (Value next : drop_begin(n.inputs))
    sum = n.add(sum, next);
  n.set(0, n.div(sum, double(n.inputs.size())));
}

/// Bounds that are left out are the least and the greatest number: they bound infinities alone.
static void clip(Node &n) {
  Value x = n.in(0), low = n.in(1), high = n.in(2);
  if (n.opset < 11) {
    constexpr double greatest = std::numeric_limits<float>::max();
    low = n.scalar(n.getFloat("min", -greatest), n.elem(x));
    high = n.scalar(n.getFloat("max", greatest), n.elem(x));
  } else if (auto type = dyn_cast<mlir::FloatType>(n.elem(x))) {
    double greatest = llvm::APFloat::getLargest(type.getFloatSemantics()).convertToDouble();
    low = low ? low : n.scalar(-greatest, type);
    high = high ? high : n.scalar(greatest, type);
  }
  if (low)
    x = n.maximum(x, low);
  if (high)
    x = n.minimum(x, high);
  n.set(0, x);
}

static void mod(Node &n) {
  bool fmod = n.getInt("fmod", 0) != 0;
  if (!fmod && n.isFloat(n.in(0)))
    return (void)n.fail("floats need fmod=1");
  SmallVector<mlir::NamedAttribute> attrs;
  if (fmod)
    attrs.push_back(n.unit("fmod"));
  n.set(0, n.make<ModOp>({n.in(0), n.in(1)}, attrs));
}

static void bitShift(Node &n) {
  std::string direction = n.getString("direction", "");
  if (direction == "LEFT")
    n.set(0, n.make<ShiftLeftOp>({n.in(0), n.in(1)}));
  else if (direction == "RIGHT")
    n.set(0, n.make<ShiftRightOp>({n.in(0), n.in(1)}));
  else
    n.fail("direction must be LEFT or RIGHT, not '" + direction + "'");
}

static void isInf(Node &n) {
  SmallVector<mlir::NamedAttribute> attrs;
  if (n.getInt("detect_negative", 1))
    attrs.push_back(n.unit("detect_negative"));
  if (n.getInt("detect_positive", 1))
    attrs.push_back(n.unit("detect_positive"));
  n.set(0, n.make<IsInfOp>({n.in(0)}, attrs, n.b.getI1Type()));
}

static void isNan(Node &n) { n.set(0, n.make<IsNanOp>({n.in(0)}, {}, n.b.getI1Type())); }

static void where(Node &n) { n.set(0, n.select(n.in(0), n.in(1), n.in(2))); }

static void castTo(Node &n, Type element) { n.set(0, element ? n.cast(n.in(0), element) : Value()); }

static void passThrough(Node &n) { n.set(0, n.in(0)); }

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

static Value below(Node &n, Value x, double bound) {
  return n.compare(ComparePredicate::lt, x, n.scalar(bound, n.elem(x)));
}

static void leakyRelu(Node &n) {
  Value x = n.in(0);
  n.set(0, n.select(below(n, x, 0), n.mul(x, n.getFloat("alpha", 0.01)), x));
}

static void prelu(Node &n) {
  Value x = n.in(0), slope = n.in(1);
  // Before operator set 7 a slope of rank 1 was one a channel.
  if (n.opset < 7 && n.rank(slope) == 1 && n.rank(x) > 2 && !n.dim(slope, 0).isConst(1)) {
    SymDims dims = n.dims(slope);
    dims.append(n.rank(x) - 2, SymExpr(1));
    slope = n.reshape(slope, dims);
  }
  n.set(0, n.select(below(n, x, 0), n.mul(x, slope), x));
}

/// gamma * (x > 0 ? x : alpha * (exp(x * inner) - 1))
static Value exponentialUnit(Node &n, double alpha, double gamma, double inner = 1) {
  Value x = n.in(0);
  Value scaled = inner == 1 ? x : n.mul(x, inner);
  Value negative = n.mul(n.sub(n.make<ExpOp>({scaled}), 1.0), alpha);
  Value result = n.select(n.compare(ComparePredicate::gt, x, n.scalar(0, n.elem(x))), x, negative);
  return gamma == 1 ? result : n.mul(result, gamma);
}

static void elu(Node &n) { n.set(0, exponentialUnit(n, n.getFloat("alpha", 1), 1)); }

static void celu(Node &n) {
  double alpha = n.getFloat("alpha", 1);
  n.set(0, exponentialUnit(n, alpha, 1, 1 / alpha));
}

static void selu(Node &n) {
  bool old = n.opset < 6;
  n.set(0, exponentialUnit(n, n.getFloat("alpha", old ? 1.6732 : 1.67326319217681884765625),
                           n.getFloat("gamma", old ? 1.0507 : 1.05070102214813232421875)));
}

static void thresholdedRelu(Node &n) {
  Value x = n.in(0), zero = n.scalar(0, n.elem(x));
  n.set(0, n.select(n.compare(ComparePredicate::gt, x, n.scalar(n.getFloat("alpha", 1), n.elem(x))), x, zero));
}

static Value clampUnit(Node &n, Value x) {
  return n.minimum(n.maximum(x, n.scalar(0, n.elem(x))), n.scalar(1, n.elem(x)));
}

static void hardSigmoid(Node &n) {
  n.set(0, clampUnit(n, n.add(n.mul(n.in(0), n.getFloat("alpha", 0.2)), n.getFloat("beta", 0.5))));
}

static void hardSwish(Node &n) { n.set(0, n.mul(n.in(0), clampUnit(n, n.add(n.mul(n.in(0), 1.0 / 6), 0.5)))); }

/// log(1 + exp(x)) without overflow, and without losing a small exp(x) beside the 1: what rounding the sum took from it
/// is added again, by the logarithm's slope there.
static Value softplusOf(Node &n, Value x) {
  Value tail = n.make<ExpOp>({n.make<NegOp>({n.make<AbsOp>({x})})});
  Value sum = n.add(tail, 1.0), lost = n.sub(tail, n.sub(sum, 1.0));
  return n.add(n.maximum(x, n.scalar(0, n.elem(x))), n.add(n.make<LogOp>({sum}), n.div(lost, sum)));
}

static void softplus(Node &n) { n.set(0, softplusOf(n, n.in(0))); }
static void mish(Node &n) { n.set(0, n.mul(n.in(0), n.make<TanhOp>({softplusOf(n, n.in(0))}))); }
static void softsign(Node &n) { n.set(0, n.div(n.in(0), n.add(n.make<AbsOp>({n.in(0)}), 1.0))); }

static void swish(Node &n) {
  Value x = n.in(0);
  double alpha = n.getFloat("alpha", 1);
  n.set(0, n.mul(x, n.make<SigmoidOp>({alpha == 1 ? x : n.mul(x, alpha)})));
}

static void shrink(Node &n) {
  Value x = n.in(0), zero = n.scalar(0, n.elem(x));
  double lambda = n.getFloat("lambd", 0.5), bias = n.getFloat("bias", 0);
  Value low = n.compare(ComparePredicate::lt, x, n.scalar(-lambda, n.elem(x)));
  Value high = n.compare(ComparePredicate::gt, x, n.scalar(lambda, n.elem(x)));
  n.set(0, n.select(low, n.add(x, bias), n.select(high, n.sub(x, bias), zero)));
}

static void gelu(Node &n) {
  bool isTanh = n.getString("approximate", "none") == "tanh";
  auto kind = isTanh ? GeluApproximation::tanh : GeluApproximation::none;
  n.set(0, n.make<GeluOp>({n.in(0)}, {n.attr("approximate", GeluApproximationAttr::get(n.b.getContext(), kind))}));
}

void ds::importer::registerElementwise(Registry &r) {
  r.add("Abs", unary<AbsOp>);
  r.add("Neg", unary<NegOp>);
  r.add("Ceil", unary<CeilOp>);
  r.add("Floor", unary<FloorOp>);
  r.add("Round", unary<RoundOp>);
  r.add("Sqrt", unary<SqrtOp>);
  r.add("Reciprocal", unary<ReciprocalOp>);
  r.add("Exp", unary<ExpOp>);
  r.add("Log", unary<LogOp>);
  r.add("Sin", unary<SinOp>);
  r.add("Cos", unary<CosOp>);
  r.add("Tan", unary<TanOp>);
  r.add("Asin", unary<AsinOp>);
  r.add("Acos", unary<AcosOp>);
  r.add("Atan", unary<AtanOp>);
  r.add("Sinh", unary<SinhOp>);
  r.add("Cosh", unary<CoshOp>);
  r.add("Tanh", unary<TanhOp>);
  r.add("Asinh", unary<AsinhOp>);
  r.add("Acosh", unary<AcoshOp>);
  r.add("Atanh", unary<AtanhOp>);
  r.add("Erf", [](Node &n) {
    Value x = n.in(0);
    n.set(0, n.isFloat(x) ? n.make<ErfOp>({x}) : n.cast(n.make<ErfOp>({n.cast(x, n.b.getF64Type())}), n.elem(x)));
  });
  r.add("Sigmoid", unary<SigmoidOp>);
  r.add("Relu", unary<ReluOp>);
  r.add("Sign", unary<SignOp>);
  r.add("Not", unary<NotOp>);
  r.add("BitwiseNot", unary<BitwiseNotOp>);
  r.add("Add", binary<AddOp>);
  r.add("Sub", binary<SubOp>);
  r.add("Mul", binary<MulOp>);
  r.add("Div", binary<DivOp>);
  r.add("Pow", binary<PowOp>);
  r.add("And", binary<AndOp>);
  r.add("Or", binary<OrOp>);
  r.add("Xor", binary<XorOp>);
  r.add("BitwiseAnd", binary<BitwiseAndOp>);
  r.add("BitwiseOr", binary<BitwiseOrOp>);
  r.add("BitwiseXor", binary<BitwiseXorOp>);
  r.add("Equal", comparison<ComparePredicate::eq>);
  r.add("Less", comparison<ComparePredicate::lt>);
  r.add("LessOrEqual", comparison<ComparePredicate::le>);
  r.add("Greater", comparison<ComparePredicate::gt>);
  r.add("GreaterOrEqual", comparison<ComparePredicate::ge>);
  r.add("Max", variadic<MaxOp>);
  r.add("Min", variadic<MinOp>);
  r.add("Sum", [](Node &n) { n.inputs.size() > 2 ? inSingle<variadic<AddOp>>(n) : variadic<AddOp>(n); });
  r.add("Mean", inSingle<mean>);
  r.add("Clip", clip);
  r.add("Mod", mod);
  r.add("BitShift", bitShift);
  r.add("IsInf", isInf);
  r.add("IsNaN", isNan);
  r.add("Where", where);
  r.add("CastLike", [](Node &n) { castTo(n, n.elem(n.in(1))); });
  r.add("Identity", passThrough);
  r.add("LeakyRelu", leakyRelu);
  r.add("PRelu", prelu);
  r.add("Elu", elu);
  r.add("Celu", celu);
  r.add("Selu", selu);
  r.add("ThresholdedRelu", thresholdedRelu);
  r.add("HardSigmoid", hardSigmoid);
  r.add("HardSwish", hardSwish);
  r.add("Softplus", softplus);
  r.add("Mish", mish);
  r.add("Softsign", softsign);
  r.add("Swish", swish);
  r.add("Shrink", shrink);
  r.add("Gelu", gelu);
}
