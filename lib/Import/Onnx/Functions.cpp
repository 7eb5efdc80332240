//===- Functions.cpp - Functions of the model, and those that define operators ===//
// Assumes: functions that do not call themselves (Checks.cpp).
// Guarantees: a call imports the function's nodes in its place, with a scope and attributes of their own. Neither body
//   nor nodes are copied: what an attribute refers to is looked up in the call.
// Declines: bodies that ONNX cannot make for these inputs.

#include "GraphImporter.h"
#include "Schemas.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

std::string GraphImporter::functionKey(StringRef domain, StringRef name, StringRef overload) {
  // Lengths before the parts: each of them may hold any character.
  return (Twine(normalDomain(domain).size()) + " " + Twine(name.size()) + " " + normalDomain(domain) + name + overload)
      .str();
}

GraphImporter::LocalFunction *GraphImporter::findFunction(const NodeProto &proto) {
  if (functions.empty())
    return nullptr;
  auto found = functions.find(functionKey(proto.domain(), proto.op_type(), proto.overload()));
  return found == functions.end() ? nullptr : &found->second;
}

bool GraphImporter::readFunctions() {
  for (const onnx::FunctionProto &function : model.functions()) {
    auto [entry, isNew] = functions.try_emplace(functionKey(function.domain(), function.name(), function.overload()));
    if (!isNew)
      return error("the model defines the function '" + function.domain() + "." + function.name() + "' twice");
    LocalFunction &local = entry->second;
    local.function = &function;
    if (!readOpsets(function.opset_import(), local.opsets))
      return false;
    for (const auto &imported : modelOpsets)
      local.opsets.try_emplace(imported.first(), imported.second);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

const AttributeProto *GraphImporter::resolve(const AttributeProto &attribute) const {
  if (attribute.ref_attr_name().empty())
    return &attribute;
  return around->call ? around->call->attributes.lookup(attribute.ref_attr_name()) : nullptr;
}

const GraphProto *GraphImporter::graphAttribute(const NodeProto &proto, StringRef name) const {
  for (const AttributeProto &attribute : proto.attribute())
    if (const AttributeProto *value = attribute.name() == name ? resolve(attribute) : nullptr; value && value->has_g())
      return &value->g();
  return nullptr;
}

static bool refers(const NodeProto &proto) {
  return any_of(proto.attribute(), [](const AttributeProto &attribute) { return !attribute.ref_attr_name().empty(); });
}

const NodeProto &GraphImporter::resolved(const NodeProto &proto, NodeProto &storage) const {
  if (!refers(proto))
    return proto;
  storage.set_op_type(proto.op_type());
  storage.set_domain(proto.domain());
  *storage.mutable_input() = proto.input();
  *storage.mutable_output() = proto.output();
  for (const AttributeProto &attribute : proto.attribute()) {
    const AttributeProto *value = resolve(attribute);
    if (!value)
      continue;
    AttributeProto &to = *storage.add_attribute();
    if (value->has_g() || value->has_t()) {
      to.set_type(value->type());
      if (value->has_g())
        to.mutable_g();
      if (value->has_t())
        to.mutable_t();
    } else {
      to = *value;
      to.clear_ref_attr_name();
    }
    to.set_name(attribute.name());
  }
  return storage;
}

bool GraphImporter::withoutAbsent(const NodeProto &proto, const Scope &scope, NodeProto &changed) const {
  auto isAbsent = [&](StringRef name) {
    const Scope *at = &scope;
    for (; at->outer; at = at->outer)
      if (at->lookup(name))
        return false;
    return at->absent.contains(name);
  };
  const Scope *outermost = &scope;
  while (outermost->outer)
    outermost = outermost->outer;
  if (outermost->absent.empty() || none_of(proto.input(), isAbsent))
    return false;
  changed = proto;
  for (std::string &name : *changed.mutable_input())
    if (isAbsent(name))
      name.clear();
  return true;
}

/// Whether the graph's nodes refer to attributes of a function around it.
static bool refersInside(const GraphProto &graph) {
  return any_of(graph.node(), [](const NodeProto &node) {
    return refers(node) || any_of(node.attribute(), [](const AttributeProto &attribute) {
             return attribute.has_g() && refersInside(attribute.g());
           });
  });
}

/// A copy with all references, those in graphs included, replaced by what they refer to.
void GraphImporter::copyResolved(const AttributeProto &from, AttributeProto &to) const {
  to = from;
  if (!to.has_g())
    return;
  for (NodeProto &node : *to.mutable_g()->mutable_node()) {
    auto &attributes = *node.mutable_attribute();
    for (int i = attributes.size() - 1; i >= 0; --i) {
      const AttributeProto *value = resolve(attributes[i]);
      if (!value) {
        attributes.DeleteSubrange(i, 1);
        continue;
      }
      AttributeProto inner;
      copyResolved(*value, inner);
      inner.set_name(attributes[i].name());
      attributes[i] = std::move(inner);
    }
  }
}

/// What the nodes of `call`'s function may refer to: the attributes of the node that calls it, the function's own
/// defaults, or those of `schema` (may be null). References to attributes that nobody gives are as if they were not
/// there.
void GraphImporter::bindAttributes(Call &call, const NodeProto &proto, const onnx::OpSchema *schema) {
  if (schema)
    addDefaults(*schema, call.attributes);
  for (const AttributeProto &attribute : call.function->attribute_proto())
    call.attributes[attribute.name()] = &attribute;
  for (const AttributeProto &attribute : proto.attribute()) {
    const AttributeProto *value = resolve(attribute);
    if (!value)
      continue;
    if (value->has_g() && refersInside(value->g())) // to what this call's function does not see
      copyResolved(*value, call.own.emplace_back()), value = &call.own.back();
    call.attributes[attribute.name()] = value;
  }
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

bool GraphImporter::importLocalFunction(Node &node, LocalFunction &local, Scope &scope, const NodeProto &proto,
                                        int depth) {
  Call call{local.function};
  bindAttributes(call, proto, nullptr);
  return importBody(node, call, scope, proto, depth, local.opsets, &local);
}

bool GraphImporter::importSchemaFunction(Node &node, const onnx::OpSchema &schema, Scope &scope, const NodeProto &proto,
                                         int depth) {
  SmallVector<mlir::RankedTensorType> types;
  for (Value input : node.inputs)
    types.push_back(input ? cast<mlir::RankedTensorType>(input.getType()) : mlir::RankedTensorType());
  std::string reason;
  NodeProto storage;
  std::shared_ptr<const onnx::FunctionProto> body =
      functionBody(schema, resolved(proto, storage), types, node.opset, reason);
  if (!body)
    return node.fail(reason), false;
  Opsets own;
  if (!readOpsets(body->opset_import(), own))
    return false;
  own.try_emplace(normalDomain(proto.domain()), node.opset);
  own.try_emplace("", modelOpsets.count("") ? modelOpsets.lookup("") : domainVersions("").second);
  Call call{body.get()};
  bindAttributes(call, proto, &schema);
  return importBody(node, call, scope, proto, depth, own, nullptr);
}

bool GraphImporter::importBody(Node &node, const Call &call, Scope &scope, const NodeProto &proto, int depth,
                               const Opsets &opsets, LocalFunction *local) {
  const onnx::FunctionProto &body = *call.function;
  if (int(node.inputs.size()) > body.input_size())
    return node.fail("has " + Twine(node.inputs.size()) + " inputs, but the function takes " +
                     Twine(body.input_size())),
           false;
  if (any_of(drop_begin(node.wanted, std::min<size_t>(node.wanted.size(), body.output_size())),
             [](bool w) { return w; }))
    return node.fail("has " + Twine(node.wanted.size()) + " outputs, but the function makes " +
                     Twine(body.output_size())),
           false;
  // A body sees its own inputs only.
  Scope inner;
  for (auto [index, name] : enumerate(body.input())) {
    if (node.has(index))
      inner.set(name, Item(node.in(index)));
    else
      inner.absent.insert(name);
  }
  StringSet<> outputs;
  SmallVector<bool> wanted;
  for (auto [index, name] : enumerate(body.output())) {
    wanted.push_back(node.wants(index));
    if (wanted.back())
      outputs.insert(name);
  }
  const Plan *plan = nullptr;
  if (local) {
    auto [entry, isNew] = local->plans.try_emplace(wanted);
    if (isNew)
      entry->second = planNodes(body.node(), outputs);
    plan = &entry->second;
  }
  Surroundings inside{nullptr, &call};
  const Surroundings *outside = std::exchange(around, &inside);
  bool good = importNodes(body.node(), outputs, inner, opsets, node.loc, depth + 1, plan);
  around = outside;
  if (!good) {
    node.failed = true;
    return false;
  }
  for (auto [index, name] : enumerate(body.output())) {
    Item *item = node.wants(index) ? find(inner, name) : nullptr;
    if (item)
      scope.set(proto.output(int(index)), *item);
    node.failed |= node.wants(index) && !item;
  }
  return !node.failed;
}
