//===- GraphImporter.cpp - Graphs and functions to ops of ds --------------===//
// Assumes: a parsed, otherwise untrusted model.
// Guarantees: a module with one function, or failure with diagnostics.
// Declines: see ds/Import/Onnx.h.

#include "GraphImporter.h"
#include "Schemas.h"

#include "mlir/IR/Verifier.h"

#include <map>

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

/// Bounds on what nested functions of a hostile model may unfold to.
static constexpr int MaxDepth = 64;
static constexpr int64_t MaxNodes = 2'000'000;

/// "ConvInteger", or with a domain "com.microsoft.FusedConv".
static std::string fullName(const NodeProto &node) {
  StringRef domain = normalDomain(node.domain());
  return domain.empty() ? node.op_type() : domain.str() + "." + node.op_type();
}

static std::string nodeName(const NodeProto &node) {
  if (!node.name().empty())
    return node.name();
  return node.op_type() + ":" + (node.output_size() ? node.output(0) : std::string());
}

/// "node 'x' (Conv)"
static std::string describe(const NodeProto &node) { return "node '" + nodeName(node) + "' (" + fullName(node) + ")"; }

static std::string functionKey(StringRef domain, StringRef name, StringRef overload) {
  return (normalDomain(domain) + "::" + name + "::" + overload).str();
}

GraphImporter::GraphImporter(mlir::MLIRContext &context, ModelFile &file, StringRef folder,
                             const ImportOptions &options)
    : context(context), model(*file.model), inputDims(options), tensors(&context, folder, file.data),
      builder(&context) {
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
  for (onnx::FunctionProto &body : *model.mutable_functions())
    if (!functions.try_emplace(functionKey(body.domain(), body.name(), body.overload()), &body).second)
      return error("the model defines the function '" + body.domain() + "." + body.name() + "' twice"), nullptr;
  GraphProto &graph = *model.mutable_graph();
  if (!checkGraph(graph, {}, /*inner=*/false) || !checkOperators(graph.node()))
    return {};

  module =
      mlir::ModuleOp::create(mlir::NameLoc::get(builder.getStringAttr(graph.name().empty() ? "graph" : graph.name())));
  Scope scope;
  StringSet<> outputs;
  for (const onnx::ValueInfoProto &output : graph.output())
    outputs.insert(output.name());
  currentGraph = &graph;
  if (!importInputs(graph, scope) ||
      !importNodes(*graph.mutable_node(), outputs, scope, modelOpsets, std::nullopt, 0) || !importOutputs(graph, scope))
    return {};
  if (failed(mlir::verify(*module)))
    return {};
  return std::move(module);
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

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

bool GraphImporter::checkGraph(const GraphProto &graph, const StringSet<> &outer, bool inner) {
  StringSet<> known = outer, own;
  auto define = [&](StringRef name) { return known.insert(name), own.insert(name).second; };
  StringSet<> initializers;
  for (const onnx::TensorProto &tensor : graph.initializer()) {
    if (tensor.name().empty())
      return error("the graph has an initializer without a name");
    if (!initializers.insert(tensor.name()).second)
      return error("the graph has two initializers named '" + tensor.name() + "'");
    define(tensor.name());
  }
  for (const onnx::SparseTensorProto &tensor : graph.sparse_initializer())
    return error("the initializer '" + tensor.values().name() + "' is sparse, which is not supported");
  StringSet<> inputs;
  for (const onnx::ValueInfoProto &input : graph.input()) {
    if (input.name().empty())
      return error("the graph has an input without a name");
    if (!inputs.insert(input.name()).second)
      return error("the graph has two inputs named '" + input.name() + "'");
    define(input.name());
  }
  for (const NodeProto &node : graph.node()) {
    if (node.op_type().empty())
      return error("node '" + node.name() + "' has no operator");
    for (const std::string &name : node.input())
      if (!name.empty() && !known.contains(name))
        return error(describe(node) + ": input '" + name +
                     "' is not defined before the node; nodes must be in topological order");
    for (const AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g() && !checkGraph(attribute.g(), known, /*inner=*/true))
        return false;
      for (const GraphProto &graphOfList : attribute.graphs())
        if (!checkGraph(graphOfList, known, /*inner=*/true))
          return false;
    }
    for (const std::string &name : node.output())
      if (!name.empty() && !define(name))
        return error(describe(node) + ": output '" + name + "' is defined twice");
  }
  if (graph.output_size() == 0)
    return error("the graph '" + graph.name() + "' has no outputs");
  StringSet<> outputs;
  for (const onnx::ValueInfoProto &output : graph.output()) {
    if (!known.contains(output.name()))
      return error("nothing computes the output '" + output.name() + "'");
    // A branch or a body may give one value twice: what it gives is known by its place, not by its name.
    if (!inner && !outputs.insert(output.name()).second)
      return error("the graph has two outputs named '" + output.name() + "'");
  }
  return true;
}

