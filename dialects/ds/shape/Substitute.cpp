//===- Substitute.cpp - Expressions in the place of symbols ----------------===//
// Guarantees: see Substitute.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/Substitute.h"
#include "dialects/ds/ir/DsDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/STLExtras.h"

#include <set>

using namespace mlir;

namespace ds {

void substituteSymbols(Operation *root, const std::map<std::string, SymExpr> &values) {
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](ShapeAttr shape) -> Attribute {
    SmallVector<SymExpr> dims;
    for (const SymExpr &dim : shape.getDims())
      dims.push_back(dim.substitute(values));
    return ShapeAttr::get(shape.getContext(), ArrayRef<SymExpr>(dims));
  });
  replacer.recursivelyReplaceElementsIn(root, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/false);
}

std::vector<std::string> symbolsInAttributes(Operation *root) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  root->walk<WalkOrder::PreOrder>([&](Operation *op) {
    op->getAttrDictionary().walk<WalkOrder::PreOrder>([&](ShapeAttr shape) {
      for (const SymExpr &dim : shape.getDims())
        for (const std::string &symbol : dim.symbols())
          if (seen.insert(symbol).second)
            names.push_back(symbol);
    });
  });
  return names;
}

} // namespace ds
