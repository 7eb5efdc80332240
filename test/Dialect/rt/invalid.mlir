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
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{expected the code of a kernel, got @k}}
  rt.dispatch @k(%0) to(%0) symbols <[]>
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C2)
rt.program @inputs attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{expected 1 inputs and 1 outputs, as the kernel has; got 2 and 1}}
  rt.dispatch @c(%0, %0) to(%0) symbols <["N"]>
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C2)
rt.program @outputs attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{expected 1 inputs and 1 outputs, as the kernel has; got 1 and 0}}
  rt.dispatch @c(%0) to() symbols <["N"]>
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C3)
rt.program @symbols attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{expected a value for each of the kernel's 1 symbols, got 0}}
  rt.dispatch @c(%0) to(%0) symbols <[]>
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C4)
rt.program @in_place attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  // expected-error @+1 {{works in place, which its kernel does not}}
  rt.dispatch @c(%0) to(%0) symbols <["N"]> {in_place = array<i64: 0>}
}

// -----

// rt.dispatch (C5)
rt.program @no_such_input attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["4"]>
  // expected-error @+1 {{has no input 1 to work in the place of}}
  rt.dispatch @k(%0) to(%0) symbols <[]> {in_place = array<i64: 1>}
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
// rt.dispatch (C6): the host's code
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["16"]>
  %1 = rt.buffer temporary 1 bytes <["16"]> : !rt.buffer<device 0>
  // expected-error @+1 {{expected buffers in the memory of what runs the kernel, '!rt.buffer', got '!rt.buffer<device 0>'}}
  rt.dispatch @c(%0) to(%1 : !rt.buffer<device 0>) symbols <[]>
}

// -----

rt.code @c : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>, device = 1}
// rt.dispatch (C6): another device's
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["16"]> : !rt.buffer<device 0>
  // expected-error @+1 {{expected buffers in the memory of what runs the kernel, '!rt.buffer<device 1>', got '!rt.buffer<device 0>'}}
  rt.dispatch @c(%0 : !rt.buffer<device 0>) to(%0 : !rt.buffer<device 0>) symbols <[]>
}

// -----

// The host reads what it binds.
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["16"]> : !rt.buffer<device 0>
  // expected-note @-1 {{prior use here}}
  // expected-error @+1 {{use of value '%0' expects different type than prior uses}}
  rt.bind %0 as <["n"]> {width = 64 : i64}
}

// -----

// rt.buffer (C1)
rt.program @main attributes {inputs = [], outputs = []} {
  // expected-error @+1 {{expected one expression as its size, got 2}}
  %0 = rt.buffer temporary 0 bytes <["1", "2"]>
}

// -----

// rt.buffer (C2)
rt.program @main attributes {inputs = [], outputs = []} {
  // expected-error @+1 {{expected a value of a weight, and of nothing else}}
  %0 = rt.buffer weight 0 bytes <["4"]>
}

// -----

// rt.buffer (C2)
rt.program @main attributes {inputs = [], outputs = []} {
  // expected-error @+1 {{expected a value of a weight, and of nothing else}}
  %0 = rt.buffer temporary 0 bytes <["4"]> {value = dense<1.0> : tensor<1xf32>}
}

// -----

// rt.buffer (C3)
rt.program @main attributes {inputs = [], outputs = []} {
  // expected-error @+1 {{expected 'first' and 'last' of a temporary, both or none}}
  %0 = rt.buffer temporary 0 bytes <["4"]> {first = 0 : i64}
}

// -----

// rt.buffer (C3)
rt.program @main attributes {inputs = [], outputs = []} {
  // expected-error @+1 {{expected 'first' and 'last' of a temporary, both or none}}
  %0 = rt.buffer result 0 bytes <["4"]> {first = 0 : i64, last = 1 : i64}
}

// -----

// rt.program (C4)
rt.program @main attributes {inputs = [], outputs = []} {
  // expected-error @+1 {{expected the number of one of 0 tensors, got 0}}
  %0 = rt.buffer input 0 bytes <["4"]>
}

// -----

// rt.program (C5)
rt.program @main attributes {inputs = [], outputs = []} {
  // expected-error @+1 {{expected buffers, dispatches, binds and calls alone in a program}}
  %0 = ds.constant dense<1.0> : tensor<1xf32>
}

// -----

