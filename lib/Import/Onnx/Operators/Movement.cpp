//===- Movement.cpp - Operators that move elements ------------------------===//
// Assumes: see Node.h.
// Guarantees: axes, splits and pads that are known become attributes.
// Declines: splits that are computed while the model runs.

#include "../DataShapes.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static void reshape(Node &n) {
  SmallVector<mlir::NamedAttribute> attrs;
  if (n.getInt("allowzero", 0))
    attrs.push_back(n.unit("allow_zero"));
  Value target = n.opset < 5 ? n.ints(n.getInts("shape")) : n.in(1);
  if (!n.knowsLength(target, "shape"))
    return;
  n.set(0, n.make<ReshapeOp>({n.in(0), target}, attrs));
}

static void flatten(Node &n) {
  SymDims dims = n.dims(n.in(0));
  int64_t rank = dims.size(), axis = n.getInt("axis", 1);
  if (axis < -rank || axis > rank)
    return (void)n.fail("axis " + Twine(axis) + " is out of range for rank " + Twine(rank));
  if (axis < 0)
    axis += rank;
  ArrayRef<SymExpr> all(dims);
  n.set(0, n.reshape(n.in(0), {product(all.take_front(axis)), product(all.drop_front(axis))}));
}

/// Axes from the attribute (before operator set 13) or the second operand.
static std::optional<Ints> givenAxes(Node &n) {
  if (n.hasAttr("axes"))
    return n.getInts("axes");
  if (n.has(1))
    return n.requireInts(n.in(1), "axes");
  return std::nullopt;
}

/// Axes that only the model's run tells.
static bool hasUnknownAxes(Node &n) { return n.opset >= 13 && n.has(1) && !n.constantInts(n.in(1)); }

static void squeeze(Node &n) {
  Value x = n.in(0);
  if (hasUnknownAxes(n)) {
    SymDims kept = splitByAxes(n, x, n.in(1)).kept;
    return n.set(0, n.failed ? Value() : n.reshape(x, kept));
  }
  std::optional<Ints> given = givenAxes(n);
  Ints axes;
  if (given) {
    axes = n.axes(*given, n.rank(x));
  } else {
    for (auto [index, dim] : enumerate(n.dims(x))) {
      if (dim.isConst(1))
        axes.push_back(index);
      else if (!dim.isConst())
        return (void)n.fail("without 'axes', whether dimension " + Twine(index) + " (" +
                            (n.shapes.isKnownOnEntry(dim) ? dim.str() : "it depends on data") +
                            ") is 1 decides the rank, which must be known when the model is compiled; say the axes");
    }
  }
  n.set(0, n.failed ? Value() : n.squeeze(x, axes));
}

static void unsqueeze(Node &n) {
  if (hasUnknownAxes(n)) {
    SymDims dims = insertedOnes(n, n.in(0), n.in(1));
    return n.set(0, n.failed ? Value() : n.reshape(n.in(0), dims));
  }
  std::optional<Ints> given = givenAxes(n);
  if (!given)
    return (void)n.fail("needs axes");
  Ints axes = n.axes(*given, n.rank(n.in(0)) + given->size());
  n.set(0, n.failed ? Value() : n.unsqueeze(n.in(0), axes));
}

static void transpose(Node &n) {
  int64_t rank = n.rank(n.in(0));
  Ints perm = n.getInts("perm");
  if (!n.hasAttr("perm"))
    for (int64_t i = rank - 1; i >= 0; --i)
      perm.push_back(i);
  Ints sorted = perm;
  sort(sorted);
  if (!equal(sorted, seq<int64_t>(0, rank)))
    return (void)n.fail("perm is not a permutation of 0 to " + Twine(rank - 1));
  n.set(0, n.transpose(n.in(0), perm));
}

static void expand(Node &n) {
  if (n.knowsLength(n.in(1), "shape"))
    n.set(0, n.make<ExpandOp>({n.in(0), n.in(1)}));
}

static void slice(Node &n) {
  SmallVector<Value> operands{n.in(0)};
  if (n.opset < 10) {
    operands.append({n.ints(n.getInts("starts")), n.ints(n.getInts("ends"))});
    bool axes = n.hasAttr("axes");
    if (axes)
      operands.push_back(n.ints(n.getInts("axes")));
    return n.set(0, n.make<SliceOp>(operands, {n.segments({1, 1, 1, axes, 0})}));
  }
  // The lists are of one length, which each of them may tell.
  static constexpr StringLiteral names[] = {"", "starts", "ends", "axes", "steps"};
  unsigned known = 1;
  while (known < 4 && !(n.has(known) && product(n.dims(n.in(known))).isConst()))
    ++known;
  if (!n.has(known) || !product(n.dims(n.in(known))).isConst())
    known = 1;
  if (!n.knowsLength(n.in(known), names[known]))
    return;
  int64_t count = product(n.dims(n.in(known))).getConst();
  SmallVector<int32_t> sizes{1};
  for (unsigned i = 1; i < 5; ++i) {
    sizes.push_back(n.has(i));
    if (!n.has(i))
      continue;
    operands.push_back(n.withCount(n.in(i), count));
    if (SymExpr own = product(n.dims(operands.back())); !n.failed && !own.isConst(count))
      return (void)n.fail("'" + names[known] + "' has " + Twine(count) + " entries, '" + names[i] + "' " + own.str());
  }
  n.set(0, n.make<SliceOp>(operands, {n.segments(sizes)}));
}

