//===- SymExprTest.cpp - Integer expressions over symbols -----------------===//
#include "dialects/ds/shape/SymExpr.h"
#include "dialects/ds/shape/SymExprDetail.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <thread>

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
  EXPECT_EQ(parse("bcast(N, M)").evaluate({{"N", 1}, {"M", 3}}), 3);
  EXPECT_EQ(parse("bcast(N, M)").evaluate({{"N", 2}, {"M", 3}}), std::nullopt);
}

TEST(SymExpr, SubstitutionSimplifies) {
  EXPECT_EQ(parse("floordiv(H+1, 2)*N").substitute({{"H", SymExpr(7)}}), parse("4*N"));
  EXPECT_EQ(parse("N+M").substitute({{"N", parse("M-1")}}), parse("2*M-1"));
}

TEST(SymExpr, WhatHoldsForAllTermsHoldsForTheLeastNumber) {
  // -2^63 has no positive counterpart: a divisor of all other coefficients need not divide it.
  EXPECT_EQ(canonical("floordiv(-9223372036854775808*N+6*M, 12)"),
            canonical("floordiv(-4611686018427387904*N+3*M, 6)"));
  EXPECT_EQ(parse("floordiv(-9223372036854775808*N+3*M, 9)").evaluate({{"N", 1}, {"M", 0}}), -1024819115206086201);
}

TEST(SymExpr, OverflowHasNoValueAndEqualsNothing) {
  SymExpr huge = SymExpr(INT64_MAX) * SymExpr(2);
  EXPECT_TRUE(huge.isOverflow());
  EXPECT_FALSE(huge == SymExpr(INT64_MAX) * SymExpr(2));
  EXPECT_FALSE(huge.isConst());
  for (const SymExpr &result :
       {huge + SymExpr(1), SymExpr(1) + huge, huge * SymExpr(0), -huge, SymExpr::floorDiv(huge, 2),
        SymExpr::floorDiv(2, huge), SymExpr::ceilDiv(huge, 2), SymExpr::mod(huge, 2), SymExpr::min(huge, 2),
        SymExpr::max(2, huge), SymExpr::bcast(1, huge), SymExpr::exactDiv(huge, 2), huge.substitute({}),
        SymFraction(huge, SymExpr(2)).num, SymFraction(huge, SymExpr(2)).floor()}) {
    EXPECT_TRUE(result.isOverflow()) << result.str();
    EXPECT_FALSE(result.isNonNegative());
    EXPECT_EQ(result.lowerBound(), std::nullopt);
    EXPECT_EQ(result.evaluate({}), std::nullopt);
  }
  EXPECT_FALSE(SymExpr::quotient(huge, 1).has_value());
  EXPECT_FALSE(SymExpr::provablyLessEqual(huge, huge));
  EXPECT_FALSE(SymExpr::read("overflow()").has_value());
  // Arithmetic inside of simplifications, too.
  EXPECT_TRUE(
      SymExpr::floorDiv(parse("floordiv(N+9223372036854775807, 4)") * SymExpr(1) + SymExpr(3), 2).isOverflow() ||
      SymExpr::floorDiv(parse("floordiv(N+9223372036854775807, 4)") + SymExpr(3), 2).evaluate({{"N", 0}}) ==
          (INT64_MAX / 4 + 3) / 2);
}

TEST(SymFraction, ReducesAndRounds) {
  EXPECT_EQ(SymFraction(parse("N"), SymExpr(2)).floor(), parse("floordiv(N, 2)"));
  EXPECT_TRUE(SymFraction(parse("4*N"), SymExpr(2)).isInteger());
  EXPECT_EQ(SymFraction::fromDouble(0.375), SymFraction(SymExpr(3), SymExpr(8)));
  EXPECT_FALSE(SymFraction::fromDouble(0.1).has_value());
  EXPECT_FALSE(SymFraction::fromDouble(std::numeric_limits<double>::quiet_NaN()).has_value());
}

//===----------------------------------------------------------------------===//
// Random expressions against an evaluator of their own
//===----------------------------------------------------------------------===//

using Env = std::map<std::string, int64_t>;
using Wide = std::optional<__int128>;

/// What a random expression was built from: kind is one of "#s+-*/^%<>" (number, symbol, floordiv, ceildiv, mod, ...).
struct Tree {
  char kind = '#';
  int64_t number = 0;
  std::string name;
  std::vector<Tree> parts;

