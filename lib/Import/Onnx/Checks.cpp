//===- Checks.cpp - What must hold of a model as a whole ------------------===//
// Assumes: a parsed, otherwise untrusted model.
// Guarantees: names are defined before they are used, once; versions and operators are known; functions do not call
//   themselves, and unfold to a bounded number of nodes. Near-linear in the model.
// Declines: what takes types and shapes, which importing checks node by node.

#include "GraphImporter.h"
#include "Schemas.h"

#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

/// "node 'x' (Conv)"
static std::string describe(const NodeProto &node) { return "node '" + nodeName(node) + "' (" + fullName(node) + ")"; }

bool GraphImporter::checkVersions() {
  int64_t newest = onnx::Version::IR_VERSION;
  if (!model.has_ir_version())
    return error("not an ONNX model: the file holds no IR version");
  if (model.ir_version() < 1 || model.ir_version() > newest)
    return error("the model has IR version " + Twine(model.ir_version()) + "; versions 1 to " + Twine(newest) +
                 " are supported");
  if (model.opset_import_size() == 0 && model.ir_version() >= 3)
    return error("the model imports no operator set");
  if (model.opset_import_size() == 0)
    modelOpsets[""] = 1; // before IR version 3 the first operator set was meant
  return readOpsets(model.opset_import(), modelOpsets);
}

bool GraphImporter::readOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &imports,
                               Opsets &opsets) {
  for (const onnx::OperatorSetIdProto &import : imports) {
    StringRef domain = normalDomain(import.domain());
    auto [low, high] = domainVersions(domain);
    if (high && (import.version() < low || import.version() > high))
      return error("the model imports version " + Twine(import.version()) + " of the operator set '" +
                   (domain.empty() ? StringRef("ai.onnx") : domain) + "'; versions " + Twine(low) + " to " +
                   Twine(high) + " are supported");
    opsets[domain] = import.version();
  }
  return true;
}

bool GraphImporter::Names::contains(StringRef name) const {
  for (const Names *at = this; at; at = at->outer)
    if (at->own.contains(name))
      return true;
  return false;
}

/// Names of inputs and outputs reach those who run the program, as C strings.
static bool isText(StringRef name) {
  const auto *begin = reinterpret_cast<const UTF8 *>(name.bytes_begin());
  return !name.contains('\0') && isLegalUTF8String(&begin, begin + name.size());
}

bool GraphImporter::checkGraph(const GraphProto &graph, const Names *outer, int depth) {
  if (depth > MaxDepth)
    return error("graphs are nested more than " + Twine(MaxDepth) + " deep, which is not supported");
  Names names{outer};
  StringSet<> initializers;
  for (const onnx::TensorProto &tensor : graph.initializer()) {
    if (tensor.name().empty())
      return error("the graph has an initializer without a name");
    if (!initializers.insert(tensor.name()).second)
      return error("the graph has two initializers named '" + tensor.name() + "'");
    names.own.insert(tensor.name());
  }
  for (const onnx::SparseTensorProto &tensor : graph.sparse_initializer())
    return error("the initializer '" + tensor.values().name() + "' is sparse, which is not supported");
  StringSet<> inputs;
  for (const onnx::ValueInfoProto &input : graph.input()) {
    if (input.name().empty())
      return error("the graph has an input without a name");
    if (!inputs.insert(input.name()).second)
      return error("the graph has two inputs named '" + input.name() + "'");
    names.own.insert(input.name());
  }
  if (!outer) {
    auto refuse = [&](StringRef what, StringRef name) {
      return error("the name of the " + what + " '" + name + "' is no text: it is not UTF-8, or holds a zero byte");
    };
    for (const onnx::ValueInfoProto &input : graph.input())
      if (!isText(input.name()))
        return refuse("input", input.name());
    for (const onnx::ValueInfoProto &output : graph.output())
      if (!isText(output.name()))
        return refuse("output", output.name());
  }
  if (!checkNodes(graph.node(), names, depth))
    return false;
  if (graph.output_size() == 0)
    return error("the graph '" + graph.name() + "' has no outputs");
  SmallVector<StringRef> outputs;
  for (const onnx::ValueInfoProto &output : graph.output())
    outputs.push_back(output.name());
  return checkOutputs(outputs, names);
}

