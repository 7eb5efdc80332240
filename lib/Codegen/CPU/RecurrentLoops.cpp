//===- RecurrentLoops.cpp - What kernels of recurrent layers share --------===//
// Guarantees: see RecurrentLoops.h.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/RecurrentLoops.h"
#include "dialects/ds/element/MathFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void RecurrentLoops::shareOut(int64_t vectors) {
  slots = vectors;
  // Rows of the register tile: accumulators, a row of weights and a state's element fit the registers.
  tallest = 8;
  int64_t perVector = llvm::divideCeil(lanes * type.getIntOrFloatBitWidth() / 8, e.getTarget().vectorBytes);
  while (tallest > 1 && (tallest * vectors + vectors + 1) * perVector > e.getTarget().vectorRegisters)
    tallest /= 2;
  // About eight calls for many sequences; each reads the weights once a step for all of its own.
  constexpr int64_t kItems = 8;
  block = SymExpr::max(SymExpr::ceilDiv(batch, tallest * kItems), 1) * SymExpr(tallest);
  blocks = SymExpr::ceilDiv(batch, block);
  SymExpr depth(gates * hidden * hidden);
  SymExpr perItem = steps * SymExpr::min(batch, block) * depth;
  e.setRange(SymExpr(directions) * blocks, SymExpr::ceilDiv(1 << 17, SymExpr::max(perItem, 1)));
}

Value RecurrentLoops::beginItem(Value number) {
  Value blockCount = e.size(blocks), perBlock = e.size(block);
  way = directions == 1 ? e.i64(0) : e.divI(number, blockCount);
  firstSequence = e.mulI(e.subI(number, e.mulI(way, blockCount)), perBlock);
  return e.minI(perBlock, e.subI(e.size(batch), firstSequence));
}

Value RecurrentLoops::reverse() {
  if (direction == Direction::bidirectional)
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, way, e.i64(0));
  return e.constantTrue(direction == Direction::reverse);
}

FailureOr<Sequence> RecurrentLoops::sequence(Value s, Value inBlock) {
  Sequence at;
  at.inBlock = inBlock;
  at.batch = e.addI(firstSequence, inBlock);
  Value length = e.size(steps);
  if (lengths) {
    auto given = e.element(lengths, {uniform(at.batch)});
    if (failed(given))
      return failure();
    // An error ends the kernel after its item: until then positions stay inside.
    LaneIndex value = e.indexFromValue(*given, /*isUnsigned=*/false);
    length = e.maxI(e.minI(value.getValue(), length), e.i64(0));
    at.active = e.lessI(s, length);
  }
  Value backward = e.subI(e.subI(length, e.i64(1)), s);
  at.time = e.select(reverse(), backward, s);
  if (at.active)
    at.time = e.select(at.active, at.time, s);
  return at;
}

LogicalResult RecurrentLoops::tiles(Value count, int64_t wide,
                                    function_ref<LogicalResult(Value, int64_t, int64_t, Value)> body) {
  auto rows = [&](Value panel, int64_t width) -> LogicalResult {
    Value whole = e.roundDown(count, tallest);
    if (failed(e.forLoop(e.i64(0), whole, tallest, [&](Value row) { return body(panel, width, tallest, row); })))
      return failure();
    Value row = whole;
    for (int64_t height = tallest / 2; height >= 1 && !batch.isDivisibleBy(tallest); height /= 2) {
      Value fits = b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::sle, e.addI(row, e.i64(height)), count);
      if (failed(e.ifThen(fits, [&] { return body(panel, width, height, row); })))
        return failure();
      row = b.createOrFold<arith::SelectOp>(loc, fits, e.addI(row, e.i64(height)), row);
    }
    return success();
  };
  int64_t rest = panels % wide;
  if (failed(e.forLoop(e.i64(0), e.i64(panels - rest), wide, [&](Value panel) { return rows(panel, wide); })))
    return failure();
  return rest == 0 ? success() : rows(e.i64(panels - rest), rest);
}

