//===- DsPacked.td - Contractions on packed operands ----------------------===//
// Guarantees: the forms that code generation has tiled kernels for; created by `ds-pack` (`lib/Codegen/CPU`), never by import.
//===----------------------------------------------------------------------===//
#ifndef DS_PACKED_TD
#define DS_PACKED_TD

include "dialects/ds/ir/DsBase.td"

defvar DS_Packed = "ops are packed after differentiation";

def DS_PackOp : DS_TensorOp<"pack", [DS_NoVjp<DS_Packed>, DS_Element<>, SameOperandsAndResultElementType]> {
  let summary = "the right operand of a matrix product, in panels";
  let description = [{
    `result[b..., p, k, j] = w[b..., k, p*tile + j]` (with `transposed`: `w[b..., p*tile + j, k]`), and 0 where
    `p*tile + j` is N or more. The result's dims are `[b..., ceildiv(N, tile), K, tile]`: a kernel that computes `tile`
    columns reads one panel from front to back, whether it has one row to multiply or hundreds.

    Constraints:
    1. `w` has rank at least 2.
    2. `tile` is positive.

    Created by `ds-pack`; folded for constants, so that weights are stored packed.
  }];
  let arguments = (ins DS_NumberTensor:$w, I64Attr:$tile, UnitAttr:$transposed);
  let results = (outs DS_NumberTensor:$result);
}

def DS_PackFilterOp : DS_TensorOp<"pack_filter", [DS_NoVjp<DS_Packed>, DS_Element<>, SameOperandsAndResultElementType]> {
  let summary = "the filter of a convolution as the right operand of a matrix product, in panels";
  let description = [{
    For `w` of dims [O, C, KH, KW]: `result[g, p, (kh*KW + kw)*C + c, j] = w[g*(O/group) + p*tile + j, c, kh, kw]`, and 0 where
    `p*tile + j` is O/group or more.

    Constraints:
    1. `w` has rank 4, and `group` divides O.
    2. `tile` is positive.
  }];
  let arguments = (ins DS_NumberTensor:$w, I64Attr:$tile, I64Attr:$group);
  let results = (outs DS_NumberTensor:$result);
}

def DS_GemmOp : DS_TensorOp<"gemm", [DS_NoVjp<DS_Packed>, DS_Root<["timesRead", "getFlops"]>, SameOperandsAndResultElementType]> {
  let summary = "matrix product with a packed right operand";
  let description = [{
    `result[b..., i, j] = sum_k a[b..., i, k] * w[b..., floordiv(j, T), k, mod(j, T)]` for j < n: the product of `a` and
    what `ds.pack` packed. If `w` has rank 3 it is shared by all leading dims of `a`.

    Constraints:
    1. `a` has rank at least 2, `w` rank 3 or one more than `a`; leading dims are equal.
    2. Dim -2 of `w` equals the last dim of `a`; `columns` (one expression) is at most dim -3 times dim -1 of `w`.
  }];
  let arguments = (ins DS_NumberTensor:$a, DS_NumberTensor:$w, DS_ShapeAttr:$columns);
  let results = (outs DS_NumberTensor:$result);
}

def DS_ConvGemmOp : DS_TensorOp<"conv_gemm", [DS_NoVjp<DS_Packed>, DS_Root<["timesRead", "getFlops"]>, SameOperandsAndResultElementType]> {
  let summary = "two-dimensional convolution with channels innermost and a packed filter";
  let description = [{
    `x` is [N, H, W, C], `w` what `ds.pack_filter` packed ([group, panels, KH*KW*C/group, tile]), the result
    [N, OH, OW, channels]; windows as in `ds.conv`.

    Constraints:
    1. `x` and `w` have rank 4; all window attributes have two entries.
    2. Dim 2 of `w` equals KH*KW*C/group.
  }];
  let arguments = (ins DS_NumberTensor:$x, DS_NumberTensor:$w, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$pads_low, DenseI64ArrayAttr:$pads_high, DenseI64ArrayAttr:$dilations,
                       I64Attr:$group, I64Attr:$channels);
  let results = (outs DS_NumberTensor:$result);
}

def DS_WinogradFilterOp : DS_TensorOp<"winograd_filter", [DS_NoVjp<DS_Packed>, DS_Root<>, SameOperandsAndResultElementType]> {
  let summary = "the filter of a 3x3 convolution in Winograd's domain, in panels";
  let description = [{
    For `w` of dims [O, C, 3, 3], m = `outputs` and a = m + 2: `result[p, i*a + j, c, l] = (G w[p*tile + l, c] G^T)[i, j]`, and 0
    where `p*tile + l` is O or more. G is that of F(m x m, 3 x 3) (`WinogradForm.h`).

    Constraints:
    1. `w` is [O, C, 3, 3].
    2. `tile` is positive; `outputs` is 2 or 4.

    Created by `ds-pack` of constants only; always folded by `ds-fold-packing`.
  }];
  let arguments = (ins F32Tensor:$w, I64Attr:$tile, I64Attr:$outputs);
  let results = (outs F32Tensor:$result);
}

def DS_ConvWinogradOp : DS_TensorOp<"conv_winograd", [DS_NoVjp<DS_Packed>, DS_Root<["timesRead", "getFlops"]>, SameOperandsAndResultElementType]> {
  let summary = "two-dimensional 3x3 convolution of stride 1 by Winograd's algorithm";
  let description = [{
    `x` is [N, H, W, C], `w` what `ds.winograd_filter` made with the same `outputs` ([panels, (outputs+2)^2, C, tile]), the
    result [N, OH, OW, channels]. Squares of outputs x outputs results are computed together, with (outputs+2)^2 products a
    channel instead of 9 outputs^2. Rounding errors are larger than those of the direct form: 5e-6 of the result's rms at
    `outputs` 4, 7e-7 at 2 (A. Lavin, S. Gray: Fast Algorithms for Convolutional Neural Networks, arXiv:1509.09308).

    Constraints:
    1. `x` and `w` have rank 4; `pads_low` and `pads_high` have two entries.
    2. `outputs` is 2 or 4; dim 1 of `w` is (outputs+2)^2, dim 2 the channels of `x`.
  }];
  let arguments = (ins F32Tensor:$x, F32Tensor:$w, DenseI64ArrayAttr:$pads_low, DenseI64ArrayAttr:$pads_high,
                       I64Attr:$outputs, I64Attr:$channels);
  let results = (outs F32Tensor:$result);
}

def DS_DepthwiseOp : DS_TensorOp<"depthwise", [DS_NoVjp<DS_Packed>, DS_Root<["getFlops"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType]> {
  let summary = "depthwise convolution with channels innermost";
  let description = [{
    `x` is [N, H, W, C], `w` [KH, KW, C]: each channel has its own filter. The result is [N, OH, OW, C].

    Constraints:
    1. `x` has rank 4, `w` rank 3 with the channels of `x`; all window attributes have two entries.
  }];
  let arguments = (ins DS_NumberTensor:$x, DS_NumberTensor:$w, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads_low,
                       DenseI64ArrayAttr:$pads_high, DenseI64ArrayAttr:$dilations);
  let results = (outs DS_NumberTensor:$result);
}

#endif
