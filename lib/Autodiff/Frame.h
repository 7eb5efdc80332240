//===- Frame.h - A function that a backward pass runs ---------------------===//
// Assumes: values of the function that will run it, with known dims.
// Guarantees: arguments with the dims that the caller knows, a copy of a body in it that computes what it computed, and
//   nothing that its results do not need.
//===----------------------------------------------------------------------===//
#ifndef DS_AUTODIFF_FRAME_H
#define DS_AUTODIFF_FRAME_H

#include "Walk.h"
#include "mlir/IR/IRMapping.h"

namespace ds {

class Frame {
public:
  /// A new function beside `body`, named after it; `op` is the one that runs `body`.
  Frame(Reverser &reverser, mlir::Operation *op, mlir::func::FuncOp body, llvm::StringRef suffix);

  mlir::BlockArgument addArgument(mlir::Type element, llvm::ArrayRef<SymExpr> dims) {
    return insertArgument(block.getNumArguments(), element, dims);
  }
  mlir::BlockArgument insertArgument(unsigned at, mlir::Type element, llvm::ArrayRef<SymExpr> dims);
  /// For a value of the caller.
  mlir::BlockArgument addArgumentFor(mlir::Value outer) {
    return addArgument(mlir::getElementTypeOrSelf(outer), *reverser.shapes.getDims(outer));
  }
  /// A dim of arguments that the caller does not know.
  SymExpr ownSymbol();

  /// Copies the body's ops for these arguments. What its own symbols are follows from the dims of these.
  llvm::LogicalResult copyBody(llvm::ArrayRef<mlir::Value> values);
  /// What stands for an argument, and for a value, of the body.
  mlir::Value argument(unsigned i) const { return arguments[i]; }
  mlir::Value inside(mlir::Value ofBody) const { return mapping.lookup(ofBody); }
  mlir::Value result(unsigned i) { return block.getTerminator()->getOperand(i); }
  /// The cotangent of a result has come as `value`.
  llvm::LogicalResult seed(Walk &walk, unsigned result, mlir::Value value);

  /// From here on the function returns these. What they do not need is erased.
  void setResults(llvm::ArrayRef<mlir::Value> values);
  /// Erases the argument if nothing uses it.
  bool dropUnused(mlir::BlockArgument argument);
  /// The function's type and what is known of its arguments' dims.
  mlir::FlatSymbolRefAttr finish();

  VjpBuilder &b() { return vjp; }
  mlir::OpBuilder &builder() { return ops; }
  mlir::func::FuncOp getFunction() { return function; }

private:
  Reverser &reverser;
  mlir::func::FuncOp body, function;
  mlir::OpBuilder ops;
  mlir::Block &block;
  VjpBuilder vjp;
  mlir::IRMapping mapping;
  llvm::SmallVector<mlir::Value> arguments;
  llvm::SmallVector<SymExpr> own;
};

/// `value` with these dims, which are its own when the program runs.
mlir::Value withDims(VjpBuilder &b, mlir::Value value, llvm::ArrayRef<SymExpr> dims);

/// Erases ops of the function, and the calls among them, of which nothing is used: no result, and no symbol, be it in a
/// function that a call runs.
void eraseUnused(mlir::func::FuncOp function, Activity &functions);

mlir::NamedAttribute shapesAttr(mlir::OpBuilder &builder, llvm::ArrayRef<SymDims> all);

} // namespace ds

#endif
