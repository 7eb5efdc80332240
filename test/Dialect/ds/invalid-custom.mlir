// RUN: ds-opt %s --split-input-file --verify-diagnostics
// Each constraint of ds.custom.

func.func @takes(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected 2 operands, as many as 'takes' says, got 1}}
  %0 = ds.custom "A" of "d"(%x) {} {takes = array<i1: true, true>, shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @makes(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected 0 results, as many as 'makes' says, got 1}}
  %0 = ds.custom "A" of "d"(%x) {} {makes = array<i1: false>, shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @shapes(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected 1 shapes, one a result, got 2}}
  %0 = ds.custom "A" of "d"(%x) {} {shapes = [#ds.shape<["4"]>, #ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @rank(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected a shape of 1 dims for result 0, got #ds.shape<["4", "1"]>}}
  %0 = ds.custom "A" of "d"(%x) {} {shapes = [#ds.shape<["4", "1"]>], symbols = #ds.shape<[]>}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @symbols(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected a symbol that is a dim of a result, got 'r0'}}
  %0 = ds.custom "A" of "d"(%x) {} {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<["r0"]>}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @attributes(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected an i64, an f32, a string, an array of these or a tensor as the operator's 'width', got 3 : i32}}
  %0 = ds.custom "A" of "d"(%x) {width = 3 : i32} {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<4xf32>) -> tensor<4xf32>
  return
}
