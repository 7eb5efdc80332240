//===- Sizes.cpp - Any text as a size expression --------------------------===//
// What the parser takes prints as text that it takes again, as the same expression; and the expression has the same
// value as before wherever it has one. Bounds and proofs must end and must hold for that value.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExpr.h"
#include <cstdint>
#include <string_view>

using ds::SymExpr;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  auto expect = [](bool condition) {
    if (!condition)
      __builtin_trap();
  };
  const auto expr = SymExpr::parse(std::string_view(reinterpret_cast<const char *>(bytes), size));
  if (!expr || expr->isOverflow())
    return 0;
  const auto again = SymExpr::parse(expr->str());
  expect(again.has_value());
  expect(*again == *expr && again->str() == expr->str());
  std::map<std::string, int64_t> values;
  int64_t next = 3;
  for (const std::string &name : expr->symbols())
    values[name] = next = (next * 7 + 5) % 23;
  const auto value = expr->evaluate(values);
  expect(again->evaluate(values) == value);
  if (value) {
    if (auto low = expr->lowerBound())
      expect(*low <= *value);
    if (auto high = expr->upperBound())
      expect(*value <= *high);
    if (expr->isPositive())
      expect(*value >= 1);
    for (int64_t divisor : {2, 3, 4})
      if (expr->isDivisibleBy(divisor))
        expect(*value % divisor == 0);
    // One symbol replaced by its value: still the same value, where that arithmetic does not overflow.
    if (!values.empty()) {
      const SymExpr partly = expr->substitute({{values.begin()->first, SymExpr(values.begin()->second)}});
      if (const auto other = partly.isOverflow() ? std::nullopt : partly.evaluate(values))
        expect(*other == *value);
    }
  }
  return 0;
}
