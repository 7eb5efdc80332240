//===- RecurrentVjp.cpp - Kernels whose root is a recurrent derivative ----===//
// Assumes: see RecurrentLoops.h; recurrent weights packed the other way round than the layer's.
// Guarantees: a step, from the last to the first, multiplies the cotangents of all gates' arguments at the step after
// it
//   with the weights, which gives the cotangent of its state, and then does the gates' arithmetic. These cotangents lie
//   in scratch twice, old and new; what a state passes on beside the product (`carried`) once. An LSTM computes its
//   cells again before, and keeps gates where their cotangents go. A GRU that resets before its product goes over the
//   panels twice.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/RecurrentLoops.h"
#include "lib/Codegen/CPU/Rows.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ds {

namespace {

class RecurrentVjpEmitter : RecurrentLoops {
public:
  RecurrentVjpEmitter(CpuKernelEmitter &e, Operation *root) : RecurrentLoops(e, root) {}
  LogicalResult emit();

private:
  LogicalResult item(Value number);
  LogicalResult start(Value count);
  /// The cells after each step, to the result, and the gates i, f, g that made them.
  LogicalResult sweep(Value count);
  LogicalResult sweepCell(const Sequence &seq, LaneIndex unit);
  LogicalResult step(Value s, Value count);
  LogicalResult end(Value count, Value last);

  using CellFn = function_ref<LogicalResult(const Sequence &, Value, LaneIndex)>;
  /// body(sequence, product, unit), of rows [first, first + depth) of the weights with as many numbers from `first` of
  /// `left` on.
  LogicalResult pass(Value s, Value count, Value left, int64_t first, int64_t depth, CellFn body);
  LogicalResult multiplyPanels(int64_t height, int64_t width, Value rows, Value panel, int64_t first, int64_t depth);

  // Cells: from the product (the cotangent of the state after the step, without what is carried and `dy`).
  LogicalResult lstm(const Sequence &seq, Value s, Value product, LaneIndex unit);
  LogicalResult gru(const Sequence &seq, Value product, LaneIndex unit);
  LogicalResult gruReset(const Sequence &seq, Value product, LaneIndex unit);
  LogicalResult rnn(const Sequence &seq, Value product, LaneIndex unit);

  /// A gate's argument: both halves of it.
  FailureOr<Value> argument(const Sequence &seq, int64_t gate, LaneIndex unit);
  FailureOr<Value> recurrentHalf(const Sequence &seq, int64_t gate, LaneIndex unit);
  /// The cotangent of a gate's argument `x` from that of the gate, `y`.
  Value throughGate(int64_t function, Value cotangent, Value x, Value y);
  bool needsArgument(int64_t function) { return clip || slopeNeedsArgument(function); }
  /// With the step's `dy`: the cotangent of the state after the step.
  FailureOr<Value> complete(const Sequence &seq, Value sum, LaneIndex unit);

  /// Where `tensor` ([D, T, B, n * H]) has gate `gate`.
  LaneIndex place(Value tensor, const Sequence &seq, int64_t gate, LaneIndex unit);
  LaneIndex inArguments(const Sequence &seq, int64_t gate, LaneIndex unit);
  /// Stores the cotangent of a gate's argument, in the result and for the next product; 0 after a sequence's end.
  void store(const Sequence &seq, int64_t gate, LaneIndex unit, Value value);
  void storeForProduct(const Sequence &seq, int64_t gate, LaneIndex unit, Value value);
  Value ifActive(const Sequence &seq, Value value, Value otherwise);
  /// Ends the mask: stores a state.
  void carry(Value memory, const Sequence &seq, LaneIndex unit, Value value);

  Value q, h, rBias, c0, p, dy, dyH, dyC;
  bool linear = false, couple = false;

  // While an item is built.
  Value oldArguments, newArguments, carried, cells, arguments;
};

constexpr int64_t kInput = 0, kOutput = 1, kForget = 2, kCell = 3;   // gates of an LSTM
constexpr int64_t kUpdate = 0, kReset = 1, kCandidate = 2;           // gates of a GRU
constexpr unsigned kDx = 0, kDh0 = 1, kDc0 = 2, kDq = 2, kCells = 3; // results

} // namespace

