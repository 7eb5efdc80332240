//===- JoinKernels.h - Kernels that are computed together -----------------===//
// Assumes: one block of ds ops whose fusion is decided (Fusion.h), shapes known.
// Guarantees: every kernel of the fusion is in one group. A group of several reads once what more than one of them
//   reads, and has a result for each that anybody else uses. All that it reads is there at its place, and what reads
//   its results comes behind it.
// Declines: changing anything; kernels that would walk over their elements in another way together than each by itself.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_GROUP_JOINKERNELS_H
#define DS_LIB_GROUP_JOINKERNELS_H

#include "lib/Group/Fusion.h"

namespace ds {

struct KernelGroup {
  llvm::SmallVector<mlir::Operation *> members; // in program order
  llvm::SmallVector<mlir::Value> results;
  mlir::Operation *place; // the kernel is launched before this op
};

llvm::SmallVector<KernelGroup> joinKernels(mlir::Block &block, const Fusion &fusion, ShapeState &shapes);

} // namespace ds

#endif
