// RUN: ds-opt %s --split-input-file --ds-differentiate='of=loss wrt=x' | FileCheck %s

// The derivative by data has the rows of the data: what a whole transposed convolution had beyond them is not computed, and
// what no window reached is zero.

// CHECK-LABEL: func.func @same_size
// CHECK:         ds.conv_transpose {{.*}}pads_high = array<i64: 1>, pads_low = array<i64: 1>, {{.*}} : (tensor<?x4x?xf32>, tensor<4x3x3xf32>) -> tensor<?x3x?xf32>
// CHECK-NOT:     ds.pad
// CHECK-NOT:     ds.slice
// CHECK:         return
func.func @same_size(%x: tensor<?x3x?xf32> {ds.name = "x", ds.shape = #ds.shape<["N", "3", "L"]>}, %w: tensor<4x3x3xf32>) -> (tensor<f32> {ds.name = "loss"}) {
  %0 = ds.conv %x, %w {strides = array<i64: 1>, pads_low = array<i64: 1>, pads_high = array<i64: 1>, dilations = array<i64: 1>} : (tensor<?x3x?xf32>, tensor<4x3x3xf32>) -> tensor<?x4x?xf32>
  %1 = ds.mul %0, %0 : (tensor<?x4x?xf32>, tensor<?x4x?xf32>) -> tensor<?x4x?xf32>
  %2 = ds.reduce_sum %1 {axes = array<i64: 0, 1, 2>} : (tensor<?x4x?xf32>) -> tensor<f32>
  return %2 : tensor<f32>
}

// -----

// Two rows at the end are in no window.
// CHECK-LABEL: func.func @rows_left
// CHECK:         %[[D:.*]] = ds.conv_transpose {{.*}} -> tensor<1x3x6xf32>
// CHECK:         ds.pad %[[D]]
// CHECK-SAME:      -> tensor<1x3x8xf32>
func.func @rows_left(%x: tensor<1x3x8xf32> {ds.name = "x"}, %w: tensor<4x3x3xf32>) -> (tensor<f32> {ds.name = "loss"}) {
  %0 = ds.conv %x, %w {strides = array<i64: 3>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x3x8xf32>, tensor<4x3x3xf32>) -> tensor<1x4x2xf32>
  %1 = ds.mul %0, %0 : (tensor<1x4x2xf32>, tensor<1x4x2xf32>) -> tensor<1x4x2xf32>
  %2 = ds.reduce_sum %1 {axes = array<i64: 0, 1, 2>} : (tensor<1x4x2xf32>) -> tensor<f32>
  return %2 : tensor<f32>
}
