//===- SymExpr.cpp - Integer expressions over dimension symbols -----------===//
// Guarantees: the canonical form. Terms are sorted by degree (highest first), then by the texts of their atoms: a
// graded lexicographic monomial order, so that polynomial division works on it directly. The constant comes last.
// Declines: expressions past kMaxText characters or kMaxTerms terms; they become "overflow", which has no value.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExpr.h"
#include "dialects/ds/shape/SymExprDetail.h"
#include <algorithm>
#include <cassert>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <numeric>

namespace ds {

static constexpr size_t kMaxText = 16384;
static constexpr size_t kMaxTerms = 256;

struct SymExpr::Node {
  std::vector<Term> terms;
  bool overflow = false;
  std::string text;
};

static int compareMonomials(const Monomial &a, const Monomial &b) {
  if (a.size() != b.size())
    return a.size() > b.size() ? -1 : 1;
  for (size_t i = 0; i < a.size(); ++i)
    if (int order = a[i]->text.compare(b[i]->text))
      return order;
  return 0;
}

static Monomial multiplyMonomials(const Monomial &a, const Monomial &b) {
  Monomial result;
  result.reserve(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result),
             [](const auto &x, const auto &y) { return x->text < y->text; });
  return result;
}

/// a / b as multisets; nullopt if b is no part of a.
static std::optional<Monomial> divideMonomials(const Monomial &a, const Monomial &b) {
  Monomial rest;
  size_t j = 0;
  for (const auto &atom : a) {
    if (j < b.size() && b[j]->text == atom->text)
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
    int order = a[i]->text.compare(b[j]->text);
    if (order == 0)
      common.push_back(a[i]), ++i, ++j;
    else
      ++(order < 0 ? i : j);
  }
  return common;
}

static std::string symbolText(const std::string &name) {
  bool plain = !name.empty() && (std::isalpha((unsigned char)name[0]) || name[0] == '_');
  for (char c : name)
    plain &= std::isalnum((unsigned char)c) || c == '_' || c == '.';
  if (plain)
    return name;
  std::string text = "'";
  for (char c : name) {
    if (c == '\'' || c == '\\')
      text += '\\';
    text += c;
  }
  return text + "'";
}

const char *functionName(AtomKind kind) {
  switch (kind) {
  case AtomKind::Symbol:
    break;
  case AtomKind::FloorDiv:
    return "floordiv";
  case AtomKind::CeilDiv:
    return "ceildiv";
  case AtomKind::Mod:
    return "mod";
  case AtomKind::Min:
    return "min";
  case AtomKind::Max:
    return "max";
  case AtomKind::Bcast:
    return "bcast";
  }
  return "";
}