  SymExpr build() const {
    if (kind == '#')
      return SymExpr(number);
    if (kind == 's')
      return SymExpr::symbol(name);
    SymExpr a = parts[0].build(), b = parts[1].build();
    switch (kind) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return SymExpr::floorDiv(a, b);
    case '^':
      return SymExpr::ceilDiv(a, b);
    case '%':
      return SymExpr::mod(a, b);
    case '<':
      return SymExpr::min(a, b);
    default:
      return SymExpr::max(a, b);
    }
  }

  /// nullopt: undefined, or larger than 2^100.
  Wide value(const Env &env) const {
    if (kind == '#')
      return number;
    if (kind == 's')
      return env.at(name);
    Wide a = parts[0].value(env), b = parts[1].value(env);
    if (!a || !b)
      return std::nullopt;
    auto floorOf = [](__int128 p, __int128 q) { return p / q - (p % q != 0 && (p < 0) != (q < 0)); };
    Wide result;
    switch (kind) {
    case '+':
      result = *a + *b;
      break;
    case '-':
      result = *a - *b;
      break;
    case '*':
      if (__int128 product; !__builtin_mul_overflow(*a, *b, &product))
        result = product;
      break;
    case '<':
      result = std::min(*a, *b);
      break;
    case '>':
      result = std::max(*a, *b);
      break;
    default:
      if (*b == 0)
        return std::nullopt;
      result = kind == '/' ? floorOf(*a, *b) : kind == '^' ? -floorOf(-*a, *b) : *a - *b * floorOf(*a, *b);
    }
    constexpr __int128 kMost = __int128(1) << 100;
    return result && *result < kMost && -*result < kMost ? result : std::nullopt;
  }
};

class Random {
public:
  explicit Random(unsigned seed) : engine(seed) {}
  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(engine); }

  Tree make(int depth, bool large = false) {
    Tree tree;
    if (depth == 0 || below(5) == 0) {
      tree.kind = below(2) ? '#' : 's';
      static const int64_t numbers[] = {INT64_MAX, INT64_MIN, int64_t(1) << 32, -(int64_t(1) << 40), 1000003};
      tree.number = large && below(3) == 0 ? numbers[below(5)] : below(9) - 2;
      tree.name = std::string(1, char('a' + below(3)));
      return tree;
    }
    tree.kind = "+-*/^%<>"[below(8)];
    tree.parts.push_back(make(depth - 1, large));
    tree.parts.push_back(make(depth - 1, large));
    return tree;
  }
  Env env(int64_t most = 8) { return {{"a", below(most)}, {"b", below(most)}, {"c", below(most)}}; }

private:
  std::mt19937 engine;
};

/// An evaluation may overflow on the way, never give another number.
void expectValue(const SymExpr &expr, const Wide &expected, const Env &env) {
  std::optional<int64_t> actual = expr.evaluate(env);
  if (!actual || !expected)
    return;
  ASSERT_TRUE(__int128(*actual) == *expected)
      << expr.str() << " is " << *actual << " at a=" << env.at("a") << " b=" << env.at("b") << " c=" << env.at("c");
}

TEST(SymExpr, SimplificationKeepsValues) {
  Random random(7);
  int compared = 0;
  for (int round = 0; round < 6000; ++round) {
    Tree tree = random.make(4, /*large=*/round % 3 == 0);
    SymExpr expr = tree.build();
    for (int i = 0; i < 4; ++i) {
      Env env = random.env(i < 2 ? 8 : int64_t(1) << 33);
      Wide expected = tree.value(env);
      ASSERT_NO_FATAL_FAILURE(expectValue(expr, expected, env));
      if (!expected || expr.isOverflow())
        continue;
      // A cancelled divisor may make more defined, never less.
      if (i < 2 && round % 3 && *expected < 1000000000 && *expected > -1000000000)
        ASSERT_TRUE(expr.evaluate(env).has_value()) << expr.str();
      if (expr.isNonNegative())
        ASSERT_TRUE(*expected >= 0) << expr.str();
      if (std::optional<int64_t> hi = expr.upperBound())
        ASSERT_TRUE(*expected <= *hi) << expr.str();
      if (std::optional<int64_t> lo = expr.lowerBound())
        ASSERT_TRUE(*expected >= *lo) << expr.str();
      if (!expr.canBeOne())
        ASSERT_TRUE(*expected != 1) << expr.str();
      ++compared;
    }
  }
  EXPECT_GT(compared, 10000);
}

