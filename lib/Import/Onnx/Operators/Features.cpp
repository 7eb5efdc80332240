//===- Features.cpp - Operators that make features or undo them -----------===//
// Assumes: see Node.h.
// Guarantees: MelWeightMatrix, TfIdfVectorizer and Col2Im, composed of comparisons, sums and scatters;
// their
//   sizes may be computed while the model runs.
// Declines: blocks of unknown rank.

#include "../DataShapes.h"
#include "../Types.h"

#include "dialects/ds/fold/Elements.h"

#include <cmath>

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static Value allOf(Node &n, ArrayRef<Value> conditions) {
  Value result = conditions[0];
  for (Value condition : conditions.drop_front())
    result = n.make<AndOp>({result, condition});
  return result;
}

//===----------------------------------------------------------------------===//
// MelWeightMatrix
//===----------------------------------------------------------------------===//

static Value power10(Node &n, Value x) { return n.make<PowOp>({n.scalar(10, n.elem(x)), x}); }

/// Triangles over the bins of a spectrum, whose corners are equidistant on the mel scale: [dft_length / 2 + 1, bins].
static void melWeightMatrix(Node &n) {
  Type f64 = n.b.getF64Type(), i64 = n.b.getI64Type();
  SmallVector<SymExpr> bins = sizesOf(n, n.in(0), "num_mel_bins"), length = sizesOf(n, n.in(1), "dft_length");
  if (n.failed)
    return;
  SymExpr rows = SymExpr::floorDiv(length[0], 2) + SymExpr(1), corners = bins[0] + SymExpr(2);
  auto number = [&](unsigned i) { return n.cast(n.reshape(n.in(i), {}), f64); };
  auto mel = [&](Value hertz) {
    Value logarithm = n.make<LogOp>({n.add(n.div(hertz, 700), 1)});
    return n.mul(logarithm, 2595 / std::log(10.0));
  };
  Value low = mel(number(3)), high = mel(number(4));
  Value step = n.div(n.sub(high, low), n.cast(n.shapeValue({corners}, /*isScalar=*/true), f64));
  Value hertz = n.add(n.mul(n.cast(n.iota(corners), f64), step), low);
  hertz = n.mul(n.sub(power10(n, n.div(hertz, 2595)), 1), 700);
  Value points = n.cast(n.shapeValue({length[0] + SymExpr(1)}, /*isScalar=*/true), f64);
  Value bin = n.cast(n.make<FloorOp>({n.div(n.mul(points, hertz), number(2))}), i64);
  auto corner = [&](int64_t first) { return n.sliceAxis(bin, 0, SymExpr(first), bins[0]); };
  Value lower = corner(0), center = corner(1), higher = corner(2);
  Value row = n.reshape(n.iota(rows), {rows, SymExpr(1)}), zero = n.intScalar(0, i64);
  auto compare = [&](ComparePredicate predicate, Value a, Value c) { return n.compare(predicate, a, c); };
  auto share = [&](Value a, Value c, Value whole) {
    return n.div(n.cast(n.sub(a, c), f64), n.cast(n.maximum(whole, n.intScalar(1, i64)), f64));
  };
  Value rise = n.sub(center, lower), fall = n.sub(higher, center), none = n.scalar(0, f64);
  Value isRising = allOf(n, {compare(ComparePredicate::ge, row, lower), compare(ComparePredicate::le, row, center)});
  Value isFalling = allOf(n, {compare(ComparePredicate::ge, row, center), compare(ComparePredicate::lt, row, higher)});
  Value steep = n.cast(compare(ComparePredicate::eq, row, center), f64);
  Value up =
      n.select(compare(ComparePredicate::eq, rise, zero), steep, n.select(isRising, share(row, lower, rise), none));
  Value result = n.select(isFalling, share(higher, row, fall), up);
  Type type = elementType(n.b.getContext(), int(n.getInt("output_datatype", 1)));
  n.set(0, type ? n.cast(result, type) : n.fail("the output's type is not supported"));
}

//===----------------------------------------------------------------------===//
// TfIdfVectorizer
//===----------------------------------------------------------------------===//

namespace {
/// The grams of one length among a pool.
struct Grams {
  int64_t length = 0;
  SmallVector<int64_t> pool; ///< [count, length]
  Ints places;               ///< where each counts in the result
  int64_t count() const { return places.size(); }
};
} // namespace

