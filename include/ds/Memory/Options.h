//===- Options.h - What a step may hold -----------------------------------===//
// Guarantees: the text of `ds-compile --memory-budget` as values, or one line that says what is wrong with it.
//===----------------------------------------------------------------------===//
#ifndef DS_MEMORY_OPTIONS_H
#define DS_MEMORY_OPTIONS_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ds {

struct MemoryOptions {
  /// Bytes that a training step may hold; 0: any number.
  int64_t budget = 0;
  /// The sizes that this is said of, by symbol or by the model's name of a dimension.
  std::vector<std::pair<std::string, int64_t>> sizes;
  /// How many threads run it: each has scratch of its own.
  int64_t threads = 1;
  /// Patterns of nodes' names: what they make is computed again rather than kept for the backward pass.
  std::vector<std::string> recomputed;

  bool isGiven() const { return budget > 0 || !recomputed.empty(); }
};

/// Reads "2GiB:N=32,S=128,threads=2"; the reason, or "".
std::string parseMemoryBudget(llvm::StringRef text, MemoryOptions &options);

} // namespace ds

#endif
