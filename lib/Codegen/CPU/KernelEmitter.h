//===- KernelEmitter.h - The function of one kernel, while it is built ----===//
// Assumes: the kernel's ops are `ds` ops in attribute form, shapes inferred.
// Guarantees: one function of the kernel ABI that loads pointers and sizes once, at its start; memory is touched
// through
//   `load` and `store` only, which allocate and copy nothing.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_KERNELEMITTER_H
#define DS_LIB_CODEGEN_CPU_KERNELEMITTER_H

#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Codegen/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <unordered_map>

namespace ds {

/// A row-major tensor in memory, or a part of one: where load and store go.
struct MemoryRef {
  mlir::Value pointer;
  mlir::Type elementType;
};

class KernelEmitter : public ElementBuilder {
public:
  /// Starts the function of `kernel`, with the body's insertion point in `builder`. `inPlace`: results may lie where an
  /// argument of equal dims lies.
  KernelEmitter(rt::KernelOp kernel, mlir::OpBuilder &builder, ShapeState &shapes, const CpuTarget &target,
                bool inPlace);

  rt::KernelOp getKernel() { return kernel; }
  const CpuTarget &getTarget() const { return target; }
  /// What the kernel yields.
  mlir::OperandRange results() { return kernel.getBody().front().getTerminator()->getOperands(); }

  /// Items [begin, end) of the launch's range are computed by a call.
  mlir::Value getBegin() { return begin; }
  mlir::Value getEnd() { return end; }
  void setRange(const SymExpr &items, const SymExpr &fewestItems);
  /// `bytes` more of the worker's scratch, 64-byte aligned.
  mlir::Value scratch(const SymExpr &bytes);

  /// The memory of a kernel argument, or of result number `index`.
  MemoryRef argument(mlir::Value tensor);
  MemoryRef result(unsigned index);
  /// True if `tensor` is read from memory (a kernel argument, used directly).
  bool isArgument(mlir::Value tensor) { return mlir::isa<mlir::BlockArgument>(tensor); }

  /// Element or vector at a linear position (in elements) of `memory`, as its compute type.
  mlir::Value loadAt(MemoryRef memory, LaneIndex position);
  void storeAt(MemoryRef memory, LaneIndex position, mlir::Value value);
  /// Whole vectors of f32 for kernels that keep their own addresses: no mask, no conversion.
  mlir::Value loadVector(mlir::Value pointer, mlir::Value position, int64_t lanes);
  mlir::Value loadScalar(mlir::Value pointer, mlir::Value position);
  void storeVector(mlir::Value pointer, mlir::Value position, mlir::Value vector);
  /// `pointer` moved by `position` elements of `elementType`.
  mlir::Value advance(mlir::Value pointer, mlir::Type elementType, mlir::Value position);

  // i64 arithmetic, constants folded.
  mlir::Value i64(int64_t value) { return constantI64(value); }
  mlir::Value addI(mlir::Value a, mlir::Value b);
  mlir::Value subI(mlir::Value a, mlir::Value b);
  mlir::Value mulI(mlir::Value a, mlir::Value b);
  mlir::Value divI(mlir::Value a, mlir::Value b); ///< of non-negative values
  mlir::Value remI(mlir::Value a, mlir::Value b); ///< of non-negative values
  mlir::Value minI(mlir::Value a, mlir::Value b);
  mlir::Value maxI(mlir::Value a, mlir::Value b);
  mlir::Value lessI(mlir::Value a, mlir::Value b);
  /// a - a % step.
  mlir::Value roundDown(mlir::Value a, int64_t step);

