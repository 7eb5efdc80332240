// RUN: ds-opt %s --ds-group | FileCheck %s

// Keys are made by one kernel, which launches tell the node's number: what draws by them is one kernel, too, however many
// layers there are. Numbers of one use are computed where they are used.
// CHECK:     rt.kernel @[[KEY:.*]](%arg0: tensor<i64>
// CHECK-NEXT:  ds.random_key {{.*}}stream = #ds.shape<["k0"]>
// CHECK:     rt.kernel @[[DRAW:.*]](%arg0: tensor<i64>
// CHECK:       ds.random
// CHECK:       ds.mul
// CHECK-NOT: rt.kernel
// CHECK:     func.func @main
// CHECK:       rt.launch @[[KEY]]({{.*}}) {{.*}}#ds.shape<["1"]>
// CHECK:       rt.launch @[[DRAW]]
// CHECK:       rt.launch @[[KEY]]({{.*}}) {{.*}}#ds.shape<["2"]>
// CHECK:       rt.launch @[[DRAW]]
func.func @main(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %y: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %seed: tensor<i64>,
                %run: tensor<i64>) -> (tensor<?xf32>, tensor<?xf32>) {
  %k0 = ds.random_key %seed, %run {stream = #ds.shape<["1"]>} : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %r0 = ds.random %k0 {distribution = #ds.random_distribution<uniform>, target = #ds.shape<["N"]>} : (tensor<i64>) -> tensor<?xf32>
  %a = ds.mul %x, %r0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %k1 = ds.random_key %seed, %run {stream = #ds.shape<["2"]>} : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %r1 = ds.random %k1 {distribution = #ds.random_distribution<uniform>, target = #ds.shape<["N"]>} : (tensor<i64>) -> tensor<?xf32>
  %b = ds.mul %y, %r1 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %a, %b : tensor<?xf32>, tensor<?xf32>
}
