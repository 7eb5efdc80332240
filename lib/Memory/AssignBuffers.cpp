//===- AssignBuffers.cpp - Tensors to buffers -----------------------------===//
// Assumes: kernels are code (their modules say whether they may work in place).
// Guarantees: a buffer for every tensor that kernels write, results in the program's outputs directly; a result takes
// over
//   the buffer of an operand that dies there only where both have the same dims and the kernel reads its own position
//   only.
// Declines: offsets. They depend on run-time sizes; the runtime plans them from lifetimes and sizes.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Import/Onnx.h"
#include "ds/Memory/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace ds {

namespace {

/// The value whose memory `value` is.
Value rootOf(Value value) {
  for (;;) {
    if (auto view = value.getDefiningOp<ReshapeOp>())
      value = view.getX();
    else if (auto bind = value.getDefiningOp<BindOp>())
      value = bind.getX();
    else
      return value;
  }
}

SymExpr bytesOf(Value value, ShapeState &shapes) {
  unsigned bits = getElementTypeOrSelf(value.getType()).getIntOrFloatBitWidth();
  return product(*shapes.getDims(value)) * SymExpr(static_cast<int64_t>((bits + 7) / 8));
}

class AssignBuffers {
public:
  explicit AssignBuffers(func::FuncOp function) : function(function), builder(function.getContext()) {}
  LogicalResult run();

private:
  struct Lifetime {
    int64_t first = 0, last = 0;
  };

  LogicalResult inferShapes();
  void describe(StringRef attribute, ArrayRef<Value> values, bool results);
  /// Types and shapes, as rt.call states them; where some are left out, `present` says which are there.
  ArrayAttr tensorsOf(ValueRange values, std::optional<ArrayRef<bool>> present = std::nullopt);
  /// What stands in the new body for an op that ends a stage.
  void replaceBoundary(Operation *op, const DenseMap<Value, Value> &buffers);
  Value createBuffer(Location loc, rt::BufferKind kind, int64_t index, const SymExpr &bytes, ElementsAttr value = {},
                     std::optional<Lifetime> life = std::nullopt);
  /// An operand of `launch`, numbered `index`, whose buffer its result `result` may take over.
  std::optional<unsigned> reusable(rt::LaunchOp launch, int64_t index, Value result);

  func::FuncOp function;
  OpBuilder builder;
  ShapeState shapes;
  SmallVector<rt::LaunchOp> launches;
  SmallVector<std::pair<Operation *, int64_t>> boundaries; // ops that end stages, with the number of launches before
  DenseMap<Value, int64_t> lastUse;                        // of roots
  DenseMap<Value, int64_t> hostUse;                        // of roots: number of launches before the last one
  DenseMap<Value, int64_t> output;                         // roots that are results of the program
  llvm::MapVector<Value, unsigned> temporary;              // roots -> slot
  SmallVector<Lifetime> slots;
  SmallVector<SymExpr> slotBytes;
};

} // namespace

LogicalResult AssignBuffers::inferShapes() {
  if (failed(seedArguments(function.getBody(), shapes)))
    return failure();
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (auto launch = dyn_cast<rt::LaunchOp>(op)) {
      launches.push_back(launch);
      auto stated = launch->getAttrOfType<ArrayAttr>(rt::kShapes);
      if (!stated || stated.size() != launch.getNumResults())
        return launch.emitOpError("expected the attribute '") << rt::kShapes << "' with one shape a result";
      for (auto [result, shape] : llvm::zip_equal(launch.getResults(), stated.getAsRange<ShapeAttr>()))
        shapes.setDims(result, shape.getDims());
    } else if (failed(inferOp(&op, shapes))) {
      return failure();
    }
    if (endsStage(&op))
      boundaries.emplace_back(&op, launches.size());
  }
  return success();
}

void AssignBuffers::describe(StringRef attribute, ArrayRef<Value> values, bool results) {
  SmallVector<Attribute> all;
  for (auto [index, value] : llvm::enumerate(values)) {
    Attribute name = results ? function.getResultAttr(index, kNameAttr) : function.getArgAttr(index, kNameAttr);
    if (!name)
      name = builder.getStringAttr((results ? "output" : "input") + std::to_string(index));
    auto shape = ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>(*shapes.getDims(value)));
    all.push_back(builder.getDictionaryAttr({builder.getNamedAttr("name", name), builder.getNamedAttr("shape", shape),
                                             builder.getNamedAttr("type", TypeAttr::get(value.getType()))}));
  }
  function->setAttr(attribute, builder.getArrayAttr(all));
}

