// RUN: ds-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: @neutral(
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf32>
// CHECK-NEXT: return %[[X]], %[[X]], %[[X]], %[[X]]
func.func @neutral(%x: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) {
  %zero = ds.constant dense<0.0> : tensor<f32>
  %one = ds.constant dense<1.0> : tensor<1x3xf32>
  %minus = ds.constant dense<-0.0> : tensor<f32>
  %0 = ds.add %minus, %x : (tensor<f32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = ds.sub %x, %zero : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %2 = ds.mul %x, %one : (tensor<2x3xf32>, tensor<1x3xf32>) -> tensor<2x3xf32>
  %3 = ds.div %x, %one : (tensor<2x3xf32>, tensor<1x3xf32>) -> tensor<2x3xf32>
  return %0, %1, %2, %3 : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>
}

// -0 + 0 is 0, and so is -0 - -0; integers have one zero.
// CHECK-LABEL: @zeros(
// CHECK-SAME: %{{.*}}: tensor<3xf32>, %[[I:.*]]: tensor<3xi32>
// CHECK: %[[A:.*]] = ds.add
// CHECK: %[[B:.*]] = ds.sub
// CHECK: return %[[A]], %[[B]], %[[I]]
func.func @zeros(%x: tensor<3xf32>, %i: tensor<3xi32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<3xi32>) {
  %zero = ds.constant dense<0.0> : tensor<f32>
  %minus = ds.constant dense<-0.0> : tensor<f32>
  %none = ds.constant dense<0> : tensor<i32>
  %0 = ds.add %x, %zero : (tensor<3xf32>, tensor<f32>) -> tensor<3xf32>
  %1 = ds.sub %x, %minus : (tensor<3xf32>, tensor<f32>) -> tensor<3xf32>
  %2 = ds.add %i, %none : (tensor<3xi32>, tensor<i32>) -> tensor<3xi32>
  return %0, %1, %2 : tensor<3xf32>, tensor<3xf32>, tensor<3xi32>
}

// A neutral element that broadcasts the other operand stays, as does one whose dim may do so at run time.
// CHECK-LABEL: @notNeutral
// CHECK: ds.add
// CHECK: ds.mul
func.func @notNeutral(%x: tensor<1xf32>, %y: tensor<?xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
  %zero = ds.constant dense<0.0> : tensor<3xf32>
  %one = ds.constant dense<1.0> : tensor<3xf32>
  %0 = ds.add %x, %zero : (tensor<1xf32>, tensor<3xf32>) -> tensor<3xf32>
  %1 = ds.mul %y, %one : (tensor<?xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %0, %1 : tensor<3xf32>, tensor<3xf32>
}

// CHECK-LABEL: @casts
// CHECK-NEXT: ds.cast %{{.*}} : (tensor<2xi8>) -> tensor<2xi64>
// CHECK-NEXT: %[[NARROW:.*]] = ds.cast %{{.*}} : (tensor<2xf32>) -> tensor<2xi8>
// CHECK-NEXT: ds.cast %[[NARROW]] : (tensor<2xi8>) -> tensor<2xf32>
func.func @casts(%i: tensor<2xi8>, %f: tensor<2xf32>) -> (tensor<2xi64>, tensor<2xf32>) {
  %0 = ds.cast %i : (tensor<2xi8>) -> tensor<2xf32>
  %1 = ds.cast %0 : (tensor<2xf32>) -> tensor<2xi64>
  %2 = ds.cast %f : (tensor<2xf32>) -> tensor<2xi8>
  %3 = ds.cast %2 : (tensor<2xi8>) -> tensor<2xf32>
  return %1, %3 : tensor<2xi64>, tensor<2xf32>
}

// CHECK-LABEL: @movements(
// CHECK-SAME: %[[X:.*]]: tensor<2x3x4xf32>
// CHECK-NEXT: %[[T:.*]] = ds.transpose %[[X]] {perm = array<i64: 1, 0, 2>}
// CHECK-NEXT: %[[R:.*]] = ds.reshape %[[X]] {target = #ds.shape<["24"]>}
// CHECK-NEXT: return %[[T]], %[[R]], %[[X]], %[[X]]
func.func @movements(%x: tensor<2x3x4xf32>) -> (tensor<3x2x4xf32>, tensor<24xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>) {
  %0 = ds.transpose %x {perm = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  %1 = ds.transpose %0 {perm = array<i64: 2, 1, 0>} : (tensor<4x2x3xf32>) -> tensor<3x2x4xf32>
  %2 = ds.reshape %x {target = #ds.shape<["6", "4"]>} : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  %3 = ds.reshape %2 {target = #ds.shape<["24"]>} : (tensor<6x4xf32>) -> tensor<24xf32>
  %4 = ds.reshape %2 {target = #ds.shape<["2", "3", "4"]>} : (tensor<6x4xf32>) -> tensor<2x3x4xf32>
  %5 = ds.transpose %0 {perm = array<i64: 1, 2, 0>} : (tensor<4x2x3xf32>) -> tensor<2x3x4xf32>
  return %1, %3, %4, %5 : tensor<3x2x4xf32>, tensor<24xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>
}
