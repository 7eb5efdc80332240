//===- Passes.td - Passes that form regions -------------------------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_REGIONS_PASSES_TD
#define DS_REGIONS_PASSES_TD

include "mlir/Pass/PassBase.td"

def FormRegionsPass : Pass<"ds-form-regions", "::mlir::func::FuncOp"> {
  let summary = "Wraps a function's ops into static regions";
  let description = [{
    Before: shapes inferred; functions of ds ops.

    ```mlir
    func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
      %0 = ds.exp %x : (tensor<?xf32>) -> tensor<?xf32>
      return %0 : tensor<?xf32>
    }
    ```

    After:

    ```mlir
    func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
      %0 = ds.static(%a = %x : tensor<?xf32>) -> (tensor<?xf32>) {
        %1 = ds.exp %a : (tensor<?xf32>) -> tensor<?xf32>
        ds.return %1 : tensor<?xf32>
      }
      return %0 : tensor<?xf32>
    }
    ```

    Afterwards: every op of ds lies in a `ds.static` (constants inside the region that uses them), and every dim inside is
    known when the region begins. A `ds.bind` stands between two regions: the second may use sizes that it reads. What the
    host reads (sizes, a condition, a trip count) is memory of static size: a view of other memory is copied.

    Fails where a dim depends on data: such a dim must be bound before (`ds.bind`). The diagnostic names node, operator and dim.
  }];
  let dependentDialects = ["::ds::DsDialect"];
}

#endif