static void concat(Node &n) {
  int64_t axis = n.axis(n.getInt("axis", 1), n.rank(n.in(0)));
  n.set(0, n.failed ? Value() : n.concat(n.inputs, axis));
}

static void split(Node &n) {
  Value x = n.in(0);
  int64_t axis = n.axis(n.getInt("axis", 0), n.rank(x)), count = n.wanted.size();
  if (n.failed)
    return;
  SymExpr size = n.dim(x, axis);
  SmallVector<SymExpr> parts;
  if (n.hasAttr("split")) {
    for (int64_t part : n.getInts("split"))
      parts.push_back(SymExpr(part));
  } else if (n.has(1)) {
    parts = sizesOf(n, n.withCount(n.in(1), count), "split");
    if (n.failed)
      return;
  } else {
    count = n.getInt("num_outputs", count);
    if (count < int64_t(n.wanted.size()) || count < 1)
      return (void)n.fail("num_outputs is " + Twine(count) + ", but the node has " + Twine(n.wanted.size()) +
                          " outputs");
    constexpr int64_t MaxParts = 1 << 16;
    if (count > MaxParts)
      return (void)n.fail("num_outputs is " + Twine(count) + "; at most " + Twine(MaxParts) + " is supported");
    if (n.opset < 18 && size.isConst() && size.getConst() % count)
      return (void)n.fail("dimension " + Twine(axis) + " of size " + size.str() + " cannot be split into " +
                          Twine(count) + " equal parts");
    if (n.opset < 18)
      n.require(SymExpr::mod(size, SymExpr(count)), SymExpr(0),
                "dimension " + Twine(axis) + " to be divisible into " + Twine(count) + " equal parts");
    SymExpr part = SymExpr::ceilDiv(size, SymExpr(count));
    parts.assign(count, part);
    parts.back() = size - part * SymExpr(count - 1);
  }
  if (parts.size() < n.wanted.size())
    return (void)n.fail("'split' has " + Twine(parts.size()) + " entries for " + Twine(n.wanted.size()) + " outputs");
  SymExpr start(0);
  for (const SymExpr &part : parts) {
    if (part.isConst() && part.getConst() < 0)
      return (void)n.fail("a part of the split has the negative size " + part.str());
    start += part;
  }
  if (start.isConst() && size.isConst() && start != size)
    return (void)n.fail("the parts of the split add up to " + start.str() + ", but dimension " + Twine(axis) +
                        " has size " + size.str());
  n.require(start, size, "parts of the split that add up to dimension " + Twine(axis));
  start = SymExpr(0);
  for (auto [index, part] : enumerate(parts)) {
    if (n.wants(index))
      n.set(index, n.sliceAxis(x, axis, start, part));
    start += part;
  }
}

static void pad(Node &n) {
  Value x = n.in(0), value = n.in(2);
  int64_t rank = n.rank(x);
  std::string mode = n.getString("mode", "constant");
  std::optional<PadMode> kind = symbolizePadMode(mode);
  if (!kind)
    return (void)n.fail("mode '" + mode + "' is unknown");
  SmallVector<SymExpr> pads;
  if (n.opset < 11) {
    for (int64_t count : n.getInts(n.opset < 2 ? "paddings" : "pads"))
      pads.push_back(SymExpr(count));
    double given = n.getFloat("value", 0);
    value = given != 0 ? n.scalar(given, n.elem(x)) : Value();
  } else if (auto known = n.contents(n.in(1)); known && (!n.has(3) || n.constantInts(n.in(3)))) {
    pads = *known;
  } else {
    SmallVector<Value> operands{x,
                                n.has(3) ? padsOfAllAxes(n, n.in(1), n.in(3), rank) : n.withCount(n.in(1), 2 * rank)};
    bool hasValue = value && *kind == PadMode::constant;
    if (hasValue)
      operands.push_back(value);
    return n.set(0, n.make<PadOp>(operands, {n.segments({1, 1, hasValue}),
                                             n.attr("mode", PadModeAttr::get(n.b.getContext(), *kind))}));
  }
  Ints axes;
  if (n.has(3)) {
    for (int64_t axis : n.requireInts(n.in(3), "axes"))
      axes.push_back(n.axis(axis, rank));
  } else {
    axes = span(0, rank);
  }
  if (n.failed)
    return;
  if (pads.size() != 2 * axes.size())
    return (void)n.fail("has " + Twine(pads.size()) + " pads for " + Twine(axes.size()) + " axes");
  SymDims low(rank, SymExpr(0)), high(rank, SymExpr(0));
  for (auto [index, axis] : enumerate(axes)) {
    low[axis] = pads[index];
    high[axis] = pads[index + axes.size()];
  }
  bool hasValue = value && *kind == PadMode::constant;
  SmallVector<Value> operands{x};
  if (hasValue)
    operands.push_back(value);
  n.set(0, n.make<PadOp>(operands, {n.shape("low", low), n.shape("high", high), n.segments({1, 0, hasValue}),
                                    n.attr("mode", PadModeAttr::get(n.b.getContext(), *kind))}));
}

