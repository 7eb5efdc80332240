// RUN: ds-opt %s --ds-pack | FileCheck %s

// Height (4 - 1) * 2 - 1 - 0 + 2 + 1 + 1 = 9 from 8 stuffed rows, one above (2 - 1) and 2 - 0 + 1 - 1 = 2 below.
// CHECK-LABEL: @overlapping_windows_convolve_zeros(
// CHECK-NEXT:    ds.reshape %{{.*}} {target = #ds.shape<["1", "4", "1", "4", "1", "6"]>}
// CHECK-NEXT:    ds.pad %{{.*}} {high = #ds.shape<["0", "0", "1", "0", "1", "0"]>
// CHECK-NEXT:    ds.reshape %{{.*}} {target = #ds.shape<["1", "8", "8", "6"]>}
// CHECK-NEXT:    ds.slice %{{.*}} {{.*}}start = #ds.shape<["0", "0", "2", "2"]>, step = array<i64: 1, 1, -1, -1>
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 1, 0, 2, 3>}
// CHECK-NEXT:    ds.pack_filter
// CHECK-NEXT:    ds.conv_gemm {{.*}}pads_high = array<i64: 2, 2>, pads_low = array<i64: 1, 1>, strides = array<i64: 1, 1>}
// CHECK-SAME:      -> tensor<1x9x9x5xf32>
func.func @overlapping_windows_convolve_zeros(%x: tensor<1x4x4x6xf32>, %w: tensor<6x5x3x3xf32>) -> tensor<1x9x9x5xf32> {
  %0 = ds.conv_transpose %x, %w {strides = array<i64: 2, 2>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, output_padding = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<1x4x4x6xf32>, tensor<6x5x3x3xf32>) -> tensor<1x9x9x5xf32>
  return %0 : tensor<1x9x9x5xf32>
}
