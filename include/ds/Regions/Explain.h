//===- Explain.h - What makes a model dynamic, in words --------------------===//
// Assumes: regions formed.
// Guarantees: a text for people: the static regions of each function, and for each place between two of them which node
//   ended the first, why, and what would make it static; the versions of the model.
// Declines: anything that needs the model to run.
//===----------------------------------------------------------------------===//
#ifndef DS_REGIONS_EXPLAIN_H
#define DS_REGIONS_EXPLAIN_H

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace ds {
std::string explainRegions(mlir::ModuleOp module);
} // namespace ds

#endif
