// RUN: ds-opt %s --ds-layout | FileCheck %s

// Which order an op with several operands works in, and which transposes are made for it.

// Beside two operands in one order the third one is transposed.
// CHECK-LABEL: @the_order_of_most_operands
// CHECK-NEXT:    %[[Z:.*]] = ds.transpose %arg2 {perm = array<i64: 1, 2, 0>}
// CHECK-NEXT:    ds.concat %arg0, %arg1, %[[Z]] {axis = 2 : i64}
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 2, 1, 0>}
func.func @the_order_of_most_operands(%x: tensor<3x4x2xf32>, %y: tensor<3x4x2xf32>, %z: tensor<2x3x4xf32>) -> tensor<6x4x3xf32> {
  %0 = ds.transpose %x {perm = array<i64: 2, 1, 0>} : (tensor<3x4x2xf32>) -> tensor<2x4x3xf32>
  %1 = ds.transpose %y {perm = array<i64: 2, 1, 0>} : (tensor<3x4x2xf32>) -> tensor<2x4x3xf32>
  %2 = ds.transpose %z {perm = array<i64: 0, 2, 1>} : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %3 = ds.concat %0, %1, %2 {axis = 0 : i64} : (tensor<2x4x3xf32>, tensor<2x4x3xf32>, tensor<2x4x3xf32>) -> tensor<6x4x3xf32>
  return %3 : tensor<6x4x3xf32>
}

// Also where they come last.
// CHECK-LABEL: @the_order_of_the_last_operands
// CHECK-NEXT:    %[[Z:.*]] = ds.transpose %arg2 {perm = array<i64: 1, 2, 0>}
// CHECK-NEXT:    ds.concat %[[Z]], %arg0, %arg1 {axis = 2 : i64}
func.func @the_order_of_the_last_operands(%x: tensor<3x4x2xf32>, %y: tensor<3x4x2xf32>, %z: tensor<2x3x4xf32>) -> tensor<6x4x3xf32> {
  %0 = ds.transpose %x {perm = array<i64: 2, 1, 0>} : (tensor<3x4x2xf32>) -> tensor<2x4x3xf32>
  %1 = ds.transpose %y {perm = array<i64: 2, 1, 0>} : (tensor<3x4x2xf32>) -> tensor<2x4x3xf32>
  %2 = ds.transpose %z {perm = array<i64: 0, 2, 1>} : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %3 = ds.concat %2, %0, %1 {axis = 0 : i64} : (tensor<2x4x3xf32>, tensor<2x4x3xf32>, tensor<2x4x3xf32>) -> tensor<6x4x3xf32>
  return %3 : tensor<6x4x3xf32>
}

// To sink it would take a transpose of %arg1, and one behind each of the two users of the sum.
// CHECK-LABEL: @no_order_that_takes_more_transposes
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %arg0
// CHECK-NEXT:    %[[A:.*]] = ds.add %[[T]], %arg1
// CHECK-NEXT:    ds.relu %[[A]]
// CHECK-NEXT:    ds.exp %[[A]]
// CHECK-NEXT:    return
func.func @no_order_that_takes_more_transposes(%x: tensor<4x2xf32>, %y: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %0 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<4x2xf32>) -> tensor<2x4xf32>
  %1 = ds.add %0, %y : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %2 = ds.relu %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = ds.exp %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %2, %3 : tensor<2x4xf32>, tensor<2x4xf32>
}

// A constant is transposed now, whatever its dims; its leading dims of 1 are not needed.
// CHECK-LABEL: @constants_cost_nothing
// CHECK:         %[[C:.*]] = ds.constant dense<{{\[\[}}1.000000e+00, 3.000000e+00], [2.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
// CHECK-NEXT:    ds.add %arg0, %[[C]]
// CHECK:         %[[D:.*]] = ds.constant dense<{{\[\[\[}}5.000000e+00, 7.000000e+00], [6.000000e+00, 8.000000e+00]]]> : tensor<1x2x2xf32>
// CHECK-NEXT:    ds.concat %{{.*}}, %[[D]] {axis = 0 : i64}
// CHECK-NEXT:    ds.transpose
func.func @constants_cost_nothing(%x: tensor<3x2x2xf32>) -> tensor<4x2x2xf32> {
  %c = ds.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %d = ds.constant dense<[[[5.0, 6.0], [7.0, 8.0]]]> : tensor<1x2x2xf32>
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<3x2x2xf32>) -> tensor<3x2x2xf32>
  %1 = ds.add %0, %c : (tensor<3x2x2xf32>, tensor<2x2xf32>) -> tensor<3x2x2xf32>
  %2 = ds.concat %1, %d {axis = 0 : i64} : (tensor<3x2x2xf32>, tensor<1x2x2xf32>) -> tensor<4x2x2xf32>
  return %2 : tensor<4x2x2xf32>
}

// Nothing else gives the sum its rank.
// CHECK-LABEL: @a_constant_keeps_the_rank_of_the_result
// CHECK:         ds.add {{.*}} -> tensor<1x1x3x1xf32>
// CHECK-NEXT:    %[[R:.*]] = ds.reshape %{{.*}} -> tensor<1x1x1x3xf32>
// CHECK-NEXT:    return %[[R]]
func.func @a_constant_keeps_the_rank_of_the_result(%x: tensor<1x1xf32>) -> tensor<1x1x1x3xf32> {
  %c = ds.constant dense<[[[[1.0, 2.0, 3.0]]]]> : tensor<1x1x1x3xf32>
  %0 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<1x1xf32>) -> tensor<1x1xf32>
  %1 = ds.add %0, %c : (tensor<1x1xf32>, tensor<1x1x1x3xf32>) -> tensor<1x1x1x3xf32>
  return %1 : tensor<1x1x1x3xf32>
}

// One dim other than 1 is in any order by a reshape.
// CHECK-LABEL: @a_vector_follows_by_a_reshape
// CHECK-NEXT:    %[[V:.*]] = ds.reshape %arg1 {target = #ds.shape<["1", "6", "1"]>}
// CHECK-NEXT:    ds.add %arg0, %[[V]]
// CHECK-NEXT:    ds.transpose
func.func @a_vector_follows_by_a_reshape(%x: tensor<2x6x4xf32>, %v: tensor<6xf32>) -> tensor<2x4x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<2x6x4xf32>) -> tensor<2x4x6xf32>
  %1 = ds.add %0, %v : (tensor<2x4x6xf32>, tensor<6xf32>) -> tensor<2x4x6xf32>
  return %1 : tensor<2x4x6xf32>
}

// CHECK-LABEL: @an_operand_of_lower_rank_in_the_same_order
// CHECK-NEXT:    %[[Y:.*]] = ds.reshape %arg1 {target = #ds.shape<["1", "6", "4"]>}
// CHECK-NEXT:    ds.add %arg0, %[[Y]]
// CHECK-NEXT:    ds.transpose
func.func @an_operand_of_lower_rank_in_the_same_order(%x: tensor<2x6x4xf32>, %y: tensor<6x4xf32>) -> tensor<2x4x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<2x6x4xf32>) -> tensor<2x4x6xf32>
  %1 = ds.transpose %y {perm = array<i64: 1, 0>} : (tensor<6x4xf32>) -> tensor<4x6xf32>
  %2 = ds.add %0, %1 : (tensor<2x4x6xf32>, tensor<4x6xf32>) -> tensor<2x4x6xf32>
  return %2 : tensor<2x4x6xf32>
}
