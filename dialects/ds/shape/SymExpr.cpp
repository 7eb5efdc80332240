//===- SymExpr.cpp - Integer expressions over dimension symbols -----------===//
// Guarantees: the canonical form. Terms are sorted by degree (highest first), then by the texts of their atoms: a
// graded lexicographic monomial order, so that polynomial division works on it directly. The constant comes last.
// What visits an expression visits each different atom in it once.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExpr.h"
#include "dialects/ds/shape/SymExprDetail.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"
#include <algorithm>
#include <cassert>
#include <cctype>

namespace ds {

/// Products of sums are multiplied out; more terms than this on the way are an overflow.
static constexpr size_t kMaxProductTerms = 16384;

static int compareMonomials(const Monomial &a, const Monomial &b) {
  if (a.size() != b.size())
    return a.size() > b.size() ? -1 : 1;
  for (size_t i = 0; i < a.size(); ++i)
    if (!(a[i] == b[i]))
      return a[i]->text().compare(b[i]->text());
  return 0;
}

static Monomial multiplyMonomials(const Monomial &a, const Monomial &b) {
  Monomial result;
  result.reserve(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result),
             [](const AtomRef &x, const AtomRef &y) { return !(x == y) && x->text() < y->text(); });
  return result;
}

std::string symbolText(std::string_view name) {
  bool plain = !name.empty() && (std::isalpha((unsigned char)name[0]) || name[0] == '_');
  for (char c : name)
    plain &= std::isalnum((unsigned char)c) || c == '_' || c == '.';
  if (plain)
    return std::string(name);
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

/// The digits of a coefficient's magnitude and whether they are written.
static std::pair<std::string, bool> magnitudeText(const Term &term) {
  // Through unsigned, since the least int64 has no positive counterpart.
  uint64_t magnitude = term.coefficient < 0 ? 0 - uint64_t(term.coefficient) : uint64_t(term.coefficient);
  return {std::to_string(magnitude), magnitude != 1 || term.monomial.empty()};
}

static std::string polynomialText(const std::vector<Term> &terms) {
  if (terms.empty())
    return "0";
  std::string text;
  for (const Term &term : terms) {
    if (term.coefficient < 0 || !text.empty())
      text += term.coefficient < 0 ? '-' : '+';
    auto [digits, needsStar] = magnitudeText(term);
    if (needsStar)
      text += digits;
    for (const AtomRef &atom : term.monomial) {
      if (needsStar)
        text += '*';
      text += atom->text();
      needsStar = true;
    }
  }
  return text;
}

size_t textLengthOf(const std::vector<Term> &terms) {
  if (terms.empty())
    return 1;
  size_t length = 0;
  for (const Term &term : terms) {
    auto [digits, needsStar] = magnitudeText(term);
    length += (term.coefficient < 0 || length != 0) + (needsStar ? digits.size() : 0);
    for (const AtomRef &atom : term.monomial) {
      length += needsStar + SymExprDetail::textLength(*atom);
      needsStar = true;
    }
  }
  return length;
}

/// The text in `cache`, made first if nobody has.
template <typename Make> static const std::string &cachedText(std::atomic<const std::string *> &cache, Make make) {
  const std::string *text = cache.load(std::memory_order_acquire);
  if (text)
    return *text;
  auto *made = new std::string(make());
  if (cache.compare_exchange_strong(text, made, std::memory_order_acq_rel))
    return *made;
  delete made;
  return *text;
}

const std::string &SymAtom::text() const {
  return cachedText(textCache, [&] {
    if (kind == AtomKind::Symbol)
      return symbolText(name);
    return std::string(functionName(kind)) + "(" + a.str() + ", " + b.str() + ")";
  });
}

const std::string &SymExpr::str() const {
  if (const Atom *atom = soleAtom(*this))
    return atom->text();
  return cachedText(node->textCache, [&] { return isOverflow() ? "overflow()" : polynomialText(terms()); });
}

size_t SymExpr::textLength() const { return textLengthOf(terms()); }

//===----------------------------------------------------------------------===//
// Construction
//===----------------------------------------------------------------------===//

SymExpr::SymExpr(int64_t value) : node(SymExprDetail::internConstant(value)) {}

SymExpr SymExpr::overflow() { return SymExpr(SymExprDetail::overflowNode()); }

/// Sorts, merges and drops zeros.
SymExpr SymExpr::fromTerms(std::vector<Term> terms) {
  auto before = [](const Term &a, const Term &b) { return compareMonomials(a.monomial, b.monomial) < 0; };
  if (!std::is_sorted(terms.begin(), terms.end(), before))
    std::sort(terms.begin(), terms.end(), before);
  std::vector<Term> merged;
  merged.reserve(terms.size());
  for (Term &term : terms) {
    if (!merged.empty() && merged.back().monomial == term.monomial) {
      if (__builtin_add_overflow(merged.back().coefficient, term.coefficient, &merged.back().coefficient))
        return overflow();
    } else {
      merged.push_back(std::move(term));
    }
    if (merged.back().coefficient == 0)
      merged.pop_back();
  }
  if (merged.empty())
    return SymExpr(0);
  if (merged.size() == 1 && merged[0].monomial.empty())
    return SymExpr(merged[0].coefficient);
  unsigned depth = 0;
  for (const Term &term : merged)
    for (const AtomRef &atom : term.monomial)
      depth = std::max(depth, SymExprDetail::depth(*atom));
  if (merged.size() > kMaxTerms || depth > kMaxDepth || textLengthOf(merged) > kMaxText)
    return overflow();
  return SymExpr(SymExprDetail::internTerms(std::move(merged)));
}

static SymExpr fromAtomRef(AtomRef atom) {
  std::vector<Term> terms(1);
  terms[0].coefficient = 1;
  terms[0].monomial.push_back(std::move(atom));
  return SymExprDetail::make(std::move(terms));
}

SymExpr SymExpr::fromAtom(AtomKind kind, const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return overflow();
  return fromAtomRef(SymExprDetail::internAtom(kind, {}, a, b));
}

SymExpr SymExpr::symbol(std::string_view name) {
  return fromAtomRef(SymExprDetail::internAtom(AtomKind::Symbol, name, {}, {}));
}

SymExpr operator+(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow())
    return SymExpr::overflow();
  if (a.terms().empty())
    return b;
  if (b.terms().empty())
    return a;
  // Both are sorted.
  std::vector<Term> terms;
  terms.reserve(a.terms().size() + b.terms().size());
  std::merge(a.terms().begin(), a.terms().end(), b.terms().begin(), b.terms().end(), std::back_inserter(terms),
             [](const Term &x, const Term &y) { return compareMonomials(x.monomial, y.monomial) < 0; });
  return SymExpr::fromTerms(std::move(terms));
}

