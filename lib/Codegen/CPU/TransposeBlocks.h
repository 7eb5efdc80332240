//===- TransposeBlocks.h - Matrices turned in registers -------------------===//
// Guarantees: squares of a register's lanes are read by rows, turned by shuffles and written by rows, so that each line
//   of memory is touched once; what no square covers is copied one by one.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_TRANSPOSEBLOCKS_H
#define DS_LIB_CODEGEN_CPU_TRANSPOSEBLOCKS_H

#include "lib/Codegen/CPU/CpuKernelEmitter.h"

namespace ds {

/// A matrix in memory: element (i, j) lies at i * stride + j.
struct StridedMatrix {
  mlir::Value pointer, stride;
};

/// to(j, i) = from(i, j) for i < rows and j < columns, elements being `element`s (f32 or f64).
mlir::LogicalResult transposeBlocks(CpuKernelEmitter &e, mlir::Type element, StridedMatrix from, mlir::Value rows,
                                    mlir::Value columns, StridedMatrix to);

/// Of ds.pack_filter, where a kernel ends with it.
bool isPackOfFilter(mlir::Operation *op);
mlir::LogicalResult emitPackOfFilter(CpuKernelEmitter &e, mlir::Operation *root);

} // namespace ds

#endif
