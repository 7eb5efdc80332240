//===- Passes.td - Passes that simplify ds --------------------------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_SIMPLIFY_PASSES_TD
#define DS_SIMPLIFY_PASSES_TD

include "mlir/Pass/PassBase.td"

def InferShapesPass : Pass<"ds-infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "Derives all shapes and removes integer tensors that only compute a shape";
  let description = [{
    Before: functions of ds ops, arguments with `ds.shape` (without one, each dynamic dim is a symbol of its own).

    ```mlir
    func.func @f(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
      %0 = ds.shape_of %x : (tensor<?x8xf32>) -> tensor<2xi64>
      %1 = ds.reduce_prod %0 {axes = array<i64: 0>, keepdims} : (tensor<2xi64>) -> tensor<1xi64>
      %2 = ds.reshape %x, %1 : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?xf32>
      return %2 : tensor<?xf32>
    }
    ```

    After:

    ```mlir
    func.func @f(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
      %0 = ds.reshape %x {target = #ds.shape<["8*N"]>} : (tensor<?x8xf32>) -> tensor<?xf32>
      return %0 : tensor<?xf32>
    }
    ```

    Afterwards: result types are as static as the shape functions say; a shape operand whose contents are expressions
    became an attribute; an integer tensor whose contents are expressions is a `ds.constant` or `ds.shape_value` where
    something else uses it; ops that provably change nothing (a reshape or expand to the same dims, a full slice, a pad by
    zeros) and dead ops are gone.

    Declines: shape operands that depend on data stay operands. Fails, naming node and operator, where shapes cannot
    fit, or a rank depends on data.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

#endif
