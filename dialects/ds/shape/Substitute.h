//===- Substitute.h - Expressions in the place of symbols ------------------===//
// Guarantees: every #ds.shape in attributes of an op, and of what is in it, is rewritten at once.
// Declines: types, which hold no symbols.
//===----------------------------------------------------------------------===//
#ifndef DS_SUBSTITUTE_H
#define DS_SUBSTITUTE_H

#include "dialects/ds/shape/SymExpr.h"
#include "mlir/IR/Operation.h"

#include <map>
#include <string>
#include <vector>

namespace ds {

void substituteSymbols(mlir::Operation *root, const std::map<std::string, SymExpr> &values);

/// The symbols in attributes of `root` and what is in it, each once, as they are met.
std::vector<std::string> symbolsInAttributes(mlir::Operation *root);

} // namespace ds

#endif
