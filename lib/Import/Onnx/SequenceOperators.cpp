//===- SequenceOperators.cpp - Operators on sequences that the run makes ---===//
// Assumes: the elements of one sequence have the same type.
// Guarantees: every sequence operator is ops on the two tensors of a sequence (SequenceBuilder.h).
// Declines: sequences of sequences.

#include "DataShapes.h"
#include "SequenceBuilder.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

Value GraphImporter::concatSequence(Node &node, const Sequence &sequence, int64_t axis, bool fresh) {
  SequenceBuilder build(node);
  axis = node.axis(axis, int64_t(sequence.rank()) + fresh);
  if (node.failed)
    return {};
  if (axis == 0)
    return build.joined(sequence, fresh);
  if (fresh) {
    Ints perm = span(1, sequence.rank() + 1);
    perm.insert(perm.begin() + axis, 0);
    return node.transpose(build.joined(sequence, true), perm);
  }
  // Elements lie across each other: one after another.
  LoopParts parts;
  parts.trips = asScalar(node, node.sub(build.countOf(sequence), 1));
  parts.state = {build.at(sequence, node.ints({0}))};
  parts.build = [&](Body &body, ArrayRef<Value> arguments, SmallVectorImpl<Value> &made) {
    Sequence inside{body.capture(sequence.data), body.capture(sequence.shapes)};
    Value next = SequenceBuilder(node).at(inside, node.add(arguments[0], 1));
    made.append({node.intScalar(1, builder.getI1Type()), node.concat({arguments[1], next}, axis)});
    return !node.failed;
  };
  SmallVector<Value> results;
  if (node.failed || !runLoop(node, parts, results))
    return {};
  return results[0];
}

Sequence GraphImporter::splitToSequence(Node &node, Value x, Value parts, int64_t axis, bool squeeze) {
  SequenceBuilder build(node);
  Value lengths = parts;
  SymExpr size = node.dim(x, unsigned(axis));
  Type i64 = builder.getI64Type();
  if (!parts) {
    lengths = node.fill({size}, 1, i64);
  } else if (node.rank(parts) == 0) {
    // Parts of one length, and what is left.
    std::optional<Ints> known = node.constantInts(parts);
    SymExpr step = known ? SymExpr((*known)[0]) : sizesOf(node, node.reshape(parts, {SymExpr(1)}), "split")[0];
    if (known && (*known)[0] < 1)
      node.fail("'split' must be positive");
    if (node.failed)
      return {};
    Value from = node.mul(node.iota(SymExpr::ceilDiv(size, step)), asScalar(node, node.shapeValue({step}, true)));
    Value all = node.make<ShapeOfOp>({x}, {node.i64("start", axis), node.i64("end", axis + 1)}, i64);
    lengths = node.minimum(node.sub(asScalar(node, all), from), asScalar(node, node.shapeValue({step}, true)));
  } else if (node.rank(parts) != 1) {
    return node.fail("'split' must be a scalar or of rank 1, got rank " + Twine(node.rank(parts))), Sequence();
  } else {
    lengths = node.cast(parts, i64);
    requireSize(node, node.reduce<ReduceSumOp>(lengths, {0}, /*keepdims=*/false), size,
                "parts of the split that add up to dimension " + Twine(axis));
  }
  if (axis == 0 || node.failed)
    return build.split(x, lengths, squeeze && !parts);
  // Parts are not contiguous: one after another.
  LoopParts loop;
  loop.trips = asScalar(node, node.make<ShapeOfOp>({lengths}, {}, i64));
  unsigned rank = node.rank(x) - (squeeze && !parts);
  Sequence empty = build.empty(node.elem(x), rank);
  loop.state = {empty.data, empty.shapes};
  Value starts = node.make<CumSumOp>({lengths}, {node.i64("axis", 0), node.unit("exclusive")});
  loop.build = [&](Body &body, ArrayRef<Value> arguments, SmallVectorImpl<Value> &made) {
    Value at = node.reshape(arguments[0], {SymExpr(1)});
    Value range = node.concat(
        {node.make<GatherOp>({body.capture(starts), at}), node.make<GatherOp>({body.capture(lengths), at})}, 0);
    SmallVector<SymExpr> bounds = node.failed ? SmallVector<SymExpr>(2) : sizesOf(node, range, "split");
    Value part = node.sliceAxis(body.capture(x), axis, bounds[0], bounds[1]);
    if (squeeze && !parts)
      part = node.squeeze(part, {axis});
    Sequence next = SequenceBuilder(node).insert({arguments[1], arguments[2]}, part, Value());
    made.append({node.intScalar(1, builder.getI1Type()), next.data, next.shapes});
    return !node.failed;
  };
  SmallVector<Value> results;
  if (!runLoop(node, loop, results))
    return {};
  return {results[0], results[1]};
}

