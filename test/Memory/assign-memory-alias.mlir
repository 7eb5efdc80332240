// RUN: ds-opt %s --split-input-file --ds-assign-memory | FileCheck %s
// RUN: ds-opt %s --split-input-file --ds-assign-memory=reuse=false | FileCheck %s --check-prefix=ALONE

// A loop without iterations hands on the state that it began with: as long as its result is read, the state lives, and
// nothing works in its place.
// CHECK-LABEL: rt.program @loop_result_is_read_later
// CHECK-DAG:   %[[S:.*]] = rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 2 : i64}
// CHECK-DAG:   %[[Z:.*]] = rt.buffer temporary 1 bytes <["4*N"]> {first = 1 : i64, last = 3 : i64}
// CHECK:       rt.dispatch @exp(%[[S]]) to(%[[Z]])
// ALONE-LABEL: rt.program @loop_result_is_read_later
// ALONE:       rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 3 : i64}
// ALONE:       rt.buffer temporary 1 bytes <["4*N"]> {first = 1 : i64, last = 3 : i64}
rt.program @body attributes {
    inputs = [#rt.tensor<name = "s", type = tensor<?xf32>, shape = <["N"]>>],
    outputs = [#rt.tensor<name = "r", type = tensor<?xf32>, shape = <["N"]>>]} {
}
rt.code @exp : (tensor<?xf32>) -> tensor<?xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["0"]>, bytes = #ds.shape<["0"]>, in_place}
rt.program @loop_result_is_read_later attributes {
    inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>>, #rt.tensor<name = "n", type = tensor<i64>, shape = <[]>>],
    outputs = [#rt.tensor<name = "y", type = tensor<?xf32>, shape = <["N"]>>, #rt.tensor<name = "u", type = tensor<?xf32>, shape = <["N"]>>]} {
  %x = rt.buffer input 0 bytes <["4*N"]>
  %n = rt.buffer input 1 bytes <["8"]>
  %y = rt.buffer output 0 bytes <["4*N"]>
  %u = rt.buffer output 1 bytes <["4*N"]>
  %s = rt.buffer temporary 0 bytes <["4*N"]>
  %z = rt.buffer temporary 1 bytes <["4*N"]>
  %r = rt.buffer result 0 bytes <["4*N"]>
  rt.dispatch @exp(%x) to(%s) symbols <[]> {in_place = array<i64: 0>}
  rt.call loop [@body] trips %n(%s) to(%r) {
      input_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>], output_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>], split = 1 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
  rt.dispatch @exp(%s) to(%z) symbols <[]> {in_place = array<i64: 0>}
  rt.dispatch @exp(%r) to(%y) symbols <[]> {in_place = array<i64: 0>}
  rt.dispatch @exp(%z) to(%u) symbols <[]> {in_place = array<i64: 0>}
}

// -----

// Its result was read: the state's place is free. What a loop captures it does not hand on.
// CHECK-LABEL: rt.program @loop_result_was_read
// CHECK:       %[[S:.*]] = rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 3 : i64}
// CHECK-NOT:   rt.buffer temporary
// CHECK:       rt.dispatch @exp(%[[S]]) to(%[[S]])
// CHECK-NOT:   in_place
// ALONE-LABEL: rt.program @loop_result_was_read
// ALONE:       rt.buffer temporary 1
rt.program @body attributes {
    inputs = [#rt.tensor<name = "s", type = tensor<?xf32>, shape = <["N"]>>],
    outputs = [#rt.tensor<name = "r", type = tensor<?xf32>, shape = <["N"]>>]} {
}
rt.code @exp : (tensor<?xf32>) -> tensor<?xf32> attributes {
    symbols = [], sizes = #ds.shape<[]>, range = #ds.shape<["1"]>, grain = #ds.shape<["1"]>, scratch = #ds.shape<["0"]>,
    flops = #ds.shape<["0"]>, bytes = #ds.shape<["0"]>, in_place}
rt.program @loop_result_was_read attributes {
    inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>>, #rt.tensor<name = "n", type = tensor<i64>, shape = <[]>>],
    outputs = [#rt.tensor<name = "y", type = tensor<?xf32>, shape = <["N"]>>, #rt.tensor<name = "u", type = tensor<?xf32>, shape = <["N"]>>]} {
  %x = rt.buffer input 0 bytes <["4*N"]>
  %n = rt.buffer input 1 bytes <["8"]>
  %y = rt.buffer output 0 bytes <["4*N"]>
  %u = rt.buffer output 1 bytes <["4*N"]>
  %s = rt.buffer temporary 0 bytes <["4*N"]>
  %z = rt.buffer temporary 1 bytes <["4*N"]>
  %r = rt.buffer result 0 bytes <["4*N"]>
  rt.dispatch @exp(%x) to(%s) symbols <[]> {in_place = array<i64: 0>}
  rt.call loop [@body] trips %n(%x, %s) to(%r) {
      input_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>, #rt.tensor<type = tensor<?xf32>, shape = <["N"]>>],
      output_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>], split = 1 : i64, symbols = #ds.shape<[]>, trips_width = 64 : i64}
  rt.dispatch @exp(%s) to(%z) symbols <[]> {in_place = array<i64: 0>}
  rt.dispatch @exp(%r) to(%y) symbols <[]> {in_place = array<i64: 0>}
  rt.dispatch @exp(%z) to(%u) symbols <[]> {in_place = array<i64: 0>}
}
