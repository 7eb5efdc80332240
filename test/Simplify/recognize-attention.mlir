// RUN: ds-opt %s -ds-recognize | FileCheck %s

// k comes transposed to [N, H, D, S] at once; scale on the scores; a mask.
// CHECK-LABEL: @masked(
// CHECK: %[[K:.*]] = ds.transpose %arg1 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x12x64xf32>) -> tensor<?x12x?x64xf32>
// CHECK-NEXT: %[[Y:.*]] = ds.attention %arg0, %[[K]], %arg2, %arg3 {scale = 1.250000e-01 : f64}
// CHECK-NEXT: return %[[Y]]
func.func @masked(%q: tensor<?x12x?x64xf32> {ds.shape = #ds.shape<["N", "12", "T", "64"]>}, %k: tensor<?x?x12x64xf32> {ds.shape = #ds.shape<["N", "S", "12", "64"]>}, %v: tensor<?x12x?x64xf32> {ds.shape = #ds.shape<["N", "12", "S", "64"]>}, %mask: tensor<?x1x?x?xf32> {ds.shape = #ds.shape<["N", "1", "T", "S"]>}) -> tensor<?x12x?x64xf32> {
  %scale = ds.constant dense<0.125> : tensor<f32>
  %t = ds.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x?x12x64xf32>) -> tensor<?x12x64x?xf32>
  %0 = ds.matmul %q, %t : (tensor<?x12x?x64xf32>, tensor<?x12x64x?xf32>) -> tensor<?x12x?x?xf32>
  %1 = ds.mul %0, %scale : (tensor<?x12x?x?xf32>, tensor<f32>) -> tensor<?x12x?x?xf32>
  %2 = ds.add %1, %mask : (tensor<?x12x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x12x?x?xf32>
  %3 = ds.softmax %2 {axis = 3} : (tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xf32>
  %4 = ds.matmul %3, %v : (tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32>
  return %4 : tensor<?x12x?x64xf32>
}

// Square roots of the scale on both sides, k transposed with merged batch dims, NaN weights replaced by 0.
// CHECK-LABEL: @guarded(
// CHECK: %[[Y:.*]] = ds.attention %arg0, %arg1, %arg2 {scale = 2.500000e-01 : f64, zero_masked_rows}
// CHECK-NEXT: return %[[Y]]
func.func @guarded(%q: tensor<?x12x?x16xf32> {ds.shape = #ds.shape<["N", "12", "S", "16"]>}, %k: tensor<?x12x?x16xf32> {ds.shape = #ds.shape<["N", "12", "S", "16"]>}, %v: tensor<?x12x?x16xf32> {ds.shape = #ds.shape<["N", "12", "S", "16"]>}) -> tensor<?x12x?x16xf32> {
  %root = ds.constant dense<0.5> : tensor<f32>
  %zero = ds.constant dense<0.0> : tensor<f32>
  %merged = ds.reshape %k {target = #ds.shape<["12*N", "S", "16"]>} : (tensor<?x12x?x16xf32>) -> tensor<?x?x16xf32>
  %swapped = ds.transpose %merged {perm = array<i64: 0, 2, 1>} : (tensor<?x?x16xf32>) -> tensor<?x16x?xf32>
  %t = ds.reshape %swapped {target = #ds.shape<["N", "12", "16", "S"]>} : (tensor<?x16x?xf32>) -> tensor<?x12x16x?xf32>
  %a = ds.mul %q, %root : (tensor<?x12x?x16xf32>, tensor<f32>) -> tensor<?x12x?x16xf32>
  %b = ds.mul %t, %root : (tensor<?x12x16x?xf32>, tensor<f32>) -> tensor<?x12x16x?xf32>
  %0 = ds.matmul %a, %b : (tensor<?x12x?x16xf32>, tensor<?x12x16x?xf32>) -> tensor<?x12x?x?xf32>
  %1 = ds.softmax %0 {axis = 3} : (tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xf32>
  %2 = ds.is_nan %1 : (tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xi1>
  %3 = ds.select %2, %zero, %1 : (tensor<?x12x?x?xi1>, tensor<f32>, tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xf32>
  %4 = ds.matmul %3, %v : (tensor<?x12x?x?xf32>, tensor<?x12x?x16xf32>) -> tensor<?x12x?x16xf32>
  return %4 : tensor<?x12x?x16xf32>
}

// Weights that something else uses are computed anyway.
// CHECK-LABEL: @used(
// CHECK-NOT: ds.attention
// CHECK: return
func.func @used(%q: tensor<2x4x8xf32>, %k: tensor<2x8x5xf32>, %v: tensor<2x5x8xf32>) -> (tensor<2x4x8xf32>, tensor<2x4x5xf32>) {
  %0 = ds.matmul %q, %k : (tensor<2x4x8xf32>, tensor<2x8x5xf32>) -> tensor<2x4x5xf32>
  %1 = ds.softmax %0 {axis = 2} : (tensor<2x4x5xf32>) -> tensor<2x4x5xf32>
  %2 = ds.matmul %1, %v : (tensor<2x4x5xf32>, tensor<2x5x8xf32>) -> tensor<2x4x8xf32>
  return %2, %1 : tensor<2x4x8xf32>, tensor<2x4x5xf32>
}
