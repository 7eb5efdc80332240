// Strings are numbers of a table between the calls that number them and give their bytes back.
// RUN: ds-opt %s --ds-lower-strings --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @compare(%arg0: tensor<?xi128>
// CHECK: %[[IN:.*]]:2 = ds.custom "Begin" of "ds.string"(%arg0) {table = ["", "yes", "no"]} {shapes = [#ds.shape<["1"]>, #ds.shape<["N"]>], symbols = #ds.shape<[]>} : (tensor<?xi128>) -> (tensor<1xi64>, tensor<?xi64>)
// CHECK-DAG: %[[YES:.*]] = ds.constant dense<1> : tensor<i64>
// CHECK-DAG: %[[MORE:.*]] = ds.constant dense<[2, 0, 1]> : tensor<3xi64>
// CHECK: ds.compare eq, %[[IN]]#1, %[[YES]] : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
// CHECK: %[[ALL:.*]] = ds.concat %[[IN]]#1, %[[MORE]]
// CHECK: %[[OUT:.*]] = ds.custom "Text" of "ds.string"(%[[ALL]]) {} {shapes = [#ds.shape<["N+3"]>]
// CHECK: return %{{.*}}, %[[OUT]] : tensor<?xi1>, tensor<?xi128>
func.func @compare(%x: tensor<?x!ds.string> {ds.shape = #ds.shape<["N"]>}) -> (tensor<?xi1>, tensor<?x!ds.string>) {
  %yes = ds.constant dense<"yes"> : tensor<!ds.string>
  %more = ds.constant dense<["no", "", "yes"]> : tensor<3x!ds.string>
  %0 = ds.compare eq, %x, %yes : (tensor<?x!ds.string>, tensor<!ds.string>) -> tensor<?xi1>
  %1 = ds.concat %x, %more {axis = 0 : i64} : (tensor<?x!ds.string>, tensor<3x!ds.string>) -> tensor<?x!ds.string>
  return %0, %1 : tensor<?xi1>, tensor<?x!ds.string>
}

// -----

// A function that others run gets numbers; an operator of the program's own gets bytes.
// CHECK-LABEL: func.func @own
// CHECK: %[[GIVEN:.*]] = ds.custom "Text" of "ds.string"(%{{.*}}#1)
// CHECK: %[[MADE:.*]] = ds.custom "Op" of "com.example"(%[[GIVEN]]) {{.*}} : (tensor<?xi128>) -> tensor<?xi128>
// CHECK: %[[NUMBER:.*]] = ds.custom "Number" of "ds.string"(%[[MADE]]) {} {shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<[]>} : (tensor<?xi128>) -> tensor<?xi64>
// CHECK: ds.if %{{.*}} then @body(%[[NUMBER]]) else @body(%[[NUMBER]])
// CHECK: func.func private @body(%arg0: tensor<?xi64> {ds.shape = #ds.shape<["r0"]>}) -> tensor<?xi64>
// CHECK-NEXT: return %arg0 : tensor<?xi64>
func.func @own(%x: tensor<?x!ds.string> {ds.shape = #ds.shape<["N"]>}, %c: tensor<i1>) -> tensor<?x!ds.string> {
  %0 = ds.custom "Op" of "com.example"(%x) {} {shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>} : (tensor<?x!ds.string>) -> tensor<?x!ds.string>
  %1 = ds.if %c then @body(%0) else @body(%0) {shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<[]>} : (tensor<i1>, tensor<?x!ds.string>, tensor<?x!ds.string>) -> tensor<?x!ds.string>
  return %1 : tensor<?x!ds.string>
}
func.func private @body(%x: tensor<?x!ds.string> {ds.shape = #ds.shape<["r0"]>}) -> tensor<?x!ds.string> {
  return %x : tensor<?x!ds.string>
}

// -----

// Without strings nothing changes.
// CHECK-LABEL: func.func @numbers
// CHECK-NOT: ds.custom
// CHECK: return
func.func @numbers(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
