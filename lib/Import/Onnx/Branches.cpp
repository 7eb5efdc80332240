//===- Branches.cpp - Branches that run-time values decide ----------------===//
// Assumes: attributes satisfy the operator's schema.
// Guarantees: each branch is a function of its own that gets what it uses of the graph around it; ds.if runs one.
// Declines: branches whose results are not alike (Divergence.cpp).

#include "GraphImporter.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::GraphProto;
using onnx::NodeProto;

std::string GraphImporter::difference(ArrayRef<Item> a, ArrayRef<Item> b) {
  for (auto [x, y] : zip_equal(a, b)) {
    if (bool(x.tensor) != bool(y.tensor) || x.isOptional != y.isOptional || x.isBoxed != y.isBoxed ||
        bool(x.present) != bool(y.present))
      return "one is a tensor, the other is not";
    if (x.sequence.has_value() != y.sequence.has_value() || (x.list && x.list->size() != y.list->size()))
      return "the sequences are not alike";
  }
  SmallVector<Value> left, right;
  flatten(a, left);
  flatten(b, right);
  for (auto [x, y] : zip_equal(left, right)) {
    auto type = cast<mlir::RankedTensorType>(x.getType()), other = cast<mlir::RankedTensorType>(y.getType());
    if (type.getElementType() != other.getElementType())
      return "the element types differ";
    if (type.getRank() != other.getRank())
      return "the ranks are " + std::to_string(type.getRank()) + " and " + std::to_string(other.getRank());
  }
  return "";
}

bool GraphImporter::runBranches(Node &node, Value condition,
                                function_ref<bool(int, Body &, SmallVectorImpl<Item> &)> build,
                                SmallVectorImpl<Item> &results, std::string &reason, bool box, const Choice *choice) {
  Body both[2] = {{*this, node.loc, builder.getInsertionBlock()}, {*this, node.loc, builder.getInsertionBlock()}};
  SmallVector<Item> items[2];
  for (int i : {0, 1}) {
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&both[i].function.getBody().front());
    SaveAndRestore draws(drawing, &both[i].drawing);
    if (!build(i, both[i], items[i]))
      return false;
  }
  auto convert = [&](int i, Item &item, function_ref<Item(const Item &)> into) {
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&both[i].function.getBody().front());
    item = into(item);
  };
  // Sequences whose elements have another rank in each branch.
  auto mixBoth = [&](Item &x, Item &y) {
    if (node.failed || !x.sequence || !y.sequence ||
        (x.sequence->isMixed == y.sequence->isMixed && x.sequence->rank() == y.sequence->rank()))
      return;
    convert(0, x, [&](const Item &item) { return mixed(node, item); });
    convert(1, y, [&](const Item &item) { return mixed(node, item); });
  };
  // Sequences of different lengths are the run's, and tensors of different ranks can be.
  for (auto [x, y] : zip_equal(items[0], items[1])) {
    bool ranksDiffer = x.tensor && y.tensor && node.rank(x.tensor) != node.rank(y.tensor);
    if ((box && ranksDiffer) || x.isBoxed != y.isBoxed) {
      convert(0, x, [&](const Item &item) { return boxed(node, item); });
      convert(1, y, [&](const Item &item) { return boxed(node, item); });
    }
    addRanks(x, y.ranks);
    if (x.isOptional && y.isOptional &&
        (bool(x.tensor) != bool(y.tensor) || bool(x.list) != bool(y.list) || x.sequence || y.sequence)) {
      OptionalKind kind = kindOf(node, x), other = kindOf(node, y);
      if (!kind.isKnown())
        kind = other;
      if (!kind.isKnown())
        continue; // neither is there
      convert(0, x, [&](const Item &item) { return asRunTimeOptional(node, item, kind); });
      convert(1, y, [&](const Item &item) { return asRunTimeOptional(node, item, kind); });
      mixBoth(x, y);
      continue;
    }
    if (x.isBoxed || !(x.list || x.sequence) || !(y.list || y.sequence) ||
        (x.list && y.list && x.list->size() == y.list->size()))
      continue;
    auto rankOf = [&](const Item &item) -> std::optional<unsigned> {
      if (item.sequence)
        return item.sequence->isMixed ? 0 : item.sequence->rank();
      return item.list->empty() ? std::optional<unsigned>() : node.rank(item.list->front());
    };
    std::optional<unsigned> rank = rankOf(x) ? rankOf(x) : rankOf(y);
    convert(0, x, [&](const Item &item) { return asSequence(node, item, rank); });
    convert(1, y, [&](const Item &item) { return asSequence(node, item, rank); });
    mixBoth(x, y);
  }
  if (node.failed)
    return false;
  reason = difference(items[0], items[1]);
  if (!reason.empty())
    return false;

  SmallVector<Value> values[2];
  std::set<std::string> inner;
  for (int i : {0, 1}) {
    flatten(items[i], values[i]);
    both[i].finish(values[i]);
    std::set<std::string> names = both[i].innerSymbols();
    inner.insert(names.begin(), names.end());
  }
  SmallVector<Type> types;
  SmallVector<SymDims> allDims;
  SmallVector<SymExpr> symbols;
  for (auto [x, y] : zip_equal(values[0], values[1])) {
    SymDims left = *shapes.getDims(x), right = *shapes.getDims(y);
    for (auto [l, r] : zip_equal(left, right))
      if (l != r)
        l = shapes.freshSymbol();
    allDims.push_back(dimsOutside(left, inner, symbols));
    types.push_back(typeFromDims(node.elem(x), allDims.back()));
  }
  SmallVector<Value> operands{condition};
  append_range(operands, both[0].captured);
  append_range(operands, both[1].captured);
  auto op = IfOp::create(builder, node.loc, types, operands,
                         ArrayRef<mlir::NamedAttribute>{
                             node.segments({1, int32_t(both[0].captured.size()), int32_t(both[1].captured.size())}),
                             builder.getNamedAttr("then_body", mlir::FlatSymbolRefAttr::get(both[0].function)),
                             builder.getNamedAttr("else_body", mlir::FlatSymbolRefAttr::get(both[1].function)),
                             shapesAttr(allDims), node.shape("symbols", symbols)});
  if (choice) {
    op.setNumber(choice->number);
    op.setDecides(choice->decides);
  }
  if (failed(inferOp(op, shapes)))
    return node.failed = true, false;
  SmallVector<Value> outputs(op.getOutputs());
  ArrayRef<Value>::iterator made = outputs.begin();
  for (const Item &item : items[0])
    results.push_back(rebuild(item, made));
  return true;
}

