// RUN: ds-opt %s --split-input-file --ds-group | FileCheck %s

// A root takes the pointwise ops that follow it; the cheap op before it is computed in place.
// CHECK-LABEL: rt.kernel @ds_k0_reduce_sum
// CHECK-NEXT:    ds.mul
// CHECK-NEXT:    ds.reduce_sum
// CHECK-NEXT:    ds.relu
// CHECK-NEXT:    rt.yield
// CHECK:       func.func @main
// CHECK-NEXT:    rt.launch @ds_k0_reduce_sum(%arg0)
// CHECK-NEXT:    return
func.func @main(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
  %0 = ds.mul %x, %x : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = ds.reduce_sum %0 {axes = array<i64: 1>} : (tensor<?x8xf32>) -> tensor<?xf32>
  %2 = ds.relu %1 : (tensor<?xf32>) -> tensor<?xf32>
  return %2 : tensor<?xf32>
}

// -----

// Equal kernels exist once.
// CHECK:     rt.kernel @[[K:.*]](
// CHECK-NOT: rt.kernel
// CHECK:     func.func @twice
// CHECK-COUNT-2: rt.launch @[[K]](
func.func @twice(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = ds.reduce_max %x {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %1 = ds.reduce_max %y {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// A result with two users is stored, not computed twice.
// CHECK-COUNT-2: rt.kernel
// CHECK-LABEL:   func.func @shared
// CHECK:           %[[E:.*]] = rt.launch @{{.*}}exp(%arg0)
// CHECK:           rt.launch @{{.*}}(%[[E]])
func.func @shared(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4xf32>) {
  %0 = ds.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.reduce_sum %0 {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4x8xf32>, tensor<4xf32>
}

// -----

// A reshape only renames memory; an input that is returned is copied.
// CHECK-LABEL: func.func @views
// CHECK:         %[[R:.*]] = ds.reshape
// CHECK:         %[[C:.*]] = rt.launch @{{.*}}cast(%arg0)
// CHECK:         return %[[C]], %[[R]]
func.func @views(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<32xf32>) {
  %0 = ds.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["32"]>} : (tensor<4x8xf32>) -> tensor<32xf32>
  return %x, %1 : tensor<4x8xf32>, tensor<32xf32>
}

// -----

// A mask that all batches share follows the product in the same kernel.
// CHECK-LABEL: rt.kernel @ds_k0_gemm
// CHECK-NEXT:    ds.gemm
// CHECK-NEXT:    ds.add
func.func @mask(%a: tensor<2x3x4x8xf32>, %w: tensor<2x3x1x8x32xf32>, %m: tensor<4x6xf32>) -> tensor<2x3x4x6xf32> {
  %0 = ds.gemm %a, %w {columns = #ds.shape<["6"]>} : (tensor<2x3x4x8xf32>, tensor<2x3x1x8x32xf32>) -> tensor<2x3x4x6xf32>
  %1 = ds.add %0, %m : (tensor<2x3x4x6xf32>, tensor<4x6xf32>) -> tensor<2x3x4x6xf32>
  return %1 : tensor<2x3x4x6xf32>
}

// -----

// A kernel that one function does not need after all is there for the next.
// CHECK:       rt.kernel @[[NEG:.*neg]](
// CHECK-LABEL: func.func @unused
// CHECK-NOT:     @[[NEG]]
// CHECK-LABEL: func.func @used
// CHECK:         rt.launch @[[NEG]](
func.func @unused(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = ds.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ds.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}
func.func @used(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = ds.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// An op that has a value for two operands computes it once, so that a chain of them is one kernel; it has at most 64 ops.
// CHECK:       rt.kernel
// CHECK-COUNT-3: ds.mul
// CHECK-NEXT:    rt.yield
// CHECK-NOT:   rt.kernel
// CHECK-LABEL: func.func @squares
// CHECK-COUNT-1: rt.launch
// CHECK-NEXT:  return
func.func @squares(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  %0 = ds.mul %x, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %1 = ds.mul %0, %0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %2 = ds.mul %1, %1 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %2 : tensor<?xf32>
}

// -----

// The epilogue of a root, too.
// CHECK:       rt.kernel @{{.*}}reduce_sum
// CHECK:         ds.reduce_sum
// CHECK-NEXT:    ds.mul
// CHECK-NEXT:    rt.yield
// CHECK-LABEL: func.func @square_of_a_sum
// CHECK-COUNT-1: rt.launch
// CHECK-NEXT:  return
func.func @square_of_a_sum(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
  %0 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<?x8xf32>) -> tensor<?xf32>
  %1 = ds.mul %0, %0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// -----

// Where the operands are read at different places, each place is computed: the value is stored.
// CHECK-LABEL: func.func @outer_product
// CHECK-COUNT-2: rt.launch
func.func @outer_product(%x: tensor<8x1xf32>) -> tensor<8x8xf32> {
  %0 = ds.exp %x : (tensor<8x1xf32>) -> tensor<8x1xf32>
  %1 = ds.transpose %0 {perm = array<i64: 1, 0>} : (tensor<8x1xf32>) -> tensor<1x8xf32>
  %2 = ds.mul %0, %1 : (tensor<8x1xf32>, tensor<1x8xf32>) -> tensor<8x8xf32>
  return %2 : tensor<8x8xf32>
}
