//===- Donations.h - Donated arguments that stay as they are ---------------===//
// Guarantees: one question, for those that give results their memory.
//===----------------------------------------------------------------------===//
#ifndef DS_DONATIONS_H
#define DS_DONATIONS_H

#include "dialects/ds/ir/ModelAttrs.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ds {

/// Whether the result is an argument that is donated to it: both are one memory, and nothing is to be made.
inline bool isUnchangedDonation(mlir::func::FuncOp function, unsigned result) {
  auto argument = llvm::dyn_cast<mlir::BlockArgument>(function.getBody().front().getTerminator()->getOperand(result));
  if (!argument)
    return false;
  auto to = function.getArgAttrOfType<mlir::IntegerAttr>(argument.getArgNumber(), kDonateAttr);
  return to && to.getInt() == int64_t(result);
}

} // namespace ds

#endif