static void tile(Node &n) {
  Value x = n.in(0);
  if (n.opset >= 6)
    return n.set(0, n.make<TileOp>({x, n.withCount(n.in(1), n.rank(x))}));
  SymDims repeat(n.rank(x), SymExpr(1));
  int64_t axis = n.axis(n.requireInt(n.in(2), "axis"), n.rank(x));
  int64_t tiles = n.requireInt(n.in(1), "tiles");
  if (n.failed)
    return;
  repeat[axis] = SymExpr(tiles);
  n.set(0, n.make<TileOp>({x}, {n.shape("repeat", repeat)}));
}

/// Splits and regroups dims of an N×C×H×W tensor.
static void depthToSpace(Node &n) {
  Value x = n.in(0);
  int64_t block = n.getInt("blocksize", 0);
  if (n.rank(x) != 4 || block < 1)
    return (void)n.fail("needs a tensor of rank 4 and a positive block size");
  SymDims d = n.dims(x);
  SymExpr s(block), channels = SymExpr::exactDiv(d[1], s * s);
  if (d[1].isConst() && d[1].getConst() % (block * block))
    return (void)n.fail(d[1].str() + " channels are no multiple of the block's size squared");
  bool columnRowDepth = n.getString("mode", "DCR") == "CRD";
  Value split = columnRowDepth ? n.reshape(x, {d[0], channels, s, s, d[2], d[3]})
                               : n.reshape(x, {d[0], s, s, channels, d[2], d[3]});
  Value moved =
      n.transpose(split, columnRowDepth ? ArrayRef<int64_t>{0, 1, 4, 2, 5, 3} : ArrayRef<int64_t>{0, 3, 4, 1, 5, 2});
  n.set(0, n.reshape(moved, {d[0], channels, d[2] * s, d[3] * s}));
}

static void spaceToDepth(Node &n) {
  Value x = n.in(0);
  int64_t block = n.getInt("blocksize", 0);
  if (n.rank(x) != 4 || block < 1)
    return (void)n.fail("needs a tensor of rank 4 and a positive block size");
  SymDims d = n.dims(x);
  for (unsigned i : {2, 3})
    if (d[i].isConst() && d[i].getConst() % block)
      return (void)n.fail("dimension " + Twine(i) + " of size " + d[i].str() + " is no multiple of the block size");
  SymExpr s(block), h = SymExpr::exactDiv(d[2], s), w = SymExpr::exactDiv(d[3], s);
  Value split = n.reshape(x, {d[0], d[1], h, s, w, s});
  n.set(0, n.reshape(n.transpose(split, {0, 3, 5, 1, 2, 4}), {d[0], d[1] * s * s, h, w}));
}

/// A triangle whose diagonal is known only when the model runs: j - i decides.
static Value triangle(Node &n, Value x, Value k, bool upper) {
  SymExpr rows = n.dim(x, n.rank(x) - 2), columns = n.dim(x, n.rank(x) - 1);
  Value diagonal = n.sub(n.iota(columns), n.reshape(n.iota(rows), {rows, SymExpr(1)}));
  k = n.cast(n.reshape(k, {}), n.b.getI64Type());
  Value kept = n.compare(upper ? ComparePredicate::ge : ComparePredicate::le, diagonal, k);
  return n.select(kept, x, n.scalar(0, n.elem(x)));
}

static void trilu(Node &n) {
  SmallVector<mlir::NamedAttribute> attrs;
  if (n.rank(n.in(0)) < 2)
    return (void)n.fail("needs a tensor of rank 2 or more");
  if (n.has(1) && !n.constantInts(n.in(1)))
    return n.set(0, triangle(n, n.in(0), n.in(1), n.getInt("upper", 1) != 0));
  if (n.has(1))
    attrs.push_back(n.i64("k", n.requireInt(n.in(1), "k")));
  if (n.getInt("upper", 1))
    attrs.push_back(n.unit("upper"));
  n.set(0, n.make<TriluOp>({n.in(0)}, attrs));
}

void ds::importer::registerMovement(Registry &r) {
  r.add("Reshape", reshape);
  r.add("Flatten", flatten);
  r.add("Squeeze", squeeze);
  r.add("Unsqueeze", unsqueeze);
  r.add("Transpose", transpose);
  r.add("Expand", expand);
  r.add("Slice", slice);
  r.add("Concat", concat);
  r.add("Split", split);
  r.add("Pad", pad);
  r.add("Tile", tile);
  r.add("DepthToSpace", depthToSpace);
  r.add("SpaceToDepth", spaceToDepth);
  r.add("Trilu", trilu);
}