LogicalResult RecurrentVjpEmitter::emit() {
  llvm::TypeSwitch<Operation *>(root).Case<LstmVjpOp, GruVjpOp, RnnVjpOp>([&](auto op) {
    describe(op);
    q = op.getQ();
    dy = op.getDy();
    dyH = op.getDyH();
  });
  if (auto lstm = dyn_cast<LstmVjpOp>(root)) {
    c0 = lstm.getC0();
    p = lstm.getP();
    dyC = lstm.getDyC();
    couple = lstm.getCouple();
  } else if (auto gru = dyn_cast<GruVjpOp>(root)) {
    h = gru.getH();
    rBias = gru.getRBias();
    linear = gru.getLinearBeforeReset();
  }
  SymDims packed = e.dimsOf(r);
  if (packed.size() != 4 || !packed[3].isConst(lanes))
    return root->emitOpError() << "expected recurrent weights packed in panels of " << lanes;
  inlineOthers(e, root);
  // Two panels beside each other need half the loads of states.
  shareOut(std::min<int64_t>(panels, 2));
  SymExpr stateBytes = bytes(padded) * block;
  tilePointer = e.scratch(bytes(tallest * slots * lanes));
  arguments = e.scratch(SymExpr(2) * bytes(gates * hidden) * block);
  carried = e.scratch(stateBytes);
  if (isa<LstmVjpOp>(root))
    cells = e.scratch(stateBytes);
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value number) { return item(number); });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

LogicalResult RecurrentVjpEmitter::item(Value number) {
  Value count = beginItem(number);
  if ((cells && failed(sweep(count))) || failed(start(count)))
    return failure();
  Value all = e.size(steps), argumentsSize = e.mulI(e.size(block), e.i64(gates * hidden));
  if (failed(e.forLoop(e.i64(0), all, 1, [&](Value done) {
        Value odd = e.remI(done, e.i64(2)), even = e.subI(e.i64(1), odd);
        oldArguments = e.advance(arguments, type, e.mulI(odd, argumentsSize));
        newArguments = e.advance(arguments, type, e.mulI(even, argumentsSize));
        return step(e.subI(e.subI(all, e.i64(1)), done), count);
      })))
    return failure();
  return end(count, e.advance(arguments, type, e.mulI(e.remI(all, e.i64(2)), argumentsSize)));
}

LogicalResult RecurrentVjpEmitter::start(Value count) {
  return e.forLoop(e.i64(0), count, 1, [&](Value i) -> LogicalResult {
    if (failed(fillState(dyH, carried, i)) || (cells && failed(fillState(dyC, cells, i))))
      return failure();
    // Nothing comes after the last step.
    Value first = e.mulI(i, e.i64(gates * hidden));
    return e.vectorLoop(e.i64(0), e.i64(gates * hidden), [&](LaneIndex at) {
      e.storeAt(memory(arguments), e.add(at, uniform(first)), e.broadcast(zero()));
      return success();
    });
  });
}

LogicalResult RecurrentVjpEmitter::sweep(Value count) {
  if (failed(e.forLoop(e.i64(0), count, 1, [&](Value i) { return fillState(c0, cells, i); })))
    return failure();
  return e.forLoop(e.i64(0), e.size(steps), 1, [&](Value s) {
    return e.forLoop(e.i64(0), count, 1, [&](Value i) -> LogicalResult {
      auto seq = sequence(s, i);
      if (failed(seq))
        return failure();
      return e.vectorLoop(e.i64(0), e.i64(hidden), [&](LaneIndex unit) { return sweepCell(*seq, unit); });
    });
  });
}

