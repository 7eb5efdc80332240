// RUN: ds-opt %s --ds-layout | FileCheck %s

// Where an operand says what is done to each dim, its entries are in the order of the outer dims: a transpose stays in
// front. Each op reads it.

// CHECK-LABEL: @slice
// CHECK-NEXT:    %[[T:.*]] = ds.transpose
// CHECK-NEXT:    ds.slice %[[T]] starts %arg1 ends %arg2
func.func @slice(%x: tensor<4x6x2xf32>, %s: tensor<3xi64>, %e: tensor<3xi64>) -> tensor<?x?x?xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<4x6x2xf32>) -> tensor<4x2x6xf32>
  %1 = ds.slice %0 starts %s ends %e : (tensor<4x2x6xf32>, tensor<3xi64>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %1 : tensor<?x?x?xf32>
}

// CHECK-LABEL: @pad
// CHECK-NEXT:    %[[T:.*]] = ds.transpose
// CHECK-NEXT:    ds.pad %[[T]] pads %arg1
func.func @pad(%x: tensor<4x6x2xf32>, %p: tensor<6xi64>) -> tensor<?x?x?xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<4x6x2xf32>) -> tensor<4x2x6xf32>
  %1 = ds.pad %0 pads %p : (tensor<4x2x6xf32>, tensor<6xi64>) -> tensor<?x?x?xf32>
  return %1 : tensor<?x?x?xf32>
}

// CHECK-LABEL: @tile
// CHECK-NEXT:    %[[T:.*]] = ds.transpose
// CHECK-NEXT:    ds.tile %[[T]], %arg1
func.func @tile(%x: tensor<4x6x2xf32>, %r: tensor<3xi64>) -> tensor<?x?x?xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<4x6x2xf32>) -> tensor<4x2x6xf32>
  %1 = ds.tile %0, %r : (tensor<4x2x6xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %1 : tensor<?x?x?xf32>
}

// CHECK-LABEL: @expand
// CHECK-NEXT:    %[[T:.*]] = ds.transpose
// CHECK-NEXT:    ds.expand %[[T]], %arg1
func.func @expand(%x: tensor<4x6x2xf32>, %s: tensor<3xi64>) -> tensor<?x?x?xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<4x6x2xf32>) -> tensor<4x2x6xf32>
  %1 = ds.expand %0, %s : (tensor<4x2x6xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %1 : tensor<?x?x?xf32>
}

// CHECK-LABEL: @reshape
// CHECK-NEXT:    %[[T:.*]] = ds.transpose
// CHECK-NEXT:    ds.reshape %[[T]], %arg1
func.func @reshape(%x: tensor<4x6x2xf32>, %s: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<4x6x2xf32>) -> tensor<4x2x6xf32>
  %1 = ds.reshape %0, %s : (tensor<4x2x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// CHECK-LABEL: @top_k
// CHECK-NEXT:    %[[T:.*]] = ds.transpose
// CHECK-NEXT:    ds.top_k %[[T]], %arg1
func.func @top_k(%x: tensor<4x6x2xf32>, %k: tensor<i64>) -> tensor<4x?x6xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<4x6x2xf32>) -> tensor<4x2x6xf32>
  %1:2 = ds.top_k %0, %k {axis = 1} : (tensor<4x2x6xf32>, tensor<i64>) -> (tensor<4x?x6xf32>, tensor<4x?x6xi64>)
  return %1#0 : tensor<4x?x6xf32>
}

// CHECK-LABEL: @resize
// CHECK-NEXT:    %[[T:.*]] = ds.transpose
// CHECK-NEXT:    ds.resize %[[T]], %arg1
func.func @resize(%x: tensor<4x6x2xf32>, %g: tensor<9xf32>) -> tensor<4x2x12xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<4x6x2xf32>) -> tensor<4x2x6xf32>
  %1 = ds.resize %0, %g {size = #ds.shape<["4", "2", "12"]>, scales = array<f64: 1.0, 1.0, 0.0>} : (tensor<4x2x6xf32>, tensor<9xf32>) -> tensor<4x2x12xf32>
  return %1 : tensor<4x2x12xf32>
}

// CHECK-LABEL: @fill
// CHECK-NEXT:    %[[T:.*]] = ds.transpose
// CHECK-NEXT:    %[[F:.*]] = ds.fill %arg1
// CHECK-NEXT:    ds.add %[[T]], %[[F]]
func.func @fill(%x: tensor<4x6x2xf32>, %s: tensor<3xi64>) -> tensor<?x?x?xf32> {
  %0 = ds.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<4x6x2xf32>) -> tensor<4x2x6xf32>
  %1 = ds.fill %s {value = 1.0 : f32} : (tensor<3xi64>) -> tensor<?x?x?xf32>
  %2 = ds.add %0, %1 : (tensor<4x2x6xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  return %2 : tensor<?x?x?xf32>
}
