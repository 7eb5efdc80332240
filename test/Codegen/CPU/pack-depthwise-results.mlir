// RUN: ds-opt %s --ds-pack | FileCheck %s

// The filter says how many channels there are, where the input's number is a symbol: what the region returns keeps its type.
// CHECK: ds.static({{.*}}) -> tensor<?x?x?x3xf32>
// CHECK: ds.depthwise {{.*}} -> tensor<?x?x?x3xf32>
func.func @main(%x: tensor<?x?x?x?xf32> {ds.shape = #ds.shape<["N", "H", "W", "C"]>}, %w: tensor<3x1x1x1xf32>) -> tensor<?x?x?x3xf32> {
  %0 = ds.static(%a = %x : tensor<?x?x?x?xf32>, %f = %w : tensor<3x1x1x1xf32>) -> tensor<?x?x?x3xf32> {
    %y = ds.conv %a, %f {strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>, group = 3 : i64, layout = #ds.layout<nhwc>} : (tensor<?x?x?x?xf32>, tensor<3x1x1x1xf32>) -> tensor<?x?x?x3xf32>
    ds.return %y : tensor<?x?x?x3xf32>
  }
  return %0 : tensor<?x?x?x3xf32>
}
