//===- Normalization.cpp - Composite ops -------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsNormalization.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsNormalization.cpp.inc"

namespace ds {

//===----------------------------------------------------------------------===//
// Shapes and verifiers
//===----------------------------------------------------------------------===//

LogicalResult LayerNormOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state);
  if (failed(checkAxis(*this, getAxis(), x.size())))
    return failure();
  ArrayRef<SymExpr> normalized = ArrayRef(x).drop_front(getAxis());
  for (Value parameter : getOperands().drop_front()) {
    SymDims dims = dimsOf(parameter, state);
    if (dims.size() > normalized.size())
      return emitNodeError(*this) << "expected scale and bias of rank at most " << normalized.size() << ", got rank "
                                  << dims.size();
    for (auto [dim, size] : llvm::zip_equal(dims, normalized.take_back(dims.size())))
      if (!dim.isConst(1) &&
          failed(state.requireEqual(dim, size, *this, "scale and bias to broadcast to the normalized dimensions")))
        return failure();
  }
  state.setDims(getResult(), x);
  return success();
}

template <typename OpTy> static LogicalResult inferSoftmax(OpTy op, ShapeState &state) {
  SymDims x = dimsOf(op.getX(), state);
  if (failed(checkAxis(op, op.getAxis(), x.size())))
    return failure();
  state.setDims(op.getResult(), x);
  return success();
}
LogicalResult SoftmaxOp::inferShapes(ShapeState &state) { return inferSoftmax(*this, state); }
LogicalResult LogSoftmaxOp::inferShapes(ShapeState &state) { return inferSoftmax(*this, state); }

LogicalResult BatchNormOp::inferShapes(ShapeState &state) {
  SymDims x = dimsOf(getX(), state);
  if (x.empty())
    return emitNodeError(*this) << "expected an input of rank 1 or more, got rank 0";
  SymExpr channels = getLayout() == Layout::nhwc ? x.back() : x.size() == 1 ? SymExpr(1) : x[1];
  for (Value parameter : getOperands().drop_front()) {
    SymDims dims = dimsOf(parameter, state);
    if (dims.size() != 1)
      return emitNodeError(*this) << "expected parameters of rank 1, got rank " << dims.size();
    if (failed(state.requireEqual(dims[0], channels, *this, "as many parameters as channels")))
      return failure();
  }
  state.setDims(getResult(), x);
  return success();
}

LogicalResult BatchNormOp::verify() { return verifySameElementType(*this, getX(), getResult(), "'x'", "the result"); }

LogicalResult AttentionOp::inferShapes(ShapeState &state) {
  SymDims q = dimsOf(getQ(), state), k = dimsOf(getK(), state), v = dimsOf(getV(), state);
  size_t rank = q.size();
  if (rank < 2 || k.size() != rank || v.size() != rank)
    return emitNodeError(*this) << "expected q, k and v of one rank, 2 or more, got ranks " << rank << ", " << k.size()
                                << " and " << v.size();
  SymDims dims(q.begin(), q.end());
  for (size_t i = 0; i + 2 < rank; ++i)
    for (const SymExpr &other : {k[i], v[i]}) {
      FailureOr<SymExpr> dim = unify(dims[i], other, *this, "q, k and v to agree in dimension " + Twine(i), state);
      if (failed(dim))
        return failure();
      dims[i] = *dim;
    }
  if (failed(state.requireEqual(q.back(), k.back(), *this, "q and k to have the same last dimension")) ||
      failed(state.requireEqual(k[rank - 2], v[rank - 2], *this, "k and v to have the same length")))
    return failure();
  if (getMask()) {
    SymDims mask = dimsOf(getMask(), state), scores = dims;
    scores.back() = k[rank - 2];
    if (mask.size() > rank)
      return emitNodeError(*this) << "expected a mask of rank at most " << rank << ", got rank " << mask.size();
    for (auto [dim, size] : llvm::zip_equal(mask, ArrayRef(scores).take_back(mask.size())))
      if (failed(state.broadcast({dim}, {size}, *this)))
        return failure();
  }
  dims.back() = v.back();
  state.setDims(getResult(), dims);
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifySameElementType(*this, getQ(), getK(), "q", "k")) ||
      failed(verifySameElementType(*this, getQ(), getV(), "q", "v")) ||
      failed(verifySameElementType(*this, getQ(), getResult(), "q", "the result")))
    return failure();
  if (getMask() && !getElementTypeOrSelf(getMask()).isInteger(1))
    return verifySameElementType(*this, getQ(), getMask(), "q", "a mask that is not i1");
  return success();
}

