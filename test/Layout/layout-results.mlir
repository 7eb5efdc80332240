// RUN: ds-opt %s --ds-layout | FileCheck %s

// Channels last, the constant's dim and the symbol broadcast in another order, and the result's size is a number: what the
// region and the function return is of the same type.
// CHECK: func.func @main({{.*}}) -> tensor<?x3x?x?xf32>
// CHECK: ds.static({{.*}}) -> tensor<?x3x?x?xf32>
func.func @main(%x: tensor<?x?x?x?xf32> {ds.shape = #ds.shape<["N", "H", "W", "C"]>}) -> tensor<?x?x?x?xf32> {
  %0 = ds.static(%a = %x : tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32> {
    %w = ds.constant dense<[[[2.0]], [[3.0]], [[4.0]]]> : tensor<3x1x1xf32>
    %t = ds.transpose %a {perm = array<i64: 0, 3, 1, 2>} : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
    %p = ds.max_pool %t {dilations = array<i64: 1, 1>, kernel = array<i64: 2, 2>, pads_high = array<i64: 0, 0>, pads_low = array<i64: 0, 0>, strides = array<i64: 1, 1>} : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
    %m = ds.mul %p, %w : (tensor<?x?x?x?xf32>, tensor<3x1x1xf32>) -> tensor<?x?x?x?xf32>
    ds.return %m : tensor<?x?x?x?xf32>
  }
  return %0 : tensor<?x?x?x?xf32>
}
