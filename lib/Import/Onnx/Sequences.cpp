//===- Sequences.cpp - Sequences that the run makes ------------------------===//
// Assumes: the elements of one sequence have the same type.
// Guarantees: a sequence is two tensors: all elements one after another, and a row with the dims of each. Loops carry
//   it, branches return it, and every sequence operator is ops on tensors.
// Declines: sequences of sequences.

#include "DataShapes.h"
#include "GraphImporter.h"

#include "dialects/ds/shape/ShapeBinder.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

namespace {
/// Ops on one sequence's tensors.
class SequenceBuilder {
public:
  explicit SequenceBuilder(Node &n) : n(n) {}

  Value flat(Value x) {
    if (n.rank(x) == 1)
      return x;
    SymExpr count = product(n.dims(x));
    // Dims that are not read yet are no expressions.
    return n.shapes.isKnownOnEntry(count) ? n.reshape(x, {count}) : n.make<ReshapeOp>({x, n.ints({-1})});
  }
  /// The dims of `x` as a row.
  Value row(Value x) {
    if (n.rank(x) == 0)
      return n.fill({SymExpr(1), SymExpr(0)}, 0, n.b.getI64Type());
    return n.unsqueeze(n.make<ShapeOfOp>({x}, {}, n.b.getI64Type()), {0});
  }
  Sequence empty(Type element, unsigned rank, bool isMixed = false) {
    if (isMixed)
      rank = unsigned(Width);
    return {n.fill({SymExpr(0)}, 0, element), n.fill({SymExpr(0), SymExpr(int64_t(rank))}, 0, n.b.getI64Type()),
            isMixed};
  }
  Sequence of(ArrayRef<Value> values) {
    SmallVector<Value> data, rows;
    bool isMixed = any_of(values, [&](Value value) { return n.rank(value) != n.rank(values[0]); });
    for (Value value : values) {
      data.push_back(flat(value));
      rows.push_back(isMixed ? padded(row(value)) : row(value));
    }
    return {n.concat(data, 0), n.concat(rows, 0), isMixed};
  }
  /// Rows of any width as those of a mixed sequence.
  Value padded(Value rows) {
    SymExpr width = n.dim(rows, 1), rest = SymExpr(Width) - width;
    if (width.isConst() && width.getConst() > Width)
      n.fail("an element of rank " + Twine(width.getConst()) +
             " in a sequence of elements of different rank; at most " + Twine(Width) + " is supported");
    return rest.isConst(0) ? rows : n.concat({rows, n.fill({n.dim(rows, 0), rest}, -1, n.b.getI64Type())}, 1);
  }
  Sequence mixed(const Sequence &s) { return s.isMixed ? s : Sequence{s.data, padded(s.shapes), true}; }
  /// The rank of each element.
  Value ranks(const Sequence &s) {
    Value isDim = n.cast(n.compare(ComparePredicate::ge, s.shapes, zero()), n.b.getI64Type());
    return n.reduce<ReduceSumOp>(isDim, {1}, /*keepdims=*/false);
  }
  Value highestRank(const Sequence &s) {
    return n.reduce<ReduceMaxOp>(n.concat({ranks(s), n.ints({0})}, 0), {0}, /*keepdims=*/true);
  }
  /// A mixed sequence all of whose elements have `rank`, which the importer makes sure of.
  Sequence uniform(const Sequence &s, int64_t rank) {
    return {s.data, n.sliceAxis(s.shapes, 1, SymExpr(0), SymExpr(rank))};
  }
  Value lowestRank(const Sequence &s, int64_t rank) {
    return n.reduce<ReduceMinOp>(n.concat({ranks(s), n.ints({rank})}, 0), {0}, /*keepdims=*/true);
  }
  /// An element of a mixed sequence: its elements, and its dims as a row.
  Sequence boxedAt(const Sequence &s, Value position) {
    Value p = place(s, position);
    SmallVector<SymExpr> numbers =
        bind({n.make<GatherOp>({starts(s), p}), n.make<GatherOp>({sizes(s), p}), n.make<GatherOp>({ranks(s), p})});
    if (n.failed)
      return s;
    return {cut(s.data, numbers[0], numbers[1]),
            n.sliceAxis(n.make<GatherOp>({s.shapes, p}), 1, SymExpr(0), numbers[2])};
  }
  SymExpr count(const Sequence &s) { return n.dim(s.shapes, 0); }
  SymExpr length(const Sequence &s) { return n.dim(s.data, 0); }

