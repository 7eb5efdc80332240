//===- Loops.cpp - Loops that run-time values end -------------------------===//
// Assumes: attributes satisfy the operator's schema.
// Guarantees: a loop's body is a function of its own that gets what it uses of the graph around it; ds.loop runs it.
//   What the iterations change of the state's sizes and ranks, importing the body tells.
// Declines: a state whose element type an iteration changes.

#include "GraphImporter.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::GraphProto;
using onnx::NodeProto;

GraphImporter::LoopNotes *GraphImporter::notesOf(const Node &node) {
  if (!loopAround)
    return nullptr;
  const void *place = node.loc.getAsOpaquePointer(); // of the context, which outlives the import
  std::unique_ptr<LoopNotes> &notes = loopAround->inner[{place, loopAround->met[place]++}];
  if (!notes)
    notes = std::make_unique<LoopNotes>();
  return notes.get();
}

bool GraphImporter::runLoop(Node &node, const LoopParts &parts, SmallVectorImpl<Value> &results) {
  LoopNotes own, &notes = parts.notes ? *parts.notes : own;
  // A dim of the state that the body changes is the body's own symbol; which these are, importing the body tells.
  SmallVector<SymDims> stateDims;
  SmallVector<SmallVector<bool>> changes;
  for (Value value : parts.state) {
    stateDims.push_back(*shapes.getDims(value));
    changes.emplace_back(stateDims.back().size(), false);
  }
  auto isAlike = [](auto &a, auto &b) { return a.size() == b.size(); };
  if (equal(notes.changes, changes, isAlike)) {
    changes = notes.changes;
    for (auto [dims, changed] : zip_equal(stateDims, changes))
      for (auto [dim, change] : zip_equal(dims, changed))
        if (change)
          dim = shapes.freshSymbol();
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
      SaveAndRestore inside(loopAround, &notes);
      SaveAndRestore draws(drawing, &body.drawing);
      body.drawing.iteration = arguments[0];
      notes.met.clear();
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
    notes.changes = changes;
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
std::optional<unsigned> GraphImporter::elementRank(Node &node, const GraphProto &graph, int input, int output,
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
    SaveAndRestore draws(drawing, &body.drawing);
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
Item GraphImporter::asState(Node &node, Item item, const Item &state, OtherState &other) {
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

bool GraphImporter::importRunTimeLoop(Node &node, const NodeProto &proto, const GraphProto &graph, Scope &scope,
                                      const Opsets &opsets, int depth) {
  LoopParts parts;
  LoopNotes own, &notes = loopAround ? *notesOf(node) : own;
  parts.notes = &notes;
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
  auto rankOf = [&](int i) {
    auto [entry, isNew] = notes.elementRanks.try_emplace(i);
    if (isNew)
      entry->second = elementRank(node, graph, i + 2, i + 1, state, scope, opsets, depth);
    return entry->second;
  };
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
        kind.rank = rankOf(i);
      item = asRunTimeOptional(node, item, kind);
      continue;
    }
    if (item.list) {
      std::optional<unsigned> rank;
      if (item.list->empty()) {
        rank = rankOf(i);
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
  auto become = [&](Item &item, const OtherState &as) {
    if (as.mix && item.sequence && !item.sequence->isMixed)
      item = mixed(node, item);
    if (as.ranks.empty() || !(item.tensor || item.isBoxed))
      return;
    item = boxed(node, item);
    addRanks(item, as.ranks);
  };
  if (int(notes.other.size()) == carried)
    for (auto [item, as] : zip_equal(state, notes.other))
      become(item, as);
  else
    notes.other.assign(carried, {});
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
    for (auto [item, as, noted] : zip_equal(state, other, notes.other)) {
      become(item, as);
      append_range(noted.ranks, as.ranks);
      noted.mix |= as.mix;
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
      scope.set(proto.output(i), item);
  }
  return true;
}

bool GraphImporter::importRunTimeScan(Node &node, const ScanParts &scan, const GraphProto &graph, Scope &scope,
                                      const Opsets &opsets, int depth, SmallVectorImpl<Value> &results) {
  LoopParts parts;
  parts.notes = notesOf(node);
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
