//===- MathFunctions.h - Elementary functions of f32 and f64 --------------===//
// Assumes: the target has fused multiply-add (without it `math.fma` becomes a call).
// Guarantees: arith and math.fma ops, for a scalar f32 and a vector of f32 alike, so that no call stands
// in
//   a vector loop. NaN gives NaN; infinities give the limits. The errors below are in units in the last place (ulp) of
//   the result, over all inputs whose result is normal, and are measured by unittests/Element.
// Declines: other functions of f64, which go to the math dialect. Inputs that are subnormal count as they are, or as 0
// where the processor
//   flushes them.
//===----------------------------------------------------------------------===//
#ifndef DS_DIALECT_MATHFUNCTIONS_H
#define DS_DIALECT_MATHFUNCTIONS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace ds {

/// e^x; 1.2 ulp. Subnormal results are right to half a unit; overflow gives inf.
mlir::Value buildExp(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
/// 2^x; 1 ulp. As buildExp.
mlir::Value buildExp2(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
/// e^x and 2^x for x <= 0 only: cheaper. Below 2^-126 the result is 0.
mlir::Value buildExpNonPositive(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
mlir::Value buildExp2NonPositive(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);

/// ln x; 0.9 ulp, subnormal x included. -inf at 0, NaN below.
mlir::Value buildLog(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);

/// tanh x; 2.5 ulp, one division.
mlir::Value buildTanh(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
/// 1 / (1 + e^-x); 2.5 ulp, one division. Below 2^-127 the result is 0.
mlir::Value buildSigmoid(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
/// erf x; 1.2 ulp.
mlir::Value buildErf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);

/// x Phi(x); the error is at most 1.9e-7 |x|, one division. As in the
/// defining formula, -inf gives NaN.
mlir::Value buildGelu(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
/// x / (1 + e^(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3), which equals 0.5 x (1 + tanh(u)) without its cancellation;
/// the error is at most 2e-7 |x|.
mlir::Value buildGeluTanh(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);

/// sin x and cos x; 1.6 ulp. Lanes beyond 65536 in magnitude are left to the math dialect's op (libm), in a branch.
mlir::Value buildSin(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
mlir::Value buildCos(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
/// cos x for |x| <= 65536.
mlir::Value buildCosOfSmall(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);

/// e^x and tanh x of f64; 1 ulp and 2.5 ulp. As buildExp.
mlir::Value buildExp64(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);
mlir::Value buildTanh64(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x);

} // namespace ds

#endif
