//===- MathFunctions64.cpp - Elementary functions of f64 ------------------===//
// Guarantees: see MathFunctions.h. e^r - 1 is Taylor's polynomial of degree 14 for |r| <= ln(2)/2, whose rest is less
// than
//   3e-19 of it; ln 2 is in two parts (Cody and Waite), the first of so few bits that its product with k is exact.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/MathFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace ds {
namespace {

/// 1.5 * 2^52: adding it rounds to an integer, which the low bits of the sum then hold.
constexpr double kMagic = 6755399441055744.0;
constexpr double kLog2E = 0x1.71547652b82fep+0;
constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;

class F64 {
public:
  F64(OpBuilder &b, Location loc, Value like) : b(b), loc(loc), type(like.getType()), intType(b.getI64Type()) {
    if (auto vector = dyn_cast<VectorType>(type))
      intType = VectorType::get(vector.getShape(), intType);
  }

  Value constant(double value) { return make(type, b.getF64FloatAttr(value)); }
  Value integer(int64_t value) { return make(intType, b.getI64IntegerAttr(value)); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }
  /// NaN stays: comparisons with it are false.
  Value within(Value x, double low, double high) {
    auto choose = [&](arith::CmpFPredicate predicate, double limit) {
      Value beyond = arith::CmpFOp::create(b, loc, predicate, x, constant(limit));
      x = arith::SelectOp::create(b, loc, beyond, constant(limit), x);
    };
    choose(arith::CmpFPredicate::OLT, low);
    choose(arith::CmpFPredicate::OGT, high);
    return x;
  }

  /// x = k ln 2 + r: returns r; `shifted` has k in its low bits.
  Value reduce(Value x, Value &shifted) {
    shifted = fma(x, constant(kLog2E), constant(kMagic));
    Value k = sub(shifted, constant(kMagic));
    return fma(k, constant(-kLn2Low), fma(k, constant(-kLn2High), x));
  }

  /// e^r - 1 for |r| <= ln(2)/2.
  Value expMinusOne(Value r) {
    double factorial = 87178291200.0; // of 14
    Value sum = constant(1.0 / factorial);
    for (int n = 14; n > 2; --n) {
      factorial /= n;
      sum = fma(sum, r, constant(1.0 / factorial));
    }
    return fma(mul(r, r), sum, r);
  }

  /// 2^k for k in the low bits of `shifted`, as two factors, so that their product may be subnormal or overflow.
  std::pair<Value, Value> powers(Value shifted) {
    Value bits = arith::BitcastOp::create(b, loc, intType, shifted);
    Value k = arith::SubIOp::create(b, loc, bits, integer(llvm::bit_cast<int64_t>(kMagic)));
    // Shifted as a positive number: an arithmetic shift of 64 bits is no instruction everywhere.
    constexpr int64_t kOffset = 4096;
    Value half = arith::ShRUIOp::create(b, loc, arith::AddIOp::create(b, loc, k, integer(kOffset)), integer(1));
    half = arith::SubIOp::create(b, loc, half, integer(kOffset / 2));
    return {power(half), power(arith::SubIOp::create(b, loc, k, half))};
  }

private:
  Value power(Value k) {
    Value exponent = arith::ShLIOp::create(b, loc, arith::AddIOp::create(b, loc, k, integer(1023)), integer(52));
    return arith::BitcastOp::create(b, loc, type, exponent);
  }
  Value make(Type wanted, TypedAttr scalar) {
    if (auto vector = dyn_cast<VectorType>(wanted))
      return arith::ConstantOp::create(b, loc, SplatElementsAttr::get(vector, Attribute(scalar)));
    return arith::ConstantOp::create(b, loc, scalar);
  }

  OpBuilder &b;
  Location loc;
  Type type, intType;
};

} // namespace

Value buildExp64(OpBuilder &b, Location loc, Value x) {
  F64 f(b, loc, x);
  Value shifted;
  // Beyond, results are 0 or inf.
  Value r = f.reduce(f.within(x, -746.0, 710.0), shifted);
  auto [first, second] = f.powers(shifted);
  return f.mul(f.mul(f.add(f.expMinusOne(r), f.constant(1.0)), first), second);
}

Value buildTanh64(OpBuilder &b, Location loc, Value x) {
  // -m / (m + 2) with m = e^(-2|x|) - 1 = 2^k (e^r - 1) + (2^k - 1), which keeps the bits of small x.
  F64 f(b, loc, x);
  Value shifted;
  Value doubled = f.mul(math::AbsFOp::create(b, loc, x), f.constant(-2.0));
  Value r = f.reduce(f.within(doubled, -64.0, 0.0), shifted);
  auto [first, second] = f.powers(shifted);
  Value power = f.mul(first, second);
  Value m = f.fma(power, f.expMinusOne(r), f.sub(power, f.constant(1.0)));
  Value ratio = arith::DivFOp::create(b, loc, m, f.add(m, f.constant(2.0)));
  return math::CopySignOp::create(b, loc, ratio, x);
}

} // namespace ds
