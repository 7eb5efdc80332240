//===- ElementContraction.cpp - Element forms of products and windows -----===//
// Assumes: nothing of types, ranks, dilations, groups or layouts: this is the form that always works.
// Guarantees: `buildElement` of matmul, conv, conv_transpose, max_pool and avg_pool: a loop over the reduction for each
//   element. Where all lanes are at one place, the loop covers the part of a window that is inside the operand;
//   otherwise loads are guarded.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ds {

static Type elementType(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

static int64_t sizeOrGuess(Value tensor, int64_t d) {
  constexpr int64_t kGuess = 64;
  auto type = cast<RankedTensorType>(tensor.getType());
  return type.isDynamicDim(d) ? kGuess : type.getDimSize(d);
}

//===----------------------------------------------------------------------===//
// matmul
//===----------------------------------------------------------------------===//

int64_t MatmulOp::elementCost() {
  return 2 * sizeOrGuess(getA(), cast<RankedTensorType>(getA().getType()).getRank() - 1);
}

FailureOr<Value> MatmulOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims a = eb.dims(getA()), b = eb.dims(getB()), result = eb.dims(getResult());
  LaneMath math(eb, elementType(getResult()));
  // The result's batch dims, then each operand's own two (or one).
  unsigned matrixDims = (a.size() > 1 ? 1 : 0) + (b.size() > 1 ? 1 : 0);
  ArrayRef<LaneIndex> batch = indices.drop_back(matrixDims), matrix = indices.take_back(matrixDims);
  ArrayRef<SymExpr> batchDims = ArrayRef<SymExpr>(result).drop_back(matrixDims);
  auto read = [&](Value tensor, ArrayRef<SymExpr> dims, ArrayRef<LaneIndex> own) {
    SmallVector<LaneIndex> position(batch);
    SmallVector<SymExpr> positionDims(batchDims);
    llvm::append_range(position, own);
    llvm::append_range(positionDims, dims.take_back(own.size()));
    return eb.broadcastElement(tensor, position, positionDims);
  };
  auto body = [&](LaneIndex k, ValueRange state) -> FailureOr<SmallVector<Value>> {
    FailureOr<Value> x = a.size() > 1 ? read(getA(), a, {matrix.front(), k}) : eb.element(getA(), k);
    FailureOr<Value> y = b.size() > 1 ? read(getB(), b, {k, matrix.back()}) : eb.element(getB(), k);
    if (failed(x) || failed(y))
      return failure();
    return SmallVector<Value>{math.mulAdd(*x, *y, state[0])};
  };
  FailureOr<SmallVector<Value>> sum =
      eb.loop(eb.constantIndex(0), eb.dim(getA(), a.size() - 1), eb.initial(math.zero(), indices), body);
  if (failed(sum))
    return failure();
  return (*sum)[0];
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

namespace {

/// The window of a convolution or pool that belongs to one result position.
class Window {
public:
  /// `spatial`: the result's spatial indices; `sizes`: the operand's spatial dims; `beyond`: whether windows may reach
  /// past the high padding (ceil_mode).
  Window(ElementBuilder &eb, ArrayRef<LaneIndex> spatial, ArrayRef<SymExpr> sizes, ArrayRef<SymExpr> kernel,
         ArrayRef<int64_t> strides, ArrayRef<int64_t> low, ArrayRef<int64_t> high, ArrayRef<int64_t> dilations,
         bool beyond)
      : eb(eb), sizes(sizes), kernel(kernel), dilations(dilations) {
    for (auto [index, stride, pad] : llvm::zip_equal(spatial, strides, low))
      start.push_back(eb.add(eb.mul(index, stride), -pad));
    for (auto [before, after] : llvm::zip_equal(low, high)) {
      mayPrecede.push_back(before > 0);
      mayExceed.push_back(after > 0 || beyond);
    }
  }

  unsigned rank() const { return start.size(); }

  /// The kernel positions [first, end) of dim d that lie in [0, size + extra) of the operand, for all lanes alike or
  /// each.
  LaneIndex first(unsigned d) {
    if (!mayPrecede[d])
      return eb.constantIndex(0);
    return eb.max(ceilDiv(eb.sub(eb.constantIndex(0), start[d]), dilations[d]), eb.constantIndex(0));
  }
  LaneIndex end(unsigned d, int64_t extra = 0) {
    LaneIndex whole = LaneIndex::uniform(eb.sizeValue(kernel[d]));
    if (!mayExceed[d])
      return whole;
    LaneIndex limit = LaneIndex::uniform(eb.sizeValue(sizes[d] + SymExpr(extra)));
    return eb.max(eb.min(ceilDiv(eb.sub(limit, start[d]), dilations[d]), whole), eb.constantIndex(0));
  }

  /// Bounds of loops over the kernel positions, and (in `inside`) what must hold besides for a position to be inside:
  /// null if nothing.
  SmallVector<ElementBuilder::Bounds> bounds() {
    SmallVector<ElementBuilder::Bounds> result;
    for (unsigned d = 0; d < rank(); ++d) {
      if (start[d].isUniform())
        result.push_back({first(d), end(d)});
      else
        result.push_back({eb.constantIndex(0), LaneIndex::uniform(eb.sizeValue(kernel[d]))});
    }
    return result;
  }
  /// The operand's spatial indices at a kernel position.
  SmallVector<LaneIndex> position(ArrayRef<LaneIndex> k) {
    SmallVector<LaneIndex> result;
    for (unsigned d = 0; d < rank(); ++d)
      result.push_back(eb.add(start[d], eb.mul(k[d], dilations[d])));
    return result;
  }
  /// The lanes that are inside the operand, as far as `bounds` does not see to it; null for all.
  Value inside(ArrayRef<LaneIndex> position) {
    Value result;
    auto require = [&](Value condition) { result = result ? eb.logicalAnd(result, condition) : condition; };
    for (unsigned d = 0; d < rank(); ++d) {
      if (start[d].isUniform())
        continue;
      if (mayPrecede[d])
        require(eb.lessEqual(eb.constantIndex(0), position[d]));
      if (mayExceed[d])
        require(eb.less(position[d], LaneIndex::uniform(eb.sizeValue(sizes[d]))));
    }
    return result;
  }

private:
  LaneIndex ceilDiv(LaneIndex x, int64_t divisor) {
    return eb.floorDiv(eb.add(x, divisor - 1), eb.constantIndex(divisor));
  }

  ElementBuilder &eb;
  SmallVector<SymExpr> sizes, kernel;
  ArrayRef<int64_t> dilations;
  SmallVector<LaneIndex> start;
  SmallVector<bool> mayPrecede, mayExceed;
};

/// Where an activation tensor has its channels.
struct Activation {
  Activation(Layout layout, unsigned rank) : nhwc(layout == Layout::nhwc), rank(rank) {}
  unsigned channelDim() const { return nhwc ? rank - 1 : 1; }
  template <typename T> ArrayRef<T> spatial(ArrayRef<T> dims) const { return dims.slice(nhwc ? 1 : 2, rank - 2); }
  SmallVector<LaneIndex> indices(LaneIndex batch, LaneIndex channel, ArrayRef<LaneIndex> spatial) const {
    SmallVector<LaneIndex> result = {batch};
    if (!nhwc)
      result.push_back(channel);
    llvm::append_range(result, spatial);
    if (nhwc)
      result.push_back(channel);
    return result;
  }
  bool nhwc;
  unsigned rank;
};

} // namespace

/// indices / divisor and the rest, for channels in groups; without arithmetic where there is one group.
static std::pair<LaneIndex, LaneIndex> splitChannel(ElementBuilder &eb, LaneIndex channel, const SymExpr &perGroup,
                                                    int64_t groups) {
  if (groups == 1)
    return {eb.constantIndex(0), channel};
  LaneIndex size = LaneIndex::uniform(eb.sizeValue(perGroup));
  LaneIndex group = eb.floorDiv(channel, size);
  if (perGroup.isConst(1))
    return {group, eb.constantIndex(0)};
  return {group, eb.sub(channel, eb.mul(group, size))};
}

static FailureOr<Value> addBias(ElementBuilder &eb, LaneMath &math, Value sum, Value bias, LaneIndex channel) {
  if (!bias)
    return sum;
  FailureOr<Value> value = eb.element(bias, channel);
  if (failed(value))
    return failure();
  return math.add(sum, *value);
}

//===----------------------------------------------------------------------===//
// conv, conv_transpose
//===----------------------------------------------------------------------===//

template <typename ConvLike> static int64_t convCost(ConvLike op, unsigned channelDim) {
  int64_t cost = 2 * sizeOrGuess(op.getW(), channelDim);
  for (int64_t d = 2; d < cast<RankedTensorType>(op.getW().getType()).getRank(); ++d)
    cost *= sizeOrGuess(op.getW(), d);
  return cost;
}

int64_t ConvOp::elementCost() { return convCost(*this, 1); }

FailureOr<Value> ConvOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims x = eb.dims(getX()), w = eb.dims(getW());
  LaneMath math(eb, elementType(getResult()));
  Activation activation(getLayout(), x.size());
  LaneIndex channel = indices[activation.channelDim()];
  SymExpr outputsPerGroup = SymExpr::exactDiv(w[0], SymExpr(static_cast<int64_t>(getGroup())));
  LaneIndex group = splitChannel(eb, channel, outputsPerGroup, getGroup()).first;
  LaneIndex inputsPerGroup = LaneIndex::uniform(eb.sizeValue(w[1]));
  LaneIndex firstInput = eb.mul(group, inputsPerGroup);

  Window window(eb, activation.spatial(indices), activation.spatial(ArrayRef<SymExpr>(x)),
                ArrayRef<SymExpr>(w).drop_front(2), getStrides(), getPadsLow(), getPadsHigh(), getDilations(), false);
  SmallVector<ElementBuilder::Bounds> bounds = window.bounds();
  bounds.push_back({eb.constantIndex(0), inputsPerGroup});
  auto body = [&](ArrayRef<LaneIndex> loops, ValueRange state) -> FailureOr<SmallVector<Value>> {
    ArrayRef<LaneIndex> k = loops.drop_back();
    LaneIndex c = loops.back();
    SmallVector<LaneIndex> place = window.position(k);
    SmallVector<LaneIndex> from = activation.indices(indices[0], eb.add(firstInput, c), place);
    auto read = [&]() { return eb.element(getX(), from); };
    Value inside = window.inside(place);
    FailureOr<Value> value = inside ? eb.guarded(inside, read, math.zero()) : read();
    SmallVector<LaneIndex> weightIndices = {channel, c};
    llvm::append_range(weightIndices, k);
    FailureOr<Value> weight = eb.element(getW(), weightIndices);
    if (failed(value) || failed(weight))
      return failure();
    return SmallVector<Value>{math.mulAdd(*value, *weight, state[0])};
  };
  FailureOr<SmallVector<Value>> sum = eb.loopNest(bounds, eb.initial(math.zero(), indices), body);
  if (failed(sum))
    return failure();
  return addBias(eb, math, (*sum)[0], getBias(), channel);
}