  Value at(const Sequence &s, Value position) {
    Value p = place(s, position);
    SmallVector<SymExpr> numbers = bind({n.make<GatherOp>({starts(s), p}), rowAt(s, p)});
    return n.failed ? Value() : element(s, numbers[0], ArrayRef(numbers).drop_front());
  }
  Sequence insert(const Sequence &s, Value x, Value position) {
    Value dims = s.isMixed ? padded(row(x)) : row(x);
    if (!position)
      return {n.concat({s.data, flat(x)}, 0), n.concat({s.shapes, dims}, 0), s.isMixed};
    Value p = place(s, position), bounds = n.concat({starts(s), total(s)}, 0);
    SmallVector<SymExpr> numbers = bind({p, n.make<GatherOp>({bounds, p})});
    if (n.failed)
      return s;
    SymExpr index = numbers[0], offset = numbers[1];
    return {n.concat({cut(s.data, SymExpr(0), offset), flat(x), cut(s.data, offset, length(s) - offset)}, 0),
            n.concat({cut(s.shapes, SymExpr(0), index), dims, cut(s.shapes, index, count(s) - index)}, 0), s.isMixed};
  }
  Sequence erase(const Sequence &s, Value position) {
    Value p = position ? place(s, position) : n.sub(countOf(s), 1);
    SmallVector<SymExpr> numbers = bind({p, n.make<GatherOp>({starts(s), p}), n.make<GatherOp>({sizes(s), p})});
    if (n.failed)
      return s;
    SymExpr index = numbers[0], offset = numbers[1], end = numbers[1] + numbers[2];
    return {
        n.concat({cut(s.data, SymExpr(0), offset), cut(s.data, end, length(s) - end)}, 0),
        n.concat({cut(s.shapes, SymExpr(0), index), cut(s.shapes, index + SymExpr(1), count(s) - index - SymExpr(1))},
                 0),
        s.isMixed};
  }
  /// Along the first axis (`fresh`: a new one).
  Value joined(const Sequence &s, bool fresh) {
    // The first element tells the other dims; `data` holds no more nor less.
    Value first = rowAt(s, n.ints({0}));
    SmallVector<SymExpr> dims = bind({first});
    if (n.failed)
      return {};
    SymDims result;
    if (fresh) {
      result.push_back(count(s));
    } else {
      Value rows = n.reduce<ReduceSumOp>(n.sliceAxis(s.shapes, 1, SymExpr(0), SymExpr(1)), {0, 1}, /*keepdims=*/false);
      result.push_back(bind({rows})[0]);
      dims.erase(dims.begin());
    }
    result.append(dims.begin(), dims.end());
    return n.reshape(s.data, result);
  }
  /// One part of `x` along axis 0 for each of `lengths`.
  Sequence split(Value x, Value lengths, bool squeeze) {
    SymExpr parts = n.dim(lengths, 0);
    Value first = n.unsqueeze(lengths, {1});
    Ints rest = span(1, n.rank(x));
    Value dims = n.make<ShapeOfOp>({x}, {n.i64("start", 1)}, n.b.getI64Type());
    Value rows = n.expand(n.unsqueeze(dims, {0}), {parts, SymExpr(int64_t(rest.size()))});
    return {flat(x), squeeze ? rows : n.concat({first, rows}, 1)};
  }
  Value countOf(const Sequence &s) { return n.make<ShapeOfOp>({s.shapes}, {n.i64("end", 1)}, n.b.getI64Type()); }

private:
  Value cut(Value x, const SymExpr &start, const SymExpr &size) { return n.sliceAxis(x, 0, start, size); }
  Value element(const Sequence &s, const SymExpr &offset, ArrayRef<SymExpr> dims) {
    return n.reshape(cut(s.data, offset, product(dims)), dims);
  }
  /// Elements of each tensor.
  Value sizes(const Sequence &s) {
    Value dims = s.shapes;
    if (s.isMixed)
      dims = n.select(n.compare(ComparePredicate::lt, dims, zero()), n.intScalar(1, n.b.getI64Type()), dims);
    return n.reduce<ReduceProdOp>(dims, {1}, /*keepdims=*/false);
  }
  Value zero() { return n.intScalar(0, n.b.getI64Type()); }
  Value starts(const Sequence &s) { return n.make<CumSumOp>({sizes(s)}, {n.i64("axis", 0), n.unit("exclusive")}); }
  Value total(const Sequence &s) { return n.make<ShapeOfOp>({s.data}, {}, n.b.getI64Type()); }
  Value rowAt(const Sequence &s, Value p) {
    return n.reshape(n.make<GatherOp>({s.shapes, p}), {SymExpr(int64_t(s.rank()))});
  }
  /// As a list of one, counted from the front.
  Value place(const Sequence &s, Value position) {
    Value p = n.reshape(n.cast(position, n.b.getI64Type()), {SymExpr(1)});
    Value negative = n.compare(ComparePredicate::lt, p, n.ints({0}));
    return n.select(negative, n.add(p, countOf(s)), p);
  }
  /// Numbers that are read while the model runs.
  SmallVector<SymExpr> bind(ArrayRef<Value> lists) {
    SmallVector<Value> flattened;
    for (Value list : lists)
      flattened.push_back(n.rank(list) == 1 ? list : n.reshape(list, {product(n.dims(list))}));
    Value all = n.concat(flattened, 0);
    return n.failed ? SmallVector<SymExpr>(MaxNumbers) : sizesOf(n, all, "sequence");
  }
  // So that indexing what a failure left is harmless.
  static constexpr size_t MaxNumbers = 80;
  static constexpr int64_t Width = GraphImporter::MaxUnknownRank;