//===----------------------------------------------------------------------===//
// Expansions
//===----------------------------------------------------------------------===//

namespace {
/// Builds ops with inferred types; remembers whether one failed.
struct Expander {
  OpBuilder &builder;
  Location loc;
  ShapeState &state;
  bool failed = false;

  template <typename OpTy, typename... Args> Value create(Type element, Args &&...args) {
    if (failed)
      return {};
    FailureOr<OpTy> op = createInferred<OpTy>(builder, loc, state, element, std::forward<Args>(args)...);
    failed |= mlir::failed(op);
    return failed ? Value() : Value((*op)->getResult(0));
  }
  Value scalar(Type element, double value) { return floatScalar(builder, loc, element, value); }
  FailureOr<SmallVector<Value>> done(Value result) {
    if (failed)
      return failure();
    return SmallVector<Value>{result};
  }
};
} // namespace

FailureOr<SmallVector<Value>> LayerNormOp::expand(OpBuilder &builder, ShapeState &state) {
  Expander e{builder, getLoc(), state};
  Type element = getElementTypeOrSelf(getX()), wide = element.isF64() ? element : builder.getF32Type();
  int64_t rank = state.getDims(getX())->size();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(getAxis(), rank));
  Value x = element == wide ? Value(getX()) : e.create<CastOp>(wide, getX(), false);
  Value mean = e.create<ReduceMeanOp>(wide, x, axes, true);
  Value centered = e.create<SubOp>(wide, x, mean);
  Value squares = e.create<MulOp>(wide, centered, centered);
  Value variance = e.create<ReduceMeanOp>(wide, squares, axes, true);
  Value shifted = e.create<AddOp>(wide, variance, e.scalar(wide, getEpsilon().convertToDouble()));
  Value result = e.create<MulOp>(wide, centered, e.create<RsqrtOp>(wide, shifted));
  if (element != wide)
    result = e.create<CastOp>(element, result, false);
  result = e.create<MulOp>(element, result, getScale());
  if (getBias())
    result = e.create<AddOp>(element, result, getBias());
  return e.done(result);
}

FailureOr<SmallVector<Value>> SoftmaxOp::expand(OpBuilder &builder, ShapeState &state) {
  Expander e{builder, getLoc(), state};
  Type element = getElementTypeOrSelf(getX());
  SmallVector<int64_t> axes{int64_t(getAxis())};
  Value largest = e.create<ReduceMaxOp>(element, getX(), axes, true);
  Value exps = e.create<ExpOp>(element, e.create<SubOp>(element, getX(), largest));
  return e.done(e.create<DivOp>(element, exps, e.create<ReduceSumOp>(element, exps, axes, true)));
}

FailureOr<SmallVector<Value>> LogSoftmaxOp::expand(OpBuilder &builder, ShapeState &state) {
  Expander e{builder, getLoc(), state};
  Type element = getElementTypeOrSelf(getX());
  SmallVector<int64_t> axes{int64_t(getAxis())};
  Value largest = e.create<ReduceMaxOp>(element, getX(), axes, true);
  Value shifted = e.create<SubOp>(element, getX(), largest);
  Value sum = e.create<ReduceSumOp>(element, e.create<ExpOp>(element, shifted), axes, true);
  return e.done(e.create<SubOp>(element, shifted, e.create<LogOp>(element, sum)));
}

