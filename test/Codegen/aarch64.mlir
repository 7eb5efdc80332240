// RUN: ds-opt %s --split-input-file "--ds-generate-kernels=target=aarch64-linux-gnu" | FileCheck %s
// RUN: ds-opt %s --split-input-file "--ds-generate-kernels=target=aarch64-linux-gnu target-cpu=neoverse-v2" | FileCheck %s

// NEON's vectors have four floats, whatever else the CPU has.
// CHECK-LABEL: rt.code @flat
// CHECK:         llvm.load {{.*}} -> vector<4xf32>
// CHECK:         arith.addf {{.*}} : vector<4xf32>
// CHECK:         llvm.intr.masked.store {{.*}} : vector<4xf32>, vector<4xi1>
rt.kernel @flat(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>},
                %y: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?x8xf32> {
  %0 = ds.add %x, %y : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  rt.yield %0 : tensor<?x8xf32>
}

// -----

// The tallest register tile of 32 registers: twelve rows of two vectors in flight.
// CHECK-LABEL: rt.code @product
// CHECK-COUNT-24: vector.fma {{.*}} : vector<4xf32>
// CHECK:         scf.yield
rt.kernel @product(%a: tensor<?x32xf32> {ds.shape = #ds.shape<["N", "32"]>},
                   %w: tensor<4x32x8xf32> {ds.shape = #ds.shape<["4", "32", "8"]>}) -> tensor<?x32xf32> {
  %0 = ds.gemm %a, %w {columns = #ds.shape<["32"]>} : (tensor<?x32xf32>, tensor<4x32x8xf32>) -> tensor<?x32xf32>
  rt.yield %0 : tensor<?x32xf32>
}
