// RUN: ds-opt %s --ds-differentiate='of=loss' | FileCheck %s

// A version of the model would lack the gradients, or have others: where %x is left out, it is a constant there.
// CHECK-NOT: ds.versions
// CHECK-NOT: @main_defaults
module {
  func.func @main(%x: tensor<f32> {ds.default = dense<2.0> : tensor<f32>, ds.name = "x"}) -> (tensor<f32> {ds.name = "loss"})
      attributes {ds.versions = [{body = @main_defaults, left_out = [0], sizes = {}}]} {
    %0 = ds.exp %x : (tensor<f32>) -> tensor<f32>
    return %0 : tensor<f32>
  }
  func.func private @main_defaults(%x: tensor<f32> {ds.name = "x"}) -> (tensor<f32> {ds.name = "loss"}) {
    %0 = ds.constant dense<7.38905609893> : tensor<f32>
    return %0 : tensor<f32>
  }
}
