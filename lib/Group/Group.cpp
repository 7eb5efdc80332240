//===- Group.cpp - Ops to kernels -----------------------------------------===//
// Assumes: regions formed, layouts chosen.
// Guarantees: every op that touches data is in an rt.kernel; equal kernels (the
// layers of a transformer) exist once.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsAdjoint.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Group/Passes.h"
#include "lib/Group/FunctionBoundary.h"
#include "lib/Group/JoinKernels.h"
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

/// A kernel that takes its elements from any number of tensors has code for each: of many, parts are put together
/// first.
static void divideConcats(func::FuncOp function) {
  constexpr size_t kMostInputs = 64;
  for (auto concat : llvm::to_vector(function.getOps<ConcatOp>())) {
    unsigned axis = concat.getAxis();
    while (concat.getInputs().size() > kMostInputs) {
      OpBuilder builder(concat);
      SmallVector<Value> parts;
      for (auto inputs = ValueRange(concat.getInputs()); !inputs.empty();) {
        ValueRange taken = inputs.take_front(std::min(kMostInputs, inputs.size()));
        inputs = inputs.drop_front(taken.size());
        auto type = cast<RankedTensorType>(concat.getType());
        SmallVector<int64_t> dims(type.getShape());
        dims[axis] = 0;
        for (Value input : taken) {
          int64_t size = cast<RankedTensorType>(input.getType()).getDimSize(axis);
          bool isKnown = !ShapedType::isDynamic(size) && !ShapedType::isDynamic(dims[axis]);
          dims[axis] = isKnown ? dims[axis] + size : ShapedType::kDynamic;
        }
        parts.push_back(ConcatOp::create(builder, concat.getLoc(), RankedTensorType::get(dims, type.getElementType()),
                                         taken, axis));
      }
      concat.getInputsMutable().assign(parts);
    }
  }
}

/// Derivatives of windows read their operands from memory, even one that is the same number everywhere (a sum's
/// cotangent): a kernel fills it.
static void fillUniformOperands(func::FuncOp function) {
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front().without_terminator())) {
    if (!isa<ConvFilterVjpOp, MaxPoolVjpOp>(op))
      continue;
    for (OpOperand &operand : op.getOpOperands()) {
      auto constant = operand.get().getDefiningOp<ConstantOp>();
      auto splat = constant ? dyn_cast<SplatElementsAttr>(constant.getValue()) : SplatElementsAttr();
      if (!splat)
        continue;
      OpBuilder builder(&op);
      auto type = cast<RankedTensorType>(splat.getType());
      SmallVector<int64_t> ones(type.getRank(), 1);
      SymDims dims(type.getShape().begin(), type.getShape().end());
      Value one = ConstantOp::create(builder, op.getLoc(), splat.resizeSplat(type.clone(ones)));
      operand.set(ExpandOp::create(builder, op.getLoc(), type, one, Value(),
                                   ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>(dims))));
    }
  }
}

static LogicalResult group(func::FuncOp function, KernelOutliner &outliner) {
  divideConcats(function);
  fillUniformOperands(function);
  copyAliasedResults(function);
  copyViewsToRead(function);
  ShapeState shapes;
  if (failed(inferFunction(function, shapes)))
    return failure();
  stateConstraints(function, shapes);
  Block &block = function.getBody().front();
  Fusion fusion(block, shapes);
  fusion.decide();
  SmallVector<KernelGroup> groups = joinKernels(block, fusion, shapes);
  SmallVector<rt::LaunchOp> launches;
  for (const KernelGroup &group : groups)
    launches.push_back(outliner.outline(group, shapes));
  for (auto [group, launch] : llvm::zip_equal(groups, launches))
    for (auto [value, result] : llvm::zip_equal(group.results, launch.getResults()))
      value.replaceAllUsesWith(result);
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty() && isPure(op))
      op->erase();
  for (Operation &op : block.without_terminator())
    if (!isa<rt::LaunchOp>(op) && !isHostOp(&op))
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
