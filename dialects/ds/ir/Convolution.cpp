//===- Convolution.cpp - Convolutions and pools ------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsConvolution.td and DsAdjoint.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsAdjoint.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsConvolution.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/ds/ir/DsAdjoint.cpp.inc"

namespace ds {

namespace {
/// Where the dims of an activation are.
struct ActivationDims {
  int64_t channel, firstSpatial, spatialRank;
};
} // namespace

/// Constraint 1 of all window ops.
static FailureOr<ActivationDims> activationDims(Operation *op, int64_t rank, Layout layout) {
  if (rank < 3)
    return emitNodeError(op) << "expected an input of rank 3 or more, got rank " << rank;
  return layout == Layout::nchw ? ActivationDims{1, 2, rank - 2} : ActivationDims{rank - 1, 1, rank - 2};
}

/// Constraint 2 of all window ops.
static LogicalResult checkWindow(Operation *op, StringRef name, ArrayRef<int64_t> values, int64_t spatialRank,
                                 bool positive) {
  if (int64_t(values.size()) != spatialRank)
    return emitNodeError(op) << "expected " << spatialRank << " entries in '" << name << "', got " << values.size();
  for (int64_t value : values)
    if (positive && value < 1)
      return emitNodeError(op) << "expected positive entries in '" << name << "', got " << value;
  return success();
}

static LogicalResult checkWindows(Operation *op, int64_t spatialRank, ArrayRef<int64_t> strides, ArrayRef<int64_t> low,
                                  ArrayRef<int64_t> high, ArrayRef<int64_t> dilations) {
  return success(succeeded(checkWindow(op, "strides", strides, spatialRank, true)) &&
                 succeeded(checkWindow(op, "pads_low", low, spatialRank, false)) &&
                 succeeded(checkWindow(op, "pads_high", high, spatialRank, false)) &&
                 succeeded(checkWindow(op, "dilations", dilations, spatialRank, true)));
}

/// Constraint: `bias` has the dims [O].
static LogicalResult checkBias(Operation *op, Value bias, const SymExpr &channels, ShapeState &state) {
  if (!bias)
    return success();
  SymDims dims = dimsOf(bias, state);
  if (dims.size() != 1)
    return emitNodeError(op) << "expected a bias of rank 1, got rank " << dims.size();
  return state.requireEqual(dims[0], channels, op, "as many bias values as output channels");
}

LogicalResult ConvOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), w = dimsOf(getW(), state);
  FailureOr<ActivationDims> where = activationDims(*this, x.size(), getLayout());
  if (failed(where) ||
      failed(checkWindows(*this, where->spatialRank, getStrides(), getPadsLow(), getPadsHigh(), getDilations())))
    return failure();
  if (w.size() != x.size())
    return emitNodeError(*this) << "expected weights of rank " << x.size() << ", got rank " << w.size();
  if (getGroup() < 1)
    return emitNodeError(*this) << "expected a positive group, got " << getGroup();
  SymExpr group{int64_t(getGroup())};
  if (failed(state.requireEqual(x[where->channel], w[1] * group, *this,
                                "input channels to be group times dimension 1 of the weights")) ||
      failed(state.requireEqual(SymExpr::mod(w[0], group), SymExpr(0), *this,
                                "output channels to be a multiple of group")) ||
      failed(checkBias(*this, getBias(), w[0], state)))
    return failure();
  SymDims dims = x;
  dims[where->channel] = w[0];
  for (int64_t i = 0; i < where->spatialRank; ++i) {
    SymExpr &dim = dims[where->firstSpatial + i];
    SymExpr span = SymExpr(getDilations()[i]) * (w[2 + i] - SymExpr(1)) + SymExpr(1);
    dim =
        SymExpr::floorDiv(dim + SymExpr(getPadsLow()[i]) + SymExpr(getPadsHigh()[i]) - span, SymExpr(getStrides()[i])) +
        SymExpr(1);
  }
  state.setDims(getResult(), dims);
  return success();
}

LogicalResult ConvTransposeOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), w = dimsOf(getW(), state);
  FailureOr<ActivationDims> where = activationDims(*this, x.size(), getLayout());
  if (failed(where) ||
      failed(checkWindows(*this, where->spatialRank, getStrides(), getPadsLow(), getPadsHigh(), getDilations())) ||
      failed(checkWindow(*this, "output_padding", getOutputPadding(), where->spatialRank, false)))
    return failure();
  if (w.size() != x.size())
    return emitNodeError(*this) << "expected weights of rank " << x.size() << ", got rank " << w.size();
  if (getGroup() < 1)
    return emitNodeError(*this) << "expected a positive group, got " << getGroup();
  SymExpr group{int64_t(getGroup())}, channels = w[1] * group;
  if (failed(state.requireEqual(x[where->channel], w[0], *this, "input channels to be dimension 0 of the weights")) ||
      failed(state.requireEqual(SymExpr::mod(w[0], group), SymExpr(0), *this,
                                "input channels to be a multiple of group")) ||
      failed(checkBias(*this, getBias(), channels, state)))
    return failure();
  SymDims dims = x;
  dims[where->channel] = channels;
  for (int64_t i = 0; i < where->spatialRank; ++i) {
    SymExpr &dim = dims[where->firstSpatial + i];
    SymExpr span = SymExpr(getDilations()[i]) * (w[2 + i] - SymExpr(1)) + SymExpr(1);
    dim = (dim - SymExpr(1)) * SymExpr(getStrides()[i]) + span + SymExpr(getOutputPadding()[i]) -
          SymExpr(getPadsLow()[i]) - SymExpr(getPadsHigh()[i]);
  }
  state.setDims(getResult(), dims);
  return success();
}

