//===- SymExprTest.cpp - Integer expressions over symbols -----------------===//
#include "dialects/ds/shape/SymExpr.h"
#include <gtest/gtest.h>
#include <random>

using ds::SymExpr;
using ds::SymFraction;

namespace {

SymExpr parse(std::string_view text) {
  std::optional<SymExpr> expr = SymExpr::parse(text);
  EXPECT_TRUE(expr.has_value()) << text;
  return expr.value_or(SymExpr());
}
std::string canonical(std::string_view text) { return parse(text).str(); }

TEST(SymExpr, PolynomialsHaveOneForm) {
  EXPECT_EQ(canonical("S*12"), "12*S");
  EXPECT_EQ(canonical("(N+1)*(N-1)"), "N*N-1");
  EXPECT_EQ(canonical("b*a + a*b - 3"), "2*a*b-3");
  EXPECT_EQ(canonical("x - x"), "0");
  EXPECT_EQ(canonical("-N+1"), "-N+1");
  EXPECT_EQ(canonical("-(-N)"), "N");
  EXPECT_EQ(parse("S+P"), parse("P + S"));
}

TEST(SymExpr, OddSymbolNamesAreQuoted) {
  SymExpr expr = SymExpr::symbol("past + it's");
  EXPECT_EQ(expr.str(), "'past + it\\'s'");
  EXPECT_EQ(parse(expr.str()), expr);
  EXPECT_EQ(parse(expr.str()).symbolName(), "past + it's");
  EXPECT_EQ(SymExpr::symbol("").str(), "''");
}

TEST(SymExpr, MalformedTextIsRefused) {
  for (const char *text : {"", "+", "N+", "foo(1, 2)", "min(1)", "min(1, 2", "'x", "2 3", "N)", "99999999999999999999",
                           "overflow()", "9223372036854775807*9223372036854775807"})
    EXPECT_FALSE(SymExpr::parse(text)) << text;
  EXPECT_FALSE(SymExpr::parse(std::string(100000, '(')));
  EXPECT_FALSE(SymExpr::parse(std::string(100000, '-')));
  EXPECT_EQ(canonical("-9223372036854775808"), "-9223372036854775808");
}

TEST(SymExpr, FloorDivisionByConstants) {
  EXPECT_EQ(canonical("floordiv(12*N, 4)"), "3*N");
  EXPECT_EQ(canonical("floordiv(4*N+3, 4)"), "N");
  EXPECT_EQ(canonical("floordiv(4*N+7, 4)"), "N+1");
  EXPECT_EQ(canonical("floordiv(2*N+1, 4)"), "floordiv(N, 2)");
  EXPECT_EQ(canonical("floordiv(floordiv(H+1, 2)+1, 2)"), "floordiv(H+3, 4)");
  EXPECT_EQ(canonical("floordiv(H-1, 2)+1"), "floordiv(H+1, 2)");
  EXPECT_EQ(canonical("ceildiv(H, 2)"), "floordiv(H+1, 2)");
  EXPECT_EQ(canonical("floordiv(mod(N, 4), 4)"), "0");
  EXPECT_EQ(canonical("floordiv(-7, 2)"), "-4");
}

TEST(SymExpr, DivisionBySymbolsCancels) {
  EXPECT_EQ(canonical("floordiv(N*S*768, N*S)"), "768");
  EXPECT_EQ(canonical("floordiv(N*S*768, N*12)"), "64*S");
  EXPECT_EQ(SymExpr::exactDiv(parse("N*(P+S)*768"), parse("(P+S)*64")), parse("12*N"));
  EXPECT_EQ(canonical("floordiv(N*S+S, S*2)"), "floordiv(N+1, 2)");
  EXPECT_EQ(canonical("ceildiv(N, N)"), "1");
  EXPECT_EQ(canonical("mod(N*S, S)"), "0");
  EXPECT_FALSE(SymExpr::quotient(parse("N+1"), parse("N")).has_value());
}

TEST(SymExpr, Mod) {
  EXPECT_EQ(canonical("mod(8*N+3, 4)"), "3");
  EXPECT_EQ(canonical("mod(6*N, 4)"), "2*mod(N, 2)");
  EXPECT_EQ(canonical("mod(mod(N, 3), 5)"), "mod(N, 3)");
}

TEST(SymExpr, MinAndMaxDropWhatIsProvablyRedundant) {
  EXPECT_EQ(canonical("min(N, N+1)"), "N");
  EXPECT_EQ(canonical("max(N, 0)"), "N");
  EXPECT_EQ(canonical("max(min(N, 5), 0)"), "min(5, N)");
  EXPECT_EQ(canonical("min(N, max(N, M))"), "N");
  EXPECT_EQ(canonical("min(b, min(a, b))"), "min(a, b)");
  EXPECT_EQ(canonical("min(floordiv(N, 2), N)"), "floordiv(N, 2)");
  EXPECT_EQ(canonical("max(N-1, 0)"), "max(0, N-1)");
}

TEST(SymExpr, Broadcast) {
  EXPECT_EQ(canonical("bcast(N, 1)"), "N");
  EXPECT_EQ(canonical("bcast(N, N)"), "N");
  EXPECT_EQ(canonical("bcast(N, 7)"), "7");
  EXPECT_EQ(canonical("bcast(0, N)"), "0");
  EXPECT_EQ(canonical("bcast(b, bcast(a, b))"), "bcast(a, b)");
  EXPECT_EQ(canonical("bcast(min(S, 1024), S)"), "S");
  // An even dim is never 1.
  EXPECT_EQ(canonical("bcast(floordiv(H+15, 16), 2*floordiv(H+31, 32))"), "2*floordiv(H+31, 32)");
}

TEST(SymExpr, Bounds) {
  EXPECT_TRUE(parse("N*S+3").isPositive());
  EXPECT_FALSE(parse("N-1").isNonNegative());
  EXPECT_TRUE(parse("N - floordiv(N, 2)").isNonNegative());
  EXPECT_TRUE(parse("max(N, M) - M").isNonNegative());
  EXPECT_EQ(parse("min(N, 7) + 2").upperBound(), 9);
  EXPECT_FALSE(parse("2*N").canBeOne());
  EXPECT_FALSE(parse("N+2").canBeOne());
  EXPECT_TRUE(parse("2*N+1").canBeOne());
  EXPECT_TRUE(parse("12*N").isDivisibleBy(4));
  EXPECT_FALSE(parse("12*N+2").isDivisibleBy(4));
}

TEST(SymExpr, EvaluationChecksOverflowAndZeroDivisors) {
  EXPECT_EQ(parse("2*N+floordiv(M, N)").evaluate({{"N", 3}, {"M", 10}}), 9);
  EXPECT_EQ(parse("floordiv(M, N)").evaluate({{"N", 0}, {"M", 10}}), std::nullopt);
  EXPECT_EQ(parse("N*N").evaluate({{"N", int64_t(1) << 40}}), std::nullopt);
  EXPECT_EQ(parse("N").evaluate({}), std::nullopt);
}

TEST(SymExpr, SubstitutionSimplifies) {
  EXPECT_EQ(parse("floordiv(H+1, 2)*N").substitute({{"H", SymExpr(7)}}), parse("4*N"));
  EXPECT_EQ(parse("N+M").substitute({{"N", parse("M-1")}}), parse("2*M-1"));
}

TEST(SymExpr, OverflowHasNoValueAndEqualsNothing) {
  SymExpr huge = SymExpr(INT64_MAX) * SymExpr(2);
  EXPECT_TRUE(huge.isOverflow());
  EXPECT_FALSE(huge == SymExpr(INT64_MAX) * SymExpr(2));
  EXPECT_FALSE(huge.isConst());
  EXPECT_TRUE((huge + SymExpr(1)).isOverflow());
}

TEST(SymFraction, ReducesAndRounds) {
  EXPECT_EQ(SymFraction(parse("N"), SymExpr(2)).floor(), parse("floordiv(N, 2)"));
  EXPECT_TRUE(SymFraction(parse("4*N"), SymExpr(2)).isInteger());
  EXPECT_EQ(SymFraction::fromDouble(0.375), SymFraction(SymExpr(3), SymExpr(8)));
  EXPECT_FALSE(SymFraction::fromDouble(0.1).has_value());
  EXPECT_FALSE(SymFraction::fromDouble(std::numeric_limits<double>::quiet_NaN()).has_value());
}

/// Canonical forms keep the value: random expressions against direct evaluation.
class Random {
public:
  explicit Random(unsigned seed) : engine(seed) {}
  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(engine); }

