//===- ControlFlow.cpp - Branches and loops that importing resolves -------===//
// Assumes: attributes satisfy the operator's schema.
// Guarantees: an If whose condition is known becomes its branch; a Loop or Scan whose trip count is known is unrolled.
// Declines: what is decided while the model runs, and long loops.

#include "GraphImporter.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

/// Longer loops would make programs too large.
static constexpr int64_t MaxIterations = 256;

static GraphProto *graphAttribute(NodeProto &proto, StringRef name) {
  for (AttributeProto &attribute : *proto.mutable_attribute())
    if (attribute.name() == name && attribute.has_g())
      return attribute.mutable_g();
  return nullptr;
}

bool GraphImporter::importGraph(Node &node, GraphProto &graph, ArrayRef<Item> inputs, ArrayRef<bool> wanted,
                                Scope &outer, const Opsets &opsets, int depth, SmallVectorImpl<Item> &results) {
  Scope inner;
  inner.outer = &outer;
  for (onnx::TensorProto &tensor : *graph.mutable_initializer())
    inner.initializers[tensor.name()] = &tensor;
  for (auto [info, item] : zip(graph.input(), inputs))
    inner.values[info.name()] = item;
  StringSet<> outputs;
  for (auto [info, want] : zip(graph.output(), wanted))
    if (want)
      outputs.insert(info.name());
  node.failed |= !importNodes(*graph.mutable_node(), outputs, inner, opsets, std::nullopt, depth + 1);
  for (auto [info, want] : zip(graph.output(), wanted)) {
    Item *item = want && !node.failed ? find(inner, info.name()) : nullptr;
    node.failed |= want && !item;
    results.push_back(item ? *item : Item());
  }
  return !node.failed;
}

bool GraphImporter::importIf(Node &node, NodeProto &proto, Scope &scope, const Opsets &opsets, int depth) {
  std::optional<Ints> condition = node.constantInts(node.in(0));
  if (!condition || condition->size() != 1)
    return node.needsDynamic("the condition is known only when the model runs"), false;
  StringRef name = (*condition)[0] ? "then_branch" : "else_branch";
  GraphProto *branch = graphAttribute(proto, name);
  if (!branch || branch->output_size() != int(node.wanted.size()))
    return node.fail(name + " is missing or has not as many outputs as the node"), false;
  SmallVector<Item> results;
  if (!importGraph(node, *branch, {}, node.wanted, scope, opsets, depth, results))
    return false;
  for (auto [output, item, want] : zip(proto.output(), results, node.wanted))
    if (want)
      scope.values[output] = item;
  return true;
}

/// One tensor an iteration, stacked along a new `axis`.
static Value stack(Node &node, ArrayRef<Value> parts, int64_t axis, bool reversed) {
  if (parts.empty())
    return node.needsDynamic("a loop without iterations has outputs of unknown size");
  SmallVector<Value> rows;
  axis = node.axis(axis, node.rank(parts[0]) + 1);
  for (Value part : parts)
    rows.push_back(node.unsqueeze(part, {axis}));
  if (reversed)
    std::reverse(rows.begin(), rows.end());
  return node.concat(rows, axis);
}

bool GraphImporter::importLoop(Node &node, NodeProto &proto, Scope &scope, const Opsets &opsets, int depth) {
  GraphProto *body = graphAttribute(proto, "body");
  int carried = proto.input_size() - 2;
  if (!body || carried < 0 || body->input_size() != carried + 2 || body->output_size() < carried + 1 ||
      proto.output_size() > body->output_size() - 1)
    return node.fail("the body's inputs and outputs do not fit the node"), false;
  std::optional<int64_t> trips;
  std::optional<Ints> condition = Ints{1};
  for (int i : {0, 1}) {
    if (proto.input(i).empty())
      continue;
    Value value = findTensor(node, scope, proto.input(i));
    std::optional<Ints> known = node.constantInts(value);
    if (node.failed)
      return false;
    if (!known || known->size() != 1)
      return node.needsDynamic(i == 0 ? "the trip count is known only when the model runs"
                                      : "the condition is known only when the model runs"),
             false;
    if (i == 0)
      trips = (*known)[0];
    else
      condition = known;
  }
  SmallVector<Item> state;
  for (int i = 0; i < carried; ++i) {
    Item *item = find(scope, proto.input(i + 2));
    if (!item)
      return false;
    state.push_back(*item);
  }
  SmallVector<bool> all(body->output_size(), true);
  SmallVector<SmallVector<Value>> scans(body->output_size() - 1 - carried);
  for (int64_t trip = 0; (!trips || trip < *trips) && (*condition)[0]; ++trip) {
    if (trip >= MaxIterations)
      return node.needsDynamic("the loop has more than " + Twine(MaxIterations) + " iterations"), false;
    SmallVector<Item> inputs{Item{node.intScalar(trip, builder.getI64Type()), std::nullopt, false, {}},
                             Item{node.intScalar(1, builder.getI1Type()), std::nullopt, false, {}}};
    inputs.append(state.begin(), state.end());
    SmallVector<Item> results;
    if (!importGraph(node, *body, inputs, all, scope, opsets, depth, results))
      return false;
    condition = node.constantInts(results[0].tensor);
    if (!condition || condition->size() != 1)
      return node.needsDynamic("the condition is known only when the model runs"), false;
    state.assign(results.begin() + 1, results.begin() + 1 + carried);
    for (auto [scan, item] : zip(scans, drop_begin(results, 1 + carried)))
      scan.push_back(item.tensor);
  }
  for (auto [index, name] : enumerate(proto.output())) {
    if (!node.wants(index))
      continue;
    scope.values[name] = int(index) < carried
                             ? state[index]
                             : Item{stack(node, scans[index - carried], 0, false), std::nullopt, false, {}};
  }
  return !node.failed;
}

