//===- Divergence.cpp - Branches after which nothing is the same ----------===//
// Assumes: an If that the run decides, whose branches' results differ in rank, or of which one cannot be compiled.
// Guarantees: what follows in the graph is imported for each branch by itself. Where that succeeds for one only, the
//   program takes that one, and a run whose condition says otherwise ends with the reason why the other one cannot be.
//   Where it succeeds for both, each branch goes on to the graph's end.
// Declines: what it takes for tensors whose rank the run decides otherwise (Ranks.cpp).

#include "GraphImporter.h"

#include "dialects/ds/shape/ShapeBinder.h"
#include "mlir/IR/Diagnostics.h"

#include "llvm/ADT/ScopeExit.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::GraphProto;
using onnx::NodeProto;

GraphImporter::Attempt::Attempt(GraphImporter &importer, Scope &scope)
    : importer(importer), scope(scope), mark(scope.mark()), block(importer.builder.getInsertionBlock()),
      firstBody(importer.bodies.size()) {
  // What comes after it is the attempt's.
  mlir::OpBuilder &builder = importer.builder;
  auto type = mlir::RankedTensorType::get({}, builder.getI1Type());
  auto op = ConstantOp::create(builder, builder.getUnknownLoc(), mlir::DenseElementsAttr::get(type, false));
  importer.shapes.setDims(op, {});
  marker = op;
}

void GraphImporter::Attempt::takeBack() {
  // Constants stay: scopes further out may know them by their names.
  while (&block->back() != marker) {
    mlir::Operation *op = &block->back();
    if (isa<ConstantOp>(op)) {
      op->moveBefore(marker);
      continue;
    }
    importer.forget(op);
    op->erase();
  }
  for (mlir::func::FuncOp body : drop_begin(importer.bodies, firstBody)) {
    importer.forget(body);
    body.erase();
  }
  importer.bodies.truncate(firstBody);
  scope.takeBack(mark);
}

std::string GraphImporter::quietly(function_ref<bool()> import) {
  std::string reason;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    if (reason.empty() && diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
      reason = diagnostic.str();
    return mlir::success();
  });
  bool good = import();
  return good ? "" : reason.empty() ? "it cannot be imported" : reason;
}

/// Whether the graph's rest, too, can be imported with one branch in the place of the node.
bool GraphImporter::importWithRest(Node &node, const NodeProto &proto, const GraphProto &branch, Scope &scope,
                                   const Opsets &opsets, int depth, const Rest &after) {
  SmallVector<Item> results;
  if (!importGraph(node, branch, {}, node.wanted, scope, opsets, depth, results))
    return false;
  for (auto [output, item, want] : zip(proto.output(), results, node.wanted))
    if (want)
      scope.set(output, item);
  return importRest(node, scope, opsets, depth, after);
}

bool GraphImporter::importRest(Node &node, Scope &scope, const Opsets &opsets, int depth, const Rest &after) {
  const Surroundings *inside = std::exchange(around, after.around);
  bool good = importFrom(*after.nodes, after.next, *after.plan, *after.outputs, scope, opsets, after.caller, depth);
  around = inside;
  if (!good || !after.around->graph)
    return good;
  // What the graph says of its outputs rules branches out, too.
  for (const onnx::ValueInfoProto &output : after.around->graph->output()) {
    const Item *found = scope.lookup(output.name());
    if (!found || !found->tensor || !output.type().tensor_type().has_shape())
      continue;
    int rank = output.type().tensor_type().shape().dim_size(), actual = int(node.rank(found->tensor));
    if (rank != actual)
      return node.fail("output '" + output.name() + "' would have rank " + Twine(actual) +
                       ", but it is declared with " + Twine(rank)),
             false;
  }
  return true;
}

SmallVector<StringRef> GraphImporter::outputsToMake(const Rest &after, const Scope &scope) {
  SmallVector<StringRef> names;
  for (const auto &output : *after.outputs)
    if (!scope.lookup(output.first()))
      names.push_back(output.first());
  llvm::sort(names);
  return names;
}

bool GraphImporter::collect(ArrayRef<StringRef> names, Scope &scope, SmallVectorImpl<Item> &items) {
  for (StringRef name : names) {
    Item *item = find(scope, name);
    if (!item)
      return false;
    items.push_back(*item);
  }
  return true;
}

