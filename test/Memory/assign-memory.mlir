// RUN: ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --convert-ds-to-rt --ds-assign-memory | FileCheck %s

// Inputs, outputs and temporaries have buffers; the last kernel writes the output itself. The exponential works in place of
// the transposed values, which nobody needs afterwards.
// CHECK:      rt.program @main attributes
// CHECK-SAME:   inputs = [#rt.tensor<name = "x", type = tensor<?x8xf32>, shape = <["N", "8"]>>]
// CHECK:      %[[IN:.*]] = rt.buffer input 0 bytes <["32*N"]>
// CHECK:      %[[OUT0:.*]] = rt.buffer output 0 bytes <["32"]>
// CHECK:      %[[OUT1:.*]] = rt.buffer output 1 bytes <["4*N"]>
// CHECK:      %[[TMP:.*]] = rt.buffer temporary 0 bytes <["32*N"]> {first = 0 : i64, last = 3 : i64}
// CHECK-NOT:  rt.buffer
// CHECK:      rt.dispatch @{{.*}}softmax(%[[IN]]) to(%[[TMP]])
// CHECK:      rt.dispatch @{{.*}}exp(%[[TMP]]) to(%[[TMP]])
// CHECK:      rt.dispatch @{{.*}}reduce_sum(%[[TMP]]) to(%[[OUT0]])
// CHECK:      rt.dispatch @{{.*}}reduce_sum(%[[TMP]]) to(%[[OUT1]])
func.func @main(%x: tensor<?x8xf32> {ds.name = "x", ds.shape = #ds.shape<["N", "8"]>})
    -> (tensor<8xf32> {ds.name = "columns"}, tensor<?xf32> {ds.name = "rows"}) {
  %0 = ds.softmax %x {axis = 0 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %v = ds.reshape %0 {target = #ds.shape<["8*N"]>} : (tensor<?x8xf32>) -> tensor<?xf32>
  %e = ds.exp %v : (tensor<?xf32>) -> tensor<?xf32>
  %w = ds.reshape %e {target = #ds.shape<["N", "8"]>} : (tensor<?xf32>) -> tensor<?x8xf32>
  %1 = ds.reduce_sum %w {axes = array<i64: 0>} : (tensor<?x8xf32>) -> tensor<8xf32>
  %2 = ds.reduce_sum %w {axes = array<i64: 1>} : (tensor<?x8xf32>) -> tensor<?xf32>
  return %1, %2 : tensor<8xf32>, tensor<?xf32>
}
