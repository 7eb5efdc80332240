// RUN: ds-opt %s -ds-recognize | FileCheck %s

// CHECK-LABEL: @softmax(
// CHECK-NEXT: ds.softmax %arg0 {axis = 1 : i64}
// CHECK-NEXT: return
func.func @softmax(%x: tensor<?x5xf32>) -> tensor<?x5xf32> {
  %m = ds.reduce_max %x {axes = array<i64: 1>, keepdims} : (tensor<?x5xf32>) -> tensor<?x1xf32>
  %0 = ds.sub %x, %m : (tensor<?x5xf32>, tensor<?x1xf32>) -> tensor<?x5xf32>
  %1 = ds.exp %0 : (tensor<?x5xf32>) -> tensor<?x5xf32>
  %2 = ds.reduce_sum %1 {axes = array<i64: 1>, keepdims} : (tensor<?x5xf32>) -> tensor<?x1xf32>
  %3 = ds.div %1, %2 : (tensor<?x5xf32>, tensor<?x1xf32>) -> tensor<?x5xf32>
  return %3 : tensor<?x5xf32>
}

// CHECK-LABEL: @layerNorm(
// CHECK: %[[Y:.*]] = ds.layer_norm %arg0, %arg1, %arg2 {axis = 1 : i64, epsilon = {{.*}} : f64}
// CHECK-NEXT: return %[[Y]]
func.func @layerNorm(%x: tensor<?x8xf32>, %scale: tensor<8xf32>, %bias: tensor<8xf32>) -> tensor<?x8xf32> {
  %two = ds.constant dense<2.0> : tensor<f32>
  %eps = ds.constant dense<1.0e-5> : tensor<f32>
  %m = ds.reduce_mean %x {axes = array<i64: 1>, keepdims} : (tensor<?x8xf32>) -> tensor<?x1xf32>
  %c = ds.sub %x, %m : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %p = ds.pow %c, %two : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %v = ds.reduce_mean %p {axes = array<i64: 1>, keepdims} : (tensor<?x8xf32>) -> tensor<?x1xf32>
  %e = ds.add %v, %eps : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %s = ds.sqrt %e : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %d = ds.div %c, %s : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %w = ds.mul %d, %scale : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %r = ds.add %w, %bias : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}

// Means as sums, the factor as a reciprocal, no scale and bias.
// CHECK-LABEL: @plain(
// CHECK: %[[ONE:.*]] = ds.constant dense<1.000000e+00> : tensor<1xf32>
// CHECK-NEXT: ds.layer_norm %arg0, %[[ONE]] {axis = 1 : i64
// CHECK-NEXT: return
func.func @plain(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %n = ds.constant dense<8.0> : tensor<f32>
  %eps = ds.constant dense<1.0e-5> : tensor<f32>
  %t = ds.reduce_sum %x {axes = array<i64: 1>, keepdims} : (tensor<?x8xf32>) -> tensor<?x1xf32>
  %m = ds.div %t, %n : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %c = ds.sub %x, %m : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  %p = ds.mul %c, %c : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %u = ds.reduce_sum %p {axes = array<i64: 1>, keepdims} : (tensor<?x8xf32>) -> tensor<?x1xf32>
  %v = ds.div %u, %n : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %e = ds.add %v, %eps : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %s = ds.sqrt %e : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %i = ds.reciprocal %s : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %d = ds.mul %c, %i : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  return %d : tensor<?x8xf32>
}

// Over n - 1: no mean.
// CHECK-LABEL: @unbiased(
// CHECK-NOT: ds.layer_norm
// CHECK: return
func.func @unbiased(%x: tensor<?x20001xf32>) -> tensor<?x20001xf32> {
  %n = ds.constant dense<20000.0> : tensor<f32>
  %eps = ds.constant dense<1.0e-5> : tensor<f32>
  %m = ds.reduce_mean %x {axes = array<i64: 1>, keepdims} : (tensor<?x20001xf32>) -> tensor<?x1xf32>
  %c = ds.sub %x, %m : (tensor<?x20001xf32>, tensor<?x1xf32>) -> tensor<?x20001xf32>
  %p = ds.mul %c, %c : (tensor<?x20001xf32>, tensor<?x20001xf32>) -> tensor<?x20001xf32>
  %u = ds.reduce_sum %p {axes = array<i64: 1>, keepdims} : (tensor<?x20001xf32>) -> tensor<?x1xf32>
  %v = ds.div %u, %n : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %e = ds.add %v, %eps : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %s = ds.sqrt %e : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %d = ds.div %c, %s : (tensor<?x20001xf32>, tensor<?x1xf32>) -> tensor<?x20001xf32>
  return %d : tensor<?x20001xf32>
}

// Over a dim that is not the last.
// CHECK-LABEL: @notLast(
// CHECK-NOT: ds.layer_norm
// CHECK: return
func.func @notLast(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %eps = ds.constant dense<1.0e-5> : tensor<f32>
  %m = ds.reduce_mean %x {axes = array<i64: 0>, keepdims} : (tensor<4x8xf32>) -> tensor<1x8xf32>
  %c = ds.sub %x, %m : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  %p = ds.mul %c, %c : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %v = ds.reduce_mean %p {axes = array<i64: 0>, keepdims} : (tensor<4x8xf32>) -> tensor<1x8xf32>
  %e = ds.add %v, %eps : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
  %s = ds.sqrt %e : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %d = ds.div %c, %s : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  return %d : tensor<4x8xf32>
}
