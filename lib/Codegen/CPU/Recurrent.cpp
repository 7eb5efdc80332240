//===- Recurrent.cpp - Kernels whose root is lstm, gru or rnn -------------===//
// Assumes: recurrent weights packed in panels of one vector (ds-pack); the root stands alone.
// Guarantees: one call computes some sequences of one direction over all steps. A step goes over the panels of hidden
//   units: the product of the states with all gates' panels in a register tile, then the gates' arithmetic on vectors
//   of units while the tile is in the first-level cache. States lie in the worker's scratch, two of each, old and new.
//   A GRU that resets before its product goes over the panels twice.
// The loops, outside in: items (direction, block of sequences); steps; panels; tiles of sequences; depth; sequences.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/LaneMath.h"
#include "dialects/ds/element/MathFunctions.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ds {

namespace {

/// A sequence at a step.
struct Sequence {
  Value inBlock, batch, time;
  Value active; // i1: the step is within its length; null if it always is
};

class RecurrentEmitter {
public:
  RecurrentEmitter(CpuKernelEmitter &e, Operation *root)
      : e(e), b(e.builder()), loc(e.getLoc()), root(root), element(getElementTypeOrSelf(root->getResult(0).getType())),
        type(ElementBuilder::computeType(element)), m(e, element) {}

  LogicalResult emit();

private:
  template <typename OpTy> void describe(OpTy op);
  void shareOut();

  LogicalResult item(Value number);
  LogicalResult start(Value count);
  LogicalResult step(Value s, Value count);
  /// body(panel, height, first row) for every register tile of a step.
  LogicalResult tiles(Value count, function_ref<LogicalResult(Value, int64_t, Value)> body);
  /// `height` rows from `row` of `left` times the panels of gates [first, first + count), to the tile.
  LogicalResult multiply(int64_t height, Value row, Value left, Value panel, int64_t first, int64_t count);
  FailureOr<Sequence> sequence(Value s, Value inBlock);
  /// finish(sequence, tile row, unit) for the rows of a tile, masked where a panel has fewer units.
  LogicalResult finish(Value s, int64_t height, Value row, Value panel,
                       function_ref<LogicalResult(const Sequence &, Value, LaneIndex)> body);
  LogicalResult store();

  // Cells: the new state of `unit` (a vector of hidden units), from the tile's row.
  FailureOr<Value> lstm(const Sequence &at, Value tileRow, LaneIndex unit);
  FailureOr<Value> gruLinear(const Sequence &at, Value tileRow, LaneIndex unit);
  LogicalResult gruReset(const Sequence &at, Value tileRow, LaneIndex unit);
  FailureOr<Value> gruAfterReset(const Sequence &at, Value tileRow, LaneIndex unit);
  FailureOr<Value> rnn(const Sequence &at, Value tileRow, LaneIndex unit);
  LogicalResult keep(const Sequence &at, LaneIndex unit, FailureOr<Value> state);

  /// The argument of `gate`: what the tile has, and the input's half.
  FailureOr<Value> argument(const Sequence &at, Value tileRow, int64_t gate, LaneIndex unit);
  FailureOr<Value> input(const Sequence &at, int64_t gate, LaneIndex unit);
  Value fromTile(Value tileRow, int64_t gate);
  FailureOr<Value> peephole(int64_t gate, LaneIndex unit);
  Value limited(Value x);
  Value activate(int64_t function, Value x);
  Value activation(int64_t index, Value x);

  MemoryRef memory(Value pointer) { return {pointer, type}; }
  LaneIndex at(Value inBlock, LaneIndex unit) { return e.add(unit, uniform(e.mulI(inBlock, e.i64(padded)))); }
  static LaneIndex uniform(Value index) { return LaneIndex::uniform(index); }
  Value one() { return e.constantFloat(type, 1.0); }
  Value reverse();

  CpuKernelEmitter &e;
  OpBuilder &b;
  Location loc;
  Operation *root;
  Type element, type;
  LaneMath m;

