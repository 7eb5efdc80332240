// Constraints of Fourier transforms and frames.
// RUN: ds-opt %s -split-input-file -verify-diagnostics

func.func @rank(%x: tensor<2xf32>) {
  // expected-error @+1 {{expected 'x' of rank 2 or more, got rank 1}}
  %0 = ds.dft %x {axis = 0 : i64} : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @axis_of_parts(%x: tensor<3x2xf32>) {
  // expected-error @+1 {{axis}}
  %0 = ds.dft %x {axis = 1 : i64} : (tensor<3x2xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @parts(%x: tensor<3x5x3xf32>) {
  // expected-error @+1 {{expected 1 (real) or 2 (complex) as the last dimension, got 3}}
  %0 = ds.dft %x {axis = 1 : i64} : (tensor<3x5x3xf32>) -> tensor<3x5x2xf32>
  return
}

// -----

func.func @half_of_complex(%x: tensor<3x5x2xf32>) {
  // expected-error @+1 {{expected a real operand of a transform to half a spectrum}}
  %0 = ds.dft %x {axis = 1 : i64, onesided} : (tensor<3x5x2xf32>) -> tensor<3x3x2xf32>
  return
}

// -----

func.func @length_missing(%x: tensor<3x5x2xf32>) {
  // expected-error @+1 {{expected 'length' with 'onesided' and 'inverse', and only there}}
  %0 = ds.dft %x {axis = 1 : i64, inverse, onesided} : (tensor<3x5x2xf32>) -> tensor<3x8x1xf32>
  return
}

// -----

func.func @length_wrong(%x: tensor<3x5x2xf32>) {
  // expected-error @+1 {{expected half a spectrum of the transform's length, got 5 and 6}}
  %0 = ds.dft %x {axis = 1 : i64, inverse, onesided, length = #ds.shape<["10"]>} : (tensor<3x5x2xf32>) -> tensor<3x10x1xf32>
  return
}

// -----

func.func @no_points(%x: tensor<3x0x2xf32>) {
  // expected-error @+1 {{expected a transform of at least one point}}
  %0 = ds.dft %x {axis = 1 : i64} : (tensor<3x0x2xf32>) -> tensor<3x0x2xf32>
  return
}

// -----

func.func @table_type(%x: tensor<3x4x2xf32>, %t: tensor<8xf64>) {
  // expected-error @+1 {{expected a table of rank 1 and f32, got 'tensor<8xf64>'}}
  %0 = ds.dft %x, %t {axis = 1 : i64} : (tensor<3x4x2xf32>, tensor<8xf64>) -> tensor<3x4x2xf32>
  return
}

// -----

func.func @element_types(%x: tensor<3x4x2xf32>) {
  // expected-error @+1 {{element type}}
  %0 = ds.dft %x {axis = 1 : i64} : (tensor<3x4x2xf32>) -> tensor<3x4x2xf64>
  return
}

// -----

func.func @step(%x: tensor<3x40xf32>) {
  // expected-error @+1 {{expected a step between frames of at least 1}}
  %0 = ds.frames %x {axis = 1 : i64, size = #ds.shape<["8"]>, step = #ds.shape<["0"]>} : (tensor<3x40xf32>) -> tensor<3x1x8xf32>
  return
}

// -----

func.func @too_short(%x: tensor<3x7xf32>) {
  // expected-error @+1 {{expected a signal of at least one frame}}
  %0 = ds.frames %x {axis = 1 : i64, size = #ds.shape<["8"]>, step = #ds.shape<["2"]>} : (tensor<3x7xf32>) -> tensor<3x0x8xf32>
  return
}
