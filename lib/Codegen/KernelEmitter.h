//===- KernelEmitter.h - The code of one kernel, while it is built --------===//
// Assumes: the kernel's ops are `ds` ops in attribute form, shapes inferred.
// Guarantees: what the kernels of all targets are built with: memory by pointer, touched through `load` and `store`
// only;
//   size expressions as numbers that the kernel is given, each once; loops, functions and i64 arithmetic. Nothing is
//   allocated or copied. What is made is scf, arith, vector, func and LLVM's loads and stores.
// Declines: how a kernel gets its pointers and sizes, which part of the work is whose, vectors of elements and their
//   masks, what an error does: a target's emitter says so (CPU/CpuKernelEmitter.h).
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_KERNELEMITTER_H
#define DS_LIB_CODEGEN_KERNELEMITTER_H

#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/rt/RtDialect.h"
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
  rt::KernelOp getKernel() { return kernel; }
  /// What the kernel yields.
  mlir::OperandRange results() { return kernel.getBody().front().getTerminator()->getOperands(); }

  /// The memory of a kernel argument, or of result number `index`.
  MemoryRef argument(mlir::Value tensor);
  MemoryRef result(unsigned index);
  /// True if `tensor` is read from memory (a kernel argument, used directly).
  bool isArgument(mlir::Value tensor) { return mlir::isa<mlir::BlockArgument>(tensor); }

  /// Element or vector at a linear position (in elements) of `memory`, as its compute type.
  mlir::Value loadAt(MemoryRef memory, LaneIndex position);
  void storeAt(MemoryRef memory, LaneIndex position, mlir::Value value);
  /// Whole vectors (of f32, if `element` says nothing else) for kernels that keep their own addresses: no mask, no
  /// conversion.
  mlir::Value loadVector(mlir::Value pointer, mlir::Value position, int64_t lanes, mlir::Type element = {});
  mlir::Value loadScalar(mlir::Value pointer, mlir::Value position, mlir::Type element = {});
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

protected:
  /// Code goes into a module of its own. `width`: elements that are computed at a time.
  KernelEmitter(rt::KernelOp kernel, mlir::OpBuilder &builder, ShapeState &shapes, int64_t width);

  /// Vectors of elements at the positions of all live lanes, as they lie in memory: `storage` is the type of one.
  virtual mlir::Value loadLanes(MemoryRef memory, LaneIndex position, mlir::Type storage) = 0;
  virtual void storeLanes(MemoryRef memory, LaneIndex position, mlir::Value value) = 0;
  /// Number `index` of the sizes that the kernel is given, at a place that dominates the kernel's code.
  virtual mlir::Value loadSize(unsigned index) = 0;

  mlir::FailureOr<mlir::Value> load(mlir::Value tensor, llvm::ArrayRef<LaneIndex> indices) override;

  /// How elements of a type lie in memory.
  mlir::Type storageType(mlir::Type elementType);
  static unsigned storageBytes(mlir::Type storage);

  rt::KernelOp kernel;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  llvm::SmallVector<mlir::Value> arguments; // pointers: the kernel's arguments, its results after them
  llvm::SmallVector<SymExpr> sizes;         // what the kernel is given, in order
  bool overflowed = false;                  // a size that was asked for is no number: the kernel must not be used

private:
  mlir::Value fromStorage(mlir::Value value, mlir::Type elementType);
  mlir::Value toStorage(mlir::Value value, mlir::Type elementType);

  std::unordered_map<SymExpr, mlir::Value, SymExpr::Hash> sizeValues;
};

} // namespace ds

#endif
