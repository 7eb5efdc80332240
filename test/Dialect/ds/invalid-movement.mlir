// Constraints of movement ops.
// RUN: ds-opt %s -split-input-file -verify-diagnostics

func.func @elements(%x: tensor<4x6xf32>) {
  // expected-error @+1 {{expected as many elements in the result as in the operand, got 24 and 25}}
  %0 = ds.reshape %x {target = #ds.shape<["25"]>} : (tensor<4x6xf32>) -> tensor<25xf32>
  return
}

// -----

func.func @twice(%x: tensor<4x6xf32>) {
  %s = ds.constant dense<-1> : tensor<2xi64>
  // expected-error @+1 {{expected at most one -1 in the shape}}
  %0 = ds.reshape %x, %s : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<4x6xf32>
  return
}

// -----

func.func @remainder(%x: tensor<4x6xf32>) {
  %s = ds.constant dense<[5, -1]> : tensor<2xi64>
  // expected-error @+1 {{expected the number of elements to be a multiple of the other dimensions, got 24 and 20}}
  %0 = ds.reshape %x, %s : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<5x4xf32>
  return
}

// -----

func.func @perm(%x: tensor<4x6xf32>) {
  // expected-error @+1 {{expected 'perm' to be a permutation, got [0, 0]}}
  %0 = ds.transpose %x {perm = array<i64: 0, 0>} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  return
}

// -----

func.func @slice(%x: tensor<4xf32>, %l: tensor<1xi64>) {
  // expected-error @+1 {{expected either the operands 'starts' and 'ends', or the attributes 'start', 'size' and 'step'}}
  %0 = ds.slice %x starts %l : (tensor<4xf32>, tensor<1xi64>) -> tensor<4xf32>
  return
}

// -----

func.func @step(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected steps other than 0}}
  %0 = ds.slice %x {start = #ds.shape<["0"]>, size = #ds.shape<["4"]>, step = array<i64: 0>} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @concat(%x: tensor<4x6xf32>, %y: tensor<4x5xf32>) {
  // expected-error @+1 {{expected the operands to agree in dimension 1, got 6 and 5}}
  %0 = ds.concat %x, %y {axis = 0} : (tensor<4x6xf32>, tensor<4x5xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @gather_nd(%x: tensor<4x6xf32>, %i: tensor<3x3xi64>) {
  // expected-error @+1 {{expected the last dimension of the indices to be a constant in [1, 2], got 3}}
  %0 = ds.gather_nd %x, %i : (tensor<4x6xf32>, tensor<3x3xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter(%x: tensor<4xf32>, %i: tensor<2xi64>, %u: tensor<3xf32>) {
  // expected-error @+1 {{expected indices and updates to agree in dimension 0, got 2 and 3}}
  %0 = ds.scatter_elements %x, %i, %u : (tensor<4xf32>, tensor<2xi64>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @resize(%x: tensor<4x6xf32>) {
  // expected-error @+1 {{expected positive scales}}
  %0 = ds.resize %x {size = #ds.shape<["8", "6"]>, scales = array<f64: 2.0, -1.0>} : (tensor<4x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @resize_given(%x: tensor<4x6xf32>) {
  // expected-error @+1 {{expected 'given' if and only if a scale is 0}}
  %0 = ds.resize %x {size = #ds.shape<["8", "6"]>, scales = array<f64: 2.0, 0.0>} : (tensor<4x6xf32>) -> tensor<8x6xf32>
  return
}

// -----

func.func @resize_kept(%x: tensor<4x6xf32>) {
  // expected-error @+1 {{expected a dimension of scale 1 to keep its size, got 7 and 6}}
  %0 = ds.resize %x {size = #ds.shape<["8", "7"]>, scales = array<f64: 2.0, 1.0>} : (tensor<4x6xf32>) -> tensor<8x7xf32>
  return
}
