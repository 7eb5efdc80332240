//===- KernelRoots.cpp - What others must know of ops with loops ----------===//
// Guarantees: the methods of KernelRootOpInterface that are not the default. They describe loops that read each operand
//   as few times as is sensible; a target whose loops read more computes more.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsAdjoint.h"

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
Times ReduceToOp::timesRead(OpOperand &) { return 1; }
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
bool ConvFilterVjpOp::hasEpilogue() { return false; }
bool MaxPoolVjpOp::hasEpilogue() { return false; }

// Their loops address memory themselves.
bool ScatterElementsOp::takesComputedOperands() { return false; }
bool ScatterNdOp::takesComputedOperands() { return false; }
bool TopKOp::takesComputedOperands() { return false; }
bool NonMaxSuppressionOp::takesComputedOperands() { return false; }
bool ConvFilterVjpOp::takesComputedOperands() { return false; }
bool MaxPoolVjpOp::takesComputedOperands() { return false; }

//===----------------------------------------------------------------------===//
// Floating-point operations
//===----------------------------------------------------------------------===//

using Flops = std::optional<SymExpr>;

static SymDims dimsOf(Value tensor, ShapeState &shapes) { return *shapes.getDims(tensor); }
static SymExpr elements(Value tensor, ShapeState &shapes) { return product(dimsOf(tensor, shapes)); }

Flops MatmulOp::getFlops(ShapeState &shapes) {
  return SymExpr(2) * elements(getResult(), shapes) * dimsOf(getA(), shapes).back();
}

Flops GemmOp::getFlops(ShapeState &shapes) {
  SymDims a = dimsOf(getA(), shapes);
  return SymExpr(2) * product(a) * getColumns().getDim(0);
}

Flops ConvOp::getFlops(ShapeState &shapes) {
  SymDims w = dimsOf(getW(), shapes);
  return SymExpr(2) * elements(getResult(), shapes) * product(ArrayRef<SymExpr>(w).drop_front());
}

// A pixel of the result under each tap, whether or not the stride leaves it out.
Flops ConvTransposeOp::getFlops(ShapeState &shapes) {
  SymDims w = dimsOf(getW(), shapes);
  return SymExpr(2) * elements(getResult(), shapes) * w[0] * product(ArrayRef<SymExpr>(w).drop_front(2));
}

Flops ConvFilterVjpOp::getFlops(ShapeState &shapes) {
  SymDims filter = dimsOf(getResult(), shapes);
  return SymExpr(2) * elements(getY(), shapes) * product(ArrayRef<SymExpr>(filter).drop_front());
}

Flops ConvGemmOp::getFlops(ShapeState &shapes) {
  return SymExpr(2) * elements(getResult(), shapes) * dimsOf(getW(), shapes)[2];
}

// The products, which are most of it.
Flops ConvWinogradOp::getFlops(ShapeState &shapes) {
  const int64_t outputs = getOutputs(), side = outputs + 2;
  SymDims x = dimsOf(getX(), shapes), result = dimsOf(getResult(), shapes);
  SymExpr squares = result[0] * SymExpr::ceilDiv(result[1], outputs) * SymExpr::ceilDiv(result[2], outputs);
  return SymExpr(2 * side * side) * squares * x[3] * result[3];
}

Flops DepthwiseOp::getFlops(ShapeState &shapes) {
  SymDims w = dimsOf(getW(), shapes);
  return SymExpr(2) * elements(getResult(), shapes) * w[0] * w[1];
}

template <typename PoolOp> static SymExpr poolFlops(PoolOp op, ShapeState &shapes) {
  SymExpr flops = elements(op->getResult(0), shapes);
  for (int64_t taps : op.getKernel())
    flops = flops * SymExpr(taps);
  return flops;
}
Flops MaxPoolOp::getFlops(ShapeState &shapes) { return poolFlops(*this, shapes); }
Flops AvgPoolOp::getFlops(ShapeState &shapes) { return poolFlops(*this, shapes); }

Flops MaxPoolVjpOp::getFlops(ShapeState &shapes) {
  SymExpr flops = elements(getY(), shapes);
  for (int64_t taps : getKernel())
    flops = flops * SymExpr(taps);
  return flops;
}

Flops ReduceSumOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops ReduceMeanOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops ReduceMaxOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops ReduceMinOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops ReduceProdOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops ArgMaxOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops ArgMinOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops CumSumOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops CumProdOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops TopKOp::getFlops(ShapeState &shapes) { return elements(getX(), shapes); }
Flops NonMaxSuppressionOp::getFlops(ShapeState &shapes) { return elements(getScores(), shapes); }
Flops ScatterElementsOp::getFlops(ShapeState &shapes) { return elements(getUpdates(), shapes); }
Flops ScatterNdOp::getFlops(ShapeState &shapes) { return elements(getUpdates(), shapes); }

// An exponential, or the mean, the variance and the result, counted as eight.
static constexpr int64_t kNormalization = 8;
Flops SoftmaxOp::getFlops(ShapeState &shapes) { return SymExpr(kNormalization) * elements(getX(), shapes); }
Flops LogSoftmaxOp::getFlops(ShapeState &shapes) { return SymExpr(kNormalization) * elements(getX(), shapes); }
Flops LayerNormOp::getFlops(ShapeState &shapes) { return SymExpr(kNormalization) * elements(getX(), shapes); }

// The two products.
Flops AttentionOp::getFlops(ShapeState &shapes) {
  SymDims q = dimsOf(getQ(), shapes), k = dimsOf(getK(), shapes), v = dimsOf(getV(), shapes);
  SymExpr pairs = product(ArrayRef<SymExpr>(q).drop_back()) * k[k.size() - 2];
  return SymExpr(2) * pairs * (q.back() + v.back());
}

// The product with the state, at each step.
template <typename OpTy> static SymExpr recurrentFlops(OpTy op, ShapeState &shapes) {
  SymDims x = dimsOf(op.getX(), shapes);
  int64_t hidden = op.getHidden();
  return SymExpr(2 * op.getDirections()) * x[0] * x[1] * SymExpr(OpTy::kGates * hidden * hidden);
}
Flops LstmOp::getFlops(ShapeState &shapes) { return recurrentFlops(*this, shapes); }
Flops GruOp::getFlops(ShapeState &shapes) { return recurrentFlops(*this, shapes); }
Flops RnnOp::getFlops(ShapeState &shapes) { return recurrentFlops(*this, shapes); }
Flops LstmVjpOp::getFlops(ShapeState &shapes) { return recurrentFlops(*this, shapes); }
Flops GruVjpOp::getFlops(ShapeState &shapes) { return recurrentFlops(*this, shapes); }
Flops RnnVjpOp::getFlops(ShapeState &shapes) { return recurrentFlops(*this, shapes); }

// n log n for every n, with a logarithm that suits most: some eight operations for each of four bits.
Flops DftOp::getFlops(ShapeState &shapes) {
  SymDims x = dimsOf(getX(), shapes), result = dimsOf(getResult(), shapes);
  SymExpr flops = SymExpr(32) * (isRealResult() ? result : x)[getAxis()];
  for (unsigned d = 0; d + 1 < x.size(); ++d)
    if (d != getAxis())
      flops = flops * x[d];
  return flops;
}

} // namespace ds
