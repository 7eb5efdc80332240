//===- DsMovement.td - Ops that move elements ---------------------------===//
// Guarantees: element types are kept; values are copied (scatters may combine them).
//===----------------------------------------------------------------------===//
#ifndef DS_MOVEMENT_TD
#define DS_MOVEMENT_TD

include "dialects/ds/ir/DsBase.td"

def DS_ReshapeOp : DS_TensorOp<"reshape", [DS_Vjp<>, DS_CopiesElements, DS_Element<>, DS_Fold, DS_BindShapes, DS_Host<["getViewed"]>], ["useKnownShapes", "isIdentity"]> {
  let summary = "another shape for the same elements in row-major order";
  let description = [{
    Operand form: `shape[i] == -1` (at most once) takes what remains; `shape[i] == 0` copies dim i of `x` unless
    `allow_zero`. Attr form: `target` lists the dims themselves.

    Constraints:
    1. Exactly one of `shape` (rank 1) and `target` is present.
    2. Operand and result have the same element type and number of elements.
    3. At most one -1; none together with a 0 under `allow_zero`.
  }];
  let arguments = (ins DS_Tensor:$x, Optional<DS_IndexTensor>:$shape, OptionalAttr<DS_ShapeAttr>:$target,
                       UnitAttr:$allow_zero);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def DS_TransposeOp : DS_TensorOp<"transpose", [DS_Vjp<>, DS_CopiesElements, DS_Element<>, SameOperandsAndResultElementType, DS_Fold], ["isIdentity"]> {
  let summary = "a permutation of dimensions";
  let description = [{
    `dims(result)[i] = dims(x)[perm[i]]`; `result[..., j_i, ...] = x[...]` with `x`'s index `perm[i]` equal to `j_i`.

    Constraints:
    1. Operand and result have the same element type.
    2. `perm` is a permutation of 0 .. rank-1.
  }];
  let arguments = (ins DS_Tensor:$x, DenseI64ArrayAttr:$perm);
  let results = (outs DS_Tensor:$result);
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def DS_ExpandOp : DS_TensorOp<"expand", [DS_Vjp<>, DS_Broadcasts, DS_RepeatsElements, DS_Element<["isPointwise"]>, DS_Fold, DS_BindShapes], ["useKnownShapes", "isIdentity"]> {
  let summary = "broadcast to a shape";
  let description = [{
    `dims(result) = broadcast(dims(x), shape)` (two-directional, as ONNX's Expand); `result[i] = x[i]` broadcast. In the
    attr form `target` lists the result's dims.

    Constraints:
    1. Exactly one of `shape` (rank 1) and `target` is present.
    2. Operand and result have the same element type.
    3. The dims broadcast.
  }];
  let arguments = (ins DS_Tensor:$x, Optional<DS_IndexTensor>:$shape, OptionalAttr<DS_ShapeAttr>:$target);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
  let hasFolder = 1;
}

def DS_SliceOp : DS_TensorOp<"slice", [DS_Vjp<>, DS_CopiesElements, DS_Element<["getPlacesAttrName"]>, AttrSizedOperandSegments, DS_Fold, DS_BindShapes], ["useKnownShapes", "isIdentity"]> {
  let summary = "a strided part";
  let description = [{
    Operand form, as ONNX's Slice: for the k-th sliced axis, `starts[k] : ends[k] : steps[k]` with Python's rules; `axes`
    absent means 0, 1, ...; `steps` absent means 1.
    Attr form, over all dims: `result[i] = x[start + i * step]`, `dims(result) = size`; `start` is in range already.

    Constraints:
    1. Either `starts` and `ends` are present, or `start`, `size` and `step`, of as many entries as `x` has dims.
    2. Operand and result have the same element type and rank.
    3. No step is 0.
    4. Axes are in range and distinct.
  }];
  let arguments = (ins DS_Tensor:$x, Optional<DS_IndexTensor>:$starts, Optional<DS_IndexTensor>:$ends,
                       Optional<DS_IndexTensor>:$axes, Optional<DS_IndexTensor>:$steps,
                       OptionalAttr<DS_ShapeAttr>:$start, OptionalAttr<DS_ShapeAttr>:$size,
                       OptionalAttr<DenseI64ArrayAttr>:$step);
  let results = (outs DS_Tensor:$result);
  let assemblyFormat = [{
    $x (`starts` $starts^)? (`ends` $ends^)? (`axes` $axes^)? (`steps` $steps^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def DS_ConcatOp : DS_TensorOp<"concat", [DS_Vjp<>, DS_Root<["timesRead"]>, DS_Element<>, SameOperandsAndResultElementType, DS_Fold]> {
  let summary = "tensors one after another along an axis";
  let description = [{
    `dims(result)[axis] = sum of dims(inputs[k])[axis]`.

    Constraints:
    1. At least one operand; all have the result's element type and rank, at least 1.
    2. `axis` is in 0 .. rank-1.
    3. All other dims are equal.
  }];
  let arguments = (ins Variadic<DS_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs DS_Tensor:$result);
  let hasFolder = 1;
}

def DS_PadOp : DS_TensorOp<"pad", [DS_Vjp<>, DS_CopiesElements, DS_Element<>, AttrSizedOperandSegments, DS_BindShapes], ["useKnownShapes", "isIdentity"]> {
  let summary = "more elements at the borders";
  let description = [{
    `dims(result)[d] = low[d] + dims(x)[d] + high[d]`; negative counts remove elements. New elements: `value` (absent: 0)
    in mode `constant`, the border's in `edge`, mirrored without the border in `reflect`, periodic in `wrap`.

    Constraints:
    1. Exactly one of `pads` (rank 1, 2 * rank entries: all lows, then all highs) and the pair `low`, `high` (rank entries
       each) is present.
    2. Operand, `value` (one element) and result have the same element type.
  }];
  let arguments = (ins DS_Tensor:$x, Optional<DS_IndexTensor>:$pads, Optional<DS_Tensor>:$value,
                       DefaultValuedAttr<DS_PadModeAttr, "::ds::PadMode::constant">:$mode,
                       OptionalAttr<DS_ShapeAttr>:$low, OptionalAttr<DS_ShapeAttr>:$high);
  let results = (outs DS_Tensor:$result);
  let assemblyFormat = [{
    $x (`pads` $pads^)? (`value` $value^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def DS_TileOp : DS_TensorOp<"tile", [DS_Vjp<>, DS_CopiesElements, DS_RepeatsElements, DS_Element<>, DS_BindShapes], ["useKnownShapes", "isIdentity"]> {
  let summary = "a tensor repeated along its dims";
  let description = [{
    `dims(result)[d] = dims(x)[d] * repeat[d]`; `result[i] = x[i mod dims(x)]`.

    Constraints:
    1. Exactly one of `repeats` (rank 1) and `repeat` is present, with one entry a dim.
    2. Operand and result have the same element type.
  }];
  let arguments = (ins DS_Tensor:$x, Optional<DS_IndexTensor>:$repeats, OptionalAttr<DS_ShapeAttr>:$repeat);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
}

def DS_GatherOp : DS_TensorOp<"gather", [DS_Vjp<>, DS_CopiesElements, DS_Element<>, DS_Fold]> {
  let summary = "slices picked by indices along an axis";
  let description = [{
    `result[p..., i..., s...] = x[p..., indices[i...], s...]`; negative indices count from the end; one out of range is a
    run-time error.

    Constraints:
    1. `axis` is in 0 .. rank(x)-1.
    2. Operand and result have the same element type.
  }];
  let arguments = (ins DS_Tensor:$x, DS_IndexTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$axis);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
}

def DS_GatherElementsOp : DS_TensorOp<"gather_elements", [DS_Vjp<>, DS_CopiesElements, DS_Element<>]> {
  let summary = "elements picked by indices along an axis";
  let description = [{
    `result[i] = x[i with i_axis replaced by indices[i]]`; negative indices count from the end.

    Constraints:
    1. `x` and `indices` have the same rank, at least 1; `axis` is in 0 .. rank-1.
    2. The result has the dims of `indices` and the element type of `x`.
  }];
  let arguments = (ins DS_Tensor:$x, DS_IndexTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$axis);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
}

def DS_GatherNdOp : DS_TensorOp<"gather_nd", [DS_Vjp<>, DS_CopiesElements, DS_Element<>]> {
  let summary = "slices picked by index tuples";
  let description = [{
    With b = `batch_dims` and n = the last dim of `indices`:
    `result[b..., i..., s...] = x[b..., indices[b..., i..., 0], ..., indices[b..., i..., n-1], s...]`.

    Constraints:
    1. `x` and `indices` have rank at least 1; `batch_dims` is below both.
    2. The last dim of `indices` is a constant between 1 and rank(x) - batch_dims.
    3. The first `batch_dims` dims are equal.
    4. Operand and result have the same element type.
  }];
  let arguments = (ins DS_Tensor:$x, DS_IndexTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$batch_dims);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
}

def DS_ScatterElementsOp : DS_TensorOp<"scatter_elements", [DS_Vjp<>, DS_Root<["hasEpilogue", "takesComputedOperands", "getFlops"]>]> {
  let summary = "elements stored by indices along an axis";
  let description = [{
    `result = x; for i: result[i with i_axis replaced by indices[i]] (reduction)= updates[i]`.

    Constraints:
    1. All operands have the same rank, at least 1; `axis` is in 0 .. rank-1.
    2. `indices` and `updates` have the same dims; the result has those of `x`.
    3. `x`, `updates` and the result have the same element type.
  }];
  let arguments = (ins DS_Tensor:$x, DS_IndexTensor:$indices, DS_Tensor:$updates, DefaultValuedAttr<I64Attr, "0">:$axis,
                       DefaultValuedAttr<DS_ScatterReductionAttr, "::ds::ScatterReduction::none">:$reduction);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
}

def DS_ScatterNdOp : DS_TensorOp<"scatter_nd", [DS_Vjp<>, DS_Root<["hasEpilogue", "takesComputedOperands", "getFlops"]>]> {
  let summary = "slices stored by index tuples";
  let description = [{
    `result = x; for i: result[indices[i, :], ...] (reduction)= updates[i, ...]`.

    Constraints:
    1. `x` and `indices` have rank at least 1; the last dim n of `indices` is a constant between 1 and rank(x).
    2. `dims(updates) = dims(indices)[:-1] + dims(x)[n:]`; the result has the dims of `x`.
    3. `x`, `updates` and the result have the same element type.
  }];
  let arguments = (ins DS_Tensor:$x, DS_IndexTensor:$indices, DS_Tensor:$updates,
                       DefaultValuedAttr<DS_ScatterReductionAttr, "::ds::ScatterReduction::none">:$reduction);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
}

def DS_ResizeOp : DS_TensorOp<"resize", [DS_Vjp<>, DS_Root<>, DS_Element<["elementCost"]>]> {
  let summary = "resampling of a grid";
  let description = [{
    ONNX's Resize over all dims: output coordinate o of dim d maps to an input coordinate by `coordinates` (with
    `scales[d]`, or where absent `size[d] / dims(x)[d]`); the value is the nearest, (multi-)linear or cubic (Keys, with
    `cubic_coeff_a`) interpolation there. `roi` holds the starts, then the ends of all dims (`tf_crop_and_resize` only).
    `given` holds what is known only when the model runs: the scales of all dims, then the starts, then the ends. It
    counts for the dims whose entry of `scales` is 0.

    Constraints:
    1. `size` has one expression a dim of `x`, and is the result's shape.
    2. `scales`, if present, has one entry a dim, none negative; `roi` two. A dim of scale 1 keeps its size.
    3. `given` has three entries a dim; it is present if and only if an entry of `scales` is 0.
    4. Operand and result have the same element type.
  }];
  let arguments = (ins DS_NumberTensor:$x, Optional<DS_TensorOf<[F32], "f32">>:$given, DS_ShapeAttr:$size, OptionalAttr<DenseF64ArrayAttr>:$scales,
                       OptionalAttr<DenseF64ArrayAttr>:$roi,
                       DefaultValuedAttr<DS_ResizeModeAttr, "::ds::ResizeMode::nearest">:$mode,
                       DefaultValuedAttr<DS_ResizeCoordinatesAttr, "::ds::ResizeCoordinates::half_pixel">:$coordinates,
                       DefaultValuedAttr<DS_ResizeNearestAttr, "::ds::ResizeNearest::round_prefer_floor">:$nearest,
                       DefaultValuedAttr<F64Attr, "-0.75">:$cubic_coeff_a, UnitAttr:$exclude_outside,
                       UnitAttr:$antialias, DefaultValuedAttr<F64Attr, "0.0">:$extrapolation_value);
  let results = (outs DS_NumberTensor:$result);
  let hasVerifier = 1;
}

def DS_TriluOp : DS_TensorOp<"trilu", [DS_Vjp<>, DS_CopiesElements, DS_Element<>, SameOperandsAndResultElementType]> {
  let summary = "the upper or lower triangle of matrices";
  let description = [{
    `result[..., i, j] = (upper ? j - i >= k : j - i <= k) ? x[..., i, j] : 0`.

    Constraints:
    1. `x` has rank at least 2; the result has its dims and element type.
  }];
  let arguments = (ins DS_Tensor:$x, UnitAttr:$upper, DefaultValuedAttr<I64Attr, "0">:$k);
  let results = (outs DS_Tensor:$result);
}

def DS_OneHotOp : DS_TensorOp<"one_hot", [DS_Vjp<>, DS_Element<>, DS_BindShapes], ["useKnownShapes"]> {
  let summary = "indices as one-hot vectors";
  let description = [{
    A new dim of `depth` entries at `axis`: `result[p..., j, s...] = values[indices[p..., s...] mod-wrapped == j ? 1 : 0]`;
    indices outside [-depth, depth-1] give all `values[0]`.

    Constraints:
    1. Exactly one of `depth` (one element) and `size` (one expression) is present.
    2. `values` has two elements (off, on), of the result's element type.
    3. `axis` is in 0 .. rank(indices).
  }];
  let arguments = (ins DS_NumberTensor:$indices, Optional<DS_NumberTensor>:$depth, DS_Tensor:$values, I64Attr:$axis,
                       OptionalAttr<DS_ShapeAttr>:$size);
  let results = (outs DS_Tensor:$result);
  let assemblyFormat = [{
    $indices (`depth` $depth^)? `values` $values attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def DS_ReverseSequenceOp : DS_TensorOp<"reverse_sequence", [DS_Vjp<>, DS_CopiesElements, DS_Element<>]> {
  let summary = "prefixes reversed, each batch entry with its own length";
  let description = [{
    For batch entry b, the first `lengths[b]` entries along `time_axis` are reversed, the others copied.

    Constraints:
    1. `x` has rank at least 2; `batch_axis` and `time_axis` are different and in range.
    2. `lengths` has rank 1 and as many entries as dim `batch_axis` of `x`.
    3. Operand and result have the same element type and dims.
  }];
  let arguments = (ins DS_Tensor:$x, DS_IndexTensor:$lengths, I64Attr:$batch_axis, I64Attr:$time_axis);
  let results = (outs DS_Tensor:$result);
  let hasVerifier = 1;
}

#endif
