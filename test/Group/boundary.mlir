// RUN: ds-opt %s --split-input-file --ds-group | FileCheck %s

// What a function and its host agree on: memory of results, memory that is read, what must hold of sizes.

// A view by sizes that are bound after its memory was written: a copy is written when they are known.
// CHECK-LABEL: func.func @view_by_later_sizes
// CHECK-NEXT:    %[[R:.*]] = rt.launch @{{.*}}relu(%arg0)
// CHECK-NEXT:    ds.bind %arg1
// CHECK-NEXT:    %[[V:.*]] = ds.reshape %[[R]]
// CHECK-NEXT:    %[[C:.*]] = rt.launch @{{.*}}cast(%[[V]])
// CHECK-NEXT:    return %[[C]]
func.func @view_by_later_sizes(%x: tensor<8xf32>, %s: tensor<1xi64>) -> tensor<?x2xf32> {
  %0 = ds.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  %1 = ds.bind %s as <["n"]> : tensor<1xi64>
  %2 = ds.reshape %0 {target = #ds.shape<["n", "2"]>} : (tensor<8xf32>) -> tensor<?x2xf32>
  return %2 : tensor<?x2xf32>
}

// -----

// CHECK-LABEL: func.func @view_by_earlier_sizes
// CHECK:         ds.bind
// CHECK-NEXT:    %[[R:.*]] = rt.launch @{{.*}}relu(%arg0)
// CHECK-NEXT:    %[[V:.*]] = ds.reshape %[[R]]
// CHECK-NEXT:    return %[[V]]
func.func @view_by_earlier_sizes(%x: tensor<8xf32>, %s: tensor<1xi64>) -> tensor<?x2xf32> {
  %0 = ds.bind %s as <["n"]> : tensor<1xi64>
  %1 = ds.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  %2 = ds.reshape %1 {target = #ds.shape<["n", "2"]>} : (tensor<8xf32>) -> tensor<?x2xf32>
  return %2 : tensor<?x2xf32>
}

// -----

// CHECK-LABEL: func.func @view_before_the_bind
// CHECK-NEXT:    %[[R:.*]] = rt.launch @{{.*}}relu(%arg0)
// CHECK-NEXT:    %[[V:.*]] = ds.reshape %[[R]]
// CHECK-NEXT:    ds.bind
// CHECK-NOT:     cast
// CHECK:         return %[[V]]
func.func @view_before_the_bind(%x: tensor<8xf32>, %y: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %s: tensor<1xi64>) -> (tensor<4x2xf32>, tensor<?xf32>) {
  %0 = ds.relu %x : (tensor<8xf32>) -> tensor<8xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["4", "2"]>} : (tensor<8xf32>) -> tensor<4x2xf32>
  %2 = ds.bind %s as <["n"]> : tensor<1xi64>
  %3 = ds.pad %y {low = #ds.shape<["0"]>, high = #ds.shape<["n"]>} : (tensor<?xf32>) -> tensor<?xf32>
  return %1, %3 : tensor<4x2xf32>, tensor<?xf32>
}

// -----

// The host reads a buffer of constant size: what lies in another one is copied.
// CHECK-LABEL: func.func @read_of_a_view
// CHECK:         %[[V:.*]] = ds.reshape %arg0
// CHECK-NEXT:    %[[C:.*]] = rt.launch @{{.*}}cast(%[[V]])
// CHECK-NEXT:    ds.bind %[[C]]
func.func @read_of_a_view(%s: tensor<?xi64> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  %0 = ds.reshape %s {target = #ds.shape<["1"]>} : (tensor<?xi64>) -> tensor<1xi64>
  %1 = ds.bind %0 as <["n"]> : tensor<1xi64>
  %2 = ds.fill {target = #ds.shape<["n"]>, value = 1.0 : f32} : () -> tensor<?xf32>
  return %2 : tensor<?xf32>
}

// -----

// CHECK-LABEL: func.func @read_of_a_view_of_constant_size
// CHECK-NEXT:    %[[V:.*]] = ds.reshape %arg0
// CHECK-NEXT:    ds.bind %[[V]]
func.func @read_of_a_view_of_constant_size(%s: tensor<i64>) -> tensor<?xf32> {
  %0 = ds.reshape %s {target = #ds.shape<["1"]>} : (tensor<i64>) -> tensor<1xi64>
  %1 = ds.bind %0 as <["n"]> : tensor<1xi64>
  %2 = ds.fill {target = #ds.shape<["n"]>, value = 1.0 : f32} : () -> tensor<?xf32>
  return %2 : tensor<?xf32>
}

// -----

// A size that is divided by must not be 0; it is said once, whatever divides by it, and first. That 2 is not 0 is known.
// CHECK-LABEL: func.func @divisors
// CHECK-SAME:    rt.constraints = [#rt.constraint<not_zero
// CHECK-SAME:      a size is computed by dividing by M, which is 0
// CHECK-NOT:     not_zero
// CHECK-NEXT:    rt.launch
func.func @divisors(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %y: tensor<?xf32> {ds.shape = #ds.shape<["M"]>}) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %0 = ds.fill {target = #ds.shape<["floordiv(N, M)"]>, value = 1.0 : f32} : () -> tensor<?xf32>
  %1 = ds.fill {target = #ds.shape<["1+floordiv(N, M)"]>, value = 1.0 : f32} : () -> tensor<?xf32>
  %2 = ds.fill {target = #ds.shape<["floordiv(N, 2)"]>, value = 1.0 : f32} : () -> tensor<?xf32>
  return %0, %1, %2 : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}

// -----

// Also one that only says where a slice begins.
// CHECK-LABEL: func.func @divisor_of_an_attribute
// CHECK-SAME:    #rt.constraint<not_zero
// CHECK-SAME:      by dividing by M, which is 0
func.func @divisor_of_an_attribute(%x: tensor<8xf32>, %y: tensor<?xf32> {ds.shape = #ds.shape<["M"]>}) -> tensor<1xf32> {
  %0 = ds.slice %x {start = #ds.shape<["mod(7, M)"]>, size = #ds.shape<["1"]>, step = array<i64: 1>} : (tensor<8xf32>) -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

// -----

// A donated argument that is its own result needs no copy; where it is another's, it does.
// CHECK-LABEL: func.func @unchanged
// CHECK-NEXT:    %[[C:.*]] = rt.launch @{{.*}}cast(%arg0)
// CHECK-NEXT:    return %arg0, %[[C]]
func.func @unchanged(%s: tensor<8xf32> {ds.donate = 0 : i64}) -> (tensor<8xf32>, tensor<8xf32>) {
  return %s, %s : tensor<8xf32>, tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @exchanged
// CHECK:         %[[A:.*]] = rt.launch @{{.*}}cast(%arg1)
// CHECK:         %[[B:.*]] = rt.launch @{{.*}}cast(%arg0)
// CHECK:         return %[[A]], %[[B]]
func.func @exchanged(%s: tensor<8xf32> {ds.donate = 0 : i64}, %t: tensor<8xf32> {ds.donate = 1 : i64}) -> (tensor<8xf32>, tensor<8xf32>) {
  return %t, %s : tensor<8xf32>, tensor<8xf32>
}