LogicalResult RecurrentVjpEmitter::step(Value s, Value count) {
  bool twice = isa<GruVjpOp>(root) && !linear;
  int64_t depth = (twice ? 2 : gates) * hidden;
  if (failed(pass(s, count, oldArguments, 0, depth, [&](const Sequence &seq, Value product, LaneIndex unit) {
        return llvm::TypeSwitch<Operation *, LogicalResult>(root)
            .Case<LstmVjpOp>([&](auto) { return lstm(seq, s, product, unit); })
            .Case<GruVjpOp>([&](auto) { return gru(seq, product, unit); })
            .Default([&](auto) { return rnn(seq, product, unit); });
      })))
    return failure();
  if (!twice)
    return success();
  // The candidates of all units are known before the first that was reset.
  return pass(s, count, newArguments, kCandidate * hidden, hidden,
              [&](const Sequence &seq, Value product, LaneIndex unit) { return gruReset(seq, product, unit); });
}

LogicalResult RecurrentVjpEmitter::end(Value count, Value last) {
  int64_t depth = (isa<GruVjpOp>(root) && !linear ? 2 : gates) * hidden;
  return pass(e.i64(0), count, last, 0, depth, [&](const Sequence &seq, Value product, LaneIndex unit) {
    LaneIndex target = e.linearize({uniform(way), uniform(seq.batch), unit}, e.dimsOf(root->getResult(kDh0)));
    LaneIndex position = at(seq.inBlock, unit);
    e.storeAt(e.result(kDh0), target, m.add(product, e.loadAt(memory(carried), position)));
    if (cells)
      e.storeAt(e.result(kDc0), target, e.loadAt(memory(cells), position));
    return success();
  });
}

LogicalResult RecurrentVjpEmitter::pass(Value s, Value count, Value left, int64_t first, int64_t depth, CellFn body) {
  return tiles(count, slots, [&](Value panel, int64_t width, int64_t height, Value row) -> LogicalResult {
    Value rows = e.advance(left, type, e.addI(e.mulI(row, e.i64(gates * hidden)), e.i64(first)));
    if (failed(multiplyPanels(height, width, rows, panel, first, depth)))
      return failure();
    return e.forLoop(e.i64(0), e.i64(width), 1, [&](Value slot) {
      return finish(s, height, row, e.addI(panel, slot), [&](const Sequence &seq, Value tileRow, LaneIndex unit) {
        return body(seq, fromTile(tileRow, slot), unit);
      });
    });
  });
}

