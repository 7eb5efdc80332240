// RUN: ds-opt %s --ds-differentiate='of=loss wrt=x,w*' | FileCheck %s

// A value that is used twice has the sum of both cotangents; integers are inactive; what the loss does not depend on gets zeros.
// CHECK-LABEL: func.func @main
// CHECK-SAME:  -> (tensor<f32> {ds.name = "loss"}, tensor<?x3xf32> {ds.name = "grad.x"}, tensor<3xf32> {ds.name = "grad.w"}, tensor<2xf32> {ds.name = "grad.w_unused"})
// CHECK:       %[[E:.*]] = ds.exp
// CHECK:       %[[P:.*]] = ds.mul %[[E]], %arg1
// CHECK:       %[[LOSS:.*]] = ds.reduce_sum
// CHECK:       %[[ONE:.*]] = ds.fill  {target = #ds.shape<[]>, value = 1.000000e+00 : f32}
// CHECK:       %[[G:.*]] = ds.expand {{.*}} {target = #ds.shape<["N", "3"]>}
// CHECK:       %[[GE:.*]] = ds.mul %[[G]], %arg1
// CHECK:       %[[GW:.*]] = ds.mul %[[G]], %[[E]]
// CHECK:       %[[W:.*]] = ds.reduce_sum %[[GW]] {axes = array<i64: 0>} : (tensor<?x3xf32>) -> tensor<3xf32>
// CHECK:       %[[X:.*]] = ds.mul %[[GE]], %[[E]]
// CHECK:       %[[ZERO:.*]] = ds.fill  {target = #ds.shape<["2"]>, value = 0.000000e+00 : f32}
// CHECK:       return %[[LOSS]], %[[X]], %[[W]], %[[ZERO]]
func.func @main(%x: tensor<?x3xf32> {ds.name = "x", ds.shape = #ds.shape<["N", "3"]>}, %w: tensor<3xf32> {ds.name = "w"},
                %u: tensor<2xf32> {ds.name = "w_unused"}) -> (tensor<f32> {ds.name = "loss"}) {
  %0 = ds.exp %x : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %1 = ds.mul %0, %w : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  %2 = ds.reduce_sum %1 {axes = array<i64: 0, 1>} : (tensor<?x3xf32>) -> tensor<f32>
  return %2 : tensor<f32>
}