  Value x, r, rBias, lengths, h0, c0, p;
  bool linear = false, couple = false;
  Direction direction = Direction::forward;
  SmallVector<StringRef> functions;
  ArrayRef<double> alphas, betas;
  std::optional<double> clip;
  int64_t gates = 0, functionCount = 0, hidden = 0, padded = 0, panels = 0, directions = 0, lanes = 0, tallest = 0;
  SymExpr steps, batch, block, blocks;

  // While an item is built.
  Value way, firstSequence;
  Value oldState, newState, cells, updates, resets, tilePointer, states;
};

} // namespace

//===----------------------------------------------------------------------===//
// What the root says
//===----------------------------------------------------------------------===//

template <typename OpTy> void RecurrentEmitter::describe(OpTy op) {
  x = op.getX();
  r = op.getR();
  lengths = op.getLengths();
  h0 = op.getH0();
  hidden = op.getHidden();
  direction = op.getDirection();
  directions = op.getDirections();
  gates = OpTy::kGates;
  functionCount = OpTy::kFunctions;
  for (auto name : op.getActivations().template getAsRange<StringAttr>())
    functions.push_back(name.getValue());
  alphas = op.getAlphas();
  betas = op.getBetas();
  if (std::optional<APFloat> limit = op.getClip())
    clip = limit->convertToDouble();
  SymDims dims = e.dimsOf(x);
  steps = dims[0];
  batch = dims[1];
}

void RecurrentEmitter::shareOut() {
  // Rows of the register tile: accumulators, a row of weights and a state's element fit the registers.
  tallest = 8;
  int64_t perVector = llvm::divideCeil(lanes * type.getIntOrFloatBitWidth() / 8, e.getTarget().vectorBytes);
  while (tallest > 1 && (tallest * gates + gates + 1) * perVector > e.getTarget().vectorRegisters)
    tallest /= 2;
  // About eight calls for many sequences; each reads the weights once a step for all of its own.
  constexpr int64_t kItems = 8;
  block = SymExpr::max(SymExpr::ceilDiv(batch, tallest * kItems), 1) * SymExpr(tallest);
  blocks = SymExpr::ceilDiv(batch, block);
  SymExpr depth(gates * hidden * hidden);
  SymExpr perItem = steps * SymExpr::min(batch, block) * depth;
  e.setRange(SymExpr(directions) * blocks, SymExpr::ceilDiv(1 << 17, SymExpr::max(perItem, 1)));
}

LogicalResult RecurrentEmitter::emit() {
  llvm::TypeSwitch<Operation *>(root).Case<LstmOp, GruOp, RnnOp>([&](auto op) { describe(op); });
  if (auto lstm = dyn_cast<LstmOp>(root)) {
    c0 = lstm.getC0();
    p = lstm.getP();
    couple = lstm.getCouple();
  } else if (auto gru = dyn_cast<GruOp>(root)) {
    rBias = gru.getRBias();
    linear = gru.getLinearBeforeReset();
  }
  lanes = e.getWidth();
  SymDims packed = e.dimsOf(r);
  if (packed.size() != 5 || !packed[4].isConst(lanes))
    return root->emitOpError() << "expected recurrent weights packed in panels of " << lanes;
  panels = packed[2].getConst();
  padded = panels * lanes;
  inlineOthers(e, root);
  shareOut();
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  SymExpr stateBytes = SymExpr(bytes * padded) * block;
  tilePointer = e.scratch(SymExpr(bytes * tallest * gates * lanes));
  states = e.scratch(SymExpr(2) * stateBytes);
  if (isa<LstmOp>(root))
    cells = e.scratch(stateBytes);
  if (isa<GruOp>(root) && !linear) {
    updates = e.scratch(stateBytes);
    resets = e.scratch(stateBytes);
  }
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value number) { return item(number); });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

Value RecurrentEmitter::reverse() {
  if (direction == Direction::bidirectional)
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, way, e.i64(0));
  return e.constantTrue(direction == Direction::reverse);
}

