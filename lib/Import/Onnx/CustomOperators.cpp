//===- CustomOperators.cpp - Operators of the program that runs the model -===//
// Assumes: the user named the domain.
// Guarantees: what the model says of the outputs' sizes is known from here on (the run checks it); every other dim is a
//   symbol that ds.custom defines.
// Declines: outputs whose element type or rank the model does not say; attributes that are graphs, types or sparse.

#include "GraphImporter.h"
#include "Schemas.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::NodeProto;
using onnx::TypeProto;

bool GraphImporter::isCustom(StringRef domain, const NodeProto &proto, const onnx::OpSchema *schema, int64_t opset) {
  return !domain.empty() && customDomains.contains(domain) && !isSupported(domain, fullName(proto), schema, opset);
}

std::string GraphImporter::customHint(StringRef domain) {
  if (domain.empty() || domainVersions(domain).second)
    return "";
  return ("; --custom-ops=" + domain + " leaves operators of " + domain + " to the program that runs the model").str();
}

const TypeProto *GraphImporter::Surroundings::declaredType(StringRef name) const {
  if (!types) {
    types.emplace();
    auto add = [&](const auto &infos) {
      for (const onnx::ValueInfoProto &info : infos)
        if (info.has_type())
          types->try_emplace(info.name(), &info.type());
    };
    if (graph) {
      add(graph->value_info());
      add(graph->output());
    } else {
      add(call->function->value_info());
    }
  }
  return types->lookup(name);
}

/// The attributes as ds.custom has them; null where one is of a kind that it cannot have.
static mlir::DictionaryAttr attributesOf(Node &node, const NodeProto &proto) {
  mlir::OpBuilder &b = node.b;
  SmallVector<mlir::NamedAttribute> all;
  for (const auto &entry : node.attributes) {
    const NodeAttribute &value = entry.second;
    mlir::Attribute attribute;
    if (const auto *integer = std::get_if<int64_t>(&value))
      attribute = b.getI64IntegerAttr(*integer);
    else if (const auto *number = std::get_if<float>(&value))
      attribute = b.getF32FloatAttr(*number);
    else if (const auto *text = std::get_if<std::string>(&value))
      attribute = b.getStringAttr(*text);
    else if (const auto *ints = std::get_if<std::vector<int64_t>>(&value))
      attribute = b.getDenseI64ArrayAttr(*ints);
    else if (const auto *floats = std::get_if<std::vector<float>>(&value))
      attribute = b.getDenseF32ArrayAttr(*floats);
    else if (const auto *texts = std::get_if<std::vector<std::string>>(&value))
      attribute = b.getStrArrayAttr(SmallVector<StringRef>(texts->begin(), texts->end()));
    else if (const auto *tensor = std::get_if<mlir::ElementsAttr>(&value))
      attribute = *tensor;
    if (entry.first().contains('\0')) {
      node.fail("the name of an attribute has a NUL in it");
      return {};
    }
    if (!attribute) {
      node.fail("attribute '" + entry.first() + "' is neither a number, a string, a list of these nor a tensor");
      return {};
    }
    all.push_back(b.getNamedAttr(entry.first(), attribute));
  }
  return b.getDictionaryAttr(all);
}

bool GraphImporter::importCustom(Node &node, const NodeProto &proto, Scope &scope, StringRef domain) {
  if (!findInputs(node, proto, scope))
    return false;
  if (proto.op_type().find('\0') != std::string::npos)
    return node.fail("the operator's name has a NUL in it"), false;
  readAttributes(node, proto);
  mlir::DictionaryAttr attributes = node.failed ? mlir::DictionaryAttr() : attributesOf(node, proto);
  if (!attributes)
    return false;

  SmallVector<bool> takes, makes;
  SmallVector<Value> operands;
  for (Value input : node.inputs) {
    takes.push_back(bool(input));
    if (input)
      operands.push_back(input);
  }
  SmallVector<Type> types;
  SmallVector<SymDims> allDims;
  SmallVector<SymExpr> symbols;
  for (const std::string &name : proto.output()) {
    makes.push_back(!name.empty());
    if (name.empty())
      continue;
    auto refuse = [&](const Twine &reason) { return node.fail("output '" + name + "' " + reason), false; };
    const TypeProto *type = around->declaredType(name);
    const char *remedy = "; what a custom operator makes must be declared in the model (value_info)";
    if (!type || !type->has_tensor_type() || !type->tensor_type().elem_type())
      return refuse(Twine(type && !type->has_tensor_type() ? "is no tensor" : "has no element type and rank") + remedy);
    if (!type->tensor_type().has_shape())
      return refuse(Twine("has no rank") + remedy);
    Type element = elementType(&context, type->tensor_type().elem_type());
    if (!element)
      return refuse("has element type " + onnxTypeName(type->tensor_type().elem_type()) + ", which is not supported");
    if (type->tensor_type().shape().dim_size() > MaxRank)
      return refuse("has " + Twine(type->tensor_type().shape().dim_size()) + " dimensions; at most " + Twine(MaxRank) +
                    " are supported");
    SymDims &dims = allDims.emplace_back();
    for (const onnx::TensorShapeProto::Dimension &dim : type->tensor_type().shape().dim()) {
      // Names in a function are its own.
      std::optional<SymExpr> known =
          dim.has_dim_param() && !around->call ? inputDims.find(dim.dim_param()) : std::nullopt;
      if (dim.has_dim_value() && dim.dim_value() >= 0)
        known = SymExpr(int64_t(dim.dim_value()));
      dims.push_back(known ? *known : shapes.boundSymbol("r"));
      if (!known)
        symbols.push_back(dims.back());
    }
    types.push_back(typeFromDims(element, dims));
  }
  SmallVector<mlir::NamedAttribute> stated{builder.getNamedAttr("op_type", builder.getStringAttr(proto.op_type())),
                                           builder.getNamedAttr("domain", builder.getStringAttr(domain)),
                                           builder.getNamedAttr("op_attributes", attributes), shapesAttr(allDims),
                                           node.shape("symbols", symbols)};
  if (is_contained(takes, false))
    stated.push_back(builder.getNamedAttr("takes", builder.getDenseBoolArrayAttr(takes)));
  if (is_contained(makes, false))
    stated.push_back(builder.getNamedAttr("makes", builder.getDenseBoolArrayAttr(makes)));
  auto op = CustomOp::create(builder, node.loc, types, operands, stated);
  if (failed(inferOp(op, shapes)))
    return node.failed = true, false;
  auto result = op.getOutputs().begin();
  for (auto [index, made] : enumerate(makes))
    if (made)
      node.set(index, *result++);
  return true;
}
