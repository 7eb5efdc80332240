// RUN: ds-opt %s --split-input-file --verify-diagnostics
// Each constraint of RtOps.td, by its number.

// rt.kernel (C1)
// expected-error @+1 {{expected symbols that differ, got 'k0' twice}}
rt.kernel @k(%x: tensor<?xf32> {ds.shape = #ds.shape<["k0"]>}) -> tensor<?xf32> attributes {symbols = ["k0", "k0"]} {
  rt.yield %x : tensor<?xf32>
}

// -----

// rt.kernel (C2)
// expected-error @+1 {{expected sizes over its symbols alone, got 'N'}}
rt.kernel @k(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> attributes {symbols = ["k0"]} {
  rt.yield %x : tensor<?xf32>
}

// -----

// rt.kernel (C3)
// expected-error @+1 {{expected to yield values of types 'tensor<4xi64>'}}
rt.kernel @k(%x: tensor<4xf32>) -> tensor<4xi64> {
  rt.yield %x : tensor<4xf32>
}

// -----

// rt.code (C1)
// expected-error @+1 {{expected one expression as 'range', got 2}}
rt.code @c : () -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1", "2"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}

// -----

// rt.code (C1)
// expected-error @+1 {{expected one expression as 'bytes', got 0}}
rt.code @c : () -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<[]>}

// -----

// rt.code (C2)
// expected-error @+1 {{expected symbols that differ, got 'k1' twice}}
rt.code @c : () -> tensor<4xf32> attributes {
    symbols = ["k1", "k0", "k1"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>,
    scratch = #ds.shape<["0"]>, flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}

// -----

// rt.code (C3)
// expected-error @+1 {{expected expressions over its symbols alone, got 'N'}}
rt.code @c : () -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<["N"]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}

// -----

// rt.code (C3)
// expected-error @+1 {{expected expressions over its symbols alone, got 'k1'}}
rt.code @c : () -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<["k0"]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>,
    scratch = #ds.shape<["8*k1"]>, flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}

// -----

// rt.code (C4)
// expected-error @+1 {{expected ranked tensors as arguments and results, got 'i32'}}
rt.code @c : (i32) -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}

// -----

// rt.code (C5): another function
// expected-error @+1 {{expected a module that defines a function 'c' as its body, and nothing else}}
rt.code @c : () -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>} {
  builtin.module {
    func.func private @d()
  }
}

// -----

// rt.code (C5): more than a module
// expected-error @+1 {{expected a module that defines a function 'c' as its body, and nothing else}}
rt.code @c : () -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>} {
  builtin.module {
    func.func private @c()
  }
  builtin.module {
  }
}

// -----

// rt.launch (C1)
func.func @main(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected a kernel or its code, got @main}}
  %0 = rt.launch @main(%x) {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

rt.kernel @k(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  rt.yield %x : tensor<?xf32>
}
// rt.launch (C2)
func.func @main(%x: tensor<?xi64>) {
  // expected-error @+1 {{expected operands and results of the kernel's type, '(tensor<?xf32>) -> tensor<?xf32>'}}
  %0 = rt.launch @k(%x) {shapes = [#ds.shape<["M"]>], symbols = #ds.shape<["M"]>} : (tensor<?xi64>) -> tensor<?xf32>
  return
}

// -----

rt.kernel @k(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  rt.yield %x : tensor<?xf32>
}
// rt.launch (C3)
func.func @main(%x: tensor<?xf32>) {
  // expected-error @+1 {{expected a value for each of the kernel's 1 symbols, got 2}}
  %0 = rt.launch @k(%x) {shapes = [#ds.shape<["M"]>], symbols = #ds.shape<["M", "M"]>} : (tensor<?xf32>) -> tensor<?xf32>
  return
}

// -----

// rt.launch (C4)
func.func @main(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected one shape a result, got 0 for 1}}
  %0 = rt.launch @k(%x) {shapes = [], symbols = #ds.shape<[]>} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

// rt.launch (C4)
func.func @main(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected one size a dimension of 'tensor<4xf32>', got #ds.shape<["2", "2"]>}}
  %0 = rt.launch @k(%x) {shapes = [#ds.shape<["2", "2"]>], symbols = #ds.shape<[]>} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

rt.kernel @k(%x: tensor<4xf32>) -> tensor<4xf32> {
  rt.yield %x : tensor<4xf32>
}
// rt.dispatch (C1): a kernel is no code yet
func.func @main() {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{expected the code of a kernel, got @k}}
  rt.dispatch @k(%0) to(%0) symbols <[]>
  return
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C2)
func.func @inputs() {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{expected 1 inputs and 1 outputs, as the kernel has; got 2 and 1}}
  rt.dispatch @c(%0, %0) to(%0) symbols <["N"]>
  return
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C2)
func.func @outputs() {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{expected 1 inputs and 1 outputs, as the kernel has; got 1 and 0}}
  rt.dispatch @c(%0) to() symbols <["N"]>
  return
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C3)
func.func @symbols() {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{expected a value for each of the kernel's 1 symbols, got 0}}
  rt.dispatch @c(%0) to(%0) symbols <[]>
  return
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C4)
func.func @in_place() {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{works in place, which its kernel does not}}
  rt.dispatch @c(%0) to(%0) symbols <["N"]> {in_place = array<i64: 0>}
  return
}

// -----

// rt.dispatch (C4)
func.func @two_outputs() {
  %0 = rt.buffer temporary 0 bytes <["4"]>
  // expected-error @+1 {{works in place with one output alone, got 2}}
  rt.dispatch @k(%0) to(%0, %0) symbols <[]> {in_place = array<i64: 0>}
  return
}

// -----

// rt.dispatch (C5)
func.func @no_such_input() {
  %0 = rt.buffer temporary 0 bytes <["4"]>
  // expected-error @+1 {{has no input 1 to work in the place of}}
  rt.dispatch @k(%0) to(%0) symbols <[]> {in_place = array<i64: 1>}
  return
}
