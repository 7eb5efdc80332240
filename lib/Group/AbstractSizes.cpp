//===- AbstractSizes.cpp - Numbers of a kernel that its launches give -----===//
// Guarantees: see AbstractSizes.h. Two kinds of numbers become symbols: functions within sizes (minima, quotients),
//   where all sizes still follow from each other without them; and constant places in operands.
//===----------------------------------------------------------------------===//
#include "lib/Group/AbstractSizes.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/ds/shape/Substitute.h"
#include "lib/Group/Fusion.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Diagnostics.h"
#include <unordered_map>

using namespace mlir;

namespace ds {
namespace {

class Abstraction {
public:
  explicit Abstraction(rt::KernelOp kernel) : kernel(kernel) {}
  std::map<std::string, SymExpr> run();

private:
  /// A symbol for `value` that no program has: '$' is in no name.
  SymExpr stand(const SymExpr &value) {
    std::string name = "$" + std::to_string(values.size());
    values.emplace(name, value);
    return SymExpr::symbol(name);
  }
  SymExpr withoutFunctions(const SymExpr &expr);
  void nameFunctions();
  void namePlaces();
  /// The dims of what the kernel yields; nullopt where they do not follow.
  std::optional<SmallVector<SymDims>> yielded();

  rt::KernelOp kernel;
  std::map<std::string, SymExpr> values;
  std::unordered_map<SymExpr, SymExpr, SymExpr::Hash> functions; // a function -> its symbol
};

SymExpr valueOf(const SymAtom &atom) {
  switch (atom.kind) {
  case SymExpr::AtomKind::Symbol:
    return SymExpr::symbol(atom.name);
  case SymExpr::AtomKind::FloorDiv:
    return SymExpr::floorDiv(atom.a, atom.b);
  case SymExpr::AtomKind::CeilDiv:
    return SymExpr::ceilDiv(atom.a, atom.b);
  case SymExpr::AtomKind::Mod:
    return SymExpr::mod(atom.a, atom.b);
  case SymExpr::AtomKind::Min:
    return SymExpr::min(atom.a, atom.b);
  case SymExpr::AtomKind::Max:
    return SymExpr::max(atom.a, atom.b);
  case SymExpr::AtomKind::Bcast:
    return SymExpr::bcast(atom.a, atom.b);
  }
  llvm_unreachable("unknown kind of atom");
}

} // namespace

SymExpr Abstraction::withoutFunctions(const SymExpr &expr) {
  if (expr.isOverflow())
    return expr;
  SymExpr sum(0);
  for (const SymExpr::Term &term : expr.terms()) {
    SymExpr factors(term.coefficient);
    for (const auto &atom : term.monomial) {
      SymExpr value = valueOf(*atom);
      // Symbols are dims: a function that may be negative stays.
      if (atom->kind != SymExpr::AtomKind::Symbol && value.isNonNegative()) {
        auto [known, isNew] = functions.try_emplace(value);
        if (isNew)
          known->second = stand(value);
        value = known->second;
      }
      factors *= value;
    }
    sum += factors;
  }
  return sum;
}

void Abstraction::nameFunctions() {
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](ShapeAttr shape) -> Attribute {
    SmallVector<SymExpr> dims;
    for (const SymExpr &dim : shape.getDims())
      dims.push_back(withoutFunctions(dim));
    return ShapeAttr::get(shape.getContext(), ArrayRef<SymExpr>(dims));
  });
  replacer.recursivelyReplaceElementsIn(kernel, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/false);
}

void Abstraction::namePlaces() {
  for (Operation &op : kernel.getBody().front()) {
    auto element = dyn_cast<ElementOpInterface>(op);
    StringAttr name = element ? element.getPlacesAttrName() : StringAttr();
    auto places = name ? op.getAttrOfType<ShapeAttr>(name) : ShapeAttr();
    if (!places)
      continue;
    SmallVector<SymExpr> entries(places.getDims());
    for (SymExpr &entry : entries)
      if (entry.isConst() && entry.getConst() > 0) // what begins at 0 adds nothing
        entry = stand(entry);
    op.setAttr(name, ShapeAttr::get(kernel.getContext(), ArrayRef<SymExpr>(entries)));
  }
}

std::optional<SmallVector<SymDims>> Abstraction::yielded() {
  ScopedDiagnosticHandler quiet(kernel.getContext(), [](Diagnostic &) { return success(); });
  ShapeState shapes;
  if (failed(inferFunction(kernel, shapes)) || !shapes.getConstraints().empty())
    return std::nullopt;
  SmallVector<SymDims> all;
  for (Value value : kernel.getBody().front().getTerminator()->getOperands())
    all.push_back(*shapes.getDims(value));
  return all;
}

std::map<std::string, SymExpr> Abstraction::run() {
  for (Operation &op : kernel.getBody().front())
    if (Fusion::isRoot(&op))
      return {};
  nameFunctions();
  if (!values.empty()) {
    std::optional<SmallVector<SymDims>> after = yielded();
    substituteSymbols(kernel, values);
    std::optional<SmallVector<SymDims>> before = yielded();
    bool follows = before && after;
    if (follows)
      for (auto [known, found] : llvm::zip_equal(*before, *after))
        for (auto [one, other] : llvm::zip_equal(known, found))
          follows &= other.substitute(values) == one;
    if (follows)
      nameFunctions(); // the same symbols again: a function has one
    else
      values.clear();
  }
  namePlaces();
  return std::move(values);
}

std::map<std::string, SymExpr> abstractSizes(rt::KernelOp kernel) { return Abstraction(kernel).run(); }

} // namespace ds
