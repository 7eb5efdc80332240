// RUN: ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --ds-place-donations --convert-ds-to-rt | FileCheck %s

// A result that is the argument donated to it has a buffer that nothing writes.
// CHECK:      rt.program @main
// CHECK-SAME: donated_to = 0, in_place = true
// CHECK:        %[[I:.*]] = rt.buffer input 0
// CHECK-NEXT:   rt.buffer output 0
// CHECK-NEXT:   %[[R:.*]] = rt.buffer output 1
// CHECK-NOT:    rt.buffer temporary
// CHECK:        rt.dispatch @{{.*}}(%[[I]]) to(%[[R]])
// CHECK-NOT:    rt.dispatch
func.func @main(%s: tensor<4x4xf32> {ds.donate = 0 : i64}) -> (tensor<4x4xf32>, tensor<4xf32>) {
  %0 = ds.reduce_sum %s {axes = array<i64: 1>} : (tensor<4x4xf32>) -> tensor<4xf32>
  return %s, %0 : tensor<4x4xf32>, tensor<4xf32>
}
