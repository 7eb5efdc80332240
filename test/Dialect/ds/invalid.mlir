// Constraints of attributes, elementwise, source and reduction ops.
// RUN: ds-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{malformed size expression 'N+'}}
func.func @malformed(%x: tensor<?xf32> {ds.shape = #ds.shape<["N+"]>}) { return }

// -----

// expected-error @+1 {{argument 0: expected 1 dimensions in 'ds.shape'}}
func.func @rank(%x: tensor<?xf32> {ds.shape = #ds.shape<["N", "M"]>}) { return }

// -----

// expected-error @+1 {{argument 0: dimension 0 is 3 in the type and 4 in 'ds.shape'}}
func.func @size(%x: tensor<3xf32> {ds.shape = #ds.shape<["4"]>}) { return }

// -----

func.func @broadcast(%a: tensor<2x3xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{op 'ds.add': expected dimension 1 of the operands to broadcast, got 3 and 4}}
  %0 = ds.add %a, %b : (tensor<2x3xf32>, tensor<4xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @result(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{expected result 0 to be compatible with 'tensor<2x3xf32>', got 'tensor<3x2xf32>'}}
  %0 = ds.exp %a : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @node(%a: tensor<2x3xf32>, %c: tensor<5x3xf32>) {
  // expected-error@unknown {{node 'sum' (Add): expected dimension 0 of the operands to broadcast, got 2 and 5}}
  %0 = ds.add %a, %c : (tensor<2x3xf32>, tensor<5x3xf32>) -> tensor<2x3xf32> loc(fused<"Add">["sum"])
  return
}

// -----

func.func @mod(%a: tensor<2xf32>) {
  // expected-error @+1 {{expected 'fmod' for floats}}
  %0 = ds.mod %a, %a : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @compare(%a: tensor<2xf32>, %b: tensor<2xi32>) {
  // expected-error @+1 {{expected 'a' and 'b' to have the same element type, got 'f32' and 'i32'}}
  %0 = ds.compare eq, %a, %b : (tensor<2xf32>, tensor<2xi32>) -> tensor<2xi1>
  return
}

// -----

func.func @fill() {
  // expected-error @+1 {{expected exactly one of operand 'shape' and attribute 'target', got neither}}
  %0 = ds.fill {value = 1.0 : f32} : () -> tensor<2xf32>
  return
}

// -----

func.func @constant() {
  // expected-error @+1 {{expected a dense or dense_resource value}}
  %0 = ds.constant sparse<0, 1.0> : tensor<2xf32>
  return
}

// -----

func.func @axes(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{expected an axis in [0, 2), got 2}}
  %0 = ds.reduce_sum %a {axes = array<i64: 2>} : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @sorted(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{expected sorted, distinct axes}}
  %0 = ds.reduce_sum %a {axes = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<f32>
  return
}

// -----

func.func @boxes(%b: tensor<2x9x4xf32>, %s: tensor<2x3x8xf32>, %m: tensor<i64>, %t: tensor<f32>) {
  // expected-error @+1 {{expected as many boxes as scores of a class, got 9 and 8}}
  %0:2 = ds.non_max_suppression %b, %s, %m, %t {most = #ds.shape<["5"]>} : (tensor<2x9x4xf32>, tensor<2x3x8xf32>, tensor<i64>, tensor<f32>) -> (tensor<2x3x5xi64>, tensor<2x3xi64>)
  return
}

// -----

func.func @top_k(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{expected k to be at most the size of the axis, got 4 and 3}}
  %0:2 = ds.top_k %a {axis = 1, count = #ds.shape<["4"]>} : (tensor<2x3xf32>) -> (tensor<2x4xf32>, tensor<2x4xi64>)
  return
}

// -----

func.func @bind_count(%s: tensor<2xi64>) {
  // expected-error@+1 {{expected an operand of 1 elements, as many as there are symbols, got 'tensor<2xi64>'}}
  %0 = ds.bind %s as <["m"]> : tensor<2xi64>
  return
}

// -----

func.func @bind_expression(%s: tensor<1xi64>) {
  // expected-error@+1 {{expected symbols, got '2*m'}}
  %0 = ds.bind %s as <["2*m"]> : tensor<1xi64>
  return
}

// -----

func.func @bind_type(%s: tensor<1xf32>) {
  // expected-error@+1 {{expected an operand of i32 or i64}}
  %0 = ds.bind %s as <["m"]> : tensor<1xf32>
  return
}

// -----

func.func @bitcast_sizes(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected element types of the same size, got 'f32' and 'i64'}}
  %0 = ds.bitcast %x : (tensor<4xf32>) -> tensor<4xi64>
  return
}

// -----

func.func @random_key_stream(%s: tensor<i64>) {
  // expected-error @+1 {{expected one expression in 'stream', got 2}}
  %0 = ds.random_key %s, %s {stream = #ds.shape<["1", "2"]>} : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return
}

// -----

func.func @random_key_rank(%s: tensor<i64>, %r: tensor<1xi64>) {
  // expected-error @+1 {{expected 'run' to be of rank 0, got 'tensor<1xi64>'}}
  %0 = ds.random_key %s, %r {stream = #ds.shape<["1"]>} : (tensor<i64>, tensor<1xi64>) -> tensor<i64>
  return
}

// -----

func.func @random_rank(%s: tensor<2xi64>) {
  // expected-error @+1 {{expected 'key' to be of rank 0, got 'tensor<2xi64>'}}
  %0 = ds.random %s {distribution = #ds.random_distribution<uniform>, target = #ds.shape<["3"]>} : (tensor<2xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @random_type(%s: tensor<i64>) {
  // expected-error @+1 {{result #0 must be tensor of f32 or f64}}
  %0 = ds.random %s {distribution = #ds.random_distribution<uniform>, target = #ds.shape<["3"]>} : (tensor<i64>) -> tensor<3xf16>
  return
}

// -----

func.func @random_target(%s: tensor<i64>) {
  // expected-error @+1 {{expected result 0 to be compatible with}}
  %0 = ds.random %s {distribution = #ds.random_distribution<uniform>, target = #ds.shape<["3"]>} : (tensor<i64>) -> tensor<4xf32>
  return
}