LogicalResult RecurrentEmitter::item(Value number) {
  Value blockCount = e.size(blocks), perBlock = e.size(block);
  way = directions == 1 ? e.i64(0) : e.divI(number, blockCount);
  firstSequence = e.mulI(e.subI(number, e.mulI(way, blockCount)), perBlock);
  Value count = e.minI(perBlock, e.subI(e.size(batch), firstSequence));
  if (failed(start(count)))
    return failure();
  Value stateSize = e.mulI(perBlock, e.i64(padded));
  if (failed(e.forLoop(e.i64(0), e.size(steps), 1, [&](Value s) {
        // Even steps read the first of the two states.
        Value odd = e.remI(s, e.i64(2)), even = e.subI(e.i64(1), odd);
        oldState = e.advance(states, type, e.mulI(odd, stateSize));
        newState = e.advance(states, type, e.mulI(even, stateSize));
        return step(s, count);
      })))
    return failure();
  Value last = e.advance(states, type, e.mulI(e.remI(e.size(steps), e.i64(2)), stateSize));
  return e.forLoop(e.i64(0), count, 1, [&](Value i) {
    Value sequence = e.addI(firstSequence, i);
    return e.vectorLoop(e.i64(0), e.i64(hidden), [&](LaneIndex unit) -> LogicalResult {
      LaneIndex target = e.linearize({uniform(way), uniform(sequence), unit}, e.dimsOf(root->getResult(1)));
      e.storeAt(e.result(1), target, e.loadAt(memory(last), at(i, unit)));
      if (cells)
        e.storeAt(e.result(2), target, e.loadAt(memory(cells), at(i, unit)));
      return success();
    });
  });
}

LogicalResult RecurrentEmitter::start(Value count) {
  return e.forLoop(e.i64(0), count, 1, [&](Value i) -> LogicalResult {
    Value sequence = e.addI(firstSequence, i);
    if (lengths) {
      auto length = e.element(lengths, {uniform(sequence)});
      if (failed(length))
        return failure();
      LaneIndex value = e.indexFromValue(*length, /*isUnsigned=*/false);
      Value inRange = e.logicalAnd(e.lessEqual(e.constantIndex(0), value), e.lessEqual(value, uniform(e.size(steps))));
      e.raiseIf(e.logicalNot(inRange), KernelError::IndexOutOfRange);
    }
    auto fill = [&](Value initial, Value pointer) -> LogicalResult {
      return e.vectorLoop(e.i64(0), e.i64(hidden), [&](LaneIndex unit) -> LogicalResult {
        Value value = e.broadcast(e.constantFloat(type, 0.0));
        if (initial) {
          auto given = e.element(initial, {uniform(way), uniform(sequence), unit});
          if (failed(given))
            return failure();
          value = *given;
        }
        // The units that fill the last vector are 0, so that no arithmetic on them is slow.
        if (Value live = e.getMask()) {
          value = e.select(live, value, e.constantFloat(type, 0.0));
          e.setMask(Value());
        }
        e.storeAt(memory(pointer), at(i, unit), value);
        return success();
      });
    };
    if (failed(fill(h0, states)))
      return failure();
    return cells ? fill(c0, cells) : success();
  });
}

LogicalResult RecurrentEmitter::tiles(Value count, function_ref<LogicalResult(Value, int64_t, Value)> body) {
  return e.forLoop(e.i64(0), e.i64(panels), 1, [&](Value panel) -> LogicalResult {
    Value whole = e.roundDown(count, tallest);
    if (failed(e.forLoop(e.i64(0), whole, tallest, [&](Value row) { return body(panel, tallest, row); })))
      return failure();
    Value row = whole;
    for (int64_t height = tallest / 2; height >= 1 && !batch.isDivisibleBy(tallest); height /= 2) {
      Value fits = b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::sle, e.addI(row, e.i64(height)), count);
      if (failed(e.ifThen(fits, [&] { return body(panel, height, row); })))
        return failure();
      row = b.createOrFold<arith::SelectOp>(loc, fits, e.addI(row, e.i64(height)), row);
    }
    return success();
  });
}

