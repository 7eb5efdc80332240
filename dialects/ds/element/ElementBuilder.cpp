//===- ElementBuilder.cpp - Builds elements of tensors, a vector at a time ===//
// Assumes: see ElementBuilder.h.
// Guarantees: index arithmetic folds constants as it goes, so that static shapes leave no trace of it.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/element/SmallFloats.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;

namespace ds {

std::optional<int64_t> LaneIndex::getConst() const {
  APInt constant;
  if (kind == Kind::Uniform && matchPattern(value, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

FailureOr<Value> ElementBuilder::element(Value tensor, ArrayRef<LaneIndex> indices) {
  if (Value value = bound.lookup(tensor))
    return value;
  Operation *producer = tensor.getDefiningOp();
  if (!producer || !inlined.contains(producer))
    return load(tensor, indices);
  // Constants are the same index wherever they were made.
  auto same = [](const LaneIndex &x, const LaneIndex &y) {
    return x == y || (x.getConst() && x.getConst() == y.getConst());
  };
  if (auto known = memo.find(tensor); known != memo.end())
    for (const Built &built : llvm::reverse(known->second))
      if (llvm::equal(built.indices, indices, same))
        return built.value;
  auto op = dyn_cast<ElementOpInterface>(producer);
  if (!op) {
    producer->emitOpError("has no element form");
    return failure();
  }
  FailureOr<Value> value = op.buildElement(*this, cast<OpResult>(tensor).getResultNumber(), indices);
  if (succeeded(value)) {
    memo[tensor].push_back({SmallVector<LaneIndex, 4>(indices), *value});
    memoOrder.push_back(tensor);
  }
  return value;
}

void ElementBuilder::forget(size_t remembered) {
  while (memoOrder.size() > remembered)
    memo[memoOrder.pop_back_val()].pop_back();
}

FailureOr<Value> ElementBuilder::broadcastElement(Value tensor, ArrayRef<LaneIndex> indices,
                                                  ArrayRef<SymExpr> resultDims) {
  SymDims sizes = dims(tensor);
  SmallVector<LaneIndex> own;
  for (auto [size, index, resultSize] :
       llvm::zip_equal(sizes, indices.take_back(sizes.size()), resultDims.take_back(sizes.size()))) {
    if (size.isConst())
      own.push_back(size.getConst() == 1 ? constantIndex(0) : index);
    else if (size == resultSize)
      own.push_back(index);
    else
      own.push_back(select(equal(LaneIndex::uniform(sizeValue(size)), constantIndex(1)), constantIndex(0), index));
  }
  return element(tensor, own);
}

//===----------------------------------------------------------------------===//
// Index arithmetic
//===----------------------------------------------------------------------===//

Value ElementBuilder::constantI64(int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(value));
}

Value ElementBuilder::general(LaneIndex index) {
  if (index.getKind() == LaneIndex::Kind::General)
    return index.getValue();
  auto type = VectorType::get({width}, b.getI64Type());
  Value base = vector::BroadcastOp::create(b, loc, type, index.getValue());
  if (index.isUniform())
    return base;
  SmallVector<int64_t> steps(width);
  for (int64_t i = 0; i < width; ++i)
    steps[i] = i;
  Value lanes = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, ArrayRef<int64_t>(steps)));
  return b.createOrFold<arith::AddIOp>(loc, base, lanes);
}

LaneIndex ElementBuilder::add(LaneIndex x, LaneIndex y) {
  if (x.isUniform() && y.isUniform())
    return LaneIndex::uniform(b.createOrFold<arith::AddIOp>(loc, x.getValue(), y.getValue()));
  if ((x.isConsecutive() && y.isUniform()) || (x.isUniform() && y.isConsecutive()))
    return LaneIndex::consecutive(b.createOrFold<arith::AddIOp>(loc, x.getValue(), y.getValue()));
  return LaneIndex::general(b.createOrFold<arith::AddIOp>(loc, general(x), general(y)));
}

LaneIndex ElementBuilder::sub(LaneIndex x, LaneIndex y) {
  if (x.isUniform() && y.isUniform())
    return LaneIndex::uniform(b.createOrFold<arith::SubIOp>(loc, x.getValue(), y.getValue()));
  if (x.isConsecutive() && y.isUniform())
    return LaneIndex::consecutive(b.createOrFold<arith::SubIOp>(loc, x.getValue(), y.getValue()));
  if (x.isConsecutive() && y.isConsecutive())
    return LaneIndex::uniform(b.createOrFold<arith::SubIOp>(loc, x.getValue(), y.getValue()));
  return LaneIndex::general(b.createOrFold<arith::SubIOp>(loc, general(x), general(y)));
}

LaneIndex ElementBuilder::mul(LaneIndex x, LaneIndex y) {
  if (x.getConst() == 0 || y.getConst() == 0)
    return constantIndex(0);
  if (x.getConst() == 1)
    return y;
  if (y.getConst() == 1)
    return x;
  if (x.isUniform() && y.isUniform())
    return LaneIndex::uniform(b.createOrFold<arith::MulIOp>(loc, x.getValue(), y.getValue()));
  return LaneIndex::general(b.createOrFold<arith::MulIOp>(loc, general(x), general(y)));
}

/// A size that the run decides may be 0: then there is no element to compute, but lanes, and branches that are not
/// taken, may be computed all the same, and must not divide by it.
static Value nonZero(OpBuilder &b, Location loc, LaneIndex divisor) {
  if (divisor.getConst().value_or(0) > 0)
    return divisor.getValue();
  Value one = arith::ConstantIntOp::create(b, loc, 1, 64);
  return arith::MaxSIOp::create(b, loc, divisor.getValue(), one);
}

LaneIndex ElementBuilder::floorDiv(LaneIndex x, LaneIndex y) {
  if (y.getConst() == 1)
    return x;
  if (y.isUniform())
    y = LaneIndex::uniform(nonZero(b, loc, y));
  if (x.isUniform() && y.isUniform())
    return LaneIndex::uniform(b.createOrFold<arith::FloorDivSIOp>(loc, x.getValue(), y.getValue()));
  return LaneIndex::general(arith::FloorDivSIOp::create(b, loc, general(x), general(y)));
}

LaneIndex ElementBuilder::mod(LaneIndex x, LaneIndex y) {
  if (y.getConst() == 1)
    return constantIndex(0);
  return sub(x, mul(floorDiv(x, y), y));
}

LaneIndex ElementBuilder::min(LaneIndex x, LaneIndex y) {
  if (x.isUniform() && y.isUniform())
    return LaneIndex::uniform(b.createOrFold<arith::MinSIOp>(loc, x.getValue(), y.getValue()));
  return LaneIndex::general(arith::MinSIOp::create(b, loc, general(x), general(y)));
}

LaneIndex ElementBuilder::max(LaneIndex x, LaneIndex y) {
  if (x.isUniform() && y.isUniform())
    return LaneIndex::uniform(b.createOrFold<arith::MaxSIOp>(loc, x.getValue(), y.getValue()));
  return LaneIndex::general(arith::MaxSIOp::create(b, loc, general(x), general(y)));
}

LaneIndex ElementBuilder::select(Value condition, LaneIndex x, LaneIndex y) {
  APInt constant;
  if (matchPattern(condition, m_ConstantInt(&constant)))
    return constant.isZero() ? y : x;
  if (!isVector(condition) && x.getKind() == y.getKind()) {
    Value value = b.createOrFold<arith::SelectOp>(loc, condition, x.getValue(), y.getValue());
    return x.isUniform()       ? LaneIndex::uniform(value)
           : x.isConsecutive() ? LaneIndex::consecutive(value)
                               : LaneIndex::general(value);
  }
  return LaneIndex::general(arith::SelectOp::create(b, loc, condition, general(x), general(y)));
}

static Value compareIndices(ElementBuilder &eb, arith::CmpIPredicate predicate, Value a, Value b) {
  return eb.builder().createOrFold<arith::CmpIOp>(eb.getLoc(), predicate, a, b);
}

Value ElementBuilder::less(LaneIndex x, LaneIndex y) {
  if (x.isUniform() && y.isUniform())
    return compareIndices(*this, arith::CmpIPredicate::slt, x.getValue(), y.getValue());
  return compareIndices(*this, arith::CmpIPredicate::slt, general(x), general(y));
}

Value ElementBuilder::lessEqual(LaneIndex x, LaneIndex y) {
  if (x.isUniform() && y.isUniform())
    return compareIndices(*this, arith::CmpIPredicate::sle, x.getValue(), y.getValue());
  return compareIndices(*this, arith::CmpIPredicate::sle, general(x), general(y));
}

Value ElementBuilder::equal(LaneIndex x, LaneIndex y) {
  if (x.isUniform() && y.isUniform())
    return compareIndices(*this, arith::CmpIPredicate::eq, x.getValue(), y.getValue());
  return compareIndices(*this, arith::CmpIPredicate::eq, general(x), general(y));
}

LaneIndex ElementBuilder::indexFromValue(Value value, bool isUnsigned) {
  Type type = laneType(b.getI64Type());
  if (!isVector(value))
    type = b.getI64Type();
  if (value.getType() != type) {
    if (isUnsigned || getElementTypeOrSelf(value.getType()).isInteger(1))
      value = b.createOrFold<arith::ExtUIOp>(loc, type, value);
    else
      value = b.createOrFold<arith::ExtSIOp>(loc, type, value);
  }
  return isVector(value) ? LaneIndex::general(value) : LaneIndex::uniform(value);
}

Value ElementBuilder::valueFromIndex(LaneIndex index, Type type) {
  Value value = index.isUniform() ? index.getValue() : general(index);
  Type target = isVector(value) ? laneType(type) : type;
  if (isa<FloatType>(type))
    return arith::SIToFPOp::create(b, loc, target, value);
  if (type.isInteger(64))
    return value;
  return b.createOrFold<arith::TruncIOp>(loc, target, value);
}

SmallVector<LaneIndex> ElementBuilder::delinearize(LaneIndex linear, ArrayRef<SymExpr> sizes) {
  SmallVector<LaneIndex> indices(sizes.size(), linear);
  LaneIndex rest = linear;
  for (int64_t d = static_cast<int64_t>(sizes.size()) - 1; d > 0; --d) {
    LaneIndex size = LaneIndex::uniform(sizeValue(sizes[d]));
    size = LaneIndex::uniform(nonZero(b, loc, size));
    // Positions are not negative: unsigned division is one instruction.
    LaneIndex quotient = rest.isUniform()
                             ? LaneIndex::uniform(b.createOrFold<arith::DivUIOp>(loc, rest.getValue(), size.getValue()))
                             : LaneIndex::general(b.createOrFold<arith::DivUIOp>(loc, general(rest), general(size)));
    indices[d] = sub(rest, mul(quotient, size));
    rest = quotient;
  }
  if (!sizes.empty())
    indices[0] = rest;
  return indices;
}

LaneIndex ElementBuilder::linearize(ArrayRef<LaneIndex> indices, ArrayRef<SymExpr> sizes) {
  LaneIndex linear = constantIndex(0);
  SymExpr stride(1);
  for (int64_t d = static_cast<int64_t>(sizes.size()) - 1; d >= 0; --d) {
    if (indices[d].getConst() != 0)
      linear = add(linear, mul(indices[d], LaneIndex::uniform(sizeValue(stride))));
    stride = stride * sizes[d];
  }
  return linear;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Type ElementBuilder::computeType(Type elementType) {
  MLIRContext *context = elementType.getContext();
  if (elementType.isF16() || elementType.isBF16() || SmallFloat::get(elementType))
    return Float32Type::get(context);
  if (isSmallInteger(elementType))
    return IntegerType::get(context, 8);
  if (auto integer = dyn_cast<IntegerType>(elementType))
    return IntegerType::get(context, integer.getWidth());
  return elementType;
}

bool ElementBuilder::isVector(Value value) const { return isa<VectorType>(value.getType()); }

Type ElementBuilder::laneType(Type scalarType) const { return VectorType::get({width}, scalarType); }

Value ElementBuilder::broadcast(Value value) {
  if (isVector(value))
    return value;
  return b.createOrFold<vector::BroadcastOp>(loc, laneType(value.getType()), value);
}

void ElementBuilder::unify(MutableArrayRef<Value> values) {
  if (llvm::none_of(values, [&](Value value) { return isVector(value); }))
    return;
  for (Value &value : values)
    value = broadcast(value);
}

void ElementBuilder::unify(Value &x, Value &y) {
  Value both[] = {x, y};
  unify(both);
  x = both[0];
  y = both[1];
}

Value ElementBuilder::constantFloat(Type type, double value) {
  return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
}

Value ElementBuilder::constantInt(Type type, int64_t value) {
  APInt bits(type.getIntOrFloatBitWidth(), value, /*isSigned=*/true, /*implicitTrunc=*/true);
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, bits));
}

