// RUN: ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --convert-ds-to-rt --ds-assign-memory | FileCheck %s
// RUN: ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --convert-ds-to-rt --ds-assign-memory --convert-rt-to-llvm \
// RUN:   | FileCheck %s --check-prefix=LLVM

// What is read lives until it is read, between the kernels.
// CHECK:      %[[IN:.*]] = rt.buffer input 0
// CHECK:      %[[OUT:.*]] = rt.buffer output 0 bytes <["8*n"]>
// CHECK:      %[[TMP:.*]] = rt.buffer temporary 0 bytes <["8"]> {first = 0 : i64, last = 0 : i64}
// CHECK:      rt.dispatch @{{.*}}(%[[IN]]) to(%[[TMP]])
// CHECK-NEXT: rt.bind %[[TMP]] as <["n"]> {width = 64 : i64}
// CHECK-NEXT: rt.dispatch @{{.*}}() to(%[[OUT]])

// Sizes and launches of two stages.
// LLVM:       llvm.func internal @ds_program_sizes(%[[STAGE:.*]]: i32, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i32
// LLVM-NEXT:    llvm.switch %[[STAGE]] : i32
// LLVM:       llvm.func internal @ds_program_run(%[[NUMBER:.*]]: i32, %{{.*}}: !llvm.ptr) -> i32
// LLVM:         llvm.switch %[[NUMBER]] : i32
func.func @main(%s: tensor<1xi64> {ds.name = "s"}) -> (tensor<?xi64> {ds.name = "y"}) {
  %c = ds.constant dense<2> : tensor<1xi64>
  %0 = ds.mul %s, %c : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %1 = ds.bind %0 as <["n"]> : tensor<1xi64>
  %2 = ds.fill {target = #ds.shape<["n"]>, value = 1 : i64} : () -> tensor<?xi64>
  return %2 : tensor<?xi64>
}
