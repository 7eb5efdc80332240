//===- Passes.td - Passes that choose layouts and pack weights ------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_LAYOUT_PASSES_TD
#define DS_LAYOUT_PASSES_TD

include "mlir/Pass/PassBase.td"

def LayoutPass : Pass<"ds-layout", "::mlir::func::FuncOp"> {
  let summary = "Puts channels innermost and removes the transposes between";
  let description = [{
    Before: shapes inferred (`ds-infer-shapes`); ops in the function or in its `ds.static`s.

    ```mlir
    %0 = ds.conv %x, %w {...} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x6x6xf32>
    %1 = ds.relu %0 : (tensor<1x4x6x6xf32>) -> tensor<1x4x6x6xf32>
    %2 = ds.reduce_mean %1 {axes = array<i64: 2, 3>} : (tensor<1x4x6x6xf32>) -> tensor<1x4xf32>
    ```

    After:

    ```mlir
    %0 = ds.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (...) -> tensor<1x8x8x3xf32>
    %1 = ds.conv %0, %w {..., layout = #ds.layout<nhwc>} : (...) -> tensor<1x6x6x4xf32>
    %2 = ds.relu %1 : (tensor<1x6x6x4xf32>) -> tensor<1x6x6x4xf32>
    %3 = ds.reduce_mean %2 {axes = array<i64: 1, 2>} : (tensor<1x6x6x4xf32>) -> tensor<1x4xf32>
    ```

    Convolutions and transposed convolutions of two spatial dims become `nhwc`, so do pools of what is `nhwc`; with one
    spatial dim they become two-dimensional, of height 1. Every transpose sinks through the ops that it commutes with,
    as long as that adds none, merges with the next and cancels against its inverse; what remains is hoisted where that
    removes it. A transpose that only moves dims of 1 becomes a reshape.

    Afterwards: results are the same up to the order of sums; there are at most as many transposes as convolutions and
    pools ask for.

    Declines: three and more spatial dims; pools whose `indices` are used; ops in operand form.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

def PackPass : Pass<"ds-pack", "::mlir::func::FuncOp"> {
  let summary = "Packs the right operands of matrix products and convolutions";
  let description = [{
    Before: `ds-layout` ran.

    ```mlir
    %0 = ds.conv %x, %w, %bias {..., layout = #ds.layout<nhwc>}
    %1 = ds.matmul %a, %b
    ```

    After:

    ```mlir
    %0 = ds.pack_filter %w {group = 1 : i64, tile = 32 : i64}
    %1 = ds.conv_gemm %x, %0 {...}
    %2 = ds.add %1, %bias
    %3 = ds.pack %b {tile = 32 : i64}
    %4 = ds.gemm %a, %3 {columns = #ds.shape<["64"]>}
    ```

    Convolutions by constant 3x3 filters with stride 1 and at least 64 channels on both sides become `ds.conv_winograd`
    (unless `winograd=false`). Depthwise convolutions become `ds.depthwise`, whose filter has its channels innermost. A transposed convolution
    whose windows do not overlap becomes a product and a rearrangement; another one a convolution of its input with
    zeros between the elements. Batches that broadcast are expanded. The recurrent weights of `ds.lstm`, `ds.gru` and
    `ds.rnn` are packed in panels of half a tile, gate by gate.

    Declines: element types other than f32; grouped convolutions with under 4 channels a group; products with under 4
    columns, and those of under 4 rows with a right operand that is no constant.
  }];
  let options = [Option<"tile", "tile", "int64_t", "32", "Columns of a panel: two vectors of the target">,
                 Option<"winograd", "winograd", "bool", "true",
                        "Use Winograd's algorithm, whose rounding errors are larger, where it is faster">];
  let dependentDialects = ["::ds::DsDialect"];
}

def FoldPackingPass : Pass<"ds-fold-packing", "::mlir::ModuleOp"> {
  let summary = "Computes packed weights and frees what they were packed from";
  let description = [{
    Before: `ds-pack` ran. The context holds no other model: resources that this module does not refer to are freed.

    ```mlir
    %0 = ds.constant dense_resource<w> : tensor<64x48xi8>
    %1 = ds.cast %0 : (tensor<64x48xi8>) -> tensor<64x48xf32>
    %2 = ds.pack %1 {tile = 32 : i64} : (tensor<64x48xf32>) -> tensor<2x64x32xf32>
    ```

    After: a `ds.constant` of the panels. So are `ds.pack_filter` and `ds.winograd_filter`, and `ds.transpose`, `ds.reshape`, `ds.slice`, casts,
    dequantizations and products and differences of constants that a packed weight or a depthwise filter is made of.

    Afterwards: every resource is one that an op refers to. One weight is worked on at a time, so that memory grows by
    no more than the largest one's forms.

    Declines: packings whose operand does not follow from constants.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

def PlanTransformsPass : Pass<"ds-plan-transforms", "::mlir::ModuleOp"> {
  let summary = "Gives Fourier transforms of a constant length their tables";
  let description = [{
    Before: shapes inferred.

    ```mlir
    %0 = ds.dft %x {axis = 1 : i64} : (tensor<2x4x2xf32>) -> tensor<2x4x2xf32>
    ```

    After:

    ```mlir
    %0 = ds.constant dense<[1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0]> : tensor<8xf32>
    %1 = ds.dft %x, %0 {axis = 1 : i64} : (tensor<2x4x2xf32>, tensor<8xf32>) -> tensor<2x4x2xf32>
    ```

    The table holds the roots of unity and, for a length with a large prime factor, what the convolution needs. Transforms
    of one length, kind and type share one.

    Declines: lengths that are not known; tables of more than 2^20 numbers, which a kernel computes as it does those of
    unknown lengths.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

#endif
