// RUN: ds-opt %s --ds-layout | FileCheck %s

// CHECK-LABEL: @conv_and_pool_share_one_entry_and_one_exit(
// CHECK-SAME:    %[[X:.*]]: tensor<1x3x8x8xf32>, %[[W:.*]]: tensor<4x3x3x3xf32>
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %[[X]] {perm = array<i64: 0, 2, 3, 1>}
// CHECK-NEXT:    %[[C:.*]] = ds.conv %[[T]], %[[W]] {{.*}}layout = #ds.layout<nhwc>{{.*}} -> tensor<1x6x6x4xf32>
// CHECK-NEXT:    %[[P:.*]] = ds.max_pool %[[C]] {{.*}}layout = #ds.layout<nhwc>{{.*}} -> tensor<1x3x3x4xf32>
// CHECK-NEXT:    %[[R:.*]] = ds.transpose %[[P]] {perm = array<i64: 0, 3, 1, 2>}
// CHECK-NEXT:    return %[[R]]
func.func @conv_and_pool_share_one_entry_and_one_exit(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>)
    -> tensor<1x4x3x3xf32> {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x6x6xf32>
  %1 = ds.max_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>,
      pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x6x6xf32>) -> tensor<1x4x3x3xf32>
  return %1 : tensor<1x4x3x3xf32>
}

// CHECK-LABEL: @one_spatial_dim_gets_a_height(
// CHECK-SAME:    %[[X:.*]]: tensor<?x3x?xf32> {{.*}}, %[[W:.*]]: tensor<4x3x5xf32>
// CHECK-DAG:     %[[XH:.*]] = ds.reshape %[[X]] {target = #ds.shape<["N", "3", "1", "L"]>}
// CHECK-DAG:     %[[WH:.*]] = ds.reshape %[[W]] {target = #ds.shape<["4", "3", "1", "5"]>}
// CHECK:         %[[T:.*]] = ds.transpose %[[XH]] {perm = array<i64: 0, 2, 3, 1>}
// CHECK:         %[[C:.*]] = ds.conv %[[T]], %[[WH]]
// CHECK-SAME:      dilations = array<i64: 1, 1>
// CHECK-SAME:      pads_high = array<i64: 0, 2>, pads_low = array<i64: 0, 2>, strides = array<i64: 1, 2>
// CHECK:         %[[F:.*]] = ds.reshape %[[C]]
// CHECK:         %[[R:.*]] = ds.transpose %[[F]] {perm = array<i64: 0, 2, 1>}
// CHECK:         return %[[R]]
func.func @one_spatial_dim_gets_a_height(%x: tensor<?x3x?xf32> {ds.shape = #ds.shape<["N", "3", "L"]>},
                                         %w: tensor<4x3x5xf32>) -> tensor<?x4x?xf32> {
  %0 = ds.conv %x, %w {strides = array<i64: 2>, pads_low = array<i64: 2>, pads_high = array<i64: 2>,
      dilations = array<i64: 1>} : (tensor<?x3x?xf32>, tensor<4x3x5xf32>) -> tensor<?x4x?xf32>
  return %0 : tensor<?x4x?xf32>
}

// One channel: the entry moves dims of 1 only.
// CHECK-LABEL: @transposes_of_unit_dims_are_reshapes
// CHECK-NEXT:    ds.reshape %{{.*}} {target = #ds.shape<["1", "8", "8", "1"]>}
// CHECK-NEXT:    ds.conv
// CHECK-NEXT:    ds.reshape %{{.*}} {target = #ds.shape<["1", "1", "8", "8"]>}
func.func @transposes_of_unit_dims_are_reshapes(%x: tensor<1x1x8x8xf32>, %w: tensor<1x1x1x1xf32>) -> tensor<1x1x8x8xf32> {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>} : (tensor<1x1x8x8xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x8x8xf32>
  return %0 : tensor<1x1x8x8xf32>
}

// A pool without convolutions around gains less than its transposes cost.
// CHECK-LABEL: @a_pool_alone_stays
// CHECK-NOT:     ds.transpose
// CHECK-LABEL: @three_spatial_dims_stay
// CHECK-NOT:     ds.transpose
// CHECK-LABEL: @a_pool_with_indices_stays
// CHECK:         ds.transpose
// CHECK:         ds.transpose
// CHECK-NEXT:    ds.max_pool %{{.*}} -> (tensor<1x4x3x3xf32>, tensor<1x4x3x3xi64>)
func.func @a_pool_alone_stays(%x: tensor<1x4x6x6xf32>) -> tensor<1x4x3x3xf32> {
  %0 = ds.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>,
      pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x6x6xf32>) -> tensor<1x4x3x3xf32>
  return %0 : tensor<1x4x3x3xf32>
}
func.func @three_spatial_dims_stay(%x: tensor<1x3x8x8x8xf32>, %w: tensor<4x3x1x1x1xf32>) -> tensor<1x4x8x8x8xf32> {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1, 1>, pads_low = array<i64: 0, 0, 0>, pads_high = array<i64: 0, 0, 0>,
      dilations = array<i64: 1, 1, 1>} : (tensor<1x3x8x8x8xf32>, tensor<4x3x1x1x1xf32>) -> tensor<1x4x8x8x8xf32>
  return %0 : tensor<1x4x8x8x8xf32>
}
func.func @a_pool_with_indices_stays(%x: tensor<1x3x6x6xf32>, %w: tensor<4x3x1x1xf32>)
    -> (tensor<1x4x3x3xf32>, tensor<1x4x3x3xi64>) {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>} : (tensor<1x3x6x6xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x6x6xf32>
  %1:2 = ds.max_pool %0 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>,
      pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>}
      : (tensor<1x4x6x6xf32>) -> (tensor<1x4x3x3xf32>, tensor<1x4x3x3xi64>)
  return %1#0, %1#1 : tensor<1x4x3x3xf32>, tensor<1x4x3x3xi64>
}