ArrayAttr AssignBuffers::tensorsOf(ValueRange values, std::optional<ArrayRef<bool>> present) {
  SmallVector<Attribute> all(present ? present->size() : values.size(), builder.getDictionaryAttr({}));
  size_t at = 0;
  for (Value value : values) {
    while (present && !(*present)[at])
      ++at;
    all[at++] = builder.getDictionaryAttr(
        {builder.getNamedAttr("shape", ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>(*shapes.getDims(value)))),
         builder.getNamedAttr("type", TypeAttr::get(value.getType()))});
  }
  return builder.getArrayAttr(all);
}

void AssignBuffers::replaceBoundary(Operation *op, const DenseMap<Value, Value> &buffers) {
  auto bufferOf = [&](Value value) { return value ? buffers.lookup(rootOf(value)) : Value(); };
  auto buffersOf = [&](ValueRange values) { return llvm::map_to_vector(values, bufferOf); };
  if (auto bind = dyn_cast<BindOp>(op)) {
    rt::BindOp::create(builder, bind.getLoc(), bufferOf(bind.getX()), bind.getSymbols(),
                       getElementTypeOrSelf(bind.getX().getType()).getIntOrFloatBitWidth());
    return;
  }
  if (auto custom = dyn_cast<CustomOp>(op)) {
    DictionaryAttr described =
        builder.getDictionaryAttr({builder.getNamedAttr("op_type", custom.getOpTypeAttr()),
                                   builder.getNamedAttr("domain", custom.getDomainAttr()),
                                   builder.getNamedAttr("attributes", custom.getOpAttributesAttr())});
    rt::CallOp::create(
        builder, op->getLoc(), rt::CallKind::custom, builder.getArrayAttr({}), Value(), Value(),
        buffersOf(custom.getInputs()), buffersOf(custom.getOutputs()), tensorsOf(custom.getInputs(), custom.getTakes()),
        tensorsOf(custom.getOutputs(), custom.getMakes()), /*split=*/0, custom.getSymbols(), 64, described);
    return;
  }
  auto call = [&](rt::CallKind kind, ArrayRef<Attribute> bodies, Value trips, Value condition, ValueRange inputs,
                  unsigned split, ShapeAttr symbols) {
    int64_t width = trips ? getElementTypeOrSelf(trips.getType()).getIntOrFloatBitWidth() : 64;
    rt::CallOp::create(builder, op->getLoc(), kind, builder.getArrayAttr(bodies), bufferOf(trips), bufferOf(condition),
                       buffersOf(inputs), buffersOf(op->getResults()), tensorsOf(inputs), tensorsOf(op->getResults()),
                       split, symbols, width, DictionaryAttr());
  };
  SmallVector<Value> inputs;
  if (auto branch = dyn_cast<IfOp>(op)) {
    llvm::append_range(inputs, branch.getThenInputs());
    llvm::append_range(inputs, branch.getElseInputs());
    call(rt::CallKind::branch, {branch.getThenBodyAttr(), branch.getElseBodyAttr()}, Value(), branch.getCondition(),
         inputs, branch.getThenInputs().size(), branch.getSymbols());
    return;
  }
  auto loop = cast<LoopOp>(op);
  llvm::append_range(inputs, loop.getState());
  llvm::append_range(inputs, loop.getCaptured());
  call(rt::CallKind::loop, {loop.getBodyAttr()}, loop.getTrips(), loop.getCondition(), inputs, loop.getState().size(),
       loop.getSymbols());
}

Value AssignBuffers::createBuffer(Location loc, rt::BufferKind kind, int64_t index, const SymExpr &bytes,
                                  ElementsAttr value, std::optional<Lifetime> life) {
  MLIRContext *context = builder.getContext();
  return rt::BufferOp::create(builder, loc, rt::BufferType::get(context), rt::BufferKindAttr::get(context, kind),
                              builder.getI64IntegerAttr(index), ShapeAttr::get(context, ArrayRef<SymExpr>{bytes}),
                              value, life ? builder.getI64IntegerAttr(life->first) : IntegerAttr(),
                              life ? builder.getI64IntegerAttr(life->last) : IntegerAttr());
}

std::optional<unsigned> AssignBuffers::reusable(rt::LaunchOp launch, int64_t index, Value result) {
  auto code = SymbolTable::lookupNearestSymbolFrom<ModuleOp>(launch, launch.getKernelAttr());
  if (!code || !code->hasAttr(rt::kInPlace))
    return std::nullopt;
  SymExpr bytes = bytesOf(result, shapes);
  for (Value operand : launch.getInputs()) {
    Value root = rootOf(operand);
    auto slot = temporary.find(root);
    if (slot == temporary.end() || lastUse[root] != index || slots[slot->second].last != index ||
        hostUse.lookup(root) > index)
      continue;
    if (*shapes.getDims(operand) == *shapes.getDims(result) && bytesOf(operand, shapes) == bytes)
      return slot->second;
  }
  return std::nullopt;
}

