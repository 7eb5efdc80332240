//===- SymExprFunctions.cpp - Divisions, minima and maxima of sizes -------===//
// Guarantees: the canonical form of each function of two expressions. A result does not depend on what was computed
//   before, or on the thread. At most kMaxProofs proofs each.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExprDetail.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallPtrSet.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>

namespace ds {

/// Polynomial division handles at most about this many terms.
static constexpr size_t kMaxQuotientWork = 16384;

/// a / b as multisets; nullopt if b is no part of a.
static std::optional<Monomial> divideMonomials(const Monomial &a, const Monomial &b) {
  Monomial rest;
  size_t j = 0;
  for (const AtomRef &atom : a) {
    if (j < b.size() && b[j] == atom)
      ++j;
    else
      rest.push_back(atom);
  }
  if (j != b.size())
    return std::nullopt;
  return rest;
}

/// The atoms that a and b have in common.
static Monomial commonMonomial(const Monomial &a, const Monomial &b) {
  Monomial common;
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i] == b[j])
      common.push_back(a[i]), ++i, ++j;
    else
      ++(a[i]->text() < b[j]->text() ? i : j);
  }
  return common;
}

//===----------------------------------------------------------------------===//
// Division
//===----------------------------------------------------------------------===//

/// The greatest common divisor of the coefficients; 0 if there are none.
static int64_t contentOf(const SymExpr &expr) {
  uint64_t content = 0;
  for (const Term &term : expr.terms())
    content = std::gcd(content, term.coefficient < 0 ? 0 - uint64_t(term.coefficient) : uint64_t(term.coefficient));
  return content > INT64_MAX ? 1 : int64_t(content);
}

static Monomial monomialContentOf(const SymExpr &expr) {
  Monomial content;
  bool first = true;
  for (const Term &term : expr.terms()) {
    content = first ? term.monomial : commonMonomial(content, term.monomial);
    first = false;
  }
  return content;
}

/// Divides every term by coefficient * monomial, which must divide them all.
static SymExpr divideTerms(const SymExpr &expr, int64_t coefficient, const Monomial &monomial) {
  std::vector<Term> terms;
  for (const Term &term : expr.terms())
    terms.push_back({term.coefficient / coefficient, *divideMonomials(term.monomial, monomial)});
  return SymExprDetail::make(std::move(terms));
}

/// The quotient of two terms, if the second divides the first.
static std::optional<Term> divideTerm(const Term &a, const Term &b) {
  if (badDivision(a.coefficient, b.coefficient) || a.coefficient % b.coefficient != 0)
    return std::nullopt;
  std::optional<Monomial> monomial = divideMonomials(a.monomial, b.monomial);
  if (!monomial)
    return std::nullopt;
  return Term{a.coefficient / b.coefficient, std::move(*monomial)};
}

std::optional<SymExpr> SymExpr::quotient(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow() || b.terms().empty())
    return std::nullopt;
  const Term &lead = b.terms()[0];
  std::vector<Term> result;
  if (b.terms().size() == 1) {
    for (const Term &term : a.terms()) {
      std::optional<Term> part = divideTerm(term, lead);
      if (!part)
        return std::nullopt;
      result.push_back(std::move(*part));
    }
    return fromTerms(std::move(result));
  }
  SymExpr rest = a;
  for (size_t work = 0; !rest.terms().empty(); work += b.terms().size() + rest.terms().size()) {
    std::optional<Term> part = divideTerm(rest.terms()[0], lead);
    if (!part || work > kMaxQuotientWork)
      return std::nullopt;
    result.push_back(*part);
    rest = rest - fromTerms({std::move(*part)}) * b;
    if (rest.isOverflow())
      return std::nullopt;
  }
  return fromTerms(std::move(result));
}

/// Splits a = q * c + r with every coefficient of r in [0, c).
static std::pair<SymExpr, SymExpr> splitByConstant(const SymExpr &a, int64_t c) {
  std::vector<Term> q, r;
  for (const Term &term : a.terms()) {
    q.push_back({floorDivInt(term.coefficient, c), term.monomial});
    r.push_back({floorModInt(term.coefficient, c), term.monomial});
  }
  return {SymExprDetail::make(std::move(q)), SymExprDetail::make(std::move(r))};
}

static int64_t constantTermOf(const SymExpr &expr) {
  return !expr.terms().empty() && expr.terms().back().monomial.empty() ? expr.terms().back().coefficient : 0;
}

/// Splits a = q * b + r, where the terms of a that the one-term b divides go to q.
static std::pair<SymExpr, SymExpr> splitByTerm(const SymExpr &a, const Term &b) {
  std::vector<Term> q, r;
  for (const Term &term : a.terms()) {
    if (std::optional<Term> part = divideTerm(term, b))
      q.push_back(std::move(*part));
    else
      r.push_back(term);
  }
  return {SymExprDetail::make(std::move(q)), SymExprDetail::make(std::move(r))};
}

