// RUN: ds-opt %s -ds-fold-batch-norm | FileCheck %s

// f = scale / sqrt(var + eps) = [2, 0.5]; bias = (b - mean) * f + shift.
// CHECK-LABEL: @conv(
// CHECK-NEXT: %[[W:.*]] = ds.constant dense<{{\[}}{{\[}}[2.000000e+00]], {{\[}}[1.000000e+00]]]> : tensor<2x1x1xf32>
// CHECK-NEXT: %[[B:.*]] = ds.constant dense<[1.000000e+01, 1.500000e+00]> : tensor<2xf32>
// CHECK-NEXT: %[[Y:.*]] = ds.conv %{{.*}}, %[[W]], %[[B]]
// CHECK-NEXT: return %[[Y]]
func.func @conv(%x: tensor<1x1x?xf32>) -> tensor<1x2x?xf32> {
  %w = ds.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
  %b = ds.constant dense<[5.0, 3.0]> : tensor<2xf32>
  %scale = ds.constant dense<[2.0, 1.0]> : tensor<2xf32>
  %shift = ds.constant dense<[2.0, 1.0]> : tensor<2xf32>
  %mean = ds.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %var = ds.constant dense<[0.75, 3.75]> : tensor<2xf32>
  %0 = ds.conv %x, %w, %b {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x1x?xf32>, tensor<2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x?xf32>
  %1 = ds.batch_norm %0, %scale, %shift, %mean, %var {epsilon = 0.25 : f64} : (tensor<1x2x?xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x?xf32>
  return %1 : tensor<1x2x?xf32>
}

// A chain of a factor and an offset, as exporters write a batch norm; a grouped transposed convolution has its output
// channels in two places.
// CHECK-LABEL: @chain(
// CHECK-NEXT: %[[W:.*]] = ds.constant dense<{{\[}}{{\[}}[1.000000e+00]], {{\[}}[2.000000e+01]]]> : tensor<2x1x1xf32>
// CHECK-NEXT: %[[B:.*]] = ds.constant dense<[7.000000e+00, 8.000000e+00]> : tensor<2xf32>
// CHECK-NEXT: ds.conv_transpose %{{.*}}, %[[W]], %[[B]]
// CHECK-NEXT: return
func.func @chain(%x: tensor<1x2x4xf32>) -> tensor<1x2x4xf32> {
  %w = ds.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
  %f = ds.constant dense<[[1.0], [10.0]]> : tensor<2x1xf32>
  %g = ds.constant dense<[[[7.0], [8.0]]]> : tensor<1x2x1xf32>
  %0 = ds.conv_transpose %x, %w {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>, output_padding = array<i64: 0>, group = 2} : (tensor<1x2x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4xf32>
  %1 = ds.mul %f, %0 : (tensor<2x1xf32>, tensor<1x2x4xf32>) -> tensor<1x2x4xf32>
  %2 = ds.add %1, %g : (tensor<1x2x4xf32>, tensor<1x2x1xf32>) -> tensor<1x2x4xf32>
  return %2 : tensor<1x2x4xf32>
}

// Not behind a convolution: a mul and an add. A convolution that something else uses keeps its weights.
// CHECK-LABEL: @declined(
// CHECK: ds.mul %{{.*}}, %{{.*}} : (tensor<3x2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
// CHECK: ds.add
// CHECK: %[[Y:.*]] = ds.conv
// CHECK: %[[Z:.*]] = ds.mul %[[Y]]
// CHECK: return %{{.*}}, %[[Y]], %[[Z]]
func.func @declined(%x: tensor<3x2xf32>, %y: tensor<1x1x4xf32>) -> (tensor<3x2xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>) {
  %one = ds.constant dense<1.0> : tensor<2xf32>
  %0 = ds.batch_norm %x, %one, %one, %one, %one {epsilon = 0.0 : f64} : (tensor<3x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  %w = ds.constant dense<1.0> : tensor<1x1x1xf32>
  %two = ds.constant dense<2.0> : tensor<f32>
  %1 = ds.conv %y, %w {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x1x4xf32>, tensor<1x1x1xf32>) -> tensor<1x1x4xf32>
  %2 = ds.mul %1, %two : (tensor<1x1x4xf32>, tensor<f32>) -> tensor<1x1x4xf32>
  return %0, %1, %2 : tensor<3x2xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>
}

// A channel that was pruned to subnormal weights does not keep the others from being folded; one that the factor would make
// subnormal does.
// CHECK-LABEL: @subnormal(
// CHECK-NEXT: %[[W:.*]] = ds.constant dense<{{\[}}{{\[}}[2.000000e-39]], {{\[}}[6.000000e+00]]]> : tensor<2x1x1xf32>
// CHECK: ds.conv %{{.*}}, %[[W]]
// CHECK: %[[Z:.*]] = ds.conv
// CHECK-NEXT: ds.mul %[[Z]]
func.func @subnormal(%x: tensor<1x1x4xf32>) -> (tensor<1x2x4xf32>, tensor<1x2x4xf32>) {
  %w = ds.constant dense<[[[1.0e-39]], [[3.0]]]> : tensor<2x1x1xf32>
  %f = ds.constant dense<2.0> : tensor<f32>
  %y = ds.conv %x, %w {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x1x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4xf32>
  %0 = ds.mul %y, %f : (tensor<1x2x4xf32>, tensor<f32>) -> tensor<1x2x4xf32>
  %v = ds.constant dense<[[[1.0e-9]], [[3.0]]]> : tensor<2x1x1xf32>
  %g = ds.constant dense<1.0e-30> : tensor<f32>
  %z = ds.conv %x, %v {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x1x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4xf32>
  %1 = ds.mul %z, %g : (tensor<1x2x4xf32>, tensor<f32>) -> tensor<1x2x4xf32>
  return %0, %1 : tensor<1x2x4xf32>, tensor<1x2x4xf32>
}
