//===- DataShapes.h - Operands that decide shapes while the model runs ----===//
// Assumes: see Node.h.
// Guarantees: what is not known when compiling is computed by integer ops and read on the host (ds.bind); axes that
// data
//   decide become static ones of a reshaped operand.
// Declines: lists of unknown length.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_IMPORT_ONNX_DATASHAPES_H
#define DS_LIB_IMPORT_ONNX_DATASHAPES_H

#include "Node.h"

namespace ds::importer {

/// The contents of a scalar or list of sizes: as expressions, or bound.
llvm::SmallVector<SymExpr> sizesOf(Node &n, Value list, llvm::StringRef what);

/// `x` with each dim i as two, of which the second is dim i if `axes` name it, and 1 otherwise, and the first the
/// other way round: what is done along all second dims (1, 3, ...) is done along `axes`.
struct SplitDims {
  Value x;
  SymDims outer; ///< the dims with 1 at `axes`
  SymDims kept;  ///< the dims without `axes`
};
SplitDims splitByAxes(Node &n, Value x, Value axes);

/// `x` as [before, dim axis, after].
Value aroundAxis(Node &n, Value x, Value axis);

/// The dims of `x` with `size` as that of `axis`.
SymDims dimsWith(Node &n, Value x, Value axis, const SymExpr &size);

/// The dims of `x` with ones inserted at `axes` (positions in the result).
SymDims insertedOnes(Node &n, Value x, Value axes);

/// The pads of `axes`, first the low then the high ones, as those of all `rank` axes; the others get 0.
Value padsOfAllAxes(Node &n, Value pads, Value axes, int64_t rank);

} // namespace ds::importer

#endif
