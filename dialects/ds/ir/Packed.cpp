//===- Packed.cpp - Contractions on packed operands -----------------------===//
// Guarantees: shape functions of the ops in DsPacked.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeState.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsPacked.cpp.inc"

namespace ds {

LogicalResult PackOp::inferShapes(ShapeState &state) {
  SymDims dims = *state.getDims(getW());
  if (dims.size() < 2)
    return emitOpError("expected an operand of rank 2 or more");
  if (getTile() < 1)
    return emitOpError("expected a positive tile");
  SymExpr k = dims[dims.size() - 2], n = dims.back();
  if (getTransposed())
    std::swap(k, n);
  dims.resize(dims.size() - 2);
  dims.append({SymExpr::ceilDiv(n, getTile()), k, SymExpr(int64_t(getTile()))});
  state.setDims(getResult(), dims);
  return success();
}

LogicalResult PackFilterOp::inferShapes(ShapeState &state) {
  SymDims dims = *state.getDims(getW());
  if (dims.size() != 4)
    return emitOpError("expected a filter of rank 4");
  if (getTile() < 1 || getGroup() < 1)
    return emitOpError("expected a positive tile and group");
  SymExpr group(static_cast<int64_t>(getGroup()));
  SymExpr perGroup = SymExpr::exactDiv(dims[0], group);
  state.setDims(getResult(), {group, SymExpr::ceilDiv(perGroup, getTile()), dims[1] * dims[2] * dims[3],
                              SymExpr(int64_t(getTile()))});
  return success();
}

LogicalResult GemmOp::inferShapes(ShapeState &state) {
  SymDims a = *state.getDims(getA()), w = *state.getDims(getW());
  if (a.size() < 2)
    return emitOpError("expected a left operand of rank 2 or more");
  if (w.size() != 3 && w.size() != a.size() + 1)
    return emitOpError("expected a packed operand of rank 3 or ") << a.size() + 1 << ", got " << w.size();
  if (getColumns().size() != 1)
    return emitOpError("expected one expression as columns");
  if (failed(state.requireEqual(a.back(), w[w.size() - 2], *this, "the summed dimensions to be equal")))
    return failure();
  if (w.size() != 3)
    for (size_t d = 0; d + 2 < a.size(); ++d)
      if (failed(state.requireEqual(a[d], w[d], *this, "leading dimensions to be equal")))
        return failure();
  SymDims result = a;
  result.back() = getColumns().getDim(0);
  state.setDims(getResult(), result);
  return success();
}

static SymExpr windowSize(const SymExpr &size, int64_t kernel, int64_t stride, int64_t low, int64_t high,
                          int64_t dilation) {
  return SymExpr::floorDiv(size + SymExpr(low + high - dilation * (kernel - 1) - 1), stride) + SymExpr(1);
}

LogicalResult ConvGemmOp::inferShapes(ShapeState &state) {
  SymDims x = *state.getDims(getX()), w = *state.getDims(getW());
  if (x.size() != 4 || w.size() != 4)
    return emitOpError("expected operands of rank 4");
  for (ArrayRef<int64_t> window : {getKernel(), getStrides(), getPadsLow(), getPadsHigh(), getDilations()})
    if (window.size() != 2)
      return emitOpError("expected window attributes of two entries");
  SymExpr depth = SymExpr::exactDiv(x[3], getGroup()) * SymExpr(getKernel()[0] * getKernel()[1]);
  if (failed(state.requireEqual(w[2], depth, *this, "the filter's depth to fit the input's channels")))
    return failure();
  SymDims result = x;
  for (int d = 0; d < 2; ++d)
    result[d + 1] =
        windowSize(x[d + 1], getKernel()[d], getStrides()[d], getPadsLow()[d], getPadsHigh()[d], getDilations()[d]);
  result[3] = SymExpr(static_cast<int64_t>(getChannels()));
  state.setDims(getResult(), result);
  return success();
}

LogicalResult WinogradFilterOp::inferShapes(ShapeState &state) {
  SymDims dims = *state.getDims(getW());
  if (dims.size() != 4 || !dims[2].isConst(3) || !dims[3].isConst(3))
    return emitOpError("expected a filter of dims [O, C, 3, 3]");
  if (getTile() < 1)
    return emitOpError("expected a positive tile");
  if (getOutputs() != 2 && getOutputs() != 4)
    return emitOpError("expected 2 or 4 outputs, got ") << getOutputs();
  int64_t side = getOutputs() + 2, tile = getTile();
  state.setDims(getResult(), {SymExpr::ceilDiv(dims[0], tile), SymExpr(side * side), dims[1], SymExpr(tile)});
  return success();
}

LogicalResult ConvWinogradOp::inferShapes(ShapeState &state) {
  SymDims x = *state.getDims(getX()), w = *state.getDims(getW());
  if (x.size() != 4 || w.size() != 4)
    return emitOpError("expected operands of rank 4");
  if (getPadsLow().size() != 2 || getPadsHigh().size() != 2)
    return emitOpError("expected pads of two entries");
  if (getOutputs() != 2 && getOutputs() != 4)
    return emitOpError("expected 2 or 4 outputs, got ") << getOutputs();
  int64_t side = getOutputs() + 2;
  if (failed(state.requireEqual(w[1], SymExpr(side * side), *this, "as many matrices as positions of a square")) ||
      failed(state.requireEqual(w[2], x[3], *this, "the filter's depth to be the input's channels")))
    return failure();
  SymDims result = x;
  for (int d = 0; d < 2; ++d)
    result[d + 1] = windowSize(x[d + 1], 3, 1, getPadsLow()[d], getPadsHigh()[d], 1);
  result[3] = SymExpr(static_cast<int64_t>(getChannels()));
  state.setDims(getResult(), result);
  return success();
}

LogicalResult DepthwiseOp::inferShapes(ShapeState &state) {
  SymDims x = *state.getDims(getX()), w = *state.getDims(getW());
  if (x.size() != 4 || w.size() != 3 || !w[0].isConst() || !w[1].isConst())
    return emitOpError("expected an input of rank 4 and a filter of rank 3");
  for (ArrayRef<int64_t> window : {getStrides(), getPadsLow(), getPadsHigh(), getDilations()})
    if (window.size() != 2)
      return emitOpError("expected window attributes of two entries");
  if (failed(state.requireEqual(x[3], w[2], *this, "as many filters as channels")))
    return failure();
  SymDims result = x;
  result[3] = w[2]; // as a convolution's: a constant filter knows how many
  for (int d = 0; d < 2; ++d)
    result[d + 1] =
        windowSize(x[d + 1], w[d].getConst(), getStrides()[d], getPadsLow()[d], getPadsHigh()[d], getDilations()[d]);
  state.setDims(getResult(), result);
  return success();
}

int64_t DepthwiseOp::elementCost() { return 16; }

FailureOr<Value> DepthwiseOp::buildElement(ElementBuilder &eb, unsigned, ArrayRef<LaneIndex> indices) {
  SymDims filter = eb.dims(getW());
  Type type = ElementBuilder::computeType(getElementTypeOrSelf(getX().getType()));
  bool isFloat = isa<FloatType>(type);
  Location loc = eb.getLoc();
  OpBuilder &b = eb.builder();
  LaneIndex zero = eb.constantIndex(0);
  SmallVector<LaneIndex> start, limit;
  for (int d = 0; d < 2; ++d) {
    start.push_back(eb.add(eb.mul(indices[d + 1], getStrides()[d]), -getPadsLow()[d]));
    limit.push_back(eb.dim(getX(), d + 1));
  }
  Value init = eb.broadcast(isFloat ? eb.constantFloat(type, 0.0) : eb.constantInt(type, 0));
  auto tap = [&](LaneIndex kh, LaneIndex kw, Value sum) -> FailureOr<Value> {
    LaneIndex y = eb.add(start[0], eb.mul(kh, getDilations()[0])), x = eb.add(start[1], eb.mul(kw, getDilations()[1]));
    Value inside = eb.logicalAnd(eb.logicalAnd(eb.lessEqual(zero, y), eb.less(y, limit[0])),
                                 eb.logicalAnd(eb.lessEqual(zero, x), eb.less(x, limit[1])));
    return eb.guarded(
        inside,
        [&]() -> FailureOr<Value> {
          FailureOr<Value> input = eb.element(getX(), {indices[0], y, x, indices[3]});
          FailureOr<Value> weight = eb.element(getW(), {kh, kw, indices[3]});
          if (failed(input) || failed(weight))
            return failure();
          Value left = eb.broadcast(*input), right = eb.broadcast(*weight);
          if (!isFloat)
            return Value(arith::AddIOp::create(b, loc, sum, arith::MulIOp::create(b, loc, left, right)));
          return Value(arith::AddFOp::create(b, loc, sum, arith::MulFOp::create(b, loc, left, right)));
        },
        sum);
  };
  auto rows = eb.loop(zero, eb.constantIndex(filter[0].getConst()), {init},
                      [&](LaneIndex kh, ValueRange state) -> FailureOr<SmallVector<Value>> {
                        return eb.loop(zero, eb.constantIndex(filter[1].getConst()), SmallVector<Value>(state),
                                       [&](LaneIndex kw, ValueRange inner) -> FailureOr<SmallVector<Value>> {
                                         FailureOr<Value> sum = tap(kh, kw, inner[0]);
                                         if (failed(sum))
                                           return failure();
                                         return SmallVector<Value>{*sum};
                                       });
                      });
  if (failed(rows))
    return failure();
  return (*rows)[0];
}

} // namespace ds