  /// A random expression, and its value at `env` computed without SymExpr (nullopt: undefined).
  std::pair<SymExpr, std::optional<int64_t>> make(int depth, const std::map<std::string, int64_t> &env) {
    if (depth == 0 || below(5) == 0) {
      if (below(2)) {
        int64_t value = below(9) - 2;
        return {SymExpr(value), value};
      }
      std::string name(1, char('a' + below(3)));
      return {SymExpr::symbol(name), env.at(name)};
    }
    auto [a, x] = make(depth - 1, env);
    auto [b, y] = make(depth - 1, env);
    auto value = [&, x = x, y = y](auto f) { return x && y ? std::optional<int64_t>(f(*x, *y)) : std::nullopt; };
    bool divides = y && *y != 0;
    auto floorOf = [](int64_t p, int64_t q) { return int64_t(std::floor(double(p) / double(q))); };
    switch (below(8)) {
    case 0:
      return {a + b, value([](int64_t p, int64_t q) { return p + q; })};
    case 1:
      return {a - b, value([](int64_t p, int64_t q) { return p - q; })};
    case 2:
      return {a * b, value([](int64_t p, int64_t q) { return p * q; })};
    case 3:
      return {SymExpr::floorDiv(a, b), divides ? value(floorOf) : std::nullopt};
    case 4:
      return {SymExpr::ceilDiv(a, b),
              divides ? value([&](int64_t p, int64_t q) { return -floorOf(-p, q); }) : std::nullopt};
    case 5:
      return {SymExpr::mod(a, b),
              divides ? value([&](int64_t p, int64_t q) { return p - q * floorOf(p, q); }) : std::nullopt};
    case 6:
      return {SymExpr::min(a, b), value([](int64_t p, int64_t q) { return std::min(p, q); })};
    default:
      return {SymExpr::max(a, b), value([](int64_t p, int64_t q) { return std::max(p, q); })};
    }
  }

private:
  std::mt19937 engine;
};

