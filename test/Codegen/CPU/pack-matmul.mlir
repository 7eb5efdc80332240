// RUN: ds-opt %s --ds-pack="tile=16" | FileCheck %s

// CHECK-LABEL: @shared_weights(
// CHECK-SAME:    %[[A:.*]]: tensor<?x?x64xf32> {{.*}}, %[[B:.*]]: tensor<64x48xf32>
// CHECK-NEXT:    %[[P:.*]] = ds.pack %[[B]] {tile = 16 : i64} : (tensor<64x48xf32>) -> tensor<3x64x16xf32>
// CHECK-NEXT:    %[[R:.*]] = ds.gemm %[[A]], %[[P]] {columns = #ds.shape<["48"]>}
// CHECK-NEXT:    return %[[R]]
func.func @shared_weights(%a: tensor<?x?x64xf32> {ds.shape = #ds.shape<["B", "S", "64"]>}, %b: tensor<64x48xf32>) -> tensor<?x?x48xf32> {
  %0 = ds.matmul %a, %b : (tensor<?x?x64xf32>, tensor<64x48xf32>) -> tensor<?x?x48xf32>
  return %0 : tensor<?x?x48xf32>
}

// CHECK-LABEL: @a_transpose_is_packed_from_its_operand(
// CHECK-SAME:    %{{.*}}, %[[B:.*]]: tensor<48x64xf32>
// CHECK-NEXT:    ds.pack %[[B]] {tile = 16 : i64, transposed} : (tensor<48x64xf32>) -> tensor<3x64x16xf32>
// CHECK-NEXT:    ds.gemm
func.func @a_transpose_is_packed_from_its_operand(%a: tensor<?x64xf32> {ds.shape = #ds.shape<["S", "64"]>}, %b: tensor<48x64xf32>) -> tensor<?x48xf32> {
  %0 = ds.transpose %b {perm = array<i64: 1, 0>} : (tensor<48x64xf32>) -> tensor<64x48xf32>
  %1 = ds.matmul %a, %0 : (tensor<?x64xf32>, tensor<64x48xf32>) -> tensor<?x48xf32>
  return %1 : tensor<?x48xf32>
}

// CHECK-LABEL: @each_batch_has_its_own(
// CHECK:         ds.pack %{{.*}} -> tensor<?x1x8x16xf32>
// CHECK-NEXT:    ds.gemm %{{.*}} {columns = #ds.shape<["16"]>} : (tensor<?x?x8xf32>, tensor<?x1x8x16xf32>) -> tensor<?x?x16xf32>
func.func @each_batch_has_its_own(%a: tensor<?x?x8xf32> {ds.shape = #ds.shape<["B", "S", "8"]>},
                                  %b: tensor<?x8x16xf32> {ds.shape = #ds.shape<["B", "8", "16"]>}) -> tensor<?x?x16xf32> {
  %0 = ds.matmul %a, %b : (tensor<?x?x8xf32>, tensor<?x8x16xf32>) -> tensor<?x?x16xf32>
  return %0 : tensor<?x?x16xf32>
}

// CHECK-LABEL: @broadcast_batches_are_expanded(
// CHECK:         %[[A:.*]] = ds.expand %{{.*}} {target = #ds.shape<["5", "6", "8"]>}
// CHECK:         ds.gemm %[[A]]
func.func @broadcast_batches_are_expanded(%a: tensor<6x8xf32>, %b: tensor<5x8x16xf32>) -> tensor<5x6x16xf32> {
  %0 = ds.matmul %a, %b : (tensor<6x8xf32>, tensor<5x8x16xf32>) -> tensor<5x6x16xf32>
  return %0 : tensor<5x6x16xf32>
}

// CHECK-LABEL: @a_vector_is_a_matrix_of_one_row(
// CHECK:         ds.reshape %{{.*}} {target = #ds.shape<["1", "2"]>}
// CHECK:         ds.gemm %{{.*}} -> tensor<1x4xf32>
// CHECK-NEXT:    ds.reshape %{{.*}} {target = #ds.shape<["4"]>}
func.func @a_vector_is_a_matrix_of_one_row(%a: tensor<2xf32>) -> tensor<4xf32> {
  %b = ds.constant dense<1.0> : tensor<2x4xf32>
  %0 = ds.matmul %a, %b : (tensor<2xf32>, tensor<2x4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// Halves, too: their panels are half as large.
// CHECK-LABEL: @halves(
// CHECK:         ds.pack %{{.*}} : (tensor<8x8xf16>) -> tensor<1x8x16xf16>
// CHECK-NEXT:    ds.gemm %{{.*}} -> tensor<8x8xf16>
func.func @halves(%half: tensor<8x8xf16>) -> tensor<8x8xf16> {
  %0 = ds.matmul %half, %half : (tensor<8x8xf16>, tensor<8x8xf16>) -> tensor<8x8xf16>
  return %0 : tensor<8x8xf16>
}

// CHECK-LABEL: @declined
// CHECK-COUNT-3: ds.matmul
func.func @declined(%a: tensor<8x8xf32>, %column: tensor<8xf32>, %row: tensor<1x8xf32>, %number: tensor<8x8xi32>)
    -> (tensor<8xf32>, tensor<1x8xf32>, tensor<8x8xi32>) {
  %0 = ds.matmul %a, %column : (tensor<8x8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %1 = ds.matmul %row, %a : (tensor<1x8xf32>, tensor<8x8xf32>) -> tensor<1x8xf32>
  %2 = ds.matmul %number, %number : (tensor<8x8xi32>, tensor<8x8xi32>) -> tensor<8x8xi32>
  return %0, %1, %2 : tensor<8xf32>, tensor<1x8xf32>, tensor<8x8xi32>
}
