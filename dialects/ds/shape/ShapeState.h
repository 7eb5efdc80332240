//===- ShapeState.h - Dims and contents of values as expressions ----------===//
// Assumes: ops are visited in order of definition.
// Guarantees: what ShapeOpInterface reads and writes. Dims of every value; contents of small tensors that carry shapes.
// Declines: keeping anything in the IR. An analysis recomputes the state (inferFunction is linear in the ops).
//===----------------------------------------------------------------------===//
#ifndef DS_SHAPESTATE_H
#define DS_SHAPESTATE_H

#include "dialects/ds/shape/SymExpr.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <optional>
#include <tuple>
#include <unordered_set>

namespace ds {

using SymDims = llvm::SmallVector<SymExpr, 4>;

/// A condition on run-time dims that inference relied on.
struct ShapeConstraint {
  SymExpr a, b;
  enum Kind {
    Equal,     ///< a == b
    Broadcast, ///< a == b, or a == 1, or b == 1
    LessEqual, ///< a <= b
    NotZero,   ///< a != 0; b is a
  } kind = Equal;
  /// "node 'x' (Add): dimension 1 of both operands must be equal"
  std::string message;
};

class ShapeState {
public:
  /// Contents are kept for tensors of at most this many elements.
  static constexpr int64_t kMaxContents = 256;

  ShapeState() = default;

  /// The dims, or nullopt if `value` was not visited and its type has dynamic dims (a static type always answers).
  std::optional<SymDims> getDims(mlir::Value value) const;
  /// What setDims said, the type aside.
  std::optional<SymDims> getInferredDims(mlir::Value value) const;
  bool hasDims(mlir::Value value) const { return getDims(value).has_value(); }
  void setDims(mlir::Value value, llvm::ArrayRef<SymExpr> dims);

  /// Row-major contents of an integer (or i1: 0, 1) tensor, if known. Looks through ds.constant by itself.
  std::optional<llvm::SmallVector<SymExpr>> getContents(mlir::Value value) const;
  void setContents(mlir::Value value, llvm::ArrayRef<SymExpr> contents);
  /// The same for floats too, as fractions.
  std::optional<llvm::SmallVector<SymFraction>> getFractions(mlir::Value value) const;
  void setFractions(mlir::Value value, llvm::ArrayRef<SymFraction> contents);
  /// The contents of a one-element integer tensor.
  std::optional<SymExpr> getScalar(mlir::Value value) const;
  void copy(mlir::Value from, mlir::Value to);
  void forget(mlir::Value value);

  /// A symbol that nobody used: for dims that depend on data.
  SymExpr freshSymbol();
  /// A symbol that nobody used, for ds.bind: known from there on. An identifier that begins with `prefix`.
  SymExpr boundSymbol(llvm::StringRef prefix);
  /// True for symbols that `freshSymbol` made (no function argument carries them).
  bool isFresh(llvm::StringRef symbol) const;
  /// What a fresh symbol is known as since `bind`, the result of a ds.bind, read its value; forgotten with that.
  std::optional<SymExpr> getBound(const std::string &symbol) const;
  void setBound(const std::string &symbol, const SymExpr &expr, mlir::Value bind);
  /// `symbol` is another name of `expr` (ds.define).
  void define(llvm::StringRef symbol, const SymExpr &expr);
  /// Equal expressions, or one that is defined as the other.
  bool isSame(const SymExpr &a, const SymExpr &b) const;
  /// True if every symbol of `expr` comes from function arguments.
  bool isKnownOnEntry(const SymExpr &expr) const;
  /// Marks names as taken, so that freshSymbol avoids them.
  void reserveSymbols(const SymExpr &expr);

  /// Makes a and b equal: fails with a diagnostic where that is impossible (two constants), records a run-time
  /// constraint where it is unknown. `what` completes "expected ...".
  llvm::LogicalResult requireEqual(const SymExpr &a, const SymExpr &b, mlir::Operation *op, const llvm::Twine &what);
  llvm::LogicalResult requireLessEqual(const SymExpr &a, const SymExpr &b, mlir::Operation *op,
                                       const llvm::Twine &what);
  /// The broadcast of two shapes (NumPy); fails with a diagnostic.
  llvm::FailureOr<SymDims> broadcast(llvm::ArrayRef<SymExpr> a, llvm::ArrayRef<SymExpr> b, mlir::Operation *op);
  llvm::ArrayRef<ShapeConstraint> getConstraints() const { return constraints; }

  /// While a verifier runs: operands have fresh symbols, contents come from constants only, and an op whose result rank
  /// cannot be told leaves its dims unset instead of failing.
  bool isVerifying() const { return verifying; }
  void setVerifying() { verifying = true; }