Value ElementBuilder::constantTrue(bool value) { return constantInt(b.getI1Type(), value ? 1 : 0); }

Value ElementBuilder::select(Value condition, Value x, Value y) {
  Value all[] = {condition, x, y};
  unify(all);
  return b.createOrFold<arith::SelectOp>(loc, all[0], all[1], all[2]);
}

Value ElementBuilder::logicalAnd(Value x, Value y) {
  unify(x, y);
  return b.createOrFold<arith::AndIOp>(loc, x, y);
}

Value ElementBuilder::logicalOr(Value x, Value y) {
  unify(x, y);
  return b.createOrFold<arith::OrIOp>(loc, x, y);
}

Value ElementBuilder::logicalNot(Value x) {
  Value one = constantTrue();
  unify(x, one);
  return b.createOrFold<arith::XOrIOp>(loc, x, one);
}

Value truncateFloat(OpBuilder &b, Location loc, Value value, Type storage) {
  auto like = [&](Type scalar) -> Type {
    auto vector = dyn_cast<VectorType>(value.getType());
    return vector ? VectorType::get(vector.getShape(), scalar) : scalar;
  };
  if (!storage.isBF16())
    return arith::TruncFOp::create(b, loc, like(storage), value);
  Type word = like(b.getI32Type());
  auto constant = [&](int32_t number) -> Value {
    TypedAttr scalar = b.getI32IntegerAttr(number);
    if (auto vector = dyn_cast<VectorType>(word))
      return arith::ConstantOp::create(b, loc, SplatElementsAttr::get(vector, scalar));
    return arith::ConstantOp::create(b, loc, scalar);
  };
  Value bits = arith::BitcastOp::create(b, loc, word, value), half = constant(16);
  Value high = arith::ShRUIOp::create(b, loc, bits, half);
  // To the nearest, and of two to the even one.
  Value odd = arith::AndIOp::create(b, loc, high, constant(1));
  Value rounded = arith::AddIOp::create(b, loc, bits, arith::AddIOp::create(b, loc, odd, constant(0x7fff)));
  rounded = arith::ShRUIOp::create(b, loc, rounded, half);
  Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, value, value);
  Value quiet = arith::OrIOp::create(b, loc, high, constant(0x40));
  Value kept =
      arith::TruncIOp::create(b, loc, like(b.getI16Type()), arith::SelectOp::create(b, loc, isNan, quiet, rounded));
  return arith::BitcastOp::create(b, loc, like(storage), kept);
}

