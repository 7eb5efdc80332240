//===- Convolution.cpp - Convolutions and their windows -------------------===//
// Assumes: see Node.h.
// Guarantees: paddings are explicit; automatic ones that depend on symbolic sizes become a ds.pad.
// Declines: kernels whose size is not known when the model is compiled.

#include "Windows.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

std::optional<Window> ds::importer::readWindow(Node &n, Value x, ArrayRef<int64_t> kernel) {
  Window w;
  if (n.rank(x) < 3) {
    n.fail("needs a tensor of rank 3 or more, but it has rank " + Twine(n.rank(x)));
    return std::nullopt;
  }
  size_t spatial = n.rank(x) - 2;
  w.kernel = kernel.empty() ? n.getInts("kernel_shape") : Ints(kernel);
  if (!kernel.empty() && n.hasAttr("kernel_shape") && n.getInts("kernel_shape") != w.kernel) {
    n.fail("kernel_shape disagrees with the dimensions of the weights");
    return std::nullopt;
  }
  auto entries = [&](StringRef name, int64_t otherwise) {
    Ints values = n.hasAttr(name) ? n.getInts(name) : Ints(spatial, otherwise);
    if (values.size() != spatial)
      n.fail(name + " has " + Twine(values.size()) + " entries for " + Twine(spatial) + " spatial dimensions");
    return values;
  };
  w.strides = entries("strides", 1);
  w.dilations = entries("dilations", 1);
  if (w.kernel.size() != spatial)
    n.fail("kernel_shape has " + Twine(w.kernel.size()) + " entries for " + Twine(spatial) + " spatial dimensions");
  if (n.failed)
    return std::nullopt;
  for (const Ints *values : {&w.kernel, &w.strides, &w.dilations})
    for (int64_t value : *values)
      if (value < 1 || value > INT32_MAX) {
        n.fail("kernel, strides and dilations must be positive 32-bit numbers, but one is " + Twine(value));
        return std::nullopt;
      }

  std::string mode = n.getString("auto_pad", "NOTSET");
  w.low.assign(spatial, 0);
  w.high.assign(spatial, 0);
  if (mode == "NOTSET" || mode.empty()) {
    if (!n.hasAttr("pads"))
      return w;
    Ints pads = n.getInts("pads");
    if (pads.size() != 2 * spatial) {
      n.fail("pads has " + Twine(pads.size()) + " entries for " + Twine(spatial) + " spatial dimensions");
      return std::nullopt;
    }
    for (int64_t pad : pads)
      if (pad < 0 || pad > INT32_MAX) {
        n.fail("pads must not be negative, but one is " + Twine(pad));
        return std::nullopt;
      }
    w.low.assign(pads.begin(), pads.begin() + spatial);
    w.high.assign(pads.begin() + spatial, pads.end());
    return w;
  }
  if (mode == "VALID")
    return w;
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    n.fail("auto_pad '" + mode + "' is unknown");
    return std::nullopt;
  }
  // SAME: the output has ceil(size / stride) entries; the odd one of the padding goes to the end (UPPER) or start.
  SymDims totals;
  for (size_t i = 0; i < spatial; ++i) {
    SymExpr size = n.dim(x, i + 2), stride(w.strides[i]);
    SymExpr extent(w.dilations[i] * (w.kernel[i] - 1) + 1);
    SymExpr total = SymExpr::max((SymExpr::ceilDiv(size, stride) - SymExpr(1)) * stride + extent - size, SymExpr(0));
    totals.push_back(total);
    w.symbolic |= !total.isConst();
  }
  for (size_t i = 0; i < spatial; ++i) {
    SymExpr half = SymExpr::floorDiv(totals[i], SymExpr(2)), rest = totals[i] - half;
    SymExpr low = mode == "SAME_UPPER" ? half : rest, high = mode == "SAME_UPPER" ? rest : half;
    if (w.symbolic) {
      w.symbolicLow.push_back(low);
      w.symbolicHigh.push_back(high);
    } else {
      w.low[i] = low.getConst();
      w.high[i] = high.getConst();
    }
  }
  return w;
}