LogicalResult RecurrentLoops::multiply(int64_t height, int64_t count, int64_t depth, Value rows, int64_t stride,
                                       int64_t slot, function_ref<FailureOr<Value>(int64_t, Value)> weights) {
  auto multiplyStep = [&](Value k, MutableArrayRef<Value> sums) -> LogicalResult {
    SmallVector<Value> right;
    for (int64_t g = 0; g < count; ++g) {
      auto vector = weights(g, k);
      if (failed(vector))
        return failure();
      right.push_back(e.broadcast(*vector));
    }
    for (int64_t i = 0; i < height; ++i) {
      Value left = e.loadAt(memory(rows), uniform(e.addI(k, e.i64(i * stride))));
      left = e.broadcast(left);
      for (int64_t g = 0; g < count; ++g)
        sums[i * count + g] = vector::FMAOp::create(b, loc, left, right[g], sums[i * count + g]);
    }
    return success();
  };
  // Few sums at once: alternate steps of the depth are summed apart, which hides the latency of additions.
  int64_t chains = 1;
  while (chains * height * count < 8 && depth % (2 * chains) == 0)
    chains *= 2;
  int64_t sumCount = height * count;
  SmallVector<Value> init(sumCount * chains, e.broadcast(zero()));
  auto sums =
      e.forLoop(e.i64(0), e.i64(depth), chains, init, [&](Value k, ValueRange state) -> FailureOr<SmallVector<Value>> {
        SmallVector<Value> next(state);
        for (int64_t c = 0; c < chains; ++c)
          if (failed(multiplyStep(e.addI(k, e.i64(c)), MutableArrayRef<Value>(next).slice(c * sumCount, sumCount))))
            return failure();
        return next;
      });
  if (failed(sums))
    return failure();
  for (int64_t c = chains; c > 1; c /= 2)
    for (int64_t i = 0; i < sumCount * c / 2; ++i)
      (*sums)[i] = arith::AddFOp::create(b, loc, (*sums)[i], (*sums)[i + sumCount * c / 2]);
  for (int64_t i = 0; i < height; ++i)
    for (int64_t g = 0; g < count; ++g)
      e.storeAt(memory(tilePointer), LaneIndex::consecutive(e.i64((i * slots + slot + g) * lanes)),
                (*sums)[i * count + g]);
  return success();
}

LogicalResult RecurrentLoops::finish(Value s, int64_t height, Value row, Value panel,
                                     function_ref<LogicalResult(const Sequence &, Value, LaneIndex)> body) {
  Value unit = e.mulI(panel, e.i64(lanes));
  return e.forLoop(e.i64(0), e.i64(height), 1, [&](Value i) -> LogicalResult {
    auto at = sequence(s, e.addI(row, i));
    if (failed(at))
      return failure();
    if (hidden % lanes != 0)
      e.setMask(e.lanesBelow(unit, e.i64(hidden)));
    return body(*at, i, LaneIndex::consecutive(unit));
  });
}

LogicalResult RecurrentLoops::fillState(Value initial, Value pointer, Value inBlock) {
  Value sequence = e.addI(firstSequence, inBlock);
  return e.vectorLoop(e.i64(0), e.i64(hidden), [&](LaneIndex unit) -> LogicalResult {
    Value value = e.broadcast(zero());
    if (initial) {
      auto given = e.element(initial, {uniform(way), uniform(sequence), unit});
      if (failed(given))
        return failure();
      value = *given;
    }
    // The units that fill the last vector are 0, so that no arithmetic on them is slow.
    if (Value live = e.getMask()) {
      value = e.select(live, value, zero());
      e.setMask(Value());
    }
    e.storeAt(memory(pointer), at(inBlock, unit), value);
    return success();
  });
}

FailureOr<Value> RecurrentLoops::input(const Sequence &at, int64_t gate, LaneIndex unit) {
  Value first = e.addI(e.mulI(way, e.i64(gates * hidden)), e.i64(gate * hidden));
  return e.element(x, {uniform(at.time), uniform(at.batch), e.add(unit, uniform(first))});
}

FailureOr<Value> RecurrentLoops::peephole(Value p, int64_t gate, LaneIndex unit) {
  return e.element(p, {uniform(way), e.add(unit, gate * hidden)});
}

