//===- Dft.cpp - Kernels whose root is a Fourier transform ----------------===//
// Assumes: the root stands alone.
// Guarantees: an item is as many transforms as a vector has lanes, each in a lane of its own, or, where these are few
// or
//   their buffers too large, one after another with vectors along its points. Rows of numbers in memory are read and
//   written by whole vectors, transposed or divided into real and imaginary parts in registers.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/DftTransform.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

namespace {

/// The transforms that are computed at once.
struct Batch {
  bool batched;
  SmallVector<LaneIndex> lanes; // where each lane's (or the one's) points are: indices but for axis and part
  SmallVector<SmallVector<LaneIndex>> rows; // the same, one transform at a time
};

/// How numbers of a row make complex ones.
enum class Form { Real, Pairs, RealPairs };

class DftEmitter {
public:
  DftEmitter(CpuKernelEmitter &e, DftOp op)
      : e(e), b(e.builder()), op(op), x(op.getX()),
        type(ElementBuilder::computeType(getElementTypeOrSelf(x.getType()))), xDims(e.dimsOf(x)),
        dims(e.dimsOf(op.getResult())), axis(op.getAxis()), last(xDims.size() - 1), width(e.getWidth()),
        isReal(xDims[last].isConst(1)), toReal(op.isRealResult()), inverse(op.getInverse()),
        transform(e, type, toReal ? dims[axis] : xDims[axis], toReal || isReal) {}

  LogicalResult emit();

private:
  SmallVector<LaneIndex> indices(LaneIndex number);
  LogicalResult compute(bool batched, Value first);
  LogicalResult forward(const Batch &batch, bool halved);
  LogicalResult toRealNumbers(const Batch &batch, bool halved);

  /// `count` points of each transform of the batch.
  LogicalResult load(const Batch &batch, Form form, Value count, Planes to);
  LogicalResult loadRows(const Batch &batch, Form form, Value count, Planes to);
  FailureOr<Value> numbers(ArrayRef<LaneIndex> row, LaneIndex at);
  FailureOr<Value> number(ArrayRef<LaneIndex> row, LaneIndex point, int64_t part);
  /// Points [lower, upper) of the result, `isPairs` or the real parts of two points a point; value(k, its place).
  using ValueFn = function_ref<Complex(LaneIndex, LaneIndex)>;
  LogicalResult store(const Batch &batch, Form form, Value lower, Value upper, ValueFn value);
  LogicalResult storeRows(const Batch &batch, bool pairs, Value lower, Value upper, ValueFn value);

  /// Point k of a real signal's spectrum, or k + points, from the transform z of its pairs.
  Complex untangle(Planes z, LaneIndex k, bool beyond, bool batched);
  Complex mirrored(Planes z, LaneIndex k, bool batched);
  /// body(k, masks of the two vectors that hold points k ..) for 0 <= k < count.
  LogicalResult pairLoop(Value lower, Value upper, function_ref<LogicalResult(LaneIndex, Value, Value)> body);
  void transpose(MutableArrayRef<Value> vectors);
  Value shuffle(Value first, Value second, function_ref<int64_t(int64_t)> from);

  DftStages &stages() { return transform.getStages(); }
  FloatMath &math() { return transform.getStages().math(); }
  static LaneIndex uniform(Value index) { return LaneIndex::uniform(index); }
  Value zero() { return e.constantFloat(type, 0); }

  CpuKernelEmitter &e;
  OpBuilder &b;
  DftOp op;
  Value x;
  Type type;
  SymDims xDims, dims;
  unsigned axis, last;
  int64_t width;
  bool isReal, toReal, inverse;
  DftTransform transform;
  SymExpr count;
  SmallVector<unsigned> loopDims;
  SmallVector<SymExpr> loops;
  bool isRow = true; // axis and parts lie side by side
  Value scale;       // of the inverse
};

} // namespace

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value DftEmitter::shuffle(Value first, Value second, function_ref<int64_t(int64_t)> from) {
  SmallVector<int64_t> lanes;
  for (int64_t lane = 0; lane < width; ++lane)
    lanes.push_back(from(lane));
  return vector::ShuffleOp::create(b, e.getLoc(), first, second, lanes);
}

