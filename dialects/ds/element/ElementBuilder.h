//===- ElementBuilder.h - Builds elements of tensors, a vector at a time --===//
// Assumes: used inside one kernel; the ops of the kernel are in `ds`, their shapes known to `shapes`.
// Guarantees: an op says once how its elements follow from its operands' elements (ElementOpInterface), and that code
//   serves scalars and vectors, every position in a loop nest, and every target.
// Declines: loops over the result and stores; those belong to the emitter of the kernel's root.
//===----------------------------------------------------------------------===//
#ifndef DS_DIALECT_ELEMENTBUILDER_H
#define DS_DIALECT_ELEMENTBUILDER_H

#include "dialects/ds/element/LaneIndex.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/ds/shape/SymExpr.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include <functional>

namespace ds {

/// Codes a kernel may end with; the numbers are DS_KERNEL_* of ds_kernel.h.
enum class KernelError : int32_t { IndexOutOfRange = 1, DivisionByZero = 2, BadValue = 3, NoTiles = 4 };

/// Builds the value of tensor elements at a position given by one LaneIndex a dimension.
///
/// A value is either a scalar (all lanes agree) or a vector of `getWidth()` lanes. Values are of *compute types*:
///   f16, bf16 and smaller floats → f32;  f32, f64 → themselves;  i1 → i1;  signless, signed and unsigned iN → signless
///   iN, integers of 2 and 4 bits → i8, extended by their signedness.
/// Whether an integer is unsigned is known from the tensor's element type only.
class ElementBuilder {
public:
  ElementBuilder(mlir::OpBuilder &builder, mlir::Location loc, ShapeState &shapes, int64_t width)
      : b(builder), loc(loc), shapes(shapes), width(width) {}
  virtual ~ElementBuilder() = default;

  mlir::OpBuilder &builder() { return b; }
  mlir::Location getLoc() const { return loc; }
  int64_t getWidth() const { return width; }

  /// The element of `tensor` at `indices` (one a dimension of `tensor`): bound value, inlined producer, or memory.
  /// Fails (with a diagnostic at the producer) where the producer has no element form.
  mlir::FailureOr<mlir::Value> element(mlir::Value tensor, llvm::ArrayRef<LaneIndex> indices);

  /// Like `element`, for an operand that broadcasts (NumPy rules) to a result of dimensions `resultDims` indexed by
  /// `indices`: leading dimensions are dropped, indices of dimensions of size 1 become 0 (decided at run
  /// time where a size is neither 1 nor provably the result's).
  mlir::FailureOr<mlir::Value> broadcastElement(mlir::Value tensor, llvm::ArrayRef<LaneIndex> indices,
                                                llvm::ArrayRef<SymExpr> resultDims);

  /// Makes `element(tensor, any indices)` be `value`: an accumulator that an epilogue continues from.
  void bind(mlir::Value tensor, mlir::Value value) { bound[tensor] = value; }
  void unbind(mlir::Value tensor) { bound.erase(tensor); }
  /// Declares that `op`'s results are computed where they are used.
  void setInlined(mlir::Operation *op) { inlined.insert(op); }
  bool isInlined(mlir::Operation *op) const { return inlined.contains(op); }

  // Dimensions and sizes.
  SymDims dims(mlir::Value tensor) { return *shapes.getDims(tensor); }
  /// The i64 value of a size expression (a constant, or a size parameter of the kernel).
  virtual mlir::Value sizeValue(const SymExpr &expr) = 0;
  LaneIndex dim(mlir::Value tensor, unsigned d) { return LaneIndex::uniform(sizeValue(dims(tensor)[d])); }
  ShapeState &shapeState() { return shapes; }

  // Index arithmetic; results are as simple (uniform, consecutive) as can be known.
  mlir::Value constantI64(int64_t value);
  LaneIndex constantIndex(int64_t value) { return LaneIndex::uniform(constantI64(value)); }
  LaneIndex add(LaneIndex a, LaneIndex b);
  LaneIndex add(LaneIndex a, int64_t c) { return c == 0 ? a : add(a, constantIndex(c)); }
  LaneIndex sub(LaneIndex a, LaneIndex b);
  LaneIndex mul(LaneIndex a, LaneIndex b);
  LaneIndex mul(LaneIndex a, int64_t c) { return c == 1 ? a : mul(a, constantIndex(c)); }
  /// Floor division and modulo by a positive divisor.
  LaneIndex floorDiv(LaneIndex a, LaneIndex b);
  LaneIndex mod(LaneIndex a, LaneIndex b);
  LaneIndex min(LaneIndex a, LaneIndex b);
  LaneIndex max(LaneIndex a, LaneIndex b);
  LaneIndex select(mlir::Value condition, LaneIndex a, LaneIndex b);
  /// a < b (signed), as i1 or vector<Wxi1>.
  mlir::Value less(LaneIndex a, LaneIndex b);
  mlir::Value lessEqual(LaneIndex a, LaneIndex b);
  mlir::Value equal(LaneIndex a, LaneIndex b);
  /// An integer element value (scalar or vector, any width) as an index, and back.
  LaneIndex indexFromValue(mlir::Value value, bool isUnsigned);
  mlir::Value valueFromIndex(LaneIndex index, mlir::Type computeType);
  /// Row-major linear position -> one index a dimension of sizes `sizes`, and back.
  llvm::SmallVector<LaneIndex> delinearize(LaneIndex linear, llvm::ArrayRef<SymExpr> sizes);
  LaneIndex linearize(llvm::ArrayRef<LaneIndex> indices, llvm::ArrayRef<SymExpr> sizes);

