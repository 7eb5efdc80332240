//===- Body.cpp - The function of a branch or of a loop's body ------------===//
// Assumes: see Body.h.
// Guarantees: see Body.h.
// Declines: see Body.h.

#include "GraphImporter.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

Body::Body(GraphImporter &importer, mlir::Location loc, mlir::Block *caller) : importer(importer), caller(caller) {
  drawing.outer = importer.drawing;
  drawing.body = this;
  mlir::OpBuilder::InsertionGuard guard(importer.builder);
  importer.builder.setInsertionPointToEnd(importer.module->getBody());
  function = mlir::func::FuncOp::create(importer.builder, loc, "body" + std::to_string(importer.bodyCount++),
                                        importer.builder.getFunctionType({}, {}));
  function.setPrivate();
  function.addEntryBlock();
  importer.bodies.push_back(function);
}

/// What was made in a function that is given up is forgotten with it: new values may get the same addresses.
void GraphImporter::forget(mlir::Operation *op) {
  op->walk<mlir::WalkOrder::PreOrder>([&](mlir::Block *block) {
    for (Value argument : block->getArguments())
      shapes.forget(argument);
  });
  op->walk([&](mlir::Operation *inner) {
    for (Value result : inner->getResults())
      shapes.forget(result);
  });
}

void Body::giveUp() {
  if (!function)
    return;
  importer.forget(function);
  llvm::erase(importer.bodies, function);
  function.erase();
  function = {};
}

SymDims Body::dims(ArrayRef<SymExpr> outer) {
  SymDims result;
  for (const SymExpr &dim : outer)
    result.push_back(importer.shapes.isKnownOnEntry(dim) ? dim : ownSymbol(dim));
  return result;
}

SymExpr Body::ownSymbol(const SymExpr &outer) {
  auto [entry, isNew] = renamed.try_emplace(outer.str());
  if (isNew) {
    entry->second = importer.shapes.boundSymbol("s");
    own.push_back(entry->second);
  }
  return entry->second;
}

Value Body::addArgument(Type element, ArrayRef<SymExpr> dims) {
  Value argument = function.getBody().front().addArgument(typeFromDims(element, dims), function.getLoc());
  importer.shapes.setDims(argument, dims);
  return argument;
}

Value Body::capture(Value value) {
  Value &inside = captures[value];
  if (inside)
    return inside;
  mlir::OpBuilder &builder = importer.builder;
  ShapeState &shapes = importer.shapes;
  mlir::OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&function.getBody().front());
  Type element = mlir::getElementTypeOrSelf(value.getType());
  if (auto constant = value.getDefiningOp<ConstantOp>()) {
    auto copy = ConstantOp::create(builder, constant.getLoc(), constant.getValue());
    shapes.copy(value, copy);
    return inside = copy;
  }
  std::optional<SmallVector<SymExpr>> contents = shapes.getContents(value);
  auto rank = cast<mlir::RankedTensorType>(value.getType()).getRank();
  // Sizes stay sizes.
  if (contents && rank <= 1 && !element.isInteger(1) &&
      all_of(*contents, [&](const SymExpr &expr) { return !expr.isOverflow() && shapes.isKnownOnEntry(expr); })) {
    Node node(builder, shapes, function.getLoc());
    Value sizes = node.shapeValue(*contents, rank == 0);
    return inside = node.cast(sizes, element);
  }
  captured.push_back(value);
  return inside = addArgument(element, dims(*shapes.getDims(value)));
}

Item Body::capture(const Item &item) {
  Item inside = item;
  if (item.tensor)
    inside.tensor = capture(item.tensor);
  if (inside.list)
    for (Value &value : *inside.list)
      value = capture(value);
  if (inside.sequence)
    inside.sequence = Sequence{capture(item.sequence->data), capture(item.sequence->shapes), item.sequence->isMixed};
  if (item.present)
    inside.present = capture(item.present);
  return inside;
}

void Body::finish(ArrayRef<Value> results) {
  mlir::OpBuilder &builder = importer.builder;
  mlir::Block &block = function.getBody().front();
  mlir::OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(&block);
  mlir::func::ReturnOp::create(builder, function.getLoc(), results);
  function.setFunctionType(builder.getFunctionType(block.getArgumentTypes(), mlir::ValueRange(results).getTypes()));
  for (mlir::BlockArgument argument : block.getArguments())
    function.setArgAttr(argument.getArgNumber(), kShapeArgAttr,
                        ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>(*importer.shapes.getDims(argument))));
  if (!own.empty())
    function->setAttr(kOwnSymbolsAttr, ShapeAttr::get(builder.getContext(), ArrayRef<SymExpr>(own)));
}

std::set<std::string> Body::innerSymbols() {
  std::set<std::string> names;
  for (const SymExpr &symbol : own)
    symbol.collectSymbols(names);
  auto add = [&](ShapeAttr symbols) {
    for (const SymExpr &symbol : symbols.getDims())
      symbol.collectSymbols(names);
  };
  function.walk([&](mlir::Operation *op) {
    if (auto bind = dyn_cast<BindOp>(op))
      add(bind.getSymbols());
    if (auto define = dyn_cast<DefineOp>(op))
      names.insert(define.getSymbol().str());
    if (auto branch = dyn_cast<IfOp>(op))
      add(branch.getSymbols());
    if (auto loop = dyn_cast<LoopOp>(op))
      add(loop.getSymbols());
    if (auto custom = dyn_cast<CustomOp>(op))
      add(custom.getSymbols());
  });
  return names;
}

/// The dims as the caller knows them, where it does; otherwise new symbols, which are added to `symbols`.
SymDims GraphImporter::dimsOutside(ArrayRef<SymExpr> inside, const std::set<std::string> &innerSymbols,
                                   SmallVectorImpl<SymExpr> &symbols) {
  SymDims dims;
  for (const SymExpr &dim : inside) {
    bool known = shapes.isKnownOnEntry(dim) && !dim.isOverflow();
    for (const std::string &symbol : dim.symbols())
      known &= !innerSymbols.count(symbol);
    dims.push_back(known ? dim : shapes.boundSymbol("r"));
    if (!known)
      symbols.push_back(dims.back());
  }
  return dims;
}

Value GraphImporter::asScalar(Node &node, Value value) {
  return !value || node.rank(value) == 0 ? value : node.reshape(value, {});
}

mlir::NamedAttribute GraphImporter::shapesAttr(ArrayRef<SymDims> all) {
  SmallVector<mlir::Attribute> attributes;
  for (const SymDims &dims : all)
    attributes.push_back(ShapeAttr::get(&context, ArrayRef<SymExpr>(dims)));
  return builder.getNamedAttr("shapes", builder.getArrayAttr(attributes));
}