/// f32 rounded to the storage type f16 or bf16 and widened again: casts to those types lose the bits that they must.
static Value roundThrough(OpBuilder &b, Location loc, Value value, Type storage) {
  return arith::ExtFOp::create(b, loc, value.getType(), truncateFloat(b, loc, value, storage));
}

/// The low bits of an i8, extended by the small integer type's signedness.
static Value extendLowBits(ElementBuilder &eb, Value value, IntegerType type) {
  OpBuilder &b = eb.builder();
  Location loc = eb.getLoc();
  auto constant = [&](int64_t number) {
    Value scalar = eb.constantInt(b.getI8Type(), number);
    return eb.isVector(value) ? eb.broadcast(scalar) : scalar;
  };
  int64_t width = type.getWidth();
  if (type.isUnsigned())
    return arith::AndIOp::create(b, loc, value, constant((1 << width) - 1));
  Value raised = arith::ShLIOp::create(b, loc, value, constant(8 - width));
  return arith::ShRSIOp::create(b, loc, raised, constant(8 - width));
}

Value ElementBuilder::fromByte(Value byte, Type elementType) {
  if (std::optional<SmallFloat> small = SmallFloat::get(elementType))
    return small->buildDecode(b, loc, byte);
  return extendLowBits(*this, byte, cast<IntegerType>(elementType));
}

