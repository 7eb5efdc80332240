//===- Sampling.cpp - Operators that read images between their pixels -----===//
// Assumes: see Node.h.
// Guarantees: GridSample, RoiAlign and DeformConv are gathers of the pixels around each position, from the flattened
//   image, and a weighted sum. Indices are clamped, whatever the coordinates are. AffineGrid is a sum of products.
//   Where each region of a RoiAlign has a number of samples of its own (sampling_ratio 0), all are as many as the
//   largest has, and those past a region's own do not count.
// Declines: images of more than two dimensions for DeformConv and cubic interpolation.

#include "../DataShapes.h"

#include <limits>

using namespace llvm;
using namespace ds;
using namespace ds::importer;

namespace {
/// Reads elements of `image` ([N, C, sizes...]) at `base` + sum(index_d * stride_d).
class Image {
public:
  /// `image` has a batch, channels, and spatial dims.
  Image(Node &n, Value image) : n(n), flat(n.reshape(image, {product(n.dims(image))})) {
    SymDims dims = n.dims(image);
    sizes.assign(dims.begin() + 2, dims.end());
  }

  unsigned rank() const { return sizes.size(); }
  /// The size of a spatial dim as a scalar float.
  Value size(unsigned d, Type type) { return n.cast(n.shapeValue({sizes[d]}, /*isScalar=*/true), type); }
  /// `base` (i64) counts elements and broadcasts with the indices: whole floats, one tensor a spatial dim.
  Value read(Value base, ArrayRef<Value> indices) {
    Value position = base;
    for (auto [d, index] : enumerate(indices)) {
      Type i64 = n.b.getI64Type();
      Value whole = n.cast(index, i64), last = n.shapeValue({sizes[d] - SymExpr(1)}, /*isScalar=*/true);
      whole = n.maximum(n.minimum(whole, last), n.intScalar(0, i64));
      SymExpr stride = product(ArrayRef<SymExpr>(sizes).drop_front(d + 1));
      position = n.add(position, n.mul(whole, n.shapeValue({stride}, /*isScalar=*/true)));
    }
    return n.make<GatherOp>({flat, position}, {n.i64("axis", 0)});
  }
  /// n * C * S + c * S for [N, C, 1...] of `rank` dims.
  Value planes(const SymExpr &batch, const SymExpr &channels, unsigned rank) {
    Value count = n.shapeValue({product(sizes)}, /*isScalar=*/true);
    SymDims dims(rank, SymExpr(1));
    dims[0] = batch;
    dims[1] = channels;
    return n.mul(n.reshape(n.iota(batch * channels), dims), count);
  }

private:
  Node &n;
  Value flat;
  SmallVector<SymExpr> sizes;
};
} // namespace

/// low <= x <= high.
static Value within(Node &n, Value x, Value low, Value high) {
  return n.make<AndOp>({n.compare(ComparePredicate::ge, x, low), n.compare(ComparePredicate::le, x, high)}, {},
                       n.b.getI1Type());
}

//===----------------------------------------------------------------------===//
// GridSample
//===----------------------------------------------------------------------===//

namespace {
class GridSampler {
public:
  GridSampler(Node &n) : n(n), image(n, n.in(0)) {}
  void run();

private:
  bool readModes();
  /// From [-1, 1] to pixels.
  Value denormalize(Value x, unsigned d);
  Value reflect(Value x, unsigned d);
  Value low(unsigned d) { return align ? n.scalar(0, type) : n.scalar(-0.5, type); }
  Value high(unsigned d) { return n.sub(image.size(d, type), align ? 1.0 : 0.5); }
  /// The pixel at whole positions, padded as the mode says.
  Value pixel(ArrayRef<Value> at);
  Value linear();
  Value cubic();

  Node &n;
  Image image;
  Type type; // of coordinates
  bool align = false;
  enum { Nearest, Linear, Cubic } mode = Linear;
  enum { Zeros, Border, Reflection } padding = Zeros; // Border: indices are clamped anyhow
  Value base;
  SmallVector<Value> x; // a coordinate a spatial dim, [N, 1, P]
};
} // namespace

