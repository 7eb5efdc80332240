// RUN: ds-opt %s --split-input-file --ds-plan-transforms | FileCheck %s

// CHECK-LABEL: @roots
// CHECK-NEXT:    %[[TABLE:.*]] = ds.constant dense<[1.000000e+00, 0.000000e+00, -1.000000e+00, 0.000000e+00, 0.000000e+00, 1.000000e+00, 0.000000e+00, -1.000000e+00]> : tensor<8xf32>
// CHECK-NEXT:    ds.dft %arg0, %[[TABLE]]
func.func @roots(%x: tensor<2x4x2xf32>) -> tensor<2x4x2xf32> {
  %0 = ds.dft %x {axis = 1 : i64} : (tensor<2x4x2xf32>) -> tensor<2x4x2xf32>
  return %0 : tensor<2x4x2xf32>
}

// -----

// A prime without a butterfly: roots of order 134, those of 160 >= 2 * 67 - 1 (5 * 2^5), 67 of the chirp, 160 of its
// transform, each two numbers.
// CHECK-LABEL: @convolution
// CHECK:         ds.constant {{.*}} : tensor<1042xf64>
func.func @convolution(%x: tensor<2x67x1xf64>) -> tensor<2x34x2xf64> {
  %0 = ds.dft %x {axis = 1 : i64, onesided} : (tensor<2x67x1xf64>) -> tensor<2x34x2xf64>
  return %0 : tensor<2x34x2xf64>
}

// -----

// Other lengths: a table each, both of a convolution (67 is too great a prime). The transform of unknown length has none.
// CHECK-LABEL: @differ
// CHECK:         ds.constant {{.*}} : tensor<2084xf32>
// CHECK:         ds.constant {{.*}} : tensor<1042xf32>
// CHECK:         ds.dft %arg2 {axis
func.func @differ(%x: tensor<2x134x2xf32>, %y: tensor<2x67x2xf32>, %z: tensor<2x?x2xf32> {ds.shape = #ds.shape<["2", "N", "2"]>}) -> (tensor<2x134x2xf32>, tensor<2x67x2xf32>, tensor<2x?x2xf32>) {
  %0 = ds.dft %x {axis = 1 : i64} : (tensor<2x134x2xf32>) -> tensor<2x134x2xf32>
  %1 = ds.dft %y {axis = 1 : i64} : (tensor<2x67x2xf32>) -> tensor<2x67x2xf32>
  %2 = ds.dft %z {axis = 1 : i64} : (tensor<2x?x2xf32>) -> tensor<2x?x2xf32>
  return %0, %1, %2 : tensor<2x134x2xf32>, tensor<2x67x2xf32>, tensor<2x?x2xf32>
}
