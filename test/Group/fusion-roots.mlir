// RUN: ds-opt %s --split-input-file --ds-group | FileCheck %s

// Which ops the kernel of a root takes in behind it.

// A derivative reads memory, even of a tensor that is one number everywhere: a kernel fills it.
// CHECK-LABEL: func.func @derivatives_of_constants
// CHECK:         %[[Y:.*]] = rt.launch @{{.*}}expand()
// CHECK:         rt.launch @{{.*}}max_pool_vjp(%arg0, %[[Y]])
// CHECK:         %[[Z:.*]] = rt.launch @{{.*}}expand()
// CHECK:         rt.launch @{{.*}}conv_filter_vjp(%arg0, %[[Z]])
func.func @derivatives_of_constants(%x: tensor<1x4x4x3xf32>) -> (tensor<1x4x4x3xf32>, tensor<2x3x3x3xf32>) {
  %y = ds.constant dense<1.0> : tensor<1x2x2x3xf32>
  %0 = ds.max_pool_vjp %x, %y {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>} : (tensor<1x4x4x3xf32>, tensor<1x2x2x3xf32>) -> tensor<1x4x4x3xf32>
  %z = ds.constant dense<2.0> : tensor<1x2x2x2xf32>
  %1 = ds.conv_filter_vjp %x, %z {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>} : (tensor<1x4x4x3xf32>, tensor<1x2x2x2xf32>) -> tensor<2x3x3x3xf32>
  return %0, %1 : tensor<1x4x4x3xf32>, tensor<2x3x3x3xf32>
}

// -----

// CHECK-LABEL: func.func @with_two_users
// CHECK-NEXT:    %[[S:.*]] = rt.launch @{{.*}}reduce_sum(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}(%[[S]])
// CHECK-NEXT:    return
func.func @with_two_users(%x: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %1 = ds.relu %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = ds.neg %0 : (tensor<4xf32>) -> tensor<4xf32>
  return %1, %2 : tensor<4xf32>, tensor<4xf32>
}

// -----

// What is not pointwise has another kernel, which begins where the root's ends.
// CHECK-LABEL: rt.kernel @{{.*}}reduce_sum
// CHECK-NEXT:    ds.reduce_sum
// CHECK-NEXT:    ds.relu
// CHECK-NEXT:    rt.yield
// CHECK-LABEL: func.func @what_moves_elements
// CHECK-NEXT:    %[[S:.*]] = rt.launch @{{.*}}reduce_sum(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}transpose(%[[S]])
func.func @what_moves_elements(%x: tensor<4x4x8xf32>) -> tensor<4x4xf32> {
  %0 = ds.reduce_sum %x {axes = array<i64: 2>} : (tensor<4x4x8xf32>) -> tensor<4x4xf32>
  %1 = ds.relu %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = ds.transpose %1 {perm = array<i64: 1, 0>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// CHECK-LABEL: func.func @what_is_larger
// CHECK-NEXT:    %[[S:.*]] = rt.launch @{{.*}}reduce_sum(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}add(%{{.*}})
func.func @what_is_larger(%x: tensor<4x8xf32>, %y: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %0 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %1 = ds.add %0, %y : (tensor<4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
  return %1 : tensor<5x4xf32>
}

// -----

// Of two roots that meet in a sum, the later one takes it.
// CHECK-LABEL: rt.kernel @{{.*}}reduce_sum(
// CHECK-NEXT:    ds.reduce_sum
// CHECK-NEXT:    rt.yield
// CHECK-LABEL: rt.kernel @{{.*}}reduce_max(
// CHECK-NEXT:    ds.reduce_max
// CHECK-NEXT:    ds.add
// CHECK-NEXT:    rt.yield
// CHECK-LABEL: func.func @two_roots
// CHECK-COUNT-2: rt.launch
// CHECK-NEXT:    return
func.func @two_roots(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4xf32> {
  %0 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %1 = ds.reduce_max %y {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %2 = ds.add %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %2 : tensor<4xf32>
}

// -----

// A declaration has no ops.
// CHECK:       func.func private @declared(tensor<4xf32>) -> tensor<4xf32>
// CHECK-LABEL: func.func @defined
// CHECK:         rt.launch
func.func private @declared(tensor<4xf32>) -> tensor<4xf32>
func.func @defined(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = ds.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