TEST(SymExpr, SubstitutionKeepsValues) {
  Random random(21);
  int compared = 0;
  for (int round = 0; round < 3000; ++round) {
    Tree tree = random.make(4), forA = random.make(2), forB = random.make(2);
    SymExpr replaced = tree.build().substitute({{"a", forA.build()}, {"b", forB.build()}});
    for (int i = 0; i < 3; ++i) {
      Env env = random.env();
      Wide a = forA.value(env), b = forB.value(env);
      // Simplification took a and b for dimensions.
      if (!a || !b || *a < 0 || *b < 0 || *a > 1000000 || *b > 1000000)
        continue;
      Wide expected = tree.value({{"a", int64_t(*a)}, {"b", int64_t(*b)}, {"c", env["c"]}});
      ASSERT_NO_FATAL_FAILURE(expectValue(replaced, expected, env));
      compared += expected.has_value();
    }
  }
  EXPECT_GT(compared, 1500);
}

TEST(SymExpr, ProofsOfOrderAreSound) {
  Random random(5);
  int proved = 0;
  for (int round = 0; round < 4000; ++round) {
    Tree x = random.make(3), y = random.make(3);
    SymExpr a = x.build(), b = y.build();
    if (!SymExpr::provablyLessEqual(a, b))
      continue;
    ++proved;
    for (int i = 0; i < 10; ++i) {
      Env env = random.env(i < 5 ? 4 : 40);
      Wide p = x.value(env), q = y.value(env);
      if (p && q)
        ASSERT_TRUE(*p <= *q) << a.str() << " <= " << b.str();
    }
  }
  EXPECT_GT(proved, 400);
}

TEST(SymExpr, WhatIsWrittenIsReadAsTheSameObject) {
  Random random(11);
  std::map<std::string, SymExpr> byText;
  for (int round = 0; round < 6000; ++round) {
    SymExpr expr = random.make(round % 2 ? 3 : 5, round % 5 == 0).build();
    if (expr.isOverflow())
      continue;
    std::optional<SymExpr> again = SymExpr::read(expr.str());
    ASSERT_TRUE(again.has_value()) << expr.str();
    ASSERT_EQ(again->id(), expr.id()) << expr.str() << " was read as " << again->str();
    // Equal if and only if the texts are.
    auto [known, isNew] = byText.try_emplace(expr.str(), expr);
    ASSERT_EQ(known->second, expr);
  }
  std::set<const void *> ids;
  for (const auto &[text, expr] : byText)
    EXPECT_TRUE(ids.insert(expr.id()).second) << text;
  EXPECT_GT(byText.size(), 2000u);
}

TEST(SymExpr, ReadingProvesNothing) {
  SymExpr expr = parse("min(floordiv(min(N, S)+1, 2), max(S-3, floordiv(N, S)))");
  std::string text = expr.str();
  uint64_t before = ds::proofCounts().proofs;
  EXPECT_EQ(SymExpr::read(text), expr);
  EXPECT_EQ(ds::proofCounts().proofs, before);
  // Other text gives the expression that it spells.
  EXPECT_EQ(SymExpr::read("min(N, N+1)")->str(), "min(N, N+1)");
  EXPECT_EQ(SymExpr::read("floordiv(7, 2)"), SymExpr(3));
}

TEST(SymExpr, CanonicalFormIsAFixedPoint) {
  Random random(13);
  for (int round = 0; round < 4000; ++round) {
    SymExpr expr = random.make(3).build();
    if (!expr.isOverflow())
      ASSERT_EQ(parse(expr.str()).str(), expr.str());
  }
}

//===----------------------------------------------------------------------===//
// Bounds of work and size
//===----------------------------------------------------------------------===//

/// Proofs and steps that `make` takes.
template <typename Make> ds::ProofCounts countProofs(Make make) {
  ds::ProofCounts before = ds::proofCounts();
  make();
  return {ds::proofCounts().steps - before.steps, ds::proofCounts().proofs - before.proofs};
}

SymExpr halves(int levels) {
  SymExpr e = SymExpr::symbol("N"), s = SymExpr::symbol("S");
  for (int i = 0; i < levels; ++i)
    e = SymExpr::floorDiv(SymExpr::min(e, s) + SymExpr(1), SymExpr(2));
  return e;
}

