//===- Passes.td - Passes that differentiate ------------------------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_AUTODIFF_PASSES_TD
#define DS_AUTODIFF_PASSES_TD

include "mlir/Pass/PassBase.td"

def DifferentiatePass : Pass<"ds-differentiate", "::mlir::ModuleOp"> {
  let summary = "Adds the gradient of a result with respect to arguments (reverse mode)";
  let description = [{
    Before: functions of ds ops in attribute form, shapes inferred (`ds-infer-shapes`); the public one has a result `of` of one element.

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

    What runs other functions runs new ones backward: of a `ds.if`, a `ds.if` on the same condition, whose branches compute the
    branch again and return cotangents; of a `ds.loop`, a `ds.loop` from the last iteration to the first, which takes the state
    that each began with from the loop, where this is kept beside its results:

    ```mlir
    %0 = ds.loop trips %n do @body(%x) with(%w) {shapes = [#ds.shape<["N"]>], symbols = #ds.shape<[]>} : ...
    ```

    becomes, with the cotangent `%g` of `%0`,

    ```mlir
    %0:2 = ds.loop trips %n do @body_residuals(%x) with(%w) {shapes = [#ds.shape<["N"]>, #ds.shape<["r0", "N"]>], symbols = #ds.shape<["r0"]>} : ...
    %1 = ds.shape_value {scalar, shape = #ds.shape<["r0"]>} : () -> tensor<i64>
    %2:2 = ds.loop trips %1 do @body_reverse(%g, %zeros) with(%w, %0#1) {shapes = [#ds.shape<["N"]>, #ds.shape<["N"]>], symbols = #ds.shape<[]>} : ...
    ```

    Afterwards the function has a result more for each such argument, of its type, named `grad.` and its name. Its versions
    (`ds.versions`), which would lack them, are gone, and so is each private function that none runs any more.

    Fails, naming the node: an op on the way has no rule; there is no such result or argument, or it is of no float type; the
    result has more than one element; a loop's state is needed as it was, and iterations change its dims.
  }];
  let options = [
    Option<"of", "of", "std::string", "", "The name of the result (ds.name); default: the only one">,
    ListOption<"wrt", "wrt", "std::string", "Names of arguments, with * for any text; default: all of float type">];
  let dependentDialects = ["::ds::DsDialect"];
}

#endif