int64_t ConvTransposeOp::elementCost() { return convCost(*this, 0); }

FailureOr<Value> ConvTransposeOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims x = eb.dims(getX()), w = eb.dims(getW());
  LaneMath math(eb, elementType(getResult()));
  Activation activation(getLayout(), x.size());
  LaneIndex channel = indices[activation.channelDim()];
  auto [group, channelInGroup] = splitChannel(eb, channel, w[1], getGroup());
  LaneIndex inputsPerGroup =
      LaneIndex::uniform(eb.sizeValue(SymExpr::exactDiv(w[0], SymExpr(static_cast<int64_t>(getGroup())))));
  LaneIndex firstInput = eb.mul(group, inputsPerGroup), weightChannel = channelInGroup;

  ArrayRef<LaneIndex> spatial = activation.spatial(indices);
  ArrayRef<SymExpr> sizes = activation.spatial(ArrayRef<SymExpr>(x));
  SmallVector<ElementBuilder::Bounds> bounds;
  for (unsigned d = 0; d < spatial.size(); ++d)
    bounds.push_back({eb.constantIndex(0), LaneIndex::uniform(eb.sizeValue(w[2 + d]))});
  // The result's position q gets x[p] * w[k] where q = p * stride - low + k * dilation.
  auto body = [&](ArrayRef<LaneIndex> k, ValueRange state) -> FailureOr<SmallVector<Value>> {
    SmallVector<LaneIndex> place;
    Value inside;
    auto require = [&](Value condition) { inside = inside ? eb.logicalAnd(inside, condition) : condition; };
    for (unsigned d = 0; d < spatial.size(); ++d) {
      LaneIndex scaled = eb.sub(eb.add(spatial[d], getPadsLow()[d]), eb.mul(k[d], getDilations()[d]));
      LaneIndex stride = eb.constantIndex(getStrides()[d]), p = eb.floorDiv(scaled, stride);
      if (getStrides()[d] != 1)
        require(eb.equal(eb.mul(p, stride), scaled));
      require(eb.lessEqual(eb.constantIndex(0), p));
      require(eb.less(p, LaneIndex::uniform(eb.sizeValue(sizes[d]))));
      place.push_back(p);
    }
    auto overChannels = [&]() -> FailureOr<Value> {
      auto channelBody = [&](LaneIndex c, ValueRange inner) -> FailureOr<SmallVector<Value>> {
        LaneIndex from = eb.add(firstInput, c);
        FailureOr<Value> value = eb.element(getX(), activation.indices(indices[0], from, place));
        SmallVector<LaneIndex> weightIndices = {from, weightChannel};
        llvm::append_range(weightIndices, k);
        FailureOr<Value> weight = eb.element(getW(), weightIndices);
        if (failed(value) || failed(weight))
          return failure();
        return SmallVector<Value>{math.mulAdd(*value, *weight, inner[0])};
      };
      FailureOr<SmallVector<Value>> sum = eb.loop(eb.constantIndex(0), inputsPerGroup, state[0], channelBody);
      if (failed(sum))
        return failure();
      return (*sum)[0];
    };
    FailureOr<Value> next = eb.guarded(inside, overChannels, state[0]);
    if (failed(next))
      return failure();
    return SmallVector<Value>{*next};
  };
  FailureOr<SmallVector<Value>> sum = eb.loopNest(bounds, eb.initial(math.zero(), indices), body);
  if (failed(sum))
    return failure();
  return addBias(eb, math, (*sum)[0], getBias(), channel);
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

