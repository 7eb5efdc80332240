//===- DsQuantization.td - Integers with a scale and a zero point -------===//
// Guarantees: scale and zero point are operands, never parts of a type.
//===----------------------------------------------------------------------===//
#ifndef DS_QUANTIZATION_TD
#define DS_QUANTIZATION_TD

include "dialects/ds/ir/DsBase.td"

defvar DS_QuantizationDoc = [{
    `scale` (and `zero_point`) has one element (per tensor), one an entry of dim `axis` (rank 1), or with `block_size` B > 0
    the rank of `x` and ceil(dim / B) entries along `axis`.

    Constraints:
    1. `zero_point` has the dims of `scale` and the integers' element type.
    2. `scale` is of one of the three forms.
    3. `axis` is in 0 .. rank-1 unless `scale` has one element.
}];

def DS_QuantizeLinearOp : DS_TensorOp<"quantize_linear", [DS_NoVjp<"it rounds to the numbers of a narrow type">, DS_Element<["isPointwise", "elementCost"]>]> {
  let summary = "floats to integers or small floats";
  let description = [{
    `result[i] = saturate(round_half_even(x[i] / scale) + zero_point)`, where the quotient is rounded to the scale's type
    first; small floats as results are rounded to their own
    numbers, and have no zero point but 0.
  }] # DS_QuantizationDoc;
  let arguments = (ins DS_NumberTensor:$x, DS_FloatTensor:$scale, Optional<DS_QuantizedTensor>:$zero_point,
                       DefaultValuedAttr<I64Attr, "0">:$axis, DefaultValuedAttr<I64Attr, "0">:$block_size);
  let results = (outs DS_QuantizedTensor:$result);
  let hasVerifier = 1;
}

def DS_DequantizeLinearOp : DS_TensorOp<"dequantize_linear", [DS_Vjp<>, DS_Element<["isPointwise", "elementCost"]>]> {
  let summary = "integers or small floats to floats";
  let description = [{
    `result[i] = (x[i] - zero_point) * scale`.
  }] # DS_QuantizationDoc;
  let arguments = (ins DS_QuantizedTensor:$x, DS_FloatTensor:$scale, Optional<DS_QuantizedTensor>:$zero_point,
                       DefaultValuedAttr<I64Attr, "0">:$axis, DefaultValuedAttr<I64Attr, "0">:$block_size);
  let results = (outs DS_FloatTensor:$result);
  let hasVerifier = 1;
}

#endif
