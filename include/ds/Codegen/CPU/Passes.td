//===- Passes.td - Passes that prepare a model for a CPU's loops ----------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_CODEGEN_CPU_PASSES_TD
#define DS_CODEGEN_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

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
