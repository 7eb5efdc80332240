//===- Requirements.cpp - What a run's sizes must fulfil ------------------===//
// Guarantees: see Requirements.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/Requirements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include <unordered_set>

using namespace mlir;

namespace ds {
namespace {

class Collector {
public:
  void add(ShapeConstraint constraint) {
    if (seen.emplace(constraint.kind, constraint.a.id(), constraint.b.id()).second)
      all.push_back(std::move(constraint));
  }
  void addKept(func::FuncOp function);
  /// No dim is negative.
  void addDims(func::FuncOp function, const ShapeState &state);

  SmallVector<ShapeConstraint> all;

private:
  std::set<std::tuple<int, const void *, const void *>> seen; // by the sides' ids, which live in `all`
};

} // namespace

void Collector::addKept(func::FuncOp function) {
  auto kept = function->getAttrOfType<ArrayAttr>(kRequirementsAttr);
  if (!kept)
    return;
  for (auto entry : kept.getAsRange<DictionaryAttr>()) {
    auto sides = entry.getAs<ShapeAttr>("sides");
    auto kind = entry.getAs<IntegerAttr>("kind");
    auto message = entry.getAs<StringAttr>("message");
    if (sides && sides.size() == 2 && kind && message)
      add({sides.getDim(0), sides.getDim(1), ShapeConstraint::Kind(kind.getInt()), message.str()});
  }
}

void Collector::addDims(func::FuncOp function, const ShapeState &state) {
  std::unordered_set<SymExpr, SymExpr::Hash> known;
  function.walk([&](Operation *op) {
    for (Value result : op->getResults())
      if (auto dims = state.getDims(result))
        for (const SymExpr &dim : *dims)
          if (!dim.isOverflow() && !dim.isNonNegative() && known.insert(dim).second)
            add({SymExpr(0), dim, ShapeConstraint::LessEqual,
                 describeNode(op) + ": its result would have the negative dimension " + dim.str()});
  });
}

/// {sides, kind, message}.
static DictionaryAttr describeRequirement(MLIRContext *context, const ShapeConstraint &constraint) {
  Builder builder(context);
  auto sides = ShapeAttr::get(context, ArrayRef<SymExpr>{constraint.a, constraint.b});
  return builder.getDictionaryAttr({builder.getNamedAttr("sides", sides),
                                    builder.getNamedAttr("kind", builder.getI64IntegerAttr(constraint.kind)),
                                    builder.getNamedAttr("message", builder.getStringAttr(constraint.message))});
}

void keepRequirements(func::FuncOp function, const ShapeState &state, size_t skip) {
  Collector found;
  found.addKept(function);
  auto named = [&](const SymExpr &expr) { return !expr.isOverflow() && state.isKnownOnEntry(expr); };
  for (const ShapeConstraint &constraint : state.getConstraints().drop_front(skip))
    if (named(constraint.a) && named(constraint.b))
      found.add(constraint);
  Collector dims;
  dims.addDims(function, state);
  for (ShapeConstraint &constraint : dims.all)
    if (named(constraint.b))
      found.add(std::move(constraint));
  if (found.all.empty())
    return;
  SmallVector<Attribute> all;
  for (const ShapeConstraint &constraint : found.all)
    all.push_back(describeRequirement(function.getContext(), constraint));
  function->setAttr(kRequirementsAttr, ArrayAttr::get(function.getContext(), all));
}

SmallVector<ShapeConstraint> allRequirements(func::FuncOp function, const ShapeState &state) {
  std::set<std::string> defined;
  auto define = [&](ShapeAttr shape) {
    for (const SymExpr &expr : shape.getDims())
      expr.collectSymbols(defined);
  };
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (auto dims = state.getDims(function.getArgument(i)))
      for (const SymExpr &dim : *dims)
        dim.collectSymbols(defined);
  for (NamedAttribute attribute : function->getAttrs())
    if (attribute.getName() != kRequirementsAttr)
      attribute.getValue().walk(define);
  function.walk([&](Operation *op) {
    if (op != function)
      op->getAttrDictionary().walk(define);
    if (auto name = dyn_cast<DefineOp>(op))
      defined.insert(name.getSymbol().str());
  });
  auto isKnown = [&](const SymExpr &expr) {
    return llvm::all_of(expr.symbols(), [&](const std::string &symbol) { return defined.count(symbol); });
  };
  Collector kept, found;
  kept.addKept(function);
  for (const ShapeConstraint &constraint : kept.all)
    if (isKnown(constraint.a) && isKnown(constraint.b))
      found.add(constraint);
  for (const ShapeConstraint &constraint : state.getConstraints())
    found.add(constraint);
  found.addDims(function, state);
  return std::move(found.all);
}

} // namespace ds
