// RUN: ds-opt %s --ds-differentiate='of=loss wrt=x,w,u' | FileCheck %s

// The branches are run backward by a ds.if on the same condition. What no active value reaches (%p) has no cotangent, what
// neither branch depends on by floats (%u, of which only a comparison is used) is not asked for; the primal is as it was.
// CHECK-LABEL: func.func @main
// CHECK:       %[[E:.*]] = ds.exp %arg0
// CHECK:       %[[Y:.*]]:2 = ds.if %arg4 then @then(%[[E]], %arg1, %arg3) else @else(%[[E]], %arg2)
// CHECK:       %[[LOSS:.*]] = ds.add
// CHECK:       %[[G:.*]] = ds.mul %{{.*}}, %[[Y]]#1
// CHECK:       %[[B:.*]]:2 = ds.if %arg4 then @then_reverse(%[[E]], %arg1, %{{.*}}) else @else_reverse(%{{.*}}) {shapes = [#ds.shape<["N", "3"]>, #ds.shape<["3"]>], symbols = #ds.shape<[]>}
// CHECK:       %[[X:.*]] = ds.mul %[[B]]#0, %[[E]]
// CHECK:       %[[ZERO:.*]] = ds.fill {{.*}}value = 0.0
// CHECK:       return %[[LOSS]], %[[X]], %[[B]]#1, %[[ZERO]]
func.func @main(%x: tensor<?x3xf32> {ds.name = "x", ds.shape = #ds.shape<["N", "3"]>}, %w: tensor<3xf32> {ds.name = "w"},
                %u: tensor<3xf32> {ds.name = "u"}, %p: tensor<3xf32> {ds.name = "p"}, %c: tensor<i1> {ds.name = "c"})
    -> (tensor<f32> {ds.name = "loss"}) {
  %0 = ds.exp %x : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %1:2 = ds.if %c then @then(%0, %w, %p) else @else(%0, %u) {shapes = [#ds.shape<["N", "3"]>, #ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>}
      : (tensor<i1>, tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<?x3xf32>, tensor<3xf32>) -> (tensor<?x3xf32>, tensor<?xf32>)
  %2 = ds.reduce_sum %1#0 {axes = array<i64: 0, 1>} : (tensor<?x3xf32>) -> tensor<f32>
  %3 = ds.mul %1#1, %1#1 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %4 = ds.reduce_sum %3 {axes = array<i64: 0>} : (tensor<?xf32>) -> tensor<f32>
  %5 = ds.add %2, %4 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %5 : tensor<f32>
}

// CHECK-LABEL: func.func private @then(
func.func private @then(%e: tensor<?x3xf32> {ds.shape = #ds.shape<["N", "3"]>}, %w: tensor<3xf32>, %p: tensor<3xf32>)
    -> (tensor<?x3xf32>, tensor<3xf32>) {
  %0 = ds.mul %e, %w : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %0, %p : tensor<?x3xf32>, tensor<3xf32>
}
// What the second result gets is not needed: it depends on nothing active.
// CHECK-LABEL: func.func private @then_reverse(
// CHECK-SAME:    %[[A:.*]]: tensor<?x3xf32> {ds.shape = #ds.shape<["N", "3"]>}, %[[W:.*]]: tensor<3xf32> {ds.shape = #ds.shape<["3"]>}, %[[GO:.*]]: tensor<?x3xf32> {ds.shape = #ds.shape<["N", "3"]>}) -> (tensor<?x3xf32>, tensor<3xf32>) {
// CHECK-NEXT:    %[[GA:.*]] = ds.mul %[[GO]], %[[W]]
// CHECK-NEXT:    %[[M:.*]] = ds.mul %[[GO]], %[[A]]
// CHECK-NEXT:    %[[GW:.*]] = ds.reduce_sum %[[M]] {axes = array<i64: 0>}
// CHECK-NEXT:    return %[[GA]], %[[GW]]

// CHECK-LABEL: func.func private @else(
func.func private @else(%e: tensor<?x3xf32> {ds.shape = #ds.shape<["N", "3"]>}, %u: tensor<3xf32>)
    -> (tensor<?x3xf32>, tensor<?xf32>) {
  %0 = ds.compare lt, %u, %u : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xi1>
  %1 = ds.cast %0 : (tensor<3xi1>) -> tensor<3xf32>
  %2 = ds.reduce_sum %e {axes = array<i64: 1>} : (tensor<?x3xf32>) -> tensor<?xf32>
  %3 = ds.mul %e, %1 : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %3, %2 : tensor<?x3xf32>, tensor<?xf32>
}
// The branch does not use %w: zeros of its dims. The result of r0 elements has N in this branch.
// CHECK-LABEL: func.func private @else_reverse(
// CHECK:         ds.compare
// CHECK:         ds.reshape %{{.*}} {target = #ds.shape<["N"]>}
// CHECK:         %[[Z:.*]] = ds.fill  {target = #ds.shape<["3"]>, value = 0.0
// CHECK:         return %{{.*}}, %[[Z]]
