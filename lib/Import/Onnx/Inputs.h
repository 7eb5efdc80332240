//===- Inputs.h - Dimensions of a model's inputs --------------------------===//
// Assumes: what a model says about an input's dimensions.
// Guarantees: each dimension is a constant or a symbol; equal anonymous names are different symbols; sizes asked for by
// the user are put in, and each of them was used. Declines: dimensions of outputs and inner values, which are derived
// and never trusted.

#ifndef DS_LIB_IMPORT_ONNX_INPUTS_H
#define DS_LIB_IMPORT_ONNX_INPUTS_H

#include "ds/Import/Onnx.h"

#include "dialects/ds/shape/ShapeState.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <set>
#include <variant>

namespace ds::importer {

/// A size, or a name (empty if the model gives none).
using DeclaredDim = std::variant<int64_t, std::string>;

/// True for names that exporters invent: equal ones mean nothing.
bool isAnonymousDim(llvm::StringRef name);

class InputDims {
public:
  explicit InputDims(const ImportOptions &options) : options(options), used(options.shapes.size()) {}

  /// Names that fresh symbols must avoid; to be called for all inputs before `resolve`.
  void reserve(llvm::ArrayRef<DeclaredDim> dims);
  /// The dims of an input; a message in `error` on failure.
  std::optional<SymDims> resolve(llvm::StringRef input, llvm::ArrayRef<DeclaredDim> dims, std::string &error);
  /// Fresh symbols and the model's names of their dims, where it gives one.
  llvm::ArrayRef<std::pair<std::string, std::string>> displayNames() const { return display; }
  /// What `name` is as a dim of an input: a symbol, or the size that the user fixed it to; nothing if no input has it.
  std::optional<SymExpr> find(llvm::StringRef name) const;
  /// Forgets names whose symbol is none of `symbols`.
  void keepOnly(const std::set<std::string> &symbols);
  /// Says that it is the user's sizes that are wrong.
  void blame() const { options.blameOptions(); }
  /// A message if a size was asked for that no input has.
  std::string unusedOption() const;

private:
  std::optional<int64_t> option(llvm::StringRef key);

  const ImportOptions &options;
  std::vector<bool> used;
  /// The symbol that a name of the model stands for: itself, or, where it has characters that symbols cannot have, one
  /// that no other name has.
  std::string symbolOf(llvm::StringRef given);

  llvm::StringSet<> taken;
  llvm::StringMap<std::string> symbols; // by the model's name
  std::vector<std::string> known;
  llvm::StringMap<SymExpr> resolved; // by the model's name
  std::vector<std::pair<std::string, std::string>> display;
  unsigned next = 0;
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_INPUTS_H
