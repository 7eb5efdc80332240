// RUN: ds-opt %s --split-input-file --ds-fold-packing | FileCheck %s

// Columns 0 and 1, then column 2 and a column of zeros.
// CHECK-LABEL: @panels
// CHECK-NEXT{LITERAL}: ds.constant dense<[[[1.000000e+00, 2.000000e+00], [4.000000e+00, 5.000000e+00]], [[3.000000e+00, 0.000000e+00], [6.000000e+00, 0.000000e+00]]]>
func.func @panels() -> tensor<2x2x2xf32> {
  %w = ds.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %0 = ds.pack %w {tile = 2 : i64} : (tensor<2x3xf32>) -> tensor<2x2x2xf32>
  return %0 : tensor<2x2x2xf32>
}

// -----

// CHECK-LABEL: @transposed_panels
// CHECK-NEXT{LITERAL}: ds.constant dense<[[[1.000000e+00, 2.000000e+00], [4.000000e+00, 5.000000e+00]], [[3.000000e+00, 0.000000e+00], [6.000000e+00, 0.000000e+00]]]>
func.func @transposed_panels() -> tensor<2x2x2xf32> {
  %w = ds.constant dense<[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]> : tensor<3x2xf32>
  %0 = ds.pack %w {tile = 2 : i64, transposed} : (tensor<3x2xf32>) -> tensor<2x2x2xf32>
  return %0 : tensor<2x2x2xf32>
}

// -----

// Two groups of one output; channels run innermost in the depth.
// CHECK-LABEL: @filter
// CHECK-NEXT{LITERAL}: ds.constant dense<[[[[1.000000e+00], [3.000000e+00], [2.000000e+00], [4.000000e+00]]], [[[5.000000e+00], [7.000000e+00], [6.000000e+00], [8.000000e+00]]]]>
func.func @filter() -> tensor<2x1x4x1xf32> {
  %w = ds.constant dense<[[[[1.0, 2.0]], [[3.0, 4.0]]], [[[5.0, 6.0]], [[7.0, 8.0]]]]> : tensor<2x2x1x2xf32>
  %0 = ds.pack_filter %w {tile = 1 : i64, group = 2 : i64} : (tensor<2x2x1x2xf32>) -> tensor<2x1x4x1xf32>
  return %0 : tensor<2x1x4x1xf32>
}

// -----

// What the packed weight is made of is computed too; what others use stays.
// CHECK-LABEL: @chain
// CHECK:         %[[KEPT:.*]] = ds.constant dense<{{.*}}> : tensor<2x2xi8>
// CHECK:         %[[CAST:.*]] = ds.cast %[[KEPT]]
// CHECK{LITERAL}: ds.constant dense<[[[2.000000e+00, 6.000000e+00], [4.000000e+00, 8.000000e+00]]]>
// CHECK:         return %{{.*}}, %[[CAST]]
func.func @chain() -> (tensor<1x2x2xf32>, tensor<2x2xf32>) {
  %w = ds.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
  %s = ds.constant dense<2.0> : tensor<f32>
  %f = ds.cast %w : (tensor<2x2xi8>) -> tensor<2x2xf32>
  %0 = ds.cast %w : (tensor<2x2xi8>) -> tensor<2x2xf32>
  %1 = ds.mul %0, %s : (tensor<2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
  %2 = ds.transpose %1 {perm = array<i64: 1, 0>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %3 = ds.pack %2 {tile = 2 : i64} : (tensor<2x2xf32>) -> tensor<1x2x2xf32>
  return %3, %f : tensor<1x2x2xf32>, tensor<2x2xf32>
}

// -----

// The source is freed.
// CHECK-LABEL: @resources
// CHECK-NEXT:    ds.constant dense_resource<w_1> : tensor<2x1x33xi8>
// CHECK-NOT:     w: "0x
// CHECK:         w_1: "0x400000000102030405{{.*}}404142"
func.func @resources() -> tensor<2x1x33xi8> {
  %w = ds.constant dense_resource<w> : tensor<1x66xi8>
  %0 = ds.pack %w {tile = 33 : i64} : (tensor<1x66xi8>) -> tensor<2x1x33xi8>
  return %0 : tensor<2x1x33xi8>
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x040000000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142"
    }
  }
#-}

// -----

// What is made of one resource in one way exists once, whoever holds the resource; in another way, or of a part of it, it
// is another one.
// CHECK-LABEL: @once
// CHECK-NEXT:    %[[A:.*]] = ds.constant dense_resource<[[FIRST:[a-z0-9_]+]]> : tensor<2x1x33xf32>
// CHECK-NEXT:    %[[B:.*]] = ds.constant dense_resource<[[FIRST]]> : tensor<2x1x33xf32>
// CHECK-NEXT:    %[[C:.*]] = ds.constant dense_resource<[[WIDE:[a-z0-9_]+]]> : tensor<1x1x66xf32>
// CHECK-NEXT:    %[[D:.*]] = ds.constant dense_resource<[[TURNED:[a-z0-9_]+]]> : tensor<2x1x33xf32>
// CHECK-NEXT:    return %[[A]], %[[B]], %[[C]], %[[D]]
// CHECK:         dialect_resources
// CHECK-COUNT-3: : "0x
// CHECK-NOT:     "0x
func.func @once() -> (tensor<2x1x33xf32>, tensor<2x1x33xf32>, tensor<1x1x66xf32>, tensor<2x1x33xf32>) {
  %v = ds.constant dense_resource<w> : tensor<1x66xi8>
  %w = ds.constant dense_resource<w> : tensor<1x66xi8>
  %x = ds.cast %v : (tensor<1x66xi8>) -> tensor<1x66xf32>
  %y = ds.cast %w : (tensor<1x66xi8>) -> tensor<1x66xf32>
  %n = ds.neg %y : (tensor<1x66xf32>) -> tensor<1x66xf32>
  %0 = ds.pack %x {tile = 33 : i64} : (tensor<1x66xf32>) -> tensor<2x1x33xf32>
  %1 = ds.pack %y {tile = 33 : i64} : (tensor<1x66xf32>) -> tensor<2x1x33xf32>
  %2 = ds.pack %y {tile = 66 : i64} : (tensor<1x66xf32>) -> tensor<1x1x66xf32>
  %3 = ds.pack %n {tile = 33 : i64} : (tensor<1x66xf32>) -> tensor<2x1x33xf32>
  return %0, %1, %2, %3 : tensor<2x1x33xf32>, tensor<2x1x33xf32>, tensor<1x1x66xf32>, tensor<2x1x33xf32>
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x040000000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142"
    }
  }
#-}