  Node &n;
};
} // namespace

Item GraphImporter::asSequence(Node &node, const Item &item, std::optional<unsigned> rank) {
  if (item.sequence || !item.list)
    return item;
  SequenceBuilder builder(node);
  Item result;
  result.isOptional = item.isOptional;
  if (item.list->empty()) {
    result.sequence = builder.empty(item.element, rank.value_or(0));
    return result;
  }
  for (Value value : *item.list)
    if (node.elem(value) != node.elem(item.list->front())) {
      node.fail("the sequence has elements of different type");
      return result;
    }
  result.sequence = builder.of(*item.list);
  return result;
}

GraphImporter::OptionalKind GraphImporter::kindOf(Node &node, const Item &item) {
  OptionalKind kind;
  kind.isSequence = item.list || item.present || (item.sequence && !item.isOptional);
  if (item.tensor) {
    kind.element = node.elem(item.tensor);
    kind.rank = node.rank(item.tensor);
  } else if (item.sequence) {
    kind.element = node.elem(item.sequence->data);
    kind.isMixed = item.sequence->isMixed;
    if (!kind.isMixed)
      kind.rank = item.sequence->rank();
  } else if (item.list) {
    kind.element = item.list->empty() ? item.element : node.elem(item.list->front());
    if (!item.list->empty())
      kind.rank = node.rank(item.list->front());
  }
  return kind;
}

GraphImporter::OptionalKind GraphImporter::kindOf(const onnx::TypeProto &type) {
  OptionalKind kind;
  const onnx::TypeProto &inside = type.has_optional_type() ? type.optional_type().elem_type() : type;
  kind.isSequence = inside.has_sequence_type();
  const onnx::TypeProto_Tensor &tensor =
      kind.isSequence ? inside.sequence_type().elem_type().tensor_type() : inside.tensor_type();
  kind.element = elementType(&context, tensor.elem_type());
  if (tensor.has_shape())
    kind.rank = unsigned(tensor.shape().dim_size());
  return kind;
}