// rt.bind (C1)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected symbols, got '2*n'}}
  rt.bind %0 as <["2*n"]> {width = 64 : i64}
}

// -----

// rt.bind (C2)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected integers of 32 or 64 bits, got 16}}
  rt.bind %0 as <["n"]> {width = 16 : i64}
}

// -----

// rt.call (C1)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected 2 bodies, got 1}}
  rt.call branch [@main] while %0() to() {input_tensors = [], output_tensors = [], split = 0 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// -----

// rt.call (C1)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected a program as body, got @nowhere}}
  rt.call loop [@nowhere]() to() {input_tensors = [], output_tensors = [], split = 0 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// -----

// rt.call (C2)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected a tensor for each of 1 inputs, got []}}
  rt.call loop [@main](%0) to() {input_tensors = [], output_tensors = [], split = 0 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// -----

// rt.call (C2): a loop leaves nothing out
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected a tensor for each of 0 outputs, got [unit]}}
  rt.call loop [@main]() to() {input_tensors = [], output_tensors = [unit], split = 0 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// -----

// rt.call (C3)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected 'custom' of a custom operator, and of nothing else}}
  rt.call custom []() to() {input_tensors = [], output_tensors = [], split = 0 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// -----

// rt.call (C4)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected a condition of a branch, trips of a loop alone, neither of a custom operator}}
  rt.call branch [@main, @main]() to() {input_tensors = [], output_tensors = [], split = 0 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// -----

// rt.call (C4)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected a condition of a branch, trips of a loop alone, neither of a custom operator}}
  rt.call branch [@main, @main] trips %0 while %0() to() {input_tensors = [], output_tensors = [], split = 0 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// -----

// rt.call (C5)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected at most 0 inputs before the split, got 1}}
  rt.call loop [@main]() to() {input_tensors = [], output_tensors = [], split = 1 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// -----

// rt.call (C6)
rt.program @main attributes {inputs = [], outputs = []} {
  %0 = rt.buffer temporary 0 bytes <["8"]>
  // expected-error @+1 {{expected symbols that are dims of its outputs, got 'r'}}
  rt.call loop [@main]() to(%0) {input_tensors = [], output_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>], split = 0 : i64, symbols = #ds.shape<["r"]>, trips_width = 64 : i64}
}

// -----

// rt.program (C1)
// expected-error @+1 {{expected inputs that are named}}
rt.program @main attributes {inputs = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>], outputs = []} {
}

// -----

// rt.program (C1)
// expected-error @+1 {{expected outputs that are named, and not donated}}
rt.program @main attributes {inputs = [], outputs = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>]} {
}

// -----

// rt.program (C2): no such output
// expected-error @+1 {{expected inputs to be donated to an output each}}
rt.program @main attributes {inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>, donated_to = 1>], outputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>>]} {
}

// -----

// rt.program (C2): one output of two
// expected-error @+1 {{expected inputs to be donated to an output each}}
rt.program @main attributes {inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>, donated_to = 0>, #rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>, donated_to = 0>], outputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>>]} {
}

// -----

// rt.program (C2): an output
// expected-error @+1 {{expected outputs that are named, and not donated}}
rt.program @main attributes {inputs = [], outputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>, donated_to = 0>]} {
}

// -----

// rt.program (C3)
// expected-error @+1 {{expected symbols that differ, got 'R' twice}}
rt.program @main attributes {inputs = [], outputs = [], given = ["R", "R"]} {
}

// -----

// rt.program (C6)
// expected-error @+1 {{expected a program as a version, got @nowhere}}
rt.program @main attributes {inputs = [], outputs = [], versions = [#rt.version<@nowhere, {N = 4 : i64}>]} {
}

// -----

// #rt.tensor (C1)
// expected-error @+1 {{expected one size a dimension of 'tensor<?xf32>', got #ds.shape<["N", "M"]>}}
rt.program @main attributes {inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N", "M"]>>], outputs = []} {
}

// -----

// #rt.tensor (C2)
// expected-error @+1 {{expected a tensor that is in place to be donated}}
rt.program @main attributes {inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>, in_place = true>], outputs = []} {
}

// -----

// #rt.constraint (C1)
// expected-error @+1 {{expected two sizes, got 1}}
rt.program @main attributes {inputs = [], outputs = [], constraints = [#rt.constraint<equal, <["N"]>, "alone">]} {
}
