//===- SymExpr.h - Integer expressions over dimension symbols -------------===//
// Assumes: a symbol stands for a dimension, an integer >= 0.
// Guarantees: values are immutable and in a canonical form: a polynomial with integer coefficients over atoms (symbols
//   and floordiv, ceildiv, mod, min, max, bcast of two expressions); equal forms print, compare and order equally on
//   every run. Simplifications keep the value wherever the original is defined (a divisor is taken to be non-zero).
//   Equal expressions are one object, whoever made them: `==` and a hash cost nothing, an expression that occurs in
//   many places is held once and looked at once by every function here. Any number of threads may use them. Bounded
//   work: an expression has at most kMaxTerms terms, kMaxDepth functions in each other and kMaxText characters of text;
//   what would be larger is "overflow". Every function but substitute makes at most kMaxProofs proofs, and substitute
//   those of each different atom; a proof tries at most kMaxProofSteps sums, and starts no other.
// Declines: proving every equality. `==` is equality of canonical forms; a false one may still be equal at run time.
//===----------------------------------------------------------------------===//
#ifndef DS_SYMEXPR_H
#define DS_SYMEXPR_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ds {

struct SymAtom;
struct SymNode;

namespace detail {
void retain(const SymAtom *atom);
void release(const SymAtom *atom);
void retain(const SymNode *node);
void release(const SymNode *node);

/// A counted reference to an object of the tables in SymExprTable.cpp; equal objects are one.
template <typename T> class Interned {
public:
  Interned() = default;
  /// Takes over a count.
  explicit Interned(const T *counted) : object(counted) {}
  Interned(const Interned &other) : object(other.object) {
    if (object)
      retain(object);
  }
  Interned(Interned &&other) noexcept : object(std::exchange(other.object, nullptr)) {}
  Interned &operator=(Interned other) noexcept {
    std::swap(object, other.object);
    return *this;
  }
  ~Interned() {
    if (object)
      release(object);
  }
  const T *get() const { return object; }
  const T &operator*() const { return *object; }
  const T *operator->() const { return object; }
  bool operator==(const Interned &other) const { return object == other.object; }

private:
  const T *object = nullptr;
};
} // namespace detail

/// The value for a few choices of all symbols; nullopt where it is not defined, or too large.
using SymSamples = std::array<std::optional<int64_t>, 4>;

class SymExpr {
public:
  enum class AtomKind { Symbol, FloorDiv, CeilDiv, Mod, Min, Max, Bcast };
  using Atom = SymAtom;
  /// A product of atoms; equal atoms repeat, sorted by their text.
  using Monomial = llvm::SmallVector<detail::Interned<SymAtom>, 2>;
  struct Term {
    int64_t coefficient;
    Monomial monomial;
  };

  static constexpr unsigned kMaxTerms = 1024, kMaxDepth = 512, kMaxText = 16384;
  static constexpr unsigned kMaxProofs = 64, kMaxProofSteps = 500;

  /// The constant 0.
  SymExpr() : SymExpr(int64_t(0)) {}
  SymExpr(int64_t value);
  static SymExpr constant(int64_t value) { return SymExpr(value); }
  static SymExpr symbol(std::string_view name);

  friend SymExpr operator+(const SymExpr &a, const SymExpr &b);
  friend SymExpr operator-(const SymExpr &a, const SymExpr &b);
  friend SymExpr operator*(const SymExpr &a, const SymExpr &b);
  friend SymExpr operator-(const SymExpr &a) { return SymExpr(0) - a; }
  SymExpr &operator+=(const SymExpr &b) { return *this = *this + b; }
  SymExpr &operator*=(const SymExpr &b) { return *this = *this * b; }

  /// Rounds toward minus infinity; so does `mod`, whose result has the divisor's sign.
  static SymExpr floorDiv(const SymExpr &a, const SymExpr &b);
  static SymExpr ceilDiv(const SymExpr &a, const SymExpr &b);
  static SymExpr mod(const SymExpr &a, const SymExpr &b);
  static SymExpr min(const SymExpr &a, const SymExpr &b);
  static SymExpr max(const SymExpr &a, const SymExpr &b);
  /// The broadcast of two dims that are equal or of which one is 1: a == 1 ? b : a.
  static SymExpr bcast(const SymExpr &a, const SymExpr &b);
  /// The quotient where `b` is known to divide `a`; floorDiv otherwise.
  static SymExpr exactDiv(const SymExpr &a, const SymExpr &b);
  /// The quotient, if `b` provably divides `a` (for every value of the symbols with b != 0).
  static std::optional<SymExpr> quotient(const SymExpr &a, const SymExpr &b);

  bool isConst() const;
  /// Asserts isConst().
  int64_t getConst() const;
  std::optional<int64_t> tryConst() const;
  bool isConst(int64_t value) const { return isConst() && getConst() == value; }
  /// True if the expression is one symbol.
  bool isSymbol() const;
  /// The name, if the expression is one symbol.
  std::optional<std::string> symbolName() const;

