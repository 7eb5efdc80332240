//===- HostOps.cpp - What the host must know of ops that no kernel computes ===//
// Guarantees: the methods of HostOpInterface that are not the default.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"

using namespace mlir;

namespace ds {

static SmallVector<OpOperand *> pointersTo(MutableOperandRange operands) {
  return llvm::map_to_vector(operands, [](OpOperand &operand) { return &operand; });
}

Value ReshapeOp::getViewed() { return getX(); }

bool BindOp::endsStage() { return true; }
Value BindOp::getViewed() { return getX(); }
SmallVector<OpOperand *> BindOp::getOperandsRead() { return {&getXMutable()}; }

bool IfOp::isCall() { return true; }
bool IfOp::mayHandOn() { return true; }
SmallVector<OpOperand *> IfOp::getOperandsRead() { return {&getConditionMutable()}; }

bool LoopOp::isCall() { return true; }
bool LoopOp::mayHandOn() { return true; }
SmallVector<OpOperand *> LoopOp::getOperandsRead() {
  SmallVector<OpOperand *> read = pointersTo(getTripsMutable());
  llvm::append_range(read, pointersTo(getConditionMutable()));
  return read;
}

bool CustomOp::isCall() { return true; }

} // namespace ds
