//===- Interface.cpp - Inputs and outputs of a model ----------------------===//
// Assumes: a graph whose names were checked.
// Guarantees: `main` has an argument for each tensor that a run gives, and a result for each that it gets: sequences,
//   optionals, and tensors whose rank the run decides are several.
// Declines: types other than these; what is declared of outputs but their element types.

#include "GraphImporter.h"

#include "dialects/ds/ir/ModelAttrs.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// What is shown of a dimension's name: metadata hold C strings, and readers expect UTF-8.
static std::string shown(StringRef name) {
  std::string text = name.str();
  const auto *begin = reinterpret_cast<const UTF8 *>(name.bytes_begin());
  bool isUtf8 = isLegalUTF8String(&begin, begin + name.size());
  for (char &c : text)
    if (c == 0 || (!isUtf8 && !isASCII(c)))
      c = '?';
  return text;
}

/// A size of -1 says, as no size does, that nobody knows it: exporters write both.
static DeclaredDim declaredDim(const onnx::TensorShapeProto::Dimension &dim) {
  if (dim.has_dim_value() && dim.dim_value() != -1)
    return int64_t(dim.dim_value());
  return dim.dim_param();
}

mlir::ElementsAttr GraphImporter::readDefault(const Input &input, SymDims &dims) {
  std::string reason;
  mlir::ElementsAttr value = tensors.read(*input.initial, input.name, reason);
  if (!value)
    return error(reason), mlir::ElementsAttr();
  ArrayRef<int64_t> shape = value.getShapedType().getShape();
  for (auto [index, dim, size] : enumerate(dims, shape))
    if (dim.isConst() && dim.getConst() != size) { // what is declared was compared before
      inputDims.blame();
      return error("input '" + input.name + "': --shape says " + dim.str() + " for dimension " + Twine(index) +
                   ", but its default, the initializer of that name, has " + Twine(size)),
             mlir::ElementsAttr();
    }
  if (input.isUnread)
    dims = SymDims(shape.begin(), shape.end());
  return value;
}

bool GraphImporter::importInputs(const onnx::GraphProto &graph, Scope &scope) {
  for (const onnx::TensorProto &tensor : graph.initializer())
    scope.initializers[tensor.name()] = &tensor;

  std::vector<Input> inputs;
  SmallVector<mlir::Attribute> fixed;
  for (const onnx::ValueInfoProto &info : graph.input()) {
    const onnx::TensorProto *initial = scope.initializers.lookup(info.name());
    const bool isUnread = optional.unread.contains(info.name());
    if (initial && !isUnread && !optional.read.contains(info.name())) {
      fixed.push_back(builder.getStringAttr(info.name()));
      continue;
    }
    auto refuse = [&](const Twine &reason) { return error("input '" + info.name() + "' " + reason); };
    // Several inputs: the elements one after another, and the dims, those of each element of a sequence in a row. An
    // optional tensor is a sequence of one or none.
    if (initial && !isUnread)
      scope.initializers.erase(info.name());
    Item none, &item = isUnread ? none : scope.set(info.name(), Item());
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
    if (!info.type().tensor_type().has_shape() && !initial) {
      item.isBoxed = true;
      for (int64_t rank = 0; rank <= MaxUnknownRank; ++rank)
        item.ranks.push_back(rank);
      addParts(element, {}, ".shape");
      continue;
    }
    Input &input = inputs.emplace_back(Input{info.name(), element, {}, {}, initial, isUnread});
    if (!info.type().tensor_type().has_shape())
      input.dims.assign(initial->dims().begin(), initial->dims().end());
    for (const onnx::TensorShapeProto::Dimension &dim : info.type().tensor_type().shape().dim())
      input.dims.push_back(declaredDim(dim));
    inputDims.reserve(input.dims);
  }

  SmallVector<Type> types;
  SmallVector<SymDims> allDims;
  SmallVector<mlir::ElementsAttr> defaults;
  std::set<std::string> symbols;
  for (const Input &input : inputs) {
    if (input.dims.size() > MaxRank)
      return error("input '" + input.name + "' has " + Twine(input.dims.size()) + " dimensions; at most " +
                   Twine(MaxRank) + " are supported");
    std::string reason;
    std::optional<SymDims> dims = inputDims.resolve(input.name, input.dims, reason);
    if (!dims)
      return error("input '" + input.name + "': " + reason);
    defaults.push_back(input.initial ? readDefault(input, *dims) : mlir::ElementsAttr());
    if (input.initial && !defaults.back())
      return false;
    for (const SymExpr &dim : *dims)
      dim.collectSymbols(symbols);
    types.push_back(typeFromDims(input.element, *dims));
    allDims.push_back(*dims);
  }
  if (std::string reason = inputDims.unusedOption(); !reason.empty())
    return error(reason);
  inputDims.keepOnly(symbols); // dims of unread inputs are numbers

  SmallVector<mlir::NamedAttribute> names, properties;
  for (const auto &[symbol, given] : inputDims.displayNames())
    names.push_back(builder.getNamedAttr(symbol, builder.getStringAttr(shown(given))));
  for (const onnx::StringStringEntryProto &entry : model.metadata_props())
    if (!entry.key().empty() && entry.key() != kGeneratorProperty &&
        none_of(properties, [&](auto known) { return known.getName() == entry.key(); }))
      properties.push_back(builder.getNamedAttr(entry.key(), builder.getStringAttr(entry.value())));
  if (!names.empty())
    (*module)->setAttr(kDimNamesAttr, builder.getDictionaryAttr(names));
  if (!properties.empty())
    (*module)->setAttr(kPropertiesAttr, builder.getDictionaryAttr(properties));

  function = mlir::func::FuncOp::create(module->getLoc(), "main", builder.getFunctionType(types, {}));
  module->push_back(function);
  if (!fixed.empty())
    function->setAttr(kFixedAttr, builder.getArrayAttr(fixed));
  mlir::Block *entry = function.addEntryBlock();
  for (auto [index, input] : enumerate(inputs)) {
    function.setArgAttr(index, kNameAttr, builder.getStringAttr(input.name));
    function.setArgAttr(index, kShapeArgAttr, ShapeAttr::get(&context, ArrayRef<SymExpr>(allDims[index])));
    entry->getArgument(index).setLoc(mlir::NameLoc::get(builder.getStringAttr(input.name)));
    Value argument = entry->getArgument(index);
    if (input.isUnread)
      continue;
    if (defaults[index])
      function.setArgAttr(index, kDefaultAttr, defaults[index]);
    if (input.of.empty()) {
      scope.set(input.name, Item(argument));
      continue;
    }
    Item &item = *scope.lookup(input.of);
    if (!item.sequence)
      item.sequence.emplace();
    StringRef part = StringRef(input.name).drop_front(input.of.size());
    (part == ".data" ? item.sequence->data : part == ".present" ? item.present : item.sequence->shapes) = argument;
  }
  builder.setInsertionPointToEnd(entry);
  if (failed(seedArguments(function.getBody(), shapes)))
    return false;
  for (const Input &input : inputs) {
    Item *item = input.of.empty() ? nullptr : scope.lookup(input.of);
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

bool GraphImporter::importOutputs(const onnx::GraphProto &graph, Scope &scope) {
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
  endDrawing();
  return true;
}
