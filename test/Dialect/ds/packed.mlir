// Contractions on packed operands parse, print and parse again.
// RUN: ds-opt %s | ds-opt | FileCheck %s

// CHECK-LABEL: @matmul
func.func @matmul(%a: tensor<?x8xf32>, %w: tensor<8x40xf32>) {
  // CHECK: ds.pack %{{.*}} {tile = 32 : i64} : (tensor<8x40xf32>) -> tensor<2x8x32xf32>
  %0 = ds.pack %w {tile = 32 : i64} : (tensor<8x40xf32>) -> tensor<2x8x32xf32>
  // CHECK: ds.gemm %{{.*}}, %{{.*}} {columns = #ds.shape<["40"]>} : (tensor<?x8xf32>, tensor<2x8x32xf32>) -> tensor<?x40xf32>
  %1 = ds.gemm %a, %0 {columns = #ds.shape<["40"]>} : (tensor<?x8xf32>, tensor<2x8x32xf32>) -> tensor<?x40xf32>
  return
}

// CHECK-LABEL: @conv
func.func @conv(%x: tensor<1x?x9x4xf32>, %w: tensor<6x4x3x3xf32>, %d: tensor<3x3x4xf32>) {
  // CHECK: ds.pack_filter %{{.*}} {group = 1 : i64, tile = 32 : i64} : (tensor<6x4x3x3xf32>) -> tensor<1x1x36x32xf32>
  %0 = ds.pack_filter %w {group = 1 : i64, tile = 32 : i64} : (tensor<6x4x3x3xf32>) -> tensor<1x1x36x32xf32>
  // CHECK: ds.conv_gemm {{.*}} -> tensor<1x?x5x6xf32>
  %1 = ds.conv_gemm %x, %0 {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 1, 1>, dilations = array<i64: 1, 1>, group = 1 : i64, channels = 6 : i64} : (tensor<1x?x9x4xf32>, tensor<1x1x36x32xf32>) -> tensor<1x?x5x6xf32>
  // CHECK: ds.depthwise {{.*}} -> tensor<1x?x9x4xf32>
  %2 = ds.depthwise %x, %d {strides = array<i64: 1, 1>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x?x9x4xf32>, tensor<3x3x4xf32>) -> tensor<1x?x9x4xf32>
  return
}

// CHECK-LABEL: @winograd
func.func @winograd(%x: tensor<1x?x9x4xf32>, %w: tensor<6x4x3x3xf32>) {
  // CHECK: ds.winograd_filter %{{.*}} {outputs = 2 : i64, tile = 32 : i64} : (tensor<6x4x3x3xf32>) -> tensor<1x16x4x32xf32>
  %0 = ds.winograd_filter %w {outputs = 2 : i64, tile = 32 : i64} : (tensor<6x4x3x3xf32>) -> tensor<1x16x4x32xf32>
  // CHECK: ds.conv_winograd {{.*}} -> tensor<1x?x9x6xf32>
  %1 = ds.conv_winograd %x, %0 {pads_low = array<i64: 1, 1>, pads_high = array<i64: 1, 1>, outputs = 2 : i64, channels = 6 : i64} : (tensor<1x?x9x4xf32>, tensor<1x16x4x32xf32>) -> tensor<1x?x9x6xf32>
  return
}
