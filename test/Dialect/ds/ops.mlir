// Every kind of syntax parses, prints and parses again.
// RUN: ds-opt %s | ds-opt | FileCheck %s

// CHECK-LABEL: @elementwise
func.func @elementwise(%x: tensor<?x4xf32>, %b: tensor<4xf32>, %i: tensor<4xi8>) {
  // CHECK: ds.add %{{.*}}, %{{.*}} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %0 = ds.add %x, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.gelu %{{.*}} {approximate = #ds.gelu_approximation<tanh>} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = ds.gelu %0 {approximate = #ds.gelu_approximation<tanh>} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.compare lt, %{{.*}}, %{{.*}} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xi1>
  %2 = ds.compare lt, %1, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xi1>
  // CHECK: ds.select
  %3 = ds.select %2, %x, %b : (tensor<?x4xi1>, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.cast %{{.*}} {saturate} : (tensor<?x4xf32>) -> tensor<?x4xui8>
  %4 = ds.cast %3 {saturate} : (tensor<?x4xf32>) -> tensor<?x4xui8>
  // CHECK: ds.pow %{{.*}}, %{{.*}} : (tensor<?x4xf32>, tensor<4xi8>) -> tensor<?x4xf32>
  %5 = ds.pow %x, %i : (tensor<?x4xf32>, tensor<4xi8>) -> tensor<?x4xf32>
  // CHECK: ds.is_inf %{{.*}} {detect_negative} : (tensor<?x4xf32>) -> tensor<?x4xi1>
  %6 = ds.is_inf %5 {detect_negative} : (tensor<?x4xf32>) -> tensor<?x4xi1>
  return
}

// CHECK-LABEL: @sources
func.func @sources() {
  // CHECK: ds.constant dense<[1, 2]> : tensor<2xi64>
  %0 = ds.constant dense<[1, 2]> : tensor<2xi64>
  // CHECK: ds.fill {target = #ds.shape<["2*N", "3"]>, value = 1.000000e+00 : f32} : () -> tensor<?x3xf32>
  %1 = ds.fill {target = #ds.shape<["N*2", "3"]>, value = 1.0 : f32} : () -> tensor<?x3xf32>
  // CHECK: ds.shape_value {scalar, shape = #ds.shape<["floordiv(2*N+1, 4)"]>} : () -> tensor<i64>
  %2 = ds.shape_value {scalar, shape = #ds.shape<["floordiv(1+N*2, 4)"]>} : () -> tensor<i64>
  // CHECK: ds.constant dense_resource<w> : tensor<2xf32>
  %3 = ds.constant dense_resource<w> : tensor<2xf32>
  return
}

// CHECK-LABEL: @movement
func.func @movement(%x: tensor<4x6xf32>, %l: tensor<1xi64>, %v: tensor<f32>) {
  // CHECK: ds.slice %{{.*}} starts %{{.*}} ends %{{.*}} axes %{{.*}} : (tensor<4x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x6xf32>
  %axis = ds.constant dense<0> : tensor<1xi64>
  %0 = ds.slice %x starts %l ends %l axes %axis : (tensor<4x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x6xf32>
  // CHECK: ds.slice %{{.*}} {size = #ds.shape<["2", "3"]>, start = #ds.shape<["1", "0"]>, step = array<i64: 1, 2>} : (tensor<4x6xf32>) -> tensor<2x3xf32>
  %1 = ds.slice %x {start = #ds.shape<["1", "0"]>, size = #ds.shape<["2", "3"]>, step = array<i64: 1, 2>} : (tensor<4x6xf32>) -> tensor<2x3xf32>
  // CHECK: ds.pad %{{.*}} value %{{.*}} {high = #ds.shape<["0", "2"]>, low = #ds.shape<["1", "0"]>} : (tensor<4x6xf32>, tensor<f32>) -> tensor<5x8xf32>
  %2 = ds.pad %x value %v {low = #ds.shape<["1", "0"]>, high = #ds.shape<["0", "2"]>} : (tensor<4x6xf32>, tensor<f32>) -> tensor<5x8xf32>
  // CHECK: ds.concat %{{.*}}, %{{.*}} {axis = 0 : i64} : (tensor<4x6xf32>, tensor<2x6xf32>) -> tensor<6x6xf32>
  %3 = ds.slice %x {start = #ds.shape<["0", "0"]>, size = #ds.shape<["2", "6"]>, step = array<i64: 1, 1>} : (tensor<4x6xf32>) -> tensor<2x6xf32>
  %4 = ds.concat %x, %3 {axis = 0} : (tensor<4x6xf32>, tensor<2x6xf32>) -> tensor<6x6xf32>
  // CHECK: ds.top_k %{{.*}} {axis = 1 : i64, count = #ds.shape<["2"]>, sorted} : (tensor<4x6xf32>) -> (tensor<4x2xf32>, tensor<4x2xi64>)
  %5:2 = ds.top_k %x {axis = 1, count = #ds.shape<["2"]>, sorted} : (tensor<4x6xf32>) -> (tensor<4x2xf32>, tensor<4x2xi64>)
  return
}

// CHECK-LABEL: @boxes
func.func @boxes(%b: tensor<2x9x4xf32>, %s: tensor<2x3x9xf32>, %m: tensor<i64>, %t: tensor<f32>) {
  // CHECK: ds.non_max_suppression %{{.*}} {centered, most = #ds.shape<["5"]>} : (tensor<2x9x4xf32>, tensor<2x3x9xf32>, tensor<i64>, tensor<f32>, tensor<f32>) -> (tensor<2x3x5xi64>, tensor<2x3xi64>)
  %0:2 = ds.non_max_suppression %b, %s, %m, %t, %t {centered, most = #ds.shape<["5"]>} : (tensor<2x9x4xf32>, tensor<2x3x9xf32>, tensor<i64>, tensor<f32>, tensor<f32>) -> (tensor<2x3x5xi64>, tensor<2x3xi64>)
  return
}

// CHECK-LABEL: @windows
func.func @windows(%x: tensor<1x4x8x8xf32>, %w: tensor<6x2x3x3xf32>, %b: tensor<6xf32>) {
  // CHECK: ds.conv
  %0 = ds.conv %x, %w, %b {strides = array<i64: 2, 2>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 1, 1>, dilations = array<i64: 1, 1>, group = 2} : (tensor<1x4x8x8xf32>, tensor<6x2x3x3xf32>, tensor<6xf32>) -> tensor<1x6x4x4xf32>
  // CHECK: ds.max_pool %{{.*}} {{{.*}}kernel = array<i64: 2, 2>{{.*}}} : (tensor<1x4x8x8xf32>) -> (tensor<1x4x4x4xf32>, tensor<1x4x4x4xi64>)
  %1:2 = ds.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>, pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x8x8xf32>) -> (tensor<1x4x4x4xf32>, tensor<1x4x4x4xi64>)
  return
}

// CHECK-LABEL: @region
func.func @region(%x: tensor<?xf32> {ds.shape = #ds.shape<["'past + S'"]>}) -> tensor<?xf32> {
  // CHECK: ds.static(%[[A:.*]] = %{{.*}} : tensor<?xf32>) -> tensor<?xf32> {
  // CHECK:   ds.exp %[[A]]
  // CHECK:   ds.return
  %0 = ds.static(%a = %x : tensor<?xf32>) -> tensor<?xf32> {
    %1 = ds.exp %a : (tensor<?xf32>) -> tensor<?xf32>
    ds.return %1 : tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}

// CHECK-LABEL: @bind
func.func @bind(%s: tensor<2xi32>) -> tensor<?x?xf32> {
  // CHECK: ds.bind %{{.*}} as <["m", "n"]> : tensor<2xi32>
  %0 = ds.bind %s as <["m", "n"]> : tensor<2xi32>
  %1 = ds.fill {target = #ds.shape<["m", "n"]>, value = 0.0 : f32} : () -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// CHECK-LABEL: @small_types
func.func @small_types(%x: tensor<4xf32>, %i: tensor<4xi4>) {
  // CHECK: ds.cast %{{.*}} {saturate} : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  %0 = ds.cast %x {saturate} : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  // CHECK: ds.cast %{{.*}} : (tensor<4xi4>) -> tensor<4xf4E2M1FN>
  %1 = ds.cast %i : (tensor<4xi4>) -> tensor<4xf4E2M1FN>
  // CHECK: ds.constant dense<[-2, 1, 0, -1]> : tensor<4xi2>
  %2 = ds.constant dense<[-2, 1, 0, -1]> : tensor<4xi2>
  return
}

// CHECK-LABEL: @if_op
func.func @if_op(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %c: tensor<i1>) -> tensor<?xf32> {
  // CHECK: ds.if %{{.*}} then @double(%{{.*}}) else @none() {shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>}
  // CHECK-SAME: (tensor<i1>, tensor<?xf32>) -> tensor<?xf32>
  %0 = ds.if %c then @double(%x) else @none() {shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>}
    : (tensor<i1>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
func.func private @double(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  %0 = ds.concat %x, %x {axis = 0 : i64} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
func.func private @none() -> tensor<1xf32> {
  %0 = ds.constant dense<0.0> : tensor<1xf32>
  return %0 : tensor<1xf32>
}

// CHECK-LABEL: @loop_op
func.func @loop_op(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}, %n: tensor<i64>, %c: tensor<i1>) -> tensor<?x?xf32> {
  // CHECK: ds.loop trips %{{.*}} while %{{.*}} do @step(%{{.*}}) with(%{{.*}}) {shapes =
  %0:2 = ds.loop trips %n while %c do @step(%x) with (%x)
    {shapes = [#ds.shape<["N"]>, #ds.shape<["r0", "N"]>], symbols = #ds.shape<["r0"]>}
    : (tensor<i64>, tensor<i1>, tensor<?xf32>, tensor<?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>)
  return %0#1 : tensor<?x?xf32>
}
func.func private @step(%i: tensor<i64>, %s: tensor<?xf32> {ds.shape = #ds.shape<["N"]>},
                        %x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> (tensor<i1>, tensor<?xf32>, tensor<?xf32>) {
  %t = ds.constant dense<true> : tensor<i1>
  %0 = ds.add %s, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %t, %0, %0 : tensor<i1>, tensor<?xf32>, tensor<?xf32>
}

// CHECK-LABEL: @custom
func.func @custom(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  // CHECK: ds.custom "MyOp" of "com.example"(%{{.*}}) {alpha = 5.000000e-01 : f32, axis = 1 : i64, mode = "fast"} {makes = array<i1: true, false>,
  // CHECK-SAME: shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>, takes = array<i1: true, false>} : (tensor<?xf32>) -> tensor<?xf32>
  %0 = ds.custom "MyOp" of "com.example"(%x) {alpha = 0.5 : f32, axis = 1 : i64, mode = "fast"}
    {takes = array<i1: true, false>, makes = array<i1: true, false>, shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>}
    : (tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// CHECK-LABEL: @define
func.func @define(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  // CHECK: ds.define "e0" = <["floordiv(N, 3)+1"]>
  ds.define "e0" = <["floordiv(N, 3)+1"]>
  %0 = ds.fill {target = #ds.shape<["e0"]>, value = 1.0 : f32} : () -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// CHECK-LABEL: @require
func.func @require(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  // CHECK: ds.require <["N"]> = <["4"]>, "four elements"
  ds.require <["N"]> = <["4"]>, "four elements"
  return %x : tensor<?xf32>
}
