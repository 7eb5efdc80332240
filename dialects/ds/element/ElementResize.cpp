//===- ElementResize.cpp - Element form of ds.resize ----------------------===//
// Assumes: ONNX's definition of the coordinates; they are computed in f32, as ONNX Runtime does, since ties and
//   truncations depend on it.
// Guarantees: all modes over all dims, separably; dims that keep their size cost nothing. Only the elements that have a
//   weight are read, and none outside the operand.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;

namespace ds {

namespace {

class Resampler {
public:
  Resampler(ElementBuilder &eb, ResizeOp op, ArrayRef<LaneIndex> indices)
      : eb(eb), b(eb.builder()), loc(eb.getLoc()), op(op), indices(indices), in(eb.dims(op.getX())),
        out(eb.dims(op.getResult())), element(getElementTypeOrSelf(op.getX().getType())),
        workElement(element.isF64() ? element : Type(b.getF32Type())), f(eb, b.getF32Type()), work(eb, workElement) {}

  FailureOr<Value> build() {
    for (unsigned i = 0; i < 3 * in.size(); ++i) {
      bool isRead =
          isGiven(i % in.size()) && (i < in.size() || op.getCoordinates() == ResizeCoordinates::tf_crop_and_resize);
      FailureOr<Value> number = isRead ? eb.element(op.getGiven(), {eb.constantIndex(i)}) : Value();
      if (failed(number))
        return failure();
      given.push_back(*number);
    }
    FailureOr<Value> value = isInteger() && sumsCorners() ? corners() : sample(0, {});
    if (failed(value) || !isInteger())
      return value;
    // Integers truncate, as ONNX Runtime does; antialiasing rounds.
    return eb.convert(*value, workElement, element, /*saturate=*/true);
  }

private:
  /// Whether scale and region of the dim are known only when the model runs.
  bool isGiven(unsigned d) { return op.getScales() && (*op.getScales())[d] == 0; }
  bool isNearest() { return op.getMode() == ResizeMode::nearest; }
  /// Whether what is interpolated becomes an integer.
  bool isInteger() { return !isNearest() && !isa<FloatType>(element); }

  /// The value at `own` (input indices of dims below d), interpolated over the dims from d on.
  FailureOr<Value> sample(unsigned d, SmallVector<LaneIndex> own);
  FailureOr<Value> sampleAt(unsigned d, const SmallVector<LaneIndex> &own, LaneIndex index) {
    SmallVector<LaneIndex> next = own;
    next.push_back(index);
    return sample(d + 1, std::move(next));
  }
  FailureOr<Value> interpolate(unsigned d, const SmallVector<LaneIndex> &own, Value x);
  FailureOr<Value> antialias(unsigned d, const SmallVector<LaneIndex> &own, Value x);
  /// Linear interpolation of integers is a sum over the corners, each with the product of its weights, the last dim's
  /// first: which of 255 and 254.99998 comes out decides the integer.
  bool sumsCorners() {
    constexpr int64_t MaxDims = 3;
    return op.getMode() == ResizeMode::linear && !op.getAntialias() &&
           op.getCoordinates() != ResizeCoordinates::tf_crop_and_resize &&
           llvm::count_if(llvm::seq<unsigned>(0, in.size()), [&](unsigned d) { return !keepsSize(d); }) <= MaxDims;
  }
  FailureOr<Value> corners();
  /// A product that is rounded before it goes into a sum, which code generation would fuse otherwise.
  Value unfused(Value x) {
    return LLVM::CallIntrinsicOp::create(b, loc, x.getType(), b.getStringAttr("llvm.arithmetic.fence"), ValueRange{x})
        .getResult(0);
  }
  /// What a pass of antialiasing hands to the next is a pixel.
  Value roundPixel(Value x);