Value ElementBuilder::toByte(Value value, Type elementType) {
  // The value is one of the type's own: nothing saturates.
  if (std::optional<SmallFloat> small = SmallFloat::get(elementType))
    return small->buildEncode(b, loc, value, /*saturate=*/false);
  return extendLowBits(*this, value,
                       IntegerType::get(b.getContext(), elementType.getIntOrFloatBitWidth(), IntegerType::Unsigned));
}

/// An f32 that becomes a small float: the nearest of its numbers.
static Value roundToSmall(OpBuilder &b, Location loc, Value value, const SmallFloat &small, bool saturate) {
  return small.buildDecode(b, loc, small.buildEncode(b, loc, value, saturate));
}

/// Float to integer: towards zero; out of range values are clamped to the range of i64 at least (never poison), NaN to
/// 0; narrower integers then wrap as NumPy and ONNX Runtime do.
static Value floatToInt(ElementBuilder &eb, Value value, unsigned width, bool isUnsigned) {
  OpBuilder &b = eb.builder();
  Location loc = eb.getLoc();
  auto typed = [&](Type scalar) -> Type { return eb.isVector(value) ? eb.laneType(scalar) : scalar; };
  Type floatType = getElementTypeOrSelf(value.getType());
  bool wide = isUnsigned && width == 64;
  Type intermediate = b.getIntegerType(width <= 32 && !isUnsigned ? 32 : 64);
  unsigned bits = width <= 32 && !isUnsigned ? 32 : 64;
  double low = wide ? 0.0 : -std::ldexp(1.0, bits - 1);
  // The largest float below the upper end, so that the conversion is always defined.
  int mantissa = cast<FloatType>(floatType).getFPMantissaWidth();
  int top = wide ? 64 : static_cast<int>(bits) - 1;
  double high = std::ldexp(1.0, top) - (top > mantissa ? std::ldexp(1.0, top - mantissa) : 1.0);
  Value lowValue = eb.constantFloat(floatType, low), highValue = eb.constantFloat(floatType, high);
  Value zero = eb.constantFloat(floatType, 0.0);
  if (eb.isVector(value)) {
    lowValue = eb.broadcast(lowValue);
    highValue = eb.broadcast(highValue);
    zero = eb.broadcast(zero);
  }
  Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, value, value);
  Value clean = arith::SelectOp::create(b, loc, isNan, zero, value);
  clean = arith::MinNumFOp::create(b, loc, arith::MaxNumFOp::create(b, loc, clean, lowValue), highValue);
  Value integer = wide ? Value(arith::FPToUIOp::create(b, loc, typed(intermediate), clean))
                       : Value(arith::FPToSIOp::create(b, loc, typed(intermediate), clean));
  if (intermediate.getIntOrFloatBitWidth() == width)
    return integer;
  return arith::TruncIOp::create(b, loc, typed(b.getIntegerType(width)), integer);
}

