// RUN: ds-opt %s --split-input-file --verify-diagnostics
// Each constraint of rt.dispatch.

func.func @two_outputs() {
  %0 = rt.buffer temporary 0 bytes <["4"]>
  // expected-error @+1 {{works in place with one output alone, got 2}}
  rt.dispatch @k(%0) to(%0, %0) {in_place = array<i64: 0>}
  return
}

// -----

func.func @no_such_input() {
  %0 = rt.buffer temporary 0 bytes <["4"]>
  // expected-error @+1 {{has no input 1 to work in the place of}}
  rt.dispatch @k(%0) to(%0) {in_place = array<i64: 1>}
  return
}
