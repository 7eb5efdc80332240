//===- FormRegions.cpp - Wrap a function's ops into static regions --------===//
// Assumes: shapes inferred (ds-infer-shapes).
// Guarantees: every op of ds lies in one ds.static, but for ds.bind, ds.if, ds.loop and ds.custom, which part them;
// every dim inside is an expression over symbols known on entry to the region. What the host reads between regions
// (sizes, conditions, trip counts) lies in memory of static size. Declines: dims that depend on data and are not bound.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
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

/// Fails at the first size that is not known, or not expressible.
static LogicalResult checkKnownOnEntry(Operation *op, const ShapeState &state) {
  auto depends = [&](const Twine &what) {
    InFlightDiagnostic diagnostic = emitNodeError(op)
                                    << what.str() << " depends on data that is not read as a size (ds.bind)";
    diagnostic.attachNote() << "every dimension must follow from those of the inputs and from numbers that are bound; "
                               "--force-static can state some";
    return diagnostic;
  };
  for (auto [index, result] : llvm::enumerate(op->getResults())) {
    std::optional<SymDims> dims = state.getDims(result);
    if (!dims)
      continue;
    for (auto [axis, dim] : llvm::enumerate(*dims))
      if (!state.isKnownOnEntry(dim))
        return depends("dimension " + Twine(axis) + " of result " + Twine(index));
    if (product(*dims).isOverflow())
      return emitNodeError(op) << "the number of elements of result " << index
                               << " is too long an expression of the sizes that it follows from; --shape can fix some";
  }
  for (NamedAttribute attribute : op->getAttrs())
    if (auto shape = dyn_cast<ShapeAttr>(attribute.getValue()))
      for (const SymExpr &expr : shape.getDims())
        if (!state.isKnownOnEntry(expr))
          return depends("'" + attribute.getName().strref() + "'");
  return success();
}

/// Moves consecutive ops into a region.
static void wrap(func::FuncOp function, ArrayRef<Operation *> body) {
  llvm::SmallPtrSet<Operation *, 32> inside(body.begin(), body.end());
  auto leaves = [&](OpOperand &use) { return !inside.contains(use.getOwner()); };
  llvm::SetVector<Value> inputs, outputs;
  for (Operation *op : body) {
    for (Value operand : op->getOperands())
      if (!inside.contains(operand.getDefiningOp()))
        inputs.insert(operand);
    // Constants that a later region needs have been copied there.
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUses(), leaves))
        outputs.insert(result);
  }
  SmallVector<Value> operands = inputs.takeVector(), returned = outputs.takeVector();
  OpBuilder builder(body.back()->getContext());
  builder.setInsertionPointAfter(body.back());
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
    output.replaceUsesWithIf(result, [&](OpOperand &use) { return use.getOwner()->getBlock() != inner; });
}

/// Gives every part between two ops that end stages its own constants.
static void copyConstants(Block &block) {
  DenseMap<Operation *, unsigned> partOf;
  unsigned part = 0;
  for (Operation &op : block) {
    partOf[&op] = part;
    part += endsStage(&op);
  }
  for (auto constant : llvm::to_vector(block.getOps<ConstantOp>())) {
    DenseMap<unsigned, Value> copies;
    for (OpOperand &use : llvm::make_early_inc_range(constant->getUses())) {
      Operation *user = use.getOwner();
      if (endsStage(user) || user == block.getTerminator() || partOf[user] == partOf[constant])
        continue;
      Value &copy = copies[partOf[user]];
      if (!copy) {
        // Before the first op of the part: after the bind that begins it.
        Operation *first = user;
        while (first->getPrevNode() && partOf.lookup(first->getPrevNode()) == partOf[user])
          first = first->getPrevNode();
        copy = OpBuilder(first).clone(*constant)->getResult(0);
        partOf[copy.getDefiningOp()] = partOf[user];
      }
      use.set(copy);
    }
    if (constant->use_empty())
      constant.erase();
  }
}

/// The host reads from memory whose size the artifact states, so that it can be checked before a run. What is a view of
/// memory whose size only the run knows is copied.
static LogicalResult copyWhatHostReads(Block &block, ShapeState &state) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto host = dyn_cast<HostOpInterface>(op);
    for (OpOperand *operand : host ? host.getOperandsRead() : SmallVector<OpOperand *>()) {
      Value read = operand->get(), memory = memoryOf(read);
      auto type = cast<RankedTensorType>(read.getType());
      if (!type.hasStaticShape() || type.getNumElements() == 0 ||
          cast<RankedTensorType>(memory.getType()).hasStaticShape())
        continue;
      OpBuilder builder(&op);
      Type element = type.getElementType();
      auto reshape = [&](Value x, ArrayRef<SymExpr> dims) {
        return createInferred<ReshapeOp>(builder, op.getLoc(), state, element, x, Value(),
                                         ShapeAttr::get(op.getContext(), dims), /*allow_zero=*/false);
      };
      FailureOr<ReshapeOp> flat = reshape(memory, {product(*state.getDims(memory))});
      if (failed(flat))
        return failure();
      auto places = llvm::to_vector(llvm::seq<int64_t>(0, type.getNumElements()));
      auto indices = ConstantOp::create(
          builder, op.getLoc(),
          makeIntElements(RankedTensorType::get({type.getNumElements()}, builder.getI64Type()), places));
      if (failed(inferOp(indices, state)))
        return failure();
      FailureOr<GatherOp> copy =
          createInferred<GatherOp>(builder, op.getLoc(), state, element, *flat, indices, /*axis=*/0);
      if (failed(copy))
        return failure();
      FailureOr<ReshapeOp> made = reshape(*copy, *state.getDims(read));
      if (failed(made))
        return failure();
      operand->set(*made);
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
  if (!block.getOps<StaticOp>().empty()) {
    // Regions that exist already split the rest: an op may need their results, or they its results.
    if (llvm::any_of(block.without_terminator(), [](Operation &op) { return !isa<StaticOp>(op) && !endsStage(&op); })) {
      function.emitError("expected a function without static regions");
      signalPassFailure();
    }
    return;
  }
  if (failed(copyWhatHostReads(block, state)))
    return signalPassFailure();
  copyConstants(block);
  SmallVector<SmallVector<Operation *>> parts(1);
  for (Operation &op : block.without_terminator()) {
    if (op.getDialect() != function.getContext()->getLoadedDialect<DsDialect>()) {
      op.emitError() << "expected ops of ds only, got '" << op.getName() << "'";
      return signalPassFailure();
    }
    if (failed(checkKnownOnEntry(&op, state)))
      return signalPassFailure();
    if (endsStage(&op))
      parts.emplace_back();
    else
      parts.back().push_back(&op);
  }
  for (ArrayRef<Operation *> part : parts)
    if (!part.empty())
      wrap(function, part);
}
} // namespace ds