Value ElementBuilder::convert(Value value, Type from, Type to, bool saturate) {
  Type source = computeType(from), target = computeType(to);
  auto typed = [&](Type scalar) -> Type { return isVector(value) ? laneType(scalar) : scalar; };
  auto zeroLike = [&](Type scalar) {
    Value zero = isa<FloatType>(scalar) ? constantFloat(scalar, 0.0) : constantInt(scalar, 0);
    return isVector(value) ? broadcast(zero) : zero;
  };
  bool fromUnsigned = from.isUnsignedInteger() || from.isInteger(1);
  bool toUnsigned = to.isUnsignedInteger();
  if (target.isInteger(1)) {
    if (source.isInteger(1))
      return value;
    if (isa<FloatType>(source))
      return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, value, zeroLike(source));
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zeroLike(source));
  }
  if (isa<FloatType>(source) && isa<FloatType>(target)) {
    Value result = value;
    unsigned sourceWidth = source.getIntOrFloatBitWidth(), targetWidth = target.getIntOrFloatBitWidth();
    if (sourceWidth < targetWidth)
      result = arith::ExtFOp::create(b, loc, typed(target), value);
    else if (sourceWidth > targetWidth)
      result = arith::TruncFOp::create(b, loc, typed(target), value);
    if ((to.isF16() || to.isBF16()) && from != to)
      result = roundThrough(b, loc, result, to);
    if (std::optional<SmallFloat> small = SmallFloat::get(to); small && from != to)
      result = roundToSmall(b, loc, result, *small, saturate);
    return result;
  }
  if (isa<FloatType>(target)) {
    Value result = fromUnsigned ? Value(arith::UIToFPOp::create(b, loc, typed(target), value))
                                : Value(arith::SIToFPOp::create(b, loc, typed(target), value));
    if (to.isF16() || to.isBF16())
      result = roundThrough(b, loc, result, to);
    if (std::optional<SmallFloat> small = SmallFloat::get(to))
      result = roundToSmall(b, loc, result, *small, saturate);
    return result;
  }
  if (isSmallInteger(to) && from != to) {
    auto small = cast<IntegerType>(to);
    // In a byte first, within the range if that is asked for.
    if (saturate && isa<FloatType>(source)) {
      unsigned width = small.getWidth();
      double low = toUnsigned ? 0.0 : -std::ldexp(1.0, int(width) - 1);
      double high = std::ldexp(1.0, int(toUnsigned ? width : width - 1)) - 1.0;
      Value lowValue = constantFloat(source, low), highValue = constantFloat(source, high);
      unify(value, lowValue);
      unify(value, highValue);
      value = arith::MinNumFOp::create(b, loc, arith::MaxNumFOp::create(b, loc, value, lowValue), highValue);
    }
    return extendLowBits(*this, convert(value, from, b.getI8Type()), small);
  }
  unsigned targetWidth = target.getIntOrFloatBitWidth();
  if (isa<FloatType>(source)) {
    if (saturate && targetWidth < 64) {
      double low = toUnsigned ? 0.0 : -std::ldexp(1.0, targetWidth - 1);
      double high = std::ldexp(1.0, toUnsigned ? targetWidth : targetWidth - 1) - 1.0;
      Value lowValue = constantFloat(source, low), highValue = constantFloat(source, high);
      if (isVector(value)) {
        lowValue = broadcast(lowValue);
        highValue = broadcast(highValue);
      }
      value = arith::MinNumFOp::create(b, loc, arith::MaxNumFOp::create(b, loc, value, lowValue), highValue);
    }
    return floatToInt(*this, value, targetWidth, toUnsigned);
  }
  unsigned sourceWidth = source.getIntOrFloatBitWidth();
  if (sourceWidth == targetWidth)
    return value;
  if (sourceWidth > targetWidth)
    return b.createOrFold<arith::TruncIOp>(loc, typed(target), value);
  return fromUnsigned ? b.createOrFold<arith::ExtUIOp>(loc, typed(target), value)
                      : b.createOrFold<arith::ExtSIOp>(loc, typed(target), value);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

