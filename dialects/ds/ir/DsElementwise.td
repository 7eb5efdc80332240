//===- DsElementwise.td - Elementwise ops -------------------------------===//
// Guarantees: operands broadcast like NumPy; one result element depends on one element of each operand.
//===----------------------------------------------------------------------===//
#ifndef DS_ELEMENTWISE_TD
#define DS_ELEMENTWISE_TD

include "dialects/ds/ir/DsBase.td"

/// result[i] = f(x[i]); the element type is kept.
class DS_UnaryOp<string mnemonic, Type type, string f, list<Trait> traits = []>
    : DS_ElementwiseOp<mnemonic, traits # [SameOperandsAndResultElementType]> {
  let summary = "elementwise: " # f;
  let description = "`result[i] = " # f # [{`

    Constraints:
    1. Operand and result have the same element type.
    2. The result's dims are the operand's.

    Created by import and expansions; consumed by code generation (fused into kernels).
  }];
  let arguments = (ins type:$x);
}

/// result[i] = f(x[i]) with an i1 result.
class DS_PredicateOp<string mnemonic, string f> : DS_ElementwiseOp<mnemonic> {
  let summary = "elementwise: " # f;
  let description = "`result[i] = " # f # [{`

    Constraints:
    1. The result is a tensor of i1.
    2. The result's dims are the operand's.
  }];
  let results = (outs DS_BoolTensor:$result);
}

/// result[i] = f(a[i], b[i]) with broadcasting; the element type is kept.
class DS_BinaryOp<string mnemonic, Type type, string f, list<Trait> traits = []>
    : DS_ElementwiseOp<mnemonic, traits # [SameOperandsAndResultElementType]> {
  let summary = "elementwise: " # f;
  let description = "`result[i] = " # f # [{`, operands broadcast.

    Constraints:
    1. Operands and result have the same element type.
    2. The operands' dims broadcast (equal, or one of them 1, aligned at the last), and the result has the broadcast dims.

    Created by import and expansions; consumed by code generation (fused into kernels).
  }];
  let arguments = (ins type:$a, type:$b);
}

//===----------------------------------------------------------------------===//
// Unary
//===----------------------------------------------------------------------===//

