// RUN: ds-opt %s --ds-layout | FileCheck %s

// A reshape keeps the order of what is before it where each group of dims that it merges or splits stays in one piece.

// CHECK-LABEL: @pixels_become_tokens_without_a_transpose
// CHECK-NEXT:    %[[R:.*]] = ds.reshape %{{.*}} {target = #ds.shape<["N", "H*W", "8"]>}
// CHECK-NEXT:    return %[[R]]
func.func @pixels_become_tokens_without_a_transpose(%x: tensor<?x?x?x8xf32> {ds.shape = #ds.shape<["N", "H", "W", "8"]>}) -> tensor<?x?x8xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<?x?x?x8xf32>) -> tensor<?x8x?x?xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["N", "8", "H*W"]>} : (tensor<?x8x?x?xf32>) -> tensor<?x8x?xf32>
  %2 = ds.transpose %1 {perm = array<i64: 0, 2, 1>} : (tensor<?x8x?xf32>) -> tensor<?x?x8xf32>
  return %2 : tensor<?x?x8xf32>
}

// CHECK-LABEL: @tokens_become_a_row_of_pixels
// CHECK-NEXT:    %[[R:.*]] = ds.reshape %{{.*}} {target = #ds.shape<["N", "1", "W", "8"]>}
// CHECK-NEXT:    return %[[R]]
func.func @tokens_become_a_row_of_pixels(%x: tensor<?x?x8xf32> {ds.shape = #ds.shape<["N", "W", "8"]>}) -> tensor<?x1x?x8xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["N", "8", "1", "W"]>} : (tensor<?x8x?xf32>) -> tensor<?x8x1x?xf32>
  %2 = ds.transpose %1 {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x8x1x?xf32>) -> tensor<?x1x?x8xf32>
  return %2 : tensor<?x1x?x8xf32>
}

// CHECK-LABEL: @channels_split_where_they_are
// CHECK-NEXT:    ds.reshape %{{.*}} {target = #ds.shape<["1", "4", "4", "2", "3"]>}
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 3, 4, 1, 2>}
func.func @channels_split_where_they_are(%x: tensor<1x4x4x6xf32>) -> tensor<1x2x3x4x4xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x6xf32>) -> tensor<1x6x4x4xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["1", "2", "3", "4", "4"]>} : (tensor<1x6x4x4xf32>) -> tensor<1x2x3x4x4xf32>
  return %1 : tensor<1x2x3x4x4xf32>
}

// CHECK-LABEL: @flattening_everything_needs_the_order
// CHECK-NEXT:    ds.transpose %{{.*}} {perm = array<i64: 0, 3, 1, 2>}
// CHECK-NEXT:    ds.reshape
func.func @flattening_everything_needs_the_order(%x: tensor<1x4x4x6xf32>) -> tensor<1x96xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x4x6xf32>) -> tensor<1x6x4x4xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["1", "96"]>} : (tensor<1x6x4x4xf32>) -> tensor<1x96xf32>
  return %1 : tensor<1x96xf32>
}

// Each group of dims goes its own way: 2 and 3 become 6, and 4 stays 4.
// CHECK-LABEL: @merged_dims_before_others
// CHECK-NEXT:    %[[R:.*]] = ds.reshape %arg0 {target = #ds.shape<["4", "6"]>}
// CHECK-NEXT:    ds.transpose %[[R]] {perm = array<i64: 1, 0>}
func.func @merged_dims_before_others(%x: tensor<4x2x3xf32>) -> tensor<6x4xf32> {
  %0 = ds.transpose %x {perm = array<i64: 1, 2, 0>} : (tensor<4x2x3xf32>) -> tensor<2x3x4xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["6", "4"]>} : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  return %1 : tensor<6x4xf32>
}

// Of a tensor without elements dims may come and go that no others make up for.
// CHECK-LABEL: @a_dim_goes
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %arg0
// CHECK-NEXT:    ds.reshape %[[T]] {target = #ds.shape<["0"]>}
// CHECK-LABEL: @a_dim_comes
// CHECK-NEXT:    %[[T:.*]] = ds.transpose %arg0
// CHECK-NEXT:    ds.reshape %[[T]] {target = #ds.shape<["0", "3", "2"]>}
func.func @a_dim_goes(%x: tensor<2x0xf32>) -> tensor<0xf32> {
  %0 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x0xf32>) -> tensor<0x2xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["0"]>} : (tensor<0x2xf32>) -> tensor<0xf32>
  return %1 : tensor<0xf32>
}
func.func @a_dim_comes(%x: tensor<3x0xf32>) -> tensor<0x3x2xf32> {
  %0 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<3x0xf32>) -> tensor<0x3xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["0", "3", "2"]>} : (tensor<0x3xf32>) -> tensor<0x3x2xf32>
  return %1 : tensor<0x3x2xf32>
}

// A transpose that moves dims of 1 alone is no obstacle.
// CHECK-LABEL: @dims_of_1_moved
// CHECK-NEXT:    %[[R:.*]] = ds.reshape %arg0 {target = #ds.shape<["2", "4"]>}
// CHECK-NEXT:    return %[[R]]
func.func @dims_of_1_moved(%x: tensor<1x8xf32>) -> tensor<2x4xf32> {
  %0 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<1x8xf32>) -> tensor<8x1xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["2", "4"]>} : (tensor<8x1xf32>) -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}
