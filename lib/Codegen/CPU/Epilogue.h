//===- Epilogue.h - What follows a kernel's root --------------------------===//
// Assumes: ops after the root are pointwise in its result.
// Guarantees: the position of a result row as one index a dimension, without divisions where rows need not be told
// apart.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_EPILOGUE_H
#define DS_LIB_CODEGEN_CPU_EPILOGUE_H

#include "lib/Codegen/CPU/CpuKernelEmitter.h"

namespace ds {

/// Adjacent dimensions that form one loop.
struct LoopDim {
  SymExpr size;
  unsigned last; // the dimension that carries the loop's index; the others of the run stay at 0
};

/// The loops over `dims` for purely pointwise `ops`. A run of dimensions is one loop if every tensor has either all of
/// them or none: with the index in the run's last dimension, row-major addresses come out right. Dimensions of size 1
/// have no loop.
llvm::SmallVector<LoopDim> collapseLoops(CpuKernelEmitter &e, const SymDims &dims,
                                         llvm::ArrayRef<mlir::Operation *> ops);

class Epilogue {
public:
  Epilogue(CpuKernelEmitter &e, mlir::Operation *root);

  /// The result's indices for row `row` of all rows (the leading dimensions in order), or, with `batch`, row `row` of
  /// dimension -2 in batch `batch`. The last index is a stand-in.
  llvm::SmallVector<LaneIndex> rowIndices(mlir::Value batch, mlir::Value row);

private:
  CpuKernelEmitter &e;
  SymDims dims;
  bool collapsed = false; // all leading dimensions are one loop
};

} // namespace ds

#endif
