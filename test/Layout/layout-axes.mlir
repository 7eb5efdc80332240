// RUN: ds-opt %s --ds-layout | FileCheck %s

// Ops that name dims by their number, behind transpose(x, perm): outer dim i of the transpose is dim perm[i] of x. Where
// perm is 0, 3, 1, 2, axis 1 is axis 3 of x, axis 2 is axis 1, axis 3 is axis 2.

// CHECK-LABEL: @a_scale_for_each_channel_follows_it
// CHECK-NEXT:    ds.quantize_linear %arg0, %arg1 {axis = 3 : i64} {{.*}} -> tensor<1x4x6x2xi8>
// CHECK-NEXT:    ds.dequantize_linear %{{.*}}, %arg1 {axis = 3 : i64} {{.*}} -> tensor<1x4x6x2xf32>
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 3, 1, 2>}
func.func @a_scale_for_each_channel_follows_it(%x: tensor<1x4x6x2xf32>, %s: tensor<2xf32>) -> tensor<1x2x4x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x6x2xf32>) -> tensor<1x2x4x6xf32>
  %1 = ds.quantize_linear %0, %s {axis = 1 : i64} : (tensor<1x2x4x6xf32>, tensor<2xf32>) -> tensor<1x2x4x6xi8>
  %2 = ds.dequantize_linear %1, %s {axis = 1 : i64} : (tensor<1x2x4x6xi8>, tensor<2xf32>) -> tensor<1x2x4x6xf32>
  return %2 : tensor<1x2x4x6xf32>
}

// CHECK-LABEL: @a_scale_of_all_elements_has_no_axis
// CHECK-NEXT:    ds.quantize_linear %arg0, %arg1 : (tensor<1x4x6x2xf32>, tensor<f32>) -> tensor<1x4x6x2xi8>
// CHECK-NEXT:    ds.transpose
func.func @a_scale_of_all_elements_has_no_axis(%x: tensor<1x4x6x2xf32>, %s: tensor<f32>) -> tensor<1x2x4x6xi8> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x6x2xf32>) -> tensor<1x2x4x6xf32>
  %1 = ds.quantize_linear %0, %s : (tensor<1x2x4x6xf32>, tensor<f32>) -> tensor<1x2x4x6xi8>
  return %1 : tensor<1x2x4x6xi8>
}

// A scale for each block has dims of its own, which would have to be transposed as well.
// CHECK-LABEL: @scales_of_blocks_stop_a_transpose
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %arg0
// CHECK-NEXT:    ds.quantize_linear %[[T]], %arg1 {axis = 1 : i64, block_size = 2 : i64}
func.func @scales_of_blocks_stop_a_transpose(%x: tensor<2x6x4xf32>, %s: tensor<2x2x6xf32>) -> tensor<2x4x6xi8> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<2x6x4xf32>) -> tensor<2x4x6xf32>
  %1 = ds.quantize_linear %0, %s {axis = 1 : i64, block_size = 2 : i64} : (tensor<2x4x6xf32>, tensor<2x2x6xf32>) -> tensor<2x4x6xi8>
  return %1 : tensor<2x4x6xi8>
}

// CHECK-LABEL: @layer_norm_over_dims_that_did_not_move
// CHECK-NEXT:    ds.layer_norm %arg0, %arg1 {axis = 2 : i64
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 1, 0, 2>}
func.func @layer_norm_over_dims_that_did_not_move(%x: tensor<3x5x8xf32>, %s: tensor<8xf32>) -> tensor<5x3x8xf32> {
  %0 = ds.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<3x5x8xf32>) -> tensor<5x3x8xf32>
  %1 = ds.layer_norm %0, %s {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<5x3x8xf32>, tensor<8xf32>) -> tensor<5x3x8xf32>
  return %1 : tensor<5x3x8xf32>
}

