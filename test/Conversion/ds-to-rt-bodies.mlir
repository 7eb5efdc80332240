// RUN: ds-opt %s --ds-form-regions --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --convert-ds-to-rt --ds-assign-memory | FileCheck %s
// RUN: ds-opt %s --ds-form-regions --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --convert-ds-to-rt --ds-assign-memory \
// RUN:   --convert-rt-to-llvm | FileCheck %s --check-prefix=LLVM

// What a body made is a buffer of kind `result`; an output of the program is written by a kernel of its own. What a call
// reads lives until then.
// CHECK-LABEL: rt.program @main
// CHECK-DAG:   %[[X:.*]] = rt.buffer input 0
// CHECK-DAG:   %[[C:.*]] = rt.buffer input 1
// CHECK-DAG:   %[[Y:.*]] = rt.buffer output 0 bytes <["4*r0"]>
// CHECK-DAG:   %[[A:.*]] = rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 1 : i64}
// CHECK-DAG:   %[[B:.*]] = rt.buffer temporary 1 bytes <["4*N"]> {first = 1 : i64, last = 1 : i64}
// CHECK-DAG:   %[[R:.*]] = rt.buffer result 0 bytes <["4*r0"]>
// CHECK:       rt.dispatch @{{.*}}(%[[X]]) to(%[[A]])
// CHECK:       rt.dispatch @{{.*}}(%[[A]]) to(%[[B]])
// CHECK:       rt.call branch [@left, @right] while %[[C]](%[[A]], %[[B]]) to(%[[R]])
// CHECK-SAME:    split = 1 : i64
// CHECK-SAME:    symbols = #ds.shape<["r0"]>
// CHECK:       rt.dispatch @{{.*}}(%[[R]]) to(%[[Y]])

// Symbols that bodies need come from the caller; each is a program with a table of its own.
// LLVM:      rt.program @left attributes {{.*}}given = ["N"]
// LLVM:      rt.program @right attributes {{.*}}given = ["N"]
// LLVM-DAG:  llvm.mlir.global internal constant @ds_program_bodies() {{.*}} : !llvm.array<2 x ptr>
// LLVM-DAG:  llvm.mlir.global external constant @ds_program()
// LLVM-DAG:  llvm.mlir.global internal constant @ds_body0()
// LLVM-DAG:  llvm.mlir.global internal constant @ds_body1()
func.func @main(%x: tensor<?xf32> {ds.name = "x", ds.shape = #ds.shape<["N"]>}, %c: tensor<i1> {ds.name = "c"})
    -> (tensor<?xf32> {ds.name = "y"}) {
  %a = ds.exp %x : (tensor<?xf32>) -> tensor<?xf32>
  %b = ds.cum_sum %a {axis = 0 : i64} : (tensor<?xf32>) -> tensor<?xf32>
  %0 = ds.if %c then @left(%a) else @right(%b) {shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>}
    : (tensor<i1>, tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
func.func private @left(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  %0 = ds.concat %x, %x {axis = 0 : i64} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
func.func private @right(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  %0 = ds.abs %x : (tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