static std::string polynomialText(const std::vector<Term> &terms) {
  if (terms.empty())
    return "0";
  std::string text;
  for (const Term &term : terms) {
    bool negative = term.coefficient < 0;
    if (negative || !text.empty())
      text += negative ? '-' : '+';
    // Printed through unsigned, since the least int64 has no positive counterpart.
    uint64_t magnitude = negative ? 0 - uint64_t(term.coefficient) : uint64_t(term.coefficient);
    bool needsStar = magnitude != 1 || term.monomial.empty();
    if (needsStar)
      text += std::to_string(magnitude);
    for (const auto &atom : term.monomial) {
      if (needsStar)
        text += '*';
      text += atom->text;
      needsStar = true;
    }
    if (text.size() > kMaxText)
      break;
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Construction
//===----------------------------------------------------------------------===//

SymExpr::SymExpr(int64_t value) {
  std::vector<Term> terms;
  if (value != 0)
    terms.push_back({value, {}});
  std::string text = polynomialText(terms);
  node = std::make_shared<const Node>(Node{std::move(terms), false, std::move(text)});
}

SymExpr SymExpr::overflow() { return SymExpr(std::make_shared<const Node>(Node{{}, true, "overflow()"})); }

/// Sorts, merges and drops zeros.
SymExpr SymExpr::fromTerms(std::vector<Term> terms) {
  std::sort(terms.begin(), terms.end(),
            [](const Term &a, const Term &b) { return compareMonomials(a.monomial, b.monomial) < 0; });
  std::vector<Term> merged;
  for (Term &term : terms) {
    if (!merged.empty() && compareMonomials(merged.back().monomial, term.monomial) == 0) {
      if (__builtin_add_overflow(merged.back().coefficient, term.coefficient, &merged.back().coefficient))
        return overflow();
    } else {
      merged.push_back(std::move(term));
    }
    if (merged.back().coefficient == 0)
      merged.pop_back();
  }
  if (merged.size() > kMaxTerms)
    return overflow();
  std::string text = polynomialText(merged);
  if (text.size() > kMaxText)
    return overflow();
  return SymExpr(std::make_shared<const Node>(Node{std::move(merged), false, std::move(text)}));
}

SymExpr SymExpr::fromAtom(AtomKind kind, const SymExpr &a, const SymExpr &b) {
  std::string text = std::string(functionName(kind)) + "(" + a.str() + ", " + b.str() + ")";
  return fromTerms({{1, {std::make_shared<const Atom>(Atom{kind, "", a, b, std::move(text)})}}});
}

SymExpr SymExpr::symbol(std::string_view name) {
  std::string text = symbolText(std::string(name));
  return fromTerms({{1, {std::make_shared<const Atom>(Atom{AtomKind::Symbol, std::string(name), {}, {}, text})}}});
}

SymExpr operator+(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return SymExpr::overflow();
  std::vector<Term> terms = a.terms();
  terms.insert(terms.end(), b.terms().begin(), b.terms().end());
  return SymExpr::fromTerms(std::move(terms));
}

SymExpr operator-(const SymExpr &a, const SymExpr &b) { return a + b * SymExpr(-1); }

SymExpr operator*(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow() || a.terms().size() * b.terms().size() > kMaxTerms * kMaxTerms)
    return SymExpr::overflow();
  std::vector<Term> terms;
  for (const Term &x : a.terms())
    for (const Term &y : b.terms()) {
      int64_t coefficient;
      if (__builtin_mul_overflow(x.coefficient, y.coefficient, &coefficient))
        return SymExpr::overflow();
      terms.push_back({coefficient, multiplyMonomials(x.monomial, y.monomial)});
    }
  return SymExpr::fromTerms(std::move(terms));
}

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

const std::vector<Term> &SymExpr::terms() const { return node->terms; }
const std::string &SymExpr::str() const { return node->text; }
bool SymExpr::isOverflow() const { return node->overflow; }

bool SymExpr::operator==(const SymExpr &other) const {
  return node == other.node || (!isOverflow() && !other.isOverflow() && str() == other.str());
}

std::optional<int64_t> SymExpr::tryConst() const {
  if (isOverflow())
    return std::nullopt;
  if (terms().empty())
    return 0;
  if (terms().size() == 1 && terms()[0].monomial.empty())
    return terms()[0].coefficient;
  return std::nullopt;
}
bool SymExpr::isConst() const { return tryConst().has_value(); }
int64_t SymExpr::getConst() const {
  assert(isConst());
  return *tryConst();
}

/// The atom, if the expression is 1 * one atom.
static const Atom *soleAtom(const SymExpr &expr) {
  if (expr.isOverflow() || expr.terms().size() != 1)
    return nullptr;
  const Term &term = expr.terms()[0];
  return term.coefficient == 1 && term.monomial.size() == 1 ? term.monomial[0].get() : nullptr;
}

bool SymExpr::isSymbol() const { return symbolName().has_value(); }
std::optional<std::string> SymExpr::symbolName() const {
  const Atom *atom = soleAtom(*this);
  if (!atom || atom->kind != AtomKind::Symbol)
    return std::nullopt;
  return atom->name;
}

bool SymExpr::isDivisibleBy(int64_t divisor) const {
  if (isOverflow() || divisor == 0)
    return false;
  return std::all_of(terms().begin(), terms().end(), [&](const Term &term) {
    return !badDivision(term.coefficient, divisor) && term.coefficient % divisor == 0;
  });
}

void SymExpr::collectSymbols(std::set<std::string> &into) const {
  for (const Term &term : terms())
    for (const auto &atom : term.monomial) {
      if (atom->kind == AtomKind::Symbol) {
        into.insert(atom->name);
      } else {
        atom->a.collectSymbols(into);
        atom->b.collectSymbols(into);
      }
    }
}

std::set<std::string> SymExpr::symbols() const {
  std::set<std::string> result;
  collectSymbols(result);
  return result;
}

SymExpr applyFunction(AtomKind kind, const SymExpr &a, const SymExpr &b) {
  switch (kind) {
  case AtomKind::Symbol:
    break;
  case AtomKind::FloorDiv:
    return SymExpr::floorDiv(a, b);
  case AtomKind::CeilDiv:
    return SymExpr::ceilDiv(a, b);
  case AtomKind::Mod:
    return SymExpr::mod(a, b);
  case AtomKind::Min:
    return SymExpr::min(a, b);
  case AtomKind::Max:
    return SymExpr::max(a, b);
  case AtomKind::Bcast:
    return SymExpr::bcast(a, b);
  }
  return SymExpr();
}

SymExpr SymExpr::substitute(const std::map<std::string, SymExpr> &values) const {
  if (isOverflow())
    return *this;
  SymExpr sum;
  for (const Term &term : terms()) {
    SymExpr value(term.coefficient);
    for (const auto &atom : term.monomial) {
      if (atom->kind != AtomKind::Symbol) {
        value *= applyFunction(atom->kind, atom->a.substitute(values), atom->b.substitute(values));
        continue;
      }
      auto it = values.find(atom->name);
      value *= it == values.end() ? symbol(atom->name) : it->second;
    }
    sum += value;
  }
  return sum;
}

static std::optional<int64_t> evaluateFunction(AtomKind kind, int64_t a, int64_t b) {
  switch (kind) {
  case AtomKind::Symbol:
    break;
  case AtomKind::FloorDiv:
    if (badDivision(a, b))
      return std::nullopt;
    return floorDivInt(a, b);
  case AtomKind::CeilDiv:
    if (badDivision(a, b))
      return std::nullopt;
    return floorDivInt(a, b) + (a % b != 0);
  case AtomKind::Mod:
    if (badDivision(a, b))
      return std::nullopt;
    return floorModInt(a, b);
  case AtomKind::Min:
    return std::min(a, b);
  case AtomKind::Max:
    return std::max(a, b);
  case AtomKind::Bcast:
    return a == 1 ? b : a;
  }
  return std::nullopt;
}

std::optional<int64_t> SymExpr::evaluate(const std::map<std::string, int64_t> &values) const {
  if (isOverflow())
    return std::nullopt;
  int64_t sum = 0;
  for (const Term &term : terms()) {
    int64_t value = term.coefficient;
    for (const auto &atom : term.monomial) {
      std::optional<int64_t> factor;
      if (atom->kind == AtomKind::Symbol) {
        auto it = values.find(atom->name);
        if (it != values.end())
          factor = it->second;
      } else {
        std::optional<int64_t> a = atom->a.evaluate(values), b = atom->b.evaluate(values);
        if (a && b)
          factor = evaluateFunction(atom->kind, *a, *b);
      }
      if (!factor || __builtin_mul_overflow(value, *factor, &value))
        return std::nullopt;
    }
    if (__builtin_add_overflow(sum, value, &sum))
      return std::nullopt;
  }
  return sum;
}

//===----------------------------------------------------------------------===//
// Division
//===----------------------------------------------------------------------===//

struct SymExprDetail {
  static SymExpr make(std::vector<Term> terms) { return SymExpr::fromTerms(std::move(terms)); }
  static SymExpr atom(AtomKind kind, const SymExpr &a, const SymExpr &b) { return SymExpr::fromAtom(kind, a, b); }
  static SymExpr overflow() { return SymExpr::overflow(); }
};

static int64_t contentOf(const SymExpr &expr, bool withConstant) {
  int64_t content = 0;
  for (const Term &term : expr.terms())
    if ((withConstant || !term.monomial.empty()) && term.coefficient != INT64_MIN)
      content = std::gcd(content, term.coefficient);
  return content;
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

std::optional<SymExpr> SymExpr::quotient(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow() || b.terms().empty())
    return std::nullopt;
  const Term &lead = b.terms()[0];
  SymExpr rest = a, result;
  for (size_t steps = 0; !rest.terms().empty(); ++steps) {
    const Term &top = rest.terms()[0];
    std::optional<Monomial> monomial = divideMonomials(top.monomial, lead.monomial);
    if (!monomial || steps == kMaxTerms || badDivision(top.coefficient, lead.coefficient) ||
        top.coefficient % lead.coefficient != 0)
      return std::nullopt;
    SymExpr term = fromTerms({{top.coefficient / lead.coefficient, std::move(*monomial)}});
    result += term;
    rest = rest - term * b;
    if (rest.isOverflow())
      return std::nullopt;
  }
  return result;
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
    std::optional<Monomial> monomial = divideMonomials(term.monomial, b.monomial);
    if (monomial && !badDivision(term.coefficient, b.coefficient) && term.coefficient % b.coefficient == 0)
      q.push_back({term.coefficient / b.coefficient, std::move(*monomial)});
    else
      r.push_back(term);
  }
  return {SymExprDetail::make(std::move(q)), SymExprDetail::make(std::move(r))};
}

