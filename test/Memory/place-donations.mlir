// RUN: ds-opt %s --split-input-file --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --ds-place-donations | FileCheck %s

// Each element is read where its successor is written.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %arg0: tensor<?xf32> {ds.donate = 0 : i64, ds.in_place
func.func @main(%s: tensor<?xf32> {ds.donate = 0 : i64, ds.shape = #ds.shape<["N"]>},
                %x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  %0 = ds.add %s, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// What reads the old value comes first: the sum moves behind it.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    ds.in_place
// CHECK:         rt.launch @{{.*}}reduce_sum
// CHECK:         rt.launch @{{.*}}add
func.func @main(%s: tensor<4x8xf32> {ds.donate = 0 : i64}, %x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4xf32>) {
  %0 = ds.add %s, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = ds.reduce_sum %s {axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4x8xf32>, tensor<4xf32>
}

// -----

// It cannot where that needs the new value as well.
// CHECK-LABEL: func.func @main
// CHECK-NOT:     ds.in_place
// CHECK:         return
func.func @main(%s: tensor<4x4xf32> {ds.donate = 0 : i64}, %x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = ds.add %s, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = ds.matmul %0, %s : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %0, %1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Elements are read at other places than they are written.
// CHECK-LABEL: func.func @main
// CHECK-NOT:     ds.in_place
// CHECK:         return
func.func @main(%s: tensor<4x4xf32> {ds.donate = 0 : i64}) -> tensor<4x4xf32> {
  %0 = ds.transpose %s {perm = array<i64: 1, 0>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = ds.add %s, %0 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----

// Two that change places: whichever is written first, the other one's old value is gone.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %arg0: tensor<8xf32> {ds.donate = 1 : i64{{(, ds.in_place)?}}}
// CHECK-NOT:     %arg1: tensor<8xf32> {ds.donate = 0 : i64, ds.in_place}
// CHECK:         return
func.func @main(%a: tensor<8xf32> {ds.donate = 1 : i64}, %b: tensor<8xf32> {ds.donate = 0 : i64})
    -> (tensor<8xf32>, tensor<8xf32>) {
  return %a, %b : tensor<8xf32>, tensor<8xf32>
}

// -----

// The argument is its own result: nothing is made, whoever reads it, and when.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    %arg0: tensor<4x4xf32> {ds.donate = 0 : i64, ds.in_place}
// CHECK-NEXT:    %[[R:.*]] = rt.launch
// CHECK-NEXT:    return %arg0, %[[R]]
func.func @main(%s: tensor<4x4xf32> {ds.donate = 0 : i64}) -> (tensor<4x4xf32>, tensor<4xf32>) {
  %0 = ds.reduce_sum %s {axes = array<i64: 1>} : (tensor<4x4xf32>) -> tensor<4xf32>
  return %s, %0 : tensor<4x4xf32>, tensor<4xf32>
}
