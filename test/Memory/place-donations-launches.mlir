// RUN: ds-opt %s --ds-place-donations | FileCheck %s

rt.code @add : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["0"]>, bytes = #ds.shape<["0"]>, in_place}

// No launch makes the result: there is none that could write to the input's memory.
// CHECK-LABEL: func.func @made_by_no_launch
// CHECK-SAME:    %arg0: tensor<4xf32> {ds.donate = 0 : i64}
func.func @made_by_no_launch(%s: tensor<4xf32> {ds.donate = 0 : i64}, %x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// Nobody reads the input.
// CHECK-LABEL: func.func @not_read
// CHECK-SAME:    %arg0: tensor<4xf32> {ds.donate = 0 : i64, ds.in_place}
func.func @not_read(%s: tensor<4xf32> {ds.donate = 0 : i64}, %x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = rt.launch @add(%x, %x) {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
