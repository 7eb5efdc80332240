// RUN: ds-opt %s --ds-pack | FileCheck %s

// CHECK-LABEL: @dense(
// CHECK-SAME:    %[[X:[^:]*]]: {{.*}}, %[[W:[^:]*]]: tensor<40x3x3x3xf32>, %[[B:[^:]*]]: tensor<40xf32>
// CHECK-NEXT:    %[[P:.*]] = ds.pack_filter %[[W]] {group = 1 : i64, tile = 32 : i64} : (tensor<40x3x3x3xf32>) -> tensor<1x2x27x32xf32>
// CHECK-NEXT:    %[[C:.*]] = ds.conv_gemm %[[X]], %[[P]]
// CHECK-SAME:      channels = 40 : i64, dilations = array<i64: 1, 1>, group = 1 : i64, kernel = array<i64: 3, 3>
// CHECK-SAME:      pads_high = array<i64: 0, 0>, pads_low = array<i64: 1, 1>, strides = array<i64: 2, 2>
// CHECK-NEXT:    ds.add %[[C]], %[[B]]
func.func @dense(%x: tensor<?x?x?x3xf32> {ds.shape = #ds.shape<["N", "H", "W", "3"]>}, %w: tensor<40x3x3x3xf32>,
                 %b: tensor<40xf32>) -> tensor<?x?x?x40xf32> {
  %0 = ds.conv %x, %w, %b {strides = array<i64: 2, 2>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<?x?x?x3xf32>, tensor<40x3x3x3xf32>, tensor<40xf32>) -> tensor<?x?x?x40xf32>
  return %0 : tensor<?x?x?x40xf32>
}

// CHECK-LABEL: @depthwise(
// CHECK:         %[[T:.*]] = ds.reshape %{{.*}} : (tensor<6x1x3x3xf32>) -> tensor<6x3x3xf32>
// CHECK-NEXT:    %[[F:.*]] = ds.transpose %[[T]] {perm = array<i64: 1, 2, 0>} : (tensor<6x3x3xf32>) -> tensor<3x3x6xf32>
// CHECK-NEXT:    ds.depthwise %{{.*}}, %[[F]]
func.func @depthwise(%x: tensor<1x8x8x6xf32>, %w: tensor<6x1x3x3xf32>) -> tensor<1x6x6x6xf32> {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, group = 6 : i64, layout = #ds.layout<nhwc>}
      : (tensor<1x8x8x6xf32>, tensor<6x1x3x3xf32>) -> tensor<1x6x6x6xf32>
  return %0 : tensor<1x6x6x6xf32>
}

// CHECK-LABEL: @groups_of_four(
// CHECK:         ds.pack_filter %{{.*}} {group = 2 : i64, tile = 32 : i64} : (tensor<8x4x1x1xf32>) -> tensor<2x1x4x32xf32>
// CHECK-NEXT:    ds.conv_gemm
func.func @groups_of_four(%x: tensor<1x8x8x8xf32>, %w: tensor<8x4x1x1xf32>) -> tensor<1x8x8x8xf32> {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, group = 2 : i64, layout = #ds.layout<nhwc>}
      : (tensor<1x8x8x8xf32>, tensor<8x4x1x1xf32>) -> tensor<1x8x8x8xf32>
  return %0 : tensor<1x8x8x8xf32>
}

// A channel multiplier of 2.
// CHECK-LABEL: @small_groups_stay(
// CHECK-NEXT:    ds.conv
// CHECK-NEXT:    return
func.func @small_groups_stay(%x: tensor<1x8x8x3xf32>, %w: tensor<6x1x1x1xf32>) -> tensor<1x8x8x6xf32> {
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, group = 3 : i64, layout = #ds.layout<nhwc>}
      : (tensor<1x8x8x3xf32>, tensor<6x1x1x1xf32>) -> tensor<1x8x8x6xf32>
  return %0 : tensor<1x8x8x6xf32>
}