bool GraphImporter::isSupported(StringRef domain, StringRef fullName, const onnx::OpSchema *schema, int64_t opset) {
  return schema && (findHandler(fullName) || (domain.empty() && isGraphOrListOperator(fullName)) ||
                    hasFunctionBody(*schema, opset));
}

/// Names every unsupported operator at once, with the number of its nodes.
bool GraphImporter::checkOperators(const Nodes &nodes) {
  // By operator set: its version means nothing without its domain.
  std::map<std::string, std::map<std::string, unsigned>> unknown;
  std::map<std::string, std::string> hints;
  for (const NodeProto &node : nodes) {
    StringRef domain = normalDomain(node.domain());
    if (functions.count(functionKey(domain, node.op_type(), node.overload())))
      continue;
    auto version = modelOpsets.find(domain);
    const onnx::OpSchema *schema =
        version == modelOpsets.end() ? nullptr : findSchema(node.op_type(), version->second, domain);
    int64_t opset = version == modelOpsets.end() ? 0 : version->second;
    if (isSupported(domain, fullName(node), schema, opset) || isCustom(domain, node, schema, opset))
      continue;
    hints[domain.str()] = customHint(domain);
    std::string set = version == modelOpsets.end() ? "not imported" : "operator set " + std::to_string(version->second);
    ++unknown[set + (domain.empty() ? "" : " of " + domain.str())][fullName(node)];
  }
  if (unknown.empty())
    return true;
  std::string list;
  for (const auto &[set, operators] : unknown) {
    list += (list.empty() ? "(" : "; (") + set + "): ";
    bool first = true;
    for (const auto &[name, count] : operators) {
      list += (first ? "" : ", ") + name + " (" + std::to_string(count) + (count == 1 ? " node)" : " nodes)");
      first = false;
    }
  }
  for (const auto &[domain, hint] : hints)
    list += hint;
  return error("the model has operators that are unknown or not supported " + list);
}

//===----------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------===//

