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
/// On an argument of the model's function: the tensor (an ElementsAttr) that a run takes which does not give the input.
inline constexpr llvm::StringLiteral kDefaultAttr = "ds.default";
/// On the model's function: the names (an array of strings) of the source model's inputs that are constants here.
inline constexpr llvm::StringLiteral kFixedAttr = "ds.fixed";
/// On arguments and results of a function that is to be trained: what they are, `data`, `parameter`, `state` (which a
/// result gives its next value; both have one name), or what random numbers are drawn by, `seed` and `run`.
inline constexpr llvm::StringLiteral kRoleAttr = "ds.role", kSeedRole = "seed", kRunRole = "run";
/// The property of a model that draws random numbers: the name of its generator, an input of two i64 (the seed, and the
/// number of the run), which is donated to its next value.
inline constexpr llvm::StringLiteral kGeneratorProperty = "ds.generator";
/// On a parameter or state: how it is drawn anew (runtime/train/Initialize.h has the rules).
inline constexpr llvm::StringLiteral kDrawAttr = "ds.draw";
/// On the function that is to be trained: the one that computes the same outputs when it is evaluated.
inline constexpr llvm::StringLiteral kEvaluateAttr = "ds.evaluate";
/// On the model's function: the functions that take its place in some runs, in the order of their being tried. Each is
/// a dictionary of `body`, `sizes` that symbols must have, and optionally `left_out`: numbers of arguments (an array of
/// i64) that the run must not give.
inline constexpr llvm::StringLiteral kVersionsAttr = "ds.versions";

} // namespace ds

#endif
