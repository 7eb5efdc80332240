//===- Options.h - What a user may ask of an import -----------------------===//
#ifndef DS_IMPORT_OPTIONS_H
#define DS_IMPORT_OPTIONS_H

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ds {

/// What is to be trained of a model.
struct TrainingImport {
  /// Patterns ('*', '?', '[a-z]') of names of initializers that stay as they are.
  std::vector<std::string> frozen;
};

struct ImportOptions {
  /// Sizes for symbolic dimensions: by symbol ("N"), or by input and index ("x:0").
  std::vector<std::pair<std::string, int64_t>> shapes;
  /// Set, beside the error, if it is an option that is wrong and not the model: a name that no dimension has, or a
  /// dimension that is of another size.
  bool *badOptions = nullptr;

  /// Domains whose nodes, as far as they are nothing that is supported, are operators of the program that runs the
  /// model.
  std::vector<std::string> customDomains = {};
  /// Which branch an If takes (1: then_branch), by the node's name: its other one may have operators that are not
  /// supported.
  std::vector<std::pair<std::string, bool>> branches = {};
  /// Which initializers that are inputs as well a run may give: names, each entry one or several with commas; or "all"
  /// or "none". Without any, the model's form tells (lib/Import/Onnx/Optional.cpp).
  std::vector<std::string> optional = {};
  /// "INPUT:OUTPUT": an initializer that is an input and donated is one that a run may give.
  std::vector<std::string> donations = {};

  /// Not null: the function takes parameters and running statistics as arguments, and a second one evaluates
  /// (lib/Import/Onnx/Training.h).
  const TrainingImport *training = nullptr;

  /// Set where the model has such inputs that could as well be constants.
  bool *hasOptional = nullptr;

  void blameOptions() const {
    if (badOptions)
      *badOptions = true;
  }
};

} // namespace ds

#endif // DS_IMPORT_OPTIONS_H