// It normalizes the last dims, and these are others.
// CHECK-LABEL: @layer_norm_over_dims_that_moved_stops
// CHECK-NEXT:    ds.transpose
// CHECK-NEXT:    ds.layer_norm
func.func @layer_norm_over_dims_that_moved_stops(%x: tensor<3x8x5xf32>, %s: tensor<8xf32>) -> tensor<3x5x8xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<3x8x5xf32>) -> tensor<3x5x8xf32>
  %1 = ds.layer_norm %0, %s {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<3x5x8xf32>, tensor<8xf32>) -> tensor<3x5x8xf32>
  return %1 : tensor<3x5x8xf32>
}

// CHECK-LABEL: @batch_norm_of_channels_that_are_innermost
// CHECK-NEXT:    ds.batch_norm %arg0, {{.*}}layout = #ds.layout<nhwc>
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 3, 1, 2>}
func.func @batch_norm_of_channels_that_are_innermost(%x: tensor<1x4x6x2xf32>, %p: tensor<2xf32>) -> tensor<1x2x4x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x6x2xf32>) -> tensor<1x2x4x6xf32>
  %1 = ds.batch_norm %0, %p, %p, %p, %p {epsilon = 1.0e-5 : f64} : (tensor<1x2x4x6xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x6xf32>
  return %1 : tensor<1x2x4x6xf32>
}

// Neither dim 1 nor the last one of x.
// CHECK-LABEL: @batch_norm_of_channels_elsewhere_stops
// CHECK-NEXT:    ds.transpose
// CHECK-NEXT:    ds.batch_norm
// CHECK-NOT:     nhwc
// CHECK-LABEL: @batch_norm_of_last_channels_stops
// CHECK-NEXT:    ds.transpose
// CHECK-NEXT:    ds.batch_norm
func.func @batch_norm_of_channels_elsewhere_stops(%x: tensor<5x4x2x6xf32>, %p: tensor<2xf32>) -> tensor<5x2x4x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1, 3>} : (tensor<5x4x2x6xf32>) -> tensor<5x2x4x6xf32>
  %1 = ds.batch_norm %0, %p, %p, %p, %p {epsilon = 1.0e-5 : f64} : (tensor<5x2x4x6xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<5x2x4x6xf32>
  return %1 : tensor<5x2x4x6xf32>
}
func.func @batch_norm_of_last_channels_stops(%x: tensor<5x4x2x6xf32>, %p: tensor<2xf32>) -> tensor<5x6x4x2xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<5x4x2x6xf32>) -> tensor<5x6x4x2xf32>
  %1 = ds.batch_norm %0, %p, %p, %p, %p {epsilon = 1.0e-5 : f64, layout = #ds.layout<nhwc>} : (tensor<5x6x4x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<5x6x4x2xf32>
  return %1 : tensor<5x6x4x2xf32>
}

// The two dims of the indices stand where axis 2 of the outer, axis 1 of the inner dims was.
// CHECK-LABEL: @gather_puts_the_dims_of_indices_in_both_orders
// CHECK-NEXT:    ds.gather %arg0, %arg1 {axis = 1 : i64} {{.*}} -> tensor<1x3x5x6x2xf32>
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 4, 1, 2, 3>} {{.*}} -> tensor<1x2x3x5x6xf32>
func.func @gather_puts_the_dims_of_indices_in_both_orders(%x: tensor<1x4x6x2xf32>, %i: tensor<3x5xi64>) -> tensor<1x2x3x5x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x6x2xf32>) -> tensor<1x2x4x6xf32>
  %1 = ds.gather %0, %i {axis = 2 : i64} : (tensor<1x2x4x6xf32>, tensor<3x5xi64>) -> tensor<1x2x3x5x6xf32>
  return %1 : tensor<1x2x3x5x6xf32>
}

