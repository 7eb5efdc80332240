//===- Passes.td - Which ops share a kernel -------------------------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_GROUP_PASSES_TD
#define DS_GROUP_PASSES_TD

include "mlir/Pass/PassBase.td"

def GroupPass : Pass<"ds-group", "::mlir::ModuleOp"> {
  let summary = "Decides which ops share a kernel, and outlines the kernels";
  let description = [{
    Before: functions with `ds.static` regions of ds ops in attr form.

    ```mlir
    func.func @main(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
      %0 = ds.mul %x, %x : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
      %1 = ds.reduce_sum %0 {axes = array<i64: 1>} : (tensor<?x8xf32>) -> tensor<?xf32>
      %2 = ds.relu %1 : (tensor<?xf32>) -> tensor<?xf32>
      return %2 : tensor<?xf32>
    }
    ```

    After:

    ```mlir
    rt.kernel @ds_k0_reduce_sum(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["k0", "8"]>}) -> tensor<?xf32>
        attributes {symbols = ["k0"]} {
      %0 = ds.mul %x, %x : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
      %1 = ds.reduce_sum %0 {axes = array<i64: 1>} : (tensor<?x8xf32>) -> tensor<?xf32>
      %2 = ds.relu %1 : (tensor<?xf32>) -> tensor<?xf32>
      rt.yield %2 : tensor<?xf32>
    }
    func.func @main(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
      %0 = rt.launch @ds_k0_reduce_sum(%x) {shapes = [#ds.shape<["N"]>], symbols = #ds.shape<["N"]>}
          : (tensor<?x8xf32>) -> tensor<?xf32>
      return %0 : tensor<?xf32>
    }
    ```

    A root (`KernelRootOpInterface`) takes in the pointwise ops that follow it and are its only users. Any other op is
    computed where it is used if that costs less than memory would; a kernel has at most 64 ops, and what is too much is
    stored at its largest parts. Kernels that go over the same elements and read the same tensor, or one the other's
    result, become one kernel of several results: pointwise ones, and reductions over the same axes. The work is linear
    in the ops of a function.

    Afterwards: a function consists of `ds.constant`, views (`ds.reshape`), `rt.launch` and what ends stages. A result
    that is an input, a constant or another result is a copy. `rt.constraints` of the function say what the entry dimensions
    must fulfil. Equal kernels exist once.

    Fails at an op that belongs to no kernel: one that is neither pure nor the host's.
  }];
  let dependentDialects = ["::ds::DsDialect", "::ds::rt::RtDialect"];
}

#endif
