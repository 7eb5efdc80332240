//===- DsToRt.cpp - Tensors to buffers, launches to dispatches ------------===//
// Assumes: kernels are code (which says whether it may work in place); each result of a function is made by a
//   launch of its own (ds-group copies others).
// Guarantees: a program for every function; a buffer for every tensor that a kernel or a call makes, results in the
// program's outputs directly; views
//   are their operand's buffer. Dispatches say which inputs they may work in the place of.
// Declines: lifetimes and sharing of memory (ds-assign-memory).
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/Donations.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Conversion/Passes.h"
#include "ds/Import/Onnx.h"
#include "ds/Simplify/Versions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_CONVERTDSTORTPASS
#include "ds/Conversion/Passes.h.inc"

namespace {

bool isOfStrings(Value value) { return isa<StringType>(getElementTypeOrSelf(value.getType())); }

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
  /// Inputs or outputs of the program.
  ArrayAttr describe(ArrayRef<Value> values, bool results);
  rt::ProgramOp createProgram(ArrayRef<Value> arguments, ArrayRef<Value> returned);
  /// Types and shapes, as rt.call states them; where some are left out, `present` says which are there.
  ArrayAttr tensorsOf(ValueRange values, std::optional<ArrayRef<bool>> present = std::nullopt);
  Value bufferOf(Value value) { return value ? buffers.lookup(memoryOf(value)) : Value(); }
  SmallVector<Value> buffersOf(ValueRange values) {
    return llvm::map_to_vector(values, [&](Value value) { return bufferOf(value); });
  }
  LogicalResult createBuffers(Block &block, ArrayRef<Value> arguments, ArrayRef<Value> returned);
  /// `value`'s buffer, number `index` of its kind.
  LogicalResult createBuffer(rt::BufferKind kind, int64_t index, Value value, ElementsAttr contents = {});
  void dispatch(rt::LaunchOp launch);
  /// What stands in the new body for an op that ends a stage.
  LogicalResult replaceBoundary(Operation *op);

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
      for (auto [result, shape] : llvm::zip_equal(launch.getResults(), launch.getShapes().getAsRange<ShapeAttr>()))
        shapes.setDims(result, shape.getDims());
    } else if (failed(inferOp(&op, shapes))) {
      return failure();
    }
    if (isa<rt::LaunchOp>(op) || endsStage(&op))
      steps.push_back(&op);
  }
  return success();
}

ArrayAttr Converter::describe(ArrayRef<Value> values, bool results) {
  MLIRContext *context = builder.getContext();
  SmallVector<Attribute> all;
  for (auto [index, value] : llvm::enumerate(values)) {
    auto name = dyn_cast_or_null<StringAttr>(results ? function.getResultAttr(index, kNameAttr)
                                                     : function.getArgAttr(index, kNameAttr));
    if (!name)
      name = builder.getStringAttr((results ? "output" : "input") + std::to_string(index));
    auto donated = results ? IntegerAttr() : function.getArgAttrOfType<IntegerAttr>(index, kDonateAttr);
    bool inPlace = donated && function.getArgAttr(index, kInPlaceAttr);
    auto unlessGiven = results ? ElementsAttr() : function.getArgAttrOfType<ElementsAttr>(index, kDefaultAttr);
    all.push_back(rt::TensorAttr::get(context, name, cast<RankedTensorType>(value.getType()),
                                      ShapeAttr::get(context, ArrayRef<SymExpr>(*shapes.getDims(value))),
                                      donated ? donated.getInt() : -1, inPlace, unlessGiven));
  }
  return builder.getArrayAttr(all);
}

