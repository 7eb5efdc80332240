//===- Resize.cpp - Resize and Upsample -----------------------------------===//
// Assumes: see Node.h.
// Guarantees: sizes are expressions; the scales that the model states are kept, since they decide coordinates. What is
// known only when the model runs (scales, regions, sizes that keep the aspect ratio) becomes an operand of the op, and
// the sizes that follow from it are bound.
// Declines: interpolation whose scales are computed over the first two of four or more dims.

#include "../DataShapes.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// floor(size * scale), as ONNX Runtime computes it (in f32) where both are numbers.
static std::optional<SymExpr> scaled(const SymExpr &size, double scale) {
  if (size.isConst())
    return SymExpr(int64_t(std::floor(float(size.getConst()) * float(scale))));
  std::optional<SymFraction> fraction = SymFraction::fromDouble(scale);
  if (!fraction || !fraction->isConst())
    return std::nullopt;
  return SymExpr::floorDiv(size * fraction->num, fraction->den);
}

/// The same where the size is a symbol and the scale no fraction of a power of two: only f32 rounds as f32 does, so the
/// run computes it.
static std::optional<SymExpr> scaledByRun(Node &n, const SymExpr &size, double scale) {
  Type f32 = n.b.getF32Type();
  Value product = n.mul(n.cast(n.shapeValue({size}), f32), n.fill({SymExpr(1)}, scale, f32));
  SmallVector<SymExpr> result = sizesOf(n, n.cast(n.make<FloorOp>({product}), n.b.getI64Type()), "the result's sizes");
  return n.failed ? std::nullopt : std::optional(result[0]);
}

namespace {
struct Request {
  SmallVector<double> scales; ///< one a dim, or empty; 0 where the operand `given` says it
  SymDims sizes;              ///< one a dim, or empty
  Value given;
};
} // namespace

static Value build(Node &n, Value x, Request request, StringRef coordinates, StringRef nearest,
                   ArrayRef<double> roi = {}) {
  SymDims dims = n.dims(x);
  SmallVector<mlir::NamedAttribute> attrs;
  for (double scale : request.scales)
    if (!(scale > 0) && !request.given)
      return n.fail("a scale is not positive: " + std::to_string(scale));
  if (request.sizes.empty()) {
    for (auto [dim, scale] : zip(dims, request.scales)) {
      std::optional<SymExpr> size = scaled(dim, scale);
      if (!size)
        size = scaledByRun(n, dim, scale);
      if (!size)
        return {};
      request.sizes.push_back(*size);
    }
  }
  for (const SymExpr &size : request.sizes)
    if (size.isConst() && size.getConst() < 0)
      return n.fail("a size is negative: " + size.str());
  std::string modeName = n.getString("mode", "nearest");
  if (modeName == "bilinear" || modeName == "trilinear")
    modeName = "linear";
  std::optional<ResizeMode> mode = symbolizeResizeMode(modeName);
  std::optional<ResizeCoordinates> coordinate = symbolizeResizeCoordinates(coordinates);
  std::optional<ResizeNearest> rounding = symbolizeResizeNearest(nearest);
  if (!mode || !coordinate || !rounding)
    return n.fail("mode '" + modeName + "', coordinates '" + coordinates + "' or rounding '" + nearest +
                  "' is not supported");
  attrs.push_back(n.shape("size", request.sizes));
  if (!request.scales.empty())
    attrs.push_back(n.attr("scales", n.b.getDenseF64ArrayAttr(request.scales)));
  if (!roi.empty())
    attrs.push_back(n.attr("roi", n.b.getDenseF64ArrayAttr(roi)));
  mlir::MLIRContext *context = n.b.getContext();
  attrs.push_back(n.attr("mode", ResizeModeAttr::get(context, *mode)));
  attrs.push_back(n.attr("coordinates", ResizeCoordinatesAttr::get(context, *coordinate)));
  attrs.push_back(n.attr("nearest", ResizeNearestAttr::get(context, *rounding)));
  attrs.push_back(n.f64("cubic_coeff_a", n.getFloat("cubic_coeff_a", -0.75)));
  attrs.push_back(n.f64("extrapolation_value", n.getFloat("extrapolation_value", 0)));
  if (n.getInt("exclude_outside", 0))
    attrs.push_back(n.unit("exclude_outside"));
  if (n.getInt("antialias", 0))
    attrs.push_back(n.unit("antialias"));
  SmallVector<Value> operands{x};
  if (request.given)
    operands.push_back(request.given);
  return n.make<ResizeOp>(operands, attrs);
}

/// Whether an operand is there and has elements.
static bool isGiven(Node &n, unsigned i) { return n.has(i) && !(n.rank(n.in(i)) == 1 && n.dim(n.in(i), 0).isConst(0)); }

