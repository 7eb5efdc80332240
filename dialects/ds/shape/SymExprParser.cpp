//===- SymExprParser.cpp - Reads size expressions ----------------------===//
// Guarantees: reads what SymExpr::str writes, which never has more functions in each other than may be read; hostile
//   text is refused, with bounded recursion.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExprDetail.h"
#include <cctype>

namespace ds {

namespace {
class Parser {
public:
  /// `exact`: functions as they stand, not in canonical form.
  Parser(std::string_view text, bool exact) : text(text), exact(exact) {}

  std::optional<SymExpr> parseAll() {
    std::optional<SymExpr> result = parseSum(0);
    skipSpace();
    if (!result || pos != text.size() || result->isOverflow())
      return std::nullopt;
    return result;
  }

private:
  void skipSpace() {
    while (pos < text.size() && text[pos] == ' ')
      ++pos;
  }
  bool consume(char c) {
    skipSpace();
    if (pos == text.size() || text[pos] != c)
      return false;
    ++pos;
    return true;
  }

  std::optional<SymExpr> parseSum(unsigned depth) {
    if (depth > SymExpr::kMaxDepth)
      return std::nullopt;
    bool negative = consume('-');
    std::vector<Term> terms;
    do {
      std::optional<SymExpr> term = parseTerm(depth, negative);
      if (!term || term->isOverflow())
        return std::nullopt;
      terms.insert(terms.end(), term->terms().begin(), term->terms().end());
      negative = false;
    } while (consume('+') || (negative = consume('-')));
    SymExpr sum = SymExprDetail::make(std::move(terms));
    return sum.isOverflow() ? std::nullopt : std::optional(sum);
  }

  std::optional<SymExpr> parseTerm(unsigned depth, bool negative) {
    SymExpr result(1);
    bool first = true;
    do {
      // The sign belongs to the first factor, so that the least int64 is read.
      std::optional<SymExpr> factor = parseFactor(depth, first && negative);
      if (!factor)
        return std::nullopt;
      result *= *factor;
      first = false;
    } while (consume('*'));
    return result;
  }

  std::optional<SymExpr> parseFactor(unsigned depth, bool negative) {
    if (consume('-')) {
      if (depth > SymExpr::kMaxDepth)
        return std::nullopt;
      return parseFactor(depth + 1, !negative);
    }
    std::optional<SymExpr> result = parseUnsigned(depth, negative);
    if (result && negative && !wasInteger)
      result = -*result;
    return result;
  }

  /// Applies `negative` itself to an integer only (and says so in wasInteger).
  std::optional<SymExpr> parseUnsigned(unsigned depth, bool negative) {
    wasInteger = false;
    if (consume('(')) {
      std::optional<SymExpr> inner = parseSum(depth + 1);
      if (!inner || !consume(')'))
        return std::nullopt;
      wasInteger = false;
      return inner;
    }
    if (consume('\''))
      return parseQuoted();
    if (pos == text.size())
      return std::nullopt;
    if (std::isdigit((unsigned char)text[pos]))
      return parseInteger(negative);
    if (!std::isalpha((unsigned char)text[pos]) && text[pos] != '_')
      return std::nullopt;
    size_t begin = pos;
    while (pos < text.size() && (std::isalnum((unsigned char)text[pos]) || text[pos] == '_' || text[pos] == '.'))
      ++pos;
    std::string_view name = text.substr(begin, pos - begin);
    if (!consume('('))
      return SymExpr::symbol(name);
    for (AtomKind kind :
         {AtomKind::FloorDiv, AtomKind::CeilDiv, AtomKind::Mod, AtomKind::Min, AtomKind::Max, AtomKind::Bcast}) {
      if (name != functionName(kind))
        continue;
      std::optional<SymExpr> a = parseSum(depth + 1);
      if (!a || !consume(','))
        return std::nullopt;
      std::optional<SymExpr> b = parseSum(depth + 1);
      if (!b || !consume(')'))
        return std::nullopt;
      wasInteger = false;
      return exact ? asItStands(kind, *a, *b) : applyFunction(kind, *a, *b);
    }
    return std::nullopt;
  }

  static SymExpr asItStands(AtomKind kind, const SymExpr &a, const SymExpr &b) {
    if (a.isConst() && b.isConst())
      if (std::optional<int64_t> value = evaluateFunction(kind, a.getConst(), b.getConst()))
        return SymExpr(*value);
    return SymExprDetail::atom(kind, a, b);
  }

  std::optional<SymExpr> parseQuoted() {
    std::string name;
    while (pos < text.size() && text[pos] != '\'') {
      if (text[pos] == '\\' && ++pos == text.size())
        return std::nullopt;
      name += text[pos++];
    }
    if (pos == text.size())
      return std::nullopt;
    ++pos;
    return SymExpr::symbol(name);
  }

  std::optional<SymExpr> parseInteger(bool negative) {
    int64_t value = 0;
    for (; pos < text.size() && std::isdigit((unsigned char)text[pos]); ++pos) {
      int64_t digit = text[pos] - '0';
      if (__builtin_mul_overflow(value, int64_t(10), &value) ||
          __builtin_add_overflow(value, negative ? -digit : digit, &value))
        return std::nullopt;
    }
    wasInteger = true;
    return SymExpr(value);
  }

  std::string_view text;
  size_t pos = 0;
  bool exact;
  bool wasInteger = false;
};
} // namespace

std::optional<SymExpr> SymExpr::parse(std::string_view text) { return Parser(text, /*exact=*/false).parseAll(); }
std::optional<SymExpr> SymExpr::read(std::string_view text) { return Parser(text, /*exact=*/true).parseAll(); }

} // namespace ds
