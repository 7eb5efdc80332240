// Constraints of contractions, convolutions, normalizations, quantization and regions.
// RUN: ds-opt %s -split-input-file -verify-diagnostics

func.func @matmul(%a: tensor<2x3xf32>, %b: tensor<4x5xf32>) {
  // expected-error @+1 {{expected inner dimensions of 'a' and 'b' to agree, got 3 and 4}}
  %0 = ds.matmul %a, %b : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @channels(%x: tensor<1x4x8xf32>, %w: tensor<6x3x3xf32>) {
  // expected-error @+1 {{expected input channels to be group times dimension 1 of the weights, got 4 and 3}}
  %0 = ds.conv %x, %w {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<6x3x3xf32>) -> tensor<1x6x6xf32>
  return
}

// -----

func.func @strides(%x: tensor<1x4x8xf32>, %w: tensor<6x4x3xf32>) {
  // expected-error @+1 {{expected positive entries in 'strides', got 0}}
  %0 = ds.conv %x, %w {strides = array<i64: 0>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<6x4x3xf32>) -> tensor<1x6x6xf32>
  return
}

// -----

func.func @bias(%x: tensor<1x4x8xf32>, %w: tensor<6x4x3xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{expected as many bias values as output channels, got 5 and 6}}
  %0 = ds.conv %x, %w, %b {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x4x8xf32>, tensor<6x4x3xf32>, tensor<5xf32>) -> tensor<1x6x6xf32>
  return
}

// -----

func.func @pool(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected an input of rank 3 or more, got rank 2}}
  %0 = ds.max_pool %x {kernel = array<i64>, strides = array<i64>, pads_low = array<i64>, pads_high = array<i64>, dilations = array<i64>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @layer_norm(%x: tensor<2x4xf32>, %s: tensor<3xf32>) {
  // expected-error @+1 {{expected scale and bias to broadcast to the normalized dimensions, got 3 and 4}}
  %0 = ds.layer_norm %x, %s {axis = 1, epsilon = 1.0e-5 : f64} : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @attention(%q: tensor<2x3x8xf32>, %k: tensor<2x5x4xf32>, %v: tensor<2x5x8xf32>) {
  // expected-error @+1 {{expected q and k to have the same last dimension, got 8 and 4}}
  %0 = ds.attention %q, %k, %v {scale = 1.0 : f64} : (tensor<2x3x8xf32>, tensor<2x5x4xf32>, tensor<2x5x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @quantize(%x: tensor<4x6xf32>, %s: tensor<5xf32>, %z: tensor<5xi8>) {
  // expected-error @+1 {{expected as many scales as entries of the axis, got 5 and 6}}
  %0 = ds.quantize_linear %x, %s, %z {axis = 1} : (tensor<4x6xf32>, tensor<5xf32>, tensor<5xi8>) -> tensor<4x6xi8>
  return
}

// -----

func.func @region(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected the body to return values of the result types}}
  %0 = ds.static(%a = %x : tensor<4xf32>) -> tensor<5xf32> {
    ds.return %a : tensor<4xf32>
  }
  return
}