bool GraphImporter::importSequenceMap(Node &node, const onnx::NodeProto &proto, Scope &scope, const Opsets &opsets,
                                      int depth) {
  const onnx::GraphProto *graph = graphAttribute(proto, "body");
  if (!graph || graph->input_size() != proto.input_size() || graph->output_size() < proto.output_size())
    return node.fail("the body's inputs and outputs do not fit the node"), false;
  SmallVector<Item> items;
  bool known = true;
  for (const std::string &name : proto.input()) {
    Item *item = find(scope, name);
    if (!item)
      return false;
    items.push_back(*item);
    known &= item->tensor || item->list;
  }
  if (items[0].tensor || items[0].isOptional)
    return node.fail("input 0 must be a sequence"), false;
  SmallVector<bool> wanted(graph->output_size(), true);
  auto inputsAt = [&](function_ref<Item(const Item &)> at) {
    SmallVector<Item> inputs;
    for (const Item &item : items)
      inputs.push_back(at(item));
    return inputs;
  };
  if (known) {
    size_t count = items[0].list->size();
    SmallVector<SmallVector<Value>> made(graph->output_size());
    for (size_t i = 0; i < count; ++i) {
      if (any_of(items, [&](const Item &item) { return item.list && i >= item.list->size(); }))
        return node.fail("a sequence is shorter than the first one"), false;
      SmallVector<Item> results;
      auto at = [&](const Item &item) { return item.list ? Item((*item.list)[i]) : item; };
      if (!importGraph(node, *graph, inputsAt(at), wanted, scope, opsets, depth, results))
        return false;
      for (auto [list, item] : zip_equal(made, results)) {
        if (!item.tensor)
          return node.fail("the body must make tensors"), false;
        list.push_back(item.tensor);
      }
    }
    for (auto [name, list] : zip(proto.output(), made))
      scope.set(name, Item(list));
    return true;
  }

  for (Item &item : items)
    item = asSequence(node, item);
  LoopParts parts;
  parts.trips = asScalar(node, SequenceBuilder(node).countOf(*items[0].sequence));
  auto importOnce = [&](Node &n, Body &body, Value number, SmallVectorImpl<Item> &results) {
    auto at = [&](const Item &item) {
      Item inside = body.capture(item);
      return inside.sequence ? Item(SequenceBuilder(n).at(*inside.sequence, number)) : inside;
    };
    return importGraph(n, *graph, inputsAt(at), wanted, scope, opsets, depth, results, &body);
  };
  // What the body makes, to know what sequences begin with.
  SmallVector<Sequence> empty;
  Attempt attempt(*this, scope);
  SmallVector<std::pair<Type, unsigned>> kinds;
  std::string reason = quietly([&] {
    Node quiet(builder, shapes, node.loc);
    Body body(*this, node.loc, builder.getInsertionBlock());
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&body.function.getBody().front());
    SaveAndRestore draws(drawing, &body.drawing);
    SmallVector<Item> results;
    if (!importOnce(quiet, body, body.addArgument(builder.getI64Type(), {}), results))
      return false;
    for (const Item &item : results) {
      if (!item.tensor)
        return quiet.fail("the body must make tensors"), false;
      kinds.emplace_back(quiet.elem(item.tensor), quiet.rank(item.tensor));
    }
    return true;
  });
  attempt.takeBack();
  if (!reason.empty())
    return node.fail(reason), false;
  for (auto [element, rank] : kinds) {
    empty.push_back(SequenceBuilder(node).empty(element, rank));
    parts.state.append({empty.back().data, empty.back().shapes});
  }
  parts.notes = notesOf(node);
  parts.build = [&](Body &body, ArrayRef<Value> arguments, SmallVectorImpl<Value> &made) {
    SmallVector<Item> results;
    if (!importOnce(node, body, arguments[0], results))
      return false;
    made.push_back(node.intScalar(1, builder.getI1Type()));
    for (auto [index, item] : enumerate(results)) {
      Sequence next =
          SequenceBuilder(node).insert({arguments[1 + 2 * index], arguments[2 + 2 * index]}, item.tensor, {});
      made.append({next.data, next.shapes});
    }
    return !node.failed;
  };
  SmallVector<Value> results;
  if (node.failed || !runLoop(node, parts, results))
    return false;
  for (auto [index, name] : enumerate(proto.output())) {
    Item item;
    item.sequence = Sequence{results[2 * index], results[2 * index + 1]};
    scope.set(name, item);
  }
  return true;
}