static SymExpr floorDivByConstant(const SymExpr &a, int64_t c) {
  if (a.isOverflow())
    return a;
  auto [q, rest] = splitByConstant(a, c);
  if (rest.isConst()) // In [0, c).
    return q;
  int64_t k = constantTermOf(rest);
  SymExpr variable = rest - SymExpr(k);
  // floor((g*x + k) / (g*c')) = floor((x + floor(k/g)) / c') for integers x.
  int64_t g = std::gcd(contentOf(variable), c);
  if (g > 1) {
    variable = divideTerms(variable, g, {});
    k = floorDivInt(k, g);
    c /= g;
    rest = variable + SymExpr(k);
    if (c == 1)
      return q + rest;
  }
  // floor((floor(x/d) + k) / c) = floor((x + k*d) / (c*d)).
  if (const Atom *atom = soleAtom(variable); atom && atom->kind == AtomKind::FloorDiv) {
    std::optional<int64_t> d = atom->b.tryConst();
    int64_t cd;
    if (d && *d > 0 && !__builtin_mul_overflow(c, *d, &cd))
      return q + floorDivByConstant(atom->a + SymExpr(k) * SymExpr(*d), cd);
  }
  if (rest.isNonNegative() && SymExpr::provablyLessEqual(rest, SymExpr(c - 1)))
    return q;
  return q + SymExprDetail::atom(AtomKind::FloorDiv, rest, SymExpr(c));
}

/// Cancels what all terms of both have in common.
static void cancelCommon(SymExpr &a, SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return;
  Monomial common = commonMonomial(monomialContentOf(a), monomialContentOf(b));
  int64_t g = std::gcd(contentOf(a), contentOf(b));
  if (g == 0 || (g == 1 && common.empty()))
    return;
  a = divideTerms(a, g, common);
  b = divideTerms(b, g, common);
}

//===----------------------------------------------------------------------===//
// Results that were asked for lately
//===----------------------------------------------------------------------===//

namespace {
/// One thread's: shape inference asks for the same few sizes again and again. A result is a function of its operands
/// alone, so it does not matter what is found here.
class Recent {
public:
  template <typename Compute> SymExpr get(int key, const SymExpr &a, const SymExpr &b, Compute compute) {
    size_t hash = (reinterpret_cast<uintptr_t>(a.id()) >> 4) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ (reinterpret_cast<uintptr_t>(b.id()) >> 4) ^ size_t(key)) * 0x9e3779b97f4a7c15u;
    size_t slot = hash >> (64 - kBits);
    if (Entry &entry = (*entries)[slot]; entry.key == key && entry.a.id() == a.id() && entry.b.id() == b.id())
      return entry.result;
    SymExpr result = compute(); // asks for others
    (*entries)[slot] = {key, a, b, result};
    return result;
  }

private:
  struct Entry {
    int key = -1;
    SymExpr a, b, result;
  };
  static constexpr unsigned kBits = 11;
  std::unique_ptr<std::array<Entry, 1 << kBits>> entries = std::make_unique<std::array<Entry, 1 << kBits>>();
};
thread_local Recent recent;
} // namespace

bool SymExpr::provablyLessEqual(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return false;
  if (a == b)
    return true;
  // Constants first: their difference may overflow.
  std::optional<int64_t> most = a.upperBound(), least = b.lowerBound();
  if (most && least && *most <= *least)
    return true;
  if ((a.isConst() && b.isConst()) || isRefuted(a, b))
    return false;
  constexpr int kLessEqual = 100; // no AtomKind
  return recent.get(kLessEqual, a, b, [&] { return SymExpr((b - a).isNonNegative()); }).isConst(1);
}

//===----------------------------------------------------------------------===//
// Divisions by expressions
//===----------------------------------------------------------------------===//

static SymExpr floorDivOf(const SymExpr &a, const SymExpr &b) {
  if (std::optional<int64_t> c = b.tryConst()) {
    if (*c == 0)
      return SymExprDetail::atom(AtomKind::FloorDiv, a, b);
    if (*c < 0)
      return *c == INT64_MIN ? SymExprDetail::overflow() : SymExpr::floorDiv(-a, -b);
    return floorDivByConstant(a, *c);
  }
  if (std::optional<SymExpr> q = SymExpr::quotient(a, b))
    return *q;
  SymExpr rest = a, divisor = b, q;
  if (b.terms().size() == 1)
    std::tie(q, rest) = splitByTerm(a, b.terms()[0]);
  cancelCommon(rest, divisor);
  if (divisor.isConst())
    return q + SymExpr::floorDiv(rest, divisor);
  if (rest.isNonNegative() && SymExpr::provablyLessEqual(rest, divisor - SymExpr(1)))
    return q;
  return q + SymExprDetail::atom(AtomKind::FloorDiv, rest, divisor);
}

