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

// CHECK-LABEL: func.func @host
// CHECK:         rt.buffer input 0 bytes <["4*N"]>
// CHECK:         rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 1 : i64}
// CHECK:         rt.dispatch @c(%0) to(%1) symbols <["N"]> {in_place = array<i64: 0>}
// CHECK:         rt.bind %1 as <["n"]> {width = 64 : i64}
func.func @host() {
  %0 = rt.buffer input 0 bytes <["4*N"]>
  %1 = rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 1 : i64}
  rt.dispatch @c(%0) to(%1) symbols <["N"]> {in_place = array<i64: 0>}
  rt.bind %1 as <["n"]> {width = 64 : i64}
  return
}
