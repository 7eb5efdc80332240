// RUN: ds-opt %s --ds-bind-values --canonicalize --split-input-file --verify-diagnostics | FileCheck %s
// RUN: not ds-opt %s --ds-simplify-pipeline --split-input-file 2>/dev/null | FileCheck %s --check-prefix=SHAPES

// What is not negative is bound as it is.
// CHECK-LABEL: @fill(
// CHECK-SAME:    %[[S:.*]]: tensor<2xi64>
// CHECK-NEXT:    ds.bind %[[S]] as <["b0", "b1"]> : tensor<2xi64>
// CHECK-NEXT:    ds.fill {{.*}}target = #ds.shape<["b0", "b1"]>
func.func @fill(%s: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = ds.fill %s {value = 0.0 : f32} : (tensor<2xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// A name of the model is not taken.
// CHECK-LABEL: @names(
// CHECK:         ds.bind %{{.*}} as <["b1"]>
func.func @names(%x: tensor<?xf32> {ds.shape = #ds.shape<["b0"]>}, %s: tensor<1xi64>) -> tensor<?xf32> {
  %0 = ds.fill %s {value = 0.0 : f32} : (tensor<1xi64>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// 0 and -1 are resolved first.
// CHECK-LABEL: @reshape(
// CHECK:         ds.compare eq, %{{.*}} : (tensor<2xi64>, tensor<1xi64>) -> tensor<2xi1>
// CHECK:         ds.reduce_prod
// CHECK:         ds.div
// CHECK-NEXT:    %[[R:.*]] = ds.select
// CHECK-NEXT:    ds.bind %[[R]] as <["b0", "b1"]> : tensor<2xi64>
// CHECK-NEXT:    ds.reshape %{{.*}} {target = #ds.shape<["b0", "b1"]>}
func.func @reshape(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}, %s: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = ds.reshape %x, %s : (tensor<?x8xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// What follows is known: the shape of the result is no longer data.
// SHAPES-LABEL: @follows(
// SHAPES:         ds.bind
// SHAPES-NOT:     ds.bind
// SHAPES:         ds.reshape %{{.*}} {target = #ds.shape<["b0*b1"]>}
func.func @follows(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %s: tensor<2xi64>) -> tensor<?xf32> {
  %0 = ds.expand %x, %s : (tensor<?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %1 = ds.fill %s {value = 1.0 : f32} : (tensor<2xi64>) -> tensor<?x?xf32>
  %2 = ds.size_of %1 : (tensor<?x?xf32>) -> tensor<i64>
  %3 = ds.shape_of %1 : (tensor<?x?xf32>) -> tensor<2xi64>
  %4 = ds.reduce_prod %3 {axes = array<i64: 0>, keepdims} : (tensor<2xi64>) -> tensor<1xi64>
  %5 = ds.reshape %1, %4 : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %5 : tensor<?xf32>
}

// Known contents need no reading.
// CHECK-LABEL: @known(
// CHECK-NOT:     ds.bind
func.func @known(%x: tensor<?x8xf32> {ds.shape = #ds.shape<["N", "8"]>}) -> tensor<?xf32> {
  %c = ds.constant dense<-1> : tensor<1xi64>
  %0 = ds.reshape %x, %c : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// What another function of the module knows is taken, too: a function that this one runs may mean the caller's.
// CHECK-LABEL: func.func private @body
// CHECK:         ds.bind %{{.*}} as <["b1"]>
func.func private @body(%s: tensor<1xi64>) -> tensor<?xf32> {
  %0 = ds.fill %s {value = 0.0 : f32} : (tensor<1xi64>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
func.func private @inner(%x: tensor<?xf32> {ds.shape = #ds.shape<["b0"]>}) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}

// -----

func.func @rank(%x: tensor<?xf32>, %s: tensor<?xi64>) -> tensor<?x?xf32> {
  // expected-error@unknown {{node 'view' (ConstantOfShape): the rank of result 0 depends on data; ranks must be known when compiling}}
  %0 = ds.fill %s {value = 0.0 : f32} : (tensor<?xi64>) -> tensor<?x?xf32> loc(fused<"ConstantOfShape">["view"])
  return %0 : tensor<?x?xf32>
}
