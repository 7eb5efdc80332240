// RUN: ds-opt %s -ds-infer-shapes | FileCheck %s

// The chain of an exported x.view(x.size(0), x.size(1), 12, -1): shape, gather, concat, reshape.
// CHECK-LABEL: @view(
// CHECK-NEXT: ds.reshape %{{.*}} {target = #ds.shape<["N", "S", "12", "64"]>} : (tensor<?x?x768xf32>) -> tensor<?x?x12x64xf32>
// CHECK-NEXT: return
func.func @view(%x: tensor<?x?x768xf32> {ds.shape = #ds.shape<["N", "S", "768"]>}) -> tensor<?x?x?x?xf32> {
  %zero = ds.constant dense<0> : tensor<1xi64>
  %one = ds.constant dense<1> : tensor<1xi64>
  %rest = ds.constant dense<[12, -1]> : tensor<2xi64>
  %s = ds.shape_of %x : (tensor<?x?x768xf32>) -> tensor<3xi64>
  %n = ds.gather %s, %zero : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %t = ds.gather %s, %one : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %c = ds.concat %n, %t, %rest {axis = 0} : (tensor<1xi64>, tensor<1xi64>, tensor<2xi64>) -> tensor<4xi64>
  %r = ds.reshape %x, %c : (tensor<?x?x768xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  return %r : tensor<?x?x?x?xf32>
}

// A shape that is used as data becomes ds.shape_value.
// CHECK-LABEL: @data(
// CHECK-NEXT: %[[V:.*]] = ds.shape_value {scalar, shape = #ds.shape<["3*N"]>} : () -> tensor<i64>
// CHECK-NEXT: return %[[V]]
func.func @data(%x: tensor<?x3xf32> {ds.shape = #ds.shape<["N", "3"]>}) -> tensor<i64> {
  %0 = ds.size_of %x : (tensor<?x3xf32>) -> tensor<i64>
  return %0 : tensor<i64>
}

// Python's slice bounds: the last two, all but the last, backwards.
// CHECK-LABEL: @slices(
// CHECK-NEXT: ds.slice %{{.*}} {size = #ds.shape<["min(2, N)"]>, start = #ds.shape<["max(0, N-2)"]>, step = array<i64: 1>}
// CHECK-NEXT: ds.slice %{{.*}} {size = #ds.shape<["N"]>, start = #ds.shape<["N-1"]>, step = array<i64: -1>}
// CHECK-NEXT: return %{{.*}}, %{{.*}}, %arg0
func.func @slices(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %minus2 = ds.constant dense<-2> : tensor<1xi64>
  %minus1 = ds.constant dense<-1> : tensor<1xi64>
  %zero = ds.constant dense<0> : tensor<1xi64>
  %max = ds.constant dense<9223372036854775807> : tensor<1xi64>
  %min = ds.constant dense<-9223372036854775807> : tensor<1xi64>
  %0 = ds.slice %x starts %minus2 ends %max axes %zero : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  %1 = ds.slice %x starts %max ends %min axes %zero steps %minus1 : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  %2 = ds.slice %x starts %zero ends %max : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  return %0, %1, %2 : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}

// Sizes through convolutions and pools.
// CHECK-LABEL: @windows(
// CHECK: ds.conv {{.*}} -> tensor<1x4x?x5xf32>
// CHECK: ds.shape_value {shape = #ds.shape<["1", "4", "floordiv(H+1, 2)", "5"]>}
func.func @windows(%x: tensor<1x2x?x9xf32> {ds.shape = #ds.shape<["1", "2", "H", "9"]>}, %w: tensor<4x2x3x3xf32>) -> (tensor<?x?x?x?xf32>, tensor<4xi64>) {
  %0 = ds.conv %x, %w {strides = array<i64: 2, 2>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x2x?x9xf32>, tensor<4x2x3x3xf32>) -> tensor<?x?x?x?xf32>
  %1 = ds.shape_of %0 : (tensor<?x?x?x?xf32>) -> tensor<4xi64>
  return %0, %1 : tensor<?x?x?x?xf32>, tensor<4xi64>
}

// where(shape == -1, ones, shape), as exporters of Expand write it.
// CHECK-LABEL: @expand(
// CHECK-NEXT: ds.expand %{{.*}} {target = #ds.shape<["N", "4"]>} : (tensor<1x4xf32>) -> tensor<?x4xf32>
func.func @expand(%x: tensor<1x4xf32>, %y: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?x?xf32> {
  %minus = ds.constant dense<-1> : tensor<i64>
  %ones = ds.constant dense<1> : tensor<2xi64>
  %last = ds.constant dense<-1> : tensor<1xi64>
  %n = ds.shape_of %y : (tensor<?xf32>) -> tensor<1xi64>
  %s = ds.concat %n, %last {axis = 0} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %e = ds.compare eq, %s, %minus : (tensor<2xi64>, tensor<i64>) -> tensor<2xi1>
  %w = ds.select %e, %ones, %s : (tensor<2xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %r = ds.expand %x, %w : (tensor<1x4xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}

// A shape that depends on data stays an operand.
// CHECK-LABEL: @dynamic(
// CHECK: ds.reshape %{{.*}}, %{{.*}} : (tensor<4xf32>, tensor<2xi64>) -> tensor<?x?xf32>
func.func @dynamic(%x: tensor<4xf32>, %s: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = ds.reshape %x, %s : (tensor<4xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
