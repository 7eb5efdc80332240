// RUN: ds-opt %s --ds-compile-pipeline=target-cpu=x86-64-v4 | FileCheck %s
// RUN: ds-opt %s --ds-simplify-pipeline --ds-regions-pipeline --ds-layout-pipeline --ds-pack-pipeline=target-cpu=x86-64-v4 \
// RUN:   --ds-group-pipeline --ds-kernels-pipeline=target-cpu=x86-64-v4 --ds-host-pipeline --ds-to-llvm-pipeline \
// RUN:   | FileCheck %s

// Nothing but LLVM is left in kernels and host; the host's description stays beside them.
// CHECK:     rt.code @ds_k0_matmul
// CHECK:       llvm.func @ds_k0_matmul
// CHECK-NOT: {{arith|scf|vector|func}}.{{[a-z]+}}
// CHECK:     rt.program @main attributes {{.*}}outputs
// CHECK:     module @host
// CHECK-NOT: {{arith|scf|vector}}.{{[a-z]+}}
func.func @main(%x: tensor<?x4xf32> {ds.name = "x", ds.shape = #ds.shape<["N", "4"]>}) -> (tensor<?x2xf32> {ds.name = "y"}) {
  %w = ds.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32>
  %0 = ds.matmul %x, %w : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
