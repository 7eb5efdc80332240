//===- Sequences.cpp - Values of the importer as sequences of the run ------===//
// Assumes: the elements of one sequence have the same type.
// Guarantees: lists, optionals and tensors of undecided rank become the tensors that a loop carries or a branch returns
//   (SequenceBuilder.h), and items again.
// Declines: sequences of sequences.

#include "DataShapes.h"
#include "SequenceBuilder.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

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
