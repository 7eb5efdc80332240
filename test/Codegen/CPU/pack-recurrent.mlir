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

// A derivative's product sums over all gates.
// CHECK-LABEL: @derivative
// CHECK-SAME: %[[R:[a-z0-9]+]]: tensor<2x20x20xf64>
// CHECK: %[[PACKED:.*]] = ds.pack %[[R]] {tile = 16 : i64} : (tensor<2x20x20xf64>) -> tensor<2x2x20x16xf64>
// CHECK: ds.rnn_vjp %{{.*}}, %{{.*}}, %[[PACKED]] {
func.func @derivative(%x: tensor<5x2x40xf64>, %q: tensor<2x5x2x20xf64>, %r: tensor<2x20x20xf64>) -> tensor<2x5x2x20xf64> {
  %0:2 = ds.rnn_vjp %x, %q, %r {activations = ["tanh", "tanh"], alphas = array<f64: 0.0, 0.0>, betas = array<f64: 0.0, 0.0>, direction = #ds.direction<bidirectional>, hidden = 20 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>} : (tensor<5x2x40xf64>, tensor<2x5x2x20xf64>, tensor<2x20x20xf64>) -> (tensor<2x5x2x20xf64>, tensor<2x2x20xf64>)
  return %0#0 : tensor<2x5x2x20xf64>
}