bool GraphImporter::importRunTimeIf(Node &node, const NodeProto &proto, const GraphProto &thenGraph,
                                    const GraphProto &elseGraph, Scope &scope, const Opsets &opsets, int depth) {
  Value condition = asScalar(node, node.in(0));
  if (node.failed)
    return false;
  const GraphProto *graphs[2] = {&thenGraph, &elseGraph};
  Attempt attempt(*this, scope);
  Node quiet(builder, shapes, node.loc); // whose failure is not the node's yet
  quiet.wanted = node.wanted;
  SmallVector<Item> results;
  std::string unlike;
  int building = 0;
  metUnsupported = false;
  std::string problem = quietly([&] {
    auto build = [&](int i, Body &body, SmallVectorImpl<Item> &items) {
      building = i;
      SmallVector<Item> all;
      if (!importGraph(quiet, *graphs[i], {}, node.wanted, scope, opsets, depth, all, &body))
        return false;
      for (auto [item, want] : zip_equal(all, node.wanted))
        if (want)
          items.push_back(item);
      return true;
    };
    return runBranches(quiet, condition, build, results, unlike);
  });
  if (!problem.empty()) {
    attempt.takeBack();
    // A branch that is no part of the program for an operator's sake is missed, not avoided.
    if (metUnsupported) {
      std::string name = getNodeName(node.loc).value_or(NodeName{}).name;
      if (auto stated = statedBranches.find(name); stated != statedBranches.end())
        return importStatedIf(node, proto, *graphs[stated->second ? 0 : 1], stated->second, scope, opsets, depth);
      node.failed = true;
      bool isHinted = StringRef(problem).contains("--force-static");
      return error(
          problem +
          (isHinted ? "" : "; --force-static=" + name + "=" + std::to_string(building) + " leaves out that branch"));
    }
    return importDivergingIf(node, proto, thenGraph, elseGraph, scope, opsets, depth);
  }
  auto item = results.begin();
  for (auto [name, want] : zip(proto.output(), node.wanted))
    if (want)
      scope.set(name, *item++);
  return true;
}
