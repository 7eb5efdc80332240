//===- DftStages.cpp - The stages of a fast Fourier transform -------------===//
// Guarantees: see DftStages.h. Strides of a vector or more are vectorized along q, with the roots of each p in scalars;
//   shorter ones (the first stages of a single transform) along p and q together, with gathered roots and scattered
//   results.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/DftStages.h"
#include "lib/Codegen/CPU/DftPlan.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace ds {

static LaneIndex uniform(Value index) { return LaneIndex::uniform(index); }

static std::optional<int64_t> constantOf(Value value) { return uniform(value).getConst(); }

Complex DftStages::load(Planes from, LaneIndex at) {
  return {e.loadAt({from.first, type}, at), e.loadAt({from.second, type}, at)};
}

void DftStages::store(Planes to, LaneIndex at, Complex value) {
  e.storeAt({to.first, type}, at, value.re);
  e.storeAt({to.second, type}, at, value.im);
}

Complex DftStages::turn(Complex x, Complex root) {
  return {m.fma(x.im, root.im, m.mul(x.re, root.re)), m.sub(m.mul(x.im, root.re), m.mul(x.re, root.im))};
}

Value DftStages::reversed(Value vector) {
  SmallVector<int64_t> from;
  for (int64_t lane = e.getWidth(); lane-- > 0;)
    from.push_back(lane);
  return vector::ShuffleOp::create(b, e.getLoc(), vector, vector, from);
}

//===----------------------------------------------------------------------===//
// Butterflies
//===----------------------------------------------------------------------===//

SmallVector<Complex> DftStages::butterfly4(ArrayRef<Complex> x) {
  Complex even = add(x[0], x[2]), evenDiff = sub(x[0], x[2]), odd = add(x[1], x[3]), oddDiff = sub(x[1], x[3]);
  return {add(even, odd),
          {m.add(evenDiff.re, oddDiff.im), m.sub(evenDiff.im, oddDiff.re)},
          sub(even, odd),
          {m.sub(evenDiff.re, oddDiff.im), m.add(evenDiff.im, oddDiff.re)}};
}

SmallVector<Complex> DftStages::butterfly8(ArrayRef<Complex> x) {
  SmallVector<Complex> even = butterfly4({x[0], x[2], x[4], x[6]}), odd = butterfly4({x[1], x[3], x[5], x[7]});
  Value half = m.constant(std::sqrt(0.5));
  // Times e^(-2 pi i k / 8).
  odd[1] = {m.mul(m.add(odd[1].re, odd[1].im), half), m.mul(m.sub(odd[1].im, odd[1].re), half)};
  odd[3] = {m.mul(m.sub(odd[3].im, odd[3].re), half), m.mul(m.add(odd[3].im, odd[3].re), m.constant(-std::sqrt(0.5)))};
  SmallVector<Complex> low, high;
  for (int k = 0; k < 4; ++k) {
    if (k == 2) {
      low.push_back({m.add(even[k].re, odd[k].im), m.sub(even[k].im, odd[k].re)});
      high.push_back({m.sub(even[k].re, odd[k].im), m.add(even[k].im, odd[k].re)});
      continue;
    }
    low.push_back(add(even[k], odd[k]));
    high.push_back(sub(even[k], odd[k]));
  }
  low.append(high);
  return low;
}

/// x[j] and x[r - j] share their products: p is what their sum gives, q what their difference does.
SmallVector<Complex> DftStages::oddButterfly(ArrayRef<Complex> x) {
  int64_t radix = x.size();
  SmallVector<Complex> sums, differences, result(radix);
  Complex total = x[0];
  for (int64_t j = 1; j <= radix / 2; ++j) {
    sums.push_back(add(x[j], x[radix - j]));
    differences.push_back(sub(x[j], x[radix - j]));
    total = add(total, sums.back());
  }
  result[0] = total;
  for (int64_t k = 1; k <= radix / 2; ++k) {
    Complex p = x[0], q;
    for (int64_t j = 1; j <= radix / 2; ++j) {
      Value c = m.constant(cosineOfTurn(j * k, radix)), s = m.constant(sineOfTurn(j * k, radix));
      Complex sum = sums[j - 1], difference = differences[j - 1];
      p = {m.fma(sum.re, c, p.re), m.fma(sum.im, c, p.im)};
      q = j == 1 ? Complex{m.mul(difference.re, s), m.mul(difference.im, s)}
                 : Complex{m.fma(difference.re, s, q.re), m.fma(difference.im, s, q.im)};
    }
    result[k] = {m.add(p.re, q.im), m.sub(p.im, q.re)};
    result[radix - k] = {m.sub(p.re, q.im), m.add(p.im, q.re)};
  }
  return result;
}

