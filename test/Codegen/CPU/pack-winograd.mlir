// RUN: ds-opt %s --ds-pack | FileCheck %s
// RUN: ds-opt %s --ds-pack=winograd=false | FileCheck %s --check-prefix=PRECISE
// RUN: ds-opt %s --ds-pack --ds-fold-packing | FileCheck %s --check-prefix=FOLD

// Nothing here is computed by Winograd's algorithm if accuracy must not be traded for speed.
// PRECISE-NOT: winograd

// The filter is transformed when compiling.
// FOLD-NOT: ds.winograd_filter
// FOLD:     ds.conv_winograd

// Sizes that are not known, and large images: squares of 4 x 4 results.
// CHECK-LABEL: @large(
// CHECK:         %[[W:.*]] = ds.winograd_filter %{{.*}} {outputs = 4 : i64, tile = 32 : i64} : (tensor<70x64x3x3xf32>) -> tensor<3x36x64x32xf32>
// CHECK-NEXT:    %[[C:.*]] = ds.conv_winograd %{{.*}}, %[[W]] {channels = 70 : i64, outputs = 4 : i64, pads_high = array<i64: 0, 2>, pads_low = array<i64: 1, 0>} : (tensor<?x?x?x64xf32>, tensor<3x36x64x32xf32>) -> tensor<?x?x?x70xf32>
// CHECK-NEXT:    ds.add %[[C]]
func.func @large(%x: tensor<?x?x?x64xf32> {ds.shape = #ds.shape<["N", "H", "W", "64"]>}, %b: tensor<70xf32>)
    -> tensor<?x?x?x70xf32> {
  %w = ds.constant dense<0.5> : tensor<70x64x3x3xf32>
  %0 = ds.conv %x, %w, %b {strides = array<i64: 1, 1>, pads_low = array<i64: 1, 0>, pads_high = array<i64: 0, 2>,
      dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<?x?x?x64xf32>, tensor<70x64x3x3xf32>, tensor<70xf32>) -> tensor<?x?x?x70xf32>
  return %0 : tensor<?x?x?x70xf32>
}

// CHECK-LABEL: @small(
// CHECK:         ds.winograd_filter %{{.*}} {outputs = 2 : i64, tile = 32 : i64} : (tensor<64x64x3x3xf32>) -> tensor<2x16x64x32xf32>
func.func @small(%x: tensor<1x7x7x64xf32>) -> tensor<1x7x7x64xf32> {
  %w = ds.constant dense<0.5> : tensor<64x64x3x3xf32>
  %0 = ds.conv %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<1x7x7x64xf32>, tensor<64x64x3x3xf32>) -> tensor<1x7x7x64xf32>
  return %0 : tensor<1x7x7x64xf32>
}

// A stride, few channels, a filter that is no constant, and an image of one pixel.
// CHECK-LABEL: @direct(
// CHECK-NOT:     winograd
func.func @direct(%x: tensor<1x15x15x64xf32>, %few: tensor<1x15x15x63xf32>, %pixel: tensor<1x3x3x64xf32>,
                  %v: tensor<64x64x3x3xf32>)
    -> (tensor<1x7x7x64xf32>, tensor<1x13x13x64xf32>, tensor<1x13x13x64xf32>, tensor<1x1x1x64xf32>) {
  %w = ds.constant dense<0.5> : tensor<64x64x3x3xf32>
  %u = ds.constant dense<0.5> : tensor<64x63x3x3xf32>
  %0 = ds.conv %x, %w {strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<1x15x15x64xf32>, tensor<64x64x3x3xf32>) -> tensor<1x7x7x64xf32>
  %1 = ds.conv %few, %u {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<1x15x15x63xf32>, tensor<64x63x3x3xf32>) -> tensor<1x13x13x64xf32>
  %2 = ds.conv %x, %v {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<1x15x15x64xf32>, tensor<64x64x3x3xf32>) -> tensor<1x13x13x64xf32>
  %3 = ds.conv %pixel, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>,
      dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<1x3x3x64xf32>, tensor<64x64x3x3xf32>) -> tensor<1x1x1x64xf32>
  return %0, %1, %2, %3
      : tensor<1x7x7x64xf32>, tensor<1x13x13x64xf32>, tensor<1x13x13x64xf32>, tensor<1x1x1x64xf32>
}