def DS_AbsOp : DS_UnaryOp<"abs", DS_NumberTensor, "|x[i]| (integers wrap)"> {
  let vjp = ["g * sign(x[0])"];
  let floatRule = "::std::fabs(x[0])";
  let intRule = "isUnsigned || x[0] >= 0 ? x[0] : detail::host::wrapSub(0, x[0])";
  let elementDeclaration = DS_InferElement;
}
def DS_NegOp : DS_UnaryOp<"neg", DS_NumberTensor, "-x[i] (integers wrap)"> {
  let vjp = ["-g"];
  let floatRule = "-x[0]";
  let intRule = "detail::host::wrapSub(0, x[0])";
  let elementDeclaration = DS_InferElement;
}
def DS_CeilOp : DS_UnaryOp<"ceil", DS_FloatTensor, "ceil(x[i])"> {
  let vjp = ["zero"];
  let floatRule = "::std::ceil(x[0])";
  let elementDeclaration = DS_InferElement;
}
def DS_FloorOp : DS_UnaryOp<"floor", DS_FloatTensor, "floor(x[i])"> {
  let vjp = ["zero"];
  let floatRule = "::std::floor(x[0])";
  let elementDeclaration = DS_InferElement;
}
def DS_RoundOp : DS_UnaryOp<"round", DS_FloatTensor, "x[i] rounded to the nearest integer, ties to even"> {
  let vjp = ["zero"];
  let cost = 2;
  let floatRule = "::std::nearbyint(x[0])";
  let elementDeclaration = DS_InferElement;
}
def DS_SqrtOp : DS_UnaryOp<"sqrt", DS_FloatTensor, "sqrt(x[i])"> {
  let vjp = ["g * 0.5 / y"];
  let cost = 6;
  let floatRule = "::std::sqrt(x[0])";
}
def DS_RsqrtOp : DS_UnaryOp<"rsqrt", DS_FloatTensor, "1 / sqrt(x[i])"> {
  let vjp = ["g * -0.5 * (y * y * y)"];
  let cost = 10;
  let floatRule = "1.0 / ::std::sqrt(x[0])";
}
def DS_ReciprocalOp : DS_UnaryOp<"reciprocal", DS_FloatTensor, "1 / x[i]"> {
  let vjp = ["-(g * (y * y))"];
  let cost = 5;
  let floatRule = "1.0 / x[0]";
  let elementDeclaration = DS_InferElement;
}
def DS_ExpOp : DS_UnaryOp<"exp", DS_FloatTensor, "exp(x[i])"> {
  let vjp = ["g * y"];
  let cost = 15;
  let floatRule = "::std::exp(x[0])";
}
def DS_LogOp : DS_UnaryOp<"log", DS_FloatTensor, "ln(x[i])"> {
  let vjp = ["g / x[0]"];
  let cost = 20;
  let floatRule = "::std::log(x[0])";
}
def DS_SinOp : DS_UnaryOp<"sin", DS_FloatTensor, "sin(x[i])"> {
  let vjp = ["g * cos(x[0])"];
  let cost = 30;
  let floatRule = "::std::sin(x[0])";
}
def DS_CosOp : DS_UnaryOp<"cos", DS_FloatTensor, "cos(x[i])"> {
  let vjp = ["-(g * sin(x[0]))"];
  let cost = 30;
  let floatRule = "::std::cos(x[0])";
}
def DS_TanOp : DS_UnaryOp<"tan", DS_FloatTensor, "tan(x[i])"> {
  let vjp = ["g * (y * y + 1)"];
  let cost = 80;
  let floatRule = "::std::tan(x[0])";
}
def DS_AsinOp : DS_UnaryOp<"asin", DS_FloatTensor, "asin(x[i])"> {
  let vjp = ["g * rsqrt(1 - x[0] * x[0])"];
  let cost = 80;
  let floatRule = "::std::asin(x[0])";
}
def DS_AcosOp : DS_UnaryOp<"acos", DS_FloatTensor, "acos(x[i])"> {
  let vjp = ["-(g * rsqrt(1 - x[0] * x[0]))"];
  let cost = 80;
  let floatRule = "::std::acos(x[0])";
}
def DS_AtanOp : DS_UnaryOp<"atan", DS_FloatTensor, "atan(x[i])"> {
  let vjp = ["g / (x[0] * x[0] + 1)"];
  let cost = 80;
  let floatRule = "::std::atan(x[0])";
}
def DS_SinhOp : DS_UnaryOp<"sinh", DS_FloatTensor, "sinh(x[i])"> {
  let vjp = ["g * cosh(x[0])"];
  let cost = 80;
  let floatRule = "::std::sinh(x[0])";
}
def DS_CoshOp : DS_UnaryOp<"cosh", DS_FloatTensor, "cosh(x[i])"> {
  let vjp = ["g * sinh(x[0])"];
  let cost = 80;
  let floatRule = "::std::cosh(x[0])";
}
def DS_TanhOp : DS_UnaryOp<"tanh", DS_FloatTensor, "tanh(x[i])"> {
  let vjp = ["g * (1 - y * y)"];
  let cost = 22;
  let floatRule = "::std::tanh(x[0])";
}
def DS_AsinhOp : DS_UnaryOp<"asinh", DS_FloatTensor, "asinh(x[i])"> {
  let vjp = ["g * rsqrt(x[0] * x[0] + 1)"];
  let cost = 80;
  let floatRule = "::std::asinh(x[0])";
}
def DS_AcoshOp : DS_UnaryOp<"acosh", DS_FloatTensor, "acosh(x[i])"> {
  let vjp = ["g * rsqrt((x[0] - 1) * (x[0] + 1))"];
  let cost = 80;
  let floatRule = "::std::acosh(x[0])";
}
def DS_AtanhOp : DS_UnaryOp<"atanh", DS_FloatTensor, "atanh(x[i])"> {
  let vjp = ["g / (1 - x[0] * x[0])"];
  let cost = 80;
  let floatRule = "::std::atanh(x[0])";
}
def DS_ErfOp : DS_UnaryOp<"erf", DS_FloatTensor, "erf(x[i])"> {
  let vjp = ["g * (exp(-(x[0] * x[0])) * 1.1283791670955126)"];
  let cost = 28;
  let floatRule = "::std::erf(x[0])";
}
def DS_SigmoidOp : DS_UnaryOp<"sigmoid", DS_FloatTensor, "1 / (1 + exp(-x[i]))"> {
  let vjp = ["g * (y * (1 - y))"];
  let cost = 20;
  let floatRule = "1.0 / (1.0 + ::std::exp(-x[0]))";
}
def DS_ReluOp : DS_UnaryOp<"relu", DS_NumberTensor, "max(x[i], 0), NaN kept"> {
  let vjp = ["where(ComparePredicate::gt, x[0], 0, g)"];
  let floatRule = "detail::host::relu(x[0])";
  let intRule = "isUnsigned || x[0] > 0 ? x[0] : 0";
  let elementDeclaration = DS_InferElement;
}
def DS_SignOp : DS_UnaryOp<"sign", DS_NumberTensor, "-1, 0 or 1 by the sign of x[i], NaN kept"> {
  let vjp = ["zero"];
  let cost = 3;
  let floatRule = "detail::host::sign(x[0])";
  let intRule = "isUnsigned ? int64_t(x[0] != 0) : int64_t((x[0] > 0) - (x[0] < 0))";
  let elementDeclaration = DS_InferElement;
}
def DS_NotOp : DS_UnaryOp<"not", DS_BoolTensor, "!x[i]"> {
  let intRule = "int64_t(x[0] == 0)";
  let elementDeclaration = DS_InferElement;
}
def DS_BitwiseNotOp : DS_UnaryOp<"bitwise_not", DS_IntTensor, "~x[i]"> {
  let intRule = "~x[0]";
}