/// How often each gram occurs in the rows of x [rows, M], its elements `step` apart: [rows, count] as f32.
static Value occurrences(Node &n, Value x, const Grams &grams, int64_t step) {
  SymExpr starts = SymExpr::max(n.dim(x, 1) - SymExpr((grams.length - 1) * step), SymExpr(0));
  SmallVector<Value> equal;
  auto type = mlir::RankedTensorType::get({grams.count()}, n.elem(x));
  for (int64_t k = 0; k < grams.length; ++k) {
    SmallVector<int64_t> wanted;
    for (int64_t g = 0; g < grams.count(); ++g)
      wanted.push_back(grams.pool[g * grams.length + k]);
    // Beyond the end there is nothing to compare: `starts` is 0 there, and so is the slice.
    SymExpr first = SymExpr::min(SymExpr(k * step), n.dim(x, 1));
    Value at = n.unsqueeze(n.sliceAxis(x, 1, first, starts), {2});
    equal.push_back(n.compare(ComparePredicate::eq, at, n.constant(makeIntElements(type, wanted))));
  }
  return n.reduce<ReduceSumOp>(n.cast(allOf(n, equal), n.b.getF32Type()), {1}, /*keepdims=*/false);
}

static void tfIdfVectorizer(Node &n) {
  Value x = n.in(0);
  Ints pool = n.getInts("pool_int64s");
  std::vector<std::string> texts = n.get<std::vector<std::string>>("pool_strings", {});
  if (n.isString(x) != !texts.empty() || !(n.isString(x) || n.elem(x).isSignlessInteger()))
    return (void)n.fail("needs a pool of the input's type");
  if (n.isString(x)) {
    // Instead of strings their places in the pool.
    x = findStrings(n, x, texts);
    StringMap<int64_t> places;
    for (const std::string &text : texts)
      pool.push_back(places.try_emplace(text, int64_t(pool.size())).first->second);
  }
  if (n.rank(x) != 1 && n.rank(x) != 2)
    return (void)n.fail("needs a tensor of rank 1 or 2, got rank " + Twine(n.rank(x)));
  SymDims dims = n.dims(x);
  bool isRow = dims.size() == 1;
  if (isRow)
    x = n.unsqueeze(x, {0});
  int64_t shortest = n.getInt("min_gram_length", 1), longest = n.getInt("max_gram_length", 1);
  int64_t skips = n.getInt("max_skip_count", 0);
  Ints begins = n.getInts("ngram_counts"), places = n.getInts("ngram_indexes");
  std::vector<float> weights = n.get<std::vector<float>>("weights", {});
  std::string mode = n.getString("mode", "TF");
  if (places.empty() || (!weights.empty() && weights.size() != places.size()) || skips < 0)
    return (void)n.fail("needs as many weights as indices of grams, and a skip count that is not negative");
  int64_t width = *max_element(places) + 1;
  if (*min_element(places) < 0 || width > (1 << 24))
    return (void)n.fail("indices of grams are out of range");
  // Each number of skips is a sum of its own.
  constexpr int64_t MaxSkips = 64;
  if (SymExpr size = n.dim(x, 1); size.isConst()) // more find nothing
    skips = std::min(skips, size.getConst());
  if (skips > MaxSkips)
    return (void)n.fail("max_skip_count is " + Twine(skips) + "; at most " + Twine(MaxSkips) + " is supported");
  Type f32 = n.b.getF32Type();
  Value counts = n.fill({n.dim(x, 0), SymExpr(width)}, 0, f32);
  int64_t used = 0;
  for (int64_t index = 0; index < int64_t(begins.size()); ++index) {
    int64_t end = index + 1 < int64_t(begins.size()) ? begins[index + 1] : pool.size();
    Grams grams;
    grams.length = index + 1;
    if (begins[index] < 0 || end < begins[index] || end > int64_t(pool.size()) ||
        (end - begins[index]) % grams.length || used + (end - begins[index]) / grams.length > int64_t(places.size()))
      return (void)n.fail("'ngram_counts' does not fit the pool");
    grams.pool.assign(pool.begin() + begins[index], pool.begin() + end);
    int64_t count = grams.pool.size() / grams.length;
    grams.places.assign(places.begin() + used, places.begin() + used + count);
    used += count;
    if (count == 0 || grams.length < shortest || grams.length > longest)
      continue;
    Value found;
    for (int64_t step = 1; step <= (grams.length == 1 ? 1 : skips + 1); ++step) {
      Value own = occurrences(n, x, grams, step);
      found = found ? n.add(found, own) : own;
    }
    auto type = mlir::RankedTensorType::get({1, count}, n.b.getI64Type());
    Value at = n.expand(n.constant(makeIntElements(type, grams.places)), {n.dim(x, 0), SymExpr(count)});
    auto how = ScatterReductionAttr::get(n.b.getContext(), ScatterReduction::add);
    counts = n.make<ScatterElementsOp>({counts, at, found}, {n.i64("axis", 1), n.attr("reduction", how)});
  }
  if (mode == "IDF")
    counts = n.minimum(counts, n.scalar(1, f32));
  if (mode != "TF" && !weights.empty()) {
    std::vector<double> weightOf(width, 1);
    for (auto [index, place] : enumerate(places))
      weightOf[place] = weights[index];
    counts = n.mul(counts, n.constant(makeFloatElements(mlir::RankedTensorType::get({width}, f32), weightOf)));
  }
  n.set(0, isRow ? n.squeeze(counts, {0}) : counts);
}

