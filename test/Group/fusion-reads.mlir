// RUN: ds-opt %s --split-input-file --ds-group | FileCheck %s

// Roots read their operands more than once; what is computed where it is read costs that often.

// A softmax reads each element twice: three operations are done twice, to save a round trip to memory.
// CHECK-LABEL: func.func @cheap
// CHECK-NEXT:    rt.launch @{{.*}}softmax(%arg0)
// CHECK-NEXT:    return
func.func @cheap(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = ds.neg %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.abs %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ds.relu %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ds.softmax %2 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}

// -----

// Four are not: the last one's result is stored.
// CHECK-LABEL: func.func @not_cheap
// CHECK-NEXT:    %[[R:.*]] = rt.launch @{{.*}}relu(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}softmax(%[[R]])
func.func @not_cheap(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = ds.neg %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.abs %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ds.neg %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ds.relu %2 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = ds.softmax %3 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %4 : tensor<4x8xf32>
}

// -----

// What is before a stored result does not count.
// CHECK-LABEL: func.func @cheap_after_a_root
// CHECK-NEXT:    %[[S:.*]] = rt.launch @{{.*}}cum_sum(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}softmax(%[[S]])
// CHECK-NEXT:    return
func.func @cheap_after_a_root(%x: tensor<4x80xf32>) -> tensor<4x80xf32> {
  %0 = ds.cum_sum %x {axis = 1 : i64} : (tensor<4x80xf32>) -> tensor<4x80xf32>
  %1 = ds.neg %0 : (tensor<4x80xf32>) -> tensor<4x80xf32>
  %2 = ds.softmax %1 {axis = 1 : i64} : (tensor<4x80xf32>) -> tensor<4x80xf32>
  return %2 : tensor<4x80xf32>
}

// -----

// A value that an op has for two operands is computed once: 1 + 1 + 1.
// CHECK-LABEL: func.func @squares_are_cheap
// CHECK-NEXT:    rt.launch @{{.*}}softmax(%arg0)
// CHECK-NEXT:    return
func.func @squares_are_cheap(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = ds.mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.mul %0, %0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ds.mul %1, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ds.softmax %2 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}

// -----

// A window of 3 x 3 reads each pixel nine times.
// CHECK-LABEL: func.func @nine_times
// CHECK-NEXT:    rt.launch @{{.*}}conv_gemm(%arg0, %arg1)
// CHECK-NEXT:    return
func.func @nine_times(%x: tensor<1x9x9x4xf32>, %w: tensor<1x1x36x32xf32>) -> tensor<1x9x9x6xf32> {
  %0 = ds.relu %x : (tensor<1x9x9x4xf32>) -> tensor<1x9x9x4xf32>
  %1 = ds.conv_gemm %0, %w {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, group = 1 : i64, channels = 6 : i64} : (tensor<1x9x9x4xf32>, tensor<1x1x36x32xf32>) -> tensor<1x9x9x6xf32>
  return %1 : tensor<1x9x9x6xf32>
}

// -----

// Ten times is too often for a single operation.
// CHECK-LABEL: func.func @ten_times
// CHECK-NEXT:    %[[R:.*]] = rt.launch @{{.*}}relu(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}conv_gemm(%[[R]], %arg1)
func.func @ten_times(%x: tensor<1x9x9x4xf32>, %w: tensor<1x1x40x32xf32>) -> tensor<1x8x9x6xf32> {
  %0 = ds.relu %x : (tensor<1x9x9x4xf32>) -> tensor<1x9x9x4xf32>
  %1 = ds.conv_gemm %0, %w {kernel = array<i64: 2, 5>, strides = array<i64: 1, 1>, pads_low = array<i64: 0, 2>, pads_high = array<i64: 0, 2>,
      dilations = array<i64: 1, 1>, group = 1 : i64, channels = 6 : i64} : (tensor<1x9x9x4xf32>, tensor<1x1x40x32xf32>) -> tensor<1x8x9x6xf32>
  return %1 : tensor<1x8x9x6xf32>
}

// -----

