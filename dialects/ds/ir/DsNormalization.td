//===- DsNormalization.td - Composite ops -------------------------------===//
// Guarantees: each can be expanded into primitive ops (CompositeOpInterface).
//===----------------------------------------------------------------------===//
#ifndef DS_NORMALIZATION_TD
#define DS_NORMALIZATION_TD

include "dialects/ds/ir/DsBase.td"

class DS_CompositeOp<string mnemonic, list<Trait> traits = []>
    : DS_TensorOp<mnemonic, traits # [DeclareOpInterfaceMethods<CompositeOpInterface>]> {
  let results = (outs DS_FloatTensor:$result);
}

def DS_LayerNormOp : DS_CompositeOp<"layer_norm", [DS_Vjp<>, DS_Root<["timesRead", "getFlops"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType]> {
  let summary = "normalization over the last dims";
  let description = [{
    Over the dims `axis` .. rank-1: `result = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * scale + bias`,
    statistics in f32 at least.

    Constraints:
    1. `axis` is in 0 .. rank-1.
    2. `scale` and `bias` broadcast to the dims `axis` .. rank-1.
    3. All element types are the same; the result has the dims of `x`.
  }];
  let arguments = (ins DS_FloatTensor:$x, DS_FloatTensor:$scale, Optional<DS_FloatTensor>:$bias, I64Attr:$axis,
                       F64Attr:$epsilon);
}

class DS_SoftmaxLikeOp<string mnemonic, string f>
    : DS_CompositeOp<mnemonic, [DS_Vjp<>, DS_Root<["timesRead", "getFlops"]>, DS_Element<["elementCost"]>, SameOperandsAndResultElementType]> {
  let summary = mnemonic # " along an axis";
  let description = "`result = " # f # [{` along `axis`, with m the maximum along it.

    Constraints:
    1. `axis` is in 0 .. rank-1.
    2. Operand and result have the same element type and dims.
  }];
  let arguments = (ins DS_FloatTensor:$x, I64Attr:$axis);
}
def DS_SoftmaxOp : DS_SoftmaxLikeOp<"softmax", "exp(x - m) / sum(exp(x - m))">;
def DS_LogSoftmaxOp : DS_SoftmaxLikeOp<"log_softmax", "x - m - log(sum(exp(x - m)))">;

def DS_BatchNormOp : DS_CompositeOp<"batch_norm", [DS_Element<["isPointwise", "elementCost"]>]> {
  let summary = "batch normalization with given statistics (inference)";
  let description = [{
    `result[n, c, ...] = (x[n, c, ...] - mean[c]) / sqrt(var[c] + epsilon) * scale[c] + bias[c]`. The channel is dim 1
    (`nchw`; rank 1: there is one channel) or the last (`nhwc`).

    Constraints:
    1. `scale`, `bias`, `mean`, `var` have the dims [C].
    2. The result has the dims and element type of `x`.
  }];
  let arguments = (ins DS_FloatTensor:$x, DS_FloatTensor:$scale, DS_FloatTensor:$bias, DS_FloatTensor:$mean,
                       DS_FloatTensor:$var, F64Attr:$epsilon,
                       DefaultValuedAttr<DS_LayoutAttr, "::ds::Layout::nchw">:$layout);
  let hasVerifier = 1;
}

def DS_AttentionOp : DS_CompositeOp<"attention", [DS_Vjp<>, DS_Root<["timesRead", "getFlops"]>]> {
  let summary = "scaled dot-product attention";
  let description = [{
    ```
    s[b..., t, j] = scale * sum_d q[b..., t, d] * k[b..., j, d]  (+ mask[b..., t, j], broadcast; an i1 mask: -inf where false)
    causal: s[..., t, j] = -inf where j > t + S - T              (T queries stand at the end of S keys)
    result[b..., t, e] = sum_j softmax(s)[b..., t, j] * v[b..., j, e]
    ```
    A row whose every score is -inf gives NaN, or with `zero_masked_rows` 0 (graphs that replace NaN weights by 0).

    Constraints:
    1. q is [b..., T, D], k [b..., S, D], v [b..., S, E], of the same rank, at least 2; the result is [b..., T, E].
    2. `mask` is of i1 or the same element type as q, and broadcasts to [b..., T, S].
    3. q, k, v and the result have the same element type.
  }];
  let arguments = (ins DS_FloatTensor:$q, DS_FloatTensor:$k, DS_FloatTensor:$v, Optional<DS_Tensor>:$mask,
                       F64Attr:$scale, UnitAttr:$causal, UnitAttr:$zero_masked_rows);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// softmax(s) [b..., T, S], built of other ops; 0 in masked rows with `zero_masked_rows`.
    ::llvm::FailureOr<::mlir::Value> buildWeights(::mlir::OpBuilder &builder, ::ds::ShapeState &state);
  }];
}

#endif
