//===- SymExprParser.cpp - Reads size expressions ----------------------===//
// Guarantees: reads what SymExpr::str writes; hostile text is refused, with bounded recursion.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExprDetail.h"
#include <cctype>

namespace ds {

static constexpr unsigned kMaxParseDepth = 64;

namespace {
class Parser {
public:
  explicit Parser(std::string_view text) : text(text) {}

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
    if (depth > kMaxParseDepth)
      return std::nullopt;
    bool negative = consume('-');
    SymExpr sum;
    do {
      std::optional<SymExpr> term = parseTerm(depth, negative);
      if (!term)
        return std::nullopt;
      sum += *term;
      negative = false;
    } while (consume('+') || (negative = consume('-')));
    return sum;
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
      if (depth > kMaxParseDepth)
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
      return applyFunction(kind, *a, *b);
    }
    return std::nullopt;
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
  bool wasInteger = false;
};
} // namespace

std::optional<SymExpr> SymExpr::parse(std::string_view text) { return Parser(text).parseAll(); }

} // namespace ds