  // Values.
  /// The compute type of a tensor element type (see above).
  static mlir::Type computeType(mlir::Type elementType);
  bool isVector(mlir::Value value) const;
  /// `scalarType` itself for scalars, vector<W x scalarType> for vectors.
  mlir::Type laneType(mlir::Type scalarType) const;
  mlir::Value broadcast(mlir::Value value);
  /// Makes values agree: if any is a vector, all become vectors.
  void unify(llvm::MutableArrayRef<mlir::Value> values);
  void unify(mlir::Value &a, mlir::Value &b);
  /// A scalar constant of a compute type (float or integer).
  mlir::Value constantFloat(mlir::Type type, double value);
  mlir::Value constantInt(mlir::Type type, int64_t value);
  mlir::Value constantTrue(bool value = true);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value logicalAnd(mlir::Value a, mlir::Value b);
  mlir::Value logicalOr(mlir::Value a, mlir::Value b);
  mlir::Value logicalNot(mlir::Value a);
  /// What a byte in memory holds as a value of a small type's compute type, and back.
  mlir::Value fromByte(mlir::Value byte, mlir::Type elementType);
  mlir::Value toByte(mlir::Value value, mlir::Type elementType);
  /// Converts between compute types as ds.cast does; unsignedness from the element types.
  mlir::Value convert(mlir::Value value, mlir::Type fromElement, mlir::Type toElement, bool saturate = false);

  // Control.
  using ValueFn = std::function<mlir::FailureOr<mlir::Value>()>;
  /// `then()` where `condition` holds, `otherwise` elsewhere. `then` is not evaluated for lanes where it does not (a
  /// branch for uniform conditions, masked loads for others), so its indices may be out of range there.
  mlir::FailureOr<mlir::Value> guarded(mlir::Value condition, ValueFn then, mlir::Value otherwise);
  /// As above with a computed alternative; both only where needed.
  mlir::FailureOr<mlir::Value> guarded(mlir::Value condition, ValueFn then, ValueFn otherwise);
  /// for (i = lower; i < upper; ++i) state = body(i, state); lower and upper are uniform. Where the body turns a scalar
  /// of the state into a vector it is built twice: better to `broadcast` the initial value.
  using LoopFn = std::function<mlir::FailureOr<llvm::SmallVector<mlir::Value>>(LaneIndex, mlir::ValueRange)>;
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> loop(LaneIndex lower, LaneIndex upper,
                                                       llvm::ArrayRef<mlir::Value> init, LoopFn body);
  /// Loops in each other, the first outermost, each from and to the given bounds.
  using Bounds = std::pair<LaneIndex, LaneIndex>;
  using NestFn =
      std::function<mlir::FailureOr<llvm::SmallVector<mlir::Value>>(llvm::ArrayRef<LaneIndex>, mlir::ValueRange)>;
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> loopNest(llvm::ArrayRef<Bounds> bounds,
                                                           llvm::ArrayRef<mlir::Value> init, NestFn body);
  /// The initial value of a sum over elements at `indices`: a vector unless they are uniform.
  mlir::Value initial(mlir::Value scalar, llvm::ArrayRef<LaneIndex> indices);
  /// Ends the kernel with `error` (after its current item) if `bad` holds for any live lane.
  void raiseIf(mlir::Value bad, KernelError error);

  /// The lanes that are live (vector<Wxi1>), or null when all are.
  mlir::Value getMask() const { return mask; }
  void setMask(mlir::Value newMask) { mask = newMask; }

  /// Values built since the scope opened are forgotten when it closes: they would not dominate what follows.
  class Scope {
  public:
    explicit Scope(ElementBuilder &eb) : eb(eb), remembered(eb.memoOrder.size()), savedMask(eb.mask) {}
    ~Scope() {
      eb.forget(remembered);
      eb.mask = savedMask;
    }

  private:
    ElementBuilder &eb;
    size_t remembered;
    mlir::Value savedMask;
  };

protected:
  /// Loads from the buffer of a tensor that is no op's inlined result; respects the mask.
  virtual mlir::FailureOr<mlir::Value> load(mlir::Value tensor, llvm::ArrayRef<LaneIndex> indices) = 0;
  /// Records an error code when the scalar i1 `bad` holds.
  virtual void raiseScalar(mlir::Value bad, KernelError error) = 0;

  mlir::Value general(LaneIndex index);

  mlir::OpBuilder &b;
  mlir::Location loc;
  ShapeState &shapes;
  int64_t width;
  mlir::Value mask;

private:
  friend class Scope;
  llvm::DenseMap<mlir::Value, mlir::Value> bound;
  llvm::DenseSet<mlir::Operation *> inlined;
  /// Elements of inlined results: built once a position, the last one last; and the order in which all were built.
  struct Built {
    llvm::SmallVector<LaneIndex, 4> indices;
    mlir::Value value;
  };
  void forget(size_t remembered);
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Built, 1>> memo;
  llvm::SmallVector<mlir::Value> memoOrder;
};

/// f32, or lanes of it, rounded to the storage type f16 or bf16. The CPU's own conversion to bf16 takes subnormal
/// numbers for 0 whatever its modes say: integers do it.
mlir::Value truncateFloat(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value, mlir::Type storage);

} // namespace ds

#endif