template <typename PoolOp>
static Window poolWindow(PoolOp op, ElementBuilder &eb, const Activation &activation, ArrayRef<LaneIndex> indices,
                         ArrayRef<SymExpr> x) {
  SmallVector<SymExpr> kernel;
  for (int64_t size : op.getKernel())
    kernel.push_back(SymExpr(size));
  return Window(eb, activation.spatial(indices), activation.spatial(x), kernel, op.getStrides(), op.getPadsLow(),
                op.getPadsHigh(), op.getDilations(), op.getCeilMode());
}

template <typename PoolOp> static int64_t poolCost(PoolOp op) {
  int64_t cost = 1;
  for (int64_t size : op.getKernel())
    cost *= size;
  return cost;
}

int64_t MaxPoolOp::elementCost() { return poolCost(*this); }
int64_t AvgPoolOp::elementCost() { return poolCost(*this) + 5; }

FailureOr<Value> MaxPoolOp::buildElement(ElementBuilder &eb, unsigned resultNumber, ArrayRef<LaneIndex> indices) {
  SymDims x = eb.dims(getX());
  LaneMath math(eb, elementType(getResult()));
  Activation activation(getLayout(), x.size());
  Window window = poolWindow(*this, eb, activation, indices, x);
  bool wantsIndex = resultNumber == 1;
  LaneIndex channel = indices[activation.channelDim()];

  // The flat index counts the spatial dims in either order.
  auto flatIndex = [&](ArrayRef<LaneIndex> from) {
    if (!getColumnMajor())
      return eb.linearize(from, x);
    SmallVector<LaneIndex> ordered(from);
    SmallVector<SymExpr> orderedDims(x.begin(), x.end());
    unsigned first = activation.nhwc ? 1 : 2;
    std::reverse(ordered.begin() + first, ordered.begin() + first + window.rank());
    std::reverse(orderedDims.begin() + first, orderedDims.begin() + first + window.rank());
    return eb.linearize(ordered, orderedDims);
  };

  SmallVector<Value> init = {eb.initial(math.least(), indices)};
  if (wantsIndex) // none yet: the first element counts, however low it is
    init.push_back(eb.initial(eb.constantI64(-1), indices));
  auto body = [&](ArrayRef<LaneIndex> k, ValueRange state) -> FailureOr<SmallVector<Value>> {
    SmallVector<LaneIndex> place = window.position(k);
    SmallVector<LaneIndex> from = activation.indices(indices[0], channel, place);
    auto read = [&]() { return eb.element(getX(), from); };
    Value inside = window.inside(place);
    FailureOr<Value> value = inside ? eb.guarded(inside, read, math.least()) : read();
    if (failed(value))
      return failure();
    if (!wantsIndex)
      return SmallVector<Value>{math.max(state[0], *value)};
    Value better = math.beats(*value, state[0], /*isMax=*/true);
    better = eb.logicalOr(
        better, LaneMath(eb, eb.builder().getI64Type()).compare(ComparePredicate::lt, state[1], eb.constantI64(0)));
    if (inside)
      better = eb.logicalAnd(better, inside);
    Value position = eb.valueFromIndex(flatIndex(from), eb.builder().getI64Type());
    return SmallVector<Value>{eb.select(better, *value, state[0]), eb.select(better, position, state[1])};
  };
  FailureOr<SmallVector<Value>> result = eb.loopNest(window.bounds(), init, body);
  if (failed(result))
    return failure();
  return result->back();
}

