//===- KernelRoots.cpp - What grouping must know of ops with loops --------===//
// Guarantees: the methods of KernelRootOpInterface that are not the default. They describe loops that read each operand
// as
//   few times as is sensible; a target whose loops read more computes more.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"

using namespace mlir;

namespace ds {

using Times = std::optional<int64_t>;

/// `times` for operand 0; the others are read again for each part of the result.
static Times first(OpOperand &operand, int64_t times) {
  return operand.getOperandNumber() == 0 ? Times(times) : std::nullopt;
}

// Products read a row, or the pixels under a window, for a panel of weights at a time.
Times GemmOp::timesRead(OpOperand &operand) { return first(operand, 1); }
Times ConvGemmOp::timesRead(OpOperand &operand) { return first(operand, getKernel()[0] * getKernel()[1]); }
// Squares of 2 + 2 or 4 + 2 pixels overlap.
Times ConvWinogradOp::timesRead(OpOperand &operand) { return first(operand, 4); }

Times ReduceSumOp::timesRead(OpOperand &) { return 1; }
Times ReduceMeanOp::timesRead(OpOperand &) { return 1; }
Times ReduceMaxOp::timesRead(OpOperand &) { return 1; }
Times ReduceMinOp::timesRead(OpOperand &) { return 1; }
Times ReduceProdOp::timesRead(OpOperand &) { return 1; }
Times ConcatOp::timesRead(OpOperand &) { return 1; }
Times DftOp::timesRead(OpOperand &operand) { return first(operand, 1); }

// The largest element and the sum, then the result.
Times SoftmaxOp::timesRead(OpOperand &) { return 2; }
Times LogSoftmaxOp::timesRead(OpOperand &) { return 2; }
// Mean, variance, result.
Times LayerNormOp::timesRead(OpOperand &operand) { return first(operand, 3); }

Times AttentionOp::timesRead(OpOperand &operand) {
  // Queries and keys are copied into tiles once; values and masks are read again for every tile.
  bool moved = isa_and_nonnull<TransposeOp>(operand.get().getDefiningOp());
  return operand.getOperandNumber() <= 1 || moved ? Times(1) : std::nullopt;
}

// Elements come about in an order of their own.
bool DftOp::hasEpilogue() { return false; }
bool CumSumOp::hasEpilogue() { return false; }
bool CumProdOp::hasEpilogue() { return false; }
bool ScatterElementsOp::hasEpilogue() { return false; }
bool ScatterNdOp::hasEpilogue() { return false; }

// Their loops address memory themselves.
bool ScatterElementsOp::takesComputedOperands() { return false; }
bool ScatterNdOp::takesComputedOperands() { return false; }
bool TopKOp::takesComputedOperands() { return false; }
bool NonMaxSuppressionOp::takesComputedOperands() { return false; }

} // namespace ds