FailureOr<SmallVector<Value>> BatchNormOp::expand(OpBuilder &builder, ShapeState &state) {
  Expander e{builder, getLoc(), state};
  Type element = getElementTypeOrSelf(getX());
  SymDims x = *state.getDims(getX());
  // A parameter as [C, 1, ...], which broadcasts to the channels.
  auto parameter = [&](Value value) {
    if (getElementTypeOrSelf(value) != element)
      value = e.create<CastOp>(element, value, false);
    if (getLayout() == Layout::nhwc || x.size() < 3 || e.failed)
      return value;
    SymDims dims = *state.getDims(value);
    dims.append(x.size() - 2, SymExpr(1));
    return e.create<ReshapeOp>(element, value, Value(), ShapeAttr::get(getContext(), ArrayRef<SymExpr>(dims)), false);
  };
  Value mean = parameter(getMean()), variance = parameter(getVar()), scale = parameter(getScale()),
        bias = parameter(getBias());
  Value centered = e.create<SubOp>(element, getX(), mean);
  Value shifted = e.create<AddOp>(element, variance, e.scalar(element, getEpsilon().convertToDouble()));
  Value factor = e.create<MulOp>(element, scale, e.create<RsqrtOp>(element, shifted));
  return e.done(e.create<AddOp>(element, e.create<MulOp>(element, centered, factor), bias));
}

FailureOr<Value> AttentionOp::buildWeights(OpBuilder &builder, ShapeState &state) {
  Expander e{builder, getLoc(), state};
  // Of half precision are the products; what becomes of them is f32.
  Type element = getElementTypeOrSelf(getQ());
  Type wide = element.getIntOrFloatBitWidth() < 32 ? Type(builder.getF32Type()) : element;
  Type flag = builder.getI1Type(), index = builder.getI64Type();
  SymDims q = *state.getDims(getQ()), k = *state.getDims(getK());
  int64_t rank = q.size();
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(perm[rank - 2], perm[rank - 1]);
  Value keys = e.create<TransposeOp>(element, getK(), perm);
  Value scores = e.create<MatmulOp>(element, getQ(), keys);
  auto widen = [&](Value value) { return element == wide ? value : e.create<CastOp>(wide, value, false); };
  scores = e.create<MulOp>(wide, widen(scores), e.scalar(wide, getScale().convertToDouble()));
  Value lowest = e.scalar(wide, -std::numeric_limits<double>::infinity());
  if (getMask())
    scores = getElementTypeOrSelf(getMask()).isInteger(1) ? e.create<SelectOp>(wide, getMask(), scores, lowest)
                                                          : e.create<AddOp>(wide, scores, widen(getMask()));
  if (getCausal()) {
    // Key j is seen by query t if j <= t + S - T.
    SymExpr queries = q[rank - 2], lengths = k[rank - 2];
    auto sizes = [&](ArrayRef<SymExpr> dims) { return ShapeAttr::get(getContext(), dims); };
    auto value = [&](const SymExpr &expr) { return e.create<ShapeValueOp>(index, sizes({expr}), true); };
    Value zero = value(SymExpr(0)), one = value(SymExpr(1));
    Value j = e.create<RangeOp>(index, zero, value(lengths), one, sizes({lengths}));
    Value t = e.create<RangeOp>(index, zero, value(queries), one, sizes({queries}));
    t = e.create<ReshapeOp>(index, t, Value(), sizes({queries, SymExpr(1)}), false);
    t = e.create<AddOp>(index, t, value(lengths - queries));
    Value seen = e.create<CompareOp>(flag, ComparePredicate::le, j, t);
    scores = e.create<SelectOp>(wide, seen, scores, lowest);
  }
  Value weights = e.create<SoftmaxOp>(wide, scores, rank - 1);
  if (getZeroMaskedRows()) {
    Value broken = e.create<IsNanOp>(flag, weights);
    weights = e.create<SelectOp>(wide, broken, e.scalar(wide, 0.0), weights);
  }
  if (e.failed)
    return failure();
  return weights;
}

FailureOr<SmallVector<Value>> AttentionOp::expand(OpBuilder &builder, ShapeState &state) {
  FailureOr<Value> weights = buildWeights(builder, state);
  if (failed(weights))
    return failure();
  Expander e{builder, getLoc(), state};
  Type element = getElementTypeOrSelf(getQ());
  Value narrow = getElementTypeOrSelf(*weights) == element ? *weights : e.create<CastOp>(element, *weights, false);
  return e.done(e.create<MatmulOp>(element, narrow, getV()));
}

} // namespace ds
