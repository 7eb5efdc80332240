// RUN: ds-opt %s -ds-form-regions -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: @whole(
// CHECK-SAME: %[[X:.*]]: tensor<?xf32>
// CHECK-NEXT: %[[R:.*]] = ds.static(%[[A:.*]] = %[[X]] : tensor<?xf32>) -> tensor<?xf32> {
// CHECK-NEXT:   ds.constant
// CHECK-NEXT:   ds.add %[[A]]
// CHECK-NEXT:   ds.return
// CHECK-NEXT: }
// CHECK-NEXT: return %[[R]], %[[X]]
func.func @whole(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %c = ds.constant dense<2.0> : tensor<f32>
  %0 = ds.add %x, %c : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  return %0, %x : tensor<?xf32>, tensor<?xf32>
}

// Nothing to wrap.
// CHECK-LABEL: @empty(
// CHECK-NEXT: return
func.func @empty(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}

// -----

func.func @dynamic(%x: tensor<4xf32>, %s: tensor<2xi64>) -> tensor<?x?xf32> {
  // expected-error@unknown {{node 'view' (Reshape): dimension 0 of result 0 depends on data that is not read as a size (ds.bind)}}
  // expected-note@unknown {{every dimension must follow from those of the inputs and from numbers that are bound; --force-static can state some}}
  %0 = ds.reshape %x, %s : (tensor<4xf32>, tensor<2xi64>) -> tensor<?x?xf32> loc(fused<"Reshape">["view"])
  return %0 : tensor<?x?xf32>
}

// -----

// A bind parts the function; constants are copied to where they are used.
// CHECK-LABEL: @stages(
// CHECK:      %[[S:.*]] = ds.static({{.*}}) -> tensor<1xi64> {
// CHECK-NEXT:   ds.constant dense<2>
// CHECK-NEXT:   ds.mul
// CHECK-NEXT:   ds.return
// CHECK-NEXT: }
// CHECK-NEXT: ds.bind %[[S]] as <["n"]>
// CHECK-NEXT: ds.static
// CHECK-NEXT:   ds.constant dense<2>
// CHECK-NEXT:   ds.fill {target = #ds.shape<["n"]>
func.func @stages(%s: tensor<1xi64>) -> (tensor<?xi64>) {
  %c = ds.constant dense<2> : tensor<1xi64>
  %0 = ds.mul %s, %c : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %1 = ds.bind %0 as <["n"]> : tensor<1xi64>
  %2 = ds.fill {target = #ds.shape<["n"]>, value = 1 : i64} : () -> tensor<?xi64>
  %3 = ds.add %2, %c : (tensor<?xi64>, tensor<1xi64>) -> tensor<?xi64>
  return %3 : tensor<?xi64>
}

// -----

// So does an op that runs other functions.
// CHECK-LABEL: @branches(
// CHECK:      %[[A:.*]] = ds.static({{.*}}) -> tensor<4xf32> {
// CHECK:      %[[R:.*]] = ds.if %{{.*}} then @same(%[[A]]) else @same(%{{.*}})
// CHECK:      %[[Y:.*]] = ds.static({{.*}} = %[[R]] : tensor<4xf32>) -> tensor<4xf32> {
// CHECK:      return %[[Y]]
func.func @branches(%x: tensor<4xf32>, %c: tensor<i1>) -> tensor<4xf32> {
  %a = ds.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %r = ds.if %c then @same(%a) else @same(%x) {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y = ds.neg %r : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func private @same(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// What the host reads lies in memory of static size: a piece of a list of any length is copied.
// CHECK-LABEL: func.func @bind_a_view
func.func @bind_a_view(%x: tensor<?xi64> {ds.shape = #ds.shape<["N"]>}) -> tensor<?x?xf32> {
  // CHECK: ds.static
  // CHECK: %[[FLAT:.*]] = ds.reshape %{{.*}} {target = #ds.shape<["min(2, N)"]>}
  // CHECK: %[[COPY:.*]] = ds.gather %[[FLAT]], %{{.*}} : (tensor<?xi64>, tensor<2xi64>) -> tensor<2xi64>
  // CHECK: ds.bind
  %0 = ds.slice %x {start = #ds.shape<["0"]>, size = #ds.shape<["min(2, N)"]>, step = array<i64: 1>} : (tensor<?xi64>) -> tensor<?xi64>
  %1 = ds.reshape %0 {target = #ds.shape<["2"]>} : (tensor<?xi64>) -> tensor<2xi64>
  %2 = ds.bind %1 as <["a", "b"]> : tensor<2xi64>
  %3 = ds.fill {target = #ds.shape<["a", "b"]>, value = 1.0 : f32} : () -> tensor<?x?xf32>
  return %3 : tensor<?x?xf32>
}