static SymExpr ceilDivOf(const SymExpr &a, const SymExpr &b) {
  if (std::optional<int64_t> c = b.tryConst(); c && *c < 0)
    return *c == INT64_MIN ? SymExprDetail::overflow() : SymExpr::ceilDiv(-a, -b);
  if (b.isPositive())
    return SymExpr::floorDiv(a + b - SymExpr(1), b);
  if (std::optional<SymExpr> q = SymExpr::quotient(a, b))
    return *q;
  SymExpr rest = a, divisor = b, q;
  if (b.terms().size() == 1)
    std::tie(q, rest) = splitByTerm(a, b.terms()[0]);
  cancelCommon(rest, divisor);
  if (divisor.isPositive())
    return q + SymExpr::ceilDiv(rest, divisor);
  return q + SymExprDetail::atom(AtomKind::CeilDiv, rest, divisor);
}

static SymExpr modOf(const SymExpr &a, const SymExpr &b) {
  SymExpr rest = a;
  std::optional<int64_t> c = b.tryConst();
  if (c && *c > 0) {
    rest = splitByConstant(a, *c).second;
    if (rest.isConst())
      return rest;
    int64_t k = constantTermOf(rest);
    SymExpr variable = rest - SymExpr(k);
    // (g*x + k) mod (g*c') = g * ((x + floor(k/g)) mod c') + k mod g.
    int64_t g = std::gcd(contentOf(variable), *c);
    if (g > 1)
      return SymExpr(g) * SymExpr::mod(divideTerms(variable, g, {}) + SymExpr(floorDivInt(k, g)), SymExpr(*c / g)) +
             SymExpr(floorModInt(k, g));
  } else if (c && *c < 0 && a.isConst() && !badDivision(a.getConst(), *c)) {
    return SymExpr(floorModInt(a.getConst(), *c));
  } else if (!c) {
    if (SymExpr::quotient(a, b))
      return SymExpr(0);
    if (b.terms().size() == 1)
      rest = splitByTerm(a, b.terms()[0]).second;
  }
  if (rest.isNonNegative() && SymExpr::provablyLessEqual(rest, b - SymExpr(1)))
    return rest;
  return SymExprDetail::atom(AtomKind::Mod, rest, b);
}

//===----------------------------------------------------------------------===//
// Min, max, bcast
//===----------------------------------------------------------------------===//

namespace {
/// The operands of nested applications of one function, each once.
struct Operands {
  void flatten(AtomKind kind, const SymExpr &expr) {
    const Atom *atom = soleAtom(expr);
    if (atom && atom->kind == kind) {
      flatten(kind, atom->a);
      flatten(kind, atom->b);
    } else if (seen.insert(expr.id()).second) {
      list.push_back(expr);
    }
  }
  std::vector<SymExpr> list;
  llvm::SmallPtrSet<const void *, 16> seen;
};
} // namespace

/// Rebuilds kind(..kind(o0, o1).., on) from sorted operands; many of them as a tree that is not deep.
static SymExpr chain(AtomKind kind, llvm::ArrayRef<SymExpr> sorted) {
  constexpr size_t kChain = 16;
  if (sorted.size() > kChain)
    return SymExprDetail::atom(kind, chain(kind, sorted.take_front(sorted.size() / 2)),
                               chain(kind, sorted.drop_front(sorted.size() / 2)));
  SymExpr result = sorted[0];
  for (const SymExpr &operand : sorted.drop_front())
    result = SymExprDetail::atom(kind, result, operand);
  return result;
}

/// Of two operands that are provably equal, though of different form, the first one stays. Operands that came together
/// have been compared before.
static SymExpr minOrMax(AtomKind kind, const SymExpr &a, const SymExpr &b) {
  Operands operands;
  operands.flatten(kind, a);
  size_t ofA = operands.list.size();
  operands.flatten(kind, b);
  const std::vector<SymExpr> &all = operands.list;
  unsigned proofs = 0;
  auto beats = [&](const SymExpr &x, const SymExpr &y) {
    if (++proofs > SymExpr::kMaxProofs)
      return false;
    return kind == AtomKind::Min ? SymExpr::provablyLessEqual(x, y) : SymExpr::provablyLessEqual(y, x);
  };
  std::vector<bool> dropped(all.size());
  std::vector<SymExpr> kept;
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = i < ofA ? ofA : 0, end = i < ofA ? all.size() : ofA; j < end && !dropped[i]; ++j)
      dropped[i] = !dropped[j] && beats(all[j], all[i]) && (j < i || !beats(all[i], all[j]));
    if (!dropped[i])
      kept.push_back(all[i]);
  }
  std::sort(kept.begin(), kept.end());
  return chain(kind, kept);
}

