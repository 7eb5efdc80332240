//===- PrecisionRules.h - What half precision is for ----------------------===//
// Guarantees: NarrowOpInterface (documented in PrecisionInterface.td), and its attachment to the ops of ds.
// Private to lib/Train.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_TRAIN_PRECISIONRULES_H
#define DS_LIB_TRAIN_PRECISIONRULES_H

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OpDefinition.h"

#include "lib/Train/PrecisionInterface.h.inc"

namespace ds {

/// The context has loaded ds.
void attachPrecisionRules(mlir::MLIRContext &context);

} // namespace ds

#endif