/// An operand as a list of `count`; a length that is unknown is checked when the model runs.
static Value listOf(Node &n, unsigned i, size_t count) {
  Value list = n.in(i);
  if (n.failed || n.rank(list) != 1)
    return n.fail("needs lists of scales, sizes and regions");
  SymExpr length = n.dim(list, 0);
  if (length.isConst() && !length.isConst(int64_t(count)))
    return n.fail("needs a list of " + Twine(count) + " numbers, got " + length.str());
  return length.isConst() ? list : n.reshape(list, {SymExpr(int64_t(count))});
}

/// The known numbers of an operand, absent if it is missing, has no elements, or is known only when the model runs.
static std::optional<SmallVector<double>> knownNumbers(Node &n, unsigned i) {
  return isGiven(n, i) ? n.constantDoubles(n.in(i)) : std::nullopt;
}

namespace {
/// A request that data decides, put together from lists of one number each.
class DataRequest {
public:
  DataRequest(Node &n, Value x, ArrayRef<int64_t> axes) : n(n), f32(n.b.getF32Type()), dims(n.dims(x)), axes(axes) {}

  /// `scales`, `sizes` and `roi` are numbers of the node's inputs, absent ones are negative.
  Request make(int scales, int sizes, int roi);

private:
  /// Element `index` of a list of `count`.
  Value entry(int input, unsigned index, unsigned count) {
    return n.sliceAxis(listOf(n, input, count), 0, SymExpr(index), SymExpr(1));
  }
  Value number(int input, unsigned index, unsigned count) { return n.cast(entry(input, index, count), f32); }
  Value sizeOf(int64_t axis) { return n.cast(n.shapeValue({dims[axis]}), f32); }
  Value toSize(Value x) { return n.cast(n.make<FloorOp>({x}), n.b.getI64Type()); }
  Value one(double value) { return n.fill({SymExpr(1)}, value, f32); }

  Node &n;
  Type f32;
  SymDims dims;
  ArrayRef<int64_t> axes;
};
} // namespace

Request DataRequest::make(int scales, int sizes, int roi) {
  Request request;
  unsigned rank = dims.size(), count = axes.size();
  // Interpolation over all of four dims would read 16 or 256 elements for each; as in ONNX Runtime, images are last.
  unsigned kept = rank >= 4 && n.getString("mode", "nearest") != "nearest" ? 2 : 0;
  std::string policy = n.getString("keep_aspect_ratio_policy", "stretch");
  Value ratio;
  if (scales < 0 && policy != "stretch")
    for (auto [index, axis] : enumerate(axes)) {
      Value own = n.div(number(sizes, index, count), sizeOf(axis));
      ratio = !ratio ? own : policy == "not_larger" ? n.minimum(ratio, own) : n.maximum(ratio, own);
    }
  SmallVector<Value> given(3 * rank), lengths;
  request.scales.assign(rank, 1);
  if (all_of(axes, [&](int64_t axis) { return axis < int64_t(kept); }))
    return n.fail("interpolates along the first dimensions of " + Twine(rank) +
                  " by scales that the run gives; only the last " + Twine(rank - kept) + " may have such scales"),
           request;
  for (auto [index, axis] : enumerate(axes)) {
    Value own = sizeOf(axis), scale, size;
    if (scales >= 0) {
      scale = number(scales, index, count);
      size = toSize(n.mul(scale, own));
      if (axis < kept) { // one more is an error when the model runs
        Value isOne = n.compare(ComparePredicate::eq, scale, one(1));
        size = n.shapeValue({dims[axis]});
        size = n.select(isOne, size, n.add(size, n.ints({1})));
      }
    } else if (ratio) {
      scale = ratio;
      size = toSize(n.add(n.mul(ratio, own), 0.5));
    } else {
      size = n.cast(entry(sizes, index, count), n.b.getI64Type());
      scale = n.div(n.cast(size, f32), own);
    }
    lengths.push_back(size);
    if (axis < kept)
      continue;
    request.scales[axis] = 0;
    given[axis] = scale;
    if (roi >= 0) {
      given[rank + axis] = number(roi, index, 2 * count);
      given[2 * rank + axis] = number(roi, index + count, 2 * count);
    }
  }
  for (auto [index, value] : enumerate(given))
    if (!value)
      value = one(index / rank == 1 ? 0 : 1); // scales and ends are 1, starts 0
  request.sizes = dims;
  SmallVector<SymExpr> bound = sizesOf(n, n.concat(lengths, 0), "the result's sizes");
  request.given = n.concat(given, 0);
  if (!n.failed)
    for (auto [axis, size] : zip_equal(axes, bound))
      request.sizes[axis] = size;
  return request;
}

