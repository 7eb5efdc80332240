//===- ValueTable.h - The sizes that a program computes -------------------===//
// Assumes: buffers assigned, kernels are code.
// Guarantees: the same numbering wherever it is asked for: each different expression that launches, buffers and results
// need
//   is one value; a symbol is an entry dimension, numbered in the order of inputs and dimensions.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CONVERSION_RTTOLLVM_VALUETABLE_H
#define DS_LIB_CONVERSION_RTTOLLVM_VALUETABLE_H

#include "dialects/ds/ShapeState.h"
#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <map>

namespace ds {

class ValueTable {
public:
  struct Symbol {
    std::string name;
    unsigned input, dimension;
  };

  /// `function` is the module's host function.
  explicit ValueTable(mlir::func::FuncOp function);

  llvm::ArrayRef<Symbol> getSymbols() const { return symbols; }
  llvm::ArrayRef<SymExpr> getValues() const { return values; }
  /// The number of an expression that is no constant.
  unsigned indexOf(const SymExpr &expr) const { return indices.at(expr.str()); }
  unsigned symbolIndex(const std::string &name) const { return symbolIndices.at(name); }
  /// The largest scratch that a kernel of the program wants.
  SymExpr scratch;
  llvm::SmallVector<ShapeConstraint> constraints;

private:
  void add(const SymExpr &expr);

  llvm::SmallVector<Symbol> symbols;
  llvm::SmallVector<SymExpr> values;
  std::map<std::string, unsigned> indices, symbolIndices;
};

/// The module that holds the code of a dispatch's kernel.
mlir::ModuleOp kernelModule(rt::DispatchOp dispatch);
/// A one-expression attribute of a kernel's module.
SymExpr kernelExpr(mlir::ModuleOp kernel, llvm::StringRef attribute);

/// Kernels of the host function in order of first launch, each once.
llvm::SmallVector<mlir::ModuleOp> launchedKernels(mlir::func::FuncOp function);

/// The function that holds the program.
mlir::FailureOr<mlir::func::FuncOp> hostFunction(mlir::ModuleOp module);

} // namespace ds

#endif
