//===- DsContraction.td - Matrix products -------------------------------===//
// Guarantees: accumulation in f32 for f16 and bf16.
//===----------------------------------------------------------------------===//
#ifndef DS_CONTRACTION_TD
#define DS_CONTRACTION_TD

include "dialects/ds/ir/DsBase.td"

def DS_MatmulOp : DS_TensorOp<"matmul", [DS_Vjp<>, DS_Root<["getFlops"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType]> {
  let summary = "matrix product with NumPy's semantics";
  let description = [{
    `result[b..., i, j] = sum_k a[b..., i, k] * b[b..., k, j]`; the leading dims broadcast. A rank-1 `a` is a row, a rank-1
    `b` a column, and that dim vanishes from the result.

    Constraints:
    1. Both operands have rank at least 1.
    2. The last dim of `a` equals the second-last of `b` (the only one, if `b` has rank 1).
    3. The leading dims broadcast.
    4. Operands and result have the same element type.
  }];
  let arguments = (ins DS_NumberTensor:$a, DS_NumberTensor:$b);
  let results = (outs DS_NumberTensor:$result);
}

#endif
