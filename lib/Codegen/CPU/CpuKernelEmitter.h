//===- CpuKernelEmitter.h - The function of a kernel on a CPU -------------===//
// Assumes: the kernel's ops are `ds` ops in attribute form, shapes inferred.
// Guarantees: one function of the kernel ABI (ds_kernel.h) that loads pointers and sizes once, at its start, and
//   computes a part of the launch's range. Elements are computed in vectors as wide as the CPU's, with a mask for the
//   rest.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_CPUKERNELEMITTER_H
#define DS_LIB_CODEGEN_CPU_CPUKERNELEMITTER_H

#include "ds/Codegen/Target.h"
#include "lib/Codegen/KernelEmitter.h"

namespace ds {

class CpuKernelEmitter : public KernelEmitter {
public:
  /// Starts the function of `kernel`, with the body's insertion point in `builder`. `inPlace`: results may lie where an
  /// argument of equal dims lies.
  CpuKernelEmitter(rt::KernelOp kernel, mlir::OpBuilder &builder, ShapeState &shapes, const CpuTarget &target,
                   bool inPlace);

  const CpuTarget &getTarget() const { return target; }

  /// Items [begin, end) of the launch's range are computed by a call.
  mlir::Value getBegin() { return begin; }
  mlir::Value getEnd() { return end; }
  void setRange(const SymExpr &items, const SymExpr &fewestItems);
  /// `bytes` more of the worker's scratch, 64-byte aligned.
  mlir::Value scratch(const SymExpr &bytes);

  /// Vectors over [lower, upper): body(consecutive index) for whole vectors, then once under a mask for the rest.
  mlir::LogicalResult vectorLoop(mlir::Value lower, mlir::Value upper,
                                 llvm::function_ref<mlir::LogicalResult(LaneIndex)> body, bool wholeOnly = false);
  /// Lanes with start + lane < limit.
  mlir::Value lanesBelow(mlir::Value start, mlir::Value limit);

  /// The same number, of which LLVM knows nothing.
  mlir::Value opaque(mlir::Value number);

  /// Ends the function; the code, and what it says of itself. Fails, with a diagnostic, if a size is no number that can
  /// be computed (SymExpr::isOverflow).
  mlir::FailureOr<mlir::OwningOpRef<rt::CodeOp>> finish();

protected:
  mlir::Value loadLanes(MemoryRef memory, LaneIndex position, mlir::Type storage) override;
  void storeLanes(MemoryRef memory, LaneIndex position, mlir::Value value) override;
  mlir::Value loadSize(unsigned index) override;
  void raiseScalar(mlir::Value bad, KernelError error) override;

private:
  /// The mask as stores of integers take it.
  mlir::Value maskOfStore(mlir::Type storage);

  const CpuTarget &target;
  const bool inPlace;
  mlir::func::FuncOp function;
  mlir::Operation *entryEnd = nullptr; // what is computed once goes before this op
  mlir::Value begin, end, sizesPointer, scratchPointer, errorSlot;
  SymExpr range, grain = SymExpr(1), scratchBytes;
};

// Emitters, one a kind of root. Each sets the range and emits everything.
mlir::LogicalResult emitLoops(CpuKernelEmitter &e);
mlir::LogicalResult emitReduction(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitGemm(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitWinograd(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitSoftmax(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitLayerNorm(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitAttention(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitDepthwise(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitPool(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitConvFilterVjp(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitMaxPoolVjp(CpuKernelEmitter &e, mlir::Operation *root);
bool isPackOfTransposed(mlir::Operation *op);
mlir::LogicalResult emitPackOfTransposed(CpuKernelEmitter &e, mlir::Operation *root);
bool isTransposeOfRows(mlir::Operation *op);
mlir::LogicalResult emitTransposeOfRows(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitScatter(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitTopK(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitRecurrent(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitRecurrentVjp(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitArgExtremum(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitNonMaxSuppression(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitDft(CpuKernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitScan(CpuKernelEmitter &e, mlir::Operation *root);

/// Stores every result of the kernel at `indices` (positions in the results' dims, which all are equal).
mlir::LogicalResult storeResults(CpuKernelEmitter &e, llvm::ArrayRef<LaneIndex> indices);

} // namespace ds

#endif
