// RUN: ds-opt %s -ds-fold-constants | FileCheck %s

// CHECK-LABEL: @arithmetic
// CHECK-NEXT: %[[F:.*]] = ds.constant dense<{{\[}}[3.000000e+00, 4.000000e+00], [5.000000e+00, 6.000000e+00]]> : tensor<2x2xf32>
// CHECK-NEXT: %[[I:.*]] = ds.constant dense<[-3, 2]> : tensor<2xi8>
// CHECK-NEXT: %[[C:.*]] = ds.constant dense<[false, true]> : tensor<2xi1>
// CHECK-NEXT: return %[[F]], %[[I]], %[[C]]
func.func @arithmetic() -> (tensor<2x2xf32>, tensor<2xi8>, tensor<2xi1>) {
  %a = ds.constant dense<[[1.0], [3.0]]> : tensor<2x1xf32>
  %b = ds.constant dense<[2.0, 3.0]> : tensor<2xf32>
  %0 = ds.add %a, %b : (tensor<2x1xf32>, tensor<2xf32>) -> tensor<2x2xf32>
  %i = ds.constant dense<[-7, 5]> : tensor<2xi8>
  %j = ds.constant dense<2> : tensor<i8>
  %1 = ds.div %i, %j : (tensor<2xi8>, tensor<i8>) -> tensor<2xi8>
  %2 = ds.compare gt, %i, %j : (tensor<2xi8>, tensor<i8>) -> tensor<2xi1>
  return %0, %1, %2 : tensor<2x2xf32>, tensor<2xi8>, tensor<2xi1>
}

// CHECK-LABEL: @movement
// CHECK-NEXT: ds.constant dense<{{\[}}[1, 4], [2, 5], [3, 6]]> : tensor<3x2xi32>
// CHECK-NEXT: ds.constant dense<{{\[}}[3, 2], [6, 5]]> : tensor<2x2xi32>
// CHECK-NEXT: ds.constant dense<{{\[}}[1, 2, 3, 1], [4, 5, 6, 4]]> : tensor<2x4xi32>
// CHECK-NEXT: ds.constant dense<{{\[}}[4, 5, 6]]> : tensor<1x3xi32>
// CHECK-NEXT: ds.constant dense<[6, 15]> : tensor<2xi32>
func.func @movement() -> (tensor<3x2xi32>, tensor<2x2xi32>, tensor<2x4xi32>, tensor<1x3xi32>, tensor<2xi32>) {
  %x = ds.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi32>
  %last = ds.constant dense<-1> : tensor<1xi64>
  %0 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xi32>) -> tensor<3x2xi32>
  %1 = ds.slice %x {start = #ds.shape<["0", "2"]>, size = #ds.shape<["2", "2"]>, step = array<i64: 1, -1>} : (tensor<2x3xi32>) -> tensor<2x2xi32>
  %first = ds.slice %x {start = #ds.shape<["0", "0"]>, size = #ds.shape<["2", "1"]>, step = array<i64: 1, 1>} : (tensor<2x3xi32>) -> tensor<2x1xi32>
  %2 = ds.concat %x, %first {axis = 1} : (tensor<2x3xi32>, tensor<2x1xi32>) -> tensor<2x4xi32>
  %3 = ds.gather %x, %last : (tensor<2x3xi32>, tensor<1xi64>) -> tensor<1x3xi32>
  %4 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<2x3xi32>) -> tensor<2xi32>
  return %0, %1, %2, %3, %4 : tensor<3x2xi32>, tensor<2x2xi32>, tensor<2x4xi32>, tensor<1x3xi32>, tensor<2xi32>
}

// A weight stays compressed, and what is an error at run time stays too.
// CHECK-LABEL: @declined
// CHECK: ds.cast
// CHECK: ds.expand
// CHECK: ds.div
func.func @declined() -> (tensor<40000xf32>, tensor<1000x40xf32>, tensor<1xi32>) {
  %w = ds.constant dense<3> : tensor<40000xi8>
  %0 = ds.cast %w : (tensor<40000xi8>) -> tensor<40000xf32>
  %one = ds.constant dense<1.0> : tensor<1xf32>
  %1 = ds.expand %one {target = #ds.shape<["1000", "40"]>} : (tensor<1xf32>) -> tensor<1000x40xf32>
  %zero = ds.constant dense<0> : tensor<1xi32>
  %2 = ds.div %zero, %zero : (tensor<1xi32>, tensor<1xi32>) -> tensor<1xi32>
  return %0, %1, %2 : tensor<40000xf32>, tensor<1000x40xf32>, tensor<1xi32>
}