Item GraphImporter::asRunTimeOptional(Node &node, const Item &item, const OptionalKind &kind) {
  bool isSequence = item.list || item.present || (item.sequence && !item.isOptional);
  bool isThere = isSequence || item.tensor || item.sequence;
  if (isThere && isSequence != kind.isSequence)
    return node.fail("an optional holds a tensor in one case and a sequence in another"), item;
  if (item.isOptional && item.sequence)
    return item;
  SequenceBuilder build(node);
  Item result;
  if (item.tensor)
    result.sequence = build.of({item.tensor});
  else if (isThere)
    result = asSequence(node, item, kind.rank);
  else if (kind.isKnown())
    result.sequence = build.empty(kind.element, kind.rank.value_or(0), kind.isMixed);
  else
    node.fail("an optional whose element type and rank are not known; declare them in the model");
  result.isOptional = true;
  if (kind.isSequence)
    result.present = node.intScalar(isThere, builder.getI1Type());
  return result;
}

Item GraphImporter::optionalElement(Node &node, const Item &item) {
  if (!item.present)
    return Item(SequenceBuilder(node).at(*item.sequence, node.ints({0})));
  requireSize(node, node.cast(item.present, builder.getI64Type()), SymExpr(1), "the optional to have an element");
  Item result = item;
  result.isOptional = false;
  result.present = {};
  return result;
}

Item GraphImporter::mixed(Node &node, const Item &item) {
  Item result = asSequence(node, item);
  if (result.sequence && !node.failed)
    result.sequence = SequenceBuilder(node).mixed(*result.sequence);
  return result;
}

Value GraphImporter::undecidedLength(Node &node, const Item &item, unsigned axis) {
  if (item.sequence && !item.isBoxed)
    return SequenceBuilder(node).highestRank(*item.sequence);
  if (!item.tensor)
    axis = 1;
  return node.make<ShapeOfOp>({item.tensor ? item.tensor : item.sequence->shapes},
                              {node.i64("start", axis), node.i64("end", axis + 1)}, builder.getI64Type());
}

Item GraphImporter::withLength(Node &node, const Item &item, int64_t length, unsigned axis) {
  if (item.tensor) {
    SymDims dims = node.dims(item.tensor);
    dims[axis] = SymExpr(length);
    return Item(node.reshape(item.tensor, dims));
  }
  if (!item.isBoxed) {
    SequenceBuilder build(node);
    requireSize(node, build.lowestRank(*item.sequence, length), SymExpr(length),
                "elements of one rank in a sequence that is taken as a whole");
    Item result = item;
    result.sequence = build.uniform(*item.sequence, length);
    return result;
  }
  Value list = node.reshape(item.sequence->shapes, {SymExpr(length)});
  SmallVector<SymExpr> dims = length ? sizesOf(node, list, "the shape") : SmallVector<SymExpr>();
  return Item(node.reshape(item.sequence->data, dims));
}

Item GraphImporter::boxed(Node &node, const Item &item) {
  if (!item.tensor || item.isOptional)
    return item;
  Item result;
  result.sequence = SequenceBuilder(node).of({item.tensor});
  result.isBoxed = true;
  result.ranks.push_back(node.rank(item.tensor));
  return result;
}

/// The tensors that make up an item, in order.
void GraphImporter::flatten(ArrayRef<Item> items, SmallVectorImpl<Value> &into) {
  for (const Item &item : items) {
    if (item.tensor)
      into.push_back(item.tensor);
    if (item.list)
      append_range(into, *item.list);
    if (item.sequence) {
      into.push_back(item.sequence->data);
      into.push_back(item.sequence->shapes);
    }
    if (item.present)
      into.push_back(item.present);
  }
}

Item GraphImporter::rebuild(Item item, ArrayRef<Value>::iterator &next) {
  if (item.tensor)
    item.tensor = *next++;
  if (item.list)
    for (Value &value : *item.list)
      value = *next++;
  if (item.sequence) {
    item.sequence->data = *next++;
    item.sequence->shapes = *next++;
  }
  if (item.present)
    item.present = *next++;
  return item;
}

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
  } else {
    lengths = node.cast(parts, i64);
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
