//===- ControlFlow.cpp - Branches and loops that importing resolves -------===//
// Assumes: attributes satisfy the operator's schema.
// Guarantees: an If whose condition is known becomes its branch; a short Loop or Scan whose trip count is known is
//   unrolled.
// Declines: what is decided while the model runs, and long loops: Branches.cpp, Loops.cpp.

#include "GraphImporter.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

bool GraphImporter::importGraph(Node &node, const GraphProto &graph, ArrayRef<Item> inputs, ArrayRef<bool> wanted,
                                Scope &outer, const Opsets &opsets, int depth, SmallVectorImpl<Item> &results,
                                Body *body) {
  Scope inner(&outer, body);
  for (const onnx::TensorProto &tensor : graph.initializer())
    inner.initializers[tensor.name()] = &tensor;
  for (auto [info, item] : zip(graph.input(), inputs))
    inner.set(info.name(), item);
  StringSet<> outputs;
  for (auto [info, want] : zip(graph.output(), wanted))
    if (want)
      outputs.insert(info.name());
  Surroundings inside{&graph, around->call};
  const Surroundings *outside = std::exchange(around, &inside);
  node.failed |= !importNodes(graph.node(), outputs, inner, opsets, std::nullopt, depth + 1);
  around = outside;
  for (auto [info, want] : zip(graph.output(), wanted)) {
    Item *item = want && !node.failed ? find(inner, info.name()) : nullptr;
    node.failed |= want && !item;
    results.push_back(item ? *item : Item());
  }
  return !node.failed;
}

bool GraphImporter::importIf(Node &node, const NodeProto &proto, Scope &scope, const Opsets &opsets, int depth) {
  std::optional<Ints> condition = node.constantInts(node.in(0));
  if (!condition || condition->size() != 1) {
    const GraphProto *branches[] = {graphAttribute(proto, "then_branch"), graphAttribute(proto, "else_branch")};
    for (const GraphProto *branch : branches)
      if (!branch || branch->output_size() != int(node.wanted.size()))
        return node.fail("a branch is missing or has not as many outputs as the node"), false;
    return importRunTimeIf(node, proto, *branches[0], *branches[1], scope, opsets, depth);
  }
  StringRef name = (*condition)[0] ? "then_branch" : "else_branch";
  const GraphProto *branch = graphAttribute(proto, name);
  if (!branch || branch->output_size() != int(node.wanted.size()))
    return node.fail(name + " is missing or has not as many outputs as the node"), false;
  SmallVector<Item> results;
  if (!importGraph(node, *branch, {}, node.wanted, scope, opsets, depth, results))
    return false;
  for (auto [output, item, want] : zip(proto.output(), results, node.wanted))
    if (want)
      scope.set(output, item);
  return true;
}

/// With those of graphs in them, of functions that they call, and of some iterations of loops.
int64_t GraphImporter::unfoldedNodes(const Nodes &nodes) {
  constexpr int64_t AssumedTrips = 8;
  int64_t count = 0;
  for (const NodeProto &node : nodes) {
    LocalFunction *local = findFunction(node);
    count += 1 + (local ? local->nodes : 0);
    bool isLoop = !local && (node.op_type() == "Loop" || node.op_type() == "Scan");
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        count += unfoldedNodes(attribute.g().node()) * (isLoop ? AssumedTrips : 1);
    count = std::min(count, maxNodes);
  }
  return count;
}

bool GraphImporter::worthUnrolling(const GraphProto &body, int64_t trips) {
  int64_t most = MaxUnrolledNodes / unrolledTrips; // loops around this one repeat it
  return trips <= MaxIterations && trips * std::max<int64_t>(unfoldedNodes(body.node()), 1) <= most;
}

/// How often what is in a loop of so many iterations would be repeated, the loops around it included.
int64_t GraphImporter::repeatedBy(int64_t trips) const {
  return std::min(unrolledTrips * std::min(trips, MaxIterations), MaxUnrolledNodes);
}

/// One tensor an iteration, stacked along a new `axis`.
static Value stack(Node &node, ArrayRef<Value> parts, int64_t axis, bool reversed) {
  SmallVector<Value> rows;
  axis = node.axis(axis, node.rank(parts[0]) + 1);
  for (Value part : parts)
    rows.push_back(node.unsqueeze(part, {axis}));
  if (reversed)
    std::reverse(rows.begin(), rows.end());
  return node.concat(rows, axis);
}

