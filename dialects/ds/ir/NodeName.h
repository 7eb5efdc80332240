//===- NodeName.h - The model's node behind an op ------------------------===//
// Guarantees: one encoding of node names in locations: FusedLoc<"OpType">[NameLoc("node name")], and one way to say
// `node 'name' (OpType)` in a diagnostic.
//===----------------------------------------------------------------------===//
#ifndef DS_NODENAME_H
#define DS_NODENAME_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include <optional>
#include <string>

namespace ds {

struct NodeName {
  std::string name;
  /// The source operator ("Conv"), empty if unknown.
  std::string opType;
};

/// A location for what node `name`, of the source operator `opType`, became.
mlir::Location getNodeLoc(mlir::MLIRContext *context, llvm::StringRef name, llvm::StringRef opType);

/// The first node found in `loc` (through fused and call-site locations).
std::optional<NodeName> getNodeName(mlir::Location loc);

/// `node 'name' (OpType)`, or `op 'ds.add'` where the location names no node.
std::string describeNode(mlir::Operation *op);

/// An error at `op` that begins with `describeNode(op): `.
mlir::InFlightDiagnostic emitNodeError(mlir::Operation *op);

} // namespace ds

#endif
