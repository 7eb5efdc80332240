//===- DsDialect.h - The ds dialect and its attributes --------------------===//
// Guarantees: ShapeAttr and the enums; ops are in DsOps.h.
//===----------------------------------------------------------------------===//
#ifndef DS_DSDIALECT_H
#define DS_DSDIALECT_H

#include "dialects/ds/shape/SymExpr.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "llvm/ADT/SmallVector.h"

#include "dialects/ds/ir/DsDialect.h.inc"
#include "dialects/ds/ir/DsEnums.h.inc"

namespace ds::detail {
struct ShapeAttrStorage; // DsDialect.cpp
}

#define GET_ATTRDEF_CLASSES
#include "dialects/ds/ir/DsAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/ds/ir/DsTypes.h.inc"

namespace ds {
/// The name of the function argument attribute (a ShapeAttr) that says an argument's dims.
inline constexpr llvm::StringLiteral kShapeArgAttr = "ds.shape";
/// On a function that an op runs (ds.if, ds.loop): a ShapeAttr of symbols that are dims of its arguments and nobody
/// else's. All others are those of the function that holds the op.
inline constexpr llvm::StringLiteral kOwnSymbolsAttr = "ds.own";
/// The domain of the operators on strings that the runtime brings along (runtime/strings/Strings.h).
inline constexpr llvm::StringLiteral kStringDomain = "ds.string";
} // namespace ds

#endif
