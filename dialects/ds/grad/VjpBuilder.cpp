//===- VjpBuilder.cpp - What rules of derivatives are written with --------===//
// Guarantees: see VjpBuilder.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/shape/ShapeHelpers.h"
#include <numeric>

using namespace mlir;

namespace ds {

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

TensorExpr VjpBuilder::scalar(Type element, double value) {
  if (failed)
    return {};
  Value made = floatScalar(ops, op->getLoc(), element, value);
  shapes.setDims(made, {});
  return {*this, made};
}

TensorExpr VjpBuilder::integer(int64_t value) {
  if (failed)
    return {};
  auto made =
      ConstantOp::create(ops, op->getLoc(), makeIntElements(RankedTensorType::get({}, ops.getI64Type()), {value}));
  shapes.setDims(made, {});
  return {*this, made};
}

TensorExpr VjpBuilder::fill(Type element, ArrayRef<SymExpr> dims, double value) {
  return create<FillOp>(element, Value(), shape(dims), cast<TypedAttr>(ops.getFloatAttr(element, value)));
}

TensorExpr VjpBuilder::size(Type element, const SymExpr &expr) {
  TensorExpr number = create<ShapeValueOp>(ops.getI64Type(), shape(expr), /*scalar=*/true);
  return cast(number, element);
}

TensorExpr VjpBuilder::iota(const SymExpr &count) {
  Type index = ops.getI64Type();
  TensorExpr zero = size(index, SymExpr(0)), limit = size(index, count), one = size(index, SymExpr(1));
  return create<RangeOp>(index, zero.get(), limit.get(), one.get(), shape(count));
}

TensorExpr VjpBuilder::reshape(TensorExpr x, ArrayRef<SymExpr> dims) {
  if (!x || SymDims(dims) == this->dims(x.get()))
    return x;
  return create<ReshapeOp>(elementOf(x.get()), x.get(), Value(), shape(dims), /*allow_zero=*/false);
}

TensorExpr VjpBuilder::transpose(TensorExpr x, ArrayRef<int64_t> perm) {
  if (!x || llvm::equal(perm, llvm::seq<int64_t>(0, perm.size())))
    return x;
  return create<TransposeOp>(elementOf(x.get()), x.get(), perm);
}

TensorExpr VjpBuilder::expand(TensorExpr x, ArrayRef<SymExpr> dims) {
  if (!x || SymDims(dims) == this->dims(x.get()))
    return x;
  return create<ExpandOp>(elementOf(x.get()), x.get(), Value(), shape(dims));
}

TensorExpr VjpBuilder::slice(TensorExpr x, ArrayRef<SymExpr> start, ArrayRef<SymExpr> size, ArrayRef<int64_t> step) {
  if (!x)
    return x;
  SmallVector<int64_t> steps(step);
  steps.resize(start.size(), 1);
  if (SymDims(size) == dims(x.get()) && llvm::all_of(steps, [](int64_t s) { return s == 1; }))
    return x;
  return create<SliceOp>(elementOf(x.get()), x.get(), Value(), Value(), Value(), Value(), shape(start), shape(size),
                         ops.getDenseI64ArrayAttr(steps));
}

TensorExpr VjpBuilder::pad(TensorExpr x, ArrayRef<SymExpr> low, ArrayRef<SymExpr> high) {
  auto isZero = [](const SymExpr &count) { return count.isConst(0); };
  if (!x || (llvm::all_of(low, isZero) && llvm::all_of(high, isZero)))
    return x;
  return create<PadOp>(elementOf(x.get()), x.get(), Value(), Value(), PadMode::constant, shape(low), shape(high));
}

TensorExpr VjpBuilder::sum(TensorExpr x, ArrayRef<int64_t> axes, bool keepDims) {
  return !x || axes.empty() ? x : create<ReduceSumOp>(elementOf(x.get()), x.get(), axes, keepDims);
}

TensorExpr VjpBuilder::reduceTo(TensorExpr x, ArrayRef<SymExpr> wanted) {
  if (!x)
    return x;
  SymDims own = dims(x.get());
  size_t added = own.size() - wanted.size();
  SmallVector<int64_t> axes;
  bool isOpen = false;
  for (size_t d = 0; d < own.size(); ++d) {
    if (d < added || (wanted[d - added].isConst(1) && !own[d].isConst(1)))
      axes.push_back(d);
    else
      isOpen |= !shapes.isSame(own[d], wanted[d - added]);
  }
  x = sum(x, axes, /*keepDims=*/false);
  SymDims kept(wanted.size(), SymExpr(1));
  for (size_t d = 0; d < wanted.size(); ++d)
    if (!llvm::is_contained(axes, int64_t(d + added)))
      kept[d] = own[d + added];
  x = reshape(x, kept);
  return isOpen && x ? create<ReduceToOp>(elementOf(x.get()), x.get(), shape(wanted)) : x;
}

TensorExpr VjpBuilder::concat(ArrayRef<TensorExpr> parts, int64_t axis) {
  SmallVector<Value> values;
  for (const TensorExpr &part : parts)
    if (part)
      values.push_back(part.get());
  if (values.size() < 2)
    return values.empty() ? TensorExpr() : TensorExpr(*this, values[0]);
  return create<ConcatOp>(elementOf(values[0]), values, axis);
}

TensorExpr VjpBuilder::cast(TensorExpr x, Type element) {
  return !x || elementOf(x.get()) == element ? x : create<CastOp>(element, x.get(), /*saturate=*/false);
}

TensorExpr VjpBuilder::compare(ComparePredicate predicate, TensorExpr a, TensorExpr b) {
  return create<CompareOp>(ops.getI1Type(), predicate, a.get(), b.get());
}

TensorExpr VjpBuilder::select(TensorExpr condition, TensorExpr a, TensorExpr b) {
  return create<SelectOp>(elementOf(a.get()), condition.get(), a.get(), b.get());
}

TensorExpr VjpBuilder::matmul(TensorExpr a, TensorExpr b) {
  return !a || !b ? TensorExpr() : create<MatmulOp>(elementOf(a.get()), a.get(), b.get());
}

TensorExpr VjpBuilder::swapLast(TensorExpr x) {
  if (!x)
    return x;
  SmallVector<int64_t> perm(dims(x.get()).size());
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return transpose(x, perm);
}

//===----------------------------------------------------------------------===//
// Formulas
//===----------------------------------------------------------------------===//

template <typename OpTy> static TensorExpr binary(TensorExpr a, TensorExpr b) {
  return a.builder().create<OpTy>(VjpBuilder::elementOf(a.get()), a.get(), b.get());
}
template <typename OpTy> static TensorExpr unary(TensorExpr x) {
  return x ? x.builder().create<OpTy>(VjpBuilder::elementOf(x.get()), x.get()) : x;
}
static TensorExpr number(TensorExpr like, double value) {
  return like ? like.builder().scalar(VjpBuilder::elementOf(like.get()), value) : TensorExpr();
}

TensorExpr operator+(TensorExpr a, TensorExpr b) { return !a ? b : !b ? a : binary<AddOp>(a, b); }
TensorExpr operator-(TensorExpr a, TensorExpr b) { return !b ? a : !a ? -b : binary<SubOp>(a, b); }
TensorExpr operator*(TensorExpr a, TensorExpr b) { return !a ? a : !b ? b : binary<MulOp>(a, b); }
TensorExpr operator/(TensorExpr a, TensorExpr b) { return !a || !b ? TensorExpr() : binary<DivOp>(a, b); }
TensorExpr operator-(TensorExpr a) { return unary<NegOp>(a); }
TensorExpr operator+(TensorExpr a, double b) { return a + number(a, b); }
TensorExpr operator+(double a, TensorExpr b) { return number(b, a) + b; }
TensorExpr operator-(TensorExpr a, double b) { return a - number(a, b); }
TensorExpr operator-(double a, TensorExpr b) { return number(b, a) - b; }
TensorExpr operator*(TensorExpr a, double b) { return a * number(a, b); }
TensorExpr operator*(double a, TensorExpr b) { return number(b, a) * b; }
TensorExpr operator/(TensorExpr a, double b) { return a / number(a, b); }
TensorExpr operator/(double a, TensorExpr b) { return number(b, a) / b; }

TensorExpr exp(TensorExpr x) { return unary<ExpOp>(x); }
TensorExpr log(TensorExpr x) { return unary<LogOp>(x); }
TensorExpr sin(TensorExpr x) { return unary<SinOp>(x); }
TensorExpr cos(TensorExpr x) { return unary<CosOp>(x); }
TensorExpr sinh(TensorExpr x) { return unary<SinhOp>(x); }
TensorExpr cosh(TensorExpr x) { return unary<CoshOp>(x); }
TensorExpr tanh(TensorExpr x) { return unary<TanhOp>(x); }
TensorExpr erf(TensorExpr x) { return unary<ErfOp>(x); }
TensorExpr rsqrt(TensorExpr x) { return unary<RsqrtOp>(x); }
TensorExpr sign(TensorExpr x) { return unary<SignOp>(x); }
TensorExpr pow(TensorExpr x, TensorExpr y) { return binary<PowOp>(x, y); }

TensorExpr where(ComparePredicate predicate, TensorExpr a, TensorExpr b, TensorExpr x, TensorExpr y) {
  if (!a || !b || !x)
    return {};
  return a.builder().select(a.builder().compare(predicate, a, b), x, y ? y : number(x, 0));
}
TensorExpr where(ComparePredicate predicate, TensorExpr a, double b, TensorExpr x, TensorExpr y) {
  return where(predicate, a, number(a, b), x, y);
}
TensorExpr keepWhere(Value condition, TensorExpr x) {
  return x ? x.builder().select(x.builder()(condition), x, number(x, 0)) : x;
}
TensorExpr keepUnless(Value condition, TensorExpr x) {
  return x ? x.builder().select(x.builder()(condition), number(x, 0), x) : x;
}

} // namespace ds
