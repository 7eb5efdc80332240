//===- ModelAttrs.h - What the model's function says of its run -----------===//
// Guarantees: names of attributes that outlive all phases, from import to the host program.
//===----------------------------------------------------------------------===//
#ifndef DS_MODELATTRS_H
#define DS_MODELATTRS_H

#include "llvm/ADT/StringRef.h"

namespace ds {

/// On an argument of the model's function: the number (i64) of the result that takes its memory; and, once it is known
/// that nothing reads the argument after that, that both are one memory from the start.
inline constexpr llvm::StringLiteral kDonateAttr = "ds.donate";
inline constexpr llvm::StringLiteral kInPlaceAttr = "ds.in_place";
/// On the model's function: the symbols (an array of strings) that no argument's dim says, and the session is given.
inline constexpr llvm::StringLiteral kGivenAttr = "ds.given";
/// On a function: what sizes must fulfil besides what its ops ask for, {sides, kind, message} each (Requirements.h).
inline constexpr llvm::StringLiteral kRequirementsAttr = "ds.requirements";

} // namespace ds

#endif