def DS_GeluOp : DS_UnaryOp<"gelu", DS_FloatTensor, "x[i] * Phi(x[i])"> {
  let vjp = ["detail::geluVjp(g, x[0], getApproximate() == GeluApproximation::tanh)"];
  let cost = 24;
  let floatRule = "detail::host::gelu(x[0], getApproximate() == GeluApproximation::tanh)";
  let description = [{
    `none`: `0.5 * x * (1 + erf(x / sqrt(2)))`; `tanh`: `0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`.

    Constraints:
    1. Operand and result have the same element type.
    2. The result's dims are the operand's.

    Created by import and `ds-recognize`; consumed by code generation.
  }];
  let arguments = (ins DS_FloatTensor:$x,
                       DefaultValuedAttr<DS_GeluApproximationAttr, "::ds::GeluApproximation::none">:$approximate);
}

def DS_IsNanOp : DS_PredicateOp<"is_nan", "x[i] is a NaN"> {
  let floatRule = "double(::std::isnan(x[0]))";
  let arguments = (ins DS_FloatTensor:$x);
}
def DS_IsInfOp : DS_PredicateOp<"is_inf", "x[i] is -inf (detect_negative) or +inf (detect_positive)"> {
  let floatRule = "double(::std::isinf(x[0]) && (x[0] < 0 ? getDetectNegative() : getDetectPositive()))";
  let arguments = (ins DS_FloatTensor:$x, UnitAttr:$detect_negative, UnitAttr:$detect_positive);
}

//===----------------------------------------------------------------------===//
// Binary
//===----------------------------------------------------------------------===//