bool GridSampler::readModes() {
  align = n.getInt("align_corners", 0) != 0;
  std::string name = n.getString("mode", "linear"), pad = n.getString("padding_mode", "zeros");
  if (name == "nearest")
    mode = Nearest;
  else if (name == "cubic" || name == "bicubic")
    mode = Cubic;
  else if (name != "linear" && name != "bilinear")
    return n.fail("mode '" + name + "' is unknown"), false;
  if (pad == "border")
    padding = Border;
  else if (pad == "reflection")
    padding = Reflection;
  else if (pad != "zeros")
    return n.fail("padding_mode '" + pad + "' is unknown"), false;
  return true;
}

Value GridSampler::denormalize(Value x, unsigned d) {
  Value size = image.size(d, type);
  if (align)
    return n.mul(n.mul(n.add(x, 1.0), 0.5), n.sub(size, 1.0));
  return n.mul(n.sub(n.mul(n.add(x, 1.0), size), 1.0), 0.5);
}

/// There and back between low and high.
Value GridSampler::reflect(Value x, unsigned d) {
  Value from = low(d), range = n.maximum(n.sub(high(d), from), n.scalar(1e-6, type)), period = n.mul(range, 2.0);
  Value offset = n.sub(x, from);
  offset = n.sub(offset, n.mul(n.make<FloorOp>({n.div(offset, period)}), period));
  return n.add(from, n.minimum(offset, n.sub(period, offset)));
}

Value GridSampler::pixel(ArrayRef<Value> at) {
  SmallVector<Value> indices(at);
  Value inside;
  for (auto [d, index] : enumerate(indices)) {
    if (padding == Reflection) {
      index = reflect(index, d);
    } else if (padding == Zeros) {
      Value fits = within(n, index, n.scalar(0, type), n.sub(image.size(d, type), 1.0));
      inside = inside ? n.make<AndOp>({inside, fits}) : fits;
    }
  }
  Value value = image.read(base, indices);
  return inside ? n.select(inside, value, n.scalar(0, n.elem(value))) : value;
}

Value GridSampler::linear() {
  unsigned rank = x.size();
  SmallVector<Value> floor, part;
  for (Value coordinate : x) {
    floor.push_back(n.make<FloorOp>({coordinate}));
    part.push_back(n.sub(coordinate, floor.back()));
  }
  Value sum;
  for (unsigned corner = 0; corner < 1u << rank; ++corner) {
    SmallVector<Value> at;
    Value weight;
    for (unsigned d = 0; d < rank; ++d) {
      bool upper = corner >> d & 1;
      at.push_back(upper ? n.add(floor[d], 1.0) : floor[d]);
      Value factor = upper ? part[d] : n.sub(n.scalar(1, type), part[d]);
      weight = weight ? n.mul(weight, factor) : factor;
    }
    Value term = n.mul(n.cast(pixel(at), type), weight);
    sum = sum ? n.add(sum, term) : term;
  }
  return sum;
}

/// Keys' cubic convolution with a = -0.75: weights of the four pixels around a position, `t` above the second.
static SmallVector<Value> cubicWeights(Node &n, Value t) {
  constexpr double a = -0.75;
  auto near = [&](Value s) { // |s| <= 1
    return n.add(n.mul(n.mul(s, s), n.sub(n.mul(s, a + 2), a + 3)), 1.0);
  };
  auto far = [&](Value s) { // 1 < |s| < 2
    return n.sub(n.mul(n.add(n.mul(n.sub(s, 5.0), s), 8.0), n.mul(s, a)), 4 * a);
  };
  Value one = n.scalar(1, n.elem(t)), rest = n.sub(one, t);
  return {far(n.add(t, 1.0)), near(t), near(rest), far(n.add(rest, 1.0))};
}

