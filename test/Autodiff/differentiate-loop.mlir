// RUN: split-file %s %t
// RUN: ds-opt %t/state.mlir --ds-differentiate='of=loss wrt=x,w' | FileCheck %s --check-prefix=STATE
// RUN: ds-opt %t/linear.mlir --ds-differentiate='of=loss wrt=x' | FileCheck %s --check-prefix=LINEAR
// RUN: ds-opt %t/activity.mlir --ds-differentiate='of=loss wrt=x' | FileCheck %s --check-prefix=ACTIVITY
// RUN: ds-opt %t/slices.mlir --ds-differentiate='of=loss wrt=x' | FileCheck %s --check-prefix=SLICES

// The loop keeps the state that each iteration began with. The loop backward carries the cotangent of the state, sums that
// of %w, and runs as many iterations as there were: a symbol, because a condition may end the loop.
// STATE-LABEL: func.func @main
// STATE:         %[[L:.*]]:2 = ds.loop trips %arg2 do @body_residuals(%arg0) with(%arg1) {shapes = [#ds.shape<["N"]>, #ds.shape<["[[T:r[0-9]+]]", "N"]>], symbols = #ds.shape<["[[T]]"]>}
// STATE:         %[[G:.*]] = ds.expand
// STATE:         %[[ZERO:.*]] = ds.fill  {target = #ds.shape<["N"]>, value = 0.0
// STATE:         %[[TRIPS:.*]] = ds.shape_value  {scalar, shape = #ds.shape<["[[T]]"]>}
// STATE:         %[[B:.*]]:2 = ds.loop trips %[[TRIPS]] do @body_reverse(%[[G]], %[[ZERO]]) with(%arg1, %[[L]]#1)
// STATE:         return %{{.*}}, %[[B]]#0, %[[B]]#1
// STATE-NOT:   func.func private @body(
// STATE-LABEL: func.func private @body_residuals(
// STATE:         return %{{.*}}, %{{.*}}, %arg1 : tensor<i1>, tensor<?xf32>, tensor<?xf32>
// STATE-LABEL: func.func private @body_reverse(
// STATE-SAME:    %[[J:.*]]: tensor<i64> {{.*}}, %[[GS:.*]]: tensor<?xf32> {{.*}}, %[[SUM:.*]]: tensor<?xf32> {{.*}}, %[[W:.*]]: tensor<?xf32> {{.*}}, %[[KEPT:.*]]: tensor<?x?xf32> {ds.shape = #ds.shape<["[[T]]", "N"]>}
// STATE:         %[[LAST:.*]] = ds.shape_value  {scalar, shape = #ds.shape<["[[T]]-1"]>}
// STATE:         %[[I:.*]] = ds.sub %[[LAST]], %[[J]]
// STATE:         %[[S:.*]] = ds.gather %[[KEPT]], %[[I]] :
// STATE-NOT:     ds.compare
// STATE:         %[[TRUE:.*]] = ds.constant dense<true>
// STATE:         return %[[TRUE]]
//--- state.mlir
func.func @main(%x: tensor<?xf32> {ds.name = "x", ds.shape = #ds.shape<["N"]>}, %w: tensor<?xf32> {ds.name = "w", ds.shape = #ds.shape<["N"]>},
                %n: tensor<i64> {ds.name = "n"}) -> (tensor<f32> {ds.name = "loss"}) {
  %0 = ds.loop trips %n do @body(%x) with(%w) {shapes = [#ds.shape<["N"]>], symbols = #ds.shape<[]>}
      : (tensor<i64>, tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %1 = ds.reduce_sum %0 {axes = array<i64: 0>} : (tensor<?xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}
func.func private @body(%i: tensor<i64>, %s: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %w: tensor<?xf32> {ds.shape = #ds.shape<["N"]>})
    -> (tensor<i1>, tensor<?xf32>) {
  %0 = ds.mul %s, %w : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %1 = ds.sin %0 : (tensor<?xf32>) -> tensor<?xf32>
  %2 = ds.reduce_sum %1 {axes = array<i64: 0>} : (tensor<?xf32>) -> tensor<f32>
  %3 = ds.constant dense<4.0> : tensor<f32>
  %4 = ds.compare lt, %2, %3 : (tensor<f32>, tensor<f32>) -> tensor<i1>
  return %4, %1 : tensor<i1>, tensor<?xf32>
}

// Nothing of what the iterations began with is needed, and how many there are is known: the loop stays as it is.
// LINEAR:       ds.loop trips %{{.*}} do @body(%arg0) with()
// LINEAR:       ds.loop trips %{{.*}} do @body_reverse(%{{.*}}) with()
// LINEAR-LABEL: func.func private @body_reverse(
// LINEAR-SAME:    %[[G:[a-z0-9]+]]: tensor<3xf32>
// LINEAR-NOT:     ds.gather
// LINEAR:         %[[N:.*]] = ds.neg %[[G]]
// LINEAR-NEXT:    ds.constant dense<true>
//--- linear.mlir
func.func @main(%x: tensor<3xf32> {ds.name = "x"}) -> (tensor<f32> {ds.name = "loss"}) {
  %n = ds.constant dense<1000> : tensor<i64>
  %0 = ds.loop trips %n do @body(%x) with() {shapes = [#ds.shape<["3"]>], symbols = #ds.shape<[]>} : (tensor<i64>, tensor<3xf32>) -> tensor<3xf32>
  %1 = ds.reduce_sum %0 {axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}
func.func private @body(%i: tensor<i64>, %s: tensor<3xf32>) -> (tensor<i1>, tensor<3xf32>) {
  %0 = ds.constant dense<true> : tensor<i1>
  %1 = ds.neg %s : (tensor<3xf32>) -> tensor<3xf32>
  return %0, %1 : tensor<i1>, tensor<3xf32>
}

// Of four states %a and %b depend on %x, %b by %a in the iteration before; %d depends on them but the loss not on it, and %k is an
// integer: it is kept, but has no cotangent.
// ACTIVITY:       ds.loop trips %arg3 do @body_residuals(%arg0, %arg1, %arg2, %arg2, %arg4)
// ACTIVITY-SAME:    -> (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i64>, tensor<?xf32>, tensor<?xi64>)
// ACTIVITY:       ds.loop trips %{{.*}} do @body_reverse(%{{[^,]*}}, %{{[^,]*}}) with
// ACTIVITY-LABEL: func.func private @body_reverse(
// ACTIVITY-NOT:     ds.exp
// ACTIVITY:         return %{{.*}} : tensor<i1>, tensor<f32>, tensor<f32>
//--- activity.mlir
func.func @main(%x: tensor<f32> {ds.name = "x"}, %u: tensor<f32> {ds.name = "u"}, %v: tensor<f32> {ds.name = "v"}, %n: tensor<i64> {ds.name = "n"},
                %k: tensor<i64> {ds.name = "k"}) -> (tensor<f32> {ds.name = "loss"}) {
  %0:5 = ds.loop trips %n do @body(%x, %u, %v, %v, %k) with() {shapes = [#ds.shape<[]>, #ds.shape<[]>, #ds.shape<[]>, #ds.shape<[]>, #ds.shape<[]>], symbols = #ds.shape<[]>}
      : (tensor<i64>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i64>) -> (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i64>)
  %1 = ds.mul %0#1, %0#2 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %1 : tensor<f32>
}
func.func private @body(%i: tensor<i64>, %a: tensor<f32>, %b: tensor<f32>, %c: tensor<f32>, %d: tensor<f32>, %k: tensor<i64>)
    -> (tensor<i1>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i64>) {
  %0 = ds.constant dense<true> : tensor<i1>
  %1 = ds.cast %k : (tensor<i64>) -> tensor<f32>
  %2 = ds.mul %a, %1 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %3 = ds.sin %2 : (tensor<f32>) -> tensor<f32>
  %4 = ds.exp %b : (tensor<f32>) -> tensor<f32>
  %5 = ds.add %k, %i : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %0, %3, %a, %c, %4, %5 : tensor<i1>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i64>
}

// Iteration i takes row i: each iteration makes the cotangent of its row, and nothing of the size of all of them.
// SLICES:       %[[L:.*]]:2 = ds.loop trips %{{.*}} do @body_reverse(%{{.*}}) with({{.*}}) {shapes = [#ds.shape<["3"]>, #ds.shape<["S", "3"]>], symbols = #ds.shape<[]>}
// SLICES:       ds.slice %[[L]]#1 {size = #ds.shape<["S", "3"]>, start = #ds.shape<["S-1", "0"]>, step = array<i64: -1, 1>}
// SLICES-LABEL: func.func private @body_reverse(
// SLICES-NOT:     ds.scatter_nd
// SLICES:         return %{{.*}}, %{{.*}}, %{{.*}} : tensor<i1>, tensor<3xf32>, tensor<3xf32>
//--- slices.mlir
func.func @main(%x: tensor<?x3xf32> {ds.name = "x", ds.shape = #ds.shape<["S", "3"]>}, %s: tensor<3xf32> {ds.name = "s"}) -> (tensor<f32> {ds.name = "loss"}) {
  %n = ds.shape_value {scalar, shape = #ds.shape<["S"]>} : () -> tensor<i64>
  %0 = ds.loop trips %n do @body(%s) with(%x) {shapes = [#ds.shape<["3"]>], symbols = #ds.shape<[]>} : (tensor<i64>, tensor<3xf32>, tensor<?x3xf32>) -> tensor<3xf32>
  %1 = ds.reduce_sum %0 {axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}
func.func private @body(%i: tensor<i64>, %s: tensor<3xf32>, %x: tensor<?x3xf32> {ds.shape = #ds.shape<["S", "3"]>}) -> (tensor<i1>, tensor<3xf32>) {
  %0 = ds.constant dense<true> : tensor<i1>
  %1 = ds.gather %x, %i {axis = 0 : i64} : (tensor<?x3xf32>, tensor<i64>) -> tensor<3xf32>
  %2 = ds.mul %s, %1 : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %0, %2 : tensor<i1>, tensor<3xf32>
}