SmallVector<Complex> DftStages::butterfly(ArrayRef<Complex> x) {
  switch (x.size()) {
  case 2:
    return {add(x[0], x[1]), sub(x[0], x[1])};
  case 4:
    return butterfly4(x);
  case 8:
    return butterfly8(x);
  default:
    return oddButterfly(x);
  }
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

SmallVector<Complex> DftStages::rootsOf(const DftStage &stage, LaneIndex p) {
  SmallVector<Complex> roots;
  if (constantOf(stage.m) == 1 || stage.radix == 0)
    return roots;
  LaneIndex first = e.mul(p, uniform(stage.rootStep)), at = first;
  for (int64_t k = 1; k < stage.radix; ++k) {
    roots.push_back(load(stage.roots, at));
    at = e.add(at, first);
  }
  return roots;
}

LogicalResult DftStages::butterflies(const DftStage &stage, LaneIndex from, LaneIndex to, ArrayRef<Complex> roots) {
  LaneIndex apart = uniform(e.mulI(stage.m, stage.stride));
  SmallVector<Complex> x;
  for (int64_t j = 0; j < stage.radix; ++j) {
    x.push_back(load(stage.from, from));
    from = e.add(from, apart);
  }
  for (auto [k, y] : llvm::enumerate(butterfly(x))) {
    store(stage.to, to, k == 0 || roots.empty() ? y : turn(y, roots[k - 1]));
    to = e.add(to, uniform(stage.stride));
  }
  return success();
}

LogicalResult DftStages::sums(const DftStage &stage, LaneIndex from, LaneIndex to, LaneIndex p) {
  Value radix = stage.radixSize, apart = e.mulI(stage.m, stage.stride);
  Complex x0 = load(stage.from, from);
  return e.forLoop(e.i64(0), radix, 1, [&](Value k) -> LogicalResult {
    auto sum = e.forLoop(e.i64(1), radix, 1, {x0.re, x0.im, k},
                         [&](Value j, ValueRange state) -> FailureOr<SmallVector<Value>> {
                           Complex x = load(stage.from, e.add(from, uniform(e.mulI(j, apart))));
                           Complex y = turn(x, load(stage.roots, uniform(e.mulI(state[2], stage.radixStep))));
                           // j k modulo the radix.
                           Value next = e.addI(state[2], k), wrapped = e.subI(next, radix);
                           next = e.select(e.lessI(next, radix), next, wrapped);
                           return SmallVector<Value>{m.add(state[0], y.re), m.add(state[1], y.im), next};
                         });
    if (failed(sum))
      return failure();
    Complex root = load(stage.roots, e.mul(p, uniform(e.mulI(k, stage.rootStep))));
    store(stage.to, e.add(to, uniform(e.mulI(k, stage.stride))), turn({(*sum)[0], (*sum)[1]}, root));
    return success();
  });
}

LogicalResult DftStages::rows(const DftStage &stage) {
  return e.forLoop(e.i64(0), stage.m, 1, [&](Value p) {
    SmallVector<Complex> roots = rootsOf(stage, uniform(p));
    Value from = e.mulI(p, stage.stride), to = e.mulI(from, stage.radixSize);
    return e.vectorLoop(e.i64(0), stage.stride, [&](LaneIndex q) {
      LaneIndex source = e.add(q, uniform(from)), target = e.add(q, uniform(to));
      return stage.radix ? butterflies(stage, source, target, roots) : sums(stage, source, target, uniform(p));
    });
  });
}

LogicalResult DftStages::flat(const DftStage &stage) {
  return e.vectorLoop(e.i64(0), e.mulI(stage.m, stage.stride), [&](LaneIndex t) {
    LaneIndex p = t;
    if (constantOf(stage.stride) != 1) {
      // t / stride: of the first lane by division, of the others by what is beyond, less than 2^8, times 2^16 / stride.
      constexpr int64_t kShift = 16;
      Value whole = e.divI(t.getValue(), stage.stride), rest = e.subI(t.getValue(), e.mulI(whole, stage.stride));
      Value inverse = e.addI(e.divI(e.i64(int64_t(1) << kShift), stage.stride), e.i64(1));
      Value scaled = e.mul(LaneIndex::consecutive(rest), uniform(inverse)).getValue();
      Value beyond = arith::ShRUIOp::create(b, e.getLoc(), scaled, e.broadcast(e.i64(kShift)));
      p = e.add(LaneIndex::general(beyond), uniform(whole));
    }
    Value skipped = e.mulI(stage.stride, e.subI(stage.radixSize, e.i64(1)));
    LaneIndex target = e.add(t, e.mul(p, uniform(skipped)));
    // Lanes of the rest that are beyond the last point compute what goes beyond it, too.
    if (e.getMask())
      p = e.min(p, uniform(e.subI(stage.m, e.i64(1))));
    e.setMask(Value());
    return stage.radix ? butterflies(stage, t, target, rootsOf(stage, p)) : sums(stage, t, target, p);
  });
}

LogicalResult DftStages::emit(const DftStage &stage) {
  Value isShort = e.lessI(stage.stride, e.i64(e.getWidth()));
  if (std::optional<int64_t> known = constantOf(stage.stride))
    return *known < e.getWidth() ? flat(stage) : rows(stage);
  if (failed(e.ifThen(isShort, [&] { return flat(stage); })))
    return failure();
  return e.ifThen(e.logicalNot(isShort), [&] { return rows(stage); });
}

} // namespace ds
