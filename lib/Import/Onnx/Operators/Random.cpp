//===- Random.cpp - Operators that draw random numbers --------------------===//
// Assumes: see Node.h.
// Guarantees: numbers of ds.random, made into the distribution that the operator asks for by ops of ds, so that they
// have
//   derivatives where there are any: by what is dropped, not by what is drawn. Numbers are f32, or f64 where the result
//   is; other floats are rounded.
// Declines: the numbers of any other implementation.

#include "../Node.h"
#include "../Types.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static Type drawnType(Node &n, Type type) { return type.isF64() ? type : Type(n.b.getF32Type()); }

static Value draw(Node &n, RandomDistribution distribution, ArrayRef<SymExpr> dims, Type type,
                  std::optional<float> seed = std::nullopt) {
  return n.make<RandomOp>(
      {n.randomKey(n, seed)},
      {n.shape("target", dims), n.attr("distribution", RandomDistributionAttr::get(n.b.getContext(), distribution))},
      type);
}

static std::optional<float> seedOf(Node &n) {
  return n.hasAttr("seed") ? std::optional(float(n.getFloat("seed", 0))) : std::nullopt;
}

static Type typeAttr(Node &n, Type otherwise) {
  if (!n.hasAttr("dtype"))
    return otherwise;
  const int code = int(n.getInt("dtype", 0));
  Type element = elementType(n.b.getContext(), code);
  if (!element)
    n.fail("element type " + onnxTypeName(code) + " is not supported");
  return element;
}

/// The largest number of `type` below `limit`.
static double below(Type type, double limit) {
  APFloat value(limit);
  bool loses;
  value.convert(cast<mlir::FloatType>(type).getFloatSemantics(), APFloat::rmNearestTiesToEven, &loses);
  APFloat widened = value;
  widened.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
  if (widened.convertToDouble() >= limit)
    value.next(/*nextDown=*/true);
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
  return value.convertToDouble();
}

static void drawAs(Node &n, RandomDistribution distribution, ArrayRef<SymExpr> dims, Type type) {
  if (n.failed)
    return;
  if (!isa<mlir::FloatType>(type) || type.getIntOrFloatBitWidth() < 16)
    return (void)n.fail("draws floats; 'dtype' must say of which type");
  Type drawn = drawnType(n, type);
  Value x = draw(n, distribution, dims, drawn, seedOf(n));
  auto scaled = [&](double factor, double offset) {
    if (factor != 1)
      x = n.mul(x, factor);
    if (offset != 0)
      x = n.add(x, offset);
  };
  if (distribution == RandomDistribution::normal) {
    scaled(n.getFloat("scale", 1), n.getFloat("mean", 0));
  } else {
    const double low = n.getFloat("low", 0), high = n.getFloat("high", 1);
    scaled(high - low, low);
    // Rounding may not reach what is excluded; numbers from 0 to 1 are below 1 as they are drawn.
    const bool isDrawn = low == 0 && high == 1 && type == drawn;
    if (low < high && !isDrawn)
      x = n.minimum(x, n.scalar(below(type, high), drawn));
  }
  n.set(0, n.cast(x, type));
}

template <RandomDistribution distribution> static void random(Node &n) {
  SymDims dims;
  for (int64_t size : n.getInts("shape")) {
    if (size < 0)
      return (void)n.fail("'shape' has the size " + Twine(size) + ", which is negative");
    dims.push_back(SymExpr(size));
  }
  drawAs(n, distribution, dims, typeAttr(n, n.b.getF32Type()));
}

template <RandomDistribution distribution> static void randomLike(Node &n) {
  drawAs(n, distribution, n.dims(n.in(0)), typeAttr(n, n.elem(n.in(0))));
}

static void bernoulli(Node &n) {
  Type type = typeAttr(n, n.elem(n.in(0))), drawn = drawnType(n, n.elem(n.in(0)));
  if (n.failed)
    return;
  Value u = draw(n, RandomDistribution::uniform, n.dims(n.in(0)), drawn, seedOf(n));
  n.set(0, n.cast(n.compare(ComparePredicate::lt, u, n.cast(n.in(0), drawn)), type));
}

