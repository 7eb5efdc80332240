//===- Group.cpp - Ops to kernels -----------------------------------------===//
// Assumes: regions formed, layouts chosen.
// Guarantees: every op that touches data is in an rt.kernel; equal kernels (the
// layers of a transformer) exist once.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Group/Passes.h"
#include "lib/Group/FunctionBoundary.h"
#include "lib/Group/Fusion.h"
#include "lib/Group/OutlineKernels.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_GROUPPASS
#include "ds/Group/Passes.h.inc"

/// Puts the ops of static regions into their function.
static void dissolveRegions(func::FuncOp function) {
  for (auto region : llvm::to_vector(function.getBody().front().getOps<StaticOp>())) {
    Block &body = region.getBody().front();
    Operation *terminator = body.getTerminator();
    for (auto [argument, operand] : llvm::zip_equal(body.getArguments(), region.getInputs()))
      argument.replaceAllUsesWith(operand);
    for (auto [result, value] : llvm::zip_equal(region.getResults(), terminator->getOperands()))
      result.replaceAllUsesWith(value);
    terminator->erase();
    region->getBlock()->getOperations().splice(region->getIterator(), body.getOperations());
    region.erase();
  }
}

static LogicalResult group(func::FuncOp function, KernelOutliner &outliner) {
  copyAliasedResults(function);
  copyViewsToRead(function);
  ShapeState shapes;
  if (failed(inferFunction(function, shapes)))
    return failure();
  stateConstraints(function, shapes);
  stateDefinitions(function);
  Block &block = function.getBody().front();
  Fusion fusion(block, shapes);
  fusion.decide();
  SmallVector<std::pair<Operation *, rt::LaunchOp>> launches;
  for (Operation *tail : fusion.kernels())
    launches.emplace_back(tail, outliner.outline(tail, fusion.members(tail), shapes));
  for (auto [tail, launch] : launches)
    tail->replaceAllUsesWith(launch.getResults());
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty() && isPure(op))
      op->erase();
  for (Operation &op : block.without_terminator())
    if (!isa<rt::LaunchOp>(op) && !Fusion::isHostOp(&op))
      return op.emitOpError("was not grouped into a kernel");
  return success();
}

namespace {
class GroupPass : public impl::GroupPassBase<GroupPass> {
public:
  using GroupPassBase::GroupPassBase;

  void runOnOperation() override {
    KernelOutliner outliner;
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!function.getBody().hasOneBlock())
        continue;
      dissolveRegions(function);
      if (failed(group(function, outliner)))
        return signalPassFailure();
    }
    outliner.eraseDead(getOperation());
  }
};
} // namespace

} // namespace ds
