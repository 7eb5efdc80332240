//===- Branches.cpp - Derivatives of ds.if --------------------------------===//
// Guarantees: a ds.if on the same condition. Its branches compute the branch again and return the cotangents of what
//   both get, each tensor's once; zeros of its size where a branch does not depend on it.
//===----------------------------------------------------------------------===//
#include "Frame.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace ds {

namespace {
class Branches {
public:
  Branches(Walk &walk, IfOp op, ArrayRef<Value> cotangents) : walk(walk), op(op), cotangents(cotangents) {}
  LogicalResult run();

private:
  /// The function that goes back through one of the branches; adds to `operands` what it takes.
  FailureOr<FlatSymbolRefAttr> reverse(FlatSymbolRefAttr name, ValueRange inputs, SmallVectorImpl<Value> &operands);

  Walk &walk;
  IfOp op;
  ArrayRef<Value> cotangents;
  llvm::SetVector<Value> wanted;
};
} // namespace

FailureOr<FlatSymbolRefAttr> Branches::reverse(FlatSymbolRefAttr name, ValueRange inputs,
                                               SmallVectorImpl<Value> &operands) {
  Reverser &shared = walk.shared();
  Frame frame(shared, op, shared.activity.find(name), "_reverse");
  SmallVector<BlockArgument> arguments;
  SmallVector<Value> outer(inputs), roots, taken;
  for (Value input : inputs)
    taken.push_back(arguments.emplace_back(frame.addArgumentFor(input)));
  for (Value cotangent : cotangents)
    if (cotangent) {
      arguments.push_back(frame.addArgumentFor(cotangent));
      outer.push_back(cotangent);
    }
  if (failed(frame.copyBody(taken)))
    return failure();
  for (auto [i, input] : llvm::enumerate(inputs))
    if (wanted.contains(input))
      roots.push_back(frame.argument(i));
  Walk inner(shared, frame.getFunction(), roots);
  if (failed(inner.prepare()))
    return failure();
  unsigned next = inputs.size();
  for (auto [i, cotangent] : llvm::enumerate(cotangents))
    if (cotangent && failed(frame.seed(inner, i, arguments[next++])))
      return failure();
  if (failed(inner.run()))
    return failure();

  SmallVector<Value> results;
  for (Value value : wanted) {
    SymDims dims = *shared.shapes.getDims(value);
    TensorExpr sum; // a branch may get a tensor several times
    for (auto [i, input] : llvm::enumerate(inputs))
      if (Value own = input == value ? inner.cotangent(frame.argument(i)) : Value())
        sum = sum + frame.b()(withDims(frame.b(), own, dims));
    results.push_back(sum ? sum.get() : frame.b().fill(VjpBuilder::elementOf(value), dims, 0).get());
  }
  if (frame.b().hasFailed())
    return failure();
  frame.setResults(results);
  for (auto [argument, value] : llvm::zip_equal(arguments, outer))
    if (!frame.dropUnused(argument))
      operands.push_back(value);
  return frame.finish();
}

LogicalResult Branches::run() {
  Activity::Sets needed = walk.shared().activity.operandsOf(op);
  for (auto [cotangent, set] : llvm::zip_equal(cotangents, needed))
    if (cotangent)
      for (unsigned operand : set.set_bits())
        if (walk.isActive(op->getOperand(operand)))
          wanted.insert(op->getOperand(operand));
  if (wanted.empty())
    return success();
  SmallVector<Value> thenOperands, elseOperands;
  FailureOr<FlatSymbolRefAttr> thenBody = reverse(op.getThenBodyAttr(), op.getThenInputs(), thenOperands);
  if (failed(thenBody))
    return failure();
  FailureOr<FlatSymbolRefAttr> elseBody = reverse(op.getElseBodyAttr(), op.getElseInputs(), elseOperands);
  if (failed(elseBody))
    return failure();

  OpBuilder builder = walk.builder();
  ShapeState &shapes = walk.shared().shapes;
  SmallVector<Type> types;
  SmallVector<SymDims> dims;
  for (Value value : wanted) {
    dims.push_back(*shapes.getDims(value));
    types.push_back(typeFromDims(getElementTypeOrSelf(value), dims.back()));
  }
  auto made =
      IfOp::create(builder, op.getLoc(), types, op.getCondition(), thenOperands, elseOperands, *thenBody, *elseBody,
                   cast<ArrayAttr>(shapesAttr(builder, dims).getValue()),
                   ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>()), op.getNumberAttr(), op.getDecidesAttr());
  if (failed(inferOp(made, shapes)))
    return failure();
  for (auto [value, cotangent] : llvm::zip_equal(wanted, made.getOutputs()))
    if (failed(walk.add(value, cotangent)))
      return failure();
  return success();
}

LogicalResult differentiateIf(Walk &walk, IfOp op, ArrayRef<Value> cotangents) {
  return Branches(walk, op, cotangents).run();
}

} // namespace ds
