//===- KernelEmitter.cpp - The code of one kernel, while it is built ------===//
// Guarantees: see KernelEmitter.h.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/KernelEmitter.h"
#include "dialects/ds/element/SmallFloats.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ds {

KernelEmitter::KernelEmitter(rt::KernelOp kernel, OpBuilder &builder, ShapeState &shapes, int64_t width)
    : ElementBuilder(builder, kernel.getLoc(), shapes, width), kernel(kernel),
      module(ModuleOp::create(kernel.getLoc())) {}

MemoryRef KernelEmitter::argument(Value tensor) {
  auto argument = cast<BlockArgument>(tensor);
  return {arguments[argument.getArgNumber()], getElementTypeOrSelf(tensor.getType())};
}

MemoryRef KernelEmitter::result(unsigned index) {
  return {arguments[kernel.getNumArguments() + index], getElementTypeOrSelf(results()[index].getType())};
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Type KernelEmitter::storageType(Type elementType) {
  if (isSmallType(elementType))
    return b.getI8Type();
  if (auto integer = dyn_cast<IntegerType>(elementType))
    return IntegerType::get(elementType.getContext(), integer.getWidth() == 1 ? 8 : integer.getWidth());
  return elementType;
}

Value KernelEmitter::fromStorage(Value value, Type elementType) {
  if (isSmallType(elementType))
    return fromByte(value, elementType);
  if (elementType.isInteger(1)) {
    Value zero = LLVM::ZeroOp::create(b, loc, value.getType());
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero);
  }
  if (elementType.isF16() || elementType.isBF16()) {
    Type wide = b.getF32Type();
    return arith::ExtFOp::create(b, loc, isVector(value) ? laneType(wide) : wide, value);
  }
  return value;
}

Value KernelEmitter::toStorage(Value value, Type elementType) {
  if (isSmallType(elementType))
    return toByte(value, elementType);
  Type storage = storageType(elementType);
  Type type = isVector(value) ? laneType(storage) : storage;
  if (elementType.isInteger(1))
    return arith::ExtUIOp::create(b, loc, type, value);
  if (elementType.isF16() || elementType.isBF16())
    return truncateFloat(b, loc, value, storage);
  return value;
}

unsigned KernelEmitter::storageBytes(Type storage) { return (storage.getIntOrFloatBitWidth() + 7) / 8; }

Value KernelEmitter::advance(Value pointer, Type elementType, Value position) {
  return LLVM::GEPOp::create(b, loc, pointer.getType(), storageType(elementType), pointer,
                             ArrayRef<LLVM::GEPArg>{position});
}

Value KernelEmitter::loadAt(MemoryRef memory, LaneIndex position) {
  Type storage = storageType(memory.elementType);
  if (!position.isUniform())
    return fromStorage(loadLanes(memory, position, storage), memory.elementType);
  Value address = advance(memory.pointer, memory.elementType, position.getValue());
  return fromStorage(LLVM::LoadOp::create(b, loc, storage, address, storageBytes(storage)), memory.elementType);
}

void KernelEmitter::storeAt(MemoryRef memory, LaneIndex position, Value value) {
  if (!position.isUniform())
    return storeLanes(memory, position, toStorage(broadcast(value), memory.elementType));
  value = toStorage(value, memory.elementType);
  Value address = advance(memory.pointer, memory.elementType, position.getValue());
  LLVM::StoreOp::create(b, loc, value, address, storageBytes(storageType(memory.elementType)));
}

Value KernelEmitter::loadVector(Value pointer, Value position, int64_t lanes, Type element) {
  element = element ? element : Type(b.getF32Type());
  return LLVM::LoadOp::create(b, loc, VectorType::get({lanes}, element), advance(pointer, element, position),
                              storageBytes(element));
}

Value KernelEmitter::loadScalar(Value pointer, Value position, Type element) {
  element = element ? element : Type(b.getF32Type());
  return LLVM::LoadOp::create(b, loc, element, advance(pointer, element, position), storageBytes(element));
}

void KernelEmitter::storeVector(Value pointer, Value position, Value vector) {
  Type element = getElementTypeOrSelf(vector.getType());
  LLVM::StoreOp::create(b, loc, vector, advance(pointer, element, position), storageBytes(element));
}

FailureOr<Value> KernelEmitter::load(Value tensor, ArrayRef<LaneIndex> indices) {
  if (!isArgument(tensor)) {
    emitError(tensor.getLoc()) << "value is neither a kernel argument nor computed in place";
    return failure();
  }
  // Dimensions of size 1 are always at 0, whatever index a collapsed loop gives them.
  return loadAt(argument(tensor), linearize(indices, dims(tensor)));
}

