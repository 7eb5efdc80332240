// RUN: ds-opt %s --split-input-file --ds-group | FileCheck %s

// What is computed where it is used, and what is stored.

// A constant of one value is in the code; other constants are arguments.
// CHECK-LABEL: rt.kernel @{{.*}}(%arg0: tensor<4xf32>
// CHECK-SAME:    %arg1: tensor<4xf32>
// CHECK-NEXT:    %[[ONE:.*]] = ds.constant dense<1.0
// CHECK-NEXT:    ds.add %arg0, %[[ONE]]
// CHECK-NEXT:    ds.mul %{{.*}}, %arg1
// CHECK-LABEL: func.func @constants
// CHECK-NEXT:    %[[C:.*]] = ds.constant
// CHECK-NEXT:    rt.launch @{{.*}}(%arg0, %[[C]])
func.func @constants(%x: tensor<4xf32>) -> tensor<4xf32> {
  %one = ds.constant dense<1.0> : tensor<f32>
  %c = ds.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %0 = ds.add %x, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = ds.mul %0, %c : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// What is made from constants in code needs no memory: each user computes it, if that is cheap (12 at most).
// CHECK-LABEL: func.func @of_constants
// CHECK-NOT:     quantize
// CHECK-COUNT-2: rt.launch @{{.*}}add
// CHECK-NEXT:    return
func.func @of_constants(%x: tensor<4xi8>, %y: tensor<4xi8>) -> (tensor<4xi8>, tensor<4xi8>) {
  %one = ds.constant dense<1.0> : tensor<4xf32>
  %s = ds.constant dense<2.0> : tensor<f32>
  %0 = ds.quantize_linear %one, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xi8>
  %1 = ds.add %x, %0 : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  %2 = ds.add %y, %0 : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi8>
  return %1, %2 : tensor<4xi8>, tensor<4xi8>
}

// -----

// CHECK-LABEL: func.func @of_constants_but_not_cheap
// CHECK:         %[[E:.*]] = rt.launch @{{.*}}exp()
// CHECK-COUNT-2: rt.launch @{{.*}}add(%{{.*}}, %[[E]])
func.func @of_constants_but_not_cheap(%x: tensor<2x4xf32>, %y: tensor<3x4xf32>) -> (tensor<2x4xf32>, tensor<3x4xf32>) {
  %one = ds.constant dense<1.0> : tensor<4xf32>
  %0 = ds.exp %one : (tensor<4xf32>) -> tensor<4xf32>
  %1 = ds.add %x, %0 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %2 = ds.add %y, %0 : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
  return %1, %2 : tensor<2x4xf32>, tensor<3x4xf32>
}

// -----

// So is a single number: 1 + 1 + 10 are not too much.
// CHECK-LABEL: func.func @a_number
// CHECK-NEXT:    rt.launch @{{.*}}mul(%arg2, %arg0)
// CHECK-NEXT:    rt.launch @{{.*}}add(%arg2, %arg1)
// CHECK-NEXT:    return
func.func @a_number(%x: tensor<4xf32>, %y: tensor<4xf32>, %n: tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = ds.add %n, %n : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %1 = ds.neg %0 : (tensor<f32>) -> tensor<f32>
  %2 = ds.rsqrt %1 : (tensor<f32>) -> tensor<f32>
  %3 = ds.mul %x, %2 : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = ds.add %y, %2 : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %3, %4 : tensor<4xf32>, tensor<4xf32>
}

// -----

// With one more it is stored.
// CHECK-LABEL: func.func @an_expensive_number
// CHECK-NEXT:    %[[N:.*]] = rt.launch @{{.*}}rsqrt(%arg2)
// CHECK-NEXT:    rt.launch @{{.*}}(%arg0, %[[N]])
// CHECK-NEXT:    rt.launch @{{.*}}(%arg1, %[[N]])
func.func @an_expensive_number(%x: tensor<4xf32>, %y: tensor<4xf32>, %n: tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = ds.add %n, %n : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %1 = ds.neg %0 : (tensor<f32>) -> tensor<f32>
  %2 = ds.abs %1 : (tensor<f32>) -> tensor<f32>
  %3 = ds.rsqrt %2 : (tensor<f32>) -> tensor<f32>
  %4 = ds.mul %x, %3 : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %5 = ds.add %y, %3 : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %4, %5 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Two kernels read its operand as well as its result, where it is one tensor: nothing is written.
// CHECK-LABEL: func.func @of_two_users
// CHECK-NEXT:    rt.launch @{{.*}}reduce_max(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}transpose(%arg0)
// CHECK-NEXT:    return
func.func @of_two_users(%x: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<8x4xf32>) {
  %0 = ds.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.reduce_max %0 {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %2 = ds.transpose %0 {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %1, %2 : tensor<4xf32>, tensor<8x4xf32>
}

// -----

// Four operations are repeated, counted down to what is in memory, beside something along the rows.
// CHECK-LABEL: func.func @of_four_operations
// CHECK-NEXT:    rt.launch @{{.*}}reduce_max(%arg0, %arg1)
// CHECK-NEXT:    rt.launch @{{.*}}transpose(%arg0, %arg1)
// CHECK-NEXT:    return
func.func @of_four_operations(%x: tensor<4x8xf32>, %m: tensor<1x8xf32>) -> (tensor<4xf32>, tensor<8x4xf32>) {
  %0 = ds.sub %x, %m : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  %1 = ds.neg %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ds.abs %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ds.relu %2 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = ds.reduce_max %3 {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %5 = ds.transpose %3 {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %4, %5 : tensor<4xf32>, tensor<8x4xf32>
}

// -----

// Five are not.
// CHECK-LABEL: func.func @of_five_operations
// CHECK-NEXT:    %[[R:.*]] = rt.launch @{{.*}}neg(%arg0, %arg1)
// CHECK-NEXT:    rt.launch @{{.*}}reduce_max(%[[R]])
// CHECK-NEXT:    rt.launch @{{.*}}transpose(%[[R]])
func.func @of_five_operations(%x: tensor<4x8xf32>, %m: tensor<1x8xf32>) -> (tensor<4xf32>, tensor<8x4xf32>) {
  %0 = ds.sub %x, %m : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  %1 = ds.neg %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = ds.abs %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = ds.relu %2 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = ds.neg %3 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %5 = ds.reduce_max %4 {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %6 = ds.transpose %4 {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %5, %6 : tensor<4xf32>, tensor<8x4xf32>
}

// -----

// Of two tensors: each user would read both. A byte an element is read sooner than what it was compared from.
// CHECK-LABEL: func.func @of_more_memory
// CHECK:         %[[A:.*]] = rt.launch @{{.*}}add(%arg0, %arg1)
// CHECK:         rt.launch @{{.*}}reduce_max(%[[A]])
// CHECK:         rt.launch @{{.*}}transpose(%[[A]])
// CHECK:         %[[P:.*]] = rt.launch @{{.*}}compare(%arg0)
// CHECK:         rt.launch @{{.*}}reduce_max(%[[P]])
// CHECK:         rt.launch @{{.*}}transpose(%[[P]])
func.func @of_more_memory(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<8x4xf32>, tensor<4xi1>, tensor<8x4xi1>) {
  %zero = ds.constant dense<0.0> : tensor<f32>
  %0 = ds.add %x, %y : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.reduce_max %0 {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %2 = ds.transpose %0 {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %3 = ds.compare gt, %x, %zero : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xi1>
  %4 = ds.reduce_max %3 {axes = array<i64: 1>} : (tensor<4x8xi1>) -> tensor<4xi1>
  %5 = ds.transpose %3 {perm = array<i64: 1, 0>} : (tensor<4x8xi1>) -> tensor<8x4xi1>
  return %1, %2, %4, %5 : tensor<4xf32>, tensor<8x4xf32>, tensor<4xi1>, tensor<8x4xi1>
}

// -----

// Each element would be computed for each row.
// CHECK-LABEL: func.func @a_row_for_all_rows
// CHECK-NEXT:    %[[E:.*]] = rt.launch @{{.*}}exp(%arg1)
// CHECK-NEXT:    rt.launch @{{.*}}add(%arg0, %[[E]])
func.func @a_row_for_all_rows(%x: tensor<4x8xf32>, %v: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = ds.exp %v : (tensor<8xf32>) -> tensor<8xf32>
  %1 = ds.add %x, %0 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func.func @tiles
// CHECK-NEXT:    %[[E:.*]] = rt.launch @{{.*}}exp(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}tile(%[[E]])
func.func @tiles(%v: tensor<8xf32>) -> tensor<16xf32> {
  %0 = ds.exp %v : (tensor<8xf32>) -> tensor<8xf32>
  %1 = ds.tile %0 {repeat = #ds.shape<["2"]>} : (tensor<8xf32>) -> tensor<16xf32>
  return %1 : tensor<16xf32>
}

// -----

// What only moves elements computes each once.
// CHECK-LABEL: func.func @moved
// CHECK-NEXT:    rt.launch @{{.*}}transpose(%arg0)
// CHECK-NEXT:    return
func.func @moved(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %0 = ds.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.transpose %0 {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// -----

// An op of two results has a kernel of its own.
// CHECK-LABEL: func.func @two_results
// CHECK-NEXT:    %[[P:.*]]:2 = rt.launch @{{.*}}max_pool(%arg0)
// CHECK-NEXT:    rt.launch @{{.*}}relu(%[[P]]#0)
func.func @two_results(%x: tensor<1x1x4x4xf32>) -> (tensor<1x1x2x2xf32>, tensor<1x1x2x2xi64>) {
  %0:2 = ds.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>,
      pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x4x4xf32>) -> (tensor<1x1x2x2xf32>, tensor<1x1x2x2xi64>)
  %1 = ds.relu %0#0 : (tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>
  return %1, %0#1 : tensor<1x1x2x2xf32>, tensor<1x1x2x2xi64>
}
