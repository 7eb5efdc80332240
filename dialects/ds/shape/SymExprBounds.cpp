//===- SymExprBounds.cpp - Bounds of size expressions ------------------===//
// Assumes: symbols are >= 0 and divisors are not 0.
// Guarantees: sound bounds and proofs.
// Declines: to find every proof; intervals and one linear bound at a time.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExprDetail.h"
#include <algorithm>

namespace ds {

namespace {
/// A missing end is infinite.
struct Interval {
  std::optional<int64_t> lo, hi;
};
} // namespace

static std::optional<int64_t> minKnown(std::optional<int64_t> a, std::optional<int64_t> b) {
  if (a && b)
    return std::min(*a, *b);
  return a ? a : b;
}
static std::optional<int64_t> maxKnown(std::optional<int64_t> a, std::optional<int64_t> b) {
  if (a && b)
    return std::max(*a, *b);
  return a ? a : b;
}
static std::optional<int64_t> both(std::optional<int64_t> a, std::optional<int64_t> b, bool larger) {
  if (!a || !b)
    return std::nullopt;
  return larger ? std::max(*a, *b) : std::min(*a, *b);
}
static std::optional<int64_t> addKnown(std::optional<int64_t> a, std::optional<int64_t> b) {
  int64_t sum;
  if (!a || !b || __builtin_add_overflow(*a, *b, &sum))
    return std::nullopt;
  return sum;
}
static std::optional<int64_t> mulKnown(std::optional<int64_t> a, std::optional<int64_t> b) {
  int64_t result;
  if ((a && *a == 0) || (b && *b == 0))
    return 0;
  if (!a || !b || __builtin_mul_overflow(*a, *b, &result))
    return std::nullopt;
  return result;
}

/// Only products of non-negative factors get bounds; others are unbounded.
static Interval multiplyIntervals(Interval a, Interval b) {
  if (!a.lo || !b.lo || *a.lo < 0 || *b.lo < 0)
    return {};
  std::optional<int64_t> lo = mulKnown(a.lo, b.lo);
  return {lo ? lo : 0, mulKnown(a.hi, b.hi)};
}

static Interval boundsOf(const SymExpr &expr);

static Interval boundsOf(const Atom &atom) {
  if (atom.kind == AtomKind::Symbol)
    return {0, std::nullopt};
  Interval a = boundsOf(atom.a), b = boundsOf(atom.b);
  switch (atom.kind) {
  case AtomKind::Symbol:
    break;
  case AtomKind::FloorDiv:
  case AtomKind::CeilDiv: {
    if (std::optional<int64_t> c = atom.b.tryConst(); c && *c > 0) {
      int64_t bump = atom.kind == AtomKind::CeilDiv ? *c - 1 : 0;
      a = {addKnown(a.lo, bump), addKnown(a.hi, bump)};
      return {a.lo ? std::optional(floorDivInt(*a.lo, *c)) : std::nullopt,
              a.hi ? std::optional(floorDivInt(*a.hi, *c)) : std::nullopt};
    }
    if (a.lo && *a.lo >= 0 && b.lo && *b.lo >= 0) // The divisor is not 0, hence at least 1.
      return {0, a.hi};
    return {};
  }
  case AtomKind::Mod:
    if (b.lo && *b.lo >= 0) {
      std::optional<int64_t> hi = addKnown(b.hi, -1);
      return {0, a.lo && *a.lo >= 0 ? minKnown(hi, a.hi) : hi};
    }
    return {};
  case AtomKind::Min:
    return {both(a.lo, b.lo, false), minKnown(a.hi, b.hi)};
  case AtomKind::Max:
    return {maxKnown(a.lo, b.lo), both(a.hi, b.hi, true)};
  case AtomKind::Bcast:
    return {both(a.lo, b.lo, false), both(a.hi, b.hi, true)};
  }
  return {};
}

static Interval boundsOf(const SymExpr &expr) {
  if (expr.isOverflow())
    return {};
  Interval sum{0, 0};
  for (const Term &term : expr.terms()) {
    Interval value{1, 1};
    for (const auto &atom : term.monomial)
      value = value.lo && *value.lo == 1 && value.hi && *value.hi == 1 ? boundsOf(*atom)
                                                                       : multiplyIntervals(value, boundsOf(*atom));
    Interval scaled{value.lo ? mulKnown(value.lo, term.coefficient) : std::nullopt,
                    value.hi ? mulKnown(value.hi, term.coefficient) : std::nullopt};
    if (term.coefficient < 0)
      std::swap(scaled.lo, scaled.hi);
    sum = {addKnown(sum.lo, scaled.lo), addKnown(sum.hi, scaled.hi)};
  }
  return sum;
}

std::optional<int64_t> SymExpr::lowerBound() const { return boundsOf(*this).lo; }
std::optional<int64_t> SymExpr::upperBound() const { return boundsOf(*this).hi; }

/// Proves e >= 0: by intervals, or by replacing one min, max, floordiv, mod or bcast by a linear bound of it. `budget`
/// is how many expressions may still be tried: of a sum of many such terms there are too many combinations.
static bool proveNonNegative(const SymExpr &e, unsigned depth, unsigned &budget) {
  if (budget == 0)
    return false;
  --budget;
  if (std::optional<int64_t> lo = e.lowerBound(); lo && *lo >= 0)
    return true;
  if (depth == 0 || e.isOverflow())
    return false;
  for (const Term &term : e.terms()) {
    if (term.monomial.size() != 1 || term.monomial[0]->kind == AtomKind::Symbol)
      continue;
    const Atom &atom = *term.monomial[0];
    SymExpr c(term.coefficient);
    SymExpr self = applyFunction(atom.kind, atom.a, atom.b);
    SymExpr rest = e - c * self;
    bool positive = term.coefficient > 0;
    auto withA = [&] { return proveNonNegative(rest + c * atom.a, depth - 1, budget); };
    auto withB = [&] { return proveNonNegative(rest + c * atom.b, depth - 1, budget); };
    switch (atom.kind) {
    case AtomKind::Symbol:
      break;
    case AtomKind::Max:
      if (positive ? withA() || withB() : withA() && withB())
        return true;
      break;
    case AtomKind::Min:
      if (positive ? withA() && withB() : withA() || withB())
        return true;
      break;
    case AtomKind::Bcast:
      if (withA() && withB())
        return true;
      break;
    case AtomKind::FloorDiv:
      if (std::optional<int64_t> d = atom.b.tryConst(); d && *d > 0) {
        SymExpr numerator = positive ? atom.a - SymExpr(*d - 1) : atom.a;
        if (proveNonNegative(rest * SymExpr(*d) + c * numerator, depth - 1, budget))
          return true;
      }
      break;
    case AtomKind::Mod:
      if (!positive && proveNonNegative(atom.a, depth - 1, budget) && withA())
        return true;
      break;
    case AtomKind::CeilDiv:
      break;
    }
  }
  return false;
}

static bool proveNonNegative(const SymExpr &e) {
  unsigned budget = 500;
  return proveNonNegative(e, /*depth=*/4, budget);
}

bool SymExpr::isNonNegative() const { return proveNonNegative(*this); }
bool SymExpr::isPositive() const { return proveNonNegative(*this - SymExpr(1)); }
bool SymExpr::provablyLessEqual(const SymExpr &a, const SymExpr &b) { return proveNonNegative(b - a); }

} // namespace ds
