//===- Passes.td - Passes that choose layouts -----------------------------===//
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

#endif