static SymExpr floorDivByConstant(const SymExpr &a, int64_t c) {
  auto [q, rest] = splitByConstant(a, c);
  if (rest.isConst()) // In [0, c).
    return q;
  int64_t k = constantTermOf(rest);
  SymExpr variable = rest - SymExpr(k);
  // floor((g*x + k) / (g*c')) = floor((x + floor(k/g)) / c') for integers x.
  int64_t g = std::gcd(contentOf(variable, true), c);
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
  Monomial common = commonMonomial(monomialContentOf(a), monomialContentOf(b));
  int64_t g = std::gcd(contentOf(a, true), contentOf(b, true));
  if (g == 0 || (g == 1 && common.empty()))
    return;
  a = divideTerms(a, g, common);
  b = divideTerms(b, g, common);
}

SymExpr SymExpr::floorDiv(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return overflow();
  if (std::optional<int64_t> c = b.tryConst()) {
    if (*c == 0)
      return fromAtom(AtomKind::FloorDiv, a, b);
    if (*c < 0)
      return *c == INT64_MIN ? overflow() : floorDiv(-a, -b);
    return floorDivByConstant(a, *c);
  }
  if (std::optional<SymExpr> q = quotient(a, b))
    return *q;
  SymExpr rest = a, divisor = b, q;
  if (b.terms().size() == 1)
    std::tie(q, rest) = splitByTerm(a, b.terms()[0]);
  cancelCommon(rest, divisor);
  if (divisor.isConst())
    return q + floorDiv(rest, divisor);
  if (rest.isNonNegative() && provablyLessEqual(rest, divisor - SymExpr(1)))
    return q;
  return q + fromAtom(AtomKind::FloorDiv, rest, divisor);
}

