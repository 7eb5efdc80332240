//===- Resize.cpp - Resize and Upsample -----------------------------------===//
// Assumes: see Node.h.
// Guarantees: sizes are expressions; the scales that the model states are kept, since they decide coordinates.
// Declines: scales, sizes and regions that are computed while the model runs; fractional scales of symbolic sizes that
// are no small fraction.

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

namespace {
struct Request {
  SmallVector<double> scales; ///< one a dim, or empty
  SymDims sizes;              ///< one a dim, or empty
};
} // namespace

static Value build(Node &n, Value x, Request request, StringRef coordinates, StringRef nearest,
                   ArrayRef<double> roi = {}) {
  SymDims dims = n.dims(x);
  SmallVector<mlir::NamedAttribute> attrs;
  for (double scale : request.scales)
    if (!(scale > 0))
      return n.fail("a scale is not positive: " + std::to_string(scale));
  if (request.sizes.empty()) {
    for (auto [dim, scale] : zip(dims, request.scales)) {
      std::optional<SymExpr> size = scaled(dim, scale);
      if (!size)
        return n.needsDynamic("the size of dimension '" + dim.str() + "' times " + std::to_string(scale) +
                              " is no expression");
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
  return n.make<ResizeOp>({x}, attrs);
}

/// The known numbers of an operand, absent if it is missing or has no elements.
static std::optional<SmallVector<double>> knownNumbers(Node &n, unsigned i, StringRef what) {
  if (!n.has(i) || (n.rank(n.in(i)) == 1 && n.dim(n.in(i), 0).isConst(0)))
    return std::nullopt;
  std::optional<SmallVector<double>> known = n.constantDoubles(n.in(i));
  if (!known)
    n.needsDynamic("'" + what + "' is known only when the model runs");
  return known;
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
  } else if (auto scales = knownNumbers(n, 1, "scales")) {
    request.scales = *scales;
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
  auto fits = [&](size_t count, StringRef what) {
    if (count != axes.size())
      n.fail("has " + Twine(count) + " " + what + " for " + Twine(axes.size()) + " axes");
    return !n.failed;
  };
  Request request;
  std::optional<SmallVector<double>> scales = knownNumbers(n, 2, "scales");
  if (n.failed)
    return;
  if (scales) {
    if (!fits(scales->size(), "scales"))
      return;
    request.scales.assign(rank, 1);
    for (auto [axis, scale] : zip(axes, *scales))
      request.scales[axis] = scale;
  } else if (n.has(3)) {
    SmallVector<SymExpr> sizes = sizesOf(n, n.in(3), "sizes");
    if (n.failed || !fits(sizes.size(), "sizes"))
      return;
    request.sizes = dims;
    std::string policy = n.getString("keep_aspect_ratio_policy", "stretch");
    double ratio = policy == "not_larger" ? std::numeric_limits<double>::infinity() : 0;
    for (auto [axis, size] : zip(axes, sizes)) {
      request.sizes[axis] = size;
      if (policy == "stretch")
        continue;
      if (!size.isConst() || !dims[axis].isConst() || dims[axis].isConst(0))
        return (void)n.needsDynamic("keep_aspect_ratio_policy needs sizes that are known when the model is compiled");
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
  } else {
    return (void)n.fail("needs scales or sizes");
  }
  std::string coordinates = n.getString("coordinate_transformation_mode", "half_pixel");
  SmallVector<double> roi;
  if (coordinates == "tf_crop_and_resize") {
    std::optional<SmallVector<double>> given = knownNumbers(n, 1, "roi");
    if (!given || !fits(given->size() / 2, "regions"))
      return (void)n.fail("needs a region of interest");
    roi.assign(2 * rank, 0);
    std::fill(roi.begin() + rank, roi.end(), 1);
    for (auto [index, axis] : enumerate(axes)) {
      roi[axis] = (*given)[index];
      roi[axis + rank] = (*given)[index + axes.size()];
    }
  }
  n.set(0, build(n, x, request, coordinates, n.getString("nearest_mode", "round_prefer_floor"), roi));
}

void ds::importer::registerResize(Registry &r) {
  r.add("Resize", resize);
  r.add("Upsample", upsample);
}