Value RecurrentLoops::fromTile(Value tileRow, Value slot) {
  Value position = e.mulI(e.addI(e.mulI(tileRow, e.i64(slots)), slot), e.i64(lanes));
  return e.loadAt(memory(tilePointer), LaneIndex::consecutive(position));
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

Value RecurrentLoops::limited(Value x) {
  if (!clip)
    return x;
  return m.max(m.min(x, m.constant(*clip)), m.constant(-*clip));
}

Value RecurrentLoops::choose(int64_t function, function_ref<Value(int64_t)> build) {
  Value forward = build(function);
  if (directions == 1)
    return forward;
  int64_t other = functionCount + function;
  if (functions[function] == functions[other] && alphas[function] == alphas[other] && betas[function] == betas[other])
    return forward;
  return e.select(reverse(), build(other), forward);
}

Value RecurrentLoops::activate(int64_t function, Value x) {
  return choose(function, [&](int64_t index) { return activation(index, x); });
}

Value RecurrentLoops::slope(int64_t function, Value x, Value y) {
  return choose(function, [&](int64_t index) { return derivative(index, x, y); });
}

bool RecurrentLoops::slopeNeedsArgument(int64_t function) {
  auto needs = [&](StringRef name) {
    return name == "leaky_relu" || name == "thresholded_relu" || name == "scaled_tanh" || name == "elu" ||
           name == "softplus";
  };
  return needs(functions[function]) || (directions == 2 && needs(functions[functionCount + function]));
}

Value RecurrentLoops::exp(Value x) { return type.isF32() ? buildExp(b, loc, x) : buildExp64(b, loc, x); }
Value RecurrentLoops::tanh(Value x) { return type.isF32() ? buildTanh(b, loc, x) : buildTanh64(b, loc, x); }

Value RecurrentLoops::sigmoid(Value x) {
  return type.isF32() ? buildSigmoid(b, loc, x) : m.div(one(), m.add(one(), exp(arith::NegFOp::create(b, loc, x))));
}

Value RecurrentLoops::activation(int64_t index, Value x) {
  StringRef name = functions[index];
  x = e.broadcast(x);
  Value alpha = m.constant(alphas[index]), beta = m.constant(betas[index]);
  auto compare = [&](ComparePredicate predicate, Value y, Value z) { return m.compare(predicate, y, z); };
  auto negated = [&](Value y) -> Value { return arith::NegFOp::create(b, loc, y); };
  auto magnitude = [&](Value y) -> Value { return math::AbsFOp::create(b, loc, y); };
  if (name == "sigmoid")
    return sigmoid(x);
  if (name == "tanh")
    return tanh(x);
  if (name == "relu")
    return m.max(x, m.zero());
  if (name == "affine")
    return m.mulAdd(x, alpha, beta);
  if (name == "leaky_relu")
    return e.select(compare(ComparePredicate::lt, x, m.zero()), m.mul(x, alpha), x);
  if (name == "thresholded_relu")
    return e.select(compare(ComparePredicate::gt, x, alpha), x, m.zero());
  if (name == "scaled_tanh")
    return m.mul(alpha, tanh(e.broadcast(m.mul(x, beta))));
  if (name == "hard_sigmoid")
    return m.max(m.min(m.mulAdd(x, alpha, beta), m.one()), m.zero());
  if (name == "elu")
    return e.select(compare(ComparePredicate::lt, x, m.zero()), m.mul(alpha, m.sub(exp(x), m.one())), x);
  if (name == "softsign")
    return m.div(x, m.add(m.one(), magnitude(x)));
  assert(name == "softplus" && "the verifier knows all names");
  Value tail = m.add(m.one(), exp(negated(magnitude(x))));
  return m.add(m.max(x, m.zero()), type.isF32() ? buildLog(b, loc, tail) : Value(math::LogOp::create(b, loc, tail)));
}

/// At kinks, that of the side where the function is constant, or else the left one.
Value RecurrentLoops::derivative(int64_t index, Value x, Value y) {
  StringRef name = functions[index];
  y = e.broadcast(y);
  if (x)
    x = e.broadcast(x);
  Value alpha = m.constant(alphas[index]), beta = m.constant(betas[index]);
  auto where = [&](ComparePredicate predicate, Value a, Value limit, Value then, Value otherwise) {
    return e.select(m.compare(predicate, a, limit), e.broadcast(then), e.broadcast(otherwise));
  };
  if (name == "sigmoid")
    return m.mul(y, m.sub(m.one(), y));
  if (name == "tanh")
    return m.sub(m.one(), m.mul(y, y));
  if (name == "relu")
    return where(ComparePredicate::gt, y, m.zero(), m.one(), m.zero());
  if (name == "affine")
    return e.broadcast(alpha);
  if (name == "leaky_relu")
    return where(ComparePredicate::gt, x, m.zero(), m.one(), alpha);
  if (name == "thresholded_relu")
    return where(ComparePredicate::gt, x, alpha, m.one(), m.zero());
  if (name == "scaled_tanh") {
    Value t = tanh(e.broadcast(m.mul(x, beta)));
    return m.mul(m.mul(alpha, beta), m.sub(m.one(), m.mul(t, t)));
  }
  if (name == "hard_sigmoid")
    return where(ComparePredicate::gt, m.mul(y, m.sub(m.one(), y)), m.zero(), alpha, m.zero());
  if (name == "elu")
    return where(ComparePredicate::lt, x, m.zero(), m.add(y, alpha), m.one());
  if (name == "softsign") {
    Value rest = m.sub(m.one(), Value(math::AbsFOp::create(b, loc, y))); // 1 / (1 + |x|)
    return m.mul(rest, rest);
  }
  assert(name == "softplus" && "the verifier knows all names");
  return sigmoid(x);
}

} // namespace ds
