//===- Passes.td - Passes that differentiate ------------------------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_AUTODIFF_PASSES_TD
#define DS_AUTODIFF_PASSES_TD

include "mlir/Pass/PassBase.td"

def DifferentiatePass : Pass<"ds-differentiate", "::mlir::func::FuncOp"> {
  let summary = "Adds the gradient of a result with respect to arguments (reverse mode)";
  let description = [{
    Before: a function of ds ops in attribute form, shapes inferred (`ds-infer-shapes`), with a result `of` that has one element.

    ```mlir
    func.func @f(%x: tensor<3xf32> {ds.name = "x"}) -> (tensor<f32> {ds.name = "loss"}) {
      %0 = ds.exp %x : (tensor<3xf32>) -> tensor<3xf32>
      %1 = ds.reduce_sum %0 {axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<f32>
      return %1 : tensor<f32>
    }
    ```

    After `of=loss wrt=x`:

    ```mlir
    func.func @f(%x: tensor<3xf32> {ds.name = "x"}) -> (tensor<f32> {ds.name = "loss"}, tensor<3xf32> {ds.name = "grad.x"}) {
      %0 = ds.exp %x : (tensor<3xf32>) -> tensor<3xf32>
      %1 = ds.reduce_sum %0 {axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<f32>
      %2 = ds.fill {target = #ds.shape<[]>, value = 1.000000e+00 : f32} : () -> tensor<f32>
      %3 = ds.reshape %2 {target = #ds.shape<["1"]>} : (tensor<f32>) -> tensor<1xf32>
      %4 = ds.expand %3 {target = #ds.shape<["3"]>} : (tensor<1xf32>) -> tensor<3xf32>
      %5 = ds.mul %4, %0 : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
      return %1, %5 : tensor<f32>, tensor<3xf32>
    }
    ```

    Each op says by `DifferentiableOpInterface` how cotangents go from its results to its operands; composite ops without a rule
    are expanded before. Only what lies between the arguments and the result is differentiated: integers and booleans are
    inactive. Cotangents of a value that is used several times are summed in the order of the uses. What broadcasts is
    summed back (`ds.reduce_to` where only the run knows what was repeated). An argument that the result does not depend on
    gets zeros.

    Afterwards the function has a result more for each such argument, of its type, named `grad.` and its name.

    Fails, naming the node: an op on the way has no rule; there is no such result or argument, or it is of no float type; the
    result has more than one element.
  }];
  let options = [
    Option<"of", "of", "std::string", "", "The name of the result (ds.name); default: the only one">,
    ListOption<"wrt", "wrt", "std::string", "Names of arguments, with * for any text; default: all of float type">];
  let dependentDialects = ["::ds::DsDialect"];
}

#endif
