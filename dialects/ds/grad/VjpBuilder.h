//===- VjpBuilder.h - What rules of derivatives are written with ----------===//
// Assumes: operands and results of the differentiated op have known dims (ShapeState), expressions over symbols that
// are
//   known where the rule builds.
// Guarantees: ops with inferred types at one insertion point; expressions of tensors that read as their formulas. What
//   fails (a shape that cannot be inferred) is remembered and makes everything after it null.
//===----------------------------------------------------------------------===//
#ifndef DS_GRAD_VJPBUILDER_H
#define DS_GRAD_VJPBUILDER_H

#include "dialects/ds/ir/DsOps.h"

namespace ds {

class VjpBuilder;

/// A float tensor in a formula: operators and functions build the ops. A null one is zero; sums know it, and products
/// with it are it.
class TensorExpr {
public:
  TensorExpr() = default;
  TensorExpr(VjpBuilder &b, mlir::Value value) : b(&b), value(value) {}
  mlir::Value get() const { return value; }
  explicit operator bool() const { return bool(value); }
  VjpBuilder &builder() const { return *b; }

private:
  VjpBuilder *b = nullptr;
  mlir::Value value;
};

class VjpBuilder {
public:
  /// For the rule of `op`, of whose operands those that `needed` says need a cotangent.
  VjpBuilder(mlir::OpBuilder &builder, ShapeState &shapes, mlir::Operation *op, llvm::ArrayRef<bool> needed)
      : ops(builder), shapes(shapes), op(op), needed(needed) {}

  bool needs(unsigned operand) const { return needed[operand]; }
  TensorExpr operator()(mlir::Value value) { return {*this, value}; }
  TensorExpr operand(unsigned i) { return {*this, op->getOperand(i)}; }
  TensorExpr result(unsigned i) { return {*this, op->getResult(i)}; }

  SymDims dims(mlir::Value value) const { return *shapes.getDims(value); }
  static mlir::Type elementOf(mlir::Value value) { return mlir::getElementTypeOrSelf(value.getType()); }
  mlir::MLIRContext *context() const { return op->getContext(); }
  ShapeState &state() { return shapes; }
  mlir::OpBuilder &builder() { return ops; }
  bool hasFailed() const { return failed; }

  /// The first result of a new op, its type inferred; null after a failure, or where an operand is null.
  template <typename OpTy, typename... Args> TensorExpr create(mlir::Type element, Args &&...args) {
    if (failed)
      return {};
    llvm::FailureOr<OpTy> made = createInferred<OpTy>(ops, op->getLoc(), shapes, element, std::forward<Args>(args)...);
    failed = mlir::failed(made);
    return failed ? TensorExpr() : TensorExpr(*this, (*made)->getResult(0));
  }
  /// An op with several results, or null after a failure.
  template <typename OpTy>
  OpTy createMany(llvm::ArrayRef<mlir::Type> elements, mlir::ValueRange operands,
                  llvm::ArrayRef<mlir::NamedAttribute> attributes) {
    if (failed)
      return {};
    llvm::FailureOr<OpTy> made = createInferredGeneric<OpTy>(ops, op->getLoc(), shapes, elements, operands, attributes);
    failed = mlir::failed(made);
    return failed ? OpTy() : *made;
  }

  /// A number of rank 0.
  TensorExpr scalar(mlir::Type element, double value);
  /// An i64 of rank 0.
  TensorExpr integer(int64_t value);
  /// `value` at each place of a tensor of `dims`.
  TensorExpr fill(mlir::Type element, llvm::ArrayRef<SymExpr> dims, double value);
  TensorExpr zerosLike(mlir::Value value) { return fill(elementOf(value), dims(value), 0); }
  /// A size as a number of rank 0.
  TensorExpr size(mlir::Type element, const SymExpr &expr);
  /// 0, 1, ... of i64.
  TensorExpr iota(const SymExpr &count);

