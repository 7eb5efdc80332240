//===- RefineTypes.cpp - Types of a function from inferred sizes ----------===//
// Guarantees: see RefineTypes.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/RefineTypes.h"
#include "dialects/ds/ir/DsOps.h"

using namespace mlir;

namespace ds {

static void refineArgument(BlockArgument argument, const ShapeState &state) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  std::optional<SymDims> dims = type ? state.getDims(argument) : std::nullopt;
  if (dims)
    argument.setType(typeFromDims(type.getElementType(), *dims));
}

void setTypeFromBody(FunctionOpInterface function) {
  Block &body = function.getFunctionBody().front();
  function.setType(
      FunctionType::get(function.getContext(), body.getArgumentTypes(), body.getTerminator()->getOperandTypes()));
}

void refineTypes(FunctionOpInterface function, const ShapeState &state) {
  function->walk<WalkOrder::PreOrder>([&](Block *block) {
    for (BlockArgument argument : block->getArguments())
      refineArgument(argument, state);
  });
  function->walk([&](ShapeOpInterface op) { refineResultTypes(op, state); });
  setTypeFromBody(function);
}

} // namespace ds