// A broadcast is no arithmetic: four softmaxes that read twice each compute it eight times.
// CHECK-LABEL: func.func @a_broadcast_eight_times
// CHECK-COUNT-4: rt.launch @{{.*}}softmax(%arg0)
// CHECK-NEXT:    return
func.func @a_broadcast_eight_times(%x: tensor<4x1xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = ds.expand %x {target = #ds.shape<["4", "8"]>} : (tensor<4x1xf32>) -> tensor<4x8xf32>
  %1 = ds.softmax %0 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ds.softmax %0 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ds.softmax %0 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = ds.softmax %0 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1, %2, %3, %4 : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func.func @a_broadcast_nine_times
// CHECK-NEXT:    %[[E:.*]] = rt.launch @{{.*}}expand(%arg0)
// CHECK-COUNT-3: rt.launch @{{.*}}layer_norm(%[[E]]
func.func @a_broadcast_nine_times(%x: tensor<4x1xf32>, %s: tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = ds.expand %x {target = #ds.shape<["4", "8"]>} : (tensor<4x1xf32>) -> tensor<4x8xf32>
  %1 = ds.layer_norm %0, %s {axis = 1 : i64, epsilon = 1.0e-5 : f64} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %2 = ds.layer_norm %0, %s {axis = 1 : i64, epsilon = 1.0e-5 : f64} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %3 = ds.layer_norm %0, %s {axis = 1 : i64, epsilon = 1.0e-5 : f64} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return %1, %2, %3 : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// What is computed for one may be: thirteen tangents (80 each) are too much to be done for two users.
// CHECK-LABEL: func.func @a_broadcast_of_much
// CHECK-NEXT:    %[[E:.*]] = rt.launch @{{.*}}expand(%arg0)
// CHECK-COUNT-2: rt.launch @{{.*}}softmax(%[[E]])
func.func @a_broadcast_of_much(%x: tensor<8xf32>) -> (tensor<1x8xf32>, tensor<1x8xf32>) {
  %t0 = ds.tan %x : (tensor<8xf32>) -> tensor<8xf32>
  %t1 = ds.tan %t0 : (tensor<8xf32>) -> tensor<8xf32>
  %t2 = ds.tan %t1 : (tensor<8xf32>) -> tensor<8xf32>
  %t3 = ds.tan %t2 : (tensor<8xf32>) -> tensor<8xf32>
  %t4 = ds.tan %t3 : (tensor<8xf32>) -> tensor<8xf32>
  %t5 = ds.tan %t4 : (tensor<8xf32>) -> tensor<8xf32>
  %t6 = ds.tan %t5 : (tensor<8xf32>) -> tensor<8xf32>
  %t7 = ds.tan %t6 : (tensor<8xf32>) -> tensor<8xf32>
  %t8 = ds.tan %t7 : (tensor<8xf32>) -> tensor<8xf32>
  %t9 = ds.tan %t8 : (tensor<8xf32>) -> tensor<8xf32>
  %t10 = ds.tan %t9 : (tensor<8xf32>) -> tensor<8xf32>
  %t11 = ds.tan %t10 : (tensor<8xf32>) -> tensor<8xf32>
  %t12 = ds.tan %t11 : (tensor<8xf32>) -> tensor<8xf32>
  %0 = ds.expand %t12 {target = #ds.shape<["1", "8"]>} : (tensor<8xf32>) -> tensor<1x8xf32>
  %1 = ds.softmax %0 {axis = 1 : i64} : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %2 = ds.softmax %0 {axis = 1 : i64} : (tensor<1x8xf32>) -> tensor<1x8xf32>
  return %1, %2 : tensor<1x8xf32>, tensor<1x8xf32>
}

// -----

// Queries that are keys as well are two uses.
// CHECK-LABEL: func.func @queries_are_keys
// CHECK-NEXT:    %[[E:.*]] = rt.launch @{{.*}}exp(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}attention(%[[E]], %arg1)
func.func @queries_are_keys(%x: tensor<1x4x4xf32>, %v: tensor<1x4x4xf32>) -> tensor<1x4x4xf32> {
  %0 = ds.exp %x : (tensor<1x4x4xf32>) -> tensor<1x4x4xf32>
  %1 = ds.attention %0, %0, %v {scale = 1.0 : f64} : (tensor<1x4x4xf32>, tensor<1x4x4xf32>, tensor<1x4x4xf32>) -> tensor<1x4x4xf32>
  return %1 : tensor<1x4x4xf32>
}
