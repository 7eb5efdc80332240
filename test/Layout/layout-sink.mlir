// RUN: ds-opt %s --ds-layout | FileCheck %s

// Each function starts with a transpose from nhwc and says which order the op after it works in.

// CHECK-LABEL: @elementwise_takes_constants_along
// CHECK-DAG:     %[[B:.*]] = ds.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
// CHECK-DAG:     %[[S:.*]] = ds.constant dense<3.000000e+00> : tensor<f32>
// CHECK:         ds.add %{{.*}}, %[[B]] : (tensor<1x4x4x2xf32>, tensor<2xf32>) -> tensor<1x4x4x2xf32>
// CHECK-NEXT:    ds.mul %{{.*}}, %[[S]] : (tensor<1x4x4x2xf32>, tensor<f32>)
// CHECK-NEXT:    ds.transpose {{.*}}perm = array<i64: 0, 3, 1, 2>
func.func @elementwise_takes_constants_along(%x: tensor<1x4x4x2xf32>) -> tensor<1x2x4x4xf32> {
  %b = ds.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
  %s = ds.constant dense<3.0> : tensor<f32>
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x4x4xf32>
  %1 = ds.add %0, %b : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %2 = ds.mul %1, %s : (tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  return %2 : tensor<1x2x4x4xf32>
}

// Squeeze and excite: what has one pixel costs nothing.
// CHECK-LABEL: @a_gate_of_one_pixel_follows
// CHECK:         ds.reduce_mean %{{.*}} {axes = array<i64: 1, 2>, keepdims}
// CHECK-NEXT:    ds.sigmoid {{.*}} -> tensor<1x1x1x2xf32>
// CHECK-NEXT:    ds.mul {{.*}} (tensor<1x4x4x2xf32>, tensor<1x1x1x2xf32>) -> tensor<1x4x4x2xf32>
// CHECK-NEXT:    %[[M:.*]] = ds.reduce_mean %{{.*}} {axes = array<i64: 1, 2>}
// CHECK-SAME:      -> tensor<1x2xf32>
// CHECK-NEXT:    return %[[M]]
func.func @a_gate_of_one_pixel_follows(%x: tensor<1x4x4x2xf32>) -> tensor<1x2xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x4x4xf32>
  %1 = ds.reduce_mean %0 {axes = array<i64: 2, 3>, keepdims} : (tensor<1x2x4x4xf32>) -> tensor<1x2x1x1xf32>
  %2 = ds.sigmoid %1 : (tensor<1x2x1x1xf32>) -> tensor<1x2x1x1xf32>
  %3 = ds.mul %0, %2 : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %4 = ds.reduce_mean %3 {axes = array<i64: 2, 3>} : (tensor<1x2x4x4xf32>) -> tensor<1x2xf32>
  return %4 : tensor<1x2xf32>
}

// CHECK-LABEL: @movement_permutes_its_attributes
// CHECK:         ds.pad {{.*}}high = #ds.shape<["0", "2", "3", "0"]>, low = #ds.shape<["0", "0", "1", "0"]>
// CHECK:         ds.slice {{.*}}size = #ds.shape<["1", "6", "4", "2"]>, start = #ds.shape<["0", "0", "1", "0"]>, step = array<i64: 1, 1, 2, 1>
// CHECK:         ds.resize {{.*}}scales = array<f64: 1.000000e+00, 2.000000e+00, 3.000000e+00, 1.000000e+00>, size = #ds.shape<["1", "12", "12", "2"]>
// CHECK:         ds.concat {{.*}}axis = 3
// CHECK:         ds.softmax {{.*}}axis = 3
// CHECK:         ds.arg_max {{.*}}axis = 3
// CHECK-NOT:     ds.transpose
func.func @movement_permutes_its_attributes(%x: tensor<1x4x4x2xf32>) -> tensor<1x12x12xi64> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x4x4xf32>
  %1 = ds.pad %0 {low = #ds.shape<["0", "0", "0", "1"]>, high = #ds.shape<["0", "0", "2", "3"]>} : (tensor<1x2x4x4xf32>) -> tensor<1x2x6x8xf32>
  %2 = ds.slice %1 {start = #ds.shape<["0", "0", "0", "1"]>, size = #ds.shape<["1", "2", "6", "4"]>, step = array<i64: 1, 1, 1, 2>} : (tensor<1x2x6x8xf32>) -> tensor<1x2x6x4xf32>
  %3 = ds.resize %2 {size = #ds.shape<["1", "2", "12", "12"]>, scales = array<f64: 1.0, 1.0, 2.0, 3.0>} : (tensor<1x2x6x4xf32>) -> tensor<1x2x12x12xf32>
  %4 = ds.concat %3, %3 {axis = 1 : i64} : (tensor<1x2x12x12xf32>, tensor<1x2x12x12xf32>) -> tensor<1x4x12x12xf32>
  %5 = ds.softmax %4 {axis = 1 : i64} : (tensor<1x4x12x12xf32>) -> tensor<1x4x12x12xf32>
  %6 = ds.arg_max %5 {axis = 1 : i64} : (tensor<1x4x12x12xf32>) -> tensor<1x12x12xi64>
  return %6 : tensor<1x12x12xi64>
}

// The other operand would need a transpose of its own.
// CHECK-LABEL: @a_second_operand_in_the_other_order_stops
// CHECK:         ds.transpose %{{.*}} {perm = array<i64: 0, 3, 1, 2>}
// CHECK-NEXT:    ds.add
func.func @a_second_operand_in_the_other_order_stops(%x: tensor<1x4x4x2xf32>, %y: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x4x4xf32>
  %1 = ds.add %0, %y : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %1 : tensor<1x2x4x4xf32>
}

// CHECK-LABEL: @hoisting_removes_a_pair
// CHECK-SAME:    %[[X:[^:]*]]: tensor<1x4x4x2xf32>, %[[Y:[^:]*]]: tensor<1x2x4x4xf32>
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %[[Y]] {perm = array<i64: 0, 2, 3, 1>}
// CHECK-NEXT:    %[[A:.*]] = ds.add %[[X]], %[[T]]
// CHECK-NEXT:    %[[R:.*]] = ds.relu %[[A]]
// CHECK-NEXT:    return %[[R]]
func.func @hoisting_removes_a_pair(%x: tensor<1x4x4x2xf32>, %y: tensor<1x2x4x4xf32>) -> tensor<1x4x4x2xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x2xf32>) -> tensor<1x2x4x4xf32>
  %1 = ds.add %0, %y : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %2 = ds.relu %1 : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %3 = ds.transpose %2 {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x2x4x4xf32>) -> tensor<1x4x4x2xf32>
  return %3 : tensor<1x4x4x2xf32>
}
