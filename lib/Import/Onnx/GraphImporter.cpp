//===- GraphImporter.cpp - Graphs and functions to ops of ds --------------===//
// Assumes: a parsed, otherwise untrusted model.
// Guarantees: a module with one function, or failure with diagnostics.
// Declines: see ds/Import/Onnx.h.

#include "GraphImporter.h"
#include "Schemas.h"

#include "mlir/IR/Verifier.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

std::string ds::importer::fullName(const NodeProto &node) {
  StringRef domain = normalDomain(node.domain());
  return domain.empty() ? node.op_type() : domain.str() + "." + node.op_type();
}

std::string ds::importer::nodeName(const NodeProto &node) {
  if (!node.name().empty())
    return node.name();
  return node.op_type() + ":" + (node.output_size() ? node.output(0) : std::string());
}

GraphImporter::GraphImporter(mlir::MLIRContext &context, ModelFile &file, TensorReader &tensors,
                             const ImportOptions &options, const OptionalInputs &optional, Purpose purpose)
    : context(context), model(*file.model), inputDims(options), tensors(tensors), optional(optional), builder(&context),
      purpose(purpose) {
  for (const std::string &domain : options.customDomains)
    customDomains.insert(domain);
  for (const auto &[node, taken] : options.branches)
    statedBranches[node] = taken;
  context.loadDialect<DsDialect, mlir::func::FuncDialect>();
}

bool GraphImporter::error(const Twine &message) {
  mlir::emitError(mlir::UnknownLoc::get(&context)) << message;
  return false;
}

mlir::OwningOpRef<mlir::ModuleOp> GraphImporter::run() {
  if (!checkVersions())
    return {};
  const GraphProto &graph = model.graph();
  if (!checkGraph(graph, nullptr, 0) || !readFunctions() || !checkFunctions() || !checkOperators())
    return {};

  module =
      mlir::ModuleOp::create(mlir::NameLoc::get(builder.getStringAttr(graph.name().empty() ? "graph" : graph.name())));
  Scope scope;
  StringSet<> outputs;
  for (const onnx::ValueInfoProto &output : graph.output())
    outputs.insert(output.name());
  Surroundings outermost{&graph};
  around = &outermost;
  if (!importInputs(graph, scope) || !importNodes(graph.node(), outputs, scope, modelOpsets, std::nullopt, 0) ||
      !importOutputs(graph, scope))
    return {};
  if (failed(mlir::verify(*module)))
    return {};
  return std::move(module);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Item *GraphImporter::find(Scope &scope, StringRef name) {
  for (Scope *at = &scope; at; at = at->outer) {
    if (Item *found = at->lookup(name))
      return found;
    auto initializer = at->initializers.find(name);
    if (initializer == at->initializers.end()) {
      if (!at->body || !at->outer)
        continue;
      // From here on it is another function's: what that has comes in as an argument.
      mlir::OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToEnd(at->body->caller);
      Item *outer = find(*at->outer, name);
      if (!outer)
        return nullptr;
      return &at->set(name, at->body->capture(*outer));
    }
    std::string reason;
    mlir::ElementsAttr value = tensors.read(*initializer->second, name, reason);
    if (!value)
      return error(reason), nullptr;
    auto op = ConstantOp::create(builder, getNodeLoc(&context, name, "initializer"), value);
    if (failed(inferOp(op, shapes)))
      return nullptr;
    return &at->set(name, Item(op.getResult()));
  }
  error("'" + name + "' is not defined");
  return nullptr;
}

Value GraphImporter::findTensor(Node &node, Scope &scope, StringRef name) {
  Item *item = find(scope, name);
  if (!item) {
    node.failed = true;
    return {};
  }
  if (!item->tensor)
    return node.fail("'" + name +
                     (item->isBoxed ? "' has a rank that only the run decides, which is supported for outputs alone"
                                    : "' is a sequence or empty optional where a tensor is expected"));
  return item->tensor;
}

/// The values that a node names in attributes: Gradient's y, xs and zs.
static std::vector<std::string> namedValues(const NodeProto &node) {
  std::vector<std::string> names;
  if (fullName(node) != "ai.onnx.preview.training.Gradient")
    return names;
  for (const char *wanted : {"y", "xs", "zs"})
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.name() == wanted) {
        if (attribute.has_s())
          names.push_back(attribute.s());
        append_range(names, attribute.strings());
      }
  return names;
}