TEST(SymExprBounds, EachFunctionMakesAFewProofsOfBoundedLength) {
  Random random(3);
  for (int round = 0; round < 1000; ++round) {
    SymExpr a = random.make(5).build(), b = random.make(5).build();
    for (auto function : {SymExpr::floorDiv, SymExpr::ceilDiv, SymExpr::mod, SymExpr::min, SymExpr::max}) {
      ds::ProofCounts counts = countProofs([&] { function(a, b); });
      ASSERT_LE(counts.proofs, SymExpr::kMaxProofs) << a.str() << " and " << b.str();
      ASSERT_LE(counts.steps, counts.proofs * SymExpr::kMaxProofSteps) << a.str() << " and " << b.str();
    }
  }
}

TEST(SymExprBounds, ChainsOfMinimaTakeWorkPerLevel) {
  ds::ProofCounts first = countProofs([] { halves(20); }), all = countProofs([] { halves(200); });
  EXPECT_GT(first.steps, 0u);
  EXPECT_LE(all.proofs, 200u * 8);
  EXPECT_LE(all.steps, 200u * 8 * 50);
}

TEST(SymExprBounds, ManyOperandsAreNotComparedForever) {
  SymExpr least = SymExpr::symbol("s0");
  for (int i = 1; i < 500; ++i) {
    SymExpr next = SymExpr::floorDiv(SymExpr::symbol("s" + std::to_string(i)) + SymExpr(i), 7);
    SymExpr result;
    ds::ProofCounts counts = countProofs([&] { result = SymExpr::min(least, next); });
    ASSERT_LE(counts.proofs, SymExpr::kMaxProofs);
    least = result;
  }
  ASSERT_FALSE(least.isOverflow());
  EXPECT_EQ(SymExpr::read(least.str()), least);
  std::map<std::string, int64_t> env;
  for (int i = 0; i < 500; ++i)
    env["s" + std::to_string(i)] = 7000 - 3 * i;
  EXPECT_EQ(least.evaluate(env), (7000 - 3 * 499 + 499) / 7);
}

TEST(SymExprBounds, ProofsOfLongSumsEnd) {
  SymExpr sum;
  auto symbol = [](char letter, int i) { return SymExpr::symbol(letter + std::to_string(i)); };
  for (int i = 0; i < 30; ++i)
    sum = sum + SymExpr::max(symbol('a', i) - symbol('b', i), symbol('c', i) - symbol('d', i));
  ds::ProofCounts counts = countProofs([&] {
    EXPECT_FALSE(sum.isNonNegative());
    EXPECT_FALSE(sum.isPositive());
  });
  EXPECT_LE(counts.steps, 2 * SymExpr::kMaxProofSteps);
}

TEST(SymExprBounds, WhatASampleRefutesIsNotTried) {
  // A sum of many minima, of which no small part decides.
  SymExpr sum;
  for (int i = 0; i < 30; ++i)
    sum = sum + SymExpr::min(SymExpr::symbol("a" + std::to_string(i)), SymExpr::symbol("b" + std::to_string(i)));
  ds::ProofCounts counts = countProofs([&] {
    EXPECT_FALSE(SymExpr::provablyLessEqual(SymExpr(1), sum));
    EXPECT_FALSE(SymExpr::provablyLessEqual(sum, SymExpr::symbol("N")));
  });
  EXPECT_EQ(counts.steps, 0u);
}

TEST(SymExprBounds, SamplesAreValues) {
  Random random(17);
  for (int round = 0; round < 2000; ++round) {
    SymExpr expr = random.make(4).build();
    if (expr.isOverflow())
      continue;
    const ds::SymSamples &samples = ds::SymExprDetail::node(expr).samples;
    for (size_t i = 0; i < samples.size(); ++i) {
      std::map<std::string, int64_t> values;
      expr.forEachSymbol([&](const std::string &name) { values[name] = *ds::samplesOfSymbol(name)[i]; });
      for (const auto &[name, value] : values)
        ASSERT_GE(value, 0) << name;
      ASSERT_EQ(samples[i], expr.evaluate(values)) << expr.str();
    }
  }
}