bool GraphImporter::importInputs(GraphProto &graph, Scope &scope) {
  for (onnx::TensorProto &tensor : *graph.mutable_initializer())
    scope.initializers[tensor.name()] = &tensor;

  struct Input {
    std::string name;
    Type element;
    SmallVector<DeclaredDim> dims;
    std::string of = {}; // the sequence that it is a tensor of
  };
  std::vector<Input> inputs;
  for (const onnx::ValueInfoProto &info : graph.input()) {
    if (scope.initializers.count(info.name()))
      continue; // a default that a caller could replace is a constant here
    auto refuse = [&](const Twine &reason) { return error("input '" + info.name() + "' " + reason); };
    // Several inputs: the elements one after another, and the dims, those of each element of a sequence in a row. An
    // optional tensor is a sequence of one or none.
    Item &item = scope.values[info.name()];
    auto addParts = [&](Type element, DeclaredDim rank, StringRef dims) {
      inputs.push_back({info.name() + ".data", element, {DeclaredDim(std::string())}, info.name()});
      inputs.push_back({(info.name() + dims).str(), builder.getI64Type(), {DeclaredDim(std::string())}, info.name()});
      if (!item.isBoxed)
        inputs.back().dims.push_back(rank);
    };
    if (info.type().has_optional_type() || info.type().has_sequence_type()) {
      OptionalKind kind = kindOf(info.type());
      if (!kind.element)
        return refuse("is neither a tensor nor a sequence or an optional of tensors of a supported element type");
      item.isOptional = info.type().has_optional_type();
      addParts(kind.element, kind.rank ? DeclaredDim(int64_t(*kind.rank)) : DeclaredDim(std::string()), ".shapes");
      if (item.isOptional && kind.isSequence)
        inputs.push_back({info.name() + ".present", builder.getI1Type(), {}, info.name()});
      continue;
    }
    if (!info.type().has_tensor_type())
      return refuse("is neither a tensor nor a sequence or an optional of tensors, which are what is supported");
    Type element = elementType(&context, info.type().tensor_type().elem_type());
    if (!element)
      return refuse("has element type " + onnxTypeName(info.type().tensor_type().elem_type()) +
                    ", which is not supported");
    if (!info.type().tensor_type().has_shape()) {
      item.isBoxed = true;
      for (int64_t rank = 0; rank <= MaxUnknownRank; ++rank)
        item.ranks.push_back(rank);
      addParts(element, {}, ".shape");
      continue;
    }
    Input &input = inputs.emplace_back(Input{info.name(), element, {}});
    for (const onnx::TensorShapeProto::Dimension &dim : info.type().tensor_type().shape().dim())
      input.dims.push_back(dim.has_dim_value() ? DeclaredDim(int64_t(dim.dim_value())) : DeclaredDim(dim.dim_param()));
    inputDims.reserve(input.dims);
  }

  SmallVector<Type> types;
  SmallVector<SymDims> allDims;
  SmallVector<mlir::Location> locs;
  for (const Input &input : inputs) {
    std::string reason;
    std::optional<SymDims> dims = inputDims.resolve(input.name, input.dims, reason);
    if (!dims)
      return error("input '" + input.name + "': " + reason);
    types.push_back(typeFromDims(input.element, *dims));
    allDims.push_back(*dims);
  }
  if (std::string reason = inputDims.unusedOption(); !reason.empty())
    return error(reason);

  SmallVector<mlir::NamedAttribute> names, properties;
  for (const auto &[symbol, given] : inputDims.displayNames())
    names.push_back(builder.getNamedAttr(symbol, builder.getStringAttr(given)));
  for (const onnx::StringStringEntryProto &entry : model.metadata_props())
    if (!entry.key().empty() && none_of(properties, [&](auto known) { return known.getName() == entry.key(); }))
      properties.push_back(builder.getNamedAttr(entry.key(), builder.getStringAttr(entry.value())));
  if (!names.empty())
    (*module)->setAttr(kDimNamesAttr, builder.getDictionaryAttr(names));
  if (!properties.empty())
    (*module)->setAttr(kPropertiesAttr, builder.getDictionaryAttr(properties));

  function = mlir::func::FuncOp::create(module->getLoc(), "main", builder.getFunctionType(types, {}));
  module->push_back(function);
  mlir::Block *entry = function.addEntryBlock();
  for (auto [index, input] : enumerate(inputs)) {
    function.setArgAttr(index, kNameAttr, builder.getStringAttr(input.name));
    function.setArgAttr(index, kShapeArgAttr, ShapeAttr::get(&context, ArrayRef<SymExpr>(allDims[index])));
    entry->getArgument(index).setLoc(mlir::NameLoc::get(builder.getStringAttr(input.name)));
    Value argument = entry->getArgument(index);
    if (input.of.empty()) {
      scope.values[input.name].tensor = argument;
      continue;
    }
    Item &item = scope.values[input.of];
    if (!item.sequence)
      item.sequence.emplace();
    StringRef part = StringRef(input.name).drop_front(input.of.size());
    (part == ".data" ? item.sequence->data : part == ".present" ? item.present : item.sequence->shapes) = argument;
  }
  builder.setInsertionPointToEnd(entry);
  if (failed(seedArguments(function.getBody(), shapes)))
    return false;
  for (const Input &input : inputs) {
    Item *item = input.of.empty() ? nullptr : &scope.values[input.of];
    Node node(builder, shapes, module->getLoc());
    if (item && StringRef(input.name).ends_with(".shape"))
      item->sequence->shapes = node.unsqueeze(item->sequence->shapes, {0});
    else if (item && StringRef(input.name).ends_with(".shapes") && !node.dim(item->sequence->shapes, 1).isConst())
      *item = mixed(node, *item);
    if (node.failed)
      return false;
  }
  return true;
}

