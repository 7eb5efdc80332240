//===- DsConvolution.td - Convolutions and pools ------------------------===//
// Guarantees: explicit paddings; `layout` tells where the channels are.
//===----------------------------------------------------------------------===//
#ifndef DS_CONVOLUTION_TD
#define DS_CONVOLUTION_TD

include "dialects/ds/ir/DsBase.td"

/// Window attributes: one entry a spatial dim.
class DS_WindowOp<string mnemonic, list<Trait> traits = []> : DS_TensorOp<mnemonic, traits> {
  let results = (outs DS_NumberTensor:$result);
}

defvar DS_WindowDoc = [{
    Spatial dims are those after N and C (`nchw`) or between N and C (`nhwc`), any number of them. Output size:
    `floor((size + pads_low + pads_high - dilation * (kernel - 1) - 1) / stride) + 1`.
}];

def DS_ConvOp : DS_WindowOp<"conv", [DS_Vjp<>, DS_Root<["getFlops"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType]> {
  let summary = "convolution (cross-correlation)";
  let description = [{
    `result[n, o, p...] = bias[o] + sum_{c, k...} x[n, g*C/group + c, p*stride - pads_low + k*dilation ...] * w[o, c, k...]`
    with g the group of o; elements outside `x` are 0.
  }] # DS_WindowDoc # [{
    Constraints:
    1. `x` has rank at least 3; `w` ([O, C/group, kernel...] in either layout) has the same rank.
    2. `strides`, `pads_low`, `pads_high`, `dilations` have one entry a spatial dim; strides and dilations are positive.
    3. The channels of `x` are `group` times dim 1 of `w`; O is a multiple of `group`.
    4. `bias` has the dims [O].
    5. All element types are the same.
  }];
  let arguments = (ins DS_NumberTensor:$x, DS_NumberTensor:$w, Optional<DS_NumberTensor>:$bias,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads_low, DenseI64ArrayAttr:$pads_high,
                       DenseI64ArrayAttr:$dilations, DefaultValuedAttr<I64Attr, "1">:$group,
                       DefaultValuedAttr<DS_LayoutAttr, "::ds::Layout::nchw">:$layout);
}

def DS_ConvTransposeOp : DS_WindowOp<"conv_transpose", [DS_Vjp<>, DS_Root<["getFlops"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType]> {
  let summary = "transposed convolution";
  let description = [{
    The adjoint of `ds.conv` in its input: element x[n, c, p...] adds `x * w[c, o, k...]` to
    `result[n, o, p*stride - pads_low + k*dilation ...]`. Output size:
    `(size - 1) * stride + dilation * (kernel - 1) + 1 + output_padding - pads_low - pads_high`.

    Constraints:
    1. `x` has rank at least 3; `w` ([C, O/group, kernel...] in either layout) has the same rank.
    2. `strides`, `pads_low`, `pads_high`, `dilations`, `output_padding` have one entry a spatial dim; strides and
       dilations are positive.
    3. The channels of `x` equal dim 0 of `w` and are a multiple of `group`.
    4. `bias` has the dims [O].
    5. All element types are the same.
  }];
  let arguments = (ins DS_NumberTensor:$x, DS_NumberTensor:$w, Optional<DS_NumberTensor>:$bias,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads_low, DenseI64ArrayAttr:$pads_high,
                       DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$output_padding,
                       DefaultValuedAttr<I64Attr, "1">:$group,
                       DefaultValuedAttr<DS_LayoutAttr, "::ds::Layout::nchw">:$layout);
}

def DS_MaxPoolOp : DS_WindowOp<"max_pool", [DS_Vjp<>, DS_Root<["getFlops"]>, DS_Element<["elementCost"]>]> {
  let summary = "the maximum of each window";
  let description = [{
    Elements outside `x` do not count. With `ceil_mode` the output size rounds up, but a window never starts beyond the
    input and its low padding. `indices`: the flat index in `x` (row-major, or column-major in the spatial dims) of each
    maximum.
  }] # DS_WindowDoc # [{
    Constraints:
    1. `x` has rank at least 3.
    2. All window attributes have one entry a spatial dim; kernel, strides and dilations are positive.
    3. Operand and result have the same element type; `indices` is i64 and has the result's dims.
  }];
  let arguments = (ins DS_NumberTensor:$x, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$pads_low, DenseI64ArrayAttr:$pads_high, DenseI64ArrayAttr:$dilations,
                       UnitAttr:$ceil_mode, UnitAttr:$column_major,
                       DefaultValuedAttr<DS_LayoutAttr, "::ds::Layout::nchw">:$layout);
  let results = (outs DS_NumberTensor:$result, Optional<DS_TensorOf<[I64], "i64">>:$indices);
  let hasVerifier = 1;
}

def DS_AvgPoolOp : DS_WindowOp<"avg_pool", [DS_Vjp<>, DS_Root<["getFlops"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType]> {
  let summary = "the mean of each window";
  let description = [{
    Elements outside `x` are 0; they count in the divisor only with `count_include_pad` (and only as far as the padding
    reaches). `ceil_mode` as in `ds.max_pool`.
  }] # DS_WindowDoc # [{
    Constraints:
    1. `x` has rank at least 3.
    2. All window attributes have one entry a spatial dim; kernel, strides and dilations are positive.
    3. Operand and result have the same element type.
  }];
  let arguments = (ins DS_FloatTensor:$x, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$pads_low, DenseI64ArrayAttr:$pads_high, DenseI64ArrayAttr:$dilations,
                       UnitAttr:$ceil_mode, UnitAttr:$count_include_pad,
                       DefaultValuedAttr<DS_LayoutAttr, "::ds::Layout::nchw">:$layout);
}

#endif
