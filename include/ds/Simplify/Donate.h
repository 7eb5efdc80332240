//===- Donate.h - Inputs whose memory an output takes ---------------------===//
// Assumes: a module as import leaves it.
// Guarantees: a donation joins an input and an output of one type, each once, whose dims are not known to differ.
// Declines: deciding how it is done (lib/Memory/PlaceDonations.cpp); comparing dims that only a run knows (the
// runtime).
//===----------------------------------------------------------------------===//
#ifndef DS_SIMPLIFY_DONATE_H
#define DS_SIMPLIFY_DONATE_H

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace ds {

/// Sets `ds.donate` on the model's arguments for each "INPUT:OUTPUT" (names, which may hold ':' themselves). Fails with
/// `error`, one line, where a name is none of the model's, or the two cannot be one memory.
llvm::LogicalResult addDonations(mlir::ModuleOp module, llvm::ArrayRef<std::string> donations, std::string &error);

} // namespace ds

#endif
