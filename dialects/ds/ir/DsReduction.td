//===- DsReduction.td - Reductions, scans and selections along axes -----===//
// Guarantees: axes are attributes, normalized to 0 .. rank-1.
//===----------------------------------------------------------------------===//
#ifndef DS_REDUCTION_TD
#define DS_REDUCTION_TD

include "dialects/ds/ir/DsBase.td"

class DS_ReduceOp<string mnemonic, Type type, string f>
    : DS_TensorOp<mnemonic, [DS_Vjp<>, DS_Root<["timesRead", "getFlops"]>, DS_Reduces, DS_Element<["elementCost"]>, SameOperandsAndResultElementType, DS_Fold], ["isIdentity"]> {
  let summary = "reduction: " # f;
  let description = "`result[i] = " # f # [{` over the dims `axes`, which become 1 (`keepdims`) or vanish. Sums of f16 and
    bf16 are accumulated in f32.

    Constraints:
    1. `axes` are sorted, distinct, in 0 .. rank-1.
    2. Operand and result have the same element type.
    3. Code generation expects at least one axis; without any the op changes nothing, and inference removes it.

    Created by import and expansions; consumed by code generation (a kernel's root).
  }];
  let arguments = (ins type:$x, DenseI64ArrayAttr:$axes, UnitAttr:$keepdims);
  let results = (outs DS_Tensor:$result);
}

def DS_ReduceSumOp : DS_ReduceOp<"reduce_sum", DS_NumberTensor, "the sum (empty: 0)">;
def DS_ReduceMeanOp : DS_ReduceOp<"reduce_mean", DS_NumberTensor, "the mean (empty: NaN, integers 0)">;
def DS_ReduceMaxOp : DS_ReduceOp<"reduce_max", DS_Tensor, "the maximum (empty: -inf or the least value)">;
def DS_ReduceMinOp : DS_ReduceOp<"reduce_min", DS_Tensor, "the minimum (empty: inf or the greatest value)">;
def DS_ReduceProdOp : DS_ReduceOp<"reduce_prod", DS_NumberTensor, "the product (empty: 1)">;

def DS_ReduceToOp : DS_TensorOp<"reduce_to", [DS_Vjp<>, DS_Root<["timesRead"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType], ["isIdentity"]> {
  let summary = "the adjoint of broadcasting: sums over the dims that are 1 in the result";
  let description = [{
    `result[i] = sum of x[j]` over all j that are i in the dims where `target` is the dim of `x`; in the others it is 1, and
    j any. Which these are is decided by the sizes when the program runs.

    Constraints:
    1. `target` has a size for each dim of `x`, which is that dim or 1.
    2. Operand and result have the same element type.

    Created by differentiation, where a dim may have been repeated; where it is known, there is a `ds.reduce_sum` or nothing.
  }];
  let arguments = (ins DS_FloatTensor:$x, DS_ShapeAttr:$target);
  let results = (outs DS_FloatTensor:$result);
}

class DS_ArgOp<string mnemonic, string what> : DS_TensorOp<mnemonic, [DS_NoVjp<DS_NoFloats>, DS_Root<["getFlops"]>, DS_Element<["elementCost"]>]> {
  let summary = "the index of the " # what;
  let description = "The index of the " # what # [{ along `axis`; of equals the first, or with `select_last` the last.

    Constraints:
    1. `axis` is in 0 .. rank-1.
    2. The result is i64; dim `axis` becomes 1 (`keepdims`) or vanishes.
  }];
  let arguments = (ins DS_NumberTensor:$x, I64Attr:$axis, UnitAttr:$keepdims, UnitAttr:$select_last);
  let results = (outs DS_TensorOf<[I64], "i64">:$result);
}
def DS_ArgMaxOp : DS_ArgOp<"arg_max", "maximum">;
def DS_ArgMinOp : DS_ArgOp<"arg_min", "minimum">;

class DS_CumOp<string mnemonic, string what> : DS_TensorOp<mnemonic, [DS_Vjp<>, DS_Root<["hasEpilogue", "getFlops"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType]> {
  let summary = "running " # what # "s along an axis";
  let description = "`result[j] = " # what # [{ of x[0 .. j]` along `axis`; without element j if `exclusive`; from the end if `reverse`.

    Constraints:
    1. `axis` is in 0 .. rank-1.
    2. Operand and result have the same element type and dims.
  }];
  let arguments = (ins DS_NumberTensor:$x, I64Attr:$axis, UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs DS_NumberTensor:$result);
}
def DS_CumSumOp : DS_CumOp<"cum_sum", "sum">;
def DS_CumProdOp : DS_CumOp<"cum_prod", "product">;

def DS_TopKOp : DS_TensorOp<"top_k", [DS_Vjp<>, DS_Root<["takesComputedOperands", "getFlops"]>], ["useKnownShapes"]> {
  let summary = "the k largest or smallest elements along an axis";
  let description = [{
    Both results have k entries along `axis`: the values, and their indices (i64); of equal values the lower index comes
    first. With `sorted` in order; otherwise the order is free.

    Constraints:
    1. Exactly one of `k` (one element) and `count` (one expression) is present.
    2. `axis` is in 0 .. rank-1.
    3. `values` has the element type of `x`; `indices` is i64.
  }];
  let arguments = (ins DS_NumberTensor:$x, Optional<DS_IndexTensor>:$k, I64Attr:$axis, UnitAttr:$smallest,
                       UnitAttr:$sorted, OptionalAttr<DS_ShapeAttr>:$count);
  let results = (outs DS_NumberTensor:$values, DS_TensorOf<[I64], "i64">:$indices);
  let hasVerifier = 1;
}

def DS_NonMaxSuppressionOp : DS_TensorOp<"non_max_suppression", [DS_NoVjp<DS_NoFloats>, DS_Root<["takesComputedOperands", "getFlops"]>]> {
  let summary = "the boxes of best score that do not overlap";
  let description = [{
    For each batch entry and class, goes through the boxes whose score is above `score_threshold` (without it: all) from
    the best on, of equal ones the lower index first, and keeps those that overlap none that it has kept by more than
    `iou_threshold`, until `max_output` are kept. `counts` says how many there are, `indices` which, in this order; what
    follows them is -1.

    A box is y1, x1, y2, x2 of two opposite corners, or with `centered` x, y, width, height. Two overlap by
    `common / ((area1 + area2) - common)`, each operation rounded to f32; a box whose area is not positive overlaps
    none.

    Constraints:
    1. `boxes` is [B, N, 4], `scores` [B, C, N]; `most` is one expression.
    2. `max_output`, `iou_threshold` and `score_threshold` have one element.
    3. `indices` is [B, C, most], of which `max_output` above `most` is cut off; `counts` is [B, C].

    Created by import; consumed by code generation (a kernel's root).
  }];
  let arguments = (ins DS_TensorOf<[F32], "f32">:$boxes, DS_TensorOf<[F32], "f32">:$scores,
                       DS_TensorOf<[I64], "i64">:$max_output, DS_TensorOf<[F32], "f32">:$iou_threshold,
                       Optional<DS_TensorOf<[F32], "f32">>:$score_threshold, DS_ShapeAttr:$most, UnitAttr:$centered);
  let results = (outs DS_TensorOf<[I64], "i64">:$indices, DS_TensorOf<[I64], "i64">:$counts);
}

#endif