bool GraphImporter::checkNodes(const Nodes &nodes, Names &names, int depth) {
  fileNodes += nodes.size();
  for (const NodeProto &node : nodes) {
    if (node.op_type().empty())
      return error("node '" + node.name() + "' has no operator");
    for (const std::string &name : node.input())
      if (!name.empty() && !names.contains(name))
        return error(describe(node) + ": input '" + name +
                     "' is not defined before the node; nodes must be in topological order");
    for (const AttributeProto &attribute : node.attribute()) {
      if (!attribute.ref_attr_name().empty() && !names.areInFunction)
        return error(describe(node) + ": attribute '" + attribute.name() + "' refers to the attribute '" +
                     attribute.ref_attr_name() + "' of a function, but the node is in none");
      if (attribute.has_g() && !checkGraph(attribute.g(), &names, depth + 1))
        return false;
      for (const GraphProto &inner : attribute.graphs())
        if (!checkGraph(inner, &names, depth + 1))
          return false;
    }
    for (const std::string &name : node.output())
      if (!name.empty() && !names.own.insert(name).second)
        return error(describe(node) + ": output '" + name + "' is defined twice");
  }
  return true;
}

bool GraphImporter::checkOutputs(ArrayRef<StringRef> outputs, const Names &names) {
  StringSet<> met;
  for (StringRef output : outputs) {
    if (!names.contains(output))
      return error("nothing computes the output '" + output + "'");
    // A branch or a body may give one value twice: what it gives is known by its place, not by its name.
    if (!names.outer && !met.insert(output).second)
      return error("the graph has two outputs named '" + output + "'");
  }
  return true;
}

/// The sum, or the most that there is.
static int64_t addSaturated(int64_t a, int64_t b) {
  int64_t sum;
  return AddOverflow(a, b, sum) ? INT64_MAX : sum;
}

static StringSet<> outputsOf(const GraphProto &graph) {
  StringSet<> names;
  for (const onnx::ValueInfoProto &output : graph.output())
    names.insert(output.name());
  return names;
}

static StringSet<> outputsOf(const onnx::FunctionProto &function) {
  StringSet<> names;
  for (const std::string &output : function.output())
    names.insert(output);
  return names;
}

std::optional<int64_t> GraphImporter::countNodes(const Nodes &nodes, const StringSet<> &outputs,
                                                 LocalFunction *caller) {
  int64_t count = 0;
  for (const auto &planned : planNodes(nodes, outputs)) {
    const NodeProto &node = nodes[planned.first];
    count = addSaturated(count, 1);
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.has_g()) {
        std::optional<int64_t> inner = countNodes(attribute.g().node(), outputsOf(attribute.g()), caller);
        if (!inner)
          return std::nullopt;
        count = addSaturated(count, *inner);
      }
    LocalFunction *local = findFunction(node);
    if (!local)
      continue;
    std::string name = fullName(node);
    if (local->isOpen)
      return error("the function '" + name + "' calls itself, which ONNX does not allow"), std::nullopt;
    auto tooDeep = [&] {
      error("functions are nested more than " + Twine(MaxDepth) + " deep in each other, up to '" + name + "'");
      return std::nullopt;
    };
    if (!local->nodes) {
      if (openFunctions >= MaxDepth)
        return tooDeep();
      if (!checkFunction(*local->function))
        return std::nullopt;
      local->isOpen = true;
      ++openFunctions;
      std::optional<int64_t> body = countNodes(local->function->node(), outputsOf(*local->function), local);
      --openFunctions;
      local->isOpen = false;
      if (!body)
        return std::nullopt;
      local->nodes = std::max<int64_t>(*body, 1);
    }
    if (caller)
      caller->height = std::max(caller->height, local->height + 1);
    if (local->height > MaxDepth)
      return tooDeep();
    if (local->nodes > maxNodes)
      return error("the function '" + name + "' unfolds to more than " + Twine(maxNodes) + " nodes"), std::nullopt;
    count = addSaturated(count, local->nodes);
  }
  return count;
}

