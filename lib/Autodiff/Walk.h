//===- Walk.h - Cotangents from the results of a function to its values ---===//
// Assumes: a function of one block of ds ops in attribute form.
// Guarantees: the one walk that all derivatives are made by, of the model's function as of bodies. Its work is linear
//   in ops and operands; a value has one cotangent, the sum of its uses'.
//===----------------------------------------------------------------------===//
#ifndef DS_AUTODIFF_WALK_H
#define DS_AUTODIFF_WALK_H

#include "Activity.h"
#include "dialects/ds/grad/VjpBuilder.h"

namespace ds {

/// What the functions of a module share while some are differentiated.
struct Reverser {
  explicit Reverser(mlir::ModuleOp module);
  mlir::SymbolTable table;
  Activity activity;
  /// Of all functions: no symbol that it makes has another meaning anywhere.
  ShapeState shapes;
};

class Walk {
public:
  /// The cotangents of `roots` are asked for, and of what depends on them.
  Walk(Reverser &reverser, mlir::func::FuncOp function, llvm::ArrayRef<mlir::Value> roots)
      : reverser(reverser), block(function.getBody().front()), roots(roots) {}

  /// Finds out what depends on the roots. Composite ops among it that have no rule become what they are made of.
  llvm::LogicalResult prepare();
  /// From the end of the block to its beginning. What `leaves` hold is not differentiated: their results have
  /// cotangents.
  llvm::LogicalResult run(const llvm::DenseSet<mlir::Operation *> &leaves = {});

  Reverser &shared() { return reverser; }
  /// Where what the walk builds goes.
  mlir::OpBuilder builder() { return mlir::OpBuilder(block.getTerminator()); }
  bool isActive(mlir::Value value) const { return active.contains(value); }
  /// Null for zero.
  mlir::Value cotangent(mlir::Value value) const { return cotangents.lookup(value); }
  /// Adds to the cotangent of `value`.
  llvm::LogicalResult add(mlir::Value value, mlir::Value cotangent);

private:
  llvm::LogicalResult differentiate(mlir::Operation *op);

  Reverser &reverser;
  mlir::Block &block;
  llvm::SmallVector<mlir::Value> roots;
  llvm::DenseSet<mlir::Value> active;
  llvm::DenseMap<mlir::Value, mlir::Value> cotangents;
};

/// Composite ops of which `active` holds a result and that have no rule become what they are made of.
llvm::LogicalResult expandComposites(mlir::Block &block, const llvm::DenseSet<mlir::Value> &active, ShapeState &shapes);

/// The cotangents of what the branches get; `cotangents` are those of the results. Branches.cpp.
llvm::LogicalResult differentiateIf(Walk &walk, IfOp op, llvm::ArrayRef<mlir::Value> cotangents);
/// Of a loop's first state and of what it captures. The loop may be replaced by one that keeps more. Loops.cpp.
llvm::LogicalResult differentiateLoop(Walk &walk, LoopOp loop, llvm::ArrayRef<mlir::Value> cotangents);

} // namespace ds

#endif