/// Exchanges blocks of 1, 2, 4, ... lanes between vectors as far apart.
void DftEmitter::transpose(MutableArrayRef<Value> v) {
  for (int64_t block = 1; block < width; block *= 2)
    for (int64_t i = 0; i < width; ++i) {
      if (i & block)
        continue;
      Value low = v[i], high = v[i + block];
      v[i] = shuffle(low, high, [&](int64_t lane) { return lane & block ? width + lane - block : lane; });
      v[i + block] = shuffle(low, high, [&](int64_t lane) { return lane & block ? width + lane : lane + block; });
    }
}

LogicalResult DftEmitter::pairLoop(Value lower, Value upper,
                                   function_ref<LogicalResult(LaneIndex, Value, Value)> body) {
  Value whole = e.addI(lower, e.roundDown(e.subI(upper, lower), width));
  if (failed(
          e.forLoop(lower, whole, width, [&](Value k) { return body(LaneIndex::consecutive(k), Value(), Value()); })))
    return failure();
  return e.ifThen(e.lessI(whole, upper), [&] {
    Value first = e.mulI(whole, e.i64(2)), end = e.mulI(upper, e.i64(2));
    e.setMask(e.lanesBelow(whole, upper));
    return body(LaneIndex::consecutive(whole), e.lanesBelow(first, end),
                e.lanesBelow(e.addI(first, e.i64(width)), end));
  });
}

//===----------------------------------------------------------------------===//
// Loads
//===----------------------------------------------------------------------===//

SmallVector<LaneIndex> DftEmitter::indices(LaneIndex number) {
  SmallVector<LaneIndex> result(xDims.size(), e.constantIndex(0));
  for (auto [d, index] : llvm::zip(loopDims, e.delinearize(number, loops)))
    result[d] = index;
  return result;
}

FailureOr<Value> DftEmitter::number(ArrayRef<LaneIndex> row, LaneIndex point, int64_t part) {
  SmallVector<LaneIndex> at(row);
  at[axis] = point;
  at[last] = e.constantIndex(part);
  auto value = e.element(x, at);
  if (failed(value))
    return failure();
  return e.broadcast(*value);
}

/// A vector of the numbers of a row, the parts of its points one after another.
FailureOr<Value> DftEmitter::numbers(ArrayRef<LaneIndex> row, LaneIndex at) {
  if (isReal)
    return number(row, at, 0);
  if (e.isArgument(x))
    return e.loadAt(e.argument(x), e.add(at, e.linearize(row, xDims)));
  SmallVector<LaneIndex> indices(row);
  indices[axis] = e.floorDiv(at, e.constantIndex(2));
  indices[last] = e.mod(at, e.constantIndex(2));
  auto value = e.element(x, indices);
  if (failed(value))
    return failure();
  return e.broadcast(*value);
}

LogicalResult DftEmitter::load(const Batch &batch, Form form, Value count, Planes to) {
  if (isRow && !(isReal && form == Form::Pairs))
    return loadRows(batch, form, count, to);
  return transform.forPoints(batch.batched, e.i64(0), count, [&](LaneIndex k, LaneIndex at) -> LogicalResult {
    LaneIndex point = form == Form::RealPairs ? e.mul(k, 2) : k;
    auto re = number(batch.lanes, point, 0);
    FailureOr<Value> im = zero();
    if (form == Form::RealPairs)
      im = number(batch.lanes, e.add(point, 1), 0);
    else if (!isReal)
      im = number(batch.lanes, point, 1);
    if (failed(re) || failed(im))
      return failure();
    stages().store(to, at, {*re, *im});
    return success();
  });
}

