// RUN: ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --convert-ds-to-rt --ds-assign-memory --convert-rt-to-llvm \
// RUN:   | FileCheck %s

// CHECK-LABEL: module @host
// Every multiplication of a size is checked; overflow is the last constraint.
// CHECK:         llvm.func internal @ds_program_sizes(%[[SYMBOLS:.*]]: !llvm.ptr, %[[VALUES:.*]]: !llvm.ptr) -> i32
// CHECK:           %[[N:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK:           llvm.intr.smul.with.overflow
// CHECK:           arith.select
// CHECK:           llvm.return
// CHECK:         llvm.func @[[K:ds_k0_.*]](!llvm.ptr, !llvm.ptr, i64, i64) -> i32
// A launch that fails ends the run with its code.
// CHECK:         llvm.func internal @ds_program_run
// CHECK:           llvm.mlir.addressof @[[K]]
// CHECK:           %[[CODE:.*]] = llvm.call
// CHECK:           llvm.icmp "ne" %[[CODE]]
// CHECK:           llvm.cond_br
// CHECK:         llvm.mlir.global external constant @ds_program()
func.func @main(%x: tensor<?x8xf32> {ds.name = "x", ds.shape = #ds.shape<["N", "8"]>})
    -> (tensor<?xf32> {ds.name = "y"}) {
  %0 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<?x8xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