rt::ProgramOp Converter::createProgram(ArrayRef<Value> arguments, ArrayRef<Value> returned) {
  auto namesOf = [&](ShapeAttr symbols) {
    SmallVector<Attribute> names;
    for (const SymExpr &symbol : symbols.getExprs())
      names.push_back(builder.getStringAttr(*symbol.symbolName()));
    return builder.getArrayAttr(names);
  };
  auto own = function->getAttrOfType<ShapeAttr>(kOwnSymbolsAttr);
  ArrayAttr versions = function->getAttrOfType<ArrayAttr>(kVersionsAttr);
  if (versions) {
    SmallVector<Attribute> all;
    for (auto version : versions.getAsRange<DictionaryAttr>())
      all.push_back(rt::VersionAttr::get(builder.getContext(), version.getAs<FlatSymbolRefAttr>("body"),
                                         version.getAs<DictionaryAttr>("sizes"), version.getAs<ArrayAttr>("left_out")));
    versions = builder.getArrayAttr(all);
  }
  SmallVector<Attribute> defined;
  for (auto define : function.getOps<DefineOp>())
    defined.push_back(rt::DefinitionAttr::get(builder.getContext(), define.getSymbolAttr(), define.getValueAttr()));
  auto constraints = function->getAttrOfType<ArrayAttr>(rt::kConstraints);
  builder.setInsertionPoint(function);
  return rt::ProgramOp::create(builder, function.getLoc(), function.getSymNameAttr(), function.getSymVisibilityAttr(),
                               describe(arguments, /*results=*/false), describe(returned, /*results=*/true),
                               constraints ? constraints : builder.getArrayAttr({}),
                               defined.empty() ? ArrayAttr() : builder.getArrayAttr(defined),
                               own ? namesOf(own) : ArrayAttr(), function->getAttrOfType<ArrayAttr>(kGivenAttr),
                               function->getAttrOfType<ArrayAttr>(kFixedAttr), versions);
}

ArrayAttr Converter::tensorsOf(ValueRange values, std::optional<ArrayRef<bool>> present) {
  SmallVector<Attribute> all(present ? present->size() : values.size(), builder.getUnitAttr());
  size_t at = 0;
  for (Value value : values) {
    while (present && !(*present)[at])
      ++at;
    all[at++] = rt::TensorAttr::get(builder.getContext(), StringAttr(), cast<RankedTensorType>(value.getType()),
                                    ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>(*shapes.getDims(value))),
                                    /*donated_to=*/-1,
                                    /*in_place=*/false, /*unless_given=*/ElementsAttr());
  }
  return builder.getArrayAttr(all);
}

LogicalResult Converter::replaceBoundary(Operation *op) {
  if (auto bind = dyn_cast<BindOp>(op)) {
    rt::BindOp::create(builder, bind.getLoc(), bufferOf(bind.getX()), bind.getSymbols(),
                       getElementTypeOrSelf(bind.getX().getType()).getIntOrFloatBitWidth());
    return success();
  }
  if (auto custom = dyn_cast<CustomOp>(op)) {
    auto described = rt::OperatorAttr::get(builder.getContext(), custom.getOpTypeAttr(), custom.getDomainAttr(),
                                           custom.getOpAttributesAttr());
    rt::CallOp::create(
        builder, op->getLoc(), rt::CallKind::custom, builder.getArrayAttr({}), Value(), Value(),
        buffersOf(custom.getInputs()), buffersOf(custom.getOutputs()), tensorsOf(custom.getInputs(), custom.getTakes()),
        tensorsOf(custom.getOutputs(), custom.getMakes()), /*split=*/0, custom.getSymbols(), 64, described);
    return success();
  }
  auto call = [&](rt::CallKind kind, ArrayRef<Attribute> bodies, Value trips, Value condition, ValueRange inputs,
                  unsigned split, ShapeAttr symbols) {
    int64_t width = trips ? getElementTypeOrSelf(trips.getType()).getIntOrFloatBitWidth() : 64;
    rt::CallOp::create(builder, op->getLoc(), kind, builder.getArrayAttr(bodies), bufferOf(trips), bufferOf(condition),
                       buffersOf(inputs), buffersOf(op->getResults()), tensorsOf(inputs), tensorsOf(op->getResults()),
                       split, symbols, width, rt::OperatorAttr());
  };
  SmallVector<Value> inputs;
  if (auto branch = dyn_cast<IfOp>(op)) {
    llvm::append_range(inputs, branch.getThenInputs());
    llvm::append_range(inputs, branch.getElseInputs());
    call(rt::CallKind::branch, {branch.getThenBodyAttr(), branch.getElseBodyAttr()}, Value(), branch.getCondition(),
         inputs, branch.getThenInputs().size(), branch.getSymbols());
    return success();
  }
  auto loop = dyn_cast<LoopOp>(op);
  if (!loop)
    return op->emitOpError("ends a stage, and the conversion to rt knows no form for it");
  llvm::append_range(inputs, loop.getState());
  llvm::append_range(inputs, loop.getCaptured());
  call(rt::CallKind::loop, {loop.getBodyAttr()}, loop.getTrips(), loop.getCondition(), inputs, loop.getState().size(),
       loop.getSymbols());
  return success();
}