/// Rows of unnormalized log-probabilities: a number from 0 to the sum of the probabilities is looked up in their
/// running sums. It is below the last of them, whatever is rounded: u <= 1 - 2^-24, of which a product with any float
/// is less.
static void multinomial(Node &n) {
  Type type = typeAttr(n, n.b.getI32Type()), drawn = drawnType(n, n.elem(n.in(0)));
  const int64_t count = n.getInt("sample_size", 1);
  if (n.failed)
    return;
  if (n.rank(n.in(0)) != 2)
    return (void)n.fail("expected an input of rank 2, got rank " + Twine(n.rank(n.in(0))));
  if (count < 0)
    return (void)n.fail("'sample_size' is " + Twine(count) + ", which is negative");
  Value x = n.cast(n.in(0), drawn);
  SymExpr rows = n.dim(x, 0);
  Value likely = n.make<ExpOp>({n.sub(x, n.reduce<ReduceMaxOp>(x, {1}, /*keepdims=*/true))});
  Value sums = n.make<CumSumOp>({likely}, {n.i64("axis", 1)});
  Value total = n.reduce<ReduceMaxOp>(sums, {1}, /*keepdims=*/true);
  Value at = n.mul(draw(n, RandomDistribution::uniform, {rows, SymExpr(count)}, drawn, seedOf(n)), total);
  Value passed = n.compare(ComparePredicate::le, n.unsqueeze(sums, {1}), n.unsqueeze(at, {2}));
  Value number = n.reduce<ReduceSumOp>(n.cast(passed, n.b.getI32Type()), {2}, /*keepdims=*/false);
  n.set(0, n.cast(number, type));
}

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

/// As it is served: nothing is dropped.
static void keepAll(Node &n) {
  n.set(0, n.in(0));
  if (n.wants(1))
    n.set(1, n.fill(n.dims(n.in(0)), 1, n.opset >= 10 ? n.b.getI1Type() : n.elem(n.in(0))));
}

static void dropout(Node &n) {
  Value x = n.in(0), training; // null: the compiler knows that it is
  if (n.opset >= 12) {
    std::optional<Ints> known = n.has(2) ? n.constantInts(n.in(2)) : Ints{0};
    if (n.evaluates || (known && known->size() == 1 && !(*known)[0]))
      return keepAll(n);
    if (!known)
      training = n.reshape(n.in(2), {});
  } else if (n.opset >= 7 || n.evaluates || n.getInt("is_test", 0) != 0) {
    return keepAll(n);
  }
  Type type = n.elem(x), drawn = drawnType(n, type);
  std::optional<double> known;
  if (n.opset < 12 || !n.has(1)) {
    known = n.getFloat("ratio", 0.5);
  } else if (auto contents = n.constantDoubles(n.in(1))) {
    if (contents->size() != 1)
      return (void)n.fail("'ratio' must be one number");
    known = (*contents)[0];
  }
  if (known && !(*known >= 0 && *known <= 1))
    return (void)n.fail("'ratio' is " + std::to_string(*known) + "; expected a number from 0 to 1");
  if (known && *known == 0)
    return keepAll(n);
  Value ratio = known ? n.scalar(*known, drawn) : n.cast(n.reshape(n.in(1), {}), drawn);
  Value kept = n.compare(ComparePredicate::ge, draw(n, RandomDistribution::uniform, n.dims(x), drawn), ratio);
  Value zero = n.scalar(0, drawn), one = n.scalar(1, drawn), scale;
  if (known) // where all is dropped, nothing comes through backward either
    scale = n.scalar(*known < 1 ? 1 / (1 - *known) : 0, drawn);
  else
    scale = n.select(n.compare(ComparePredicate::lt, ratio, one), n.div(one, n.sub(one, ratio)), zero);
  if (training) {
    kept = n.make<OrOp>({n.make<NotOp>({training}), kept});
    scale = n.select(training, scale, one);
  }
  n.set(0, n.cast(n.select(kept, n.mul(n.cast(x, drawn), scale), zero), type));
  if (n.wants(1))
    n.set(1, n.cast(kept, n.opset >= 10 ? n.b.getI1Type() : type));
}

void ds::importer::registerRandom(Registry &r) {
  r.add("RandomNormal", random<RandomDistribution::normal>);
  r.add("RandomNormalLike", randomLike<RandomDistribution::normal>);
  r.add("RandomUniform", random<RandomDistribution::uniform>);
  r.add("RandomUniformLike", randomLike<RandomDistribution::uniform>);
  r.add("Bernoulli", bernoulli);
  r.add("Multinomial", multinomial);
  r.add("Dropout", dropout);
}