TEST(SymExprBounds, WhatIsTooDeepOverflowsAndWhatIsNotIsRead) {
  auto deep = [](int levels) {
    SymExpr e = SymExpr::symbol("N"), s = SymExpr::symbol("S");
    for (int i = 0; i < levels; ++i)
      e = SymExpr::floorDiv(e * s + SymExpr(1), s + SymExpr(1));
    return e;
  };
  SymExpr fits = deep(66);
  ASSERT_FALSE(fits.isOverflow());
  EXPECT_EQ(SymExpr::read(fits.str()), fits);
  EXPECT_TRUE(fits.evaluate({{"N", 100}, {"S", 7}}).has_value());
  EXPECT_EQ(fits.symbols().size(), 2u);
  EXPECT_TRUE(deep(5000).isOverflow());
  // Up to the last level that fits.
  SymExpr last, next = SymExpr::symbol("N");
  int levels = 0;
  for (; !next.isOverflow(); ++levels) {
    last = next;
    next = SymExpr::mod(last + SymExpr(1), SymExpr::symbol("S"));
  }
  EXPECT_EQ(levels, int(SymExpr::kMaxDepth) + 1);
  EXPECT_EQ(SymExpr::read(last.str()), last);
  EXPECT_FALSE(last.substitute({{"S", SymExpr::symbol("T")}}).isOverflow());
}

TEST(SymExprBounds, WhatIsSharedIsVisitedOnce) {
  // Each level occurs twice in the next: as a tree 2^40 leaves, of which the text would be too long.
  SymExpr e = SymExpr::symbol("N");
  for (int i = 0; i < 40; ++i)
    e = SymExpr::mod(e + SymExpr::floorDiv(e, SymExpr::symbol("S")), SymExpr::symbol("P"));
  EXPECT_TRUE(e.isOverflow());
  SymExpr power = SymExpr::symbol("N") + SymExpr(1);
  for (int i = 0; i < 64; ++i)
    power = power * power;
  EXPECT_TRUE(power.isOverflow());
}

TEST(SymExprBounds, DivisorsAreFoundAtAnyDepth) {
  SymExpr N = SymExpr::symbol("N"), S = SymExpr::symbol("S"), P = SymExpr::symbol("P");
  SymExpr e = SymExpr::mod(SymExpr::floorDiv(N + P, S), P + SymExpr(1)) + SymExpr::ceilDiv(N, SymExpr(4));
  std::set<std::string> divisors;
  e.forEachDivisor([&](const SymExpr &divisor) { divisors.insert(divisor.str()); });
  EXPECT_EQ(divisors, (std::set<std::string>{"S", "P+1", "4"}));
  // A divisor of 0 has no value, whatever knows of it.
  EXPECT_FALSE(e.evaluate({{"N", 4}, {"P", 2}, {"S", 0}}).has_value());
  EXPECT_EQ(e.evaluate({{"N", 4}, {"P", 2}, {"S", 2}}), 1);
}

TEST(SymExprBounds, TheLengthOfATextIsKnownBeforeTheText) {
  Random random(5);
  for (int round = 0; round < 500; ++round)
    if (SymExpr e = random.make(4).build(); !e.isOverflow())
      ASSERT_EQ(e.textLength(), e.str().size()) << e.str();
}

//===----------------------------------------------------------------------===//
// One object each
//===----------------------------------------------------------------------===//

TEST(SymExprTable, ObjectsGoWithTheirLastReference) {
  // Results that were asked for lately are kept; in a thread of its own they go with it.
  auto inThread = [](auto body) { std::thread(body).join(); };
  size_t before = ds::SymExprDetail::liveObjects();
  inThread([] {
    Random random(17);
    for (int round = 0; round < 500; ++round)
      random.make(5).build();
    halves(200);
  });
  EXPECT_EQ(ds::SymExprDetail::liveObjects(), before);
}

TEST(SymExprTable, ThreadsMakeTheSameObjects) {
  constexpr int kThreads = 8, kRounds = 300;
  std::vector<std::vector<SymExpr>> made(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 3; ++round) {
        Random random(23);
        made[t].clear(); // others may hold them still, or not
        for (int i = 0; i < kRounds; ++i)
          made[t].push_back(random.make(4).build());
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  for (int t = 1; t < kThreads; ++t)
    for (int i = 0; i < kRounds; ++i)
      ASSERT_EQ(made[t][i].id(), made[0][i].id()) << made[0][i].str();
}

} // namespace