def DS_AddOp : DS_BinaryOp<"add", DS_NumberTensor, "a[i] + b[i] (integers wrap)", [Commutative]> {
  let vjp = ["g", "g"];
  let floatRule = "x[0] + x[1]";
  let intRule = "detail::host::wrapAdd(x[0], x[1])";
  let hasFolder = 1;
  let elementDeclaration = DS_InferElement;
}
def DS_SubOp : DS_BinaryOp<"sub", DS_NumberTensor, "a[i] - b[i] (integers wrap)"> {
  let vjp = ["g", "-g"];
  let floatRule = "x[0] - x[1]";
  let intRule = "detail::host::wrapSub(x[0], x[1])";
  let hasFolder = 1;
  let elementDeclaration = DS_InferElement;
}
def DS_MulOp : DS_BinaryOp<"mul", DS_NumberTensor, "a[i] * b[i] (integers wrap)", [Commutative]> {
  let vjp = ["g * x[1]", "g * x[0]"];
  let floatRule = "x[0] * x[1]";
  let intRule = "detail::host::wrapMul(x[0], x[1])";
  let hasFolder = 1;
  let elementDeclaration = DS_InferElement;
}
def DS_DivOp : DS_BinaryOp<"div", DS_NumberTensor, "a[i] / b[i] (integers truncate; a zero divisor is a run-time error)"> {
  let vjp = ["g / x[1]", "-(g * y / x[1])"];
  let cost = 5;
  let floatRule = "x[0] / x[1]";
  let intRule = "detail::host::divide(x[0], x[1], isUnsigned)";
  let hasFolder = 1;
  let elementDeclaration = DS_InferElement;
}
def DS_MaxOp : DS_BinaryOp<"max", DS_NumberTensor, "the larger of a[i] and b[i], NaN if either is", [Commutative]> {
  let vjp = ["detail::extremumVjp(g, x[0], x[1], ComparePredicate::gt)", "detail::extremumVjp(g, x[1], x[0], ComparePredicate::gt)"];
  let floatRule = "detail::host::max(x[0], x[1])";
  let intRule = "detail::host::less(x[0], x[1], isUnsigned) ? x[1] : x[0]";
  let elementDeclaration = DS_InferElement;
}
def DS_MinOp : DS_BinaryOp<"min", DS_NumberTensor, "the smaller of a[i] and b[i], NaN if either is", [Commutative]> {
  let vjp = ["detail::extremumVjp(g, x[0], x[1], ComparePredicate::lt)", "detail::extremumVjp(g, x[1], x[0], ComparePredicate::lt)"];
  let floatRule = "detail::host::min(x[0], x[1])";
  let intRule = "detail::host::less(x[1], x[0], isUnsigned) ? x[1] : x[0]";
  let elementDeclaration = DS_InferElement;
}
def DS_AndOp : DS_BinaryOp<"and", DS_BoolTensor, "a[i] && b[i]", [Commutative]> {
  let intRule = "x[0] & x[1]";
  let elementDeclaration = DS_InferElement;
}
def DS_OrOp : DS_BinaryOp<"or", DS_BoolTensor, "a[i] || b[i]", [Commutative]> {
  let intRule = "x[0] | x[1]";
  let elementDeclaration = DS_InferElement;
}
def DS_XorOp : DS_BinaryOp<"xor", DS_BoolTensor, "a[i] != b[i]", [Commutative]> {
  let intRule = "x[0] ^ x[1]";
  let elementDeclaration = DS_InferElement;
}
def DS_BitwiseAndOp : DS_BinaryOp<"bitwise_and", DS_IntTensor, "a[i] & b[i]", [Commutative]> {
  let intRule = "x[0] & x[1]";
}
def DS_BitwiseOrOp : DS_BinaryOp<"bitwise_or", DS_IntTensor, "a[i] | b[i]", [Commutative]> {
  let intRule = "x[0] | x[1]";
}
def DS_BitwiseXorOp : DS_BinaryOp<"bitwise_xor", DS_IntTensor, "a[i] ^ b[i]", [Commutative]> {
  let intRule = "x[0] ^ x[1]";
}
def DS_ShiftLeftOp : DS_BinaryOp<"shift_left", DS_IntTensor, "a[i] << b[i] (0 where b[i] is at least the width)"> {
  let cost = 3;
  let intRule = "detail::host::shiftLeft(x[0], x[1])";
}
def DS_ShiftRightOp : DS_BinaryOp<"shift_right", DS_IntTensor, "a[i] >> b[i] (arithmetic where signed; all sign bits where b[i] is at least the width)"> {
  let cost = 3;
  let intRule = "detail::host::shiftRight(x[0], x[1], isUnsigned)";
}

def DS_ModOp : DS_BinaryOp<"mod", DS_NumberTensor, "a[i] mod b[i]"> {
  let vjp = ["g", "-(g * ((x[0] - y) / x[1]))"];
  let cost = 20;
  let floatRule = "getFmod() ? ::std::fmod(x[0], x[1]) : detail::host::floorMod(x[0], x[1])";
  let intRule = "detail::host::modulo(x[0], x[1], isUnsigned, getFmod())";
  let description = [{
    Without `fmod` the result has the sign of the divisor (Python's `%`); with it the sign of the dividend (C's `fmod`).

    Constraints:
    1. Operands and result have the same element type.
    2. The operands' dims broadcast, and the result has the broadcast dims.
    3. Floats need `fmod`.
  }];
  let arguments = (ins DS_NumberTensor:$a, DS_NumberTensor:$b, UnitAttr:$fmod);
  let hasVerifier = 1;
  let elementDeclaration = DS_InferElement;
}

def DS_PowOp : DS_ElementwiseOp<"pow"> {
  let vjp = ["detail::powBaseVjp(g, x[0], x[1])", "detail::powExponentVjp(g, x[0], y)"];
  let cost = 60;
  let floatRule = "::std::pow(x[0], x[1])";
  let intRule = "detail::host::power(x[0], x[1])";
  let summary = "elementwise: a[i] raised to b[i]";
  let description = [{
    `result[i] = pow(a[i], b[i])`, operands broadcast; computed in the base's type (a float exponent of an integer base: in
    f64, then truncated).

    Constraints:
    1. The result's element type is that of `a`; `b` may have another.
    2. The operands' dims broadcast, and the result has the broadcast dims.
  }];
  let arguments = (ins DS_NumberTensor:$a, DS_NumberTensor:$b);
  let results = (outs DS_NumberTensor:$result);
  let hasVerifier = 1;
}