bool GraphImporter::checkFunction(const onnx::FunctionProto &function) {
  Names names;
  names.areInFunction = true;
  for (const std::string &input : function.input())
    if (!names.own.insert(input).second)
      return error("the function '" + function.name() + "' has two inputs named '" + input + "'");
  return checkNodes(function.node(), names, 0) &&
         checkOutputs(SmallVector<StringRef>(function.output().begin(), function.output().end()), names);
}

bool GraphImporter::checkFunctions() {
  int64_t nodes = fileNodes;
  for (const onnx::FunctionProto &function : model.functions())
    nodes += function.node_size();
  maxNodes = MaxNodes + 10 * nodes;
  std::optional<int64_t> all = countNodes(model.graph().node(), outputsOf(model.graph()), nullptr);
  if (all && *all > maxNodes)
    return error("the model's functions unfold to more than " + Twine(maxNodes) + " nodes");
  return all.has_value();
}

bool GraphImporter::isSupported(StringRef domain, StringRef fullName, const onnx::OpSchema *schema, int64_t opset) {
  return schema && (findHandler(fullName) || (domain.empty() && isGraphOrListOperator(fullName)) ||
                    hasFunctionBody(*schema, opset));
}

/// Names every unsupported operator at once: the number of its nodes, and one of them. (Those in graphs are found when
/// they are imported: a branch may be left out.)
bool GraphImporter::checkOperators() {
  struct Unknown {
    unsigned count = 0;
    std::string node;
  };
  // By operator set: its version means nothing without its domain.
  std::map<std::string, std::map<std::string, Unknown>> unknown;
  std::map<std::string, std::string> hints;
  StringSet<> met; // functions
  std::vector<const LocalFunction *> open{nullptr};
  while (!open.empty()) {
    const LocalFunction *local = open.back();
    open.pop_back();
    const Opsets &opsets = local ? local->opsets : modelOpsets;
    const Nodes &nodes = local ? local->function->node() : model.graph().node();
    for (const auto &planned : planNodes(nodes, local ? outputsOf(*local->function) : outputsOf(model.graph()))) {
      const NodeProto &node = nodes[planned.first];
      if (const LocalFunction *called = findFunction(node)) {
        if (met.insert(functionKey(node.domain(), node.op_type(), node.overload())).second)
          open.push_back(called);
        continue;
      }
      StringRef domain = normalDomain(node.domain());
      auto version = opsets.find(domain);
      const onnx::OpSchema *schema =
          version == opsets.end() ? nullptr : findSchema(node.op_type(), version->second, domain);
      int64_t opset = version == opsets.end() ? 0 : version->second;
      if (isSupported(domain, fullName(node), schema, opset) || isCustom(domain, node, schema, opset))
        continue;
      hints[domain.str()] = customHint(domain);
      std::string set = version == opsets.end() ? "not imported" : "operator set " + std::to_string(version->second);
      Unknown &entry = unknown[set + (domain.empty() ? "" : " of " + domain.str())][fullName(node)];
      if (entry.count++ == 0)
        entry.node = "'" + nodeName(node) + "'" + (local ? " in the function '" + local->function->name() + "'" : "");
    }
  }
  if (unknown.empty())
    return true;
  std::string list;
  for (const auto &[set, operators] : unknown) {
    list += (list.empty() ? "(" : "; (") + set + "): ";
    bool first = true;
    for (const auto &[name, entry] : operators) {
      list += (first ? "" : ", ") + name + " (" + std::to_string(entry.count) +
              (entry.count == 1 ? " node, " : " nodes, e.g. ") + entry.node + ")";
      first = false;
    }
  }
  for (const auto &[domain, hint] : hints)
    list += hint;
  return error("the model has operators that are unknown or not supported " + list);
}
