//===- DsSource.td - Constants and values made from shapes --------------===//
// Guarantees: no op here reads elements of a large tensor.
//===----------------------------------------------------------------------===//
#ifndef DS_SOURCE_TD
#define DS_SOURCE_TD

include "dialects/ds/ir/DsBase.td"

def DS_ConstantOp : DS_TensorOp<"constant", [DS_NoVjp<"it has no operands">, DS_Element<["isUniform"]>, DS_Host<>, ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "a constant tensor";
  let description = [{
    Weights are `dense_resource`s: they are mapped or owned blobs, never literals in text.

    Constraints:
    1. `value` is dense (`dense<...>` or `dense_resource<...>`), and its type is the result's.
    2. A resource holds as many bytes as its type needs.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs DS_Tensor:$result);
  let builders = [OpBuilder<(ins "::mlir::ElementsAttr":$value), [{
    build($_builder, $_state, value.getType(), value);
  }]>];
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def DS_FillOp : DS_TensorOp<"fill", [DS_NoVjp<"it has no float operands">, DS_Element<["isUniform"]>, DS_Fold, DS_BindShapes], ["useKnownShapes"]> {
  let summary = "a tensor of one value";
  let description = [{
    `result[i] = value`.

    Constraints:
    1. Exactly one of the operand `shape` (rank 1) and the attribute `target` is present; it is the result's shape.
    2. `value` has the result's element type.
    3. Dims are not negative.
  }];
  let arguments = (ins Optional<DS_IndexTensor>:$shape, OptionalAttr<DS_ShapeAttr>:$target, TypedAttrInterface:$value);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
}

def DS_RangeOp : DS_TensorOp<"range", [DS_Vjp<>, DS_Element<>, DS_Fold, DS_BindShapes], ["useKnownShapes"]> {
  let summary = "an arithmetic progression";
  let description = [{
    `result[i] = start + i * delta` for `0 <= i < max(ceil((limit - start) / delta), 0)`.

    Constraints:
    1. `start`, `limit` and `delta` are of rank 0 (or have one element), of the result's element type.
    2. The result has rank 1.
    3. `delta` is not 0.
    4. With `size` (attr form) the number of elements is its only expression; `limit` is then ignored.
  }];
  let arguments = (ins DS_NumberTensor:$start, DS_NumberTensor:$limit, DS_NumberTensor:$delta,
                       OptionalAttr<DS_ShapeAttr>:$size);
  let results = (outs DS_NumberTensor:$result);
  let hasVerifier = 1;
}

def DS_EyeLikeOp : DS_TensorOp<"eye_like", [DS_Vjp<>, DS_Element<>]> {
  let summary = "ones on a diagonal";
  let description = [{
    `result[i, j] = j - i == k ? 1 : 0`; of `x` only the dims matter.

    Constraints:
    1. `x` has rank 2; the result has its dims.
  }];
  let arguments = (ins DS_Tensor:$x, DefaultValuedAttr<I64Attr, "0">:$k);
  let results = (outs DS_Tensor:$result);
}

def DS_ShapeOfOp : DS_TensorOp<"shape_of", [DS_NoVjp<DS_NoFloats>, DS_Element<>]> {
  let summary = "the dims of a tensor as an integer tensor";
  let description = [{
    `result = dims(x)[start:end]`; negative bounds count from the end, both are clamped.

    Constraints:
    1. The result has rank 1.

    Created by import; `ds-infer-shapes` replaces every one by `ds.shape_value`.
  }];
  let arguments = (ins DS_Tensor:$x, DefaultValuedAttr<I64Attr, "0">:$start,
                       DefaultValuedAttr<I64Attr, "::std::numeric_limits<int64_t>::max()">:$end);
  let results = (outs DS_IndexTensor:$result);
}

def DS_SizeOfOp : DS_TensorOp<"size_of", [DS_NoVjp<DS_NoFloats>, DS_Element<>]> {
  let summary = "the number of elements of a tensor";
  let description = [{
    `result = product(dims(x))`.

    Constraints:
    1. The result has rank 0.

    Created by import; `ds-infer-shapes` replaces every one by `ds.shape_value`.
  }];
  let arguments = (ins DS_Tensor:$x);
  let results = (outs DS_IndexTensor:$result);
}

def DS_ShapeValueOp : DS_TensorOp<"shape_value", [DS_NoVjp<"it has no operands">, DS_Element<>]> {
  let summary = "size expressions as an integer tensor";
  let description = [{
    `result[i] = evaluate(shape[i])`; with `scalar`, `result = evaluate(shape[0])`.

    Constraints:
    1. Without `scalar` the result has rank 1 and as many elements as `shape` has expressions; with it rank 0, and
       `shape` has one.

    Created by `ds-infer-shapes` where a shape is used as data; consumed by code generation.
  }];
  let arguments = (ins DS_ShapeAttr:$shape, UnitAttr:$scalar);
  let results = (outs DS_Tensor:$result);
}

#endif
