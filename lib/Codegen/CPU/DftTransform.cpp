//===- DftTransform.cpp - A fast Fourier transform of any length ----------===//
// Guarantees: see DftTransform.h. At run time, radices are 4, 2, 3, 5, 7, and other primes by loops; convolutions have
//   the next power of two.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/DftTransform.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ds {

static LaneIndex uniform(Value index) { return LaneIndex::uniform(index); }

/// Radices that a transform of a length that only the run knows has code for.
static constexpr int64_t kRunRadices[] = {4, 2, 3, 5, 7};
static constexpr int64_t kMostFactors = 64;

DftTransform::DftTransform(CpuKernelEmitter &e, Type type, const SymExpr &length, bool isReal)
    : e(e), b(e.builder()), loc(e.getLoc()), type(type), lengthExpr(length), isReal(isReal), lanes(e.getWidth()),
      stages(e, type) {
  if (std::optional<int64_t> known = length.tryConst())
    plan = DftPlan::of(*known, isReal);
}

LaneIndex DftTransform::place(bool batched, LaneIndex k) {
  return batched ? LaneIndex::consecutive(e.mulI(k.getValue(), e.i64(lanes))) : k;
}

LogicalResult DftTransform::forPoints(bool batched, Value lower, Value upper,
                                      function_ref<LogicalResult(LaneIndex, LaneIndex)> body) {
  if (!batched)
    return e.vectorLoop(lower, upper, [&](LaneIndex k) { return body(k, k); });
  return e.forLoop(lower, upper, 1, [&](Value k) { return body(uniform(k), place(true, uniform(k))); });
}

LogicalResult DftTransform::forEachForm(function_ref<LogicalResult(bool)> body) {
  if (!isReal)
    return body(false);
  if (plan)
    return body(plan->isHalved);
  if (failed(e.ifThen(isHalved, [&] { return body(true); })))
    return failure();
  return e.ifThen(e.logicalNot(isHalved), [&] { return body(false); });
}

//===----------------------------------------------------------------------===//
// Plans and tables
//===----------------------------------------------------------------------===//

LogicalResult DftTransform::prepare(Value table, bool batched, bool single) {
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  length = e.size(lengthExpr);
  // A convolution has less than four times the points.
  SymExpr most = plan ? SymExpr(plan->transformPoints()) : SymExpr(4) * lengthExpr;
  int64_t greatest = DftPlan::kGreatestPrime;
  if (plan)
    greatest = plan->radices.empty() ? 1 : *llvm::max_element(plan->radices);
  SymExpr plane = single ? most + SymExpr(DftStages::slack(greatest, lanes)) : SymExpr(0);
  if (batched) {
    SymExpr shortest = plan ? most : SymExpr(4) * SymExpr::min(lengthExpr, kMostBatchedDynamic);
    plane = SymExpr::max(plane, (shortest + SymExpr(lanes)) * SymExpr(lanes));
  }
  Planes first{e.scratch(plane * SymExpr(bytes)), e.scratch(plane * SymExpr(bytes))};
  Planes second{e.scratch(plane * SymExpr(bytes)), e.scratch(plane * SymExpr(bytes))};
  buffers[0] = buffers[1] = {first, second};

  SymExpr numbers = plan ? SymExpr(plan->tableSize()) : SymExpr(22) * lengthExpr;
  Value memory = table ? e.argument(table).pointer : e.scratch(numbers * SymExpr(bytes));
  auto at = [&](int64_t where) { return e.advance(memory, type, e.i64(where)); };
  if (plan) {
    points = e.i64(plan->points);
    inner = e.i64(plan->transformPoints());
    order = e.i64(plan->rootsOrder());
    roots = planes(at(plan->rootsAt()), order);
    if (plan->convolution) {
      innerRoots = planes(at(plan->innerRootsAt()), inner);
      chirp = planes(at(plan->chirpAt()), points);
      filter = planes(at(plan->filterAt()), inner);
    }
  } else {
    factors = e.scratch(SymExpr(8 * kMostFactors));
    if (failed(planAtRun()))
      return failure();
    auto part = [&](int64_t before) { return e.advance(memory, type, e.mulI(length, e.i64(before))); };
    roots = planes(part(0), order);
    innerRoots = planes(part(4), inner);
    chirp = planes(part(12), points);
    filter = planes(part(14), inner);
  }
  if (table)
    return success();
  if (failed(fillRoots(roots, order)))
    return failure();
  if (plan)
    return plan->convolution ? fillFilter() : success();
  return e.ifThen(isConvolution, [&] { return fillFilter(); });
}

