//===- CpuKernelEmitter.cpp - The function of a kernel on a CPU -----------===//
// Guarantees: see CpuKernelEmitter.h. Pointers and sizes are loaded by a small function of the kernel ABI, which calls
//   the body with them as arguments, so that LLVM knows that they do not alias.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/CpuKernelEmitter.h"
#include "dialects/ds/ir/NodeName.h"
#include "lib/Codegen/KernelCost.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ds {

CpuKernelEmitter::CpuKernelEmitter(rt::KernelOp kernel, OpBuilder &builder, ShapeState &shapes, const CpuTarget &target,
                                   bool inPlace)
    : KernelEmitter(kernel, builder, shapes, target.lanes()), target(target), inPlace(inPlace) {
  MLIRContext *context = builder.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), i64Type = b.getI64Type(), i32Type = b.getI32Type();
  unsigned inputs = kernel.getNumArguments(), outputs = kernel.getNumResults();
  unsigned count = inputs + outputs;
  b.setInsertionPointToEnd(module->getBody());

  // body(arguments..., sizes, scratch, begin, end)
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
  Value argumentArray = field(entryBlock->getArgument(0), 0), sizeArray = field(entryBlock->getArgument(0), 1);
  SmallVector<Value> operands;
  for (unsigned i = 0; i < count; ++i)
    operands.push_back(field(argumentArray, i));
  operands.append(
      {sizeArray, field(entryBlock->getArgument(1), 1), entryBlock->getArgument(2), entryBlock->getArgument(3)});
  auto call = func::CallOp::create(b, loc, function, operands);
  func::ReturnOp::create(b, loc, call.getResults());

  Block *block = function.addEntryBlock();
  for (unsigned i = 0; i < count; ++i)
    arguments.push_back(block->getArgument(i));
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

void CpuKernelEmitter::setRange(const SymExpr &items, const SymExpr &fewestItems) {
  range = items;
  grain = SymExpr::max(fewestItems, SymExpr(1));
}

Value CpuKernelEmitter::scratch(const SymExpr &bytes) {
  SymExpr offset = scratchBytes;
  scratchBytes = scratchBytes + SymExpr::ceilDiv(bytes, 64) * SymExpr(64);
  return LLVM::GEPOp::create(b, loc, scratchPointer.getType(), b.getI8Type(), scratchPointer,
                             ArrayRef<LLVM::GEPArg>{sizeValue(offset)});
}

Value CpuKernelEmitter::loadSize(unsigned index) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(entryEnd);
  Value address = LLVM::GEPOp::create(b, loc, sizesPointer.getType(), b.getI64Type(), sizesPointer,
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
  return LLVM::LoadOp::create(b, loc, b.getI64Type(), address);
}

//===----------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------===//

Value CpuKernelEmitter::loadLanes(MemoryRef memory, LaneIndex position, Type storage) {
  unsigned alignment = storageBytes(storage);
  Type type = laneType(storage);
  if (position.isConsecutive()) {
    Value address = advance(memory.pointer, memory.elementType, position.getValue());
    if (!mask)
      return LLVM::LoadOp::create(b, loc, type, address, alignment);
    Value zero = LLVM::ZeroOp::create(b, loc, type);
    return LLVM::MaskedLoadOp::create(b, loc, type, address, mask, zero, alignment);
  }
  Type pointers = VectorType::get({width}, memory.pointer.getType());
  Value addresses =
      LLVM::GEPOp::create(b, loc, pointers, storage, memory.pointer, ArrayRef<LLVM::GEPArg>{position.getValue()});
  Value live = mask ? mask : broadcast(constantTrue());
  Value zero = LLVM::ZeroOp::create(b, loc, type);
  return LLVM::masked_gather::create(b, loc, type, addresses, live, ValueRange{zero}, alignment);
}

void CpuKernelEmitter::storeLanes(MemoryRef memory, LaneIndex position, Value value) {
  Type storage = storageType(memory.elementType);
  unsigned alignment = storageBytes(storage);
  if (position.getKind() == LaneIndex::Kind::General) {
    Type pointers = VectorType::get({width}, memory.pointer.getType());
    Value addresses =
        LLVM::GEPOp::create(b, loc, pointers, storage, memory.pointer, ArrayRef<LLVM::GEPArg>{position.getValue()});
    Value live = mask ? mask : broadcast(constantTrue());
    LLVM::masked_scatter::create(b, loc, value, addresses, live, alignment);
    return;
  }
  Value address = advance(memory.pointer, memory.elementType, position.getValue());
  if (mask)
    LLVM::MaskedStoreOp::create(b, loc, value, address, maskOfStore(storage), alignment);
  else
    LLVM::StoreOp::create(b, loc, value, address, alignment);
}

// LLVM 22 (for AVX-512) makes of a truncation that is stored under a constant mask of one lane a store of that lane as
// it was before, of up to eight bytes. No mask that it cannot know is taken for such.
Value CpuKernelEmitter::maskOfStore(Type storage) {
  if (!storage.isInteger() || storage.getIntOrFloatBitWidth() == 64)
    return mask;
  Value one = LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(1));
  Value always = arith::TruncIOp::create(b, loc, b.getI1Type(), opaque(one));
  return arith::AndIOp::create(b, loc, mask, vector::BroadcastOp::create(b, loc, mask.getType(), always));
}

Value CpuKernelEmitter::opaque(Value number) {
  return LLVM::InlineAsmOp::create(b, loc, TypeRange{number.getType()}, ValueRange{number}, "", "=r,0",
                                   /*has_side_effects=*/false, /*is_align_stack=*/false,
                                   LLVM::tailcallkind::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
      .getResult(0);
}

Value CpuKernelEmitter::lanesBelow(Value start, Value limit) {
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

LogicalResult CpuKernelEmitter::vectorLoop(Value lower, Value upper, function_ref<LogicalResult(LaneIndex)> body,
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

//===----------------------------------------------------------------------===//
// The end of a kernel
//===----------------------------------------------------------------------===//

void CpuKernelEmitter::raiseScalar(Value bad, KernelError error) {
  auto ifOp = scf::IfOp::create(b, loc, bad, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(ifOp.thenBlock()->getTerminator());
  Value code = LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(static_cast<int32_t>(error)));
  LLVM::StoreOp::create(b, loc, code, errorSlot);
}

FailureOr<OwningOpRef<rt::CodeOp>> CpuKernelEmitter::finish() {
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
                         inPlace ? detached.getUnitAttr() : UnitAttr(),
                         /*device=*/IntegerAttr());
  result->getBody().emplaceBlock().push_back(module.release());
  return result;
}

} // namespace ds
