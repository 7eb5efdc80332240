// RUN: ds-opt %s -split-input-file --ds-differentiate=of=loss | FileCheck %s

// The recurrent halves of all gates are one product with the states before each step; so are the cotangents of the weights.
// CHECK-LABEL: func.func @main
// CHECK-SAME:  %[[X:[a-z0-9]+]]: tensor<?x?x12xf32>
// CHECK-SAME:  %[[R:[a-z0-9]+]]: tensor<1x12x3xf32>
// CHECK:       %[[Y:.*]], %{{.*}}, %{{.*}} = ds.lstm %[[X]], %[[R]]
// CHECK:       %[[DY:.*]] = ds.expand
// CHECK:       %[[STATES:.*]] = ds.reshape %[[Y]] {target = #ds.shape<["1", "S", "N", "3"]>}
// CHECK:       %[[BEFORE:.*]] = ds.pad %[[STATES]] {high = #ds.shape<["0", "-1", "0", "0"]>, low = #ds.shape<["0", "1", "0", "0"]>}
// CHECK:       %[[ROWS:.*]] = ds.reshape %[[BEFORE]] {target = #ds.shape<["1", "N*S", "3"]>}
// CHECK:       %[[RT:.*]] = ds.transpose %[[R]] {perm = array<i64: 0, 2, 1>}
// CHECK:       %[[Q:.*]] = ds.matmul %[[ROWS]], %[[RT]]
// CHECK:       %[[HALVES:.*]] = ds.reshape %[[Q]] {target = #ds.shape<["1", "S", "N", "12"]>}
// CHECK:       %[[DX:.*]], %{{.*}}, %{{.*}}, %{{.*}} = ds.lstm_vjp %[[X]], %[[HALVES]], %[[R]], %[[DY]] {{.*}}operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 1, 0, 0>
// CHECK:       %[[GX:.*]] = ds.reshape %[[DX]] {target = #ds.shape<["S", "N", "12"]>}
// CHECK:       %[[GR:.*]] = ds.matmul
// CHECK:       return %{{.*}}, %[[GX]], %[[GR]]
func.func @main(%x: tensor<?x?x12xf32> {ds.name = "x", ds.shape = #ds.shape<["S", "N", "12"]>}, %r: tensor<1x12x3xf32> {ds.name = "r"})
    -> (tensor<f32> {ds.name = "loss"}) {
  %0:3 = ds.lstm %x, %r {activations = ["sigmoid", "tanh", "tanh"], alphas = array<f64: 0.0, 0.0, 0.0>, betas = array<f64: 0.0, 0.0, 0.0>, direction = #ds.direction<forward>, hidden = 3 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>} : (tensor<?x?x12xf32>, tensor<1x12x3xf32>) -> (tensor<?x1x?x3xf32>, tensor<1x?x3xf32>, tensor<1x?x3xf32>)
  %1 = ds.reduce_sum %0#0 {axes = array<i64: 0, 1, 2, 3>} : (tensor<?x1x?x3xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}

// -----

// A reverse direction begins at each sequence's own end.
// CHECK-LABEL: func.func @reverse
// CHECK:       %[[LENGTHS:.*]] = ds.cast %{{.*}} : (tensor<?xi32>) -> tensor<?xi64>
// CHECK:       %[[LAST:.*]] = ds.sub
// CHECK:       %[[FIRST:.*]] = ds.compare  eq, %{{.*}}, %[[LAST]]
// CHECK:       ds.select %[[FIRST]]
// CHECK:       ds.rnn_vjp
func.func @reverse(%x: tensor<?x?x3xf32> {ds.name = "x", ds.shape = #ds.shape<["S", "N", "3"]>}, %r: tensor<1x3x3xf32> {ds.name = "r"},
                   %l: tensor<?xi32> {ds.name = "l", ds.shape = #ds.shape<["N"]>}, %h: tensor<1x?x3xf32> {ds.name = "h", ds.shape = #ds.shape<["1", "N", "3"]>})
    -> (tensor<f32> {ds.name = "loss"}) {
  %0:2 = ds.rnn %x, %r, %l, %h {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, direction = #ds.direction<reverse>, hidden = 3 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 1>} : (tensor<?x?x3xf32>, tensor<1x3x3xf32>, tensor<?xi32>, tensor<1x?x3xf32>) -> (tensor<?x1x?x3xf32>, tensor<1x?x3xf32>)
  %1 = ds.reduce_sum %0#1 {axes = array<i64: 0, 1, 2>} : (tensor<1x?x3xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}
