//===- DsToRt.cpp - Tensors to buffers, launches to dispatches ------------===//
// Assumes: kernels are code (their modules say whether they may work in place); each result of a function is made by a
//   launch of its own (ds-group copies others).
// Guarantees: a buffer for every tensor that a kernel or a call makes, results in the program's outputs directly; views
//   are their operand's buffer. Dispatches say which inputs they may work in the place of.
// Declines: lifetimes and sharing of memory (ds-assign-memory).
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Conversion/Passes.h"
#include "ds/Import/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_CONVERTDSTORTPASS
#include "ds/Conversion/Passes.h.inc"

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

int64_t elementBytes(Value value) { return (getElementTypeOrSelf(value.getType()).getIntOrFloatBitWidth() + 7) / 8; }

SymExpr bytesOf(Value value, ShapeState &shapes) {
  return product(*shapes.getDims(value)) * SymExpr(elementBytes(value));
}

class Converter {
public:
  explicit Converter(func::FuncOp function) : function(function), builder(function.getContext()) {}
  LogicalResult run();

private:
  LogicalResult inferShapes();
  void describe(StringRef attribute, ArrayRef<Value> values, bool results);
  /// Types and shapes, as rt.call states them; where some are left out, `present` says which are there.
  ArrayAttr tensorsOf(ValueRange values, std::optional<ArrayRef<bool>> present = std::nullopt);
  Value bufferOf(Value value) { return value ? buffers.lookup(rootOf(value)) : Value(); }
  SmallVector<Value> buffersOf(ValueRange values) {
    return llvm::map_to_vector(values, [&](Value value) { return bufferOf(value); });
  }
  LogicalResult createBuffers(Block &block, ArrayRef<Value> arguments, ArrayRef<Value> returned);
  /// `value`'s buffer, number `index` of its kind.
  LogicalResult createBuffer(rt::BufferKind kind, int64_t index, Value value, ElementsAttr contents = {});
  void dispatch(rt::LaunchOp launch);
  /// What stands in the new body for an op that ends a stage.
  void replaceBoundary(Operation *op);

  func::FuncOp function;
  OpBuilder builder;
  ShapeState shapes;
  SmallVector<Operation *> steps; // launches, and ops that end stages
  DenseMap<Value, Value> buffers; // of roots
};

} // namespace

LogicalResult Converter::inferShapes() {
  if (failed(seedArguments(function.getBody(), shapes)))
    return failure();
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (auto launch = dyn_cast<rt::LaunchOp>(op)) {
      auto stated = launch->getAttrOfType<ArrayAttr>(rt::kShapes);
      if (!stated || stated.size() != launch.getNumResults())
        return launch.emitOpError("expected the attribute '") << rt::kShapes << "' with one shape a result";
      for (auto [result, shape] : llvm::zip_equal(launch.getResults(), stated.getAsRange<ShapeAttr>()))
        shapes.setDims(result, shape.getDims());
    } else if (failed(inferOp(&op, shapes))) {
      return failure();
    }
    if (isa<rt::LaunchOp>(op) || endsStage(&op))
      steps.push_back(&op);
  }
  return success();
}

void Converter::describe(StringRef attribute, ArrayRef<Value> values, bool results) {
  SmallVector<Attribute> all;
  for (auto [index, value] : llvm::enumerate(values)) {
    Attribute name = results ? function.getResultAttr(index, kNameAttr) : function.getArgAttr(index, kNameAttr);
    if (!name)
      name = builder.getStringAttr((results ? "output" : "input") + std::to_string(index));
    auto shape = ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>(*shapes.getDims(value)));
    NamedAttrList entry;
    entry.append("name", name);
    entry.append("shape", shape);
    entry.append("type", TypeAttr::get(value.getType()));
    for (auto [from, to] : {std::pair(kDonateAttr, "donated_to"), std::pair(kInPlaceAttr, "in_place"),
                            std::pair(kDefaultAttr, "default")})
      if (Attribute said = results ? Attribute() : function.getArgAttr(index, from))
        entry.append(to, said);
    all.push_back(entry.getDictionary(builder.getContext()));
  }
  function->setAttr(attribute, builder.getArrayAttr(all));
}