  bool keepsSize(unsigned d) {
    if (op.getCoordinates() == ResizeCoordinates::tf_crop_and_resize && !coversAll(d))
      return false;
    return in[d] == out[d] && (!op.getScales() || (*op.getScales())[d] == 1.0);
  }
  bool coversAll(unsigned d) {
    auto roi = op.getRoi();
    return !roi || ((*roi)[d] == 0.0 && (*roi)[in.size() + d] == 1.0);
  }
  /// s where out = s * in and input index = floor(output index / s), exactly.
  std::optional<int64_t> integerScale(unsigned d);
  Value scale(unsigned d);
  /// The input coordinate (f32) of the result's index in dim d.
  Value coordinate(unsigned d);
  Value nearest(Value x);
  /// The Keys kernel (1981) at |x|; 0 from 2 on.
  Value cubicWeight(Value x);

  Value constant(double value) { return f.constant(value); }
  Value size(const SymExpr &expr) {
    if (std::optional<int64_t> value = expr.tryConst())
      return constant(static_cast<float>(*value));
    return eb.valueFromIndex(LaneIndex::uniform(eb.sizeValue(expr)), b.getF32Type());
  }
  Value clamp(Value x, Value low, Value high) { return f.min(f.max(x, low), high); }
  Value floor(Value x) { return math::FloorOp::create(b, loc, x); }
  Value abs(Value x) { return math::AbsFOp::create(b, loc, x); }
  /// An integral x as an index.
  LaneIndex toIndex(Value x) {
    Type i64 = b.getI64Type();
    Value integer = arith::FPToSIOp::create(b, loc, eb.isVector(x) ? eb.laneType(i64) : i64, x);
    return eb.isVector(x) ? LaneIndex::general(integer) : LaneIndex::uniform(integer);
  }
  LaneIndex clampIndex(unsigned d, LaneIndex index) {
    LaneIndex last = LaneIndex::uniform(eb.sizeValue(in[d] - SymExpr(1)));
    return eb.max(eb.min(index, last), eb.constantIndex(0));
  }
  Value isOutside(unsigned d, LaneIndex index) {
    Value inside = eb.logicalAnd(eb.lessEqual(eb.constantIndex(0), index), eb.less(index, eb.dim(op.getX(), d)));
    return eb.logicalNot(inside);
  }
  Value toWork(Value weight) { return eb.convert(weight, b.getF32Type(), workElement); }