/// The run must take branch `taken`.
void GraphImporter::requireBranch(Node &node, Value condition, bool taken, StringRef reason) {
  mlir::emitWarning(node.loc) << "only the branch for a condition that is " << (taken ? "true" : "false")
                              << " can be compiled; a run that needs the other one ends with an error (" << reason
                              << ")";
  requireSize(node, condition, SymExpr(taken),
              (Twine("a condition that is ") + (taken ? "true" : "false") +
               ", since the other branch cannot be compiled (" + reason + ")")
                  .str());
}

void GraphImporter::requireSize(Node &node, Value value, const SymExpr &expected, const Twine &message) {
  if (node.failed)
    return;
  SmallVector<SymExpr> found;
  if (std::optional<SmallVector<SymExpr>> known = shapes.getContents(value)) {
    found = *known;
  } else {
    ShapeBinder binder(builder, shapes);
    binder.setLoc(node.loc);
    found = binder.bind(binder.asList(value));
    node.failed |= binder.hasFailed();
  }
  if (node.failed || found.empty())
    return void(node.failed = true);
  auto shape = [&](const SymExpr &expr) { return ShapeAttr::get(&context, ArrayRef<SymExpr>{expr}); };
  auto op = RequireOp::create(builder, node.loc, shape(found[0]), shape(expected), message.str());
  node.failed |= failed(inferOp(op, shapes));
}

/// The branch that the user says is taken, in the node's place.
bool GraphImporter::importStatedIf(Node &node, const NodeProto &proto, const GraphProto &branch, bool taken,
                                   Scope &scope, const Opsets &opsets, int depth) {
  Value condition = asScalar(node, node.in(0));
  if (node.failed)
    return false;
  requireSize(node, condition, SymExpr(taken),
              Twine("a condition that is ") + (taken ? "true" : "false") + ", which --force-static says");
  SmallVector<Item> results;
  if (node.failed || !importGraph(node, branch, {}, node.wanted, scope, opsets, depth, results))
    return false;
  for (auto [output, item, want] : zip(proto.output(), results, node.wanted))
    if (want)
      scope.set(output, item);
  return true;
}

bool GraphImporter::importDivergingIf(Node &node, const NodeProto &proto, const GraphProto &thenGraph,
                                      const GraphProto &elseGraph, Scope &scope, const Opsets &opsets, int depth) {
  if (divergences >= MaxDivergences)
    return node.fail("more than " + Twine(MaxDivergences) +
                     " branches, one after another, whose results are not alike"),
           false;
  llvm::scope_exit leave([&] { --divergences; });
  ++divergences;
  const GraphProto *branches[] = {&thenGraph, &elseGraph};
  Rest after = *rest;
  Value condition = asScalar(node, node.in(0));
  if (node.failed)
    return false;
  std::string reasons[2];
  for (int i : {0, 1}) {
    Attempt attempt(*this, scope);
    Node one(builder, shapes, node.loc);
    one.wanted = node.wanted;
    reasons[i] = quietly([&] { return importWithRest(one, proto, *branches[i], scope, opsets, depth, after); });
    attempt.takeBack();
  }
  if (!reasons[0].empty() && !reasons[1].empty())
    return node.fail("neither branch can be compiled; with then_branch: " + reasons[0] +
                     "; with else_branch: " + reasons[1]),
           false;
  rest->done = true;
  for (int i : {0, 1}) {
    if (reasons[1 - i].empty())
      continue;
    requireBranch(node, condition, i == 0, reasons[1 - i]);
    return !node.failed && importWithRest(node, proto, *branches[i], scope, opsets, depth, after);
  }

  // Both: the graph's end is in each of them.
  SmallVector<StringRef> names = outputsToMake(after, scope);
  auto build = [&](int i, Body &body, SmallVectorImpl<Item> &items) {
    Scope inner(&scope, &body);
    return importWithRest(node, proto, *branches[i], inner, opsets, depth, after) && collect(names, inner, items);
  };
  SmallVector<Item> results;
  std::string reason;
  if (!runBranches(node, condition, build, results, reason, /*box=*/true))
    return reason.empty()
               ? false
               : (node.fail("the branches lead to outputs of the graph that are not alike: " + reason), false);
  for (auto [name, item] : zip_equal(names, results))
    scope.set(name, item);
  return true;
}