  /// for (i = lower; i < upper; i += step) body(i).
  mlir::LogicalResult forLoop(mlir::Value lower, mlir::Value upper, int64_t step,
                              llvm::function_ref<mlir::LogicalResult(mlir::Value)> body);
  /// The same with values carried from one iteration to the next.
  using CarryFn = llvm::function_ref<mlir::FailureOr<llvm::SmallVector<mlir::Value>>(mlir::Value, mlir::ValueRange)>;
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> forLoop(mlir::Value lower, mlir::Value upper, int64_t step,
                                                          mlir::ValueRange init, CarryFn body);
  /// if (condition) body().
  mlir::LogicalResult ifThen(mlir::Value condition, llvm::function_ref<mlir::LogicalResult()> body);
  /// Vectors over [lower, upper): body(consecutive index) for whole vectors, then once under a mask for the rest.
  mlir::LogicalResult vectorLoop(mlir::Value lower, mlir::Value upper,
                                 llvm::function_ref<mlir::LogicalResult(LaneIndex)> body, bool wholeOnly = false);
  /// Lanes with start + lane < limit.
  mlir::Value lanesBelow(mlir::Value start, mlir::Value limit);

  /// A function that the kernel calls, for code that it needs at several places. The body must not use tensors or
  /// sizes.
  using FunctionFn = llvm::function_ref<mlir::FailureOr<llvm::SmallVector<mlir::Value>>(mlir::ValueRange)>;
  mlir::FailureOr<mlir::func::FuncOp> makeFunction(llvm::StringRef suffix, mlir::TypeRange arguments,
                                                   mlir::TypeRange results, FunctionFn body);
  /// Loops while `condition(state)` holds.
  llvm::SmallVector<mlir::Value> whileLoop(mlir::ValueRange init,
                                           llvm::function_ref<mlir::Value(mlir::ValueRange)> condition,
                                           llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::ValueRange)> body);

  mlir::Value sizeValue(const SymExpr &expr) override;
  mlir::Value size(const SymExpr &expr) { return sizeValue(expr); }
  SymDims dimsOf(mlir::Value tensor) { return dims(tensor); }

  /// Ends the function; the code, and what it says of itself. Fails, with a diagnostic, if a size is no number that can
  /// be computed (SymExpr::isOverflow).
  mlir::FailureOr<mlir::OwningOpRef<rt::CodeOp>> finish();

protected:
  mlir::FailureOr<mlir::Value> load(mlir::Value tensor, llvm::ArrayRef<LaneIndex> indices) override;
  void raiseScalar(mlir::Value bad, KernelError error) override;

private:
  mlir::Type storageType(mlir::Type elementType);
  mlir::Value fromStorage(mlir::Value value, mlir::Type elementType);
  mlir::Value toStorage(mlir::Value value, mlir::Type elementType);

  rt::KernelOp kernel;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  const CpuTarget &target;
  const bool inPlace;
  mlir::func::FuncOp function;
  mlir::Operation *entryEnd = nullptr; // what is computed once goes before this op
  mlir::Value begin, end, sizesPointer, scratchPointer, errorSlot;
  llvm::SmallVector<mlir::Value> bindings;
  llvm::SmallVector<SymExpr> sizes;
  std::unordered_map<SymExpr, mlir::Value, SymExpr::Hash> sizeValues;
  bool overflowed = false; // a size that was asked for
  SymExpr range, grain = SymExpr(1), scratchBytes;
};

// Emitters, one a kind of root. Each sets the range and emits everything.
mlir::LogicalResult emitLoops(KernelEmitter &e);
mlir::LogicalResult emitReduction(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitGemm(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitWinograd(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitSoftmax(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitLayerNorm(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitAttention(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitDepthwise(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitPool(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitScatter(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitTopK(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitRecurrent(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitArgExtremum(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitNonMaxSuppression(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitDft(KernelEmitter &e, mlir::Operation *root);
mlir::LogicalResult emitScan(KernelEmitter &e, mlir::Operation *root);

/// Stores every result of the kernel at `indices` (positions in the results' dims, which all are equal).
mlir::LogicalResult storeResults(KernelEmitter &e, llvm::ArrayRef<LaneIndex> indices);

} // namespace ds

#endif
