//===- NarrowProducts.cpp - Products in half precision --------------------===//
// Assumes: ops in attribute form; NarrowOpInterface is attached.
// Guarantees: see narrowProducts in ds/Train/Step.h. Casts go in front of what only moves elements (a transposed
// weight,
//   the heads of attention), so that half as many bytes are moved and packing sees what it knows. A value is cast once.
// Declines: ops with several float results; tables of which few rows are taken.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "ds/Train/Step.h"
#include "lib/Train/PrecisionRules.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace ds {

static bool isF32(Value value) { return getElementTypeOrSelf(value.getType()).isF32(); }

/// Whether an op gives each element of its only operand a place of its own.
static bool onlyMoves(Operation *op) {
  return op->hasTrait<CopiesElements>() && !op->hasTrait<RepeatsElements>() && op->getNumOperands() == 1 &&
         op->getNumResults() == 1;
}

namespace {
class Narrower {
public:
  explicit Narrower(FloatType half) : half(half) {}
  void run(func::FuncOp function);

private:
  Type narrowed(Type type) const { return cast<RankedTensorType>(type).clone(half); }
  /// `value` in half precision, made right behind it.
  Value narrow(Value value);
  void narrow(Operation *op);

  FloatType half;
  llvm::DenseMap<Value, Value> known;
};
} // namespace

Value Narrower::narrow(Value value) {
  if (Value found = known.lookup(value))
    return found;
  Operation *source = value.getDefiningOp();
  Value result;
  if (auto cast = dyn_cast_if_present<CastOp>(source); cast && getElementTypeOrSelf(cast.getX().getType()) == half) {
    result = cast.getX();
  } else {
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    if (source && onlyMoves(source)) {
      Value operand = narrow(source->getOperand(0));
      Operation *moved = builder.clone(*source);
      moved->setOperand(0, operand);
      moved->getResult(0).setType(narrowed(value.getType()));
      result = moved->getResult(0);
    } else {
      result = CastOp::create(builder, value.getLoc(), narrowed(value.getType()), value, /*saturate=*/false);
    }
  }
  return known[value] = result;
}

void Narrower::narrow(Operation *op) {
  OpBuilder builder(op);
  Operation *made = builder.clone(*op);
  for (OpOperand &operand : made->getOpOperands())
    if (isF32(operand.get()))
      operand.set(narrow(operand.get()));
  Value result = made->getResult(0);
  result.setType(narrowed(result.getType()));
  op->getResult(0).replaceAllUsesWith(
      CastOp::create(builder, op->getLoc(), op->getResult(0).getType(), result, /*saturate=*/false));
  op->erase();
}

void Narrower::run(func::FuncOp function) {
  SmallVector<Operation *> ops;
  function.walk([&](NarrowOpInterface op) {
    if (op.bearsHalf() && op->getNumResults() == 1 && isF32(op->getResult(0)))
      ops.push_back(op);
  });
  for (Operation *op : ops)
    narrow(op);
}

void narrowProducts(ModuleOp module, FloatType half) {
  attachPrecisionRules(*module.getContext());
  module.walk([&](func::FuncOp function) { Narrower(half).run(function); });
}

} // namespace ds
