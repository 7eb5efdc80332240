//===- KernelEmitter.cpp - The function of one kernel, while it is built --===//
// Guarantees: see KernelEmitter.h. Pointers and sizes are loaded by a small function of the kernel ABI, which calls the
//   body with them as arguments, so that LLVM knows that they do not alias.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/KernelEmitter.h"
#include "dialects/ds/element/SmallFloats.h"
#include "dialects/ds/ir/NodeName.h"
#include "lib/Codegen/KernelCost.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace ds {

KernelEmitter::KernelEmitter(rt::KernelOp kernel, OpBuilder &builder, ShapeState &shapes, const CpuTarget &target,
                             bool inPlace)
    : ElementBuilder(builder, kernel.getLoc(), shapes, target.lanes()), kernel(kernel),
      module(ModuleOp::create(kernel.getLoc())), target(target), inPlace(inPlace) {
  MLIRContext *context = builder.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), i64Type = b.getI64Type(), i32Type = b.getI32Type();
  unsigned inputs = kernel.getNumArguments(), outputs = kernel.getNumResults();
  unsigned count = inputs + outputs;
  b.setInsertionPointToEnd(module->getBody());

  // body(binding..., sizes, scratch, begin, end)
  SmallVector<Type> types(count + 2, pointer);
  types.append({i64Type, i64Type});
  std::string name = kernel.getSymName().str();
  function = func::FuncOp::create(b, loc, name + ".body", b.getFunctionType(types, i32Type));
  function.setPrivate();
  if (!inPlace)
    for (unsigned i = 0; i < count; ++i)
      function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr());
  for (unsigned i = 0; i < inputs; ++i)
    if (!inPlace)
      function.setArgAttr(i, LLVM::LLVMDialect::getReadonlyAttrName(), b.getUnitAttr());
  function.setArgAttr(count, LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr());
  function.setArgAttr(count + 1, LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr());

  // kernel(state, worker, begin, end)
  auto entry = func::FuncOp::create(b, loc, name, b.getFunctionType({pointer, pointer, i64Type, i64Type}, i32Type));
  Block *entryBlock = entry.addEntryBlock();
  b.setInsertionPointToStart(entryBlock);
  auto field = [&](Value base, int64_t index) -> Value {
    Value address =
        LLVM::GEPOp::create(b, loc, pointer, pointer, base, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
    return LLVM::LoadOp::create(b, loc, pointer, address);
  };
  Value bindingArray = field(entryBlock->getArgument(0), 0), sizeArray = field(entryBlock->getArgument(0), 1);
  SmallVector<Value> operands;
  for (unsigned i = 0; i < count; ++i)
    operands.push_back(field(bindingArray, i));
  operands.append(
      {sizeArray, field(entryBlock->getArgument(1), 1), entryBlock->getArgument(2), entryBlock->getArgument(3)});
  auto call = func::CallOp::create(b, loc, function, operands);
  func::ReturnOp::create(b, loc, call.getResults());

  Block *block = function.addEntryBlock();
  for (unsigned i = 0; i < count; ++i)
    bindings.push_back(block->getArgument(i));
  sizesPointer = block->getArgument(count);
  scratchPointer = block->getArgument(count + 1);
  begin = block->getArgument(count + 2);
  end = block->getArgument(count + 3);
  b.setInsertionPointToStart(block);
  Value one = LLVM::ConstantOp::create(b, loc, i32Type, b.getI32IntegerAttr(1));
  errorSlot = LLVM::AllocaOp::create(b, loc, pointer, i32Type, one);
  Value zero = LLVM::ConstantOp::create(b, loc, i32Type, b.getI32IntegerAttr(0));
  entryEnd = LLVM::StoreOp::create(b, loc, zero, errorSlot);
}

void KernelEmitter::setRange(const SymExpr &items, const SymExpr &fewestItems) {
  range = items;
  grain = SymExpr::max(fewestItems, SymExpr(1));
}