SymExpr operator-(const SymExpr &a, const SymExpr &b) { return a + b * SymExpr(-1); }

SymExpr operator*(const SymExpr &a, const SymExpr &b) {
  if (a.isOverflow() || b.isOverflow() || a.terms().size() * b.terms().size() > kMaxProductTerms)
    return SymExpr::overflow();
  if (a.isConst(1))
    return b;
  if (b.isConst(1))
    return a;
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
bool SymExpr::isOverflow() const { return node->overflow; }

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

const Atom *soleAtom(const SymExpr &expr) {
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

/// Calls `visit` for each atom of `expr` that is not in `seen`, parts before wholes.
template <typename Visit>
static void visitAtoms(const SymExpr &expr, llvm::SmallPtrSetImpl<const Atom *> &seen, Visit visit) {
  for (const Term &term : expr.terms())
    for (const AtomRef &atom : term.monomial) {
      if (!seen.insert(atom.get()).second)
        continue;
      if (atom->kind != AtomKind::Symbol) {
        visitAtoms(atom->a, seen, visit);
        visitAtoms(atom->b, seen, visit);
      }
      visit(*atom);
    }
}

void SymExpr::forEachSymbol(llvm::function_ref<void(const std::string &)> visit) const {
  llvm::SmallPtrSet<const Atom *, 16> seen;
  visitAtoms(*this, seen, [&](const Atom &atom) {
    if (atom.kind == AtomKind::Symbol)
      visit(atom.name);
  });
}

void SymExpr::forEachDivisor(llvm::function_ref<void(const SymExpr &)> visit) const {
  llvm::SmallPtrSet<const Atom *, 16> seen;
  visitAtoms(*this, seen, [&](const Atom &atom) {
    if (atom.kind == AtomKind::FloorDiv || atom.kind == AtomKind::CeilDiv || atom.kind == AtomKind::Mod)
      visit(atom.b);
  });
}

void SymExpr::collectSymbols(std::set<std::string> &into) const {
  forEachSymbol([&](const std::string &symbol) { into.insert(symbol); });
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
  if (isOverflow() || isConst())
    return *this;
  llvm::SmallPtrSet<const Atom *, 16> seen;
  llvm::DenseMap<const Atom *, SymExpr> replaced; // those that are no longer themselves
  auto rebuild = [&](const SymExpr &expr) {
    auto isReplaced = [&](const AtomRef &atom) { return replaced.contains(atom.get()); };
    if (std::none_of(expr.terms().begin(), expr.terms().end(), [&](const Term &term) {
          return std::any_of(term.monomial.begin(), term.monomial.end(), isReplaced);
        }))
      return expr;
    std::vector<Term> kept;
    SymExpr sum;
    for (const Term &term : expr.terms()) {
      Term rest{term.coefficient, {}};
      std::copy_if(term.monomial.begin(), term.monomial.end(), std::back_inserter(rest.monomial),
                   [&](const AtomRef &atom) { return !isReplaced(atom); });
      if (rest.monomial.size() == term.monomial.size()) {
        kept.push_back(std::move(rest));
        continue;
      }
      std::vector<Term> one;
      one.push_back(std::move(rest));
      SymExpr product = fromTerms(std::move(one));
      for (const AtomRef &atom : term.monomial)
        if (isReplaced(atom))
          product *= replaced.find(atom.get())->second;
      if (product.isOverflow())
        return overflow();
      kept.insert(kept.end(), product.terms().begin(), product.terms().end());
      if (kept.size() > kMaxProductTerms)
        return overflow();
    }
    return fromTerms(std::move(kept));
  };
  visitAtoms(*this, seen, [&](const Atom &atom) {
    if (atom.kind == AtomKind::Symbol) {
      if (auto value = values.find(atom.name); value != values.end())
        replaced.try_emplace(&atom, value->second);
      return;
    }
    SymExpr a = rebuild(atom.a), b = rebuild(atom.b);
    if (a.id() != atom.a.id() || b.id() != atom.b.id())
      replaced.try_emplace(&atom, applyFunction(atom.kind, a, b));
  });
  return rebuild(*this);
}

std::optional<int64_t> evaluateFunction(AtomKind kind, int64_t a, int64_t b) {
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
  llvm::SmallPtrSet<const Atom *, 16> seen;
  llvm::DenseMap<const Atom *, std::optional<int64_t>> known;
  auto valueOf = [&](const SymExpr &expr) -> std::optional<int64_t> {
    int64_t sum = 0;
    for (const Term &term : expr.terms()) {
      int64_t value = term.coefficient;
      for (const AtomRef &atom : term.monomial) {
        std::optional<int64_t> factor = known.lookup(atom.get());
        if (!factor || __builtin_mul_overflow(value, *factor, &value))
          return std::nullopt;
      }
      if (__builtin_add_overflow(sum, value, &sum))
        return std::nullopt;
    }
    return sum;
  };
  visitAtoms(*this, seen, [&](const Atom &atom) {
    std::optional<int64_t> &value = known[&atom];
    if (atom.kind == AtomKind::Symbol) {
      if (auto it = values.find(atom.name); it != values.end())
        value = it->second;
      return;
    }
    std::optional<int64_t> a = valueOf(atom.a), b = valueOf(atom.b);
    // Operands that cannot be broadcast: a run with these values is an error.
    const bool fits = a && b && (atom.kind != AtomKind::Bcast || *a == *b || *a == 1 || *b == 1);
    value = fits ? evaluateFunction(atom.kind, *a, *b) : std::nullopt;
  });
  return valueOf(*this);
}

} // namespace ds