//===----------------------------------------------------------------------===//
// Col2Im
//===----------------------------------------------------------------------===//

/// Blocks, as columns [N, C * block, L], are added up to an image: each element has a place in the padded image.
static void col2Im(Node &n) {
  Value x = n.in(0);
  Type i64 = n.b.getI64Type();
  SmallVector<SymExpr> image = sizesOf(n, n.in(1), "image_shape"), block = sizesOf(n, n.in(2), "block_shape");
  if (n.failed || n.rank(x) != 3 || image.size() != block.size())
    return (void)n.fail("needs columns of rank 3, and as many sizes of the image as of the block");
  unsigned rank = image.size();
  Ints dilations = n.getInts("dilations"), strides = n.getInts("strides"), pads = n.getInts("pads");
  dilations.resize(rank, 1);
  strides.resize(rank, 1);
  pads.resize(2 * rank, 0);
  for (unsigned d = 0; d < rank; ++d)
    if (strides[d] < 1 || dilations[d] < 1 || pads[d] < 0 || pads[d + rank] < 0)
      return (void)n.fail("strides and dilations must be positive, pads not negative");
  if (n.isString(x))
    return (void)n.fail("adds elements up, which is not defined for strings");
  SymDims padded, steps;
  for (unsigned d = 0; d < rank; ++d) {
    padded.push_back(image[d] + SymExpr(pads[d] + pads[d + rank]));
    SymExpr last = padded[d] - SymExpr(dilations[d]) * (block[d] - SymExpr(1)) - SymExpr(1);
    steps.push_back(SymExpr::floorDiv(last, SymExpr(strides[d])) + SymExpr(1));
  }
  Value place = n.intScalar(0, i64);
  for (unsigned d = 0; d < rank; ++d) {
    SymDims inBlock(2 * rank, SymExpr(1)), ofBlock = inBlock;
    inBlock[d] = block[d];
    ofBlock[rank + d] = steps[d];
    Value row = n.add(n.mul(n.reshape(n.iota(block[d]), inBlock), n.intScalar(dilations[d], i64)),
                      n.mul(n.reshape(n.iota(steps[d]), ofBlock), n.intScalar(strides[d], i64)));
    SymExpr stride = product(ArrayRef<SymExpr>(padded).drop_front(d + 1));
    place = n.add(place, n.mul(row, n.shapeValue({stride}, /*isScalar=*/true)));
  }
  SymExpr elements = product(block) * product(steps), batch = n.dim(x, 0);
  SymExpr channels = SymExpr::exactDiv(n.dim(x, 1), product(block)), images = batch * channels;
  Value at = n.expand(n.reshape(place, {SymExpr(1), elements}), {images, elements});
  auto how = ScatterReductionAttr::get(n.b.getContext(), ScatterReduction::add);
  Value sums =
      n.make<ScatterElementsOp>({n.fill({images, product(padded)}, 0, n.elem(x)), at, n.reshape(x, {images, elements})},
                                {n.i64("axis", 1), n.attr("reduction", how)});
  SymDims all{batch, channels};
  all.append(padded);
  Value result = n.reshape(sums, all);
  for (unsigned d = 0; d < rank; ++d)
    result = n.sliceAxis(result, 2 + d, SymExpr(pads[d]), image[d]);
  n.set(0, result);
}

void ds::importer::registerFeatures(Registry &r) {
  r.add("MelWeightMatrix", melWeightMatrix);
  r.add("TfIdfVectorizer", tfIdfVectorizer);
  r.add("Col2Im", col2Im);
}