SymExpr SymExpr::ceilDiv(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return overflow();
  if (std::optional<int64_t> c = b.tryConst(); c && *c < 0)
    return *c == INT64_MIN ? overflow() : ceilDiv(-a, -b);
  if (b.isPositive())
    return floorDiv(a + b - SymExpr(1), b);
  if (std::optional<SymExpr> q = quotient(a, b))
    return *q;
  SymExpr rest = a, divisor = b, q;
  if (b.terms().size() == 1)
    std::tie(q, rest) = splitByTerm(a, b.terms()[0]);
  cancelCommon(rest, divisor);
  if (divisor.isPositive())
    return q + ceilDiv(rest, divisor);
  return q + fromAtom(AtomKind::CeilDiv, rest, divisor);
}

SymExpr SymExpr::mod(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return overflow();
  SymExpr rest = a;
  std::optional<int64_t> c = b.tryConst();
  if (c && *c > 0) {
    rest = splitByConstant(a, *c).second;
    if (rest.isConst())
      return rest;
    int64_t k = constantTermOf(rest);
    SymExpr variable = rest - SymExpr(k);
    // (g*x + k) mod (g*c') = g * ((x + floor(k/g)) mod c') + k mod g.
    int64_t g = std::gcd(contentOf(variable, true), *c);
    if (g > 1)
      return SymExpr(g) * mod(divideTerms(variable, g, {}) + SymExpr(floorDivInt(k, g)), SymExpr(*c / g)) +
             SymExpr(floorModInt(k, g));
  } else if (c && *c < 0 && a.isConst() && !badDivision(a.getConst(), *c)) {
    return SymExpr(floorModInt(a.getConst(), *c));
  } else if (!c) {
    if (quotient(a, b))
      return SymExpr(0);
    if (b.terms().size() == 1)
      rest = splitByTerm(a, b.terms()[0]).second;
  }
  if (rest.isNonNegative() && provablyLessEqual(rest, b - SymExpr(1)))
    return rest;
  return fromAtom(AtomKind::Mod, rest, b);
}