Value GridSampler::cubic() {
  if (x.size() != 2)
    return n.fail("cubic interpolation needs images of two dimensions, not " + Twine(x.size()));
  SmallVector<Value> floor;
  SmallVector<SmallVector<Value>> weights;
  for (Value coordinate : x) {
    floor.push_back(n.make<FloorOp>({coordinate}));
    weights.push_back(cubicWeights(n, n.sub(coordinate, floor.back())));
  }
  Value sum;
  for (int i = 0; i < 4; ++i) {
    Value row;
    for (int j = 0; j < 4; ++j) {
      Value value = n.cast(pixel({n.add(floor[0], i - 1.0), n.add(floor[1], j - 1.0)}), type);
      Value term = n.mul(value, weights[1][j]);
      row = row ? n.add(row, term) : term;
    }
    row = n.mul(row, weights[0][i]);
    sum = sum ? n.add(sum, row) : row;
  }
  return sum;
}

void GridSampler::run() {
  Value input = n.in(0), grid = n.in(1);
  unsigned rank = n.rank(input);
  if (!readModes())
    return;
  if (n.staticDim(grid, rank - 1, "the grid") != int64_t(rank - 2))
    return (void)n.fail("the grid's last dimension must be " + Twine(rank - 2));
  type = n.elem(grid) == n.b.getF64Type() || n.elem(input) == n.b.getF64Type() ? n.b.getF64Type() : n.b.getF32Type();
  SymDims out = n.dims(grid);
  ArrayRef<SymExpr> positions = ArrayRef<SymExpr>(out).drop_front().drop_back();
  // The last of a grid's coordinates is the first spatial dim's.
  for (unsigned d = 0; d < rank - 2; ++d) {
    Value coordinate = n.sliceAxis(n.cast(grid, type), rank - 1, SymExpr(int64_t(rank - 3 - d)), SymExpr(1));
    x.push_back(denormalize(n.reshape(coordinate, {out[0], SymExpr(1), product(positions)}), d));
    if (mode == Nearest)
      x.back() = n.make<RoundOp>({x.back()});
  }
  if (padding == Reflection) {
    for (unsigned d = 0; d < rank - 2; ++d)
      x[d] = reflect(x[d], d);
  }
  SymExpr channels = n.dim(input, 1);
  base = image.planes(out[0], channels, 3);
  Value result = mode == Nearest ? pixel(x) : mode == Linear ? linear() : cubic();
  SymDims dims{out[0], channels};
  dims.append(positions.begin(), positions.end());
  n.set(0, n.reshape(n.cast(result, n.elem(input)), dims));
}

static void gridSample(Node &n) {
  if (n.isString(n.in(0)))
    return (void)n.fail("interpolates between elements, which is not defined for strings");
  if (n.rank(n.in(0)) < 3 || n.rank(n.in(1)) != n.rank(n.in(0)))
    return (void)n.fail("needs an input and a grid of the same rank, at least 3");
  GridSampler(n).run();
}

//===----------------------------------------------------------------------===//
// RoiAlign
//===----------------------------------------------------------------------===//

/// The four pixels around (y, x), whose indices are floats in range: weights and values.
namespace {
struct Corners {
  SmallVector<Value, 4> values, weights;
};
} // namespace

static Corners corners(Node &n, Image &image, Value base, Value y, Value x) {
  Type type = n.elem(y);
  Value one = n.scalar(1, type), lowY = n.make<FloorOp>({y}), lowX = n.make<FloorOp>({x});
  Value partY = n.sub(y, lowY), partX = n.sub(x, lowX);
  Corners result;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) {
      result.values.push_back(image.read(base, {i ? n.add(lowY, one) : lowY, j ? n.add(lowX, one) : lowX}));
      result.weights.push_back(n.mul(i ? partY : n.sub(one, partY), j ? partX : n.sub(one, partX)));
    }
  return result;
}