TEST(SymExpr, SimplificationKeepsValues) {
  Random random(7);
  int compared = 0;
  for (int round = 0; round < 5000; ++round) {
    std::map<std::string, int64_t> env{{"a", random.below(8)}, {"b", random.below(8)}, {"c", random.below(8)}};
    auto [expr, expected] = random.make(4, env);
    if (!expected || expr.isOverflow() || std::abs(double(*expected)) > 1e9)
      continue;
    std::optional<int64_t> actual = expr.evaluate(env);
    // A cancelled divisor may make more defined, never less.
    ASSERT_TRUE(actual.has_value()) << expr.str();
    ASSERT_EQ(*actual, *expected) << expr.str() << " at a=" << env["a"] << " b=" << env["b"] << " c=" << env["c"];
    std::optional<SymExpr> again = SymExpr::parse(expr.str());
    ASSERT_TRUE(again.has_value()) << expr.str();
    ASSERT_EQ(again->evaluate(env), expected) << expr.str();
    if (expr.isNonNegative())
      ASSERT_GE(*expected, 0) << expr.str();
    if (std::optional<int64_t> hi = expr.upperBound())
      ASSERT_LE(*expected, *hi) << expr.str();
    ++compared;
  }
  EXPECT_GT(compared, 2500);
}

TEST(SymExpr, PrintingAndParsingIsTheIdentityOnCanonicalForms) {
  Random random(11);
  std::map<std::string, int64_t> env{{"a", 1}, {"b", 2}, {"c", 3}};
  for (int round = 0; round < 5000; ++round) {
    SymExpr expr = random.make(3, env).first;
    if (!expr.isOverflow())
      ASSERT_EQ(parse(expr.str()).str(), expr.str());
  }
}

TEST(SymExprBounds, ProofsOfLongSumsEnd) {
  SymExpr sum;
  auto symbol = [](char letter, int i) { return SymExpr::symbol(letter + std::to_string(i)); };
  for (int i = 0; i < 30; ++i)
    sum = sum + SymExpr::max(symbol('a', i) - symbol('b', i), symbol('c', i) - symbol('d', i));
  EXPECT_FALSE(sum.isNonNegative());
  EXPECT_FALSE(sum.isPositive());
}

} // namespace
