//===- Recurrent.cpp - Kernels whose root is lstm, gru or rnn -------------===//
// Assumes: see RecurrentLoops.h.
// Guarantees: a step multiplies the states with all gates' panels, and then does the gates' arithmetic. There are two
//   states of each sequence, old and new. A GRU that resets before its product goes over the panels twice.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/RecurrentLoops.h"
#include "lib/Codegen/CPU/Rows.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ds {

namespace {

class RecurrentEmitter : RecurrentLoops {
public:
  RecurrentEmitter(CpuKernelEmitter &e, Operation *root) : RecurrentLoops(e, root) {}
  LogicalResult emit();

private:
  LogicalResult item(Value number);
  LogicalResult start(Value count);
  LogicalResult step(Value s, Value count);
  /// `height` rows from `row` of `left` times the panels of gates [first, first + count), to the tile.
  LogicalResult multiplyGates(int64_t height, Value row, Value left, Value panel, int64_t first, int64_t count);

  // Cells: the new state of `unit` (a vector of hidden units), from the tile's row.
  FailureOr<Value> lstm(const Sequence &at, Value tileRow, LaneIndex unit);
  FailureOr<Value> gruLinear(const Sequence &at, Value tileRow, LaneIndex unit);
  LogicalResult gruReset(const Sequence &at, Value tileRow, LaneIndex unit);
  FailureOr<Value> gruAfterReset(const Sequence &at, Value tileRow, LaneIndex unit);
  FailureOr<Value> rnn(const Sequence &at, Value tileRow, LaneIndex unit);
  LogicalResult keep(const Sequence &at, LaneIndex unit, FailureOr<Value> state);

  /// The argument of `gate`: what the tile has, and the input's half.
  FailureOr<Value> argument(const Sequence &at, Value tileRow, int64_t gate, LaneIndex unit);
  Value fromTile(Value tileRow, int64_t gate) { return RecurrentLoops::fromTile(tileRow, e.i64(gate)); }

  Value rBias, h0, c0, p;
  bool linear = false, couple = false;

  // While an item is built.
  Value oldState, newState, cells, updates, resets, states;
};

} // namespace

LogicalResult RecurrentEmitter::emit() {
  llvm::TypeSwitch<Operation *>(root).Case<LstmOp, GruOp, RnnOp>([&](auto op) {
    describe(op);
    h0 = op.getH0();
  });
  if (auto lstm = dyn_cast<LstmOp>(root)) {
    c0 = lstm.getC0();
    p = lstm.getP();
    couple = lstm.getCouple();
  } else if (auto gru = dyn_cast<GruOp>(root)) {
    rBias = gru.getRBias();
    linear = gru.getLinearBeforeReset();
  }
  SymDims packed = e.dimsOf(r);
  if (packed.size() != 5 || !packed[4].isConst(lanes))
    return root->emitOpError() << "expected recurrent weights packed in panels of " << lanes;
  inlineOthers(e, root);
  shareOut(gates);
  SymExpr stateBytes = bytes(padded) * block;
  tilePointer = e.scratch(bytes(tallest * gates * lanes));
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

LogicalResult RecurrentEmitter::item(Value number) {
  Value count = beginItem(number);
  if (failed(start(count)))
    return failure();
  Value stateSize = e.mulI(e.size(block), e.i64(padded));
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
    if (lengths) {
      auto length = e.element(lengths, {uniform(e.addI(firstSequence, i))});
      if (failed(length))
        return failure();
      LaneIndex value = e.indexFromValue(*length, /*isUnsigned=*/false);
      Value inRange = e.logicalAnd(e.lessEqual(e.constantIndex(0), value), e.lessEqual(value, uniform(e.size(steps))));
      e.raiseIf(e.logicalNot(inRange), KernelError::IndexOutOfRange);
    }
    if (failed(fillState(h0, states, i)))
      return failure();
    return cells ? fillState(c0, cells, i) : success();
  });
}

LogicalResult RecurrentEmitter::step(Value s, Value count) {
  using Cell = FailureOr<Value> (RecurrentEmitter::*)(const Sequence &, Value, LaneIndex);
  auto pass = [&](Value left, int64_t first, int64_t gateCount, Cell cell) {
    return tiles(count, /*wide=*/1, [&](Value panel, int64_t, int64_t height, Value row) -> LogicalResult {
      if (failed(multiplyGates(height, row, left, panel, first, gateCount)))
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

LogicalResult RecurrentEmitter::multiplyGates(int64_t height, Value row, Value left, Value panel, int64_t first,
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
  return multiply(height, count, hidden, rows, padded, first, weights);
}

LogicalResult RecurrentEmitter::keep(const Sequence &seq, LaneIndex unit, FailureOr<Value> state) {
  if (failed(state))
    return failure();
  Value kept = *state, shown = *state;
  if (seq.active) {
    kept = e.select(seq.active, kept, e.loadAt(memory(oldState), at(seq.inBlock, unit)));
    shown = e.select(seq.active, shown, zero());
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

FailureOr<Value> RecurrentEmitter::argument(const Sequence &at, Value tileRow, int64_t gate, LaneIndex unit) {
  auto half = input(at, gate, unit);
  if (failed(half))
    return failure();
  return m.add(*half, fromTile(tileRow, gate));
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
    auto weight = peephole(p, gate, unit);
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

LogicalResult emitRecurrent(CpuKernelEmitter &e, Operation *root) { return RecurrentEmitter(e, root).emit(); }

} // namespace ds