Value KernelEmitter::scratch(const SymExpr &bytes) {
  SymExpr offset = scratchBytes;
  scratchBytes = scratchBytes + SymExpr::ceilDiv(bytes, 64) * SymExpr(64);
  return LLVM::GEPOp::create(b, loc, scratchPointer.getType(), b.getI8Type(), scratchPointer,
                             ArrayRef<LLVM::GEPArg>{sizeValue(offset)});
}

MemoryRef KernelEmitter::argument(Value tensor) {
  auto argument = cast<BlockArgument>(tensor);
  return {bindings[argument.getArgNumber()], getElementTypeOrSelf(tensor.getType())};
}

MemoryRef KernelEmitter::result(unsigned index) {
  return {bindings[kernel.getNumArguments() + index], getElementTypeOrSelf(results()[index].getType())};
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
    return arith::TruncFOp::create(b, loc, type, value);
  return value;
}

static unsigned storageBytes(Type storage) { return (storage.getIntOrFloatBitWidth() + 7) / 8; }

Value KernelEmitter::advance(Value pointer, Type elementType, Value position) {
  return LLVM::GEPOp::create(b, loc, pointer.getType(), storageType(elementType), pointer,
                             ArrayRef<LLVM::GEPArg>{position});
}

Value KernelEmitter::loadAt(MemoryRef memory, LaneIndex position) {
  Type storage = storageType(memory.elementType);
  unsigned alignment = storageBytes(storage);
  if (position.isUniform()) {
    Value address = advance(memory.pointer, memory.elementType, position.getValue());
    return fromStorage(LLVM::LoadOp::create(b, loc, storage, address, alignment), memory.elementType);
  }
  Type type = laneType(storage);
  Value loaded;
  if (position.isConsecutive()) {
    Value address = advance(memory.pointer, memory.elementType, position.getValue());
    if (mask) {
      Value zero = LLVM::ZeroOp::create(b, loc, type);
      loaded = LLVM::MaskedLoadOp::create(b, loc, type, address, mask, zero, alignment);
    } else {
      loaded = LLVM::LoadOp::create(b, loc, type, address, alignment);
    }
  } else {
    Type pointers = VectorType::get({width}, memory.pointer.getType());
    Value addresses =
        LLVM::GEPOp::create(b, loc, pointers, storage, memory.pointer, ArrayRef<LLVM::GEPArg>{position.getValue()});
    Value live = mask ? mask : broadcast(constantTrue());
    Value zero = LLVM::ZeroOp::create(b, loc, type);
    loaded = LLVM::masked_gather::create(b, loc, type, addresses, live, ValueRange{zero}, alignment);
  }
  return fromStorage(loaded, memory.elementType);
}

void KernelEmitter::storeAt(MemoryRef memory, LaneIndex position, Value value) {
  Type storage = storageType(memory.elementType);
  unsigned alignment = storageBytes(storage);
  if (!position.isUniform())
    value = broadcast(value);
  value = toStorage(value, memory.elementType);
  if (position.getKind() == LaneIndex::Kind::General) {
    Type pointers = VectorType::get({width}, memory.pointer.getType());
    Value addresses =
        LLVM::GEPOp::create(b, loc, pointers, storage, memory.pointer, ArrayRef<LLVM::GEPArg>{position.getValue()});
    Value live = mask ? mask : broadcast(constantTrue());
    LLVM::masked_scatter::create(b, loc, value, addresses, live, alignment);
    return;
  }
  Value address = advance(memory.pointer, memory.elementType, position.getValue());
  if (position.isConsecutive() && mask)
    LLVM::MaskedStoreOp::create(b, loc, value, address, mask, alignment);
  else
    LLVM::StoreOp::create(b, loc, value, address, alignment);
}

Value KernelEmitter::loadVector(Value pointer, Value position, int64_t lanes) {
  Value address = advance(pointer, b.getF32Type(), position);
  return LLVM::LoadOp::create(b, loc, VectorType::get({lanes}, b.getF32Type()), address, /*alignment=*/4);
}

Value KernelEmitter::loadScalar(Value pointer, Value position) {
  return LLVM::LoadOp::create(b, loc, b.getF32Type(), advance(pointer, b.getF32Type(), position), /*alignment=*/4);
}