LogicalResult DftEmitter::loadRows(const Batch &batch, Form form, Value count, Planes to) {
  bool pairs = form != Form::Real;
  if (batch.batched)
    return e.vectorLoop(e.i64(0), pairs ? e.mulI(count, e.i64(2)) : count, [&](LaneIndex at) -> LogicalResult {
      SmallVector<Value> v;
      for (const auto &row : batch.rows) {
        auto vector = numbers(row, at);
        if (failed(vector))
          return failure();
        v.push_back(*vector);
      }
      transpose(v);
      // What is beyond the last point goes to where no point is yet.
      e.setMask(Value());
      Value first = pairs ? e.divI(at.getValue(), e.i64(2)) : at.getValue();
      for (int64_t k = 0; k < (pairs ? width / 2 : width); ++k) {
        LaneIndex place = transform.place(true, uniform(e.addI(first, e.i64(k))));
        stages().store(to, place, pairs ? Complex{v[2 * k], v[2 * k + 1]} : Complex{v[k], zero()});
      }
      return success();
    });
  if (!pairs)
    return e.vectorLoop(e.i64(0), count, [&](LaneIndex k) -> LogicalResult {
      auto re = numbers(batch.rows[0], k);
      if (failed(re))
        return failure();
      stages().store(to, k, {*re, zero()});
      return success();
    });
  return pairLoop(e.i64(0), count, [&](LaneIndex k, Value lowMask, Value highMask) -> LogicalResult {
    LaneIndex first = LaneIndex::consecutive(e.mulI(k.getValue(), e.i64(2)));
    Value mask = e.getMask();
    e.setMask(lowMask);
    auto low = numbers(batch.rows[0], first);
    e.setMask(highMask);
    auto high = numbers(batch.rows[0], e.add(first, width));
    e.setMask(mask);
    if (failed(low) || failed(high))
      return failure();
    stages().store(to, k,
                   {shuffle(*low, *high, [](int64_t lane) { return 2 * lane; }),
                    shuffle(*low, *high, [](int64_t lane) { return 2 * lane + 1; })});
    return success();
  });
}

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

LogicalResult DftEmitter::store(const Batch &batch, Form form, Value lower, Value upper, ValueFn value) {
  if (isRow)
    return storeRows(batch, form != Form::Real, lower, upper, value);
  return transform.forPoints(batch.batched, lower, upper, [&](LaneIndex k, LaneIndex at) {
    Complex result = value(k, at);
    for (int64_t part = 0; part < (form == Form::Real ? 1 : 2); ++part) {
      SmallVector<LaneIndex> where(batch.lanes);
      where[axis] = form == Form::RealPairs ? e.add(e.mul(k, 2), part) : k;
      where[last] = e.constantIndex(form == Form::RealPairs ? 0 : part);
      e.storeAt(e.result(0), e.linearize(where, dims), part == 0 ? result.re : result.im);
    }
    return success();
  });
}

LogicalResult DftEmitter::storeRows(const Batch &batch, bool pairs, Value lower, Value upper, ValueFn value) {
  SmallVector<LaneIndex> bases;
  for (const auto &row : batch.rows)
    bases.push_back(e.linearize(row, dims));
  if (batch.batched) {
    Value two = e.i64(pairs ? 2 : 1), end = e.mulI(upper, two), most = e.subI(upper, e.i64(1));
    return e.vectorLoop(e.mulI(lower, two), end, [&](LaneIndex at) {
      Value mask = e.getMask(), first = e.divI(at.getValue(), two);
      e.setMask(Value());
      SmallVector<Value> v;
      for (int64_t c = 0; c < (pairs ? width / 2 : width); ++c) {
        Value k = e.addI(first, e.i64(c));
        if (mask)
          k = e.minI(k, most);
        Complex result = value(uniform(k), transform.place(true, uniform(k)));
        v.push_back(result.re);
        if (pairs)
          v.push_back(result.im);
      }
      transpose(v);
      e.setMask(mask);
      for (auto [base, row] : llvm::zip_equal(bases, v))
        e.storeAt(e.result(0), e.add(at, base), row);
      return success();
    });
  }
  if (!pairs)
    return e.vectorLoop(lower, upper, [&](LaneIndex k) {
      e.storeAt(e.result(0), e.add(k, bases[0]), value(k, k).re);
      return success();
    });
  return pairLoop(lower, upper, [&](LaneIndex k, Value lowMask, Value highMask) {
    Complex result = value(k, k);
    LaneIndex first = e.add(LaneIndex::consecutive(e.mulI(k.getValue(), e.i64(2))), bases[0]);
    auto half = [&](int64_t from) {
      return shuffle(result.re, result.im, [&](int64_t lane) { return from + lane / 2 + lane % 2 * width; });
    };
    e.setMask(lowMask);
    e.storeAt(e.result(0), first, half(0));
    e.setMask(highMask);
    e.storeAt(e.result(0), e.add(first, width), half(width / 2));
    return success();
  });
}

//===----------------------------------------------------------------------===//
// Transforms
//===----------------------------------------------------------------------===//

