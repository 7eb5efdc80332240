// RUN: ds-opt %s --split-input-file --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --ds-place-donations | FileCheck %s

// What the launch reads beside the input may be of any shape.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %arg0: tensor<4x8xf32> {ds.donate = 0 : i64, ds.in_place}
func.func @main(%s: tensor<4x8xf32> {ds.donate = 0 : i64}, %x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = ds.reduce_max %x {axes = array<i64: 1>, keepdims} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %1 = ds.add %s, %0 : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// The same elements, but by dims of their own: only where those are the output's is it known that each element is read where
// it is written.
// CHECK-LABEL: func.func @main
// CHECK-NOT:     ds.in_place
// CHECK:         rt.launch @{{.*}}add(%arg0
// CHECK:         return
func.func @main(%s: tensor<4xf32> {ds.donate = 0 : i64}, %x: tensor<1x4xf32>) -> tensor<4xf32> {
  %0 = ds.add %s, %x : (tensor<4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["4"]>} : (tensor<1x4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// Views of what is made move with it.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    ds.in_place
// CHECK:         rt.launch @{{.*}}reduce_sum(%arg0)
// CHECK-NEXT:    %[[A:.*]] = rt.launch @{{.*}}add(%arg0
// CHECK-NEXT:    %[[V:.*]] = ds.reshape %[[A]]
// CHECK-NEXT:    return %[[V]]
func.func @main(%s: tensor<32xf32> {ds.donate = 0 : i64}, %x: tensor<32xf32>) -> (tensor<4x8xf32>, tensor<f32>) {
  %0 = ds.add %s, %x : (tensor<32xf32>, tensor<32xf32>) -> tensor<32xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["4", "8"]>} : (tensor<32xf32>) -> tensor<4x8xf32>
  %2 = ds.reduce_sum %s {axes = array<i64: 0>} : (tensor<32xf32>) -> tensor<f32>
  return %1, %2 : tensor<4x8xf32>, tensor<f32>
}

// -----

// Another donation is not in the way.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %arg0: tensor<4x8xf32> {ds.donate = 0 : i64, ds.in_place}
// CHECK-SAME:    %arg1: tensor<4x8xf32> {ds.donate = 1 : i64, ds.in_place}
// CHECK:         rt.launch @{{.*}}mul(%arg1
// CHECK-NEXT:    rt.launch @{{.*}}reduce_sum(%arg0
// CHECK-NEXT:    rt.launch @{{.*}}add(%arg0
func.func @main(%s: tensor<4x8xf32> {ds.donate = 0 : i64}, %t: tensor<4x8xf32> {ds.donate = 1 : i64}, %x: tensor<4x8xf32>)
    -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>) {
  %0 = ds.add %s, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.mul %t, %t : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ds.reduce_sum %s {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0, %1, %2 : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>
}

// -----

// It is where the sum would move behind what overwrites its second operand.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %arg0: tensor<4x8xf32> {ds.donate = 0 : i64}
// CHECK-SAME:    %arg1: tensor<4x8xf32> {ds.donate = 1 : i64, ds.in_place}
// CHECK:         rt.launch @{{.*}}add(%arg0, %arg1
// CHECK-NEXT:    rt.launch @{{.*}}mul(%arg2
// CHECK-NEXT:    rt.launch @{{.*}}reduce_sum(%arg0
func.func @main(%s: tensor<4x8xf32> {ds.donate = 0 : i64}, %t: tensor<4x8xf32> {ds.donate = 1 : i64}, %x: tensor<4x8xf32>)
    -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>) {
  %0 = ds.add %s, %t : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ds.reduce_sum %s {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0, %1, %2 : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>
}

// -----

// One launch makes the next values of two states and of what they are kept for, each where it reads the old one.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %arg0: tensor<4x8xf32> {ds.donate = 0 : i64, ds.in_place}
// CHECK-SAME:    %arg1: tensor<4x8xf32> {ds.donate = 1 : i64, ds.in_place}
// CHECK:         rt.launch
// CHECK-NOT:     rt.launch
// CHECK:         return
func.func @main(%p: tensor<4x8xf32> {ds.donate = 0 : i64}, %m: tensor<4x8xf32> {ds.donate = 1 : i64},
                %g: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = ds.add %m, %g : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.sub %p, %0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1, %0 : tensor<4x8xf32>, tensor<4x8xf32>
}
