//===- ElementRandom.cpp - Element forms of random numbers ----------------===//
// Guarantees: `buildElement` of the ops in DsRandom.td. An element computes its block by itself, so that it depends on
// no other one: not on how a kernel is divided, nor on what it is fused with.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/element/MathFunctions.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <array>
#include <numbers>

using namespace mlir;

namespace ds {
namespace {

using Words = std::array<Value, 4>;

/// Arithmetic on 32-bit words, scalars or lanes.
class WordMath {
public:
  explicit WordMath(ElementBuilder &eb) : eb(eb), b(eb.builder()), loc(eb.getLoc()), word(b.getI32Type()) {}

  Value constant(uint32_t value) { return eb.constantInt(word, int64_t(value)); }
  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(loc, x, y); }
  Value bitXor(Value x, Value y) {
    eb.unify(x, y);
    return b.createOrFold<arith::XOrIOp>(loc, x, y);
  }
  Value bitAnd(Value x, uint32_t mask) {
    Value other = constant(mask);
    eb.unify(x, other);
    return b.createOrFold<arith::AndIOp>(loc, x, other);
  }
  Value shiftRight(Value x, uint32_t count) {
    Value by = constant(count);
    eb.unify(x, by);
    return b.createOrFold<arith::ShRUIOp>(loc, x, by);
  }
  /// The halves of an i64.
  std::pair<Value, Value> split(Value x) {
    Value by = eb.constantInt(b.getI64Type(), 32);
    eb.unify(x, by);
    Type type = eb.isVector(x) ? eb.laneType(word) : word;
    return {b.createOrFold<arith::TruncIOp>(loc, type, x),
            b.createOrFold<arith::TruncIOp>(loc, type, b.createOrFold<arith::ShRUIOp>(loc, x, by))};
  }
  Value join(Value low, Value high) {
    Type wide = eb.isVector(low) ? eb.laneType(b.getI64Type()) : b.getI64Type();
    Value by = eb.constantInt(b.getI64Type(), 32);
    low = arith::ExtUIOp::create(b, loc, wide, low);
    high = arith::ExtUIOp::create(b, loc, wide, high);
    eb.unify(high, by);
    return arith::OrIOp::create(b, loc, low, arith::ShLIOp::create(b, loc, high, by));
  }
  /// The number as a float: exact in f64, and in f32 below 2^24.
  Value toFloat(Value x, Type type) {
    Type target = eb.isVector(x) ? eb.laneType(type) : type;
    if (type.isF32()) // a signed conversion is one instruction everywhere; no word here has its highest bit
      return arith::SIToFPOp::create(b, loc, target, x);
    return arith::UIToFPOp::create(b, loc, target, x);
  }

  /// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
  Words philox(Words counter, Value key0, Value key1) {
    for (int round = 0; round < 10; ++round) {
      auto [low0, high0] = multiply(counter[0], 0xD2511F53);
      auto [low1, high1] = multiply(counter[2], 0xCD9E8D57);
      counter = {bitXor(bitXor(high1, counter[1]), key0), low1, bitXor(bitXor(high0, counter[3]), key1), low0};
      key0 = add(key0, constant(0x9E3779B9));
      key1 = add(key1, constant(0xBB67AE85));
    }
    return counter;
  }

private:
  std::pair<Value, Value> multiply(Value x, uint32_t factor) {
    Value by = constant(factor);
    eb.unify(x, by);
    auto product = arith::MulUIExtendedOp::create(b, loc, x, by);
    return {product.getLow(), product.getHigh()};
  }

  ElementBuilder &eb;
  OpBuilder &b;
  Location loc;
  Type word;
};

/// The numbers of the element at a position.
class RandomElement {
public:
  RandomElement(ElementBuilder &eb, Value key, LaneIndex position, Type type)
      : eb(eb), b(eb.builder()), loc(eb.getLoc()), words(eb), math(eb, type), type(type), key(words.split(key)) {
    Value index = eb.valueFromIndex(position, b.getI64Type());
    block = words.split(shifted(index, 2));
    place = words.bitAnd(words.split(index).first, 3);
  }

  /// u(i mod 4).
  Value uniform() {
    return fraction([&](const Words &of) { return pick(of); });
  }

