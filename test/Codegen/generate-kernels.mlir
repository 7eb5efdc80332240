// RUN: ds-opt %s --split-input-file --ds-generate-kernels=target-cpu=x86-64-v3 | FileCheck %s

// One loop over all elements: every operand is read alike. Vectors of eight on a 256-bit machine, the rest under a mask.
// CHECK-LABEL: rt.code @flat
// CHECK-SAME:    in_place
// CHECK-SAME:    range = #ds.shape<["floordiv(N+255, 256)"]>
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
// CHECK-LABEL: rt.code @product
// CHECK-SAME:    bytes = #ds.shape<["256*N+4096"]>
// CHECK-SAME:    flops = #ds.shape<["2048*N"]>
// CHECK-COUNT-12: vector.fma {{.*}} : vector<8xf32>
// CHECK:         scf.yield
rt.kernel @product(%a: tensor<?x32xf32> {ds.shape = #ds.shape<["N", "32"]>},
                   %w: tensor<2x32x16xf32> {ds.shape = #ds.shape<["2", "32", "16"]>}) -> tensor<?x32xf32> {
  %0 = ds.gemm %a, %w {columns = #ds.shape<["32"]>} : (tensor<?x32xf32>, tensor<2x32x16xf32>) -> tensor<?x32xf32>
  rt.yield %0 : tensor<?x32xf32>
}

// -----

// A reduction of the innermost dimension keeps four partial results.
// CHECK-LABEL: rt.code @rows
// CHECK-COUNT-4: arith.addf {{.*}} : vector<8xf32>
// CHECK:         vector.shuffle
// CHECK:         vector.extract
rt.kernel @rows(%x: tensor<?x?xf32> {ds.shape = #ds.shape<["N", "S"]>}) -> tensor<?xf32> {
  %0 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<?x?xf32>) -> tensor<?xf32>
  rt.yield %0 : tensor<?xf32>
}

// -----

// Bytes that a launch must move: of a table that rows are looked up in, those rows, however they are used afterwards.
// CHECK-LABEL: rt.code @lookup
// CHECK-SAME:    bytes = #ds.shape<["40*N+4*min(8*N, 8000)+64"]>
rt.kernel @lookup(%table: tensor<1000x8xf32> {ds.shape = #ds.shape<["1000", "8"]>},
                  %rows: tensor<?xi64> {ds.shape = #ds.shape<["N"]>},
                  %scale: tensor<8xf64> {ds.shape = #ds.shape<["8"]>}) -> tensor<?x8xf32> {
  %0 = ds.gather %table, %rows {axis = 0 : i64} : (tensor<1000x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %1 = ds.cast %scale : (tensor<8xf64>) -> tensor<8xf32>
  %2 = ds.mul %0, %1 : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  rt.yield %2 : tensor<?x8xf32>
}

// -----

// Two parts of one tensor, through ops that pass on what is asked of them: no more than there is.
// CHECK-LABEL: rt.code @parts
// CHECK-SAME:    bytes = #ds.shape<["24*N"]>
rt.kernel @parts(%x: tensor<?x100xf32> {ds.shape = #ds.shape<["N", "100"]>}) -> tensor<?x2xf32> {
  %0 = ds.neg %x : (tensor<?x100xf32>) -> tensor<?x100xf32>
  %1 = ds.slice %0 {start = #ds.shape<["0", "0"]>, size = #ds.shape<["N", "2"]>, step = array<i64: 1, 1>}
       : (tensor<?x100xf32>) -> tensor<?x2xf32>
  %2 = ds.slice %0 {start = #ds.shape<["0", "98"]>, size = #ds.shape<["N", "2"]>, step = array<i64: 1, 1>}
       : (tensor<?x100xf32>) -> tensor<?x2xf32>
  %3 = ds.add %1, %2 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  rt.yield %3 : tensor<?x2xf32>
}

// -----

// A root reads all of its operands.
// CHECK-LABEL: rt.code @largest
// CHECK-SAME:    bytes = #ds.shape<["6*N*S+4*N"]>
rt.kernel @largest(%x: tensor<?x?xf16> {ds.shape = #ds.shape<["N", "S"]>},
                   %y: tensor<?x?xf32> {ds.shape = #ds.shape<["N", "S"]>}) -> tensor<?xf32> {
  %0 = ds.cast %x : (tensor<?x?xf16>) -> tensor<?x?xf32>
  %1 = ds.max %0, %y : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %2 = ds.reduce_max %1 {axes = array<i64: 1>} : (tensor<?x?xf32>) -> tensor<?xf32>
  rt.yield %2 : tensor<?xf32>
}

// -----

// What a root computes it says itself, whatever loops a target has for it: here a depth that only the run knows, in f64.
// CHECK-LABEL: rt.code @depth
// CHECK-SAME:    flops = #ds.shape<["24*K"]>
rt.kernel @depth(%a: tensor<4x?xf64> {ds.shape = #ds.shape<["4", "K"]>},
                 %b: tensor<?x3xf64> {ds.shape = #ds.shape<["K", "3"]>}) -> tensor<4x3xf64> {
  %0 = ds.matmul %a, %b : (tensor<4x?xf64>, tensor<?x3xf64>) -> tensor<4x3xf64>
  %1 = ds.exp %0 : (tensor<4x3xf64>) -> tensor<4x3xf64>
  rt.yield %1 : tensor<4x3xf64>
}

// -----

// The same of a row and of a column.
// CHECK-LABEL: rt.code @row
// CHECK-SAME:    flops = #ds.shape<["7*N"]>
// CHECK-LABEL: rt.code @column
// CHECK-SAME:    flops = #ds.shape<["7*N"]>
rt.kernel @row(%x: tensor<?x7xf32> {ds.shape = #ds.shape<["N", "7"]>}) -> tensor<?xi64> {
  %0 = ds.arg_max %x {axis = 1 : i64} : (tensor<?x7xf32>) -> tensor<?xi64>
  rt.yield %0 : tensor<?xi64>
}
rt.kernel @column(%x: tensor<?x7xf32> {ds.shape = #ds.shape<["N", "7"]>}) -> tensor<7xi64> {
  %0 = ds.arg_max %x {axis = 0 : i64} : (tensor<?x7xf32>) -> tensor<7xi64>
  rt.yield %0 : tensor<7xi64>
}

// -----

// Six points of a batch that only the run knows: an item is a vector's lanes of transforms, or one after another. Plan and
// table are known: butterflies of 2 and 3, no loop over factors. Frames and their window are read by the transform itself.
// CHECK-LABEL: rt.code @frames
// CHECK-SAME:    range = #ds.shape<["floordiv(F+7, 8)"]>
// CHECK-NOT:     scf.while
// CHECK:         vector.shuffle
// CHECK:         llvm.intr.masked.store
// CHECK-NOT:     func.func private @frames.stages
rt.kernel @frames(%x: tensor<?xf32> {ds.shape = #ds.shape<["6*F"]>}, %w: tensor<6x1xf32> {ds.shape = #ds.shape<["6", "1"]>},
                  %table: tensor<12xf32> {ds.shape = #ds.shape<["12"]>}) -> tensor<?x4x2xf32> {
  %0 = ds.frames %x {axis = 0 : i64, size = #ds.shape<["6"]>, step = #ds.shape<["6"]>} : (tensor<?xf32>) -> tensor<?x6xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["F", "6", "1"]>} : (tensor<?x6xf32>) -> tensor<?x6x1xf32>
  %2 = ds.mul %1, %w : (tensor<?x6x1xf32>, tensor<6x1xf32>) -> tensor<?x6x1xf32>
  %3 = ds.dft %2, %table {axis = 1 : i64, onesided} : (tensor<?x6x1xf32>, tensor<12xf32>) -> tensor<?x4x2xf32>
  rt.yield %3 : tensor<?x4x2xf32>
}

// -----

// A length that only the run knows: factors, roots and the chirp are computed in the kernel.
// CHECK-LABEL: rt.code @any_length
// CHECK:         func.func private @any_length.stages
// CHECK:         func.func private @any_length.factors
// CHECK:           scf.while
rt.kernel @any_length(%x: tensor<?x2xf32> {ds.shape = #ds.shape<["N", "2"]>}) -> tensor<?x2xf32> {
  %0 = ds.dft %x {axis = 0 : i64} : (tensor<?x2xf32>) -> tensor<?x2xf32>
  rt.yield %0 : tensor<?x2xf32>
}