  ElementBuilder &eb;
  OpBuilder &b;
  Location loc;
  ResizeOp op;
  ArrayRef<LaneIndex> indices;
  SymDims in, out;
  SmallVector<Value> given; // where isGiven; scales, starts, ends
  Type element, workElement;
  LaneMath f, work;
};

} // namespace

std::optional<int64_t> Resampler::integerScale(unsigned d) {
  if (!isNearest())
    return std::nullopt;
  auto coordinates = op.getCoordinates();
  auto rounding = op.getNearest();
  bool centred = coordinates == ResizeCoordinates::half_pixel ||
                 coordinates == ResizeCoordinates::half_pixel_symmetric ||
                 coordinates == ResizeCoordinates::pytorch_half_pixel;
  bool floors = rounding == ResizeNearest::floor && (coordinates == ResizeCoordinates::asymmetric ||
                                                     coordinates == ResizeCoordinates::tf_half_pixel_for_nn);
  bool rounds =
      centred && (rounding == ResizeNearest::round_prefer_floor || rounding == ResizeNearest::round_prefer_ceil);
  if (!floors && !rounds)
    return std::nullopt;
  std::optional<int64_t> s;
  if (op.getScales()) {
    double value = (*op.getScales())[d];
    if (value != std::floor(value) || value > 4096)
      return std::nullopt;
    s = static_cast<int64_t>(value);
  } else if (std::optional<SymExpr> quotient = SymExpr::quotient(out[d], in[d])) {
    s = quotient->tryConst();
  }
  return s && *s >= 1 && out[d] == in[d] * SymExpr(*s) ? s : std::nullopt;
}

Value Resampler::scale(unsigned d) {
  if (isGiven(d))
    return given[d];
  if (op.getScales())
    return constant(static_cast<float>((*op.getScales())[d]));
  if (in[d].isConst() && out[d].isConst())
    return constant(static_cast<float>(out[d].getConst()) / static_cast<float>(in[d].getConst()));
  return f.div(size(out[d]), size(in[d]));
}

Value Resampler::coordinate(unsigned d) {
  Value o = eb.valueFromIndex(indices[d], b.getF32Type());
  auto halfPixel = [&]() { return f.sub(f.div(f.add(o, constant(0.5)), scale(d)), constant(0.5)); };
  /// `value` unless the result has one element along d.
  auto unlessOne = [&](Value value, Value ifOne) {
    if (out[d].isConst())
      return out[d].isConst(1) ? ifOne : value;
    return eb.select(eb.equal(eb.dim(op.getResult(), d), eb.constantIndex(1)), ifOne, value);
  };
  switch (op.getCoordinates()) {
  case ResizeCoordinates::half_pixel:
    return halfPixel();
  case ResizeCoordinates::half_pixel_symmetric: {
    // The output's width before it was rounded down decides where the middle is.
    Value adjustment = f.div(size(out[d]), f.mul(scale(d), size(in[d])));
    Value centre = f.div(size(in[d]), constant(2));
    // In the order of ONNX's definition, which decides where a rounding error puts a coordinate between two pixels.
    Value offset = f.mul(centre, f.sub(constant(1), adjustment));
    return f.sub(f.add(offset, f.div(f.add(o, constant(0.5)), scale(d))), constant(0.5));
  }
  case ResizeCoordinates::pytorch_half_pixel:
    return unlessOne(halfPixel(), constant(0));
  case ResizeCoordinates::align_corners: {
    Value steps = f.max(size(out[d] - SymExpr(1)), constant(1)); // never 0 / 0
    return unlessOne(f.div(f.mul(o, size(in[d] - SymExpr(1))), steps), constant(0));
  }
  case ResizeCoordinates::asymmetric:
    return f.div(o, scale(d));
  case ResizeCoordinates::tf_half_pixel_for_nn:
    return f.div(f.add(o, constant(0.5)), scale(d));
  case ResizeCoordinates::tf_crop_and_resize: {
    auto roi = op.getRoi();
    Value start = isGiven(d) ? given[in.size() + d] : constant(roi ? (*roi)[d] : 0.0);
    Value end = isGiven(d) ? given[2 * in.size() + d] : constant(roi ? (*roi)[in.size() + d] : 1.0);
    Value last = size(in[d] - SymExpr(1));
    Value steps = f.max(size(out[d] - SymExpr(1)), constant(1));
    Value step = f.div(f.mul(f.sub(end, start), last), steps);
    Value many = f.add(f.mul(start, last), f.mul(o, step));
    return unlessOne(many, f.mul(f.mul(constant(0.5), f.add(start, end)), last));
  }
  }
  llvm_unreachable("unknown coordinates");
}

Value Resampler::nearest(Value x) {
  Value low = floor(x), fraction = f.sub(x, low), up;
  switch (op.getNearest()) {
  case ResizeNearest::floor:
    return low;
  case ResizeNearest::ceil:
    return math::CeilOp::create(b, loc, x);
  case ResizeNearest::round_prefer_floor:
    up = f.compare(ComparePredicate::gt, fraction, constant(0.5));
    break;
  case ResizeNearest::round_prefer_ceil:
    up = f.compare(ComparePredicate::ge, fraction, constant(0.5));
    break;
  }
  return eb.select(up, f.add(low, constant(1)), low);
}

Value Resampler::cubicWeight(Value x) {
  double a = op.getCubicCoeffA().convertToDouble();
  x = abs(x);
  // |x| <= 1: ((a + 2) x - (a + 3)) x^2 + 1; below 2: ((a x - 5a) x + 8a) x - 4a.
  Value near = f.mulAdd(f.mulAdd(x, constant(a + 2), constant(-(a + 3))), f.mul(x, x), constant(1));
  Value far = f.mulAdd(f.mulAdd(f.mulAdd(x, constant(a), constant(-5 * a)), x, constant(8 * a)), x, constant(-4 * a));
  far = eb.select(f.compare(ComparePredicate::lt, x, constant(2)), far, constant(0));
  return eb.select(f.compare(ComparePredicate::le, x, constant(1)), near, far);
}

FailureOr<Value> Resampler::interpolate(unsigned d, const SmallVector<LaneIndex> &own, Value x) {
  if (op.getMode() == ResizeMode::linear) {
    x = clamp(x, constant(0), size(in[d] - SymExpr(1)));
    Value low = floor(x), fraction = toWork(f.sub(x, low));
    LaneIndex index = clampIndex(d, toIndex(low));
    FailureOr<Value> first = sampleAt(d, own, index);
    FailureOr<Value> second = sampleAt(d, own, clampIndex(d, eb.add(index, 1)));
    if (failed(first) || failed(second))
      return failure();
    return work.mulAdd(*second, fraction, work.mul(*first, work.sub(work.one(), fraction)));
  }
  // Beyond the border by more than the kernel reaches, nothing changes.
  x = clamp(x, constant(-4), f.add(size(in[d]), constant(3)));
  Value low = floor(x), fraction = f.sub(x, low), sum, total;
  LaneIndex base = toIndex(low);
  for (int64_t tap = -1; tap <= 2; ++tap) {
    LaneIndex index = eb.add(base, tap);
    Value weight = cubicWeight(f.sub(constant(tap), fraction));
    if (op.getExcludeOutside()) {
      weight = eb.select(isOutside(d, index), constant(0), weight);
      total = total ? f.add(total, weight) : weight;
    }
    FailureOr<Value> value = sampleAt(d, own, clampIndex(d, index));
    if (failed(value))
      return failure();
    sum = sum ? work.mulAdd(*value, toWork(weight), sum) : work.mul(*value, toWork(weight));
  }
  return total ? work.div(sum, toWork(total)) : sum;
}

FailureOr<Value> Resampler::corners() {
  struct Side {
    LaneIndex index;
    Value weight; // null: 1
  };
  SmallVector<SmallVector<Side>> sides;
  for (unsigned d = 0; d < in.size(); ++d) {
    if (keepsSize(d)) {
      sides.push_back({{indices[d], Value()}});
      continue;
    }
    Value x = clamp(coordinate(d), constant(0), size(in[d] - SymExpr(1))), low = floor(x);
    LaneIndex first = clampIndex(d, toIndex(low)), second = clampIndex(d, eb.add(first, 1));
    // At the border both are the same pixel.
    Value isSame = eb.equal(first, second), half = constant(0.5);
    Value toSecond = abs(f.sub(x, f.add(low, constant(1))));
    sides.push_back(
        {{first, toWork(eb.select(isSame, half, toSecond))}, {second, toWork(eb.select(isSame, half, f.sub(x, low)))}});
  }
  Value sum;
  unsigned choices = 0; // a bit a dim that has two sides
  for (const auto &each : sides)
    choices += each.size() - 1;
  for (unsigned choice = 0; choice < 1u << choices; ++choice) {
    SmallVector<LaneIndex> at(in.size(), eb.constantIndex(0));
    Value weight;
    unsigned bit = 0;
    for (unsigned d = in.size(); d-- > 0;) {
      const Side &side = sides[d].size() == 1 ? sides[d][0] : sides[d][choice >> bit++ & 1];
      at[d] = side.index;
      if (side.weight)
        weight = weight ? work.mul(weight, side.weight) : side.weight;
    }
    FailureOr<Value> value = eb.element(op.getX(), at);
    if (failed(value))
      return failure();
    Value term = eb.convert(*value, element, workElement);
    if (weight)
      term = unfused(work.mul(weight, term));
    sum = sum ? work.add(sum, term) : term;
  }
  return sum;
}

Value Resampler::roundPixel(Value x) {
  LaneMath pixel(eb, element);
  unsigned width = element.getIntOrFloatBitWidth();
  // Small ones as ONNX Runtime's fixed point numbers do, halves up; others halves away from 0.
  x = width <= 8 ? Value(math::FloorOp::create(b, loc, work.add(x, work.constant(0.5))))
                 : Value(math::RoundOp::create(b, loc, x));
  if (width > 16) // what saturates there is no exact float
    return x;
  double high = std::ldexp(1.0, int(width) - (pixel.isUnsigned() ? 0 : 1)) - 1;
  return work.min(work.max(x, work.constant(pixel.isUnsigned() ? 0 : -high - 1)), work.constant(high));
}

FailureOr<Value> Resampler::antialias(unsigned d, const SmallVector<LaneIndex> &own, Value x) {
  // The kernel is stretched by 1 / scale where that shrinks the image.
  Value stretch = f.min(scale(d), constant(1));
  bool linear = op.getMode() == ResizeMode::linear;
  Value reach = f.div(constant(linear ? -1 : -2), stretch);
  LaneIndex first = eb.add(toIndex(floor(reach)), 1), end = eb.sub(eb.constantIndex(2), first);
  Value low = floor(x), fraction = f.sub(x, low);
  LaneIndex base = toIndex(low);
  SmallVector<Value> init = {work.zero(), f.zero()};
  if (llvm::any_of(indices, [](LaneIndex index) { return !index.isUniform(); }))
    for (Value &value : init)
      value = eb.broadcast(value);
  auto body = [&](LaneIndex tap, ValueRange state) -> FailureOr<SmallVector<Value>> {
    Value position = f.mul(f.sub(eb.valueFromIndex(tap, b.getF32Type()), fraction), stretch);
    Value weight = linear ? f.max(f.sub(constant(1), abs(position)), constant(0)) : cubicWeight(position);
    LaneIndex index = eb.add(base, tap);
    if (op.getExcludeOutside())
      weight = eb.select(isOutside(d, index), constant(0), weight);
    FailureOr<Value> value = sampleAt(d, own, clampIndex(d, index));
    if (failed(value))
      return failure();
    return SmallVector<Value>{work.mulAdd(*value, toWork(weight), state[0]), f.add(state[1], weight)};
  };
  FailureOr<SmallVector<Value>> sums = eb.loop(first, end, init, body);
  if (failed(sums))
    return failure();
  Value value = work.div((*sums)[0], toWork((*sums)[1]));
  return isInteger() ? roundPixel(value) : value;
}

FailureOr<Value> Resampler::sample(unsigned d, SmallVector<LaneIndex> own) {
  if (d == in.size()) {
    FailureOr<Value> value = eb.element(op.getX(), own);
    if (failed(value) || !isInteger())
      return value;
    return eb.convert(*value, element, workElement);
  }
  if (keepsSize(d))
    return sampleAt(d, own, indices[d]);
  if (std::optional<int64_t> s = integerScale(d))
    return sampleAt(d, own, eb.floorDiv(indices[d], eb.constantIndex(*s)));

  Value x = coordinate(d), last = size(in[d] - SymExpr(1));
  FailureOr<Value> value;
  if (isNearest())
    value = sampleAt(d, own, clampIndex(d, toIndex(clamp(nearest(x), constant(0), last))));
  else
    value = op.getAntialias() ? antialias(d, own, x) : interpolate(d, own, x);
  if (failed(value) || op.getCoordinates() != ResizeCoordinates::tf_crop_and_resize)
    return value;
  Value below = f.compare(ComparePredicate::lt, x, constant(0)), above = f.compare(ComparePredicate::gt, x, last);
  LaneMath result(eb, isNearest() ? element : workElement);
  Value outside = result.constant(op.getExtrapolationValue().convertToDouble());
  return eb.select(below, outside, eb.select(above, outside, *value));
}

int64_t ResizeOp::elementCost() {
  int64_t taps = 1;
  for (auto [in, out] : llvm::zip_equal(getX().getType().getShape(), getResult().getType().getShape()))
    if (in != out || ShapedType::isDynamic(in))
      taps *= getMode() == ResizeMode::nearest ? 1 : getMode() == ResizeMode::linear ? 2 : 4;
  return 4 + 8 * taps;
}

FailureOr<Value> ResizeOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  return Resampler(eb, *this, indices).build();
}

} // namespace ds