/// (n, array) -> (factors in the array, what is left of n).
FailureOr<func::FuncOp> DftTransform::factorFunction() {
  Type i64 = b.getI64Type();
  return e.makeFunction("factors", {i64, factors.getType()}, {i64, i64}, [&](ValueRange arguments) {
    SmallVector<Value> state{e.i64(0), arguments[0]};
    auto divide = [&](ValueRange state, Value radix) {
      return e.whileLoop(
          state,
          [&](ValueRange now) -> Value {
            return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, e.remI(now[1], radix), e.i64(0));
          },
          [&](ValueRange now) -> SmallVector<Value> {
            e.storeAt({arguments[1], i64}, uniform(now[0]), radix);
            return {e.addI(now[0], e.i64(1)), e.divI(now[1], radix)};
          });
    };
    for (int64_t radix : kRunRadices)
      state = divide(state, e.i64(radix));
    constexpr int64_t kFirst = 11;
    return e.forLoop(e.i64(kFirst), e.i64(DftPlan::kGreatestPrime + 1), 2, state,
                     [&](Value radix, ValueRange now) -> FailureOr<SmallVector<Value>> { return divide(now, radix); });
  });
}

LogicalResult DftTransform::planAtRun() {
  Value one = e.i64(1);
  auto isZero = [&](Value x) -> Value { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, e.i64(0)); };
  points = length;
  if (isReal) {
    isHalved = isZero(e.remI(length, e.i64(2)));
    points = e.select(isHalved, e.divI(length, e.i64(2)), length);
  } else {
    isHalved = e.constantTrue(false);
  }
  auto factor = factorFunction();
  if (failed(factor))
    return failure();
  auto left = func::CallOp::create(b, loc, *factor, ValueRange{points, factors});
  isConvolution = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, left.getResult(1), one);
  Value needed = e.subI(e.mulI(points, e.i64(2)), one);
  SmallVector<Value> size = e.whileLoop(
      one, [&](ValueRange now) { return e.lessI(now[0], needed); },
      [&](ValueRange now) { return SmallVector<Value>{e.mulI(now[0], e.i64(2))}; });
  inner = e.select(isConvolution, size[0], points);
  factorCount = func::CallOp::create(b, loc, *factor, ValueRange{inner, factors}).getResult(0);
  // The chirp needs roots of twice the points' order.
  Value twice = e.mulI(points, e.i64(2));
  order = e.select(isConvolution, twice, length);
  auto made = stagesFunction();
  if (failed(made))
    return failure();
  function = *made;
  return success();
}

/// Cosines and sines of all multiples of 2 pi / order, in f64. A multiple is reduced to an eighth of a turn as an
/// integer, where the first terms of the series are exact to the last digit.
LogicalResult DftTransform::fillRoots(Planes table, Value order) {
  Type f64 = b.getF64Type();
  FloatMath m(e, f64);
  constexpr double kSine[] = {-1.0 / 6,          1.0 / 120,          -1.0 / 5040,           1.0 / 362880,
                              -1.0 / 39916800.0, 1.0 / 6227020800.0, -1.0 / 1307674368000.0};
  constexpr double kCosine[] = {-1.0 / 2,         1.0 / 24,          -1.0 / 720,           1.0 / 40320,
                                -1.0 / 3628800.0, 1.0 / 479001600.0, -1.0 / 87178291200.0, 1.0 / 20922789888000.0};
  auto series = [&](ArrayRef<double> terms, Value square) {
    Value sum = m.vectorOf(terms.back());
    for (double term : llvm::reverse(terms.drop_back()))
      sum = m.fma(sum, square, m.vectorOf(term));
    return sum;
  };
  Value perPoint = m.div(m.constant(M_PI / 2), m.fromInt(order));
  return e.vectorLoop(e.i64(0), order, [&](LaneIndex k) {
    // The nearest quarter turn, 0 to 4: 8k >= order, 3 order, 5 order, 7 order.
    LaneIndex eighths = e.mul(k, 8), quarter = e.constantIndex(0);
    for (int64_t odd : {1, 3, 5, 7})
      quarter = e.add(quarter, e.select(e.lessEqual(uniform(e.mulI(order, e.i64(odd))), eighths), e.constantIndex(1),
                                        e.constantIndex(0)));
    LaneIndex rest = e.sub(e.mul(k, 4), e.mul(quarter, uniform(order)));
    Value x = m.mul(e.valueFromIndex(rest, f64), perPoint), square = m.mul(x, x);
    Value sine = m.fma(m.mul(x, square), series(kSine, square), x);
    Value cosine = m.fma(square, series(kCosine, square), m.vectorOf(1));
    auto isOneOf = [&](int64_t first, int64_t second) -> Value {
      return arith::OrIOp::create(b, loc, e.equal(quarter, e.constantIndex(first)),
                                  e.equal(quarter, e.constantIndex(second)));
    };
    auto negatedWhere = [&](Value condition, Value value) {
      return e.select(condition, m.sub(m.vectorOf(0), value), value);
    };
    Value isTurned = isOneOf(1, 3);
    Value c = negatedWhere(isOneOf(1, 2), e.select(isTurned, sine, cosine));
    Value s = negatedWhere(isOneOf(2, 3), e.select(isTurned, cosine, sine));
    if (type != f64) {
      c = arith::TruncFOp::create(b, loc, e.laneType(type), c);
      s = arith::TruncFOp::create(b, loc, e.laneType(type), s);
    }
    stages.store(table, k, {c, s});
    return success();
  });
}

