//===- Bodies.cpp - Branches and loops that run-time values decide --------===//
// Assumes: attributes satisfy the operator's schema.
// Guarantees: each branch, and each loop's body, is a function of its own that gets what it uses of the graph around
// it;
//   ds.if and ds.loop run them. Sizes that follow from those of the graph around are expressions of the same symbols in
//   the function.
// Declines: branches whose results are not alike (Divergence.cpp).

#include "GraphImporter.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::GraphProto;
using onnx::NodeProto;

//===----------------------------------------------------------------------===//
// Functions and what they capture
//===----------------------------------------------------------------------===//

GraphImporter::Body::Body(GraphImporter &importer, mlir::Location loc, mlir::Block *caller)
    : importer(importer), caller(caller) {
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

void GraphImporter::Body::giveUp() {
  if (!function)
    return;
  importer.forget(function);
  llvm::erase(importer.bodies, function);
  function.erase();
  function = {};
}

SymDims GraphImporter::Body::dims(ArrayRef<SymExpr> outer) {
  SymDims result;
  for (const SymExpr &dim : outer)
    result.push_back(importer.shapes.isKnownOnEntry(dim) ? dim : ownSymbol(dim));
  return result;
}

SymExpr GraphImporter::Body::ownSymbol(const SymExpr &outer) {
  auto [entry, isNew] = renamed.try_emplace(outer.str());
  if (isNew) {
    entry->second = importer.shapes.boundSymbol("s");
    own.push_back(entry->second);
  }
  return entry->second;
}

Value GraphImporter::Body::addArgument(Type element, ArrayRef<SymExpr> dims) {
  Value argument = function.getBody().front().addArgument(typeFromDims(element, dims), function.getLoc());
  importer.shapes.setDims(argument, dims);
  return argument;
}

Value GraphImporter::Body::capture(Value value) {
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

GraphImporter::Item GraphImporter::Body::capture(const Item &item) {
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

void GraphImporter::Body::finish(ArrayRef<Value> results) {
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

std::set<std::string> GraphImporter::Body::innerSymbols() {
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

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

std::string GraphImporter::difference(ArrayRef<Item> a, ArrayRef<Item> b) {
  for (auto [x, y] : zip_equal(a, b)) {
    if (bool(x.tensor) != bool(y.tensor) || x.isOptional != y.isOptional || x.isBoxed != y.isBoxed ||
        bool(x.present) != bool(y.present))
      return "one is a tensor, the other is not";
    if (x.sequence.has_value() != y.sequence.has_value() || (x.list && x.list->size() != y.list->size()))
      return "the sequences are not alike";
  }
  SmallVector<Value> left, right;
  flatten(a, left);
  flatten(b, right);
  for (auto [x, y] : zip_equal(left, right)) {
    auto type = cast<mlir::RankedTensorType>(x.getType()), other = cast<mlir::RankedTensorType>(y.getType());
    if (type.getElementType() != other.getElementType())
      return "the element types differ";
    if (type.getRank() != other.getRank())
      return "the ranks are " + std::to_string(type.getRank()) + " and " + std::to_string(other.getRank());
  }
  return "";
}

bool GraphImporter::runBranches(Node &node, Value condition,
                                function_ref<bool(int, Body &, SmallVectorImpl<Item> &)> build,
                                SmallVectorImpl<Item> &results, std::string &reason, bool box, const Choice *choice) {
  Body both[2] = {{*this, node.loc, builder.getInsertionBlock()}, {*this, node.loc, builder.getInsertionBlock()}};
  SmallVector<Item> items[2];
  for (int i : {0, 1}) {
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&both[i].function.getBody().front());
    if (!build(i, both[i], items[i]))
      return false;
  }
  auto convert = [&](int i, Item &item, function_ref<Item(const Item &)> into) {
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&both[i].function.getBody().front());
    item = into(item);
  };
  // Sequences whose elements have another rank in each branch.
  auto mixBoth = [&](Item &x, Item &y) {
    if (node.failed || !x.sequence || !y.sequence ||
        (x.sequence->isMixed == y.sequence->isMixed && x.sequence->rank() == y.sequence->rank()))
      return;
    convert(0, x, [&](const Item &item) { return mixed(node, item); });
    convert(1, y, [&](const Item &item) { return mixed(node, item); });
  };
  // Sequences of different lengths are the run's, and tensors of different ranks can be.
  for (auto [x, y] : zip_equal(items[0], items[1])) {
    bool ranksDiffer = x.tensor && y.tensor && node.rank(x.tensor) != node.rank(y.tensor);
    if ((box && ranksDiffer) || x.isBoxed != y.isBoxed) {
      convert(0, x, [&](const Item &item) { return boxed(node, item); });
      convert(1, y, [&](const Item &item) { return boxed(node, item); });
    }
    addRanks(x, y.ranks);
    if (x.isOptional && y.isOptional &&
        (bool(x.tensor) != bool(y.tensor) || bool(x.list) != bool(y.list) || x.sequence || y.sequence)) {
      OptionalKind kind = kindOf(node, x), other = kindOf(node, y);
      if (!kind.isKnown())
        kind = other;
      if (!kind.isKnown())
        continue; // neither is there
      convert(0, x, [&](const Item &item) { return asRunTimeOptional(node, item, kind); });
      convert(1, y, [&](const Item &item) { return asRunTimeOptional(node, item, kind); });
      mixBoth(x, y);
      continue;
    }
    if (x.isBoxed || !(x.list || x.sequence) || !(y.list || y.sequence) ||
        (x.list && y.list && x.list->size() == y.list->size()))
      continue;
    auto rankOf = [&](const Item &item) -> std::optional<unsigned> {
      if (item.sequence)
        return item.sequence->isMixed ? 0 : item.sequence->rank();
      return item.list->empty() ? std::optional<unsigned>() : node.rank(item.list->front());
    };
    std::optional<unsigned> rank = rankOf(x) ? rankOf(x) : rankOf(y);
    convert(0, x, [&](const Item &item) { return asSequence(node, item, rank); });
    convert(1, y, [&](const Item &item) { return asSequence(node, item, rank); });
    mixBoth(x, y);
  }
  if (node.failed)
    return false;
  reason = difference(items[0], items[1]);
  if (!reason.empty())
    return false;

  SmallVector<Value> values[2];
  std::set<std::string> inner;
  for (int i : {0, 1}) {
    flatten(items[i], values[i]);
    both[i].finish(values[i]);
    std::set<std::string> names = both[i].innerSymbols();
    inner.insert(names.begin(), names.end());
  }
  SmallVector<Type> types;
  SmallVector<SymDims> allDims;
  SmallVector<SymExpr> symbols;
  for (auto [x, y] : zip_equal(values[0], values[1])) {
    SymDims left = *shapes.getDims(x), right = *shapes.getDims(y);
    for (auto [l, r] : zip_equal(left, right))
      if (l != r)
        l = shapes.freshSymbol();
    allDims.push_back(dimsOutside(left, inner, symbols));
    types.push_back(typeFromDims(node.elem(x), allDims.back()));
  }
  SmallVector<Value> operands{condition};
  append_range(operands, both[0].captured);
  append_range(operands, both[1].captured);
  auto op = IfOp::create(builder, node.loc, types, operands,
                         ArrayRef<mlir::NamedAttribute>{
                             node.segments({1, int32_t(both[0].captured.size()), int32_t(both[1].captured.size())}),
                             builder.getNamedAttr("then_body", mlir::FlatSymbolRefAttr::get(both[0].function)),
                             builder.getNamedAttr("else_body", mlir::FlatSymbolRefAttr::get(both[1].function)),
                             shapesAttr(allDims), node.shape("symbols", symbols)});
  if (choice) {
    op.setNumber(choice->number);
    op.setDecides(choice->decides);
  }
  if (failed(inferOp(op, shapes)))
    return node.failed = true, false;
  SmallVector<Value> outputs(op.getOutputs());
  ArrayRef<Value>::iterator made = outputs.begin();
  for (const Item &item : items[0])
    results.push_back(rebuild(item, made));
  return true;
}

bool GraphImporter::importRunTimeIf(Node &node, NodeProto &proto, GraphProto &thenGraph, GraphProto &elseGraph,
                                    Scope &scope, const Opsets &opsets, int depth) {
  Value condition = asScalar(node, node.in(0));
  if (node.failed)
    return false;
  GraphProto *graphs[2] = {&thenGraph, &elseGraph};
  Attempt attempt(*this, scope);
  Node quiet(builder, shapes, node.loc); // whose failure is not the node's yet
  quiet.wanted = node.wanted;
  SmallVector<Item> results;
  std::string unlike;
  int building = 0;
  metUnsupported = false;
  std::string problem = quietly([&] {
    auto build = [&](int i, Body &body, SmallVectorImpl<Item> &items) {
      building = i;
      SmallVector<Item> all;
      if (!importGraph(quiet, *graphs[i], {}, node.wanted, scope, opsets, depth, all, &body))
        return false;
      for (auto [item, want] : zip_equal(all, node.wanted))
        if (want)
          items.push_back(item);
      return true;
    };
    return runBranches(quiet, condition, build, results, unlike);
  });
  if (!problem.empty()) {
    attempt.takeBack();
    // A branch that is no part of the program for an operator's sake is missed, not avoided.
    if (metUnsupported) {
      std::string name = getNodeName(node.loc).value_or(NodeName{}).name;
      if (auto stated = statedBranches.find(name); stated != statedBranches.end())
        return importStatedIf(node, proto, *graphs[stated->second ? 0 : 1], stated->second, scope, opsets, depth);
      node.failed = true;
      bool isHinted = StringRef(problem).contains("--force-static");
      return error(
          problem +
          (isHinted ? "" : "; --force-static=" + name + "=" + std::to_string(building) + " leaves out that branch"));
    }
    return importDivergingIf(node, proto, thenGraph, elseGraph, scope, opsets, depth);
  }
  auto item = results.begin();
  for (auto [name, want] : zip(proto.output(), node.wanted))
    if (want)
      scope.values[name] = *item++;
  return true;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

bool GraphImporter::runLoop(Node &node, const LoopParts &parts, SmallVectorImpl<Value> &results) {
  // A dim of the state that the body changes is the body's own symbol; which these are, importing the body tells.
  SmallVector<SymDims> stateDims;
  SmallVector<SmallVector<bool>> changes;
  for (Value value : parts.state) {
    stateDims.push_back(*shapes.getDims(value));
    changes.emplace_back(stateDims.back().size(), false);
  }
  for (;;) {
    Body body(*this, node.loc, builder.getInsertionBlock());
    SmallVector<Value> made, arguments{body.addArgument(builder.getI64Type(), {})};
    SmallVector<SymDims> taken;
    for (auto [value, dims] : zip_equal(parts.state, stateDims)) {
      taken.push_back(body.dims(dims));
      arguments.push_back(body.addArgument(node.elem(value), taken.back()));
    }
    {
      mlir::OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToEnd(&body.function.getBody().front());
      if (!parts.build(body, arguments, made) || node.failed)
        return false;
      made[0] = asScalar(node, made[0]);
      if (node.failed)
        return false;
    }
    bool changed = false;
    for (auto [index, value] : enumerate(parts.state)) {
      Value next = made[index + 1];
      if (node.elem(next) != node.elem(value) || node.rank(next) != node.rank(value))
        return node.fail("an iteration changes the type or rank of a value that it hands on, which is not supported"),
               false;
      SymDims dims = *shapes.getDims(next);
      for (auto [d, dim] : enumerate(dims))
        if (dim != taken[index][d] && !changes[index][d]) {
          // By itself, whatever it was at first: that may be the size of what the body captures, too.
          stateDims[index][d] = shapes.freshSymbol();
          changed = changes[index][d] = true;
        }
    }
    if (changed) {
      body.giveUp();
      continue;
    }

    body.finish(made);
    std::set<std::string> inner = body.innerSymbols();
    SmallVector<SymExpr> symbols;
    SmallVector<SymDims> allDims;
    SmallVector<Type> types;
    // The number of iterations, where it is known.
    std::optional<SmallVector<SymExpr>> trips = node.contents(parts.trips);
    std::optional<Ints> goOn = node.constantInts(made[0]);
    std::optional<Ints> start = parts.condition ? node.constantInts(parts.condition) : Ints{1};
    bool counted = trips && trips->size() == 1 && goOn && (*goOn)[0] && start && (*start)[0];
    bool runs = counted && (*trips)[0].isPositive();
    for (unsigned i = 1; i < made.size(); ++i) {
      SymDims dims = *shapes.getDims(made[i]);
      // Without iterations the state is what it was: a dim that the body changes is neither's for certain.
      if (i <= parts.state.size() && !runs)
        for (auto [dim, state, changed] : zip_equal(dims, stateDims[i - 1], changes[i - 1]))
          dim = changed ? state : dim;
      if (i > parts.state.size())
        dims.insert(dims.begin(), counted ? SymExpr::max((*trips)[0], SymExpr(0)) : shapes.freshSymbol());
      allDims.push_back(dimsOutside(dims, inner, symbols));
      types.push_back(typeFromDims(node.elem(made[i]), allDims.back()));
    }
    SmallVector<Value> operands;
    for (Value control : {parts.trips, parts.condition})
      if (control)
        operands.push_back(control);
    append_range(operands, parts.state);
    append_range(operands, body.captured);
    auto op = LoopOp::create(
        builder, node.loc, types, operands,
        ArrayRef<mlir::NamedAttribute>{node.segments({parts.trips ? 1 : 0, parts.condition ? 1 : 0,
                                                      int32_t(parts.state.size()), int32_t(body.captured.size())}),
                                       builder.getNamedAttr("body", mlir::FlatSymbolRefAttr::get(body.function)),
                                       shapesAttr(allDims), node.shape("symbols", symbols)});
    if (failed(inferOp(op, shapes)))
      return node.failed = true, false;
    append_range(results, op.getOutputs());
    return true;
  }
}

/// The rank of the elements of a sequence that the body takes as `input` and returns as `output`, from what the graph
/// declares, or else from importing it.
std::optional<unsigned> GraphImporter::elementRank(Node &node, GraphProto &graph, int input, int output,
                                                   ArrayRef<Item> state, Scope &scope, const Opsets &opsets,
                                                   int depth) {
  for (const onnx::ValueInfoProto *info : {&graph.input(input), &graph.output(output)})
    if (const auto &type = info->type().sequence_type().elem_type().tensor_type(); type.has_shape())
      return type.shape().dim_size();
  Attempt attempt(*this, scope);
  std::optional<unsigned> rank;
  quietly([&] {
    Node quiet(builder, shapes, node.loc);
    Body body(*this, node.loc, builder.getInsertionBlock());
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&body.function.getBody().front());
    SmallVector<Item> inputs{Item(body.addArgument(builder.getI64Type(), {})),
                             Item(quiet.intScalar(1, builder.getI1Type()))};
    for (const Item &item : state)
      inputs.push_back(body.capture(item));
    SmallVector<bool> wanted(graph.output_size(), true);
    SmallVector<Item> results;
    if (!importGraph(quiet, graph, inputs, wanted, scope, opsets, depth, results, &body))
      return false;
    const Item &made = results[output];
    if (made.tensor)
      rank = quiet.rank(made.tensor);
    else if (made.sequence && !made.sequence->isMixed)
      rank = made.sequence->rank();
    else if (made.list && !made.list->empty())
      rank = quiet.rank(made.list->front());
    return true;
  });
  attempt.takeBack();
  return rank;
}

/// What an iteration made in the form of the state that it is handed on as; `other` says what the state should be
/// instead, if it cannot be that.
GraphImporter::Item GraphImporter::asState(Node &node, Item item, const Item &state, OtherState &other) {
  bool isTensor = state.tensor || state.isBoxed, isOptional = state.isOptional;
  if (isOptional)
    item = asRunTimeOptional(node, item, kindOf(node, state));
  if (node.failed)
    return item;
  if (isTensor ? !item.tensor && !item.isBoxed : item.tensor || item.isBoxed || item.isOptional != isOptional)
    return node.fail("an iteration makes a tensor where a sequence is expected, or the other way round"), item;
  if (isTensor) {
    if (item.isBoxed != state.isBoxed || (item.tensor && node.rank(item.tensor) != node.rank(state.tensor)))
      item = boxed(node, item);
    for (int64_t rank : item.ranks)
      if (rank <= MaxUnknownRank && !is_contained(state.ranks, rank))
        other.ranks.push_back(rank);
    return item;
  }
  item = asSequence(node, item, state.sequence->isMixed ? 0 : state.sequence->rank());
  if (node.failed)
    return item;
  if (state.sequence->isMixed)
    return mixed(node, item);
  other.mix = item.sequence->isMixed || item.sequence->rank() != state.sequence->rank();
  return item;
}

bool GraphImporter::importRunTimeLoop(Node &node, NodeProto &proto, GraphProto &graph, Scope &scope,
                                      const Opsets &opsets, int depth) {
  LoopParts parts;
  SmallVector<Item> state;
  for (int i = 0; i < proto.input_size(); ++i) {
    if (proto.input(i).empty())
      continue;
    Item *item = find(scope, proto.input(i));
    if (!item)
      return false;
    if (i >= 2)
      state.push_back(*item);
    else if (!item->tensor)
      return node.fail("input " + Twine(i) + " must be a tensor"), false;
    else
      (i == 0 ? parts.trips : parts.condition) = asScalar(node, item->tensor);
  }
  int carried = int(state.size());
  // What every iteration hands on as it got it is no state.
  SmallVector<bool> changes;
  for (int i = 0; i < carried; ++i)
    changes.push_back(graph.output(i + 1).name() != graph.input(i + 2).name());
  for (int i = 0; i < carried; ++i) {
    Item &item = state[i];
    if (!changes[i])
      continue;
    if (item.isOptional) {
      OptionalKind kind = kindOf(node, item);
      for (const onnx::ValueInfoProto *info : {&graph.input(i + 2), &graph.output(i + 1)})
        if (OptionalKind declared = kindOf(info->type()); !kind.isKnown()) {
          kind.isSequence |= declared.isSequence;
          kind.element = kind.element ? kind.element : declared.element;
          kind.rank = kind.rank ? kind.rank : declared.rank;
        }
      if (!kind.isKnown())
        kind.rank = elementRank(node, graph, i + 2, i + 1, state, scope, opsets, depth);
      item = asRunTimeOptional(node, item, kind);
      continue;
    }
    if (item.list) {
      std::optional<unsigned> rank;
      if (item.list->empty()) {
        rank = elementRank(node, graph, i + 2, i + 1, state, scope, opsets, depth);
        if (!rank)
          return node.fail("the rank of the elements of '" + graph.input(i + 2).name() +
                           "' is not known; declare their shape in the loop's body"),
                 false;
      }
      item = asSequence(node, item, rank);
    }
  }
  // A state whose rank the iterations change is boxed, or mixed. Which those are, and what ranks they may have,
  // importing the body tells.
  SmallVector<OtherState> other(carried);
  bool again = false;
  SmallVector<bool> wanted(graph.output_size(), true);
  for (int i = 0, kept = graph.output_size() - 1 - carried; i < kept; ++i)
    wanted[1 + carried + i] = node.wants(carried + i);
  parts.build = [&](Body &body, ArrayRef<Value> arguments, SmallVectorImpl<Value> &made) {
    SmallVector<Item> inputs{Item(arguments[0]), Item(node.intScalar(1, builder.getI1Type()))};
    ArrayRef<Value>::iterator next = arguments.begin() + 1;
    for (int i = 0; i < carried; ++i)
      inputs.push_back(changes[i] ? rebuild(state[i], next) : body.capture(state[i]));
    SmallVector<Item> results;
    if (!importGraph(node, graph, inputs, wanted, scope, opsets, depth, results, &body))
      return false;
    for (auto [index, item] : enumerate(results)) {
      int of = int(index) - 1; // which state
      if (!wanted[index] || (of >= 0 && of < carried && !changes[of]))
        continue;
      if (of >= 0 && of < carried) {
        item = asState(node, item, state[of], other[of]);
        again |= other[of].mix || !other[of].ranks.empty();
        if (again)
          continue;
      } else if (item.isOptional || !item.tensor) {
        return node.fail("an iteration makes something else than a tensor for an output that stacks what it makes"),
               false;
      }
      flatten(item, made);
    }
    return !node.failed && !again;
  };
  SmallVector<Value> results;
  for (;;) {
    parts.state.clear();
    for (int i = 0; i < carried; ++i)
      if (changes[i])
        flatten(state[i], parts.state);
    Attempt attempt(*this, scope);
    again = false;
    if (node.failed)
      return false;
    if (runLoop(node, parts, results))
      break;
    if (!again)
      return false;
    attempt.takeBack();
    for (auto [item, as] : zip_equal(state, other)) {
      if (as.mix)
        item = mixed(node, item);
      if (!as.ranks.empty())
        item = boxed(node, item);
      addRanks(item, as.ranks);
      as = OtherState();
    }
  }
  ArrayRef<Value>::iterator next = results.begin();
  for (int i = 0; i < graph.output_size() - 1; ++i) {
    bool isState = i < carried;
    Item item;
    if (isState)
      item = changes[i] ? rebuild(state[i], next) : state[i];
    else if (wanted[i + 1])
      item.tensor = *next++;
    if (i < proto.output_size() && node.wants(i))
      scope.values[proto.output(i)] = item;
  }
  return true;
}

bool GraphImporter::importRunTimeScan(Node &node, const ScanParts &scan, GraphProto &graph, Scope &scope,
                                      const Opsets &opsets, int depth, SmallVectorImpl<Value> &results) {
  LoopParts parts;
  parts.state = scan.state;
  auto lengthOf = [&](Value sequence, int64_t axis) {
    Value size =
        node.make<ShapeOfOp>({sequence}, {node.i64("start", axis), node.i64("end", axis + 1)}, builder.getI64Type());
    return asScalar(node, size);
  };
  parts.trips = lengthOf(scan.sequences[0], scan.axes[0]);
  SmallVector<bool> all(graph.output_size(), true);
  parts.build = [&](Body &body, ArrayRef<Value> arguments, SmallVectorImpl<Value> &made) {
    SmallVector<Item> inputs;
    for (Value value : arguments.drop_front())
      inputs.push_back(Item(value));
    for (auto [sequence, axis, reversed] : zip_equal(scan.sequences, scan.axes, scan.reversed)) {
      Value inside = body.capture(sequence), at = arguments[0];
      if (reversed)
        at = node.sub(node.sub(lengthOf(inside, axis), at), 1);
      Value part = node.make<GatherOp>({inside, at}, {node.i64("axis", axis)});
      inputs.push_back(Item(part));
    }
    SmallVector<Item> items;
    if (node.failed || !importGraph(node, graph, inputs, all, scope, opsets, depth, items, &body))
      return false;
    made.push_back(node.intScalar(1, builder.getI1Type()));
    for (const Item &item : items) {
      if (!item.tensor)
        return node.fail("the body's outputs must be tensors"), false;
      made.push_back(item.tensor);
    }
    return true;
  };
  return !node.failed && runLoop(node, parts, results);
}
