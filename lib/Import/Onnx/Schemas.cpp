//===- Schemas.cpp - What ONNX's own schemas say about a node -------------===//
// Assumes: the node's operator set version lies in ONNX's range.
// Guarantees: nothing is thrown out of here; ONNX's exceptions become one-line messages.
// Declines: operators without a schema (the caller looks for model-local functions first).

#include "Schemas.h"
#include "ModelFile.h"
#include "Tensors.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>

using namespace llvm;
using namespace ds::importer;

const onnx::OpSchema *ds::importer::findSchema(StringRef op, int64_t version, StringRef domain) {
  return onnx::OpSchemaRegistry::Schema(op.str(), int(version), domain.str());
}

std::pair<int64_t, int64_t> ds::importer::domainVersions(StringRef domain) {
  const auto &map = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  auto found = map.find(domain.str());
  return found == map.end() ? std::pair<int64_t, int64_t>(0, 0) : std::pair<int64_t, int64_t>(found->second);
}

/// ONNX prefixes its messages with a long description of the node, which our location says better.
static std::string shorten(StringRef message) {
  std::string line = oneLine(message);
  StringRef rest = line;
  size_t colon = rest.find("): ");
  if ((rest.starts_with("Node (") || rest.starts_with("Node(")) && colon != StringRef::npos)
    rest = rest.substr(colon + 3);
  return rest.str();
}

/// What schemas say of values in words only. Implementations take other ones each in its own way.
static std::string checkValue(const onnx::AttributeProto &attribute) {
  static const StringSet<> flags{"align_corners",
                                 "allowzero",
                                 "antialias",
                                 "center_point_box",
                                 "ceil_mode",
                                 "count_include_pad",
                                 "detect_negative",
                                 "detect_positive",
                                 "exclude_outside",
                                 "exclusive",
                                 "fmod",
                                 "input_forget",
                                 "inverse",
                                 "is_causal",
                                 "keepdims",
                                 "largest",
                                 "layout",
                                 "linear_before_reset",
                                 "noop_with_empty_axes",
                                 "onesided",
                                 "reverse",
                                 "saturate",
                                 "select_last_index",
                                 "sorted",
                                 "storage_order",
                                 "training_mode",
                                 "transA",
                                 "transB",
                                 "upper"};
  bool isInt = attribute.type() == onnx::AttributeProto::INT && attribute.ref_attr_name().empty();
  if (isInt && flags.contains(attribute.name()) && attribute.i() != 0 && attribute.i() != 1)
    return "attribute '" + attribute.name() + "' must be 0 or 1, not " + std::to_string(attribute.i());
  if (attribute.name() == "softcap" && attribute.f() < 0)
    return "attribute 'softcap' must not be negative";
  return {};
}

std::string ds::importer::checkNode(const onnx::OpSchema &schema, const onnx::NodeProto &node) {
  try {
    schema.Verify(node);
  } catch (const std::exception &exception) {
    return shorten(exception.what());
  }
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (std::string reason = checkValue(attribute); !reason.empty())
      return reason;
  return {};
}

/// The name by which schemas know a tensor type.
static std::string schemaTypeName(mlir::Type element) {
  return "tensor(" + StringRef(onnxTypeName(onnxType(element))).lower() + ")";
}

std::string ds::importer::checkInputTypes(const onnx::OpSchema &schema, ArrayRef<mlir::Type> elements) {
  const std::vector<onnx::OpSchema::FormalParameter> &formals = schema.inputs();
  StringMap<std::pair<std::string, std::string>> bound; // type variable -> (type, parameter)
  for (auto [index, element] : enumerate(elements)) {
    if (!element || formals.empty())
      continue;
    const onnx::OpSchema::FormalParameter &formal = formals[std::min(index, formals.size() - 1)];
    std::string actual = schemaTypeName(element);
    bool allowed = any_of(formal.GetTypes(), [&](const std::string *type) { return *type == actual; });
    std::string label = "input " + std::to_string(index) + " ('" + formal.GetName() + "')";
    if (!allowed) {
      SmallVector<StringRef> names;
      for (const std::string *type : formal.GetTypes())
        names.push_back(*type);
      sort(names);
      return label + " has the type " + actual + "; expected one of " + join(names, ", ");
    }
    bool variable = schema.typeConstraintMap().count(formal.GetTypeStr()) != 0;
    bool heterogeneous = formal.GetOption() == onnx::OpSchema::Variadic && !formal.GetIsHomogeneous();
    if (!variable || heterogeneous)
      continue;
    auto [entry, fresh] = bound.try_emplace(formal.GetTypeStr(), actual, label);
    if (!fresh && entry->second.first != actual)
      return label + " has the type " + actual + ", but " + entry->second.second + " has " + entry->second.first +
             "; both must have the same type";
  }
  return {};
}

bool ds::importer::hasFunctionBody(const onnx::OpSchema &schema, int64_t version) {
  if (schema.HasFunction() && schema.GetFunction(int(version)))
    return true;
  return schema.HasContextDependentFunction();
}

static onnx::TypeProto toTypeProto(mlir::RankedTensorType type) {
  onnx::TypeProto proto;
  if (!type)
    return proto;
  proto.mutable_tensor_type()->set_elem_type(onnxType(type.getElementType()));
  onnx::TensorShapeProto *shape = proto.mutable_tensor_type()->mutable_shape();
  for (int64_t dim : type.getShape()) {
    onnx::TensorShapeProto::Dimension *entry = shape->add_dim();
    if (!mlir::ShapedType::isDynamic(dim))
      entry->set_dim_value(dim);
  }
  return proto;
}

std::shared_ptr<const onnx::FunctionProto> ds::importer::functionBody(const onnx::OpSchema &schema,
                                                                      const onnx::NodeProto &node,
                                                                      ArrayRef<mlir::RankedTensorType> inputs,
                                                                      int64_t version, std::string &error) {
  try {
    if (schema.HasFunction())
      if (const onnx::FunctionProto *body = schema.GetFunction(int(version)))
        return std::shared_ptr<const onnx::FunctionProto>(std::shared_ptr<void>(), body); // the schema owns it
    if (schema.HasContextDependentFunction()) {
      std::vector<onnx::TypeProto> types;
      for (mlir::RankedTensorType type : inputs)
        types.push_back(toTypeProto(type));
      onnx::FunctionBodyBuildContextImpl context(node, types);
      auto body = std::make_shared<onnx::FunctionProto>();
      if (schema.BuildContextDependentFunction(context, *body, int(version)))
        return body;
    }
    error = "has no body for these inputs";
  } catch (const std::exception &exception) {
    error = "has no usable body: " + shorten(exception.what());
  }
  return nullptr;
}

void ds::importer::addDefaults(const onnx::OpSchema &schema, StringMap<const onnx::AttributeProto *> &attributes) {
  for (const auto &[name, attribute] : schema.attributes())
    if (attribute.default_value.type() != onnx::AttributeProto::UNDEFINED)
      attributes[name] = &attribute.default_value;
}