  TensorExpr reshape(TensorExpr x, llvm::ArrayRef<SymExpr> dims);
  TensorExpr transpose(TensorExpr x, llvm::ArrayRef<int64_t> perm);
  TensorExpr expand(TensorExpr x, llvm::ArrayRef<SymExpr> dims);
  /// x[start + i * step] along each dim.
  TensorExpr slice(TensorExpr x, llvm::ArrayRef<SymExpr> start, llvm::ArrayRef<SymExpr> size,
                   llvm::ArrayRef<int64_t> step = {});
  /// Zeros around, or (negative) elements less.
  TensorExpr pad(TensorExpr x, llvm::ArrayRef<SymExpr> low, llvm::ArrayRef<SymExpr> high);
  TensorExpr sum(TensorExpr x, llvm::ArrayRef<int64_t> axes, bool keepDims);
  /// The adjoint of broadcasting a tensor of `dims` to that of `x`: sums over what was repeated. Whether a dim was is
  /// decided by the sizes, when the program runs where they are not known before.
  TensorExpr reduceTo(TensorExpr x, llvm::ArrayRef<SymExpr> dims);
  /// One after another; null ones are left out.
  TensorExpr concat(llvm::ArrayRef<TensorExpr> parts, int64_t axis);
  TensorExpr cast(TensorExpr x, mlir::Type element);
  TensorExpr compare(ComparePredicate predicate, TensorExpr a, TensorExpr b);
  TensorExpr select(TensorExpr condition, TensorExpr a, TensorExpr b);
  TensorExpr matmul(TensorExpr a, TensorExpr b);
  /// `x` with its last two dims exchanged.
  TensorExpr swapLast(TensorExpr x);
  ShapeAttr shape(llvm::ArrayRef<SymExpr> dims) { return ShapeAttr::get(context(), dims); }

private:
  mlir::OpBuilder &ops;
  ShapeState &shapes;
  mlir::Operation *op;
  llvm::ArrayRef<bool> needed;
  bool failed = false;
};

TensorExpr operator+(TensorExpr a, TensorExpr b);
TensorExpr operator-(TensorExpr a, TensorExpr b);
TensorExpr operator*(TensorExpr a, TensorExpr b);
TensorExpr operator/(TensorExpr a, TensorExpr b);
TensorExpr operator-(TensorExpr a);
TensorExpr operator+(TensorExpr a, double b);
TensorExpr operator+(double a, TensorExpr b);
TensorExpr operator-(TensorExpr a, double b);
TensorExpr operator-(double a, TensorExpr b);
TensorExpr operator*(TensorExpr a, double b);
TensorExpr operator*(double a, TensorExpr b);
TensorExpr operator/(TensorExpr a, double b);
TensorExpr operator/(double a, TensorExpr b);

// Of one tensor.
TensorExpr exp(TensorExpr x);
TensorExpr log(TensorExpr x);
TensorExpr sin(TensorExpr x);
TensorExpr cos(TensorExpr x);
TensorExpr sinh(TensorExpr x);
TensorExpr cosh(TensorExpr x);
TensorExpr tanh(TensorExpr x);
TensorExpr erf(TensorExpr x);
TensorExpr rsqrt(TensorExpr x);
TensorExpr sign(TensorExpr x);
TensorExpr pow(TensorExpr x, TensorExpr y);
/// Elementwise a > b ? x : y; y may be null for 0.
TensorExpr where(ComparePredicate predicate, TensorExpr a, TensorExpr b, TensorExpr x, TensorExpr y = {});
TensorExpr where(ComparePredicate predicate, TensorExpr a, double b, TensorExpr x, TensorExpr y = {});
/// condition ? x : 0, and the other way around.
TensorExpr keepWhere(mlir::Value condition, TensorExpr x);
TensorExpr keepUnless(mlir::Value condition, TensorExpr x);

/// Rules that are longer than a line.
namespace detail {
TensorExpr geluVjp(TensorExpr g, TensorExpr x, bool tanhForm);
/// Of max (gt) or min (lt): all of the cotangent where `x` is the result, half where both are.
TensorExpr extremumVjp(TensorExpr g, TensorExpr x, TensorExpr other, ComparePredicate beats);
TensorExpr powBaseVjp(TensorExpr g, TensorExpr base, TensorExpr exponent);
TensorExpr powExponentVjp(TensorExpr g, TensorExpr base, TensorExpr result);
} // namespace detail

} // namespace ds

#endif
