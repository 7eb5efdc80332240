//===- Frame.cpp - A function that a backward pass runs -------------------===//
// Guarantees: see Frame.h.
//===----------------------------------------------------------------------===//
#include "Frame.h"
#include "dialects/ds/shape/Substitute.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <set>

using namespace mlir;

namespace ds {

static func::FuncOp makeFunction(Reverser &reverser, Location loc, func::FuncOp beside, StringRef suffix) {
  OpBuilder builder(beside.getContext());
  auto function = func::FuncOp::create(loc, (beside.getName() + suffix).str(), builder.getFunctionType({}, {}));
  function.setPrivate();
  builder.setInsertionPointToEnd(function.addEntryBlock());
  func::ReturnOp::create(builder, loc);
  reverser.table.insert(function, std::next(Block::iterator(beside)));
  return function;
}

Frame::Frame(Reverser &reverser, Operation *op, func::FuncOp body, StringRef suffix)
    : reverser(reverser), body(body), function(makeFunction(reverser, op->getLoc(), body, suffix)),
      ops(function.getBody().front().getTerminator()), block(function.getBody().front()),
      vjp(ops, reverser.shapes, op, {}) {}

BlockArgument Frame::insertArgument(unsigned at, Type element, ArrayRef<SymExpr> dims) {
  BlockArgument argument = block.insertArgument(at, typeFromDims(element, dims), function.getLoc());
  reverser.shapes.forget(argument);
  reverser.shapes.setDims(argument, dims);
  return argument;
}

SymExpr Frame::ownSymbol() {
  own.push_back(reverser.shapes.boundSymbol("s"));
  return own.back();
}

Value withDims(VjpBuilder &b, Value value, ArrayRef<SymExpr> dims) { return b.reshape(b(value), dims).get(); }

LogicalResult Frame::copyBody(ArrayRef<Value> values) {
  Block &from = body.getBody().front();
  std::set<std::string> unknown; // own symbols of the body that nothing in this function defines yet
  if (auto symbols = body->getAttrOfType<ShapeAttr>(kOwnSymbolsAttr))
    for (const SymExpr &symbol : symbols.getDims())
      unknown.insert(*symbol.symbolName());
  function.walk([&](BindOp bind) {
    for (const SymExpr &symbol : bind.getSymbols().getDims())
      unknown.erase(*symbol.symbolName());
  });
  SmallVector<SymDims> declared;
  for (auto [argument, value] : llvm::zip_equal(from.getArguments(), values)) {
    auto type = cast<RankedTensorType>(argument.getType());
    auto shape = body.getArgAttrOfType<ShapeAttr>(argument.getArgNumber(), kShapeArgAttr);
    SymDims outside = *reverser.shapes.getDims(value);
    SymDims &dims = declared.emplace_back(shape ? SymDims(shape.getDims()) : outside);
    for (auto [dim, size, known] : llvm::zip_equal(dims, type.getShape(), outside)) {
      if (!ShapedType::isDynamic(size))
        dim = SymExpr(size);
      if (auto name = dim.symbolName(); name && dim != known && unknown.erase(*name)) {
        auto define = DefineOp::create(ops, function.getLoc(), *name, vjp.shape(known));
        if (failed(inferOp(define, reverser.shapes)))
          return failure();
      }
    }
  }
  for (auto [argument, value, dims] : llvm::zip_equal(from.getArguments(), values, declared)) {
    arguments.push_back(withDims(vjp, value, dims));
    mapping.map(argument, arguments.back());
  }
  if (vjp.hasFailed())
    return failure();
  for (Operation &op : from.without_terminator()) {
    if (isa<RequireOp>(op)) // the forward pass has seen to it
      continue;
    if (failed(inferAndRefine(ops.clone(op, mapping), reverser.shapes)))
      return failure();
  }
  SmallVector<Value> results;
  for (Value result : from.getTerminator()->getOperands())
    results.push_back(mapping.lookup(result));
  block.getTerminator()->setOperands(results);
  return success();
}

LogicalResult Frame::seed(Walk &walk, unsigned result, Value value) {
  Value target = this->result(result);
  Value own = withDims(vjp, value, *reverser.shapes.getDims(target));
  return own ? walk.add(target, own) : failure();
}

void Frame::setResults(ArrayRef<Value> values) {
  block.getTerminator()->setOperands(values);
  eraseUnused(function, reverser.activity);
}

bool Frame::dropUnused(BlockArgument argument) {
  if (!argument.use_empty())
    return false;
  block.eraseArgument(argument.getArgNumber());
  return true;
}

FlatSymbolRefAttr Frame::finish() {
  function.setFunctionType(ops.getFunctionType(block.getArgumentTypes(), block.getTerminator()->getOperandTypes()));
  for (BlockArgument argument : block.getArguments())
    function.setArgAttr(argument.getArgNumber(), kShapeArgAttr, vjp.shape(*reverser.shapes.getDims(argument)));
  if (!own.empty())
    function->setAttr(kOwnSymbolsAttr, vjp.shape(own));
  return FlatSymbolRefAttr::get(function);
}

//===----------------------------------------------------------------------===//
// What nothing uses
//===----------------------------------------------------------------------===//

/// The functions that an op runs.
static SmallVector<FlatSymbolRefAttr> bodiesOf(Operation *op) {
  if (auto branch = dyn_cast<IfOp>(op))
    return {branch.getThenBodyAttr(), branch.getElseBodyAttr()};
  if (auto loop = dyn_cast<LoopOp>(op))
    return {loop.getBodyAttr()};
  return {};
}

/// The symbols that ops of a function, and of those that it runs, mention.
static void collect(Operation *root, std::set<std::string> &names, std::set<Operation *> &met, Activity &functions) {
  for (std::string &name : symbolsInAttributes(root))
    names.insert(std::move(name));
  root->walk([&](Operation *op) {
    for (FlatSymbolRefAttr name : bodiesOf(op))
      if (func::FuncOp body = functions.find(name); body && met.insert(body).second)
        collect(body, names, met, functions);
  });
}

/// The symbols that an op defines; nullopt where it does more than that and making its results.
static std::optional<SmallVector<std::string>> definedBy(Operation *op) {
  SmallVector<std::string> names;
  auto add = [&](ShapeAttr symbols) {
    for (const SymExpr &symbol : symbols.getDims())
      names.push_back(*symbol.symbolName());
  };
  if (auto bind = dyn_cast<BindOp>(op))
    add(bind.getSymbols());
  else if (auto branch = dyn_cast<IfOp>(op))
    add(branch.getSymbols());
  else if (auto loop = dyn_cast<LoopOp>(op))
    add(loop.getSymbols());
  else if (auto custom = dyn_cast<CustomOp>(op))
    add(custom.getSymbols());
  else if (auto define = dyn_cast<DefineOp>(op))
    names.push_back(define.getSymbol().str());
  else if (!wouldOpBeTriviallyDead(op))
    return std::nullopt;
  return names;
}

void eraseUnused(func::FuncOp function, Activity &functions) {
  std::set<std::string> mentioned; // by what comes after
  std::set<Operation *> met;
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.getBody().front()))) {
    std::optional<SmallVector<std::string>> defined = definedBy(&op);
    if (op.use_empty() && defined &&
        llvm::none_of(*defined, [&](const std::string &name) { return mentioned.count(name); }))
      op.erase();
    else
      collect(&op, mentioned, met, functions);
  }
}

NamedAttribute shapesAttr(OpBuilder &builder, ArrayRef<SymDims> all) {
  SmallVector<Attribute> attributes;
  for (const SymDims &dims : all)
    attributes.push_back(ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>(dims)));
  return builder.getNamedAttr("shapes", builder.getArrayAttr(attributes));
}

} // namespace ds