//===----------------------------------------------------------------------===//
// Arithmetic and control
//===----------------------------------------------------------------------===//

Value KernelEmitter::addI(Value x, Value y) { return b.createOrFold<arith::AddIOp>(loc, x, y); }
Value KernelEmitter::subI(Value x, Value y) { return b.createOrFold<arith::SubIOp>(loc, x, y); }
Value KernelEmitter::mulI(Value x, Value y) { return b.createOrFold<arith::MulIOp>(loc, x, y); }
Value KernelEmitter::divI(Value x, Value y) { return b.createOrFold<arith::DivUIOp>(loc, x, y); }
Value KernelEmitter::remI(Value x, Value y) { return b.createOrFold<arith::RemUIOp>(loc, x, y); }
Value KernelEmitter::minI(Value x, Value y) { return b.createOrFold<arith::MinSIOp>(loc, x, y); }
Value KernelEmitter::maxI(Value x, Value y) { return b.createOrFold<arith::MaxSIOp>(loc, x, y); }
Value KernelEmitter::lessI(Value x, Value y) {
  return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, x, y);
}
Value KernelEmitter::roundDown(Value x, int64_t step) { return subI(x, remI(x, i64(step))); }

LogicalResult KernelEmitter::forLoop(Value lower, Value upper, int64_t step, function_ref<LogicalResult(Value)> body) {
  auto carry = [&](Value index, ValueRange) -> FailureOr<SmallVector<Value>> {
    if (failed(body(index)))
      return failure();
    return SmallVector<Value>();
  };
  return success(succeeded(forLoop(lower, upper, step, ValueRange{}, carry)));
}

FailureOr<SmallVector<Value>> KernelEmitter::forLoop(Value lower, Value upper, int64_t step, ValueRange init,
                                                     CarryFn body) {
  auto forOp = scf::ForOp::create(b, loc, lower, upper, i64(step), init);
  Scope scope(*this);
  OpBuilder::InsertionGuard guard(b);
  Block *block = forOp.getBody();
  if (init.empty())
    block->getTerminator()->erase();
  b.setInsertionPointToEnd(block);
  FailureOr<SmallVector<Value>> state = body(forOp.getInductionVar(), forOp.getRegionIterArgs());
  if (failed(state))
    return failure();
  scf::YieldOp::create(b, loc, *state);
  return SmallVector<Value>(forOp.getResults());
}

LogicalResult KernelEmitter::ifThen(Value condition, function_ref<LogicalResult()> body) {
  auto ifOp = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  Scope scope(*this);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(ifOp.thenBlock()->getTerminator());
  return body();
}

SmallVector<Value> KernelEmitter::whileLoop(ValueRange init, function_ref<Value(ValueRange)> condition,
                                            function_ref<SmallVector<Value>(ValueRange)> body) {
  Scope scope(*this);
  auto loop = scf::WhileOp::create(
      b, loc, init.getTypes(), init,
      [&](OpBuilder &, Location, ValueRange state) { scf::ConditionOp::create(b, loc, condition(state), state); },
      [&](OpBuilder &, Location, ValueRange state) { scf::YieldOp::create(b, loc, body(state)); });
  return SmallVector<Value>(loop.getResults());
}

FailureOr<func::FuncOp> KernelEmitter::makeFunction(StringRef suffix, TypeRange arguments, TypeRange results,
                                                    FunctionFn body) {
  Scope scope(*this);
  OpBuilder::InsertionGuard guard(b);
  setMask(Value());
  b.setInsertionPointToStart(module->getBody());
  auto helper =
      func::FuncOp::create(b, loc, (kernel.getSymName() + "." + suffix).str(), b.getFunctionType(arguments, results));
  helper.setPrivate();
  Block *block = helper.addEntryBlock();
  b.setInsertionPointToStart(block);
  FailureOr<SmallVector<Value>> values = body(block->getArguments());
  if (failed(values))
    return failure();
  func::ReturnOp::create(b, loc, *values);
  return helper;
}

Value KernelEmitter::sizeValue(const SymExpr &expr) {
  if (expr.isConst())
    return constantI64(expr.getConst());
  if (expr.isOverflow()) {
    overflowed = true; // whoever ends the kernel fails
    return constantI64(0);
  }
  auto [slot, isNew] = sizeValues.try_emplace(expr);
  if (!isNew)
    return slot->second;
  sizes.push_back(expr);
  return slot->second = loadSize(sizes.size() - 1);
}

} // namespace ds
