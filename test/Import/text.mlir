// Text gets names and dims where it lacks them; --shape reaches inner types.
// RUN: ds-compile %s --stop-after=import | FileCheck %s
// RUN: ds-compile %s --stop-after=import --shape d0=3 | FileCheck %s --check-prefix=STATIC

// CHECK: func.func @main(%arg0: tensor<?x8xf32> {ds.name = "arg0", ds.shape = #ds.shape<["d0", "8"]>})
// CHECK-SAME: -> (tensor<?x8xf32> {ds.name = "result0"})
// STATIC: func.func @main(%arg0: tensor<3x8xf32> {{.*}} -> (tensor<3x8xf32>
// STATIC: ds.relu %arg0 : (tensor<3x8xf32>) -> tensor<3x8xf32>
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = ds.relu %x : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
