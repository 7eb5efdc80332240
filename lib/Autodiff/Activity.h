//===- Activity.h - Which values depend on which --------------------------===//
// Assumes: a module whose functions do not run each other in a circle; each has one block.
// Guarantees: floats alone carry a dependence; integers and booleans do not. What a loop's state depends on is the
//   fixpoint over any number of iterations. A function is looked at once, however often it is run: the work is linear
//   in the ops, times a 64th of the arguments of the function that they are in.
//===----------------------------------------------------------------------===//
#ifndef DS_AUTODIFF_ACTIVITY_H
#define DS_AUTODIFF_ACTIVITY_H

#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseSet.h"
#include <map>

namespace ds {

bool isOfFloats(mlir::Value value);

class Activity {
public:
  using Sets = llvm::SmallVector<llvm::BitVector>;
  explicit Activity(const mlir::SymbolTable &table) : table(table) {}

  mlir::func::FuncOp find(mlir::FlatSymbolRefAttr name) const {
    return table.lookup<mlir::func::FuncOp>(name.getAttr());
  }
  /// For each result of a function, its arguments that it depends on.
  const Sets &of(mlir::func::FuncOp function);
  /// For each result of a loop, its state and what it captures (their numbers, one after another) that a value of the
  /// result may depend on: `once`, of those that one iteration gets, and over any number of iterations.
  struct Loop {
    Sets once, any;
  };
  const Loop &of(LoopOp loop);
  /// For each result of an op that runs functions, the operands that it depends on.
  Sets operandsOf(mlir::Operation *op);
  /// Adds what depends on values of `active`, in a block.
  void spread(mlir::Block &block, llvm::DenseSet<mlir::Value> &active);

private:
  const mlir::SymbolTable &table;
  std::map<mlir::Operation *, Sets> functions;
  std::map<mlir::Operation *, Loop> loops; // by body
};

} // namespace ds

#endif