/// The chirp, and the transform of its conjugate over positive and negative k, divided by the number of its points.
LogicalResult DftTransform::fillFilter() {
  if (failed(fillRoots(innerRoots, inner)))
    return failure();
  Planes from = buffers[0].first;
  Value zero = e.constantFloat(type, 0), limit = e.mulI(points, e.i64(2));
  if (failed(e.vectorLoop(e.i64(0), inner, [&](LaneIndex k) {
        stages.store(from, k, {zero, zero});
        return success();
      })))
    return failure();
  // k^2 modulo twice the points: the next square is 2k + 1 further.
  auto squares =
      e.forLoop(e.i64(0), points, 1, e.i64(0), [&](Value k, ValueRange state) -> FailureOr<SmallVector<Value>> {
        Complex turned = stages.load(roots, uniform(state[0]));
        stages.store(chirp, uniform(k), turned);
        stages.store(from, uniform(k), turned);
        Value mirrored = e.subI(inner, k);
        mirrored = e.select(e.lessI(mirrored, inner), mirrored, e.i64(0));
        stages.store(from, uniform(mirrored), turned);
        Value next = e.addI(state[0], e.addI(e.mulI(k, e.i64(2)), e.i64(1))), wrapped = e.subI(next, limit);
        return SmallVector<Value>{e.select(e.lessI(next, limit), next, wrapped)};
      });
  if (failed(squares))
    return failure();
  auto result = stagesOf(from, buffers[0].second, innerRoots, inner, /*batched=*/false);
  if (failed(result))
    return failure();
  FloatMath &m = stages.math();
  Value scale = m.div(m.constant(1), m.fromInt(inner));
  return e.vectorLoop(e.i64(0), inner, [&](LaneIndex k) {
    Complex value = stages.load(result->in, k);
    stages.store(filter, k, {m.mul(value.re, scale), m.mul(value.im, scale)});
    return success();
  });
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

/// (from, from's imaginary parts, to, to's, cosines, sines, their order, points, lanes, factors, their number) ->
/// whether the result is in `to`.
FailureOr<func::FuncOp> DftTransform::stagesFunction() {
  Type i64 = b.getI64Type(), pointer = factors.getType();
  SmallVector<Type> types(6, pointer);
  types.append({i64, i64, i64, pointer, i64});
  return e.makeFunction("stages", types, i64, [&](ValueRange a) -> FailureOr<SmallVector<Value>> {
    Value order = a[6], count = a[7], step = e.divI(order, count);
    SmallVector<Value> init{a[0], a[1], a[2], a[3], a[8], step, count, e.i64(0)};
    auto done = e.forLoop(e.i64(0), a[10], 1, init, [&](Value i, ValueRange now) -> FailureOr<SmallVector<Value>> {
      DftStage stage;
      stage.from = {now[0], now[1]};
      stage.to = {now[2], now[3]};
      stage.stride = now[4];
      stage.roots = {a[4], a[5]};
      stage.rootStep = now[5];
      Value radix = e.loadAt({a[9], i64}, uniform(i));
      stage.m = e.divI(now[6], radix);
      stage.radixStep = e.divI(order, radix);
      for (int64_t known : kRunRadices) {
        DftStage own = stage;
        own.radix = known;
        own.radixSize = e.i64(known);
        Value isKnown = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, radix, own.radixSize);
        if (failed(e.ifThen(isKnown, [&] { return stages.emit(own); })))
          return failure();
      }
      stage.radixSize = radix;
      if (failed(e.ifThen(e.lessI(e.i64(7), radix), [&] { return stages.emit(stage); })))
        return failure();
      return SmallVector<Value>{now[2],
                                now[3],
                                now[0],
                                now[1],
                                e.mulI(now[4], radix),
                                e.mulI(now[5], radix),
                                stage.m,
                                e.subI(e.i64(1), now[7])};
    });
    if (failed(done))
      return failure();
    return SmallVector<Value>{(*done)[7]};
  });
}

