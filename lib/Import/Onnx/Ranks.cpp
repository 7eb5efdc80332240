//===- Ranks.cpp - Ranks that the run decides -----------------------------===//
// Assumes: a node that takes a tensor whose rank only the run tells (it is boxed: its elements, and a list with its
//   dims), a whole sequence of such, or a list whose length decides the rank of what the node makes.
// Guarantees: in all three cases the run decides one small number. From the node on, the graph is imported once for
// each
//   that it may be, with a known rank or length; the run takes one of them. What they
//   make comes together again at the graph's end, boxed where the ranks differ. Lengths for which the rest cannot be
//   compiled (a convolution of a matrix, or an output of another rank than it is declared with) are left out, and a run
//   that needs one ends with the reason.
// Declines: ranks above MaxUnknownRank.

#include "DataShapes.h"
#include "GraphImporter.h"

#include "dialects/ds/shape/ShapeBinder.h"

#include "llvm/ADT/ScopeExit.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::NodeProto;

bool GraphImporter::hasUnknownRank(const Item &item) {
  return item.sequence && (item.isBoxed || item.sequence->isMixed);
}

void GraphImporter::addRanks(Item &item, ArrayRef<int64_t> ranks) {
  for (int64_t rank : ranks)
    if (!is_contained(item.ranks, rank))
      item.ranks.push_back(rank);
  llvm::sort(item.ranks);
}

bool GraphImporter::importBoxedShape(Node &node, const NodeProto &proto, Scope &scope) {
  bool isShape = proto.op_type() == "Shape";
  if (!normalDomain(proto.domain()).empty() || !(isShape || proto.op_type() == "Size") || proto.input_size() != 1)
    return false;
  Item *item = find(scope, proto.input(0));
  if (!item || !item->isBoxed)
    return false;
  readAttributes(node, proto);
  Value result;
  if (isShape) {
    Value list = item->sequence->shapes;
    SymExpr rank = node.dim(list, 1);
    auto place = [&](int64_t at) {
      return at < 0 ? SymExpr::max(rank + SymExpr(at), SymExpr(0)) : SymExpr::min(SymExpr(at), rank);
    };
    SymExpr start = place(node.getInt("start", 0)), end = node.hasAttr("end") ? place(node.getInt("end", 0)) : rank;
    result = node.sliceAxis(node.reshape(list, {rank}), 0, start, SymExpr::max(end - start, SymExpr(0)));
  } else {
    result = asScalar(node, node.make<ShapeOfOp>({item->sequence->data}, {}, builder.getI64Type()));
  }
  if (node.wants(0))
    scope.set(proto.output(0), Item(result));
  return true;
}

/// An input whose rank must be known before the node can be looked at, or ""; nothing after an error.
std::optional<std::string> GraphImporter::inputOfUnknownRank(const NodeProto &proto, Scope &scope) {
  StringRef op = proto.op_type();
  bool isOwn = normalDomain(proto.domain()).empty();
  if (isOwn && op == "Identity")
    return std::string();
  for (auto [index, name] : enumerate(proto.input())) {
    Item *item = name.empty() ? nullptr : find(scope, name);
    if (!item && !name.empty())
      return std::nullopt;
    if (!item || !hasUnknownRank(*item))
      continue;
    bool onSequence = op == "SequenceLength" || op == "SequenceAt" || op == "SequenceInsert" || op == "SequenceErase";
    if (!item->isBoxed && isOwn && (onSequence || op.starts_with("Optional") || (op == "Loop" && index >= 2)))
      continue;
    // A loop hands on what is boxed.
    if (item->isBoxed && isOwn && (op == "Shape" || op == "Size" || (op == "Loop" && index >= 2)))
      continue;
    return name;
  }
  return std::string();
}

bool GraphImporter::importUndecided(Node &node, const NodeProto &proto, mlir::Operation *last, Scope &scope,
                                    const Opsets &opsets, int depth) {
  auto at = llvm::find(node.inputs, node.undecided);
  node.failed = false;
  // Other dims must be known: the tensor is reshaped.
  SymDims dims = node.dims(node.undecided);
  bool others = all_of(enumerate(dims), [&](auto dim) {
    return dim.index() == node.undecidedAxis || shapes.isKnownOnEntry(dim.value());
  });
  if (at == node.inputs.end() || node.undecidedAxis >= dims.size() || !others || !rest)
    return node.fail(node.problem), false;
  // Nothing uses what was made so far.
  mlir::Block *block = builder.getInsertionBlock();
  while (!block->empty() && &block->back() != last) {
    mlir::Operation *op = &block->back();
    forget(op);
    op->erase();
  }
  if (!last) // what numbers are drawn by went with it
    drawing->epoch = drawing->seed = {};
  return importByLength(node, proto, proto.input(int(at - node.inputs.begin())), scope, opsets, depth,
                        node.undecidedAxis);
}

