//===- Group.cpp - Ops to kernels -----------------------------------------===//
// Assumes: regions formed, layouts chosen.
// Guarantees: every op that touches data is in an rt.kernel; equal kernels (the layers of a transformer) exist once.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/Substitute.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Group/Passes.h"
#include "lib/Group/Fusion.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <unordered_set>

using namespace mlir;

namespace ds {

namespace {

/// Constants that code holds by itself; others are arguments.
bool isImmediate(Operation *op) {
  auto constant = dyn_cast_or_null<ConstantOp>(op);
  return constant && isa<SplatElementsAttr>(constant.getValue());
}

class GroupPass : public PassWrapper<GroupPass, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(GroupPass)
  StringRef getArgument() const override { return "ds-group"; }
  StringRef getDescription() const override { return "decide which ops share a kernel, and outline the kernels"; }
  void getDependentDialects(DialectRegistry &registry) const override { registry.insert<rt::RtDialect>(); }

  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!function.getBody().hasOneBlock())
        continue;
      dissolveRegions(function);
      if (failed(outline(function)))
        return signalPassFailure();
    }
    eraseDeadKernels();
  }

private:
  static void dissolveRegions(func::FuncOp function);
  LogicalResult outline(func::FuncOp function);
  /// Kernels whose launches all died, once no function can want an equal one any more.
  void eraseDeadKernels();
  rt::LaunchOp buildKernel(Operation *tail, ArrayRef<Operation *> members, ShapeState &shapes);
  /// The name of a kernel equal to `kernel`, which is erased if it is not the first.
  StringRef unique(rt::KernelOp kernel);

  llvm::StringMap<std::string> known; // text -> name
};

} // namespace

void GroupPass::dissolveRegions(func::FuncOp function) {
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

StringRef GroupPass::unique(rt::KernelOp kernel) {
  std::string name = kernel.getSymName().str(), text;
  kernel.setSymName("kernel");
  llvm::raw_string_ostream stream(text);
  kernel->print(stream, OpPrintingFlags().useLocalScope());
  auto [entry, isNew] = known.try_emplace(text, name);
  if (isNew)
    kernel.setSymName(name);
  else
    kernel.erase();
  return entry->second;
}

rt::LaunchOp GroupPass::buildKernel(Operation *tail, ArrayRef<Operation *> members, ShapeState &shapes) {
  llvm::SmallPtrSet<Operation *, 16> inside(members.begin(), members.end());
  llvm::SetVector<Value> arguments;
  llvm::SetVector<Operation *> immediates;
  SmallVector<Location> locations;
  for (Operation *op : members) {
    locations.push_back(op->getLoc());
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (producer && inside.contains(producer))
        continue;
      if (isImmediate(producer))
        immediates.insert(producer);
      else
        arguments.insert(operand);
    }
  }
  OpBuilder builder(tail);
  MLIRContext *context = builder.getContext();
  Location loc = FusedLoc::get(context, locations);
  SmallVector<Type> inputs;
  SmallVector<Attribute> attributes;
  for (Value argument : arguments) {
    inputs.push_back(argument.getType());
    auto shape = ShapeAttr::get(context, ArrayRef<SymExpr>(*shapes.getDims(argument)));
    attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr(kShapeArgAttr, shape)));
  }
  // The op with loops of its own gives the name; the last one where all are element by element.
  Operation *named = tail;
  for (Operation *op : members)
    if (Fusion::isRoot(op))
      named = op;
  std::string name = "ds_k" + std::to_string(known.size()) + "_" + named->getName().stripDialect().str();
  OpBuilder atModule(builder.getContext());
  atModule.setInsertionPoint(tail->getParentOp());
  auto kernel = rt::KernelOp::create(atModule, loc, name, builder.getFunctionType(inputs, tail->getResultTypes()),
                                     builder.getArrayAttr(attributes), ArrayAttr());
  Block *body = atModule.createBlock(&kernel.getBody());
  IRMapping mapping;
  for (Value argument : arguments)
    mapping.map(argument, body->addArgument(argument.getType(), argument.getLoc()));
  atModule.setInsertionPointToStart(body);
  for (Operation *op : immediates)
    atModule.clone(*op, mapping);
  for (Operation *op : members)
    atModule.clone(*op, mapping);
  SmallVector<Value> yielded;
  for (Value result : tail->getResults())
    yielded.push_back(mapping.lookup(result));
  rt::YieldOp::create(atModule, loc, yielded);
  // Symbols by the order of their appearance: kernels that differ in names of sizes alone are equal.
  std::map<std::string, SymExpr> formal;
  SmallVector<SymExpr> actual;
  for (const std::string &name : symbolsInAttributes(kernel)) {
    formal.try_emplace(name, SymExpr::symbol("k" + std::to_string(actual.size())));
    actual.push_back(SymExpr::symbol(name));
  }
  substituteSymbols(kernel, formal);
  StringRef symbol = unique(kernel);
  auto launch = rt::LaunchOp::create(builder, loc, tail->getResultTypes(), symbol, arguments.getArrayRef());
  launch->setAttr(rt::kSymbols, ShapeAttr::get(context, ArrayRef<SymExpr>(actual)));
  SmallVector<Attribute> resultShapes;
  for (Value result : tail->getResults())
    resultShapes.push_back(ShapeAttr::get(context, ArrayRef<SymExpr>(*shapes.getDims(result))));
  launch->setAttr(rt::kShapes, builder.getArrayAttr(resultShapes));
  return launch;
}

