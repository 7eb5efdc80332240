// RUN: ds-opt %s --split-input-file --ds-generate-kernels=target-cpu=x86-64-v3 | FileCheck %s

// One loop over all elements: every operand is read alike. Vectors of eight on a 256-bit machine, the rest under a mask.
// CHECK-LABEL: module @flat
// CHECK-SAME:    rt.in_place
// CHECK-SAME:    rt.range = #ds.shape<["floordiv(N+255, 256)"]>
// CHECK:         llvm.load {{.*}} -> vector<8xf32>
// CHECK:         arith.addf {{.*}} : vector<8xf32>
// CHECK:         llvm.store {{.*}} : vector<8xf32>
// CHECK:         llvm.intr.masked.load
// CHECK:         llvm.intr.masked.store
// CHECK-NOT:     memref
rt.kernel @flat(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>},
                %y: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?x8xf32> {
  %0 = ds.add %x, %y : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  rt.yield %0 : tensor<?x8xf32>
}

// -----

// The tallest register tile of 16 registers: six rows of two vectors in flight.
// CHECK-LABEL: module @product
// CHECK-SAME:    rt.flops = #ds.shape<["2048*N"]>
// CHECK-COUNT-12: vector.fma {{.*}} : vector<8xf32>
// CHECK:         scf.yield
rt.kernel @product(%a: tensor<?x32xf32> {ds.shape = #ds.shape<["N", "32"]>},
                   %w: tensor<2x32x16xf32> {ds.shape = #ds.shape<["2", "32", "16"]>}) -> tensor<?x32xf32> {
  %0 = ds.gemm %a, %w {columns = #ds.shape<["32"]>} : (tensor<?x32xf32>, tensor<2x32x16xf32>) -> tensor<?x32xf32>
  rt.yield %0 : tensor<?x32xf32>
}

// -----

// A reduction of the innermost dimension keeps four partial results.
// CHECK-LABEL: module @rows
// CHECK-COUNT-4: arith.addf {{.*}} : vector<8xf32>
// CHECK:         vector.shuffle
// CHECK:         vector.extract
rt.kernel @rows(%x: tensor<?x?xf32> {ds.shape = #ds.shape<["N", "S"]>}) -> tensor<?xf32> {
  %0 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<?x?xf32>) -> tensor<?xf32>
  rt.yield %0 : tensor<?xf32>
}