bool GraphImporter::importLoop(Node &node, const NodeProto &proto, Scope &scope, const Opsets &opsets, int depth) {
  const GraphProto *body = graphAttribute(proto, "body");
  int carried = proto.input_size() - 2;
  if (!body || carried < 0 || body->input_size() != carried + 2 || body->output_size() < carried + 1 ||
      proto.output_size() > body->output_size() - 1)
    return node.fail("the body's inputs and outputs do not fit the node"), false;
  std::optional<int64_t> trips;
  std::optional<Ints> condition = Ints{1};
  bool known = true;
  for (int i : {0, 1}) {
    if (proto.input(i).empty())
      continue;
    Value value = findTensor(node, scope, proto.input(i));
    std::optional<Ints> contents = node.constantInts(value);
    if (node.failed)
      return false;
    known &= contents && contents->size() == 1;
    if (i == 0 && known)
      trips = (*contents)[0];
    else if (i == 1)
      condition = contents;
  }
  SmallVector<Item> state;
  bool hasLists = false;
  for (int i = 0; i < carried; ++i) {
    Item *item = find(scope, proto.input(i + 2));
    if (!item)
      return false;
    hasLists |= !item->tensor || item->isOptional;
    state.push_back(*item);
  }
  auto atRunTime = [&] { return importRunTimeLoop(node, proto, *body, scope, opsets, depth); };
  if (!known || (trips && !hasLists && !worthUnrolling(*body, *trips)))
    return atRunTime();

  // Unroll. Where it turns out that only the run knows when to stop, what was made is taken back.
  Attempt attempt(*this, scope);
  SmallVector<bool> all(body->output_size(), true);
  SmallVector<SmallVector<Value>> scans(body->output_size() - 1 - carried);
  for (int64_t trip = 0; (!trips || trip < *trips) && (*condition)[0]; ++trip) {
    if (trip >= MaxIterations || (!trips && !worthUnrolling(*body, trip + 1)))
      return attempt.takeBack(), atRunTime();
    SmallVector<Item> inputs{Item(node.intScalar(trip, builder.getI64Type())),
                             Item(node.intScalar(1, builder.getI1Type()))};
    inputs.append(state.begin(), state.end());
    SmallVector<Item> results;
    llvm::SaveAndRestore repeated(unrolledTrips, repeatedBy(trips ? *trips : trip + 1));
    if (!importGraph(node, *body, inputs, all, scope, opsets, depth, results))
      return false;
    condition = node.constantInts(results[0].tensor);
    if (!condition || condition->size() != 1)
      return attempt.takeBack(), atRunTime();
    state.assign(results.begin() + 1, results.begin() + 1 + carried);
    for (auto [scan, item] : zip(scans, drop_begin(results, 1 + carried)))
      scan.push_back(item.tensor);
  }
  // A loop without iterations has outputs whose sizes nothing but its body tells.
  if (any_of(scans, [](ArrayRef<Value> scan) { return scan.empty(); }))
    return attempt.takeBack(), atRunTime();
  for (auto [index, name] : enumerate(proto.output())) {
    if (!node.wants(index))
      continue;
    scope.set(name, int(index) < carried ? state[index] : Item(stack(node, scans[index - carried], 0, false)));
  }
  return !node.failed;
}

bool GraphImporter::importScan(Node &node, const NodeProto &proto, Scope &scope, const Opsets &opsets, int depth) {
  if (node.opset < 9)
    return node.fail("before operator set 9 it had other inputs, which are not supported; convert the model to a newer "
                     "operator set"),
           false;
  const GraphProto *body = graphAttribute(proto, "body");
  readAttributes(node, proto);
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
      state.push_back(Item(value));
      continue;
    }
    axes.push_back(node.axis(setting("scan_input_axes", int(index) - carried), node.rank(value)));
    sequences.push_back(value);
    SymExpr size = node.failed ? SymExpr(0) : node.dim(value, axes.back());
    if (length && length->isConst() && size.isConst() && *length != size)
      node.fail("the sequences have different lengths: " + length->str() + " and " + size.str());
    else if (length)
      node.require(*length, size, "the sequences to have one length");
    if (!length || size.isConst())
      length = size;
  }
  if (node.failed)
    return false;
  if (!length->isConst() || length->getConst() == 0 || !worthUnrolling(*body, length->getConst())) {
    ScanParts parts{{}, sequences, axes, {}};
    for (const Item &item : state)
      parts.state.push_back(item.tensor);
    for (size_t i = 0; i < sequences.size(); ++i)
      parts.reversed.push_back(setting("scan_input_directions", int(i)) != 0);
    SmallVector<Value> results;
    if (!importRunTimeScan(node, parts, *body, scope, opsets, depth, results))
      return false;
    for (auto [index, name] : enumerate(proto.output())) {
      Value value = results[index];
      if (int scan = int(index) - carried; scan >= 0) {
        if (setting("scan_output_directions", scan)) {
          SymExpr size = node.dim(value, 0);
          value = node.sliceAxis(value, 0, size - 1, size, -1);
        }
        int64_t axis = node.axis(setting("scan_output_axes", scan), node.rank(value));
        Ints perm = span(1, node.rank(value));
        if (node.failed)
          return false;
        perm.insert(perm.begin() + axis, 0);
        value = node.transpose(value, perm);
      }
      if (node.wants(index))
        scope.set(name, Item(value));
    }
    return !node.failed;
  }
  SmallVector<bool> all(body->output_size(), true);
  SmallVector<SmallVector<Value>> outputs(made);
  for (int64_t step = 0; step < length->getConst(); ++step) {
    SmallVector<Item> inputs = state, results;
    for (auto [index, value] : enumerate(sequences)) {
      int64_t at = setting("scan_input_directions", int(index)) ? length->getConst() - 1 - step : step;
      Value part = node.squeeze(node.sliceAxis(value, axes[index], SymExpr(at), SymExpr(1)), {axes[index]});
      inputs.push_back(Item(part));
    }
    llvm::SaveAndRestore repeated(unrolledTrips, repeatedBy(length->getConst()));
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
    scope.set(name, scan < 0 ? state[index]
                             : Item(stack(node, outputs[scan], setting("scan_output_axes", scan),
                                          setting("scan_output_directions", scan) != 0)));
  }
  return !node.failed;
}