// CHECK-LABEL: @gather_of_one_slice_removes_a_dim
// CHECK-NEXT:    ds.gather %arg0, %arg1 {axis = 1 : i64} {{.*}} -> tensor<1x6x2xf32>
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 2, 1>} {{.*}} -> tensor<1x2x6xf32>
func.func @gather_of_one_slice_removes_a_dim(%x: tensor<1x4x6x2xf32>, %i: tensor<i64>) -> tensor<1x2x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x6x2xf32>) -> tensor<1x2x4x6xf32>
  %1 = ds.gather %0, %i {axis = 2 : i64} : (tensor<1x2x4x6xf32>, tensor<i64>) -> tensor<1x2x6xf32>
  return %1 : tensor<1x2x6xf32>
}

// Without axis 2, which was axis 1 of x, dims 0, 2, 1 of what is left come in this order.
// CHECK-LABEL: @reduction_removes_a_dim
// CHECK-NEXT:    ds.reduce_sum %arg0 {axes = array<i64: 1>} {{.*}} -> tensor<5x6x2xf32>
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 2, 1>} {{.*}} -> tensor<5x2x6xf32>
func.func @reduction_removes_a_dim(%x: tensor<5x4x6x2xf32>) -> tensor<5x2x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<5x4x6x2xf32>) -> tensor<5x2x4x6xf32>
  %1 = ds.reduce_sum %0 {axes = array<i64: 2>} : (tensor<5x2x4x6xf32>) -> tensor<5x2x6xf32>
  return %1 : tensor<5x2x6xf32>
}

// CHECK-LABEL: @both_results_of_top_k
// CHECK-NEXT:    %[[V:.*]], %[[I:.*]] = ds.top_k %arg0 {axis = 3 : i64, count = #ds.shape<["1"]>}
// CHECK-SAME:      -> (tensor<5x4x6x1xf32>, tensor<5x4x6x1xi64>)
// CHECK:         return
func.func @both_results_of_top_k(%x: tensor<5x4x6x2xf32>) -> (tensor<5x1x4x6xf32>, tensor<5x1x4x6xi64>) {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<5x4x6x2xf32>) -> tensor<5x2x4x6xf32>
  %1:2 = ds.top_k %0 {axis = 1, count = #ds.shape<["1"]>} : (tensor<5x2x4x6xf32>) -> (tensor<5x1x4x6xf32>, tensor<5x1x4x6xi64>)
  return %1#0, %1#1 : tensor<5x1x4x6xf32>, tensor<5x1x4x6xi64>
}

// CHECK-LABEL: @tile_repeats_the_same_dims
// CHECK-NEXT:    ds.tile %arg0 {repeat = #ds.shape<["1", "3", "1", "2"]>} {{.*}} -> tensor<1x12x6x4xf32>
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 3, 1, 2>}
func.func @tile_repeats_the_same_dims(%x: tensor<1x4x6x2xf32>) -> tensor<1x4x12x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x6x2xf32>) -> tensor<1x2x4x6xf32>
  %1 = ds.tile %0 {repeat = #ds.shape<["1", "2", "3", "1"]>} : (tensor<1x2x4x6xf32>) -> tensor<1x4x12x6xf32>
  return %1 : tensor<1x4x12x6xf32>
}

// The new dim comes first in both orders.
// CHECK-LABEL: @expand_adds_a_leading_dim
// CHECK-NEXT:    ds.expand %arg0 {target = #ds.shape<["5", "1", "4", "6", "2"]>} {{.*}} -> tensor<5x1x4x6x2xf32>
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 1, 4, 2, 3>}
func.func @expand_adds_a_leading_dim(%x: tensor<1x4x6x2xf32>) -> tensor<5x1x2x4x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x6x2xf32>) -> tensor<1x2x4x6xf32>
  %1 = ds.expand %0 {target = #ds.shape<["5", "1", "2", "4", "6"]>} : (tensor<1x2x4x6xf32>) -> tensor<5x1x2x4x6xf32>
  return %1 : tensor<5x1x2x4x6xf32>
}