template <typename PoolOp> static FailureOr<SymDims> inferPool(PoolOp op, ShapeState &state) {
  SymDims dims = dimsOf(op.getX(), state);
  FailureOr<ActivationDims> where = activationDims(op, dims.size(), op.getLayout());
  if (failed(where) ||
      failed(checkWindows(op, where->spatialRank, op.getStrides(), op.getPadsLow(), op.getPadsHigh(),
                          op.getDilations())) ||
      failed(checkWindow(op, "kernel", op.getKernel(), where->spatialRank, true)))
    return failure();
  for (int64_t i = 0; i < where->spatialRank; ++i) {
    SymExpr &dim = dims[where->firstSpatial + i];
    SymExpr stride(op.getStrides()[i]), low(op.getPadsLow()[i]);
    SymExpr room = dim + low + SymExpr(op.getPadsHigh()[i] - op.getDilations()[i] * (op.getKernel()[i] - 1) - 1);
    // With ceil_mode, no window begins past the input and its low padding.
    dim = op.getCeilMode()
              ? SymExpr::min(SymExpr::ceilDiv(room, stride) + SymExpr(1), SymExpr::ceilDiv(dim + low, stride))
              : SymExpr::floorDiv(room, stride) + SymExpr(1);
  }
  return dims;
}

LogicalResult MaxPoolOp::inferShapes(ShapeState &state) {
  FailureOr<SymDims> dims = inferPool(*this, state);
  if (failed(dims))
    return failure();
  for (Value result : getResults())
    state.setDims(result, *dims);
  return success();
}

LogicalResult MaxPoolOp::verify() { return verifySameElementType(*this, getX(), getResult(), "operand", "result"); }

LogicalResult AvgPoolOp::inferShapes(ShapeState &state) {
  FailureOr<SymDims> dims = inferPool(*this, state);
  if (failed(dims))
    return failure();
  state.setDims(getResult(), *dims);
  return success();
}

//===----------------------------------------------------------------------===//
// Derivatives
//===----------------------------------------------------------------------===//

/// What has vector kernels only.
static LogicalResult checkVectorType(Operation *op) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  return element.isF32() || element.isF64() ? success()
                                            : op->emitOpError("expected elements of f32 or f64, got ") << element;
}

LogicalResult ConvFilterVjpOp::verify() { return checkVectorType(*this); }
LogicalResult MaxPoolVjpOp::verify() { return checkVectorType(*this); }

/// Constraint 1: one or two spatial dims, of two operands alike.
static FailureOr<ActivationDims> pairDims(Operation *op, ArrayRef<SymExpr> x, ArrayRef<SymExpr> y, Layout layout,
                                          ShapeState &state) {
  if (x.size() < 3 || x.size() > 4 || y.size() != x.size())
    return emitNodeError(op) << "expected two operands of rank 3 or 4, got ranks " << x.size() << " and " << y.size();
  if (failed(state.requireEqual(x[0], y[0], op, "equal batches")))
    return failure();
  return activationDims(op, x.size(), layout);
}

LogicalResult ConvFilterVjpOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), y = dimsOf(getY(), state);
  FailureOr<ActivationDims> where = pairDims(*this, x, y, getLayout(), state);
  if (failed(where) || failed(checkWindow(*this, "kernel", getKernel(), where->spatialRank, true)) ||
      failed(checkWindows(*this, where->spatialRank, getStrides(), getPadsLow(), getPadsLow(), getDilations())))
    return failure();
  if (getGroup() < 1)
    return emitNodeError(*this) << "expected a positive group, got " << getGroup();
  SymExpr group{int64_t(getGroup())};
  for (const SymExpr &channels : {x[where->channel], y[where->channel]})
    if (failed(
            state.requireEqual(SymExpr::mod(channels, group), SymExpr(0), *this, "channels to be a multiple of group")))
      return failure();
  SymDims dims = {y[where->channel], SymExpr::exactDiv(x[where->channel], group)};
  for (int64_t size : getKernel())
    dims.push_back(SymExpr(size));
  state.setDims(getResult(), dims);
  return success();
}

LogicalResult MaxPoolVjpOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state), y = dimsOf(getY(), state);
  if (failed(pairDims(*this, x, y, getLayout(), state)))
    return failure();
  FailureOr<SymDims> pooled = inferPool(*this, state);
  if (failed(pooled))
    return failure();
  for (auto [own, wanted] : llvm::zip_equal(y, *pooled))
    if (failed(state.requireEqual(own, wanted, *this, "a cotangent of the dims of the pool's result")))
      return failure();
  state.setDims(getResult(), x);
  return success();
}

} // namespace ds