LogicalResult RecurrentVjpEmitter::multiplyPanels(int64_t height, int64_t width, Value rows, Value panel, int64_t first,
                                                  int64_t depth) {
  SmallVector<Value> pointers;
  bool direct = e.isArgument(r);
  for (int64_t j = 0; j < width && direct; ++j) {
    Value number = e.addI(e.mulI(way, e.i64(panels)), e.addI(panel, e.i64(j)));
    Value start = e.addI(e.mulI(number, e.i64(gates * hidden * lanes)), e.i64(first * lanes));
    MemoryRef weights = e.argument(r);
    pointers.push_back(e.advance(weights.pointer, weights.elementType, start));
  }
  auto weights = [&](int64_t j, Value k) -> FailureOr<Value> {
    if (direct)
      return e.loadAt({pointers[j], element}, LaneIndex::consecutive(e.mulI(k, e.i64(lanes))));
    return e.element(r, {uniform(way), uniform(e.addI(panel, e.i64(j))), uniform(e.addI(k, e.i64(first))),
                         LaneIndex::consecutive(e.i64(0))});
  };
  return multiply(height, width, depth, rows, gates * hidden, 0, weights);
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

LaneIndex RecurrentVjpEmitter::place(Value tensor, const Sequence &seq, int64_t gate, LaneIndex unit) {
  return e.linearize({uniform(way), uniform(seq.time), uniform(seq.batch), e.add(unit, gate * hidden)},
                     e.dimsOf(tensor));
}

LaneIndex RecurrentVjpEmitter::inArguments(const Sequence &seq, int64_t gate, LaneIndex unit) {
  Value first = e.addI(e.mulI(seq.inBlock, e.i64(gates * hidden)), e.i64(gate * hidden));
  return e.add(unit, uniform(first));
}

Value RecurrentVjpEmitter::ifActive(const Sequence &seq, Value value, Value otherwise) {
  return seq.active ? e.select(seq.active, value, otherwise) : value;
}

void RecurrentVjpEmitter::storeForProduct(const Sequence &seq, int64_t gate, LaneIndex unit, Value value) {
  e.storeAt(memory(newArguments), inArguments(seq, gate, unit), ifActive(seq, e.broadcast(value), zero()));
}

void RecurrentVjpEmitter::store(const Sequence &seq, int64_t gate, LaneIndex unit, Value value) {
  value = ifActive(seq, e.broadcast(value), zero());
  e.storeAt(e.result(kDx), place(root->getResult(kDx), seq, gate, unit), value);
  storeForProduct(seq, gate, unit, value);
}

void RecurrentVjpEmitter::carry(Value pointer, const Sequence &seq, LaneIndex unit, Value value) {
  e.setMask(Value());
  e.storeAt(memory(pointer), at(seq.inBlock, unit), e.broadcast(value));
}

FailureOr<Value> RecurrentVjpEmitter::recurrentHalf(const Sequence &seq, int64_t gate, LaneIndex unit) {
  return e.element(q, {uniform(way), uniform(seq.time), uniform(seq.batch), e.add(unit, gate * hidden)});
}

FailureOr<Value> RecurrentVjpEmitter::argument(const Sequence &seq, int64_t gate, LaneIndex unit) {
  auto ofInput = input(seq, gate, unit), ofState = recurrentHalf(seq, gate, unit);
  if (failed(ofInput) || failed(ofState))
    return failure();
  return m.add(*ofInput, *ofState);
}

Value RecurrentVjpEmitter::throughGate(int64_t function, Value cotangent, Value x, Value y) {
  Value result = m.mul(cotangent, slope(function, clip && x ? limited(x) : x, y));
  if (!clip)
    return result;
  Value magnitude = math::AbsFOp::create(b, loc, e.broadcast(x));
  return e.select(m.compare(ComparePredicate::le, magnitude, m.constant(*clip)), result, zero());
}

FailureOr<Value> RecurrentVjpEmitter::complete(const Sequence &seq, Value sum, LaneIndex unit) {
  if (!dy)
    return sum;
  auto own = e.element(dy, {uniform(seq.time), uniform(way), uniform(seq.batch), unit});
  if (failed(own))
    return failure();
  return m.add(sum, *own);
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

LogicalResult RecurrentVjpEmitter::sweepCell(const Sequence &seq, LaneIndex unit) {
  LaneIndex position = at(seq.inBlock, unit);
  Value before = e.loadAt(memory(cells), position);
  auto gate = [&](int64_t number, int64_t function) -> FailureOr<Value> {
    auto z = argument(seq, number, unit);
    if (failed(z))
      return failure();
    if (p && number != kCell) {
      auto weight = peephole(p, number, unit);
      if (failed(weight))
        return failure();
      z = m.mulAdd(*weight, before, *z);
    }
    return activate(function, limited(*z));
  };
  auto in = gate(kInput, 0), candidate = gate(kCell, 1);
  if (failed(in) || failed(candidate))
    return failure();
  FailureOr<Value> forget = couple ? FailureOr<Value>(m.sub(one(), *in)) : gate(kForget, 0);
  if (failed(forget))
    return failure();
  Value cell = m.mulAdd(*forget, before, m.mul(*in, *candidate));
  auto keep = [&](int64_t number, Value value) {
    e.storeAt(e.result(kDx), place(root->getResult(kDx), seq, number, unit), e.broadcast(value));
  };
  keep(kInput, *in);
  keep(kForget, *forget);
  keep(kCell, *candidate);
  e.storeAt(e.result(kCells), place(root->getResult(kCells), seq, 0, unit), ifActive(seq, cell, zero()));
  carry(cells, seq, unit, ifActive(seq, cell, before));
  return success();
}

LogicalResult RecurrentVjpEmitter::lstm(const Sequence &seq, Value s, Value product, LaneIndex unit) {
  LaneIndex position = at(seq.inBlock, unit);
  Value sum = m.add(product, e.loadAt(memory(carried), position));
  auto dh = complete(seq, sum, unit);
  if (failed(dh))
    return failure();
  auto kept = [&](int64_t gate) { return e.loadAt(e.result(kDx), place(root->getResult(kDx), seq, gate, unit)); };
  Value in = kept(kInput), forget = kept(kForget), candidate = kept(kCell);
  Value cell = e.loadAt(e.result(kCells), place(root->getResult(kCells), seq, 0, unit));

  // The cell before: that of the step before, or the initial one.
  Sequence previous = seq;
  Value earlier = e.maxI(e.subI(seq.time, e.i64(1)), e.i64(0));
  Value later = e.minI(e.addI(seq.time, e.i64(1)), e.subI(e.size(steps), e.i64(1)));
  previous.time = e.select(reverse(), later, earlier);
  Value before = e.loadAt(e.result(kCells), place(root->getResult(kCells), previous, 0, unit)), initial = zero();
  if (c0) {
    auto given = e.element(c0, {uniform(way), uniform(seq.batch), unit});
    if (failed(given))
      return failure();
    initial = *given;
  }
  before = e.select(e.lessI(s, e.i64(1)), e.broadcast(initial), before);

  SmallVector<Value, 3> peepholes(3);
  for (int64_t gate = 0; gate < 3 && p; ++gate) {
    auto weight = peephole(p, gate, unit);
    if (failed(weight))
      return failure();
    peepholes[gate] = *weight;
  }
  auto withPeephole = [&](int64_t gate, Value ofCell) -> FailureOr<Value> {
    auto z = argument(seq, gate, unit);
    if (failed(z) || gate == kCell || !p)
      return z;
    return m.mulAdd(peepholes[gate], ofCell, *z);
  };
  /// The argument where the derivative needs it.
  auto ifNeeded = [&](int64_t gate, int64_t function, Value ofCell) -> FailureOr<Value> {
    return needsArgument(function) ? withPeephole(gate, ofCell) : FailureOr<Value>(Value());
  };
  auto outArgument = withPeephole(kOutput, cell), inArgument = ifNeeded(kInput, 0, before),
       forgetArgument = ifNeeded(kForget, 0, before), candidateArgument = ifNeeded(kCell, 1, before);
  if (failed(outArgument) || failed(inArgument) || failed(forgetArgument) || failed(candidateArgument))
    return failure();
  Value out = activate(0, limited(*outArgument)), shown = activate(2, cell);

  Value oldCell = e.loadAt(memory(cells), position); // its cotangent
  Value dOut = throughGate(0, m.mul(*dh, shown), *outArgument, out);
  Value dCell = m.mulAdd(m.mul(*dh, out), slope(2, cell, shown), oldCell);
  if (p)
    dCell = m.mulAdd(peepholes[kOutput], dOut, dCell);
  Value forIn = couple ? m.sub(candidate, before) : candidate;
  Value dIn = throughGate(0, m.mul(dCell, forIn), *inArgument, in);
  Value dForget = couple ? zero() : throughGate(0, m.mul(dCell, before), *forgetArgument, forget);
  Value dCandidate = throughGate(1, m.mul(dCell, in), *candidateArgument, candidate);
  store(seq, kInput, unit, dIn);
  store(seq, kOutput, unit, dOut);
  store(seq, kForget, unit, dForget);
  store(seq, kCell, unit, dCandidate);
  Value dBefore = m.mul(dCell, forget);
  if (p)
    dBefore = m.mulAdd(peepholes[kForget], dForget, m.mulAdd(peepholes[kInput], dIn, dBefore));
  carry(cells, seq, unit, ifActive(seq, dBefore, oldCell));
  carry(carried, seq, unit, seq.active ? e.select(seq.active, e.broadcast(zero()), sum) : zero());
  return success();
}

LogicalResult RecurrentVjpEmitter::gru(const Sequence &seq, Value product, LaneIndex unit) {
  Value sum = m.add(product, e.loadAt(memory(carried), at(seq.inBlock, unit)));
  auto dh = complete(seq, sum, unit);
  auto updateArgument = argument(seq, kUpdate, unit), ofInput = input(seq, kCandidate, unit),
       recurrent = recurrentHalf(seq, kCandidate, unit);
  auto state = e.element(h, {uniform(way), uniform(seq.time), uniform(seq.batch), unit});
  if (failed(dh) || failed(updateArgument) || failed(ofInput) || failed(recurrent) || failed(state))
    return failure();
  Value update = activate(0, limited(*updateArgument)), resetArgument, reset;
  if (linear) {
    auto z = argument(seq, kReset, unit);
    if (failed(z))
      return failure();
    resetArgument = *z;
    reset = activate(0, limited(resetArgument));
    if (rBias) {
      auto bias = e.element(rBias, {uniform(way), unit});
      if (failed(bias))
        return failure();
      recurrent = m.add(*recurrent, *bias);
    }
  }
  Value candidateArgument = linear ? m.mulAdd(reset, *recurrent, *ofInput) : m.add(*ofInput, *recurrent);
  Value candidate = activate(1, limited(candidateArgument));

  Value dCandidate = throughGate(1, m.mul(*dh, m.sub(one(), update)), candidateArgument, candidate);
  Value dUpdate = throughGate(0, m.mul(*dh, m.sub(*state, candidate)), *updateArgument, update);
  store(seq, kUpdate, unit, dUpdate);
  store(seq, kCandidate, unit, dCandidate);
  if (linear) {
    Value dReset = throughGate(0, m.mul(dCandidate, *recurrent), resetArgument, reset);
    store(seq, kReset, unit, dReset);
    // The product's own cotangents.
    auto storeOwn = [&](int64_t gate, Value value) {
      e.storeAt(e.result(kDq), place(root->getResult(kDq), seq, gate, unit), ifActive(seq, e.broadcast(value), zero()));
    };
    Value dRecurrent = m.mul(dCandidate, reset);
    storeOwn(kUpdate, dUpdate);
    storeOwn(kReset, dReset);
    storeOwn(kCandidate, dRecurrent);
    storeForProduct(seq, kCandidate, unit, dRecurrent);
  }
  carry(carried, seq, unit, ifActive(seq, m.mul(*dh, update), sum));
  return success();
}

LogicalResult RecurrentVjpEmitter::gruReset(const Sequence &seq, Value product, LaneIndex unit) {
  auto z = argument(seq, kReset, unit);
  auto state = e.element(h, {uniform(way), uniform(seq.time), uniform(seq.batch), unit});
  if (failed(z) || failed(state))
    return failure();
  Value reset = activate(0, limited(*z));
  store(seq, kReset, unit, throughGate(0, m.mul(product, *state), *z, reset));
  Value before = e.loadAt(memory(carried), at(seq.inBlock, unit));
  carry(carried, seq, unit, ifActive(seq, m.mulAdd(product, reset, before), before));
  return success();
}

LogicalResult RecurrentVjpEmitter::rnn(const Sequence &seq, Value product, LaneIndex unit) {
  Value sum = m.add(product, e.loadAt(memory(carried), at(seq.inBlock, unit)));
  auto dh = complete(seq, sum, unit), z = argument(seq, 0, unit);
  if (failed(dh) || failed(z))
    return failure();
  store(seq, 0, unit, throughGate(0, *dh, *z, activate(0, limited(*z))));
  carry(carried, seq, unit, seq.active ? e.select(seq.active, e.broadcast(zero()), sum) : zero());
  return success();
}

LogicalResult emitRecurrentVjp(CpuKernelEmitter &e, Operation *root) { return RecurrentVjpEmitter(e, root).emit(); }

} // namespace ds
