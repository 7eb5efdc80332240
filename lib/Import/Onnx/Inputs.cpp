//===- Inputs.cpp - Dimensions of a model's inputs ------------------------===//
// Assumes: what a model says about an input's dimensions.
// Guarantees: each dimension is a constant or a symbol; equal anonymous names are different symbols; sizes asked for by
// the user are put in, and each of them was used. Declines: dimensions of outputs and inner values, which are derived
// and never trusted.

#include "Inputs.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

bool ds::importer::isAnonymousDim(StringRef name) {
  return name.empty() || name == "?" || name == "*" || name == "-1" || name.starts_with("unk__") ||
         name.contains("DynamicDimension");
}

/// Quotes delimit symbols in expressions, and a question mark begins those that only an analysis knows.
static std::string symbolName(StringRef name) {
  std::string result = name.str();
  if (name.starts_with("?"))
    result[0] = '_';
  for (char &c : result)
    if (c == '\'' || !isPrint(c))
      c = '_';
  return result;
}

void InputDims::reserve(ArrayRef<DeclaredDim> dims) {
  // Names that need no change keep what they are, whatever others become.
  for (const DeclaredDim &dim : dims)
    if (const auto *name = std::get_if<std::string>(&dim); name && !isAnonymousDim(*name) && symbolName(*name) == *name)
      taken.insert(*name);
}

std::string InputDims::symbolOf(StringRef given) {
  std::string name = symbolName(given);
  if (name == given)
    return name;
  auto [entry, isNew] = symbols.try_emplace(given);
  if (isNew) {
    entry->second = name;
    for (unsigned i = 2; !taken.insert(entry->second).second; ++i)
      entry->second = name + std::to_string(i);
    display.emplace_back(entry->second, given.str());
  }
  return entry->second;
}

std::optional<int64_t> InputDims::option(StringRef key) {
  std::optional<int64_t> size;
  for (auto [index, entry] : enumerate(options.shapes))
    if (entry.first == key) {
      used[index] = true;
      size = entry.second;
    }
  return size;
}

std::optional<SymDims> InputDims::resolve(StringRef input, ArrayRef<DeclaredDim> dims, std::string &error) {
  SymDims result;
  for (auto [index, dim] : enumerate(dims)) {
    std::string position = input.str() + ":" + std::to_string(index);
    std::optional<int64_t> asked = option(position);
    if (const auto *size = std::get_if<int64_t>(&dim)) {
      if (*size < 0) {
        error = "dimension " + std::to_string(index) + " is negative: " + std::to_string(*size);
        return std::nullopt;
      }
      if (asked && *asked != *size) {
        options.blameOptions();
        error = "dimension " + std::to_string(index) + " is " + std::to_string(*size) + " and cannot become " +
                std::to_string(*asked);
        return std::nullopt;
      }
      result.push_back(SymExpr(*size));
      continue;
    }
    const std::string &given = std::get<std::string>(dim);
    std::string name;
    if (isAnonymousDim(given)) {
      do
        name = "d" + std::to_string(next++);
      while (taken.contains(name));
      taken.insert(name);
      if (!given.empty())
        display.emplace_back(name, given);
    } else {
      name = symbolOf(given);
    }
    known.push_back(name);
    if (!asked)
      asked = option(name);
    if (!asked && !given.empty())
      asked = option(given);
    result.push_back(asked ? SymExpr(*asked) : SymExpr::symbol(name));
    // Where --shape fixes a name at some inputs only, it is a symbol still.
    if (!isAnonymousDim(given) && (!asked || !resolved.contains(given)))
      resolved[given] = result.back();
  }
  return result;
}

std::optional<SymExpr> InputDims::find(StringRef name) const {
  auto found = resolved.find(name);
  return found == resolved.end() ? std::nullopt : std::optional(found->second);
}

void InputDims::keepOnly(const std::set<std::string> &symbols) {
  SmallVector<StringRef> gone;
  for (const auto &entry : resolved)
    if (std::optional<std::string> symbol = entry.second.symbolName(); symbol && !symbols.count(*symbol))
      gone.push_back(entry.first());
  for (StringRef name : gone)
    resolved.erase(name);
}

std::string InputDims::unusedOption() const {
  for (auto [index, entry] : enumerate(options.shapes))
    if (!used[index]) {
      options.blameOptions();
      SmallVector<StringRef> names;
      for (const std::string &name : known)
        if (!is_contained(names, name))
          names.push_back(name);
      return "--shape names '" + entry.first + "', but " +
             (names.empty() ? std::string("no dimension of the model is symbolic")
                            : "the model's symbolic dimensions are " + join(names, ", ")) +
             " (or write INPUT:INDEX)";
    }
  return {};
}