  /// Of two that overflowed none is known to be the other: false, as for NaN.
  bool operator==(const SymExpr &other) const { return node == other.node && !isOverflow(); }
  bool operator!=(const SymExpr &other) const { return !(*this == other); }
  /// A total order of the canonical forms (by text), for sorted containers.
  bool operator<(const SymExpr &other) const { return node.get() != other.node.get() && str() < other.str(); }
  /// The same for equal expressions, and for these alone while one of them lives: a key of maps.
  const void *id() const { return node.get(); }
  /// For std::unordered_map and _set.
  struct Hash {
    size_t operator()(const SymExpr &expr) const { return std::hash<const void *>()(expr.id()); }
  };

  /// The canonical text, e.g. "12*S+floordiv(H, 2)-1"; made when it is first asked for.
  const std::string &str() const;
  /// How long that is, without making it.
  size_t textLength() const;
  /// Reads anything of the grammar of `str` and brings it into canonical form; nullopt if malformed or out of range.
  static std::optional<SymExpr> parse(std::string_view text);
  /// Reads what `str` wrote: read(e.str()) is e, without a proof. Functions are taken as they stand, so that of other
  /// text comes the expression that it spells, which may have a simpler form.
  static std::optional<SymExpr> read(std::string_view text);

  SymExpr substitute(const std::map<std::string, SymExpr> &values) const;
  void collectSymbols(std::set<std::string> &into) const;
  std::set<std::string> symbols() const;
  /// Calls `visit` for each symbol once, in no order that means anything.
  void forEachSymbol(llvm::function_ref<void(const std::string &)> visit) const;
  /// Calls `visit` for what is divided by, in the expression and in parts of it, once for each different division.
  void forEachDivisor(llvm::function_ref<void(const SymExpr &)> visit) const;
  /// The value; nullopt if a symbol is missing, a divisor is 0, operands of bcast differ or the arithmetic overflows.
  std::optional<int64_t> evaluate(const std::map<std::string, int64_t> &values) const;

  /// Constant bounds over all symbols >= 0, where known.
  std::optional<int64_t> lowerBound() const;
  std::optional<int64_t> upperBound() const;
  bool isNonNegative() const;
  /// Provably >= 1.
  bool isPositive() const;
  /// False if the value is provably not 1: such a dim never broadcasts.
  bool canBeOne() const;
  static bool provablyLessEqual(const SymExpr &a, const SymExpr &b);
  bool isDivisibleBy(int64_t divisor) const;

  /// The terms, for those who generate code: sum of coefficient * product of atoms. A constant has an empty monomial.
  /// Sorted; no coefficient is 0.
  const std::vector<Term> &terms() const;
  /// True if some arithmetic in building this overflowed, or its size did; such an expression equals nothing and has no
  /// value. Whoever emits an expression must ask, and fail with a message.
  bool isOverflow() const;

private:
  explicit SymExpr(detail::Interned<SymNode> node) : node(std::move(node)) {}
  static SymExpr fromTerms(std::vector<Term> terms);
  static SymExpr fromAtom(AtomKind kind, const SymExpr &a, const SymExpr &b);
  static SymExpr overflow();
  detail::Interned<SymNode> node;
  friend struct SymExprDetail;
};

/// A symbol (`name`), or a function of two expressions.
struct SymAtom {
  const SymExpr::AtomKind kind;
  const std::string name;
  const SymExpr a, b;

  /// Canonical text; equal texts mean equal atoms.
  const std::string &text() const;

private:
  friend struct SymExprDetail;
  SymAtom(SymExpr::AtomKind kind, std::string_view name, const SymExpr &a, const SymExpr &b, size_t hash);
  SymAtom(const SymAtom &) = delete;
  ~SymAtom() { delete textCache.load(std::memory_order_relaxed); }

  const size_t hash;
  unsigned depth = 0, textLength = 0;
  std::optional<int64_t> low, high; // bounds
  SymSamples samples{};
  mutable std::atomic<uint32_t> references{1};
  mutable std::atomic<const std::string *> textCache{nullptr};
};

/// The product of `dims` (1 if empty).
template <typename Range> SymExpr product(const Range &dims) {
  SymExpr result(1);
  for (const SymExpr &dim : dims)
    result = result * dim;
  return result;
}

/// An exact rational: contents of float tensors that shape arithmetic passes through (Cast, Div, Floor, Cast).
struct SymFraction {
  SymExpr num;
  /// Positive.
  SymExpr den = SymExpr(1);

  SymFraction() = default;
  SymFraction(SymExpr num) : num(std::move(num)) {}
  /// Reduces by the constant factors of both; `den` must be positive.
  SymFraction(SymExpr num, SymExpr den);
  bool isInteger() const { return den.isConst(1); }
  bool isConst() const { return num.isConst() && den.isConst(); }
  SymExpr floor() const { return SymExpr::floorDiv(num, den); }
  SymExpr ceil() const { return SymExpr::ceilDiv(num, den); }
  /// The double's exact value, if its denominator is at most 4096 and its numerator below 2^53.
  static std::optional<SymFraction> fromDouble(double value);
  bool operator==(const SymFraction &other) const { return num == other.num && den == other.den; }
};

} // namespace ds

#endif