void KernelEmitter::storeVector(Value pointer, Value position, Value vector) {
  LLVM::StoreOp::create(b, loc, vector, advance(pointer, b.getF32Type(), position), /*alignment=*/4);
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

Value KernelEmitter::lanesBelow(Value start, Value limit) {
  // Compared as i32 offsets from `start`: half the vector registers of an i64 comparison.
  Value left = minI(subI(limit, start), i64(width));
  Value narrow = arith::TruncIOp::create(b, loc, b.getI32Type(), left);
  auto type = VectorType::get({width}, b.getI32Type());
  SmallVector<int32_t> steps(width);
  for (int64_t i = 0; i < width; ++i)
    steps[i] = i;
  Value lanes = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, ArrayRef<int32_t>(steps)));
  Value bound = vector::BroadcastOp::create(b, loc, type, narrow);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, lanes, bound);
}

LogicalResult KernelEmitter::vectorLoop(Value lower, Value upper, function_ref<LogicalResult(LaneIndex)> body,
                                        bool wholeOnly) {
  Value whole = addI(lower, roundDown(subI(upper, lower), width));
  if (failed(forLoop(lower, whole, width, [&](Value i) { return body(LaneIndex::consecutive(i)); })))
    return failure();
  if (wholeOnly)
    return success();
  return ifThen(lessI(whole, upper), [&] {
    setMask(lanesBelow(whole, upper));
    return body(LaneIndex::consecutive(whole));
  });
}

Value KernelEmitter::sizeValue(const SymExpr &expr) {
  if (expr.isConst())
    return constantI64(expr.getConst());
  if (expr.isOverflow()) {
    overflowed = true; // finish() fails
    return constantI64(0);
  }
  auto [slot, isNew] = sizeValues.try_emplace(expr);
  if (!isNew)
    return slot->second;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(entryEnd);
  Value address = LLVM::GEPOp::create(b, loc, sizesPointer.getType(), b.getI64Type(), sizesPointer,
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(sizes.size())});
  Value value = LLVM::LoadOp::create(b, loc, b.getI64Type(), address);
  sizes.push_back(expr);
  return slot->second = value;
}

void KernelEmitter::raiseScalar(Value bad, KernelError error) {
  auto ifOp = scf::IfOp::create(b, loc, bad, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(ifOp.thenBlock()->getTerminator());
  Value code = LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(static_cast<int32_t>(error)));
  LLVM::StoreOp::create(b, loc, code, errorSlot);
}

FailureOr<OwningOpRef<rt::CodeOp>> KernelEmitter::finish() {
  if (overflowed || range.isOverflow() || grain.isOverflow() || scratchBytes.isOverflow()) {
    emitNodeError(kernel) << "a size that it needs is too large or too complex an expression of the model's sizes; "
                             "--shape can fix some";
    return failure();
  }
  Value code = LLVM::LoadOp::create(b, loc, b.getI32Type(), errorSlot);
  func::ReturnOp::create(b, loc, code);
  MLIRContext *context = b.getContext();
  auto one = [&](const SymExpr &expr) { return ShapeAttr::get(context, ArrayRef<SymExpr>{expr}); };
  // Figures for reports, where 0 says that nobody knows.
  auto figure = [&](const SymExpr &expr) { return one(expr.isOverflow() ? SymExpr(0) : expr); };
  OpBuilder detached(context);
  OwningOpRef<rt::CodeOp> result =
      rt::CodeOp::create(detached, loc, kernel.getSymNameAttr(), kernel.getFunctionTypeAttr(), kernel.getSymbolNames(),
                         ShapeAttr::get(context, ArrayRef<SymExpr>(sizes)), one(range), one(grain), one(scratchBytes),
                         figure(operationCount(kernel, shapes)), figure(memoryTraffic(kernel, shapes)),
                         inPlace ? detached.getUnitAttr() : UnitAttr());
  result->getBody().emplaceBlock().push_back(module.release());
  return result;
}

} // namespace ds