def DS_CompareOp : DS_ElementwiseOp<"compare"> {
  let floatRule = [{[&] {
      switch (getPredicate()) {
      case ComparePredicate::eq: return double(x[0] == x[1]);
      case ComparePredicate::ne: return double(x[0] != x[1]);
      case ComparePredicate::lt: return double(x[0] < x[1]);
      case ComparePredicate::le: return double(x[0] <= x[1]);
      case ComparePredicate::gt: return double(x[0] > x[1]);
      case ComparePredicate::ge: return double(x[0] >= x[1]);
      }
      return 0.0;
    }()}];
  let intRule = [{[&] {
      switch (getPredicate()) {
      case ComparePredicate::eq: return int64_t(x[0] == x[1]);
      case ComparePredicate::ne: return int64_t(x[0] != x[1]);
      case ComparePredicate::lt: return int64_t(detail::host::less(x[0], x[1], isUnsigned));
      case ComparePredicate::le: return int64_t(!detail::host::less(x[1], x[0], isUnsigned));
      case ComparePredicate::gt: return int64_t(detail::host::less(x[1], x[0], isUnsigned));
      case ComparePredicate::ge: return int64_t(!detail::host::less(x[0], x[1], isUnsigned));
      }
      return int64_t(0);
    }()}];
  let summary = "elementwise comparison";
  let description = [{
    `result[i] = a[i] <predicate> b[i]`, operands broadcast. Comparisons with NaN are false, except `ne`.

    Constraints:
    1. Both operands have the same element type; the result is a tensor of i1.
    2. The operands' dims broadcast, and the result has the broadcast dims.
  }];
  let arguments = (ins DS_ComparePredicateAttr:$predicate, DS_Tensor:$a, DS_Tensor:$b);
  let results = (outs DS_BoolTensor:$result);
  let assemblyFormat = "$predicate `,` $a `,` $b attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let elementDeclaration = DS_InferElement;
}

def DS_SelectOp : DS_ElementwiseOp<"select"> {
  let vjp = ["zero", "keepWhere(getCond(), g)", "keepUnless(getCond(), g)"];
  let floatRule = "x[0] != 0 ? x[1] : x[2]";
  let intRule = "x[0] != 0 ? x[1] : x[2]";
  let summary = "elementwise choice";
  let description = [{
    `result[i] = cond[i] ? a[i] : b[i]`, operands broadcast.

    Constraints:
    1. `a`, `b` and the result have the same element type.
    2. The operands' dims broadcast, and the result has the broadcast dims.
  }];
  let arguments = (ins DS_BoolTensor:$cond, DS_Tensor:$a, DS_Tensor:$b);
  let hasVerifier = 1;
  let elementDeclaration = DS_InferElement;
}

def DS_BitcastOp : DS_ElementwiseOp<"bitcast"> {
  let noVjp = "bits have no derivative";
  let summary = "the same bits as another element type";
  let description = [{
    Bits as in memory: an i1 is a byte, 0 or 1, and a byte other than 0 is true.

    Constraints:
    1. Both element types have as many bytes.
    2. The result's dims are the operand's.
  }];
  let arguments = (ins DS_Tensor:$x);
  let hasVerifier = 1;
}

def DS_CastOp : DS_ElementwiseOp<"cast"> {
  let vjp = ["b.cast(g, b.elementOf(getX()))"];
  let cost = 2;
  let floatRule = "x[0]";
  let intRule = "x[0]";
  let summary = "elementwise conversion to the result's element type";
  let description = [{
    Float to integer truncates toward zero. Out of range: saturated with `saturate`; otherwise the nearest number that
    the float type has within i32 (for signed types of 32 bits or fewer), u64 (for itself) or i64, of which the low bits
    count; NaN is 0. To i1: `x != 0`; integer to integer keeps the low bits; to a narrower float rounds to nearest even. Small
    floats out of range: the largest number with `saturate`, otherwise infinity, or NaN where there is none.

    Constraints:
    1. The result's dims are the operand's.
  }];
  let arguments = (ins DS_Tensor:$x, UnitAttr:$saturate);
  let elementDeclaration = DS_InferElement;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

#endif
