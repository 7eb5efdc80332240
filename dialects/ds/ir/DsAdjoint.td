//===- DsAdjoint.td - What backward passes have kernels of their own for --===//
// Guarantees: created by derivatives, never by import; f32 and f64.
//===----------------------------------------------------------------------===//
#ifndef DS_ADJOINT_TD
#define DS_ADJOINT_TD

include "dialects/ds/ir/DsBase.td"

def DS_ConvFilterVjpOp : DS_TensorOp<"conv_filter_vjp", [DS_Vjp<>, DS_Root<["hasEpilogue", "takesComputedOperands", "getFlops"]>, SameOperandsAndResultElementType]> {
  let summary = "the derivative of a convolution by its filter";
  let description = [{
    `result[o, c, k...] = sum_{n, p...} x[n, g*C/group + c, p*stride - pads_low + k*dilation ...] * y[n, o, p...]` with g the
    group of o; elements outside `x` are 0. `x` is the convolution's input, `y` the cotangent of its result; the result has
    the dims [O, C/group, kernel...] of a filter in either layout.

    Constraints:
    1. `x` has rank 3 or 4 (one or two spatial dims), `y` the same rank and batch.
    2. `kernel`, `strides`, `pads_low`, `dilations` have one entry a spatial dim; kernel, strides and dilations are positive.
    3. `group` divides the channels of `x` and those of `y`.
    4. All element types are the same, f32 or f64.

    Created by the derivatives of `ds.conv` and `ds.conv_transpose`; `ds-layout` makes it `nhwc`, of two spatial dims.
  }];
  let arguments = (ins DS_FloatTensor:$x, DS_FloatTensor:$y, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$pads_low, DenseI64ArrayAttr:$dilations,
                       DefaultValuedAttr<I64Attr, "1">:$group,
                       DefaultValuedAttr<DS_LayoutAttr, "::ds::Layout::nchw">:$layout);
  let results = (outs DS_FloatTensor:$result);
  let hasVerifier = 1;
}

def DS_MaxPoolVjpOp : DS_TensorOp<"max_pool_vjp", [DS_Vjp<>, DS_Root<["hasEpilogue", "takesComputedOperands", "getFlops"]>, SameOperandsAndResultElementType]> {
  let summary = "the derivative of a maximum pool";
  let description = [{
    `result = 0; for each window p, in order: result[the place of its maximum in x] += y[p]`, of several maxima the first
    one (that `ds.max_pool` gives as `indices`). `y` is the cotangent of the pool's result.

    Constraints:
    1. `x` has rank 3 or 4 (one or two spatial dims), `y` the rank and dims of the pool's result.
    2. All window attributes have one entry a spatial dim; kernel, strides and dilations are positive.
    3. All element types are the same, f32 or f64.

    Created by the derivative of `ds.max_pool`; `ds-layout` makes it `nhwc`, of two spatial dims.
  }];
  let arguments = (ins DS_FloatTensor:$x, DS_FloatTensor:$y, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$pads_low, DenseI64ArrayAttr:$pads_high, DenseI64ArrayAttr:$dilations,
                       UnitAttr:$ceil_mode, DefaultValuedAttr<DS_LayoutAttr, "::ds::Layout::nchw">:$layout);
  let results = (outs DS_FloatTensor:$result);
  let hasVerifier = 1;
}

#endif