/// A result that is an input, a constant, another result, or memory of a call needs a buffer of its own: a copy. So
/// does one that is written in a stage that does not know its dims yet: a view, by later sizes, of what came before
/// they were bound.
static void copyAliasedResults(func::FuncOp function) {
  Block &block = function.getBody().front();
  Operation *terminator = block.getTerminator();
  SmallVector<Operation *> boundaries;
  for (Operation &op : block)
    if (endsStage(&op))
      boundaries.push_back(&op);
  llvm::SmallPtrSet<Value, 8> taken;
  for (OpOperand &operand : terminator->getOpOperands()) {
    Value root = operand.get();
    Operation *lastView = nullptr;
    for (Operation *op = root.getDefiningOp(); isa_and_nonnull<ReshapeOp, BindOp>(op); op = root.getDefiningOp()) {
      lastView = lastView ? lastView : op;
      root = op->getOperand(0);
    }
    bool late = lastView && root.getDefiningOp() && llvm::any_of(boundaries, [&](Operation *boundary) {
                  return root.getDefiningOp()->isBeforeInBlock(boundary) && boundary->isBeforeInBlock(lastView);
                });
    Operation *maker = root.getDefiningOp();
    bool owned = maker && !isa<ConstantOp>(maker) && !isCall(maker) && !late && taken.insert(root).second;
    if (owned)
      continue;
    OpBuilder builder(terminator);
    Value value = operand.get();
    operand.set(CastOp::create(builder, value.getLoc(), value.getType(), value));
  }
}

/// What the host reads lies in a buffer of constant size: a view of one whose size varies is copied.
static void copyViewsToRead(func::FuncOp function) {
  auto copyView = [](OpOperand &operand) {
    Value root = operand.get();
    while (isa_and_nonnull<ReshapeOp, BindOp>(root.getDefiningOp()))
      root = root.getDefiningOp()->getOperand(0);
    if (cast<RankedTensorType>(root.getType()).hasStaticShape())
      return;
    OpBuilder builder(operand.getOwner());
    Value value = operand.get();
    operand.set(CastOp::create(builder, value.getLoc(), value.getType(), value));
  };
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
    if (auto bind = dyn_cast<BindOp>(op))
      copyView(bind.getXMutable());
    if (auto branch = dyn_cast<IfOp>(op))
      copyView(branch.getConditionMutable());
    if (auto loop = dyn_cast<LoopOp>(op))
      for (MutableOperandRange operands : {loop.getTripsMutable(), loop.getConditionMutable()})
        for (OpOperand &operand : operands)
          copyView(operand);
  }
}

/// What the entry dimensions must fulfil, for the host program to check: inference's constraints, and that no size is
/// negative.
static void stateConstraints(func::FuncOp function, ShapeState &shapes) {
  Builder builder(function.getContext());
  SmallVector<Attribute> all;
  auto state = [&](const SymExpr &a, const SymExpr &b, ShapeConstraint::Kind kind, const Twine &message) {
    auto sides = ShapeAttr::get(function.getContext(), ArrayRef<SymExpr>{a, b});
    all.push_back(builder.getDictionaryAttr({builder.getNamedAttr("sides", sides),
                                             builder.getNamedAttr("kind", builder.getI64IntegerAttr(kind)),
                                             builder.getNamedAttr("message", builder.getStringAttr(message))}));
  };
  for (const ShapeConstraint &constraint : shapes.getConstraints())
    state(constraint.a, constraint.b, constraint.kind, constraint.message);
  std::unordered_set<SymExpr, SymExpr::Hash> seen;
  function.walk([&](Operation *op) {
    for (Value result : op->getResults())
      if (auto dims = shapes.getDims(result))
        for (const SymExpr &dim : *dims)
          if (!dim.isNonNegative() && seen.insert(dim).second)
            state(SymExpr(0), dim, ShapeConstraint::LessEqual,
                  describeNode(op) + ": its result would have the negative dimension " + dim.str());
  });
  function->setAttr(rt::kConstraints, builder.getArrayAttr(all));
}

LogicalResult GroupPass::outline(func::FuncOp function) {
  copyAliasedResults(function);
  copyViewsToRead(function);
  ShapeState shapes;
  if (failed(inferFunction(function, shapes)))
    return failure();
  stateConstraints(function, shapes);
  Block &block = function.getBody().front();
  Fusion fusion(block, shapes);
  fusion.decide();
  SmallVector<std::pair<Operation *, rt::LaunchOp>> launches;
  for (Operation *tail : fusion.kernels())
    launches.emplace_back(tail, buildKernel(tail, fusion.members(tail), shapes));
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

void GroupPass::eraseDeadKernels() {
  llvm::StringSet<> launched;
  getOperation().walk([&](rt::LaunchOp launch) { launched.insert(launch.getKernel()); });
  for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<rt::KernelOp>()))
    if (!launched.contains(kernel.getSymName()))
      kernel.erase();
}

std::unique_ptr<Pass> createGroupPass() { return std::make_unique<GroupPass>(); }
void registerGroupPasses() { PassRegistration<GroupPass>(); }

} // namespace ds
