// The recurrent weights of each gate are a matrix of its own, in panels of one vector.
// RUN: ds-opt --ds-pack=tile=32 %s | FileCheck %s

// CHECK-LABEL: @bidirectional
// CHECK-SAME: %[[R:[a-z0-9]+]]: tensor<2x48x16xf32>
// CHECK: %[[GATES:.*]] = ds.reshape %[[R]] {target = #ds.shape<["2", "3", "16", "16"]>}
// CHECK: %[[PACKED:.*]] = ds.pack %[[GATES]] {tile = 16 : i64, transposed} : (tensor<2x3x16x16xf32>) -> tensor<2x3x1x16x16xf32>
// CHECK: ds.gru %{{.*}}, %[[PACKED]] {
func.func @bidirectional(%x: tensor<5x2x96xf32>, %r: tensor<2x48x16xf32>) -> tensor<5x2x2x16xf32> {
  %0:2 = ds.gru %x, %r {activations = ["sigmoid", "tanh", "sigmoid", "tanh"], alphas = array<f64: 0.0, 0.0, 0.0, 0.0>, betas = array<f64: 0.0, 0.0, 0.0, 0.0>, direction = #ds.direction<bidirectional>, hidden = 16 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0>} : (tensor<5x2x96xf32>, tensor<2x48x16xf32>) -> (tensor<5x2x2x16xf32>, tensor<2x2x16xf32>)
  return %0#0 : tensor<5x2x2x16xf32>
}