bool GraphImporter::importScan(Node &node, NodeProto &proto, Scope &scope, const Opsets &opsets, int depth) {
  if (node.opset < 9)
    return node.fail("before operator set 9 it had other inputs, which are not supported; convert the model to a newer "
                     "operator set"),
           false;
  GraphProto *body = graphAttribute(proto, "body");
  NodeProto attributes;
  for (const AttributeProto &attribute : proto.attribute())
    if (!attribute.has_g())
      *attributes.add_attribute() = attribute;
  readAttributes(node, attributes);
  int scanned = int(std::clamp<int64_t>(node.getInt("num_scan_inputs", 0), 0, INT_MAX));
  int carried = proto.input_size() - scanned, made = body ? body->output_size() - carried : -1;
  if (!body || scanned < 1 || carried < 0 || made < 0 || body->input_size() != proto.input_size() ||
      proto.output_size() > body->output_size())
    return node.fail("the body's inputs and outputs do not fit the node"), false;
  auto setting = [&](StringRef name, int index) {
    Ints values = node.getInts(name);
    return index < int(values.size()) ? values[index] : 0;
  };

  SmallVector<Item> state;
  SmallVector<Value> sequences;
  SmallVector<int64_t> axes;
  std::optional<SymExpr> length;
  for (auto [index, name] : enumerate(proto.input())) {
    Value value = findTensor(node, scope, name);
    if (node.failed)
      return false;
    if (int(index) < carried) {
      state.push_back(Item{value, std::nullopt, false, {}});
      continue;
    }
    axes.push_back(node.axis(setting("scan_input_axes", int(index) - carried), node.rank(value)));
    sequences.push_back(value);
    SymExpr size = node.failed ? SymExpr(0) : node.dim(value, axes.back());
    if (length && *length != size)
      node.fail("the sequences have different lengths: " + length->str() + " and " + size.str());
    length = size;
  }
  if (node.failed)
    return false;
  if (!length->isConst() || length->getConst() > MaxIterations)
    return node.needsDynamic("the length of the sequence ('" + length->str() + "') is not known or above " +
                             Twine(MaxIterations)),
           false;
  SmallVector<bool> all(body->output_size(), true);
  SmallVector<SmallVector<Value>> outputs(made);
  for (int64_t step = 0; step < length->getConst(); ++step) {
    SmallVector<Item> inputs = state, results;
    for (auto [index, value] : enumerate(sequences)) {
      int64_t at = setting("scan_input_directions", int(index)) ? length->getConst() - 1 - step : step;
      Value part = node.squeeze(node.sliceAxis(value, axes[index], SymExpr(at), SymExpr(1)), {axes[index]});
      inputs.push_back(Item{part, std::nullopt, false, {}});
    }
    if (node.failed || !importGraph(node, *body, inputs, all, scope, opsets, depth, results))
      return false;
    state.assign(results.begin(), results.begin() + carried);
    for (auto [output, item] : zip(outputs, drop_begin(results, carried)))
      output.push_back(item.tensor);
  }
  for (auto [index, name] : enumerate(proto.output())) {
    int scan = int(index) - carried;
    if (!node.wants(index))
      continue;
    scope.values[name] = scan < 0 ? state[index]
                                  : Item{stack(node, outputs[scan], setting("scan_output_axes", scan),
                                               setting("scan_output_directions", scan) != 0),
                                         std::nullopt,
                                         false,
                                         {}};
  }
  return !node.failed;
}
