//===- SymExprDetail.h - Shared by the files of SymExpr -------------------===//
// Private to dialects/ds.
//===----------------------------------------------------------------------===//
#ifndef DS_SYMEXPRDETAIL_H
#define DS_SYMEXPRDETAIL_H

#include "dialects/ds/shape/SymExpr.h"

namespace ds {

using Atom = SymExpr::Atom;
using AtomKind = SymExpr::AtomKind;
using Monomial = SymExpr::Monomial;
using Term = SymExpr::Term;

inline int64_t floorDivInt(int64_t a, int64_t b) {
  int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}
inline int64_t floorModInt(int64_t a, int64_t b) {
  int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
/// True if a / b and a % b have no defined value.
inline bool badDivision(int64_t a, int64_t b) { return b == 0 || (a == INT64_MIN && b == -1); }

/// "floordiv", ...; empty for a symbol.
const char *functionName(AtomKind kind);
/// SymExpr::floorDiv(a, b), ...
SymExpr applyFunction(AtomKind kind, const SymExpr &a, const SymExpr &b);

} // namespace ds

#endif