SymExpr SymExpr::exactDiv(const SymExpr &a, const SymExpr &b) {
  if (std::optional<SymExpr> q = quotient(a, b))
    return *q;
  return floorDiv(a, b);
}

//===----------------------------------------------------------------------===//
// Min, max, bcast
//===----------------------------------------------------------------------===//

static void flatten(AtomKind kind, const SymExpr &expr, std::vector<SymExpr> &into) {
  const Atom *atom = soleAtom(expr);
  if (atom && atom->kind == kind) {
    flatten(kind, atom->a, into);
    flatten(kind, atom->b, into);
  } else if (std::find(into.begin(), into.end(), expr) == into.end()) {
    into.push_back(expr);
  }
}

/// Rebuilds kind(..kind(o0, o1).., on) from sorted operands.
static SymExpr chain(AtomKind kind, std::vector<SymExpr> operands) {
  std::sort(operands.begin(), operands.end());
  SymExpr result = operands[0];
  for (size_t i = 1; i < operands.size(); ++i)
    result = SymExprDetail::atom(kind, result, operands[i]);
  return result;
}

static SymExpr minOrMax(AtomKind kind, const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return SymExprDetail::overflow();
  std::vector<SymExpr> operands, kept;
  flatten(kind, a, operands);
  flatten(kind, b, operands);
  // The operands are pairwise different; an operand that another one makes redundant goes. Two that are provably
  // equal, though of different form, are told apart by position.
  auto beats = [&](const SymExpr &x, const SymExpr &y) {
    return kind == AtomKind::Min ? SymExpr::provablyLessEqual(x, y) : SymExpr::provablyLessEqual(y, x);
  };
  for (size_t i = 0; i < operands.size(); ++i) {
    bool redundant = false;
    for (size_t j = 0; j < operands.size() && !redundant; ++j)
      redundant = i != j && beats(operands[j], operands[i]) && (j < i || !beats(operands[i], operands[j]));
    if (!redundant)
      kept.push_back(operands[i]);
  }
  return chain(kind, std::move(kept));
}

SymExpr SymExpr::min(const SymExpr &a, const SymExpr &b) { return minOrMax(AtomKind::Min, a, b); }
SymExpr SymExpr::max(const SymExpr &a, const SymExpr &b) { return minOrMax(AtomKind::Max, a, b); }

bool SymExpr::canBeOne() const {
  if (isOverflow())
    return true;
  std::optional<int64_t> lo = lowerBound(), hi = upperBound();
  if ((lo && *lo > 1) || (hi && *hi < 1))
    return false;
  int64_t content = contentOf(*this, true);
  return content == 1 || content == -1; // 0: the constant 0; otherwise a multiple of content.
}

SymExpr SymExpr::bcast(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return overflow();
  std::vector<SymExpr> operands, kept;
  flatten(AtomKind::Bcast, a, operands);
  flatten(AtomKind::Bcast, b, operands);
  for (const SymExpr &operand : operands) {
    // One that is not 1 is the result: all others are 1 or equal to it.
    if (!operand.canBeOne())
      return operand;
    if (operand.isConst(1))
      continue;
    // min(c, x) beside x, with c > 1: if they differ one is 1, and then so is the other. It is x.
    std::vector<SymExpr> parts;
    flatten(AtomKind::Min, operand, parts);
    bool redundant = parts.size() > 1 && std::count_if(parts.begin(), parts.end(),
                                                       [](const SymExpr &part) {
                                                         std::optional<int64_t> low = part.lowerBound();
                                                         return low && *low > 1;
                                                       }) +
                                                 1 ==
                                             std::ptrdiff_t(parts.size());
    if (redundant)
      redundant = std::any_of(parts.begin(), parts.end(), [&](const SymExpr &part) {
        std::optional<int64_t> low = part.lowerBound();
        return !(low && *low > 1) && std::find(operands.begin(), operands.end(), part) != operands.end();
      });
    if (!redundant)
      kept.push_back(operand);
  }
  return kept.empty() ? SymExpr(1) : chain(AtomKind::Bcast, std::move(kept));
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
