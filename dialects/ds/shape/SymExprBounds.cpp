//===- SymExprBounds.cpp - Bounds of size expressions ------------------===//
// Assumes: symbols are >= 0 and divisors are not 0.
// Guarantees: sound bounds, computed once an expression, and proofs of bounded length.
// Declines: to find every proof; intervals and one linear bound at a time.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExprDetail.h"
#include <algorithm>
#include <map>

namespace ds {

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

Interval boundsOf(AtomKind kind, const SymExpr &left, const SymExpr &right) {
  Interval a = SymExprDetail::node(left).bounds, b = SymExprDetail::node(right).bounds;
  switch (kind) {
  case AtomKind::Symbol:
    break;
  case AtomKind::FloorDiv:
  case AtomKind::CeilDiv: {
    if (std::optional<int64_t> c = right.tryConst(); c && *c > 0) {
      int64_t bump = kind == AtomKind::CeilDiv ? *c - 1 : 0;
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

Interval boundsOf(const std::vector<Term> &terms) {
  Interval sum{0, 0};
  for (const Term &term : terms) {
    Interval value{1, 1};
    for (const AtomRef &atom : term.monomial) {
      Interval factor = SymExprDetail::bounds(*atom);
      value = value.lo && *value.lo == 1 && value.hi && *value.hi == 1 ? factor : multiplyIntervals(value, factor);
    }
    Interval scaled{value.lo ? mulKnown(value.lo, term.coefficient) : std::nullopt,
                    value.hi ? mulKnown(value.hi, term.coefficient) : std::nullopt};
    if (term.coefficient < 0)
      std::swap(scaled.lo, scaled.hi);
    sum = {addKnown(sum.lo, scaled.lo), addKnown(sum.hi, scaled.hi)};
  }
  return sum;
}

std::optional<int64_t> SymExpr::lowerBound() const { return node->bounds.lo; }
std::optional<int64_t> SymExpr::upperBound() const { return node->bounds.hi; }

//===----------------------------------------------------------------------===//
// Samples
//===----------------------------------------------------------------------===//

SymSamples samplesOfSymbol(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u; // FNV-1a: the same in every run
  for (unsigned char character : name)
    hash = (hash ^ character) * 0x100000001b3u;
  return {0, hash % 5, 1 + (hash >> 16) % 64, 1 + (hash >> 32) % 100003};
}

SymSamples samplesOf(const std::vector<Term> &terms) {
  SymSamples result;
  for (size_t i = 0; i < result.size(); ++i) {
    std::optional<int64_t> sum = 0;
    for (const Term &term : terms) {
      std::optional<int64_t> value = term.coefficient;
      for (const AtomRef &atom : term.monomial)
        if (const std::optional<int64_t> &factor = SymExprDetail::samples(*atom)[i]; value && factor)
          value = mulKnown(value, factor);
        else
          value.reset();
      sum = addKnown(sum, value);
    }
    result[i] = sum;
  }
  return result;
}

SymSamples samplesOf(AtomKind kind, const SymExpr &left, const SymExpr &right) {
  const SymSamples &a = SymExprDetail::node(left).samples, &b = SymExprDetail::node(right).samples;
  SymSamples result;
  for (size_t i = 0; i < result.size(); ++i)
    result[i] = a[i] && b[i] ? evaluateFunction(kind, *a[i], *b[i]) : std::nullopt;
  return result;
}

bool isRefuted(const SymExpr &a, const SymExpr &b) {
  const SymSamples &x = SymExprDetail::node(a).samples, &y = SymExprDetail::node(b).samples;
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i] && y[i] && *x[i] > *y[i])
      return true;
  return false;
}

//===----------------------------------------------------------------------===//
// Proofs
//===----------------------------------------------------------------------===//

ProofCounts &proofCounts() {
  static thread_local ProofCounts counts;
  return counts;
}

namespace {
/// Proves e >= 0: by intervals, or by replacing one min, max, floordiv, mod or bcast by a linear bound of it. Of a sum
/// of many such terms there are too many combinations, so that no more than kMaxProofSteps sums are tried, and fewer of
/// long ones; none that a sample refutes. Sums are only added here: no function is applied, and so no other proof
/// begun.
class Proof {
public:
  bool prove(const SymExpr &e, unsigned depth);

private:
  /// With `atom`, of which `e` has `coefficient`, replaced by what bounds it.
  bool proveReplaced(const SymExpr &rest, int64_t coefficient, const Atom &atom, unsigned depth);

  static constexpr unsigned kDepth = 4;
  unsigned steps = SymExpr::kMaxProofSteps, terms = 8 * SymExpr::kMaxProofSteps;
  std::map<std::pair<const void *, unsigned>, bool> known;
  std::vector<SymExpr> alive; // those in `known`

public:
  static bool prove(const SymExpr &e) {
    ++proofCounts().proofs;
    return Proof().prove(e, kDepth);
  }
};
} // namespace

bool Proof::prove(const SymExpr &e, unsigned depth) {
  if (e.isOverflow() || steps == 0 || terms < e.terms().size())
    return false;
  --steps;
  terms -= e.terms().size();
  ++proofCounts().steps;
  if (std::optional<int64_t> lo = e.lowerBound(); lo && *lo >= 0)
    return true;
  if (depth == 0 || isRefuted(SymExpr(0), e))
    return false;
  if (auto found = known.find({e.id(), depth}); found != known.end())
    return found->second;
  bool proved = false;
  for (const Term &term : e.terms()) {
    if (term.monomial.size() != 1 || term.monomial[0]->kind == AtomKind::Symbol)
      continue;
    std::vector<Term> others;
    for (const Term &other : e.terms())
      if (&other != &term)
        others.push_back(other);
    if ((proved = proveReplaced(SymExprDetail::make(std::move(others)), term.coefficient, *term.monomial[0], depth)))
      break;
    if (steps == 0)
      break;
  }
  known[{e.id(), depth}] = proved;
  alive.push_back(e);
  return proved;
}

bool Proof::proveReplaced(const SymExpr &rest, int64_t coefficient, const Atom &atom, unsigned depth) {
  SymExpr c(coefficient);
  bool positive = coefficient > 0;
  auto withA = [&] { return prove(rest + c * atom.a, depth - 1); };
  auto withB = [&] { return prove(rest + c * atom.b, depth - 1); };
  switch (atom.kind) {
  case AtomKind::Symbol:
  case AtomKind::CeilDiv:
    return false;
  case AtomKind::Max:
    return positive ? withA() || withB() : withA() && withB();
  case AtomKind::Min:
    return positive ? withA() && withB() : withA() || withB();
  case AtomKind::Bcast:
    return withA() && withB();
  case AtomKind::FloorDiv: {
    std::optional<int64_t> d = atom.b.tryConst();
    if (!d || *d <= 0)
      return false;
    SymExpr numerator = positive ? atom.a - SymExpr(*d - 1) : atom.a;
    return prove(rest * SymExpr(*d) + c * numerator, depth - 1);
  }
  case AtomKind::Mod:
    return !positive && prove(atom.a, depth - 1) && withA();
  }
  return false;
}

bool SymExpr::isNonNegative() const {
  if (node->bounds.lo && *node->bounds.lo >= 0)
    return true;
  if (isOverflow() || isConst() || isRefuted(SymExpr(0), *this))
    return false;
  int8_t known = node->nonNegative.load(std::memory_order_relaxed);
  if (known < 0) {
    known = Proof::prove(*this);
    node->nonNegative.store(known, std::memory_order_relaxed);
  }
  return known;
}

bool SymExpr::isPositive() const { return (*this - SymExpr(1)).isNonNegative(); }

} // namespace ds
