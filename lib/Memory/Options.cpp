//===- Options.cpp - What a step may hold ---------------------------------===//
// Guarantees: see ds/Memory/Options.h.
//===----------------------------------------------------------------------===//
#include "ds/Memory/Options.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace llvm;

namespace ds {

std::string parseMemoryBudget(StringRef text, MemoryOptions &options) {
  auto [amount, list] = text.split(':');
  static constexpr std::pair<StringLiteral, double> units[] = {
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}};
  double scale = 1, number = 0;
  StringRef digits = amount;
  for (auto [name, unit] : units)
    if (digits.consume_back(name)) {
      scale = unit;
      break;
    }
  // Above 2^60 nothing fits, and conversions overflow.
  if (digits.trim().getAsDouble(number) || !(number * scale >= 1) || !(number * scale < 0x1p60))
    return "--memory-budget expects an amount of memory like 2GiB, 1.5GB or 300MB, not '" + amount.str() + "'";
  options.budget = int64_t(number * scale);
  options.sizes.clear();
  SmallVector<StringRef> entries;
  list.split(entries, ',', -1, /*KeepEmpty=*/false);
  for (StringRef entry : entries) {
    auto [name, value] = entry.rsplit('=');
    int64_t size;
    if (name.empty() || value.getAsInteger(10, size) || size < 0)
      return "--memory-budget expects sizes like N=32 behind the colon, not '" + entry.str() + "'";
    if (name == "threads") {
      if (size < 1)
        return "--memory-budget expects threads=1 or more, not '" + entry.str() + "'";
      options.threads = size;
      continue;
    }
    if (any_of(options.sizes, [&](const auto &other) { return other.first == name; }))
      return "--memory-budget gives '" + name.str() + "' twice";
    options.sizes.emplace_back(name.str(), size);
  }
  return {};
}

} // namespace ds