bool GraphImporter::importSequenceOperator(Node &node, const onnx::NodeProto &proto, ArrayRef<Item *> items,
                                           Scope &scope) {
  StringRef op = node.op;
  auto output = [&](Item item) {
    if (proto.output_size() && !node.failed)
      scope.set(proto.output(0), std::move(item));
    return true;
  };
  auto tensor = [&](Value value) { return output(Item(value)); };
  auto sequenceItem = [&](const Sequence &sequence) {
    Item item;
    item.sequence = sequence;
    return output(item);
  };
  auto operand = [&](unsigned i) -> Value { return i < items.size() && items[i] ? items[i]->tensor : Value(); };
  if (op == "SplitToSequence") {
    int64_t axis = node.axis(node.getInt("axis", 0), node.rank(operand(0)));
    return node.failed ||
           sequenceItem(splitToSequence(node, operand(0), operand(1), axis, !node.getInt("keepdims", 1)));
  }
  for (Item *item : items)
    if (item && item->isBoxed && op != "Identity")
      return node.fail(
                 "takes a tensor whose rank only the run decides, which is supported for outputs of the model alone"),
             true;
  std::optional<unsigned> rank;
  if (op == "SequenceInsert" && operand(1))
    rank = node.rank(operand(1));
  Item item = asSequence(node, *items[0], rank);
  if (node.failed || !item.sequence)
    return node.fail("input 0 must be a sequence"), true;
  if (op == "SequenceInsert" && rank && !item.isOptional && !item.sequence->isMixed && *rank != item.sequence->rank())
    item = mixed(node, item);
  const Sequence &sequence = *item.sequence;
  SequenceBuilder build(node);
  auto checkElement = [&](Value x) {
    if (!x || node.elem(x) != node.elem(sequence.data))
      node.fail("the tensor must have the type of the sequence's elements");
    return !node.failed;
  };
  if (op == "Identity")
    return output(item);
  if (item.isOptional) {
    if (op == "OptionalGetElement")
      return output(optionalElement(node, item));
    if (op == "OptionalHasElement" && item.present)
      return tensor(item.present);
    if (op == "OptionalHasElement")
      return tensor(node.compare(ComparePredicate::gt, asScalar(node, build.countOf(sequence)),
                                 node.intScalar(0, builder.getI64Type())));
    return node.fail("takes an optional, which it does not expect"), true;
  }
  if (op == "OptionalGetElement")
    return output(item);
  if (op == "OptionalHasElement")
    return tensor(node.scalar(1, builder.getI1Type()));
  if (op == "Optional")
    return output(asRunTimeOptional(node, item, kindOf(node, item)));
  if (op == "SequenceLength")
    return tensor(asScalar(node, build.countOf(sequence)));
  if (op == "SequenceAt" && sequence.isMixed) {
    Item boxed;
    boxed.sequence = build.boxedAt(sequence, operand(1));
    boxed.isBoxed = true;
    for (int64_t each = 0; each <= MaxUnknownRank; ++each)
      boxed.ranks.push_back(each);
    return output(boxed);
  }
  if (op == "SequenceAt")
    return tensor(build.at(sequence, operand(1)));
  if (op == "SequenceInsert")
    return !checkElement(operand(1)) || sequenceItem(build.insert(sequence, operand(1), operand(2)));
  if (op == "SequenceErase")
    return sequenceItem(build.erase(sequence, operand(1)));
  if (op == "ConcatFromSequence")
    return tensor(concatSequence(node, sequence, node.getInt("axis", 0), node.getInt("new_axis", 0) != 0));
  return node.fail("is not supported on a sequence that the run makes"), true;
}
