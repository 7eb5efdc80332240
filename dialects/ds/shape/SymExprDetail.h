//===- SymExprDetail.h - Shared by the files of SymExpr -------------------===//
// Private to dialects/ds and its tests.
//===----------------------------------------------------------------------===//
#ifndef DS_SYMEXPRDETAIL_H
#define DS_SYMEXPRDETAIL_H

#include "dialects/ds/shape/SymExpr.h"

namespace ds {

using Atom = SymExpr::Atom;
using AtomRef = detail::Interned<SymAtom>;
using AtomKind = SymExpr::AtomKind;
using Monomial = SymExpr::Monomial;
using Term = SymExpr::Term;

/// A missing end is infinite.
struct Interval {
  std::optional<int64_t> lo, hi;
};

/// What is known of one expression. Immutable but for what is made when first asked for.
struct SymNode {
  SymNode(std::vector<Term> terms, size_t hash) : terms(std::move(terms)), hash(hash) {}
  SymNode(const SymNode &) = delete;
  ~SymNode() { delete textCache.load(std::memory_order_relaxed); }

  const std::vector<Term> terms;
  const size_t hash;
  bool overflow = false;
  bool immortal = false; // of no table: the small constants, and what overflowed
  unsigned depth = 0;    // functions in each other
  Interval bounds;
  SymSamples samples{};
  mutable std::atomic<uint32_t> references{1};
  mutable std::atomic<int8_t> nonNegative{-1}; // -1: not tried yet
  mutable std::atomic<const std::string *> textCache{nullptr};
};

struct SymExprDetail {
  static SymExpr make(std::vector<Term> terms) { return SymExpr::fromTerms(std::move(terms)); }
  static SymExpr atom(AtomKind kind, const SymExpr &a, const SymExpr &b) { return SymExpr::fromAtom(kind, a, b); }
  static SymExpr overflow() { return SymExpr::overflow(); }
  static SymExpr fromNode(detail::Interned<SymNode> node) { return SymExpr(std::move(node)); }
  static const SymNode &node(const SymExpr &expr) { return *expr.node; }
  static unsigned depth(const SymAtom &atom) { return atom.depth; }
  static unsigned textLength(const SymAtom &atom) { return atom.textLength; }
  static Interval bounds(const SymAtom &atom) { return {atom.low, atom.high}; }
  static const SymSamples &samples(const SymAtom &atom) { return atom.samples; }

  // SymExprTable.cpp: the one object of an atom, or of sorted terms that are no overflow.
  static AtomRef internAtom(AtomKind kind, std::string_view name, const SymExpr &a, const SymExpr &b);
  static detail::Interned<SymNode> internTerms(std::vector<Term> terms);
  static detail::Interned<SymNode> internConstant(int64_t value);
  static detail::Interned<SymNode> overflowNode();
  static void retain(const SymAtom *atom);
  static void release(const SymAtom *atom);
  /// How many expressions and atoms live.
  static size_t liveObjects();

  struct AtomTable;
  struct NodeTable;
};

/// What proofs cost, for tests: how many sums this thread's proofs have tried so far, and how many proofs there were.
struct ProofCounts {
  uint64_t steps = 0, proofs = 0;
};
ProofCounts &proofCounts();

inline int64_t floorDivInt(int64_t a, int64_t b) {
  int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}
inline int64_t floorModInt(int64_t a, int64_t b) {
  int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
/// True if a / b and a % b have no defined value.
inline bool badDivision(int64_t a, int64_t b) { return b == 0 || (a == INT64_MIN && b == -1); }

/// "floordiv", ...; empty for a symbol.
const char *functionName(AtomKind kind);
/// SymExpr::floorDiv(a, b), ...
SymExpr applyFunction(AtomKind kind, const SymExpr &a, const SymExpr &b);
/// The function of two numbers; nullopt where it has no value.
std::optional<int64_t> evaluateFunction(AtomKind kind, int64_t a, int64_t b);
/// The atom, if the expression is 1 * one atom.
const Atom *soleAtom(const SymExpr &expr);

/// The symbol as it is spelled in an expression: in quotes if it is no identifier.
std::string symbolText(std::string_view name);
/// How long the text of a sum is, without making it.
size_t textLengthOf(const std::vector<Term> &terms);

/// Bounds from those of the parts.
Interval boundsOf(const std::vector<Term> &terms);
Interval boundsOf(AtomKind kind, const SymExpr &a, const SymExpr &b);

/// Samples from those of the parts.
SymSamples samplesOfSymbol(std::string_view name);
SymSamples samplesOf(const std::vector<Term> &terms);
SymSamples samplesOf(AtomKind kind, const SymExpr &a, const SymExpr &b);
/// True if `a` > `b` for one of the samples: no proof of the contrary exists.
bool isRefuted(const SymExpr &a, const SymExpr &b);

} // namespace ds

#endif
