//===- Lists.cpp - Sequences and optionals that importing resolves --------===//
// Assumes: attributes satisfy the operator's schema.
// Guarantees: sequences whose length and positions are known while importing vanish: they are lists of values.
// Declines: positions that are computed while the model runs, and lists as inputs or outputs of the model.

#include "GraphImporter.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

bool GraphImporter::importListOperator(Node &node, const onnx::NodeProto &proto, Scope &scope) {
  StringRef op = node.op;
  bool isIdentity = op == "Identity";
  if (!isIdentity && !op.contains("Sequence") && !op.starts_with("Optional"))
    return false;
  if (op == "ReverseSequence" || op == "SequenceMap")
    return false;
  SmallVector<Item *> items;
  for (const std::string &name : proto.input()) {
    items.push_back(name.empty() ? nullptr : find(scope, name));
    if (!name.empty() && !items.back())
      return node.failed = true;
  }
  if (isIdentity && (items.empty() || !items[0] || (items[0]->tensor && !items[0]->isOptional)))
    return false;

  readAttributes(node, proto);
  if (node.failed)
    return true;

  // What the run makes or where the run decides.
  bool atRunTime = any_of(items, [](Item *item) { return item && item->sequence; });
  if (op == "SequenceAt" || op == "SequenceErase" || op == "SequenceInsert") {
    Item *at = items.size() > (op == "SequenceInsert" ? 2u : 1u) ? items.back() : nullptr;
    atRunTime |= at && at->tensor && !node.constantInts(at->tensor);
  } else if (op == "SplitToSequence" && items[0] && items[0]->tensor) {
    int64_t axis = node.axis(node.getInt("axis", 0), node.rank(items[0]->tensor));
    SymExpr size = node.failed ? SymExpr(0) : node.dim(items[0]->tensor, unsigned(axis));
    atRunTime |= !size.isConst() || size.getConst() > MaxListLength;
    atRunTime |= items.size() > 1 && items[1] && items[1]->tensor && !node.constantInts(items[1]->tensor);
  }
  if (node.failed)
    return true;
  if (atRunTime)
    return importSequenceOperator(node, proto, items, scope);

  auto output = [&](Item item) {
    if (proto.output_size() && !node.failed)
      scope.set(proto.output(0), std::move(item));
    return true;
  };
  auto tensor = [&](Value value) { return output(Item(value)); };
  auto operand = [&](unsigned i) -> Value {
    if (i >= items.size() || !items[i])
      return {};
    if (!items[i]->tensor)
      return node.fail("input " + Twine(i) + " must be a tensor");
    return items[i]->tensor;
  };
  auto list = [&](unsigned i) -> SmallVector<Value> {
    if (i < items.size() && items[i] && items[i]->list)
      return *items[i]->list;
    node.fail("input " + Twine(i) + " must be a sequence");
    return {};
  };
  // A position in a list of `size` entries; one past the end where something is inserted.
  auto position = [&](unsigned i, int64_t size, int64_t otherwise) -> int64_t {
    Value value = operand(i);
    if (!value)
      return otherwise;
    int64_t at = node.requireInt(value, "position");
    int64_t bound = op == "SequenceInsert" ? size : size - 1;
    if (!node.failed && (at < -size || at > bound))
      node.fail("position " + Twine(at) + " is out of range in a sequence of " + Twine(size));
    return node.failed ? 0 : at < 0 ? at + size : at;
  };
  auto boolean = [&](bool value) { return tensor(node.scalar(value, builder.getI1Type())); };

  if (isIdentity)
    return output(*items[0]);
  if (op == "SequenceEmpty") {
    Type element = elementType(&context, int(node.getInt("dtype", 1)));
    if (!element)
      return node.fail("element type is not supported"), true;
    return output(Item(SmallVector<Value>(), element));
  }
  if (op == "SequenceConstruct") {
    SmallVector<Value> values;
    for (unsigned i = 0; i < items.size(); ++i)
      values.push_back(operand(i));
    return output(Item(values));
  }
  if (op == "SequenceAt") {
    SmallVector<Value> values = list(0);
    int64_t at = node.failed ? 0 : position(1, values.size(), 0);
    return node.failed || values.empty() ? (node.fail("the sequence is empty"), true) : tensor(values[at]);
  }
  if (op == "SequenceInsert" || op == "SequenceErase") {
    SmallVector<Value> values = list(0);
    bool insert = op == "SequenceInsert";
    int64_t at = node.failed ? 0 : position(insert ? 2 : 1, values.size(), insert ? values.size() : values.size() - 1);
    if (!insert && values.empty())
      return node.fail("the sequence is empty"), true;
    if (node.failed)
      return true;
    if (insert)
      values.insert(values.begin() + at, operand(1));
    else
      values.erase(values.begin() + at);
    return output(Item(values));
  }
  if (op == "SequenceLength") {
    SmallVector<Value> values = list(0);
    return tensor(node.intScalar(values.size(), builder.getI64Type()));
  }
  if (op == "ConcatFromSequence") {
    SmallVector<Value> values = list(0);
    if (values.empty())
      return node.fail("the sequence is empty"), true;
    bool fresh = node.getInt("new_axis", 0) != 0;
    int64_t axis = node.axis(node.getInt("axis", 0), node.rank(values[0]) + fresh);
    if (fresh)
      for (Value &value : values)
        value = node.unsqueeze(value, {axis});
    return tensor(node.concat(values, axis));
  }
  if (op == "SplitToSequence") {
    Value x = operand(0);
    int64_t axis = node.axis(node.getInt("axis", 0), node.rank(x));
    int64_t size = node.failed ? 0 : node.staticDim(x, axis, "the input");
    bool each = items.size() < 2 || !items[1];
    Ints parts;
    if (each) {
      parts.assign(size, 1);
    } else {
      parts = node.requireInts(operand(1), "split");
      if (!node.failed && node.rank(operand(1)) == 0) {
        int64_t step = parts[0];
        if (step < 1)
          return node.fail("'split' must be positive"), true;
        parts.clear();
        for (int64_t at = 0; at < size; at += step)
          parts.push_back(std::min(step, size - at));
      }
    }
    SmallVector<Value> values;
    int64_t start = 0;
    for (int64_t part : parts) {
      if (part < 0 || part > size - start)
        return node.fail("'split' does not fit dimension " + Twine(axis) + " of size " + Twine(size)), true;
      Value value = node.sliceAxis(x, axis, SymExpr(start), SymExpr(part));
      values.push_back(each && !node.getInt("keepdims", 1) ? node.squeeze(value, {axis}) : value);
      start += part;
    }
    if (!node.failed && start != size)
      return node.fail("'split' covers " + Twine(start) + " of " + Twine(size) + " entries"), true;
    return output(Item(values));
  }
  if (op == "Optional") {
    Item item = items.empty() || !items[0] ? Item() : *items[0];
    item.isOptional = true;
    return output(item);
  }
  if (op == "OptionalHasElement")
    return boolean(!items.empty() && items[0] && (items[0]->tensor || items[0]->list));
  if (op == "OptionalGetElement") {
    if (items.empty() || !items[0] || (!items[0]->tensor && !items[0]->list))
      return node.fail("the optional is empty"), true;
    Item item = *items[0];
    item.isOptional = false;
    return output(item);
  }
  return false;
}