/// z[points - k].
Complex DftEmitter::mirrored(Planes z, LaneIndex k, bool batched) {
  LaneIndex at = e.sub(uniform(transform.getPoints()), k);
  if (batched)
    return stages().load(z, transform.place(true, at));
  if (e.getMask())
    return stages().load(z, e.max(at, e.constantIndex(0)));
  Value lowest = e.subI(e.subI(transform.getPoints(), k.getValue()), e.i64(width - 1));
  Complex ascending = stages().load(z, LaneIndex::consecutive(lowest));
  return {stages().reversed(ascending.re), stages().reversed(ascending.im)};
}

/// The even points' spectrum is half of z[k] + conj(z[-k]), the odd ones' half of -i (z[k] - conj(z[-k])).
Complex DftEmitter::untangle(Planes z, LaneIndex k, bool beyond, bool batched) {
  FloatMath &m = math();
  Complex own = stages().load(z, transform.place(batched, k)), other = mirrored(z, k, batched);
  Value half = m.constant(0.5);
  Complex even{m.mul(m.add(own.re, other.re), half), m.mul(m.sub(own.im, other.im), half)};
  Complex odd{m.mul(m.add(own.im, other.im), half), m.mul(m.sub(other.re, own.re), half)};
  Complex turned = stages().turn(odd, transform.root(k));
  return beyond ? stages().sub(even, turned) : stages().add(even, turned);
}

LogicalResult DftEmitter::forward(const Batch &batch, bool halved) {
  Value n = transform.getLength(), points = transform.getPoints();
  // A complex inverse is a transform of swapped parts, a real one the conjugate of the transform.
  bool swaps = inverse && !isReal;
  auto finished = [&](Complex value) -> Complex {
    if (!inverse)
      return value;
    FloatMath &m = math();
    Value im = m.mul(value.im, scale);
    return {m.mul(value.re, scale), isReal ? m.sub(m.constant(0), im) : im};
  };
  Planes work = transform.work(batch.batched);
  Form form = !isReal ? Form::Pairs : halved ? Form::RealPairs : Form::Real;
  if (failed(load(batch, form, points, swaps ? work.swapped() : work)))
    return failure();
  FailureOr<Planes> result = transform.run(batch.batched);
  if (failed(result))
    return failure();
  Planes z = swaps ? result->swapped() : *result;
  Value bins = e.size(dims[axis]);
  if (!halved)
    return store(batch, Form::Pairs, e.i64(0), bins,
                 [&](LaneIndex, LaneIndex at) { return finished(stages().load(z, at)); });
  // Point 0 once more where it is looked for as point -0.
  LaneIndex zeroth = transform.place(batch.batched, uniform(e.i64(0)));
  stages().store(z, transform.place(batch.batched, uniform(points)), stages().load(z, zeroth));
  if (failed(store(batch, Form::Pairs, e.i64(0), e.addI(points, e.i64(1)),
                   [&](LaneIndex k, LaneIndex) { return finished(untangle(z, k, /*beyond=*/false, batch.batched)); })))
    return failure();
  if (op.getOnesided())
    return success();
  return store(batch, Form::Pairs, e.addI(points, e.i64(1)), n, [&](LaneIndex k, LaneIndex) {
    return finished(untangle(z, e.sub(k, uniform(points)), /*beyond=*/true, batch.batched));
  });
}

