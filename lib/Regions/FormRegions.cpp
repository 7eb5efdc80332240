//===- FormRegions.cpp - Wrap a function's ops into static regions --------===//
// Assumes: shapes inferred (ds-infer-shapes).
// Guarantees: every op of ds lies in one ds.static; every dim inside is an expression over symbols known on entry.
// Declines: dims that depend on data; that is an error until dynamic regions exist.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/NodeName.h"
#include "ds/Regions/Passes.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_FORMREGIONSPASS
#include "ds/Regions/Passes.h.inc"

namespace {
class FormRegionsPass : public impl::FormRegionsPassBase<FormRegionsPass> {
public:
  using FormRegionsPassBase::FormRegionsPassBase;
  void runOnOperation() override;
};
} // namespace

/// Fails at the first result dim that is not known on entry.
static LogicalResult checkKnownOnEntry(Operation *op, const ShapeState &state) {
  for (auto [index, result] : llvm::enumerate(op->getResults())) {
    std::optional<SymDims> dims = state.getDims(result);
    for (auto [axis, dim] : llvm::enumerate(dims ? *dims : SymDims()))
      if (!state.isKnownOnEntry(dim)) {
        InFlightDiagnostic diagnostic = emitNodeError(op) << "dimension " << axis << " of result " << index
                                                          << " depends on data, which needs a dynamic region";
        diagnostic.attachNote() << "dynamic regions are not supported; every dimension must follow from those of the "
                                   "inputs";
        return diagnostic;
      }
  }
  return success();
}

void FormRegionsPass::runOnOperation() {
  func::FuncOp function = getOperation();
  if (function.isExternal())
    return;
  ShapeState state;
  if (failed(inferFunction(function, state)))
    return signalPassFailure();
  if (!llvm::hasSingleElement(function.getBody())) {
    function.emitError("expected a function of one block");
    return signalPassFailure();
  }
  Block &block = function.getBody().front();
  SmallVector<Operation *> body;
  for (Operation &op : block.without_terminator()) {
    if (isa<StaticOp>(op))
      continue;
    if (op.getDialect() != function.getContext()->getLoadedDialect<DsDialect>()) {
      op.emitError() << "expected ops of ds only, got '" << op.getName() << "'";
      return signalPassFailure();
    }
    if (failed(checkKnownOnEntry(&op, state)))
      return signalPassFailure();
    body.push_back(&op);
  }
  if (body.empty())
    return;
  // Regions that exist already split the rest: an op may need their results, or they its results. Only a function
  // without any is wrapped as a whole.
  if (body.size() != size_t(std::distance(block.begin(), block.end())) - 1) {
    function.emitError("expected a function without static regions");
    return signalPassFailure();
  }

  llvm::SmallPtrSet<Operation *, 32> inside(body.begin(), body.end());
  llvm::SetVector<Value> inputs, outputs;
  for (Operation *op : body) {
    for (Value operand : op->getOperands())
      if (!inside.contains(operand.getDefiningOp()))
        inputs.insert(operand);
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !inside.contains(user); }))
        outputs.insert(result);
  }
  SmallVector<Value> operands = inputs.takeVector(), returned = outputs.takeVector();
  OpBuilder builder(block.getTerminator());
  auto region = StaticOp::create(builder, function.getLoc(), ValueRange(returned).getTypes(), operands);
  Block *inner = builder.createBlock(&region.getBody());
  for (Value input : operands)
    inner->addArgument(input.getType(), input.getLoc());
  for (Operation *op : body)
    op->moveBefore(inner, inner->end());
  builder.setInsertionPointToEnd(inner);
  ReturnOp::create(builder, function.getLoc(), returned);
  for (auto [input, argument] : llvm::zip_equal(operands, inner->getArguments()))
    input.replaceUsesWithIf(argument, [&](OpOperand &use) { return inside.contains(use.getOwner()); });
  for (auto [output, result] : llvm::zip_equal(returned, region.getOutputs()))
    output.replaceUsesWithIf(result, [&](OpOperand &use) { return use.getOwner()->getBlock() == &block; });
}
} // namespace ds