static void roiAlign(Node &n) {
  Value input = n.in(0), rois = n.in(1), batch = n.in(2);
  if (n.rank(input) != 4 || n.rank(rois) != 2 || n.rank(batch) != 1)
    return (void)n.fail("needs an input of rank 4, regions of rank 2 and batch indices of rank 1");
  int64_t height = n.getInt("output_height", 1), width = n.getInt("output_width", 1);
  int64_t ratio = n.getInt("sampling_ratio", 0);
  if (height < 1 || width < 1)
    return (void)n.fail("output_height and output_width must be positive");
  if (ratio < 0)
    return (void)n.fail("sampling_ratio must not be negative");
  bool isMax = n.getString("mode", "avg") == "max";
  bool half =
      n.getString("coordinate_transformation_mode", n.opset < 16 ? "output_half_pixel" : "half_pixel") == "half_pixel";
  Type type = n.elem(input);
  double scale = n.getFloat("spatial_scale", 1);
  SymExpr regions = n.dim(rois, 0), channels = n.dim(input, 1);
  Image image(n, input);
  // [R, 1, oh, s, ow, s]; a coordinate varies along two of these dims.
  SymDims ones{regions, SymExpr(1), SymExpr(1), SymExpr(1), SymExpr(1), SymExpr(1)};
  Value inside, isSample, samples;
  auto both = [&](Value a, Value c) { return a ? n.make<AndOp>({a, c}) : c; };
  // Of each region as many as its bins have pixels along this dimension, and the most.
  auto ownSamples = [&](Value extent, int64_t bins) {
    Value count = n.maximum(n.make<CeilOp>({n.div(extent, double(bins))}), n.scalar(0, type));
    samples = samples ? n.mul(samples, count) : count;
    Value all = n.concat({n.cast(n.reshape(count, {regions}), n.b.getI64Type()), n.ints({1})}, 0);
    SmallVector<SymExpr> most = sizesOf(n, n.reduce<ReduceMaxOp>(all, {0}, true), "the number of samples");
    return std::pair(count, n.failed ? SymExpr(1) : most[0]);
  };
  auto coordinate = [&](unsigned d, int64_t bins) {
    auto edge = [&](int64_t column) {
      Value value = n.mul(n.sliceAxis(rois, 1, SymExpr(column), SymExpr(1)), scale);
      return n.reshape(half ? n.sub(value, 0.5) : value, ones);
    };
    Value start = edge(d == 0 ? 1 : 0), extent = n.sub(edge(d == 0 ? 3 : 2), start);
    if (!half)
      extent = n.maximum(extent, n.scalar(1, type));
    SymDims steps(6, SymExpr(1));
    Value fraction;
    if (ratio == 0) {
      auto [count, most] = ownSamples(extent, bins);
      steps[2 + 2 * d] = SymExpr(bins);
      Value bin = n.reshape(n.cast(n.iota(SymExpr(bins)), type), steps);
      steps[2 + 2 * d] = SymExpr(1);
      steps[3 + 2 * d] = most;
      Value sample = n.reshape(n.cast(n.iota(most), type), steps);
      isSample = both(isSample, n.compare(ComparePredicate::lt, sample, count));
      Value within = n.div(n.add(sample, 0.5), n.maximum(count, n.scalar(1, type)));
      fraction = n.div(n.add(bin, within), double(bins));
    } else {
      // Bin and sample as one number: (bin + (sample + 0.5) / s).
      steps[2 + 2 * d] = SymExpr(bins);
      steps[3 + 2 * d] = SymExpr(ratio);
      Value number = n.reshape(n.cast(n.iota(SymExpr(bins * ratio)), type), steps);
      fraction = n.div(n.add(number, 0.5), double(bins * ratio));
    }
    Value at = n.add(start, n.mul(extent, fraction)), size = image.size(d, type);
    Value fits = within(n, at, n.scalar(-1, type), size);
    inside = both(inside, fits);
    return n.maximum(n.minimum(at, n.sub(size, 1.0)), n.scalar(0, type));
  };
  Value y = coordinate(0, height), x = coordinate(1, width);
  // b * C * H * W + c * H * W
  SymExpr plane = n.dim(input, 2) * n.dim(input, 3);
  Value wide = n.reshape(n.cast(batch, n.b.getI64Type()), ones);
  SymDims perChannel(6, SymExpr(1));
  perChannel[1] = channels;
  Value base = n.add(n.mul(wide, n.shapeValue({channels * plane}, true)),
                     n.mul(n.reshape(n.iota(channels), perChannel), n.shapeValue({plane}, true)));
  Corners around = corners(n, image, base, y, x);
  Value sample;
  for (auto [value, weight] : zip_equal(around.values, around.weights)) {
    Value term = n.mul(value, weight);
    sample = !sample ? term : isMax ? n.maximum(sample, term) : n.add(sample, term);
  }
  sample = n.select(inside, sample, n.scalar(0, type));
  if (ratio == 0) {
    // Without a sample the result is 0.
    Value none = n.scalar(0, type), least = n.scalar(-std::numeric_limits<double>::infinity(), type);
    Value kept = n.select(isSample, sample, isMax ? least : none);
    Value count = n.reshape(samples, {regions, SymExpr(1), SymExpr(1), SymExpr(1)});
    if (isMax)
      return n.set(
          0, n.select(n.compare(ComparePredicate::gt, count, none), n.reduce<ReduceMaxOp>(kept, {3, 5}, false), none));
    return n.set(0, n.div(n.reduce<ReduceSumOp>(kept, {3, 5}, false), n.maximum(count, n.scalar(1, type))));
  }
  n.set(0, isMax ? n.reduce<ReduceMaxOp>(sample, {3, 5}, false) : n.reduce<ReduceMeanOp>(sample, {3, 5}, false));
}