  Value normal() {
    // Numbers 0 and 1 of the block are for its first two elements, 2 and 3 for the others.
    Value first = isZero(words.bitAnd(place, 2)), even = isZero(words.bitAnd(place, 1));
    Value v = positive([&](const Words &of) { return eb.select(first, of[0], of[2]); });
    Value u = fraction([&](const Words &of) { return eb.select(first, of[1], of[3]); });
    // sin a = cos(a - pi/2): a quarter less of a turn.
    Value turn = math.sub(u, eb.select(even, math.zero(), math.constant(0.25)));
    Value angle = math.mul(turn, math.constant(2 * std::numbers::pi));
    Value log = type.isF32() ? buildLog(b, loc, v) : Value(math::LogOp::create(b, loc, v));
    Value cosine = type.isF32() ? buildCosOfSmall(b, loc, angle) : Value(math::CosOp::create(b, loc, angle));
    Value radius = math::SqrtOp::create(b, loc, math.mul(log, math.constant(-2)));
    return math.mul(radius, cosine);
  }

private:
  using Choose = llvm::function_ref<Value(const Words &)>;

  Value shifted(Value x, int64_t count) {
    Value by = eb.constantInt(b.getI64Type(), count);
    eb.unify(x, by);
    return b.createOrFold<arith::ShRUIOp>(loc, x, by);
  }
  Value isZero(Value x) {
    Value zero = words.constant(0);
    eb.unify(x, zero);
    return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, x, zero);
  }
  Value pick(const Words &of) {
    Value isEven = isZero(words.bitAnd(place, 1)), isLower = isZero(words.bitAnd(place, 2));
    return eb.select(isLower, eb.select(isEven, of[0], of[1]), eb.select(isEven, of[2], of[3]));
  }

  /// word[c], built once.
  const Words &wordsOf(uint32_t c) {
    std::optional<Words> &known = made[c];
    if (!known) {
      Words counter{block.first, block.second, words.constant(c), words.constant(0)};
      eb.unify(counter);
      known = words.philox(counter, key.first, key.second);
    }
    return *known;
  }

  /// 0 <= u < 1 of the chosen number, in steps of 2^-24 or 2^-53.
  Value fraction(Choose choose) {
    Value high = choose(wordsOf(0));
    if (type.isF32())
      return math.mul(words.toFloat(words.shiftRight(high, 8), type), math.constant(0x1p-24));
    Value low = words.shiftRight(choose(wordsOf(1)), 11);
    Value sum = math.mulAdd(words.toFloat(high, type), math.constant(0x1p21), words.toFloat(low, type));
    return math.mul(sum, math.constant(0x1p-53));
  }

  /// 0 < v <= 1 of the chosen number, small ones with all their bits.
  Value positive(Choose choose) {
    Value high = choose(wordsOf(0));
    if (type.isF32()) {
      Value number = math.add(words.toFloat(words.shiftRight(high, 1), type), math.constant(0.5));
      return math.mul(number, math.constant(0x1p-31));
    }
    Value low = math.add(words.toFloat(choose(wordsOf(1)), type), math.constant(0.5));
    return math.mulAdd(words.toFloat(high, type), math.constant(0x1p-32), math.mul(low, math.constant(0x1p-64)));
  }

  ElementBuilder &eb;
  OpBuilder &b;
  Location loc;
  WordMath words;
  LaneMath math;
  Type type;
  std::pair<Value, Value> key, block;
  Value place; // in the block
  std::optional<Words> made[2];
};

} // namespace

FailureOr<Value> RandomKeyOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex>) {
  FailureOr<Value> seed = eb.element(getSeed(), {}), run = eb.element(getRun(), {});
  if (failed(seed) || failed(run))
    return failure();
  WordMath words(eb);
  auto [key0, key1] = words.split(*seed);
  auto [run0, run1] = words.split(*run);
  auto [stream0, stream1] = words.split(eb.sizeValue(getStream().getDim(0)));
  Words made = words.philox({run0, run1, stream0, stream1}, key0, key1);
  return words.join(made[0], made[1]);
}

/// More than is computed for each use: keys are made once, by one kernel, which nodes that draw have in common.
int64_t RandomKeyOp::elementCost() { return 60; }

StringAttr RandomKeyOp::getPlacesAttrName() { return getStreamAttrName(); }

FailureOr<Value> RandomOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  FailureOr<Value> key = eb.element(getKey(), {});
  if (failed(key))
    return failure();
  RandomElement element(eb, *key, eb.linearize(indices, eb.dims(getResult())), getElementTypeOrSelf(getType()));
  return getDistribution() == RandomDistribution::uniform ? element.uniform() : element.normal();
}

int64_t RandomOp::elementCost() {
  const int64_t blocks = getElementTypeOrSelf(getType()).isF64() ? 2 : 1;
  return 60 * blocks + (getDistribution() == RandomDistribution::normal ? 60 : 5);
}

} // namespace ds