LogicalResult Converter::createBuffer(rt::BufferKind kind, int64_t index, Value value, ElementsAttr contents) {
  MLIRContext *context = builder.getContext();
  SymExpr bytes = bytesOf(value, shapes);
  if (bytes.isOverflow())
    return emitError(value.getLoc(), "the size in bytes of a tensor is too large, or too long an expression of the "
                                     "model's sizes; state some of them (--shape)");
  buffers[memoryOf(value)] =
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
  for (auto [index, value] : llvm::enumerate(returned)) {
    Value root = memoryOf(value), before = buffers.lookup(root);
    const bool isUnchanged = isUnchangedDonation(function, unsigned(index));
    if (!isUnchanged && (!root.getDefiningOp<rt::LaunchOp>() || before))
      return function.emitError("expected results that launches make, each its own");
    if (failed(createBuffer(rt::BufferKind::output, index, value)))
      return failure();
    if (isUnchanged) // nothing writes the output; what reads the argument reads the input
      buffers[root] = before;
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
  auto dispatch =
      rt::DispatchOp::create(builder, launch.getLoc(), launch.getKernelAttr(), buffersOf(launch.getInputs()),
                             buffersOf(launch.getResults()), launch.getSymbols(), /*in_place=*/DenseI64ArrayAttr());
  auto code = SymbolTable::lookupNearestSymbolFrom<rt::CodeOp>(launch, launch.getKernelAttr());
  if (!code || !code.getInPlace())
    return;
  SmallVector<int64_t> inPlace;
  for (auto [index, operand] : llvm::enumerate(launch.getInputs()))
    if (llvm::all_of(launch.getResults(), [&, &operand = operand](Value result) {
          return *shapes.getDims(operand) == *shapes.getDims(result) && elementBytes(operand) == elementBytes(result);
        }))
      inPlace.push_back(index);
  if (!inPlace.empty())
    dispatch.setInPlace(inPlace);
}

LogicalResult Converter::run() {
  if (failed(inferShapes()))
    return failure();
  Block &block = function.getBody().front();
  if (llvm::any_of(block.getArguments(), isOfStrings))
    return function.emitError("takes strings, which programs know by their numbers; run ds-lower-strings before");
  for (Operation &op : block)
    if (llvm::any_of(op.getResults(), isOfStrings))
      return op.emitOpError("makes strings, which programs know by their numbers; run ds-lower-strings before");
  SmallVector<Value> arguments(block.getArguments()), returned(block.getTerminator()->getOperands());
  rt::ProgramOp program = createProgram(arguments, returned);
  builder.setInsertionPointToStart(&program.getBodyRegion().emplaceBlock());
  if (failed(createBuffers(block, arguments, returned)))
    return failure();
  for (Operation *op : steps)
    if (auto launch = dyn_cast<rt::LaunchOp>(op))
      dispatch(launch);
    else if (failed(replaceBoundary(op)))
      return failure();
  function.erase();
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