/// What attributes name follows the node's own inputs.
bool GraphImporter::findInputs(Node &node, const NodeProto &proto, Scope &scope) {
  for (const std::string &name : proto.input())
    if (!node.failed)
      node.inputs.push_back(name.empty() ? Value() : findTensor(node, scope, name));
  for (const std::string &name : namedValues(proto))
    if (!node.failed)
      node.inputs.push_back(findTensor(node, scope, name));
  return !node.failed;
}

mlir::Location GraphImporter::nodeLoc(const NodeProto &proto, std::optional<mlir::Location> caller) {
  // Nodes of a body carry invented names: the model's node is the one that called it.
  return caller ? *caller : getNodeLoc(&context, nodeName(proto), fullName(proto));
}

/// Collects the names that `node` uses, those captured by its graphs included.
static void collectUses(const NodeProto &node, StringSet<> &uses) {
  for (const std::string &name : node.input())
    uses.insert(name);
  uses.insert_range(namedValues(node));
  for (const AttributeProto &attribute : node.attribute()) {
    auto collectGraph = [&](const GraphProto &graph) {
      for (const NodeProto &inner : graph.node())
        collectUses(inner, uses);
      for (const onnx::ValueInfoProto &output : graph.output())
        uses.insert(output.name());
    };
    if (attribute.has_g())
      collectGraph(attribute.g());
    for (const GraphProto &graph : attribute.graphs())
      collectGraph(graph);
  }
}

GraphImporter::Plan GraphImporter::planNodes(const Nodes &nodes, const StringSet<> &outputs) {
  // A node of which nothing is used is not even translated.
  StringSet<> used = outputs;
  Plan plan;
  for (int i = nodes.size() - 1; i >= 0; --i) {
    bool live = false;
    SmallVector<bool> wanted;
    for (const std::string &name : nodes[i].output()) {
      wanted.push_back(!name.empty() && used.contains(name));
      live |= wanted.back();
    }
    if (!live)
      continue;
    collectUses(nodes[i], used);
    plan.emplace_back(i, std::move(wanted));
  }
  std::reverse(plan.begin(), plan.end());
  return plan;
}

bool GraphImporter::importNodes(const Nodes &nodes, const StringSet<> &outputs, Scope &scope, const Opsets &opsets,
                                std::optional<mlir::Location> caller, int depth, const Plan *plan) {
  if (plan)
    return importFrom(nodes, 0, *plan, outputs, scope, opsets, caller, depth);
  if (!spend(nodes.size() / 16, depth)) // dead ones are looked at, too
    return false;
  const Plan own = planNodes(nodes, outputs);
  return importFrom(nodes, 0, own, outputs, scope, opsets, caller, depth);
}

bool GraphImporter::importFrom(const Nodes &nodes, size_t first, const Plan &plan, const StringSet<> &outputs,
                               Scope &scope, const Opsets &opsets, std::optional<mlir::Location> caller, int depth) {
  for (size_t i = first; i < plan.size(); ++i) {
    Rest own{&nodes, i + 1, &plan, &outputs, caller, around}, *outer = std::exchange(rest, &own);
    bool good = importNode(nodes[plan[i].first], plan[i].second, scope, opsets, caller, depth);
    rest = outer;
    if (!good || own.done)
      return good;
  }
  return true;
}

bool GraphImporter::spend(int64_t nodes, int depth) {
  if (depth > MaxDepth)
    return error("functions and graphs are nested more than " + Twine(MaxDepth) + " deep in each other");
  importedNodes += nodes;
  return importedNodes <= maxNodes ||
         error("the model's functions, loops and branches unfold to more than " + Twine(maxNodes) + " nodes");
}

void GraphImporter::readAttributes(Node &node, const NodeProto &proto) {
  for (const AttributeProto &given : proto.attribute()) {
    const AttributeProto *resolvedAttribute = resolve(given);
    if (!resolvedAttribute)
      continue;
    const AttributeProto &attribute = *resolvedAttribute;
    NodeAttribute &value = node.attributes[given.name()];
    switch (attribute.type()) {
    case AttributeProto::INT:
      value = int64_t(attribute.i());
      break;
    case AttributeProto::FLOAT:
      value = attribute.f();
      break;
    case AttributeProto::STRING:
      value = attribute.s();
      break;
    case AttributeProto::INTS:
      value = std::vector<int64_t>(attribute.ints().begin(), attribute.ints().end());
      break;
    case AttributeProto::FLOATS:
      value = std::vector<float>(attribute.floats().begin(), attribute.floats().end());
      break;
    case AttributeProto::STRINGS:
      value = std::vector<std::string>(attribute.strings().begin(), attribute.strings().end());
      break;
    case AttributeProto::TENSOR: {
      std::string reason;
      mlir::ElementsAttr elements = tensors.read(attribute.t(), nodeName(proto), reason);
      if (!elements)
        node.fail(reason);
      value = elements;
      break;
    }
    default:
      break;
    }
  }
}

