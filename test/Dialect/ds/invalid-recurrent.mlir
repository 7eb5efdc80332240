// Constraints of recurrent layers.
// RUN: ds-opt %s -split-input-file -verify-diagnostics

func.func @gates(%x: tensor<5x2x24xf32>, %r: tensor<1x32x8xf32>) {
  // expected-error @+1 {{expected the last dimension of 'x' to be directions * gates * hidden, got 24 and 32}}
  %0:3 = ds.lstm %x, %r {activations = ["sigmoid", "tanh", "tanh"], alphas = array<f64: 0.0, 0.0, 0.0>, betas = array<f64: 0.0, 0.0, 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>} : (tensor<5x2x24xf32>, tensor<1x32x8xf32>) -> (tensor<5x1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>)
  return
}

// -----

func.func @recurrent_weights(%x: tensor<5x2x8xf32>, %r: tensor<1x8x7xf32>) {
  // expected-error @+1 {{expected dimension 2 of 'r' to fit, got 7 and 8}}
  %0:2 = ds.rnn %x, %r {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0>} : (tensor<5x2x8xf32>, tensor<1x8x7xf32>) -> (tensor<5x1x2x8xf32>, tensor<1x2x8xf32>)
  return
}

// -----

func.func @initial_state(%x: tensor<5x2x8xf32>, %r: tensor<1x8x8xf32>, %h: tensor<2x8xf32>) {
  // expected-error @+1 {{expected 'h0' of rank 3, got rank 2}}
  %0:2 = ds.rnn %x, %r, %h {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 1>} : (tensor<5x2x8xf32>, tensor<1x8x8xf32>, tensor<2x8xf32>) -> (tensor<5x1x2x8xf32>, tensor<1x2x8xf32>)
  return
}

// -----

func.func @functions(%x: tensor<5x2x16xf32>, %r: tensor<2x8x8xf32>) {
  // expected-error @+1 {{expected 2 activations, alphas and betas, got 1}}
  %0:2 = ds.rnn %x, %r {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, direction = #ds.direction<bidirectional>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0>} : (tensor<5x2x16xf32>, tensor<2x8x8xf32>) -> (tensor<5x2x2x8xf32>, tensor<2x2x8xf32>)
  return
}

// -----

func.func @unknown_function(%x: tensor<5x2x8xf32>, %r: tensor<1x8x8xf32>) {
  // expected-error @+1 {{unknown activation 'swish'}}
  %0:2 = ds.rnn %x, %r {activations = ["swish"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0>} : (tensor<5x2x8xf32>, tensor<1x8x8xf32>) -> (tensor<5x1x2x8xf32>, tensor<1x2x8xf32>)
  return
}

// -----

func.func @element_types(%x: tensor<5x2x8xf32>, %r: tensor<1x8x8xf64>) {
  // expected-error @+1 {{expected floats of one element type, got 'f32' and 'f64'}}
  %0:2 = ds.rnn %x, %r {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0>} : (tensor<5x2x8xf32>, tensor<1x8x8xf64>) -> (tensor<5x1x2x8xf32>, tensor<1x2x8xf32>)
  return
}

// -----

func.func @cotangent(%x: tensor<5x2x8xf32>, %q: tensor<1x5x2x8xf32>, %r: tensor<1x8x8xf32>, %dy: tensor<5x2x8xf32>) {
  // expected-error @+1 {{expected 'dy' of rank 4, got rank 3}}
  %0:2 = ds.rnn_vjp %x, %q, %r, %dy {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0>} : (tensor<5x2x8xf32>, tensor<1x5x2x8xf32>, tensor<1x8x8xf32>, tensor<5x2x8xf32>) -> (tensor<1x5x2x8xf32>, tensor<1x2x8xf32>)
  return
}

// -----

func.func @panels_of_a_derivative(%x: tensor<5x2x8xf32>, %q: tensor<1x5x2x8xf32>, %r: tensor<1x2x8x16xf32>) {
  // expected-error @+1 {{expected dimension 1 of 'r' to fit, got 2 and 1}}
  %0:2 = ds.rnn_vjp %x, %q, %r {activations = ["tanh"], alphas = array<f64: 0.0>, betas = array<f64: 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>} : (tensor<5x2x8xf32>, tensor<1x5x2x8xf32>, tensor<1x2x8x16xf32>) -> (tensor<1x5x2x8xf32>, tensor<1x2x8xf32>)
  return
}

// -----

func.func @recurrent_cotangent(%x: tensor<5x2x24xf32>, %q: tensor<1x5x2x24xf32>, %r: tensor<1x24x8xf32>, %h: tensor<1x5x2x8xf32>) {
  // expected-error @+1 {{expected a result dq if and only if linear_before_reset is set}}
  %0:2 = ds.gru_vjp %x, %q, %r, %h {activations = ["sigmoid", "tanh"], alphas = array<f64: 0.0, 0.0>, betas = array<f64: 0.0, 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, linear_before_reset, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0>} : (tensor<5x2x24xf32>, tensor<1x5x2x24xf32>, tensor<1x24x8xf32>, tensor<1x5x2x8xf32>) -> (tensor<1x5x2x24xf32>, tensor<1x2x8xf32>)
  return
}
