//===- Fusion.h - What is fused with what ---------------------------------===//
// Assumes: one block of ds ops in attribute form, shapes inferred.
// Guarantees: decisions only; nothing is changed. Every op belongs to the host (HostOpInterface), to exactly one
// kernel as
//   its root or part of its epilogue, or is computed inside each kernel that uses it.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_GROUP_FUSION_H
#define DS_LIB_GROUP_FUSION_H

#include "dialects/ds/shape/ShapeState.h"
#include "mlir/IR/Block.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace ds {

class Fusion {
public:
  Fusion(mlir::Block &block, ShapeState &shapes) : block(block), shapes(shapes) {}
  void decide();

  /// The last op of each kernel, in program order.
  llvm::ArrayRef<mlir::Operation *> kernels() const { return tails; }
  /// The ops of the kernel that ends in `tail`, in program order.
  llvm::SmallVector<mlir::Operation *> members(mlir::Operation *tail) const;
  /// Constants that code holds by itself; others are arguments of kernels.
  static bool isImmediate(mlir::Operation *op);
  /// No kernel has more.
  static constexpr size_t kMostOps = 64;
  /// Ops with loops of their own: see KernelRootOpInterface.
  static bool isRoot(mlir::Operation *op);

private:
  bool isInlined(mlir::Operation *op) const { return inlined.contains(op); }
  void absorbEpilogue(mlir::Operation *root);
  bool shouldInline(mlir::Operation *op);
  /// How often `user` computes each element of operand `use` that it needs.
  int64_t timesRead(mlir::OpOperand &use);
  /// Whether `user` reads the element of `value` that is at the place of its result's. For y * y both operands are that
  /// element, which is built once (ElementBuilder::element).
  bool readsAtOwnPlace(mlir::Operation *user, mlir::Value value);
  /// The uses of `value` that compute it anew.
  llvm::SmallVector<mlir::OpOperand *> distinctUses(mlir::Value value);
  void countCosts();
  void followElements(mlir::Operation *op);
  /// Whether computing `op` at each of its uses reads no more than storing its result would, at little arithmetic.
  bool isWorthRepeating(mlir::Operation *op, llvm::ArrayRef<mlir::OpOperand *> uses);
  /// Stores results within a kernel that would grow too large. What is stored here is a kernel of its own.
  void limitSize(mlir::Operation *tail);
  SymDims dims(mlir::Value value) { return *shapes.getDims(value); }

  mlir::Block &block;
  ShapeState &shapes;
  /// The arithmetic of an op and of what is computed for it down to the next root, each time that it is used.
  llvm::DenseMap<mlir::Operation *, int64_t> treeCost;
  /// What the elements of a pointwise op's result are computed of, each of the element at its own place: the only
  /// tensor of its dims that lies in memory (null where there is none, or more than one), and the arithmetic.
  struct Origin {
    mlir::Value tensor;
    bool isOne = true; // none counts as one
    int64_t cost = 0;
  };
  llvm::DenseMap<mlir::Operation *, Origin> origins;
  llvm::DenseSet<mlir::Operation *> inlined;
  llvm::DenseMap<mlir::Operation *, mlir::Operation *> tailOf; // of roots and what their epilogues absorbed
  llvm::SmallVector<mlir::Operation *> tails;
};

} // namespace ds

#endif
