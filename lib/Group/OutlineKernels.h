//===- OutlineKernels.h - Kernels as functions of their own ---------------===//
// Assumes: what is fused is decided (Fusion.h); the shapes of all values are
// known. Guarantees: a kernel says all that its code depends on, and nothing of
// the model's names: equal kernels, the layers of a
//   transformer, exist once in a module, whatever functions launch them.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_GROUP_OUTLINEKERNELS_H
#define DS_LIB_GROUP_OUTLINEKERNELS_H

#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"
#include "lib/Group/JoinKernels.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace ds {

class KernelOutliner {
public:
  /// Copies a group's members into a kernel before the function, and launches it at the place of the group.
  rt::LaunchOp outline(const KernelGroup &group, ShapeState &shapes);
  /// Removes the kernels whose launches all died, once no function can want an
  /// equal one any more.
  void eraseDead(mlir::ModuleOp module);

private:
  /// The name of a kernel equal to `kernel`, which is erased if it is not the
  /// first.
  llvm::StringRef unique(rt::KernelOp kernel);

  llvm::StringMap<std::string> known; // text -> name
};

} // namespace ds

#endif