FailureOr<Value> ElementBuilder::guarded(Value condition, ValueFn then, Value otherwise) {
  return guarded(condition, std::move(then), [&]() -> FailureOr<Value> { return otherwise; });
}

FailureOr<Value> ElementBuilder::guarded(Value condition, ValueFn then, ValueFn otherwise) {
  APInt constant;
  if (matchPattern(condition, m_ConstantInt(&constant)))
    return constant.isZero() ? otherwise() : then();
  if (isVector(condition)) {
    Value outer = mask;
    auto masked = [&](Value lanes, ValueFn &fn) {
      Scope scope(*this);
      mask = outer ? b.createOrFold<arith::AndIOp>(loc, outer, lanes) : lanes;
      return fn();
    };
    FailureOr<Value> x = masked(condition, then);
    if (failed(x))
      return failure();
    FailureOr<Value> y = masked(logicalNot(condition), otherwise);
    if (failed(y))
      return failure();
    return select(condition, *x, *y);
  }
  // A branch. Both sides must agree on scalar or vector, which is known only once they are built.
  Block *thenBlock = new Block, *elseBlock = new Block;
  auto build = [&](Block *block, ValueFn &fn) {
    Scope scope(*this);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(block);
    return fn();
  };
  // Blocks need a parent region for insertion to find the function: build inside the op.
  auto branch = scf::IfOp::create(b, loc, TypeRange{}, condition, /*withElseRegion=*/true);
  branch.getThenRegion().front().erase();
  branch.getElseRegion().front().erase();
  branch.getThenRegion().push_back(thenBlock);
  branch.getElseRegion().push_back(elseBlock);
  FailureOr<Value> x = build(thenBlock, then);
  FailureOr<Value> y = build(elseBlock, otherwise);
  if (failed(x) || failed(y))
    return failure();
  bool vector = isVector(*x) || isVector(*y);
  auto yield = [&](Block *block, Value value) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(block);
    if (vector)
      value = broadcast(value);
    scf::YieldOp::create(b, loc, value);
    return value.getType();
  };
  Type type = yield(thenBlock, *x);
  yield(elseBlock, *y);
  auto typedBranch = scf::IfOp::create(b, loc, TypeRange{type}, condition, /*withElseRegion=*/true);
  typedBranch.getThenRegion().takeBody(branch.getThenRegion());
  typedBranch.getElseRegion().takeBody(branch.getElseRegion());
  branch.erase();
  return typedBranch.getResult(0);
}