LogicalResult RecurrentEmitter::step(Value s, Value count) {
  using Cell = FailureOr<Value> (RecurrentEmitter::*)(const Sequence &, Value, LaneIndex);
  auto pass = [&](Value left, int64_t first, int64_t gateCount, Cell cell) {
    return tiles(count, [&](Value panel, int64_t height, Value row) -> LogicalResult {
      if (failed(multiply(height, row, left, panel, first, gateCount)))
        return failure();
      return finish(s, height, row, panel, [&](const Sequence &at, Value tileRow, LaneIndex unit) {
        return cell ? keep(at, unit, (this->*cell)(at, tileRow, unit)) : gruReset(at, tileRow, unit);
      });
    });
  };
  if (isa<LstmOp>(root))
    return pass(oldState, 0, 4, &RecurrentEmitter::lstm);
  if (isa<RnnOp>(root))
    return pass(oldState, 0, 1, &RecurrentEmitter::rnn);
  if (linear)
    return pass(oldState, 0, 3, &RecurrentEmitter::gruLinear);
  // All units are reset before the first of the product is known.
  if (failed(pass(oldState, 0, 2, nullptr)))
    return failure();
  return pass(resets, 2, 1, &RecurrentEmitter::gruAfterReset);
}

LogicalResult RecurrentEmitter::multiply(int64_t height, Value row, Value left, Value panel, int64_t first,
                                         int64_t count) {
  Value rows = e.advance(left, type, e.mulI(row, e.i64(padded)));
  SmallVector<Value> gatePanels;
  bool direct = e.isArgument(r);
  for (int64_t g = 0; g < count && direct; ++g) {
    Value matrix = e.addI(e.mulI(way, e.i64(gates)), e.i64(first + g));
    Value number = e.addI(e.mulI(matrix, e.i64(panels)), panel);
    MemoryRef weights = e.argument(r);
    gatePanels.push_back(e.advance(weights.pointer, weights.elementType, e.mulI(number, e.i64(hidden * lanes))));
  }
  auto weights = [&](int64_t g, Value k) -> FailureOr<Value> {
    if (direct)
      return e.loadAt({gatePanels[g], element}, LaneIndex::consecutive(e.mulI(k, e.i64(lanes))));
    return e.element(
        r, {uniform(way), e.constantIndex(first + g), uniform(panel), uniform(k), LaneIndex::consecutive(e.i64(0))});
  };
  auto multiplyStep = [&](Value k, MutableArrayRef<Value> sums) -> LogicalResult {
    SmallVector<Value> right;
    for (int64_t g = 0; g < count; ++g) {
      auto vector = weights(g, k);
      if (failed(vector))
        return failure();
      right.push_back(e.broadcast(*vector));
    }
    for (int64_t i = 0; i < height; ++i) {
      Value state = e.loadAt(memory(rows), uniform(e.addI(k, e.i64(i * padded))));
      state = e.broadcast(state);
      for (int64_t g = 0; g < count; ++g)
        sums[i * count + g] = vector::FMAOp::create(b, loc, state, right[g], sums[i * count + g]);
    }
    return success();
  };
  // Few sums at once: alternate steps of the depth are summed apart, which hides the latency of additions.
  int64_t chains = 1;
  while (chains * height * count < 8 && hidden % (2 * chains) == 0)
    chains *= 2;
  int64_t sumCount = height * count;
  SmallVector<Value> init(sumCount * chains, e.broadcast(e.constantFloat(type, 0.0)));
  auto sums =
      e.forLoop(e.i64(0), e.i64(hidden), chains, init, [&](Value k, ValueRange state) -> FailureOr<SmallVector<Value>> {
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
      e.storeAt(memory(tilePointer), LaneIndex::consecutive(e.i64((i * gates + first + g) * lanes)),
                (*sums)[i * count + g]);
  return success();
}

FailureOr<Sequence> RecurrentEmitter::sequence(Value s, Value inBlock) {
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

LogicalResult RecurrentEmitter::finish(Value s, int64_t height, Value row, Value panel,
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

LogicalResult RecurrentEmitter::keep(const Sequence &seq, LaneIndex unit, FailureOr<Value> state) {
  if (failed(state))
    return failure();
  Value kept = *state, shown = *state;
  if (seq.active) {
    kept = e.select(seq.active, kept, e.loadAt(memory(oldState), at(seq.inBlock, unit)));
    shown = e.select(seq.active, shown, e.constantFloat(type, 0.0));
  }
  LaneIndex target =
      e.linearize({uniform(seq.time), uniform(way), uniform(seq.batch), unit}, e.dimsOf(root->getResult(0)));
  e.storeAt(e.result(0), target, shown);
  e.setMask(Value());
  e.storeAt(memory(newState), at(seq.inBlock, unit), kept);
  return success();
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

FailureOr<Value> RecurrentEmitter::input(const Sequence &at, int64_t gate, LaneIndex unit) {
  Value first = e.addI(e.mulI(way, e.i64(gates * hidden)), e.i64(gate * hidden));
  return e.element(x, {uniform(at.time), uniform(at.batch), e.add(unit, uniform(first))});
}

Value RecurrentEmitter::fromTile(Value tileRow, int64_t gate) {
  Value position = e.addI(e.mulI(tileRow, e.i64(gates * lanes)), e.i64(gate * lanes));
  return e.loadAt(memory(tilePointer), LaneIndex::consecutive(position));
}

FailureOr<Value> RecurrentEmitter::argument(const Sequence &at, Value tileRow, int64_t gate, LaneIndex unit) {
  auto half = input(at, gate, unit);
  if (failed(half))
    return failure();
  return m.add(*half, fromTile(tileRow, gate));
}

FailureOr<Value> RecurrentEmitter::peephole(int64_t gate, LaneIndex unit) {
  return e.element(p, {uniform(way), e.add(unit, gate * hidden)});
}

FailureOr<Value> RecurrentEmitter::lstm(const Sequence &seq, Value tileRow, LaneIndex unit) {
  constexpr int64_t kInput = 0, kOutput = 1, kForget = 2, kCell = 3;
  Value oldCell = e.loadAt(memory(cells), at(seq.inBlock, unit));
  SmallVector<Value, 4> z;
  for (int64_t gate = 0; gate < gates; ++gate) {
    auto value = argument(seq, tileRow, gate, unit);
    if (failed(value))
      return failure();
    z.push_back(*value);
  }
  auto peek = [&](int64_t gate, Value cell) -> LogicalResult {
    if (!p)
      return success();
    auto weight = peephole(gate, unit);
    if (failed(weight))
      return failure();
    z[gate] = m.mulAdd(*weight, cell, z[gate]);
    return success();
  };
  if (failed(peek(kInput, oldCell)) || failed(peek(kForget, oldCell)))
    return failure();
  Value inGate = activate(0, limited(z[kInput]));
  Value forget = couple ? m.sub(one(), inGate) : activate(0, limited(z[kForget]));
  Value candidate = activate(1, limited(z[kCell]));
  Value cell = m.mulAdd(forget, oldCell, m.mul(inGate, candidate));
  if (failed(peek(kOutput, cell)))
    return failure();
  Value outGate = activate(0, limited(z[kOutput]));
  Value kept = seq.active ? e.select(seq.active, cell, oldCell) : cell;
  e.storeAt(memory(cells), at(seq.inBlock, unit), kept);
  return m.mul(outGate, activate(2, cell));
}

/// (1 - z) * n + z * h.
static Value blend(LaneMath &m, Value one, Value z, Value n, Value h) {
  return m.add(m.mul(m.sub(one, z), n), m.mul(z, h));
}

FailureOr<Value> RecurrentEmitter::gruLinear(const Sequence &seq, Value tileRow, LaneIndex unit) {
  auto z = argument(seq, tileRow, 0, unit), reset = argument(seq, tileRow, 1, unit), half = input(seq, 2, unit);
  if (failed(z) || failed(reset) || failed(half))
    return failure();
  Value recurrent = fromTile(tileRow, 2);
  if (rBias) {
    auto bias = e.element(rBias, {uniform(way), unit});
    if (failed(bias))
      return failure();
    recurrent = m.add(recurrent, *bias);
  }
  Value update = activate(0, limited(*z)), gate = activate(0, limited(*reset));
  Value candidate = activate(1, limited(m.mulAdd(gate, recurrent, *half)));
  return blend(m, one(), update, candidate, e.loadAt(memory(oldState), at(seq.inBlock, unit)));
}

LogicalResult RecurrentEmitter::gruReset(const Sequence &seq, Value tileRow, LaneIndex unit) {
  auto z = argument(seq, tileRow, 0, unit), reset = argument(seq, tileRow, 1, unit);
  if (failed(z) || failed(reset))
    return failure();
  e.setMask(Value());
  LaneIndex position = at(seq.inBlock, unit);
  e.storeAt(memory(updates), position, activate(0, limited(*z)));
  Value state = e.loadAt(memory(oldState), position);
  e.storeAt(memory(resets), position, m.mul(activate(0, limited(*reset)), state));
  return success();
}

FailureOr<Value> RecurrentEmitter::gruAfterReset(const Sequence &seq, Value tileRow, LaneIndex unit) {
  auto z = argument(seq, tileRow, 2, unit);
  if (failed(z))
    return failure();
  LaneIndex position = at(seq.inBlock, unit);
  Value candidate = activate(1, limited(*z));
  return blend(m, one(), e.loadAt(memory(updates), position), candidate, e.loadAt(memory(oldState), position));
}

FailureOr<Value> RecurrentEmitter::rnn(const Sequence &seq, Value tileRow, LaneIndex unit) {
  auto z = argument(seq, tileRow, 0, unit);
  if (failed(z))
    return failure();
  return activate(0, limited(*z));
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

Value RecurrentEmitter::limited(Value x) {
  if (!clip)
    return x;
  return m.max(m.min(x, m.constant(*clip)), m.constant(-*clip));
}

Value RecurrentEmitter::activate(int64_t function, Value x) {
  Value forward = activation(function, x);
  if (directions == 1)
    return forward;
  int64_t other = functionCount + function;
  if (functions[function] == functions[other] && alphas[function] == alphas[other] && betas[function] == betas[other])
    return forward;
  return e.select(reverse(), activation(other, x), forward);
}

Value RecurrentEmitter::activation(int64_t index, Value x) {
  StringRef name = functions[index];
  x = e.broadcast(x);
  Value alpha = m.constant(alphas[index]), beta = m.constant(betas[index]);
  auto compare = [&](ComparePredicate predicate, Value y, Value z) { return m.compare(predicate, y, z); };
  auto exp = [&](Value y) { return type.isF32() ? buildExp(b, loc, y) : Value(math::ExpOp::create(b, loc, y)); };
  auto tanh = [&](Value y) { return type.isF32() ? buildTanh(b, loc, y) : Value(math::TanhOp::create(b, loc, y)); };
  auto negated = [&](Value y) -> Value { return arith::NegFOp::create(b, loc, y); };
  auto magnitude = [&](Value y) -> Value { return math::AbsFOp::create(b, loc, y); };
  if (name == "sigmoid")
    return type.isF32() ? buildSigmoid(b, loc, x) : m.div(one(), m.add(one(), exp(negated(x))));
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

LogicalResult emitRecurrent(CpuKernelEmitter &e, Operation *root) { return RecurrentEmitter(e, root).emit(); }

} // namespace ds