static void upsample(Node &n) {
  Value x = n.in(0);
  Request request;
  if (n.opset < 7) {
    request.scales.assign(n.rank(x), 1);
    if (n.rank(x) != 4)
      return (void)n.fail("needs a tensor of rank 4");
    request.scales[2] = n.getFloat("height_scale", 1);
    request.scales[3] = n.getFloat("width_scale", 1);
  } else if (n.opset < 9) {
    for (float scale : n.get<std::vector<float>>("scales", {}))
      request.scales.push_back(scale);
  } else if (auto scales = knownNumbers(n, 1)) {
    request.scales = *scales;
  } else if (isGiven(n, 1)) {
    request = DataRequest(n, x, span(0, n.rank(x))).make(/*scales=*/1, /*sizes=*/-1, /*roi=*/-1);
  }
  if (!n.failed && request.scales.size() != n.rank(x))
    return (void)n.fail("has " + Twine(request.scales.size()) + " scales for rank " + Twine(n.rank(x)));
  n.set(0, build(n, x, request, "asymmetric", "floor"));
}

static void resize(Node &n) {
  if (n.opset < 11)
    return upsample(n);
  Value x = n.in(0);
  int64_t rank = n.rank(x);
  SymDims dims = n.dims(x);
  Ints axes;
  for (int64_t axis : n.hasAttr("axes") ? n.getInts("axes") : span(0, rank))
    axes.push_back(n.axis(axis, rank));
  n.axes(axes, rank); // each once
  if (n.failed)
    return;
  auto fits = [&](size_t count, StringRef what) {
    if (count != axes.size())
      n.fail("has " + Twine(count) + " " + what + " for " + Twine(axes.size()) + " axes");
    return !n.failed;
  };
  std::string coordinates = n.getString("coordinate_transformation_mode", "half_pixel");
  std::string nearest = n.getString("nearest_mode", "round_prefer_floor");
  std::string policy = n.getString("keep_aspect_ratio_policy", "stretch");
  bool crops = coordinates == "tf_crop_and_resize";
  std::optional<SmallVector<double>> scales = knownNumbers(n, 2), region = crops ? knownNumbers(n, 1) : std::nullopt;
  bool isKnown = (scales || !isGiven(n, 2)) && (region || !crops);
  if (crops && !isGiven(n, 1))
    return (void)n.fail("needs a region of interest");
  if (!isGiven(n, 2) && !n.has(3))
    return (void)n.fail("needs scales or sizes");
  SmallVector<SymExpr> sizes;
  if (!isGiven(n, 2) && policy != "stretch") {
    std::optional<SmallVector<SymExpr>> known = n.contents(n.in(3));
    sizes = known.value_or(sizes);
    isKnown &= known && all_of(*known, [](const SymExpr &size) { return size.isConst(); }) &&
               all_of(axes, [&](int64_t axis) { return dims[axis].isConst(); });
  }
  if (!isKnown) {
    Request request = DataRequest(n, x, axes).make(isGiven(n, 2) ? 2 : -1, isGiven(n, 2) ? -1 : 3, crops ? 1 : -1);
    return n.set(0, n.failed ? Value() : build(n, x, request, coordinates, nearest));
  }
  Request request;
  if (scales) {
    if (!fits(scales->size(), "scales"))
      return;
    request.scales.assign(rank, 1);
    for (auto [axis, scale] : zip(axes, *scales))
      request.scales[axis] = scale;
  } else {
    sizes = sizesOf(n, n.withCount(n.in(3), int64_t(axes.size())), "sizes");
    if (n.failed || !fits(sizes.size(), "sizes"))
      return;
    request.sizes = dims;
    double ratio = policy == "not_larger" ? std::numeric_limits<double>::infinity() : 0;
    for (auto [axis, size] : zip(axes, sizes)) {
      request.sizes[axis] = size;
      if (policy == "stretch")
        continue;
      if (dims[axis].isConst(0))
        return (void)n.fail("an axis of size 0 has no aspect ratio to keep");
      double own = double(size.getConst()) / double(dims[axis].getConst());
      ratio = policy == "not_larger" ? std::min(ratio, own) : std::max(ratio, own);
    }
    if (policy != "stretch") {
      request.scales.assign(rank, 1);
      for (int64_t axis : axes) {
        request.scales[axis] = ratio;
        request.sizes[axis] = SymExpr(int64_t(std::floor(double(dims[axis].getConst()) * ratio + 0.5)));
      }
    }
  }
  SmallVector<double> roi;
  if (crops) {
    if (!fits(region->size() / 2, "regions"))
      return;
    roi.assign(2 * rank, 0);
    std::fill(roi.begin() + rank, roi.end(), 1);
    for (auto [index, axis] : enumerate(axes)) {
      roi[axis] = (*region)[index];
      roi[axis + rank] = (*region)[index + axes.size()];
    }
  }
  n.set(0, build(n, x, request, coordinates, nearest, roi));
}

void ds::importer::registerResize(Registry &r) {
  r.add("Resize", resize);
  r.add("Upsample", upsample);
}
