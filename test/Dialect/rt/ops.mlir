// RUN: ds-opt %s | ds-opt | FileCheck %s

// CHECK-LABEL: rt.kernel @k(%arg0: tensor<?xf32> {ds.shape = #ds.shape<["k0"]>}) -> tensor<?xf32>
// CHECK-SAME:    attributes {symbols = ["k0"]}
// CHECK:         rt.yield %{{.*}} : tensor<?xf32>
rt.kernel @k(%x: tensor<?xf32> {ds.shape = #ds.shape<["k0"]>}) -> tensor<?xf32> attributes {symbols = ["k0"]} {
  %0 = ds.relu %x : (tensor<?xf32>) -> tensor<?xf32>
  rt.yield %0 : tensor<?xf32>
}

// A kernel that does not say its symbols has those that its shapes mention, in their order.
// CHECK-LABEL: rt.kernel @unsaid
rt.kernel @unsaid(%x: tensor<?x?xf32> {ds.shape = #ds.shape<["N", "M"]>}) -> tensor<?x?xf32> {
  rt.yield %x : tensor<?x?xf32>
}

// CHECK-LABEL: rt.code @c : (tensor<?xf32>) -> tensor<?xf32> attributes
// CHECK-SAME:    bytes = #ds.shape<["8*k0"]>, flops = #ds.shape<["k0"]>, grain = #ds.shape<["8"]>, in_place
// CHECK-SAME:    range = #ds.shape<["ceildiv(k0, 2048)"]>, scratch = #ds.shape<["0"]>, sizes = #ds.shape<["k0"]>
// CHECK-SAME:    symbols = ["k0"]
// CHECK:         builtin.module {
// CHECK:           func.func private @c()
rt.code @c : (tensor<?xf32>) -> tensor<?xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<["k0"]>, range = #ds.shape<["ceildiv(k0, 2048)"]>, grain = #ds.shape<["8"]>,
    scratch = #ds.shape<["0"]>, flops = #ds.shape<["k0"]>, bytes = #ds.shape<["8*k0"]>, in_place} {
  builtin.module {
    func.func private @c()
  }
}

// Without a body where the object is known.
// CHECK-LABEL: rt.code @known : (tensor<4xf32>) -> tensor<4xf32> attributes
// CHECK-NOT:     module
// CHECK-LABEL: func.func @launch
// CHECK:         rt.launch @k(%arg0) {shapes = [#ds.shape<["N"]>], symbols = #ds.shape<["N"]>} : (tensor<?xf32>) -> tensor<?xf32>
// CHECK:         rt.launch @c(%{{.*}}) {shapes = [#ds.shape<["N"]>], symbols = #ds.shape<["N"]>} : (tensor<?xf32>) -> tensor<?xf32>
rt.code @known : (tensor<4xf32>) -> tensor<4xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>}
func.func @launch(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = rt.launch @k(%x) {shapes = [#ds.shape<["N"]>], symbols = #ds.shape<["N"]>} : (tensor<?xf32>) -> tensor<?xf32>
  %1 = rt.launch @c(%0) {shapes = [#ds.shape<["N"]>], symbols = #ds.shape<["N"]>} : (tensor<?xf32>) -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// Code of a device, whose buffers lie in its memory.
// CHECK-LABEL: rt.code @on_device
// CHECK-SAME:    device = 0 : i64
rt.code @on_device : (tensor<?xf32>) -> tensor<?xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["4"]>, bytes = #ds.shape<["32"]>, device = 0}

// CHECK-LABEL: rt.program @main attributes
// CHECK-SAME:    constraints = [#rt.constraint<equal, <["N", "M"]>, "node 'a' (Add): both">, #rt.constraint<less_equal, <["0", "N-4"]>, "too short">]
// CHECK-SAME:    given = ["R"]
// CHECK-SAME:    inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>, donated_to = 0, in_place = true>, #rt.tensor<name = "m", type = tensor<?xf32>, shape = <["M"]>>]
// CHECK-SAME:    outputs = [#rt.tensor<name = "y", type = tensor<?xf32>, shape = <["N"]>>]
// CHECK-SAME:    versions = [#rt.version<@body, {N = 4 : i64}>]
// CHECK-NEXT:    %[[X:.*]] = rt.buffer input 0 bytes <["4*N"]>
// CHECK-NEXT:    %[[Y:.*]] = rt.buffer output 0 bytes <["4*N"]>
// CHECK-NEXT:    rt.buffer weight 0 bytes <["4"]> {value = dense<1.000000e+00> : tensor<1xf32>}
// CHECK-NEXT:    %[[T:.*]] = rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 1 : i64}
// CHECK-NEXT:    %[[D:.*]] = rt.buffer temporary 1 bytes <["4*N"]> : !rt.buffer<device 0>
// CHECK-NEXT:    %[[R:.*]] = rt.buffer result 0 bytes <["4*r"]>
// CHECK-NEXT:    rt.dispatch @c(%[[X]]) to(%[[T]]) symbols <["N"]> {in_place = array<i64: 0>}
// CHECK-NEXT:    rt.dispatch @on_device(%[[D]] : !rt.buffer<device 0>) to(%[[D]] : !rt.buffer<device 0>) symbols <[]>
// CHECK-NEXT:    rt.bind %[[T]] as <["n"]> {width = 64 : i64}
// CHECK-NEXT:    rt.call loop [@body] trips %[[X]] while %[[T]](%[[T]]) to(%[[R]])
// CHECK-SAME:      input_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>]
// CHECK-NEXT:    rt.call custom [](%[[T]], %[[D]] : !rt.buffer, !rt.buffer<device 0>) to()
// CHECK-SAME:      custom = #rt.operator<"Print", "com.example", {deep = 1 : i64}>
// CHECK-SAME:      input_tensors = [unit, #rt.tensor<type = tensor<?xf32>, shape = <["N"]>>, #rt.tensor<type = tensor<?xf32>, shape = <["N"]>>]
rt.program @main attributes {
    inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>, donated_to = 0, in_place = true>,
              #rt.tensor<name = "m", type = tensor<?xf32>, shape = <["M"]>>],
    outputs = [#rt.tensor<name = "y", type = tensor<?xf32>, shape = <["N"]>>],
    constraints = [#rt.constraint<equal, <["N", "M"]>, "node 'a' (Add): both">,
                   #rt.constraint<less_equal, <["0", "N-4"]>, "too short">],
    given = ["R"], versions = [#rt.version<@body, {N = 4 : i64}>]} {
  %x = rt.buffer input 0 bytes <["4*N"]>
  %y = rt.buffer output 0 bytes <["4*N"]>
  %w = rt.buffer weight 0 bytes <["4"]> {value = dense<1.0> : tensor<1xf32>}
  %t = rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 1 : i64}
  %d = rt.buffer temporary 1 bytes <["4*N"]> : !rt.buffer<device 0>
  %r = rt.buffer result 0 bytes <["4*r"]>
  rt.dispatch @c(%x) to(%t) symbols <["N"]> {in_place = array<i64: 0>}
  rt.dispatch @on_device(%d : !rt.buffer<device 0>) to(%d : !rt.buffer<device 0>) symbols <[]>
  rt.bind %t as <["n"]> {width = 64 : i64}
  rt.call loop [@body] trips %x while %t(%t) to(%r) {
      input_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>],
      output_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["r"]>>],
      split = 1 : i64, symbols = #ds.shape<["r"]>, trips_width = 64 : i64}
  rt.call custom [](%t, %d : !rt.buffer, !rt.buffer<device 0>) to() {
      input_tensors = [unit, #rt.tensor<type = tensor<?xf32>, shape = <["N"]>>, #rt.tensor<type = tensor<?xf32>, shape = <["N"]>>],
      output_tensors = [], custom = #rt.operator<"Print", "com.example", {deep = 1 : i64}>,
      split = 0 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
}

// CHECK-LABEL: rt.program @body attributes
// CHECK-SAME:    own = ["k"]
// CHECK-SAME:    sym_visibility = "private"
rt.program @body attributes {inputs = [], outputs = [], own = ["k"], sym_visibility = "private"} {
}