//===----------------------------------------------------------------------===//
// DeformConv
//===----------------------------------------------------------------------===//

/// A convolution whose taps are moved by `offset`: the pixels under each window as columns, then a product.
static void deformConv(Node &n) {
  Value input = n.in(0), w = n.in(1), offset = n.in(2), bias = n.in(3), mask = n.in(4);
  if (n.rank(input) != 4 || n.rank(w) != 4 || n.rank(offset) != 4)
    return (void)n.fail("images of other than two dimensions are not supported");
  Type type = n.elem(input);
  int64_t group = n.getInt("group", 1), offsetGroup = n.getInt("offset_group", 1);
  int64_t outputs = n.staticDim(w, 0, "W"), kernelH = n.staticDim(w, 2, "W"), kernelW = n.staticDim(w, 3, "W");
  Ints strides = n.getInts("strides"), pads = n.getInts("pads"), dilations = n.getInts("dilations");
  strides.resize(2, 1);
  dilations.resize(2, 1);
  pads.resize(4, 0);
  if (n.failed)
    return;
  if (group < 1 || offsetGroup < 1 || outputs % group)
    return (void)n.fail("the groups do not divide the channels");
  SymExpr batch = n.dim(input, 0), channels = n.dim(input, 1), height = n.dim(offset, 2), width = n.dim(offset, 3);
  SymExpr perOffset = SymExpr::exactDiv(channels, SymExpr(offsetGroup)), og(offsetGroup);
  SymExpr k = SymExpr(kernelH) * SymExpr(kernelW);
  Image image(n, input);

  // [N, og, 1, K, OH, OW]
  Value moved = n.reshape(offset, {batch, og, SymExpr(1), k, SymExpr(2), height, width});
  auto coordinate = [&](unsigned d) {
    Value shift = n.squeeze(n.sliceAxis(moved, 4, SymExpr(int64_t(d)), SymExpr(1)), {4});
    SymDims along(6, SymExpr(1)), tap(6, SymExpr(1));
    along[4 + d] = d == 0 ? height : width;
    Value window = n.reshape(n.cast(n.iota(along[4 + d]), type), along);
    window = n.sub(n.mul(window, double(strides[d])), double(pads[d]));
    tap[3] = k;
    SymDims own(2, SymExpr(1)), kernel{SymExpr(kernelH), SymExpr(kernelW)};
    own[d] = kernel[d];
    Value positions = n.mul(n.reshape(n.cast(n.iota(kernel[d]), type), own), double(dilations[d]));
    Value tapAt = n.reshape(n.expand(positions, kernel), tap);
    return n.add(n.add(window, tapAt), shift);
  };
  Value y = coordinate(0), x = coordinate(1);
  // [N, og, C/og, 1, 1, 1]
  Value base = n.reshape(image.planes(batch, channels, 2), {batch, og, perOffset, SymExpr(1), SymExpr(1), SymExpr(1)});
  Value one = n.scalar(1, type), lowY = n.make<FloorOp>({y}), lowX = n.make<FloorOp>({x}), columns;
  Value partY = n.sub(y, lowY), partX = n.sub(x, lowX);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) {
      Value atY = i ? n.add(lowY, one) : lowY, atX = j ? n.add(lowX, one) : lowX;
      Value fits = n.make<AndOp>({within(n, atY, n.scalar(0, type), n.sub(image.size(0, type), 1.0)),
                                  within(n, atX, n.scalar(0, type), n.sub(image.size(1, type), 1.0))});
      Value weight = n.mul(i ? partY : n.sub(one, partY), j ? partX : n.sub(one, partX));
      Value term = n.mul(image.read(base, {atY, atX}), n.select(fits, weight, n.scalar(0, type)));
      columns = columns ? n.add(columns, term) : term;
    }
  if (mask)
    columns = n.mul(columns, n.reshape(mask, {batch, og, SymExpr(1), k, height, width}));

  SymExpr groups(group), perGroup = SymExpr::exactDiv(channels, groups) * k, outPerGroup(outputs / group);
  columns = n.reshape(columns, {batch, groups, perGroup, height * width});
  Value result = n.matmul(n.reshape(w, {groups, outPerGroup, perGroup}), columns);
  result = n.reshape(result, {batch, SymExpr(outputs), height, width});
  n.set(0, bias ? n.add(result, n.reshape(bias, {SymExpr(outputs), SymExpr(1), SymExpr(1)})) : result);
}