FailureOr<DftTransform::Result> DftTransform::stagesOf(Planes from, Planes to, Planes roots, Value order,
                                                       bool batched) {
  Value stride = e.i64(batched ? lanes : 1);
  if (!plan) {
    SmallVector<Value> operands{from.first, from.second, to.first, to.second, roots.first, roots.second,
                                order,      inner,       stride,   factors,   factorCount};
    Value inTo = func::CallOp::create(b, loc, function, operands).getResult(0);
    Value isTo = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, inTo, e.i64(0));
    auto select = [&](Planes x, Planes y) -> Planes {
      return {arith::SelectOp::create(b, loc, isTo, x.first, y.first),
              arith::SelectOp::create(b, loc, isTo, x.second, y.second)};
    };
    return Result{select(to, from), select(from, to)};
  }
  int64_t left = plan->transformPoints(), done = 1;
  Value step = e.divI(order, inner);
  for (int64_t radix : plan->radices) {
    left /= radix;
    DftStage stage;
    stage.radix = DftStages::hasButterfly(radix) ? radix : 0;
    stage.radixSize = e.i64(radix);
    stage.m = e.i64(left);
    stage.stride = e.mulI(stride, e.i64(done));
    stage.from = from;
    stage.to = to;
    stage.roots = roots;
    stage.rootStep = e.mulI(step, e.i64(done));
    stage.radixStep = e.divI(order, stage.radixSize);
    if (failed(stages.emit(stage)))
      return failure();
    std::swap(from, to);
    done *= radix;
  }
  return Result{from, to};
}

//===----------------------------------------------------------------------===//
// Convolution (Bluestein)
//===----------------------------------------------------------------------===//

LogicalResult DftTransform::multiplyByChirp(Planes numbers, bool batched) {
  return forPoints(batched, e.i64(0), points, [&](LaneIndex k, LaneIndex at) {
    stages.store(numbers, at, stages.turn(stages.load(numbers, at), stages.load(chirp, k)));
    return success();
  });
}

/// x[k] c[k] convolved with 1 / c, times c again. An inverse transform is one of swapped parts.
FailureOr<DftTransform::Result> DftTransform::convolve(Planes from, Planes to, bool batched) {
  Value zero = e.constantFloat(type, 0);
  if (failed(multiplyByChirp(from, batched)) || failed(forPoints(batched, points, inner, [&](LaneIndex, LaneIndex at) {
        stages.store(from, at, {zero, zero});
        return success();
      })))
    return failure();
  auto spectrum = stagesOf(from, to, innerRoots, inner, batched);
  if (failed(spectrum))
    return failure();
  FloatMath &m = stages.math();
  if (failed(forPoints(batched, e.i64(0), inner, [&](LaneIndex k, LaneIndex at) {
        Complex x = stages.load(spectrum->in, at), f = stages.load(filter, k);
        Value re = m.sub(m.mul(x.re, f.re), m.mul(x.im, f.im)), im = m.fma(x.re, f.im, m.mul(x.im, f.re));
        stages.store(spectrum->in, at, {im, re});
        return success();
      })))
    return failure();
  auto back = stagesOf(spectrum->in, spectrum->other, innerRoots, inner, batched);
  if (failed(back))
    return failure();
  Result result{back->in.swapped(), back->other.swapped()};
  if (failed(multiplyByChirp(result.in, batched)))
    return failure();
  return result;
}

FailureOr<Planes> DftTransform::run(bool batched) {
  auto [from, to] = buffers[batched];
  auto direct = [&] { return stagesOf(from, to, roots, order, batched); };
  if (plan) {
    auto result = plan->convolution ? convolve(from, to, batched) : direct();
    if (failed(result))
      return failure();
    return result->in;
  }
  // Where the result is, from both ways.
  Type pointer = from.first.getType();
  auto both = scf::IfOp::create(b, loc, TypeRange{pointer, pointer}, isConvolution, /*withElseRegion=*/true);
  for (bool convolved : {true, false}) {
    CpuKernelEmitter::Scope scope(e);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(convolved ? both.thenBlock() : both.elseBlock());
    auto result = convolved ? convolve(from, to, batched) : direct();
    if (failed(result))
      return failure();
    scf::YieldOp::create(b, loc, ValueRange{result->in.first, result->in.second});
  }
  return Planes{both.getResult(0), both.getResult(1)};
}

} // namespace ds