ArrayAttr Converter::tensorsOf(ValueRange values, std::optional<ArrayRef<bool>> present) {
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

void Converter::replaceBoundary(Operation *op) {
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

LogicalResult Converter::createBuffer(rt::BufferKind kind, int64_t index, Value value, ElementsAttr contents) {
  MLIRContext *context = builder.getContext();
  SymExpr bytes = bytesOf(value, shapes);
  if (bytes.isOverflow())
    return emitError(value.getLoc(), "the size in bytes of a tensor is too large, or too long an expression of the "
                                     "model's sizes; state some of them (--shape)");
  buffers[rootOf(value)] =
      rt::BufferOp::create(builder, value.getLoc(), rt::BufferType::get(context),
                           rt::BufferKindAttr::get(context, kind), builder.getI64IntegerAttr(index),
                           ShapeAttr::get(context, ArrayRef<SymExpr>{bytes}), contents, IntegerAttr(), IntegerAttr());
  return success();
}

LogicalResult Converter::createBuffers(Block &block, ArrayRef<Value> arguments, ArrayRef<Value> returned) {
  auto createAll = [&](rt::BufferKind kind, ArrayRef<Value> values) {
    for (auto [index, value] : llvm::enumerate(values))
      if (failed(createBuffer(kind, index, value)))
        return failure();
    return success();
  };
  if (failed(createAll(rt::BufferKind::input, arguments)))
    return failure();
  for (Value value : returned) {
    Value root = rootOf(value);
    if (!root.getDefiningOp<rt::LaunchOp>() || buffers.contains(root))
      return function.emitError("expected results that launches make, each its own");
    if (failed(createBuffer(rt::BufferKind::output, buffers.size() - arguments.size(), value)))
      return failure();
  }
  for (auto [index, constant] : llvm::enumerate(block.getOps<ConstantOp>()))
    if (failed(createBuffer(rt::BufferKind::weight, index, constant, constant.getValue())))
      return failure();
  SmallVector<Value> temporaries, results;
  for (Operation *op : steps)
    for (Value result : op->getResults())
      if (isCall(op))
        results.push_back(result);
      else if (isa<rt::LaunchOp>(op) && !buffers.contains(result))
        temporaries.push_back(result);
  if (failed(createAll(rt::BufferKind::temporary, temporaries)))
    return failure();
  return createAll(rt::BufferKind::result, results);
}

void Converter::dispatch(rt::LaunchOp launch) {
  auto dispatch = rt::DispatchOp::create(builder, launch.getLoc(), launch.getKernelAttr(),
                                         buffersOf(launch.getInputs()), buffersOf(launch.getResults()),
                                         /*in_place=*/DenseI64ArrayAttr());
  if (Attribute symbols = launch->getAttr(rt::kSymbols))
    dispatch->setAttr(rt::kSymbols, symbols);
  auto code = SymbolTable::lookupNearestSymbolFrom<ModuleOp>(launch, launch.getKernelAttr());
  if (!code || !code->hasAttr(rt::kInPlace) || launch.getNumResults() != 1)
    return;
  Value result = launch.getResult(0);
  SmallVector<int64_t> inPlace;
  for (auto [index, operand] : llvm::enumerate(launch.getInputs()))
    if (*shapes.getDims(operand) == *shapes.getDims(result) && elementBytes(operand) == elementBytes(result))
      inPlace.push_back(index);
  if (!inPlace.empty())
    dispatch.setInPlace(inPlace);
}

LogicalResult Converter::run() {
  if (failed(inferShapes()))
    return failure();
  Block &block = function.getBody().front();
  Operation *terminator = block.getTerminator();
  SmallVector<Value> arguments(block.getArguments()), returned(terminator->getOperands());
  describe(rt::kInputs, arguments, /*results=*/false);
  describe(rt::kOutputs, returned, /*results=*/true);
  builder.setInsertionPoint(terminator);
  if (failed(createBuffers(block, arguments, returned)))
    return failure();
  for (Operation *op : steps)
    if (auto launch = dyn_cast<rt::LaunchOp>(op))
      dispatch(launch);
    else
      replaceBoundary(op);

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

class ConvertDsToRtPass : public impl::ConvertDsToRtPassBase<ConvertDsToRtPass> {
public:
  using ConvertDsToRtPassBase::ConvertDsToRtPassBase;
  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (failed(Converter(function).run()))
        return signalPassFailure();
  }
};

} // namespace

} // namespace ds