LogicalResult AssignBuffers::run() {
  if (failed(inferShapes()))
    return failure();
  Block &block = function.getBody().front();
  Operation *terminator = block.getTerminator();
  SmallVector<Value> arguments(block.getArguments()), returned(terminator->getOperands());
  describe(rt::kInputs, arguments, /*results=*/false);
  describe(rt::kOutputs, returned, /*results=*/true);

  for (auto [index, launch] : llvm::enumerate(launches))
    for (Value operand : launch.getInputs())
      lastUse[rootOf(operand)] = index;
  // What is read on the host must outlive the launch before.
  for (auto [op, before] : boundaries)
    for (Value operand : op->getOperands()) {
      int64_t &last = lastUse[rootOf(operand)];
      last = std::max(last, before - 1);
      hostUse[rootOf(operand)] = before;
    }
  for (auto [index, value] : llvm::enumerate(returned))
    output[rootOf(value)] = index;
  for (auto [index, launch] : llvm::enumerate(launches))
    for (Value result : launch.getResults()) {
      if (output.contains(result))
        continue;
      int64_t now = index;
      Lifetime life{now, std::max(now, lastUse.lookup(result))};
      if (std::optional<unsigned> slot = reusable(launch, now, result)) {
        slots[*slot].last = life.last;
        temporary[result] = *slot;
        continue;
      }
      temporary[result] = slots.size();
      slots.push_back(life);
      slotBytes.push_back(bytesOf(result, shapes));
    }

  // The new body.
  builder.setInsertionPoint(terminator);
  DenseMap<Value, Value> buffers;
  for (auto [index, argument] : llvm::enumerate(arguments))
    buffers[argument] = createBuffer(argument.getLoc(), rt::BufferKind::input, index, bytesOf(argument, shapes));
  for (auto [root, index] : output)
    buffers[root] = Value();
  for (auto [index, value] : llvm::enumerate(returned))
    buffers[rootOf(value)] = createBuffer(value.getLoc(), rt::BufferKind::output, index, bytesOf(value, shapes));
  int64_t weights = 0;
  for (auto constant : block.getOps<ConstantOp>())
    buffers[constant] = createBuffer(constant.getLoc(), rt::BufferKind::weight, weights++, bytesOf(constant, shapes),
                                     constant.getValue());
  SmallVector<Value> slotBuffers;
  for (auto [slot, life] : llvm::enumerate(slots))
    slotBuffers.push_back(createBuffer(function.getLoc(), rt::BufferKind::temporary, slot, slotBytes[slot], {}, life));
  for (auto [root, slot] : temporary)
    buffers[root] = slotBuffers[slot];
  int64_t made = 0;
  for (auto [op, before] : boundaries)
    if (isCall(op))
      for (Value result : op->getResults())
        buffers[result] = createBuffer(op->getLoc(), rt::BufferKind::result, made++, bytesOf(result, shapes));
  auto next = boundaries.begin();
  auto replaceBefore = [&](int64_t launch) {
    for (; next != boundaries.end() && next->second <= launch; ++next)
      replaceBoundary(next->first, buffers);
  };
  for (auto [index, launch] : llvm::enumerate(launches)) {
    replaceBefore(index);
    SmallVector<Value> bindings;
    for (Value operand : launch.getInputs())
      bindings.push_back(buffers.lookup(rootOf(operand)));
    for (Value result : launch.getResults())
      bindings.push_back(buffers.lookup(result));
    auto dispatch = rt::DispatchOp::create(builder, launch.getLoc(), launch.getKernelAttr(), bindings);
    if (Attribute symbols = launch->getAttr(rt::kSymbols))
      dispatch->setAttr(rt::kSymbols, symbols);
  }
  replaceBefore(launches.size());

  terminator->setOperands({});
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (isa<rt::LaunchOp, ReshapeOp, ConstantOp, RequireOp>(op) || endsStage(op))
      op->erase();
  function.setArgAttrsAttr(ArrayAttr());
  function.setResAttrsAttr(ArrayAttr());
  function.setFunctionType(builder.getFunctionType({}, {}));
  block.eraseArguments(0, block.getNumArguments());
  return success();
}

namespace {

class AssignBuffersPass : public PassWrapper<AssignBuffersPass, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(AssignBuffersPass)
  StringRef getArgument() const override { return "ds-assign-buffers"; }
  StringRef getDescription() const override { return "give every tensor a buffer"; }

  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (failed(AssignBuffers(function).run()))
        return signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> createAssignBuffersPass() { return std::make_unique<AssignBuffersPass>(); }
void registerMemoryPasses() { PassRegistration<AssignBuffersPass>(); }

} // namespace ds
