// RUN: ds-opt %s --ds-lower-conv-transpose --canonicalize | FileCheck %s

// Four taps with stride 2 are two convolutions of two taps, whose rows are interleaved.
// CHECK-LABEL: func.func @stride_2
// CHECK: %[[Y:.*]] = ds.conv %{{.*}} {{.*}}pads_high = array<i64: 1>, pads_low = array<i64: 1>, strides = array<i64: 1>} : (tensor<?x8x?xf32>, tensor<6x8x2xf32>) -> tensor<?x6x?xf32>
// CHECK: ds.reshape %[[Y]] {target = #ds.shape<["N", "1", "2", "3", "L+1"]>}
// CHECK: ds.transpose {{.*}} {perm = array<i64: 0, 1, 3, 4, 2>}
// CHECK: ds.slice {{.*}} {size = #ds.shape<["N", "3", "2*L"]>, start = #ds.shape<["0", "0", "1"]>
func.func @stride_2(%x: tensor<?x8x?xf32> {ds.shape = #ds.shape<["N", "8", "L"]>}, %w: tensor<8x3x4xf32>) -> tensor<?x3x?xf32> {
  %0 = ds.conv_transpose %x, %w {strides = array<i64: 2>, pads_low = array<i64: 1>, pads_high = array<i64: 1>, dilations = array<i64: 1>, output_padding = array<i64: 0>} : (tensor<?x8x?xf32>, tensor<8x3x4xf32>) -> tensor<?x3x?xf32>
  return %0 : tensor<?x3x?xf32>
}

// Windows that do not overlap, channels last: one tap, whose pixels are interleaved whole.
// CHECK-LABEL: func.func @channels_last
// CHECK: %[[Y:.*]] = ds.conv %{{.*}} {{.*}}layout = #ds.layout<nhwc>, {{.*}} : (tensor<1x?x?x6xf32>, tensor<20x6x1x1xf32>) -> tensor<1x?x?x20xf32>
// CHECK: ds.reshape %[[Y]] {target = #ds.shape<["1", "H", "W", "1", "2", "2", "5"]>}
// CHECK: ds.transpose {{.*}} {perm = array<i64: 0, 1, 4, 2, 5, 3, 6>}
// CHECK: ds.reshape {{.*}} {target = #ds.shape<["1", "2*H", "2*W", "5"]>}
// CHECK-NEXT: ds.add
func.func @channels_last(%x: tensor<1x?x?x6xf32> {ds.shape = #ds.shape<["1", "H", "W", "6"]>}, %w: tensor<6x5x2x2xf32>, %b: tensor<5xf32>) -> tensor<1x?x?x5xf32> {
  %0 = ds.conv_transpose %x, %w, %b {strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>, output_padding = array<i64: 0, 0>, layout = #ds.layout<nhwc>} : (tensor<1x?x?x6xf32>, tensor<6x5x2x2xf32>, tensor<5xf32>) -> tensor<1x?x?x5xf32>
  return %0 : tensor<1x?x?x5xf32>
}

// With strides of 1 nothing is interleaved or cut off: the convolution has the rows of the result, 2 - 1 zeros before its
// input and 3 - 1 - 0 + 0 behind it.
// CHECK-LABEL: func.func @stride_1
// CHECK-NOT: ds.transpose %{{.*}} {perm = array<i64: 0,
// CHECK: ds.conv %arg0, %{{.*}} {{.*}}pads_high = array<i64: 2>, pads_low = array<i64: 1>, strides = array<i64: 1>} : (tensor<?x8x?xf32>, tensor<4x8x3xf32>) -> tensor<?x4x?xf32>
// CHECK-NEXT: return
func.func @stride_1(%x: tensor<?x8x?xf32> {ds.shape = #ds.shape<["N", "8", "L"]>}, %w: tensor<8x4x3xf32>) -> tensor<?x4x?xf32> {
  %0 = ds.conv_transpose %x, %w {strides = array<i64: 1>, pads_low = array<i64: 1>, pads_high = array<i64: 0>, dilations = array<i64: 1>, output_padding = array<i64: 0>} : (tensor<?x8x?xf32>, tensor<8x4x3xf32>) -> tensor<?x4x?xf32>
  return %0 : tensor<?x4x?xf32>
}

// More is cut off than there are taps.
// CHECK-LABEL: func.func @cut_off
// CHECK: ds.conv
// CHECK: ds.slice {{.*}}start = #ds.shape<["0", "0", "3"]>
func.func @cut_off(%x: tensor<1x8x9xf32>, %w: tensor<8x4x3xf32>) -> tensor<1x4x8xf32> {
  %0 = ds.conv_transpose %x, %w {strides = array<i64: 1>, pads_low = array<i64: 3>, pads_high = array<i64: 0>, dilations = array<i64: 1>, output_padding = array<i64: 0>} : (tensor<1x8x9xf32>, tensor<8x4x3xf32>) -> tensor<1x4x8xf32>
  return %0 : tensor<1x4x8xf32>
}

// Dilated taps, and channels that no other output reads, stay.
// CHECK-LABEL: func.func @stays
// CHECK-COUNT-2: ds.conv_transpose
func.func @stays(%x: tensor<1x4x8xf32>, %w: tensor<4x3x3xf32>, %d: tensor<4x1x3xf32>) -> (tensor<1x3x12xf32>, tensor<1x4x10xf32>) {
  %0 = ds.conv_transpose %x, %w {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 2>, output_padding = array<i64: 0>} : (tensor<1x4x8xf32>, tensor<4x3x3xf32>) -> tensor<1x3x12xf32>
  %1 = ds.conv_transpose %x, %d {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>, output_padding = array<i64: 0>, group = 4 : i64} : (tensor<1x4x8xf32>, tensor<4x1x3xf32>) -> tensor<1x4x10xf32>
  return %0, %1 : tensor<1x3x12xf32>, tensor<1x4x10xf32>
}
