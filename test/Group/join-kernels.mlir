// RUN: ds-opt %s --split-input-file --ds-group | FileCheck %s

// Which kernels are computed together: what is read is read once, and each has a result of its own.

// An optimizer's moment and its parameter: one reads what the other makes.
// CHECK-LABEL: rt.kernel @{{.*}}(%arg0: tensor<4x8xf32>
// CHECK:         rt.yield %{{.*}}, %{{.*}} : tensor<4x8xf32>, tensor<4x8xf32>
// CHECK-LABEL: func.func @moment_and_parameter
// CHECK-NEXT:    %[[R:.*]]:2 = rt.launch @{{.*}}(%arg1, %arg2, %arg0)
// CHECK-NEXT:    return %[[R]]#1, %[[R]]#0
func.func @moment_and_parameter(%p: tensor<4x8xf32>, %m: tensor<4x8xf32>, %g: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = ds.add %m, %g : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.sub %p, %0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1, %0 : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// Two that read one tensor. What nobody else reads is no result.
// CHECK-LABEL: func.func @readers_of_one_tensor
// CHECK-NEXT:    %[[R:.*]]:2 = rt.launch @{{.*}}(%arg0, %arg1)
// CHECK-NEXT:    return %[[R]]#0, %[[R]]#1
func.func @readers_of_one_tensor(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xi1>) {
  %0 = ds.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ds.tanh %0 : (tensor<4xf32>) -> tensor<4xf32>
  %2 = ds.mul %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %3 = ds.compare gt, %x, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  return %2, %3 : tensor<4xf32>, tensor<4xi1>
}

// -----

// Nothing to read together, and other dims.
// CHECK-LABEL: func.func @nothing_in_common
// CHECK-NEXT:    rt.launch @{{.*}}exp(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}exp(%arg1)
// CHECK-NEXT:    rt.launch @{{.*}}add(%arg2, %arg0)
// CHECK-NEXT:    return
func.func @nothing_in_common(%x: tensor<4xf32>, %y: tensor<4xf32>, %z: tensor<2x4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<2x4xf32>) {
  %0 = ds.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ds.exp %y : (tensor<4xf32>) -> tensor<4xf32>
  %2 = ds.add %z, %x : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<2x4xf32>
}

// -----

// What a kernel between the two needs cannot wait for the second.
// CHECK-LABEL: func.func @needed_between
// CHECK-NEXT:    %[[E:.*]] = rt.launch @{{.*}}exp(%arg0)
// CHECK-NEXT:    %[[S:.*]] = rt.launch @{{.*}}cum_sum(%[[E]])
// CHECK-NEXT:    rt.launch @{{.*}}add(%arg0, %[[S]])
// CHECK-NEXT:    return
func.func @needed_between(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = ds.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ds.cum_sum %0 {axis = 0 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  %2 = ds.add %x, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0, %2 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Nor can what has another name before it.
// CHECK-LABEL: func.func @viewed_between
// CHECK-NEXT:    %[[E:.*]] = rt.launch @{{.*}}exp(%arg0)
// CHECK-NEXT:    ds.reshape %[[E]]
// CHECK-NEXT:    rt.launch @{{.*}}neg(%arg0)
func.func @viewed_between(%x: tensor<4xf32>) -> (tensor<2x2xf32>, tensor<4xf32>) {
  %0 = ds.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ds.reshape %0 {target = #ds.shape<["2", "2"]>} : (tensor<4xf32>) -> tensor<2x2xf32>
  %2 = ds.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  return %1, %2 : tensor<2x2xf32>, tensor<4xf32>
}

// -----

// A column that is read along rows would part a kernel that goes over all elements in one loop into short ones.
// CHECK-LABEL: func.func @short_rows
// CHECK-COUNT-2: rt.launch
// CHECK:         return
func.func @short_rows(%x: tensor<64x8xf32>, %c: tensor<64x1xf32>) -> (tensor<64x8xf32>, tensor<64x8xf32>) {
  %0 = ds.exp %x : (tensor<64x8xf32>) -> tensor<64x8xf32>
  %1 = ds.mul %x, %c : (tensor<64x8xf32>, tensor<64x1xf32>) -> tensor<64x8xf32>
  return %0, %1 : tensor<64x8xf32>, tensor<64x8xf32>
}

// -----

// CHECK-LABEL: func.func @long_rows
// CHECK-COUNT-1: rt.launch
// CHECK-NEXT:    return
func.func @long_rows(%x: tensor<8x64xf32>, %c: tensor<8x1xf32>) -> (tensor<8x64xf32>, tensor<8x64xf32>) {
  %0 = ds.exp %x : (tensor<8x64xf32>) -> tensor<8x64xf32>
  %1 = ds.mul %x, %c : (tensor<8x64xf32>, tensor<8x1xf32>) -> tensor<8x64xf32>
  return %0, %1 : tensor<8x64xf32>, tensor<8x64xf32>
}

// -----

// The sums of a normalization's derivative: over the same axes of the same dims. What comes between may need the first.
// CHECK-LABEL: rt.kernel
// CHECK:         ds.reduce_sum
// CHECK:         ds.reduce_sum
// CHECK:         rt.yield %{{.*}}, %{{.*}} : tensor<8xf32>, tensor<8xf32>
// CHECK-LABEL: func.func @sums
// CHECK-NEXT:    %[[R:.*]]:2 = rt.launch @{{.*}}reduce_sum(%arg0, %arg1)
// CHECK-NEXT:    %[[V:.*]] = ds.reshape %[[R]]#0
// CHECK-NEXT:    %[[E:.*]] = rt.launch @{{.*}}exp(%[[V]])
// CHECK-NEXT:    %[[W:.*]] = ds.reshape %[[E]]
// CHECK-NEXT:    return %[[W]], %[[R]]#1
func.func @sums(%g: tensor<4x8xf32>, %x: tensor<4x8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %0 = ds.reduce_sum %g {axes = array<i64: 0>} : (tensor<4x8xf32>) -> tensor<8xf32>
  %s = ds.relu %0 : (tensor<8xf32>) -> tensor<8xf32>
  %v = ds.reshape %s {target = #ds.shape<["2", "4"]>} : (tensor<8xf32>) -> tensor<2x4xf32>
  %w = ds.exp %v : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %1 = ds.reshape %w {target = #ds.shape<["8"]>} : (tensor<2x4xf32>) -> tensor<8xf32>
  %2 = ds.mul %g, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ds.reduce_sum %2 {axes = array<i64: 0>} : (tensor<4x8xf32>) -> tensor<8xf32>
  return %1, %3 : tensor<8xf32>, tensor<8xf32>
}

// -----

// A variance needs the mean: another pass. Sums over other axes are other loops.
// CHECK-LABEL: func.func @other_passes
// CHECK-NEXT:    %[[M:.*]] = rt.launch @{{.*}}reduce_mean(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}reduce_mean(%arg0, %[[M]])
// CHECK-NEXT:    rt.launch @{{.*}}reduce_sum(%arg0)
// CHECK-NEXT:    return
func.func @other_passes(%x: tensor<4x8xf32>) -> (tensor<1x8xf32>, tensor<1x8xf32>, tensor<4xf32>) {
  %0 = ds.reduce_mean %x {axes = array<i64: 0>, keepdims} : (tensor<4x8xf32>) -> tensor<1x8xf32>
  %1 = ds.sub %x, %0 : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  %2 = ds.mul %1, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ds.reduce_mean %2 {axes = array<i64: 0>, keepdims} : (tensor<4x8xf32>) -> tensor<1x8xf32>
  %4 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0, %3, %4 : tensor<1x8xf32>, tensor<1x8xf32>, tensor<4xf32>
}