bool GraphImporter::importNode(const NodeProto &proto, ArrayRef<bool> wanted, Scope &scope, const Opsets &opsets,
                               std::optional<mlir::Location> caller, int depth) {
  StringRef domain = normalDomain(proto.domain());
  Node node(builder, shapes, nodeLoc(proto, caller));
  node.op = proto.op_type();
  node.opset = opsets.lookup(domain);
  node.wanted.assign(wanted.begin(), wanted.end());
  node.outputs.resize(wanted.size());
  node.evaluates = purpose == Purpose::Evaluation;
  node.randomKey = [this](Node &of, std::optional<float> seed) { return randomKey(of, seed); };
  if (!spend(1, depth))
    return false;
  if (NodeProto changed; withoutAbsent(proto, scope, changed))
    return importNode(changed, wanted, scope, opsets, caller, depth);

  std::optional<std::string> undecided = inputOfUnknownRank(proto, scope);
  if (!undecided)
    return false;
  if (!undecided->empty())
    return importByLength(node, proto, *undecided, scope, opsets, depth);
  if (importBoxedShape(node, proto, scope))
    return !node.failed;
  auto setOutputs = [&] {
    for (auto [name, value, want] : zip(proto.output(), node.outputs, wanted)) {
      if (node.failed || !want)
        continue;
      if (!value)
        return node.fail("output '" + name + "' is not supported"), false;
      if (node.rank(value) > MaxRank)
        return node.fail("output '" + name + "' has " + Twine(node.rank(value)) + " dimensions; at most " +
                         Twine(MaxRank) + " are supported"),
               false;
      scope.set(name, Item(value));
    }
    return !node.failed;
  };

  LocalFunction *local = findFunction(proto);
  const onnx::OpSchema *schema = nullptr;
  if (!local) {
    schema = findSchema(proto.op_type(), node.opset, domain);
    if (isCustom(domain, proto, schema, node.opset))
      return importCustom(node, proto, scope, domain) && setOutputs();
    metUnsupported |= !schema;
    if (!schema)
      return node.fail("operator " + fullName(proto) + " is unknown in operator set " + Twine(node.opset) +
                       customHint(domain)),
             false;
    NodeProto storage;
    if (std::string reason = checkNode(*schema, resolved(proto, storage)); !reason.empty())
      return node.fail(reason), false;
    if (domain.empty() && importListOperator(node, proto, scope))
      return !node.failed;
  }

  if (!local && domain.empty() && (node.op == "Loop" || node.op == "Scan"))
    return node.op == "Loop" ? importLoop(node, proto, scope, opsets, depth)
                             : importScan(node, proto, scope, opsets, depth);

  if (!local && domain.empty() && node.op == "SequenceMap")
    return importSequenceMap(node, proto, scope, opsets, depth);

  if (!findInputs(node, proto, scope))
    return false;
  if (local)
    return importLocalFunction(node, *local, scope, proto, depth);

  SmallVector<Type> elements;
  for (Value input : node.inputs)
    elements.push_back(node.elem(input));
  if (std::string reason = checkInputTypes(*schema, elements); !reason.empty())
    return node.fail(reason), false;
  if (domain.empty() && node.op == "If")
    return importIf(node, proto, scope, opsets, depth);

  if (Handler handler = findHandler(fullName(proto))) {
    readAttributes(node, proto);
    mlir::Block *block = builder.getInsertionBlock();
    mlir::Operation *last = block->empty() ? nullptr : &block->back();
    if (!node.failed)
      translate(node, handler, proto, last, scope);
    if (node.undecided)
      return importUndecided(node, proto, last, scope, opsets, depth);
    return !node.failed && setOutputs();
  }
  if (hasFunctionBody(*schema, node.opset))
    return importSchemaFunction(node, *schema, scope, proto, depth);
  metUnsupported = true;
  return node.fail("operator " + fullName(proto) + " is not supported"), false;
}