/// The inverse of half a spectrum.
LogicalResult DftEmitter::toRealNumbers(const Batch &batch, bool halved) {
  FloatMath &m = math();
  bool batched = batch.batched;
  Value points = transform.getPoints(), bins = e.size(xDims[axis]);
  Planes swapped = transform.work(batched).swapped();
  Planes spectrum = halved ? transform.otherWork(batched) : swapped;
  if (failed(load(batch, Form::Pairs, bins, spectrum)))
    return failure();
  auto makeReal = [&](Value k) {
    LaneIndex at = transform.place(batched, uniform(k));
    e.storeAt({spectrum.second, type}, at, zero());
  };
  makeReal(e.i64(0));
  if (halved) {
    makeReal(points);
    // The pairs' spectrum, twice: even points' + i odd points'.
    auto tangle = [&](LaneIndex k, LaneIndex at) {
      Complex own = stages().load(spectrum, at), other = mirrored(spectrum, k, batched), root = transform.root(k);
      Complex even{m.add(own.re, other.re), m.sub(own.im, other.im)};
      Complex difference{m.sub(own.re, other.re), m.add(own.im, other.im)};
      Complex odd{m.sub(m.mul(difference.re, root.re), m.mul(difference.im, root.im)),
                  m.fma(difference.re, root.im, m.mul(difference.im, root.re))};
      stages().store(swapped, at, {m.sub(even.re, odd.im), m.add(even.im, odd.re)});
      return success();
    };
    if (failed(transform.forPoints(batched, e.i64(0), points, tangle)))
      return failure();
  } else if (failed(transform.forPoints(batched, e.i64(1), bins, [&](LaneIndex k, LaneIndex at) {
               Complex value = stages().load(spectrum, at);
               LaneIndex mirror = transform.place(batched, e.sub(uniform(points), k));
               stages().store(spectrum, mirror, {value.re, m.sub(m.constant(0), value.im)});
               return success();
             }))) {
    return failure();
  }
  FailureOr<Planes> result = transform.run(batched);
  if (failed(result))
    return failure();
  Planes z = result->swapped();
  return store(batch, halved ? Form::RealPairs : Form::Real, e.i64(0), points, [&](LaneIndex, LaneIndex at) -> Complex {
    Complex value = stages().load(z, at);
    return {m.mul(value.re, scale), m.mul(value.im, scale)};
  });
}

LogicalResult DftEmitter::compute(bool batched, Value first) {
  Batch batch{batched, {}, {}};
  if (batched) {
    // Lanes that are left over compute the last transform once more.
    Value most = e.subI(e.size(count), e.i64(1));
    LaneIndex lanes = LaneIndex::consecutive(first);
    batch.lanes = indices(count.isDivisibleBy(width) ? lanes : e.min(lanes, uniform(most)));
    for (int64_t lane = 0; lane < width; ++lane)
      batch.rows.push_back(indices(uniform(e.minI(e.addI(first, e.i64(lane)), most))));
  } else {
    batch.lanes = indices(uniform(first));
    batch.rows = {batch.lanes};
  }
  return transform.forEachForm(
      [&](bool halved) { return toReal ? toRealNumbers(batch, halved) : forward(batch, halved); });
}

LogicalResult DftEmitter::emit() {
  inlineOthers(e, op);
  count = SymExpr(1);
  for (unsigned d = 0; d < last; ++d) {
    if (d == axis || xDims[d].isConst(1))
      continue;
    count = count * xDims[d];
    loopDims.push_back(d);
    loops.push_back(xDims[d]);
    isRow &= d < axis;
  }
  const std::optional<DftPlan> &plan = transform.getPlan();
  std::optional<int64_t> known = count.tryConst();
  int64_t few = width / 4;
  bool batched = !(plan && plan->transformPoints() > DftTransform::kMostBatched) && !(known && *known <= few);
  bool single = !batched || !plan || !known;
  SymExpr length = toReal ? dims[axis] : xDims[axis], perItem = SymExpr(batched ? width : 1);
  e.setRange(SymExpr::ceilDiv(count, perItem), SymExpr::ceilDiv(1 << 13, SymExpr::max(length * perItem, SymExpr(1))));
  if (failed(transform.prepare(op.getTable(), batched, single)))
    return failure();
  if (inverse)
    scale = math().div(math().constant(1), math().fromInt(transform.getLength()));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) -> LogicalResult {
    if (!batched)
      return compute(false, item);
    Value first = e.mulI(item, e.i64(width));
    if (!single)
      return compute(true, first);
    Value left = e.minI(e.subI(e.size(count), first), e.i64(width));
    Value isBatch = e.lessI(e.i64(few), left);
    if (!plan)
      isBatch = e.logicalAnd(isBatch, e.lessI(transform.getLength(), e.i64(DftTransform::kMostBatchedDynamic + 1)));
    if (failed(e.ifThen(isBatch, [&] { return compute(true, first); })))
      return failure();
    return e.ifThen(e.logicalNot(isBatch), [&] {
      return e.forLoop(first, e.addI(first, left), 1, [&](Value number) { return compute(false, number); });
    });
  });
}

LogicalResult emitDft(CpuKernelEmitter &e, Operation *root) { return DftEmitter(e, cast<DftOp>(root)).emit(); }

} // namespace ds