bool SymExpr::canBeOne() const {
  if (isOverflow())
    return true;
  std::optional<int64_t> lo = lowerBound(), hi = upperBound();
  if ((lo && *lo > 1) || (hi && *hi < 1))
    return false;
  return contentOf(*this) == 1; // 0: the constant 0; otherwise a multiple of it.
}

/// True for min(c, x) with c > 1 of which x is among `operands`: if they differ one is 1, and then so is the other.
static bool isBoundOf(const SymExpr &expr, const Operands &operands) {
  Operands parts;
  parts.flatten(AtomKind::Min, expr);
  const SymExpr *open = nullptr;
  for (const SymExpr &part : parts.list) {
    if (std::optional<int64_t> low = part.lowerBound(); low && *low > 1)
      continue;
    if (open)
      return false;
    open = &part;
  }
  return parts.list.size() > 1 && open && operands.seen.contains(open->id());
}

static SymExpr bcastOf(const SymExpr &a, const SymExpr &b) {
  Operands operands;
  operands.flatten(AtomKind::Bcast, a);
  operands.flatten(AtomKind::Bcast, b);
  std::vector<SymExpr> kept;
  for (const SymExpr &operand : operands.list) {
    // One that is not 1 is the result: all others are 1 or equal to it.
    if (!operand.canBeOne())
      return operand;
    if (!operand.isConst(1) && !isBoundOf(operand, operands))
      kept.push_back(operand);
  }
  if (kept.empty())
    return SymExpr(1);
  std::sort(kept.begin(), kept.end());
  return chain(AtomKind::Bcast, kept);
}

//===----------------------------------------------------------------------===//
// What the class offers
//===----------------------------------------------------------------------===//

template <typename Compute> static SymExpr apply(AtomKind kind, const SymExpr &a, const SymExpr &b, Compute compute) {
  if (a.isOverflow() || b.isOverflow())
    return SymExprDetail::overflow();
  if (a.isConst() && b.isConst())
    if (std::optional<int64_t> value = evaluateFunction(kind, a.getConst(), b.getConst()))
      return SymExpr(*value);
  return recent.get(static_cast<int>(kind), a, b, compute);
}

SymExpr SymExpr::floorDiv(const SymExpr &a, const SymExpr &b) {
  return apply(AtomKind::FloorDiv, a, b, [&] { return floorDivOf(a, b); });
}
SymExpr SymExpr::ceilDiv(const SymExpr &a, const SymExpr &b) {
  return apply(AtomKind::CeilDiv, a, b, [&] { return ceilDivOf(a, b); });
}
SymExpr SymExpr::mod(const SymExpr &a, const SymExpr &b) {
  return apply(AtomKind::Mod, a, b, [&] { return modOf(a, b); });
}
SymExpr SymExpr::min(const SymExpr &a, const SymExpr &b) {
  return apply(AtomKind::Min, a, b, [&] { return minOrMax(AtomKind::Min, a, b); });
}
SymExpr SymExpr::max(const SymExpr &a, const SymExpr &b) {
  return apply(AtomKind::Max, a, b, [&] { return minOrMax(AtomKind::Max, a, b); });
}
SymExpr SymExpr::bcast(const SymExpr &a, const SymExpr &b) {
  return apply(AtomKind::Bcast, a, b, [&] { return bcastOf(a, b); });
}

SymExpr SymExpr::exactDiv(const SymExpr &a, const SymExpr &b) {
  if (std::optional<SymExpr> q = quotient(a, b))
    return *q;
  return floorDiv(a, b);
}

//===----------------------------------------------------------------------===//
// SymFraction
//===----------------------------------------------------------------------===//

SymFraction::SymFraction(SymExpr n, SymExpr d) : num(std::move(n)), den(std::move(d)) {
  if (std::optional<SymExpr> q = SymExpr::quotient(num, den)) {
    num = *q;
    den = SymExpr(1);
    return;
  }
  cancelCommon(num, den);
}

std::optional<SymFraction> SymFraction::fromDouble(double value) {
  for (int64_t den = 1; den <= 4096; den *= 2) {
    double scaled = value * double(den);
    if (!(std::fabs(scaled) < 9007199254740992.0))
      return std::nullopt;
    if (scaled == std::floor(scaled))
      return SymFraction(SymExpr(int64_t(scaled)), SymExpr(den));
  }
  return std::nullopt;
}

} // namespace ds
