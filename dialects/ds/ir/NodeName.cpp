//===- NodeName.cpp - The model's node behind an op -----------------------===//
// Guarantees: see NodeName.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/NodeName.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

using namespace mlir;

namespace ds {

Location getNodeLoc(MLIRContext *context, StringRef name, StringRef opType) {
  Location inner = NameLoc::get(StringAttr::get(context, name));
  return FusedLoc::get({inner}, StringAttr::get(context, opType), context);
}

static std::optional<NodeName> findNode(Location loc, StringRef opType) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    if (auto metadata = dyn_cast_or_null<StringAttr>(fused.getMetadata()))
      opType = metadata.getValue();
    for (Location inner : fused.getLocations())
      if (std::optional<NodeName> found = findNode(inner, opType))
        return found;
    return std::nullopt;
  }
  if (auto name = dyn_cast<NameLoc>(loc))
    return NodeName{name.getName().str(), opType.str()};
  if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    std::optional<NodeName> found = findNode(call.getCaller(), opType);
    return found ? found : findNode(call.getCallee(), opType);
  }
  return std::nullopt;
}

std::optional<NodeName> getNodeName(Location loc) { return findNode(loc, ""); }

std::string describeNode(Operation *op) {
  std::optional<NodeName> node = getNodeName(op->getLoc());
  if (!node)
    return "op '" + op->getName().getStringRef().str() + "'";
  std::string text = "node '" + node->name + "'";
  if (!node->opType.empty())
    text += " (" + node->opType + ")";
  return text;
}

InFlightDiagnostic emitNodeError(Operation *op) { return op->emitError() << describeNode(op) << ": "; }

} // namespace ds
