// RUN: ds-opt %s --ds-layout | FileCheck %s

// Transposes that are there already serve all that want them; what everybody wants in another order is made in it.

// CHECK-LABEL: @convolutions_of_one_tensor_share_its_transpose
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %arg0 {perm = array<i64: 0, 2, 3, 1>}
// CHECK-NEXT:    ds.conv %[[T]]
// CHECK-NEXT:    ds.conv %[[T]]
// CHECK-NEXT:    ds.add
// CHECK-NEXT:    ds.transpose
// CHECK-NEXT:    return
func.func @convolutions_of_one_tensor_share_its_transpose(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32> {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32>
  %1 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32>
  %2 = ds.add %0, %1 : (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  return %2 : tensor<1x4x8x8xf32>
}

// CHECK-LABEL: @a_transpose_further_down_moves_up
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %arg0 {perm = array<i64: 0, 2, 3, 1>}
// CHECK-NEXT:    ds.conv %[[T]]
// CHECK-NOT:     ds.transpose %arg0
// CHECK:         return %{{.*}}, %[[T]]
func.func @a_transpose_further_down_moves_up(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x1x1xf32>) -> (tensor<1x4x8x8xf32>, tensor<1x8x8x3xf32>) {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32>
  %1 = ds.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x3x8x8xf32>) -> tensor<1x8x8x3xf32>
  return %0, %1 : tensor<1x4x8x8xf32>, tensor<1x8x8x3xf32>
}

// CHECK-LABEL: @an_order_that_all_users_want
// CHECK-NEXT:    %[[Y:.*]] = ds.transpose %arg1
// CHECK-NEXT:    %[[A:.*]] = ds.add %arg0, %[[Y]]
// CHECK-NOT:     ds.transpose
// CHECK:         return
func.func @an_order_that_all_users_want(%x: tensor<4x2xf32>, %y: tensor<2x4xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>) {
  %0 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<4x2xf32>) -> tensor<2x4xf32>
  %1 = ds.add %0, %y : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %2 = ds.transpose %1 {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %3 = ds.transpose %1 {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  return %2, %3 : tensor<4x2xf32>, tensor<4x2xf32>
}

// The sum itself is returned as well: in another order it would be computed twice.
// CHECK-LABEL: @an_order_that_one_user_does_not_want
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %arg0
// CHECK-NEXT:    %[[A:.*]] = ds.add %[[T]], %arg1
// CHECK-NEXT:    %[[R:.*]] = ds.transpose %[[A]]
// CHECK-NEXT:    return %[[R]], %[[A]]
func.func @an_order_that_one_user_does_not_want(%x: tensor<4x2xf32>, %y: tensor<2x4xf32>) -> (tensor<4x2xf32>, tensor<2x4xf32>) {
  %0 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<4x2xf32>) -> tensor<2x4xf32>
  %1 = ds.add %0, %y : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %2 = ds.transpose %1 {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  return %2, %1 : tensor<4x2xf32>, tensor<2x4xf32>
}