bool GraphImporter::importOutputs(const GraphProto &graph, Scope &scope) {
  SmallVector<std::string> names;
  SmallVector<Value> values;
  SmallVector<Type> types;
  for (const onnx::ValueInfoProto &info : graph.output()) {
    auto refuse = [&](const Twine &reason) { return error("output '" + info.name() + "' " + reason); };
    Item *item = find(scope, info.name());
    if (!item)
      return false;
    if (item->list || item->sequence || item->isOptional) {
      Node node(builder, shapes, module->getLoc());
      Item sequence = *item;
      if (item->isOptional) {
        OptionalKind kind = kindOf(node, *item), declared = kindOf(info.type());
        if (!kind.isKnown())
          kind = declared;
        sequence = asRunTimeOptional(node, *item, kind);
        // A loop that takes an optional may make what is in it.
        if (!node.failed && info.has_type() && !info.type().has_optional_type())
          sequence = optionalElement(node, sequence);
      } else {
        sequence = asSequence(node, *item);
      }
      if (node.failed)
        return false;
      auto add = [&](StringRef part, Value value) {
        names.push_back((info.name() + part).str());
        values.push_back(value);
        types.push_back(value.getType());
      };
      if (sequence.tensor) {
        add("", sequence.tensor);
        continue;
      }
      const onnx::TypeProto_Tensor &type = info.type().tensor_type();
      if (item->isBoxed && type.has_shape()) {
        int64_t rank = type.shape().dim_size();
        Value shapes = item->sequence->shapes;
        requireSize(node,
                    node.make<ShapeOfOp>({shapes}, {node.i64("start", 1), node.i64("end", 2)}, builder.getI64Type()),
                    SymExpr(rank), "output '" + info.name() + "' to have its declared rank, " + std::to_string(rank));
        Item unboxed = withLength(node, *item, rank);
        if (node.failed)
          return false;
        add("", unboxed.tensor);
        continue;
      }
      add(".data", sequence.sequence->data);
      if (item->isBoxed) {
        add(".shape", node.reshape(item->sequence->shapes, {node.dim(item->sequence->shapes, 1)}));
        continue;
      }
      add(".shapes", sequence.sequence->shapes);
      if (sequence.present)
        add(".present", sequence.present);
      continue;
    }
    if (!item->tensor || !(info.type().has_tensor_type() || !info.has_type()))
      return refuse("is declared as another type than the graph computes");
    int declared = info.type().tensor_type().elem_type(), actual = onnxType(mlir::getElementTypeOrSelf(item->tensor));
    if (declared && declared != actual)
      return refuse("is declared as " + onnxTypeName(declared) + ", but the graph computes " + onnxTypeName(actual));
    names.push_back(info.name());
    values.push_back(item->tensor);
    types.push_back(item->tensor.getType());
  }
  mlir::func::ReturnOp::create(builder, module->getLoc(), values);
  function.setFunctionType(builder.getFunctionType(function.getArgumentTypes(), types));
  for (auto [index, name] : enumerate(names))
    function.setResultAttr(index, kNameAttr, builder.getStringAttr(name));
  return true;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

GraphImporter::Item *GraphImporter::find(Scope &scope, StringRef name) {
  for (Scope *at = &scope; at; at = at->outer) {
    if (auto found = at->values.find(name); found != at->values.end())
      return &found->second;
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
      Item inside = at->body->capture(*outer);
      return &(at->values[name] = inside);
    }
    std::string reason;
    mlir::ElementsAttr value = tensors.read(*initializer->second, name, reason);
    if (!value)
      return error(reason), nullptr;
    auto op = ConstantOp::create(builder, getNodeLoc(&context, name, "initializer"), value);
    if (failed(inferOp(op, shapes)))
      return nullptr;
    Item &item = at->values[name];
    item.tensor = op.getResult();
    return &item;
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

bool GraphImporter::findInputs(Node &node, const NodeProto &proto, Scope &scope) {
  for (const std::string &name : proto.input())
    if (!node.failed)
      node.inputs.push_back(name.empty() ? Value() : findTensor(node, scope, name));
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

bool GraphImporter::importNodes(Nodes &nodes, const StringSet<> &outputs, Scope &scope, const Opsets &opsets,
                                std::optional<mlir::Location> caller, int depth) {
  // A node of which nothing is used is not even translated.
  StringSet<> used = outputs;
  SmallVector<SmallVector<bool>> wanted(nodes.size());
  for (int i = nodes.size() - 1; i >= 0; --i) {
    bool live = false;
    for (const std::string &name : nodes[i].output()) {
      wanted[i].push_back(!name.empty() && used.contains(name));
      live |= wanted[i].back();
    }
    if (live)
      collectUses(nodes[i], used);
    else
      wanted[i].clear();
  }
  return importFrom(nodes, 0, wanted, outputs, scope, opsets, caller, depth);
}

bool GraphImporter::importFrom(Nodes &nodes, int first, ArrayRef<SmallVector<bool>> wanted, const StringSet<> &outputs,
                               Scope &scope, const Opsets &opsets, std::optional<mlir::Location> caller, int depth) {
  for (int i = first; i < nodes.size(); ++i) {
    if (wanted[i].empty())
      continue;
    Rest own{&nodes, i + 1, &wanted, &outputs, caller, currentGraph}, *outer = std::exchange(rest, &own);
    bool good = importNode(nodes[i], wanted[i], scope, opsets, caller, depth);
    rest = outer;
    if (!good || own.done)
      return good;
  }
  return true;
}

void GraphImporter::readAttributes(Node &node, NodeProto &proto) {
  for (AttributeProto &attribute : *proto.mutable_attribute()) {
    NodeAttribute &value = node.attributes[attribute.name()];
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
      mlir::ElementsAttr elements = tensors.read(*attribute.mutable_t(), nodeName(proto), reason);
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

bool GraphImporter::importNode(NodeProto &proto, ArrayRef<bool> wanted, Scope &scope, const Opsets &opsets,
                               std::optional<mlir::Location> caller, int depth) {
  StringRef domain = normalDomain(proto.domain());
  Node node(builder, shapes, nodeLoc(proto, caller));
  node.op = proto.op_type();
  node.opset = opsets.lookup(domain);
  node.wanted.assign(wanted.begin(), wanted.end());
  node.outputs.resize(wanted.size());
  if (++importedNodes > MaxNodes || depth > MaxDepth)
    return node.fail("the model's functions unfold to too many nodes"), false;

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
      scope.values[name] = Item(value);
    }
    return !node.failed;
  };

  auto local = functions.find(functionKey(domain, proto.op_type(), proto.overload()));
  const onnx::OpSchema *schema = nullptr;
  if (local == functions.end()) {
    schema = findSchema(proto.op_type(), node.opset, domain);
    if (isCustom(domain, proto, schema, node.opset))
      return importCustom(node, proto, scope, domain) && setOutputs();
    metUnsupported |= !schema;
    if (!schema)
      return node.fail("operator " + fullName(proto) + " is unknown in operator set " + Twine(node.opset) +
                       customHint(domain)),
             false;
    if (std::string reason = checkNode(*schema, proto); !reason.empty())
      return node.fail(reason), false;
    if (domain.empty() && importListOperator(node, proto, scope))
      return !node.failed;
  }

  if (domain.empty() && (node.op == "Loop" || node.op == "Scan"))
    return node.op == "Loop" ? importLoop(node, proto, scope, opsets, depth)
                             : importScan(node, proto, scope, opsets, depth);

  if (domain.empty() && node.op == "SequenceMap")
    return importSequenceMap(node, proto, scope, opsets, depth);

  if (!findInputs(node, proto, scope))
    return false;
  if (local != functions.end()) {
    onnx::FunctionProto body = *local->second;
    Opsets own;
    if (!readOpsets(body.opset_import(), own))
      return false;
    for (const auto &entry : opsets)
      own.try_emplace(entry.first(), entry.second);
    bindAttributes(body, proto, nullptr);
    return importBody(node, body, scope, proto, depth, own);
  }

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
      handler(node);
    if (node.undecided)
      return importUndecided(node, proto, last, scope, opsets, depth);
    return !node.failed && setOutputs();
  }
  if (hasFunctionBody(*schema, node.opset)) {
    SmallVector<mlir::RankedTensorType> types;
    for (Value input : node.inputs)
      types.push_back(input ? cast<mlir::RankedTensorType>(input.getType()) : mlir::RankedTensorType());
    std::string reason;
    std::shared_ptr<onnx::FunctionProto> body = functionBody(*schema, proto, types, node.opset, reason);
    if (!body)
      return node.fail(reason), false;
    Opsets own;
    if (!readOpsets(body->opset_import(), own))
      return false;
    own.try_emplace(domain, node.opset);
    own.try_emplace("", modelOpsets.count("") ? modelOpsets.lookup("") : domainVersions("").second);
    bindAttributes(*body, proto, schema);
    return importBody(node, *body, scope, proto, depth, own);
  }
  metUnsupported = true;
  return node.fail("operator " + fullName(proto) + " is not supported"), false;
}

bool GraphImporter::importBody(Node &node, onnx::FunctionProto &body, Scope &scope, const NodeProto &proto, int depth,
                               const Opsets &opsets) {
  // A body sees its own inputs only.
  Scope inner;
  if (int(node.inputs.size()) > body.input_size())
    return node.fail("has " + Twine(node.inputs.size()) + " inputs, but the function takes " +
                     Twine(body.input_size())),
           false;
  StringSet<> outputs;
  for (auto [index, name] : enumerate(body.input()))
    if (node.has(index))
      inner.values[name].tensor = node.in(index);
  // An optional input that is absent is absent for the body's nodes too.
  for (NodeProto &bodyNode : *body.mutable_node())
    for (std::string &name : *bodyNode.mutable_input())
      for (auto [index, formal] : enumerate(body.input()))
        if (name == formal && !node.has(index))
          name.clear();
  for (auto [index, name] : enumerate(body.output()))
    if (node.wants(index))
      outputs.insert(name);
  const GraphProto *outer = std::exchange(currentGraph, nullptr);
  const onnx::FunctionProto *outerFunction = std::exchange(currentFunction, &body);
  bool good = importNodes(*body.mutable_node(), outputs, inner, opsets, node.loc, depth + 1);
  currentGraph = outer;
  currentFunction = outerFunction;
  if (!good) {
    node.failed = true;
    return false;
  }
  for (auto [index, name] : enumerate(body.output())) {
    Item *item = node.wants(index) ? find(inner, name) : nullptr;
    if (item)
      scope.values[proto.output(int(index))] = *item;
    node.failed |= node.wants(index) && !item;
  }
  return !node.failed;
}