bool GraphImporter::importByLength(Node &node, const NodeProto &proto, StringRef name, Scope &scope,
                                   const Opsets &opsets, int depth, unsigned axis) {
  if (divergences >= MaxDivergences)
    return node.fail("more than " + Twine(MaxDivergences) +
                     " values, one after another, of which only the run knows the rank"),
           false;
  llvm::scope_exit leave([&] { --divergences; });
  ++divergences;
  Rest after = *rest;
  --after.next; // the node itself, too
  Item *given = find(scope, name);
  if (!given)
    return false;
  const Item item = *given;
  // By which a list that was derived from this one is known to be as long. (Names of sequences are not unique.)
  std::string length = item.tensor    ? node.dim(item.tensor, axis).str()
                       : item.isBoxed ? node.dim(item.sequence->shapes, 1).str()
                                      : "";

  SmallVector<int64_t> candidates = item.ranks;
  if (auto known = lengths.find(length); !length.empty() && known != lengths.end())
    candidates.assign({known->second});
  else if (!item.isBoxed)
    for (int64_t i = 0; i <= MaxUnknownRank; ++i)
      candidates.push_back(i);

  auto importWith = [&](Node &n, int64_t count, Scope &inner) {
    Item *inside = find(inner, name);
    if (!inside)
      return false;
    const Item copy = *inside;
    inner.set(name, withLength(n, copy, count, axis));
    auto [entry, isNew] = lengths.try_emplace(length, count);
    llvm::scope_exit forget([&, isNew = isNew] {
      if (isNew)
        lengths.erase(length);
    });
    return !n.failed && importRest(n, inner, opsets, depth, after);
  };

  SmallVector<int64_t> good;
  std::string reason;
  int64_t reasonOf = 0;
  // What is wrong with a later node tells more than that this one cannot have the rank; of ranks, small ones are
  // likelier.
  bool isOwnReason = true;
  const std::string own = "node '" + nodeName(proto) + "'";
  for (int64_t count : candidates) {
    Attempt attempt(*this, scope);
    Node one(builder, shapes, node.loc);
    std::string problem = quietly([&] { return importWith(one, count, scope); });
    attempt.takeBack();
    if (problem.empty()) {
      good.push_back(count);
    } else if (bool isOwn = StringRef(problem).starts_with(own);
               reason.empty() || (isOwnReason && !isOwn) || (isOwnReason == isOwn && count <= 4)) {
      reason = problem;
      reasonOf = count;
      isOwnReason = isOwn;
    }
  }
  if (good.empty())
    return node.fail("only the run knows the rank that '" + name + "' decides, and none can be compiled" +
                     (reason.empty() ? Twine() : "; for " + Twine(reasonOf) + ": " + reason)),
           false;
  rest->done = true;
  std::string what = !item.tensor                  ? "rank"
                     : node.rank(item.tensor) == 1 ? "a length of"
                                                   : "in dimension " + std::to_string(axis) + " a size of";
  auto require = [&](const Item &here, int64_t count) {
    std::string text;
    for (int64_t one : good)
      text += (text.empty() ? "" : one == good.back() ? " or " : ", ") + std::to_string(one);
    text =
        (Twine("'") + name + "' to have " + what + " " + text +
         (reason.empty() ? Twine() : "; other ones cannot be compiled (for " + Twine(reasonOf) + ": " + reason + ")"))
            .str();
    requireSize(node, undecidedLength(node, here, axis), SymExpr(count), text);
  };
  if (good.size() == 1) {
    require(item, good.front());
    return !node.failed && importWith(node, good.front(), scope);
  }

  SmallVector<StringRef> names = outputsToMake(after, scope);
  // One after another: is it the first length, or else ...
  std::function<bool(size_t, Scope &, SmallVectorImpl<Item> &)> choose = [&](size_t next, Scope &at,
                                                                             SmallVectorImpl<Item> &results) {
    Item *here = find(at, name);
    if (!here)
      return false;
    if (next + 1 == good.size()) {
      require(*here, good[next]);
      return !node.failed && importWith(node, good[next], at) && collect(names, at, results);
    }
    Value size = asScalar(node, undecidedLength(node, *here, axis));
    Value isIt = node.compare(ComparePredicate::eq, size, node.intScalar(good[next], builder.getI64Type()));
    auto build = [&](int branch, Body &body, SmallVectorImpl<Item> &items) {
      Scope inner(&at, &body);
      return branch == 0 ? importWith(node, good[next], inner) && collect(names, inner, items)
                         : choose(next + 1, inner, items);
    };
    std::string unlike;
    Choice choice{good[next], (!item.tensor ? "the rank of '" + name + "'"
                               : node.rank(item.tensor) == 1
                                   ? "the length of the list '" + name + "', which decides a rank"
                                   : "dimension " + Twine(axis) + " of '" + name + "', which decides a rank")
                                  .str()};
    if (node.failed || !runBranches(node, isIt, build, results, unlike, /*box=*/true, &choice))
      return unlike.empty()
                 ? false
                 : (node.fail("different ranks lead to outputs of the graph that are not alike: " + unlike), false);
    return true;
  };
  SmallVector<Item> results;
  if (!choose(0, scope, results))
    return false;
  for (auto [output, made] : zip_equal(names, results))
    scope.set(output, made);
  return true;
}