Value ds::importer::applySymbolicPadding(Node &n, Value x, const Window &window, Value value) {
  if (!window.symbolic)
    return x;
  SymDims low(2, SymExpr(0)), high(2, SymExpr(0));
  low.append(window.symbolicLow);
  high.append(window.symbolicHigh);
  return n.padConstant(x, low, high, value);
}

static Ints spatialSizes(Node &n, Value w) {
  Ints sizes;
  for (unsigned i = 2; i < n.rank(w); ++i)
    sizes.push_back(n.staticDim(w, i, "the weights"));
  return sizes;
}

static void conv(Node &n) {
  Value x = n.in(0), w = n.in(1), bias = n.in(2);
  if (n.rank(w) < 3 || n.rank(x) != n.rank(w))
    return (void)n.fail("the input has rank " + Twine(n.rank(x)) + " and the weights have rank " + Twine(n.rank(w)) +
                        "; both must be equal and at least 3");
  std::optional<Window> window = readWindow(n, x, spatialSizes(n, w));
  if (!window || n.failed)
    return;
  SmallVector<Value> operands{applySymbolicPadding(n, x, *window), w};
  if (bias)
    operands.push_back(bias);
  n.set(0, n.make<ConvOp>(operands, {n.i64s("strides", window->strides), n.i64s("pads_low", window->low),
                                     n.i64s("pads_high", window->high), n.i64s("dilations", window->dilations),
                                     n.i64("group", n.getInt("group", 1))}));
}

static void convTranspose(Node &n) {
  Value x = n.in(0), w = n.in(1), bias = n.in(2);
  if (n.rank(w) < 3 || n.rank(x) != n.rank(w))
    return (void)n.fail("the input has rank " + Twine(n.rank(x)) + " and the weights have rank " + Twine(n.rank(w)) +
                        "; both must be equal and at least 3");
  // auto_pad means something else here: it is about the output's size, below.
  NodeAttribute automatic = n.attributes.lookup("auto_pad");
  n.attributes.erase("auto_pad");
  std::optional<Window> window = readWindow(n, x, spatialSizes(n, w));
  if (!window || n.failed)
    return;
  size_t spatial = n.rank(x) - 2;
  Ints extra = n.hasAttr("output_padding") ? n.getInts("output_padding") : Ints(spatial, 0);
  Ints wanted = n.getInts("output_shape");
  std::string mode = std::holds_alternative<std::string>(automatic) ? std::get<std::string>(automatic) : "NOTSET";
  if (extra.size() != spatial || (!wanted.empty() && wanted.size() != spatial && wanted.size() != spatial + 2))
    return (void)n.fail("output_padding or output_shape do not fit " + Twine(spatial) + " spatial dimensions");
  if (wanted.size() == spatial + 2)
    wanted.erase(wanted.begin(), wanted.begin() + 2);
  bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (!wanted.empty() || same)
    for (size_t i = 0; i < spatial; ++i) {
      int64_t extent = window->dilations[i] * (window->kernel[i] - 1) + 1;
      int64_t total; // what the full result has too much
      if (wanted.empty())
        total = extent + extra[i] - window->strides[i];
      else
        total = (n.staticDim(x, i + 2, "the input") - 1) * window->strides[i] + extent + extra[i] - wanted[i];
      if (n.failed)
        return;
      if (total < 0) { // too small: the missing entries are zeros at the end
        extra[i] -= total;
        total = 0;
      }
      int64_t half = total / 2;
      window->low[i] = mode == "SAME_UPPER" ? half : total - half;
      window->high[i] = total - window->low[i];
    }
  SmallVector<Value> operands{x, w};
  if (bias)
    operands.push_back(bias);
  n.set(0, n.make<ConvTransposeOp>(operands, {n.i64s("strides", window->strides), n.i64s("pads_low", window->low),
                                              n.i64s("pads_high", window->high), n.i64s("dilations", window->dilations),
                                              n.i64s("output_padding", extra), n.i64("group", n.getInt("group", 1))}));
}

void ds::importer::registerConvolution(Registry &r) {
  r.add("Conv", conv);
  r.add("ConvTranspose", convTranspose);
}