  /// While one tries whether sizes can be expressed, those that cannot fail without a word; `overflowed` was there one.
  bool tryingSizes = false, overflowed = false;
  /// A size of `op` is too large or too complex: fails, with a diagnostic unless one is trying.
  llvm::LogicalResult failOverflow(mlir::Operation *op, const llvm::Twine &message);

private:
  /// That runs whose numbers the type cannot hold are refused: what follows from them would be wrong.
  void requireExact(mlir::Value value, llvm::ArrayRef<SymFraction> numbers);
  void addConstraint(const ShapeConstraint &constraint);
  llvm::LogicalResult checkOverflow(const SymExpr &a, const SymExpr &b, mlir::Operation *op);

  llvm::DenseMap<mlir::Value, SymDims> dims;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<SymFraction>> contents;
  llvm::SmallVector<ShapeConstraint> constraints;
  llvm::DenseSet<std::tuple<int, const void *, const void *>> stated; // those in `constraints`, by their sides' ids
  llvm::StringSet<> taken, fresh;
  std::unordered_set<SymExpr, SymExpr::Hash> reserved; // their symbols are taken
  llvm::StringMap<SymExpr> bound, defined;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<std::string>> boundBy;
  unsigned nextSymbol = 0;
  llvm::StringMap<unsigned> nextBound; // the number to try next, by prefix
  bool verifying = false;
};

/// tensor<dims x element>: constants become static sizes, other expressions `?`.
mlir::RankedTensorType typeFromDims(mlir::Type element, llvm::ArrayRef<SymExpr> dims);

/// The dims that a type states; dynamic ones become fresh symbols.
SymDims dimsFromType(mlir::RankedTensorType type, ShapeState &state);

/// Seeds the arguments of `function` from their `ds.shape` attributes (or types, with fresh entry symbols) .
llvm::LogicalResult seedArguments(mlir::Region &body, ShapeState &state);

/// Runs inferShapes over the region's (single) block in order, nested regions included. Emits a diagnostic that names
/// node and operator on failure. Types are left alone.
llvm::LogicalResult inferRegion(mlir::Region &region, ShapeState &state);

/// seedArguments + inferRegion for anything with one body region (func.func).
llvm::LogicalResult inferFunction(mlir::Operation *function, ShapeState &state);

/// Runs inferShapes on `op` and checks that every result got dims (emits an error otherwise).
llvm::LogicalResult inferOp(mlir::Operation *op, ShapeState &state);

/// Sets the result types of `op` from the state's dims (element types stay).
void refineResultTypes(mlir::Operation *op, const ShapeState &state);

/// inferOp + refineResultTypes.
llvm::LogicalResult inferAndRefine(mlir::Operation *op, ShapeState &state);

/// A stand-in result type until inferAndRefine runs.
inline mlir::Type placeholderType(mlir::Type element) { return mlir::RankedTensorType::get({}, element); }

/// Creates a one-result op with inferred result type. `args` are those of OpTy's builder after the result type; fails
/// with a diagnostic (and erases the op again) if the operands do not fit.
template <typename OpTy, typename... Args>
llvm::FailureOr<OpTy> createInferred(mlir::OpBuilder &builder, mlir::Location loc, ShapeState &state,
                                     mlir::Type element, Args &&...args) {
  OpTy op = OpTy::create(builder, loc, placeholderType(element), std::forward<Args>(args)...);
  if (mlir::failed(inferAndRefine(op, state))) {
    op->erase();
    return mlir::failure();
  }
  return op;
}

/// The same from operands and named attributes, for any number of results (one element type each).
template <typename OpTy>
llvm::FailureOr<OpTy> createInferredGeneric(mlir::OpBuilder &builder, mlir::Location loc, ShapeState &state,
                                            llvm::ArrayRef<mlir::Type> elements, mlir::ValueRange operands,
                                            llvm::ArrayRef<mlir::NamedAttribute> attributes) {
  llvm::SmallVector<mlir::Type> types;
  for (mlir::Type element : elements)
    types.push_back(placeholderType(element));
  OpTy op = OpTy::create(builder, loc, mlir::TypeRange(types), operands, attributes);
  if (mlir::failed(inferAndRefine(op, state))) {
    op->erase();
    return mlir::failure();
  }
  return op;
}

namespace detail {
/// The shape function of every elementwise op.
llvm::LogicalResult inferElementwise(mlir::Operation *op, ShapeState &state);
/// The generic part of every verifier: the shape function must succeed on the operand types and agree with the result
/// types.
llvm::LogicalResult verifyShapeOp(mlir::Operation *op);
} // namespace detail

} // namespace ds

#endif
