//===- Versions.h - Versions of a model for stated sizes ------------------===//
// Assumes: a module as import leaves it.
// Guarantees: the model stays as it is for all other sizes.
// Declines: finding out by itself which sizes are worth a version.
//===----------------------------------------------------------------------===//
#ifndef DS_SIMPLIFY_VERSIONS_H
#define DS_SIMPLIFY_VERSIONS_H

#include "mlir/IR/BuiltinOps.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ds {

/// Sizes by symbol, by the model's name of a dimension, or by input and index ("x:0").
using NamedSizes = std::vector<std::pair<std::string, int64_t>>;

/// Adds a copy of the model's function (and of what it runs) for each of `versions`, with these sizes as constants.
/// Fails with `error`, one line, where a name fits no dimension of an input.
llvm::LogicalResult addVersions(mlir::ModuleOp module, llvm::ArrayRef<NamedSizes> versions, std::string &error);

/// What the user says of a node of the model: the integers that its sizes follow from, or the branch (0 or 1) of an If
/// (ds-force-static).
struct ForcedNode {
  std::string node;
  std::vector<int64_t> values;
};

} // namespace ds

#endif
