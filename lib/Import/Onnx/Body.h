//===- Body.h - The function of a branch or of a loop's body --------------===//
// Assumes: values of the function that is being made around it.
// Guarantees: it gets what it uses of the graph around it as constants, sizes or arguments; sizes that follow from
// those
//   of the graph around are expressions of the same symbols.
// Declines: running it (ds.if, ds.loop).

#ifndef DS_LIB_IMPORT_ONNX_BODY_H
#define DS_LIB_IMPORT_ONNX_BODY_H

#include "Scope.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/DenseMap.h"

#include <map>
#include <set>

namespace ds::importer {

class GraphImporter;

struct Body;

/// What random numbers are drawn by in a function (Random.cpp): null until something is.
struct Drawing {
  Drawing *outer = nullptr;
  Body *body = nullptr; ///< null: the model's function
  Value iteration;      ///< its number, in a loop's body
  Value seed, epoch;    ///< i64 scalars; the epoch is the number of the run, and differs in each iteration
};

struct Body {
  Body(GraphImporter &importer, mlir::Location loc, mlir::Block *caller);
  /// What stands in the function for a value of its caller: a copy of a constant, sizes, or a new argument.
  Value capture(Value value);
  Item capture(const Item &item);
  Value addArgument(Type element, llvm::ArrayRef<SymExpr> dims);
  /// The caller's dims; one that it does not know as an expression is a symbol of the function's own.
  SymDims dims(llvm::ArrayRef<SymExpr> outer);
  SymExpr ownSymbol(const SymExpr &outer);
  /// Ends the function.
  void finish(llvm::ArrayRef<Value> results);
  void giveUp();
  /// Symbols that only the function knows.
  std::set<std::string> innerSymbols();

  GraphImporter &importer;
  mlir::Block *caller;
  mlir::func::FuncOp function;
  llvm::SmallVector<Value> captured; ///< of the caller: the last arguments
  llvm::SmallVector<SymExpr> own;
  Drawing drawing;

private:
  llvm::DenseMap<Value, Value> captures;
  std::map<std::string, SymExpr> renamed;
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_BODY_H