FailureOr<Value> AvgPoolOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims x = eb.dims(getX());
  LaneMath math(eb, elementType(getResult()));
  Activation activation(getLayout(), x.size());
  Window window = poolWindow(*this, eb, activation, indices, x);
  LaneIndex channel = indices[activation.channelDim()];
  auto body = [&](ArrayRef<LaneIndex> k, ValueRange state) -> FailureOr<SmallVector<Value>> {
    SmallVector<LaneIndex> place = window.position(k);
    SmallVector<LaneIndex> from = activation.indices(indices[0], channel, place);
    auto read = [&]() { return eb.element(getX(), from); };
    Value inside = window.inside(place);
    FailureOr<Value> value = inside ? eb.guarded(inside, read, math.zero()) : read();
    if (failed(value))
      return failure();
    return SmallVector<Value>{math.add(state[0], *value)};
  };
  FailureOr<SmallVector<Value>> sum = eb.loopNest(window.bounds(), eb.initial(math.zero(), indices), body);
  if (failed(sum))
    return failure();
  LaneIndex count = eb.constantIndex(1);
  for (unsigned d = 0; d < window.rank(); ++d) {
    // With count_include_pad the window counts as far as the padding reaches.
    LaneIndex extent = getCountIncludePad() ? window.end(d, getPadsHigh()[d]) : eb.sub(window.end(d), window.first(d));
    count = eb.mul(count, extent);
  }
  return math.div((*sum)[0], eb.valueFromIndex(count, math.getType()));
}

} // namespace ds
