// RUN: ds-opt %s --split-input-file --ds-group | FileCheck %s

// Slices that differ in where they begin are one kernel; launches say where. What begins at 0 needs no place.
// CHECK:     rt.kernel @[[FIRST:.*]](%arg0: tensor<4x9xf32>
// CHECK:     rt.kernel @[[OTHER:.*]](%arg0: tensor<4x9xf32>
// CHECK-NEXT:  ds.slice {{.*}}start = #ds.shape<["0", "k0"]>
// CHECK-NOT: rt.kernel
// CHECK:     func.func @places
// CHECK:       rt.launch @[[FIRST]](%arg0)
// CHECK:       rt.launch @[[OTHER]](%arg0) {{.*}}#ds.shape<["3"]>
// CHECK:       rt.launch @[[OTHER]](%arg0) {{.*}}#ds.shape<["6"]>
func.func @places(%x: tensor<4x9xf32>) -> (tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>) {
  %0 = ds.slice %x {start = #ds.shape<["0", "0"]>, size = #ds.shape<["4", "3"]>, step = array<i64: 1, 1>} : (tensor<4x9xf32>) -> tensor<4x3xf32>
  %1 = ds.slice %x {start = #ds.shape<["0", "3"]>, size = #ds.shape<["4", "3"]>, step = array<i64: 1, 1>} : (tensor<4x9xf32>) -> tensor<4x3xf32>
  %2 = ds.slice %x {start = #ds.shape<["0", "6"]>, size = #ds.shape<["4", "3"]>, step = array<i64: 1, 1>} : (tensor<4x9xf32>) -> tensor<4x3xf32>
  return %0, %1, %2 : tensor<4x3xf32>, tensor<4x3xf32>, tensor<4x3xf32>
}

// -----

// So are slices whose sizes are other functions of the program's.
// CHECK:     rt.kernel @[[K:.*]](%arg0: tensor<?xf32> {ds.shape = #ds.shape<["k0"]>})
// CHECK-NEXT:  ds.slice {{.*}}size = #ds.shape<["-k1+k2"]>, start = #ds.shape<["k1"]>
// CHECK-NOT: rt.kernel
// CHECK:     func.func @functions
// CHECK:       rt.launch @[[K]](%arg0) {{.*}}#ds.shape<["N", "min(2, N)", "min(4, N)"]>
// CHECK:       rt.launch @[[K]](%arg0) {{.*}}#ds.shape<["N", "min(4, N)", "min(6, N)"]>
func.func @functions(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> (tensor<?xf32>, tensor<?xf32>) {
  %0 = ds.slice %x {start = #ds.shape<["min(2, N)"]>, size = #ds.shape<["min(4, N)-min(2, N)"]>, step = array<i64: 1>} : (tensor<?xf32>) -> tensor<?xf32>
  %1 = ds.slice %x {start = #ds.shape<["min(4, N)"]>, size = #ds.shape<["min(6, N)-min(4, N)"]>, step = array<i64: 1>} : (tensor<?xf32>) -> tensor<?xf32>
  return %0, %1 : tensor<?xf32>, tensor<?xf32>
}

// -----

// A size that the op computes by itself stays: what follows from it would be lost.
// CHECK:      rt.kernel @{{.*}}(%arg0: tensor<?xf32> {ds.shape = #ds.shape<["k0"]>}, %arg1: tensor<?xf32> {ds.shape = #ds.shape<["k1"]>}, %arg2: tensor<?xf32> {ds.shape = #ds.shape<["bcast(k0, k1)"]>})
// CHECK:      func.func @computed
func.func @computed(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %y: tensor<?xf32> {ds.shape = #ds.shape<["M"]>},
                    %z: tensor<?xf32> {ds.shape = #ds.shape<["bcast(N, M)"]>}) -> tensor<?xf32> {
  %0 = ds.add %x, %y : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %1 = ds.add %0, %z : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// -----

// Symbols are dims, which are not negative: what may be stays a function.
// CHECK:      rt.kernel @{{.*}}(%arg0: tensor<?xf32> {ds.shape = #ds.shape<["k0"]>})
// CHECK-NEXT:   ds.pad {{.*}}low = #ds.shape<["min(0, k0-4)"]>
// CHECK:      func.func @negative
func.func @negative(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  %0 = ds.pad %x {low = #ds.shape<["min(N-4, 0)"]>, high = #ds.shape<["0"]>} : (tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