FailureOr<SmallVector<Value>> ElementBuilder::loop(LaneIndex lower, LaneIndex upper, ArrayRef<Value> init,
                                                   LoopFn body) {
  SmallVector<Value> start(init);
  std::optional<int64_t> first = lower.getConst(), end = upper.getConst();
  if (first && end && *end - *first == 1)
    return body(lower, start);
  auto forOp = scf::ForOp::create(b, loc, lower.getValue(), upper.getValue(), constantI64(1), start);
  FailureOr<SmallVector<Value>> state = failure();
  bool grew = false;
  {
    Scope scope(*this);
    OpBuilder::InsertionGuard guard(b);
    Block *block = forOp.getBody();
    if (start.empty())
      block->getTerminator()->erase();
    b.setInsertionPointToEnd(block);
    state = body(LaneIndex::uniform(forOp.getInductionVar()), forOp.getRegionIterArgs());
    if (failed(state))
      return failure();
    for (auto [value, initial] : llvm::zip_equal(*state, start)) {
      if (isVector(initial))
        value = broadcast(value);
      grew |= isVector(value) && !isVector(initial);
    }
    if (!grew)
      scf::YieldOp::create(b, loc, *state);
  }
  if (!grew)
    return SmallVector<Value>(forOp.getResults());
  // A scalar became a vector: once more, with vectors from the start.
  for (auto [value, initial] : llvm::zip_equal(*state, start))
    if (isVector(value))
      initial = Value();
  forOp.erase();
  for (auto [value, initial] : llvm::zip_equal(start, init))
    if (!value)
      value = broadcast(initial);
  return loop(lower, upper, start, body);
}

FailureOr<SmallVector<Value>> ElementBuilder::loopNest(ArrayRef<Bounds> bounds, ArrayRef<Value> init, NestFn body) {
  SmallVector<LaneIndex> indices;
  std::function<FailureOr<SmallVector<Value>>(ValueRange)> nest =
      [&](ValueRange state) -> FailureOr<SmallVector<Value>> {
    if (indices.size() == bounds.size())
      return body(indices, state);
    const Bounds &own = bounds[indices.size()];
    return loop(own.first, own.second, SmallVector<Value>(state), [&](LaneIndex index, ValueRange inner) {
      indices.push_back(index);
      FailureOr<SmallVector<Value>> result = nest(inner);
      indices.pop_back();
      return result;
    });
  };
  return nest(SmallVector<Value>(init));
}

Value ElementBuilder::initial(Value scalar, ArrayRef<LaneIndex> indices) {
  return llvm::all_of(indices, [](LaneIndex index) { return index.isUniform(); }) ? scalar : broadcast(scalar);
}

void ElementBuilder::raiseIf(Value bad, KernelError error) {
  if (matchPattern(bad, m_Zero()))
    return;
  if (isVector(bad)) {
    if (mask)
      bad = b.createOrFold<arith::AndIOp>(loc, bad, mask);
    bad = vector::ReductionOp::create(b, loc, vector::CombiningKind::OR, bad);
  }
  raiseScalar(bad, error);
}

} // namespace ds