//===----------------------------------------------------------------------===//
// AffineGrid
//===----------------------------------------------------------------------===//

/// The middles (or, with `align_corners`, the ends) of `size` equal parts of [-1, 1].
static Value partsOfRange(Node &n, const SymExpr &size, bool alignCorners, Type type) {
  Value index = n.cast(n.iota(size), type), count = n.cast(n.shapeValue({size}, /*isScalar=*/true), type);
  if (!alignCorners)
    return n.sub(n.div(n.add(n.mul(index, 2), 1), count), 1);
  Value steps = n.maximum(n.sub(count, 1), n.scalar(1, type)); // one part is at -1
  return n.sub(n.div(n.mul(index, 2), steps), 1);
}

/// theta[n] times (x, y, z, 1) at each point of a grid: [N, (D,) H, W, 2 or 3].
static void affineGrid(Node &n) {
  Value theta = n.in(0);
  SmallVector<SymExpr> size = sizesOf(n, n.in(1), "size");
  if (n.failed)
    return;
  unsigned spatial = size.size() - 2;
  if (n.rank(theta) != 3 || (size.size() != 4 && size.size() != 5))
    return (void)n.fail("needs matrices of rank 3 and a size of 4 or 5 entries");
  bool alignCorners = n.getInt("align_corners", 0) != 0;
  Type own = n.elem(theta), type = own.isF64() ? own : Type(n.b.getF32Type());
  theta = n.cast(theta, type);
  SymDims grid(spatial + 1, SymExpr(1)), all{size[0]};
  all.append(size.begin() + 2, size.end());
  SmallVector<Value> points; // x first: along the last dim
  for (unsigned k = 0; k < spatial; ++k) {
    SymDims dims(grid);
    dims[spatial - k] = all[spatial - k];
    points.push_back(n.reshape(partsOfRange(n, all[spatial - k], alignCorners, type), dims));
  }
  auto entry = [&](int64_t row, int64_t column) {
    Value rowOf = n.sliceAxis(theta, 1, SymExpr(row), SymExpr(1));
    SymDims dims(grid);
    dims[0] = n.dim(theta, 0);
    return n.reshape(n.sliceAxis(rowOf, 2, SymExpr(column), SymExpr(1)), dims);
  };
  SmallVector<Value> coordinates;
  for (unsigned row = 0; row < spatial; ++row) {
    Value sum = entry(row, spatial);
    for (unsigned k = 0; k < spatial; ++k)
      sum = n.add(sum, n.mul(entry(row, k), points[k]));
    coordinates.push_back(n.unsqueeze(n.expand(sum, all), {int64_t(spatial) + 1}));
  }
  n.set(0, n.cast(n.concat(coordinates, spatial + 1), own));
}

void ds::importer::registerSampling(Registry &r) {
  r.add("AffineGrid", affineGrid);
  r.add("GridSample", gridSample);
  r.add("RoiAlign", roiAlign);
  r.add("DeformConv", deformConv);
}
