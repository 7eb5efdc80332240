//===- Scope.cpp - What the names of a graph stand for while importing ----===//
// Assumes: see Scope.h.
// Guarantees: see Scope.h.
// Declines: see Scope.h.

#include "Scope.h"

using namespace llvm;
using namespace ds::importer;

unsigned Sequence::rank() const { return unsigned(cast<mlir::RankedTensorType>(shapes.getType()).getDimSize(1)); }

Item &Scope::set(StringRef name, Item item) {
  auto [entry, isNew] = values.try_emplace(name);
  if (marks)
    changes.emplace_back(name.str(), isNew ? std::optional<Item>() : std::move(entry->second));
  return entry->second = std::move(item);
}

size_t Scope::mark() {
  ++marks;
  return changes.size();
}

void Scope::takeBack(size_t mark) {
  for (; changes.size() > mark; changes.pop_back()) {
    auto &[name, before] = changes.back();
    if (before)
      values[name] = std::move(*before);
    else if (!initializers.count(name)) // those that were read meanwhile are constants that stay
      values.erase(name);
  }
}

void Scope::release() {
  if (--marks == 0)
    changes.clear();
}
