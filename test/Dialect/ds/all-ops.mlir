// Every op once, in its plainest form; a unit test checks that none is missing from test/Dialect/ds.
// RUN: ds-opt %s | ds-opt | FileCheck %s

// CHECK-LABEL: @unary
func.func @unary(%x: tensor<?x4xf32>, %i: tensor<4xui8>, %p: tensor<4xi1>) {
  // CHECK: ds.abs 
  %0 = ds.abs %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.neg 
  %1 = ds.neg %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.ceil 
  %2 = ds.ceil %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.floor 
  %3 = ds.floor %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.round 
  %4 = ds.round %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.sqrt 
  %5 = ds.sqrt %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.rsqrt 
  %6 = ds.rsqrt %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.reciprocal 
  %7 = ds.reciprocal %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.exp 
  %8 = ds.exp %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.log 
  %9 = ds.log %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.sin 
  %10 = ds.sin %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.cos 
  %11 = ds.cos %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.tan 
  %12 = ds.tan %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.asin 
  %13 = ds.asin %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.acos 
  %14 = ds.acos %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.atan 
  %15 = ds.atan %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.sinh 
  %16 = ds.sinh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.cosh 
  %17 = ds.cosh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.tanh 
  %18 = ds.tanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.asinh 
  %19 = ds.asinh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.acosh 
  %20 = ds.acosh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.atanh 
  %21 = ds.atanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.erf 
  %22 = ds.erf %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.sigmoid 
  %23 = ds.sigmoid %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.relu 
  %24 = ds.relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.sign 
  %25 = ds.sign %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.gelu 
  %26 = ds.gelu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.is_nan 
  %27 = ds.is_nan %x : (tensor<?x4xf32>) -> tensor<?x4xi1>
  // CHECK: ds.is_inf 
  %28 = ds.is_inf %x {detect_positive} : (tensor<?x4xf32>) -> tensor<?x4xi1>
  // CHECK: ds.not 
  %29 = ds.not %p : (tensor<4xi1>) -> tensor<4xi1>
  // CHECK: ds.bitwise_not 
  %30 = ds.bitwise_not %i : (tensor<4xui8>) -> tensor<4xui8>
  // CHECK: ds.cast 
  %31 = ds.cast %x : (tensor<?x4xf32>) -> tensor<?x4xbf16>
  // CHECK: ds.bitcast 
  %32 = ds.bitcast %x : (tensor<?x4xf32>) -> tensor<?x4xui32>
  return
}

// CHECK-LABEL: @binary
func.func @binary(%x: tensor<?x4xf32>, %y: tensor<4xf32>, %i: tensor<4xi16>, %p: tensor<4xi1>) {
  // CHECK: ds.add 
  %0 = ds.add %x, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.sub 
  %1 = ds.sub %x, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.mul 
  %2 = ds.mul %x, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.div 
  %3 = ds.div %x, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.max 
  %4 = ds.max %x, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.min 
  %5 = ds.min %x, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.pow 
  %6 = ds.pow %x, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.mod 
  %7 = ds.mod %x, %y {fmod} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: ds.bitwise_and 
  %8 = ds.bitwise_and %i, %i : (tensor<4xi16>, tensor<4xi16>) -> tensor<4xi16>
  // CHECK: ds.bitwise_or 
  %9 = ds.bitwise_or %i, %i : (tensor<4xi16>, tensor<4xi16>) -> tensor<4xi16>
  // CHECK: ds.bitwise_xor 
  %10 = ds.bitwise_xor %i, %i : (tensor<4xi16>, tensor<4xi16>) -> tensor<4xi16>
  // CHECK: ds.shift_left 
  %11 = ds.shift_left %i, %i : (tensor<4xi16>, tensor<4xi16>) -> tensor<4xi16>
  // CHECK: ds.shift_right 
  %12 = ds.shift_right %i, %i : (tensor<4xi16>, tensor<4xi16>) -> tensor<4xi16>
  // CHECK: ds.and 
  %13 = ds.and %p, %p : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  // CHECK: ds.or 
  %14 = ds.or %p, %p : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  // CHECK: ds.xor 
  %15 = ds.xor %p, %p : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  // CHECK: ds.select 
  %16 = ds.select %p, %x, %y : (tensor<4xi1>, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: @sources
func.func @sources(%x: tensor<?x4xf32>, %s: tensor<i64>) {
  // CHECK: ds.range 
  %0 = ds.range %s, %s, %s {size = #ds.shape<["N"]>} : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  // CHECK: ds.eye_like 
  %1 = ds.eye_like %x {k = 1 : i64} : (tensor<?x4xf32>) -> tensor<?x4xi32>
  // CHECK: ds.shape_of 
  %2 = ds.shape_of %x {start = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  // CHECK: ds.size_of 
  %3 = ds.size_of %x : (tensor<?x4xf32>) -> tensor<i64>
  return
}

// CHECK-LABEL: @random
func.func @random(%s: tensor<i64>) {
  // CHECK: ds.random_key 
  %0 = ds.random_key %s, %s {stream = #ds.shape<["1"]>} : (tensor<i64>, tensor<i64>) -> tensor<i64>
  // CHECK: ds.random %
  %1 = ds.random %0 {distribution = #ds.random_distribution<normal>, target = #ds.shape<["N", "4"]>} : (tensor<i64>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: @movement
func.func @movement(%x: tensor<3x4xf32>, %i: tensor<3x4xi64>, %l: tensor<3xi64>, %v: tensor<2xf32>, %u: tensor<3x4x4xf32>) {
  // CHECK: ds.reshape 
  %0 = ds.reshape %x {target = #ds.shape<["12"]>} : (tensor<3x4xf32>) -> tensor<12xf32>
  // CHECK: ds.transpose 
  %1 = ds.transpose %x {perm = array<i64: 1, 0>} : (tensor<3x4xf32>) -> tensor<4x3xf32>
  // CHECK: ds.expand 
  %2 = ds.expand %x {target = #ds.shape<["2", "3", "4"]>} : (tensor<3x4xf32>) -> tensor<2x3x4xf32>
  // CHECK: ds.tile 
  %3 = ds.tile %x {repeat = #ds.shape<["2", "1"]>} : (tensor<3x4xf32>) -> tensor<6x4xf32>
  // CHECK: ds.gather 
  %4 = ds.gather %x, %l {axis = 1 : i64} : (tensor<3x4xf32>, tensor<3xi64>) -> tensor<3x3xf32>
  // CHECK: ds.gather_elements 
  %5 = ds.gather_elements %x, %i {axis = 1 : i64} : (tensor<3x4xf32>, tensor<3x4xi64>) -> tensor<3x4xf32>
  // CHECK: ds.scatter_elements 
  %6 = ds.scatter_elements %x, %i, %x {axis = 1 : i64, reduction = #ds.scatter_reduction<add>} : (tensor<3x4xf32>, tensor<3x4xi64>, tensor<3x4xf32>) -> tensor<3x4xf32>
  // CHECK: ds.resize 
  %7 = ds.resize %x {mode = #ds.resize_mode<linear>, size = #ds.shape<["6", "4"]>} : (tensor<3x4xf32>) -> tensor<6x4xf32>
  // CHECK: ds.trilu 
  %8 = ds.trilu %x {upper} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  // CHECK: ds.one_hot 
  %9 = ds.one_hot %l values %v {axis = 1 : i64, size = #ds.shape<["5"]>} : (tensor<3xi64>, tensor<2xf32>) -> tensor<3x5xf32>
  // CHECK: ds.reverse_sequence 
  %10 = ds.reverse_sequence %x, %l {batch_axis = 0 : i64, time_axis = 1 : i64} : (tensor<3x4xf32>, tensor<3xi64>) -> tensor<3x4xf32>
  return
}

// CHECK-LABEL: @index_tuples
func.func @index_tuples(%x: tensor<3x4xf32>, %t: tensor<5x1xi64>, %u: tensor<5x4xf32>) {
  // CHECK: ds.gather_nd 
  %0 = ds.gather_nd %x, %t : (tensor<3x4xf32>, tensor<5x1xi64>) -> tensor<5x4xf32>
  // CHECK: ds.scatter_nd 
  %1 = ds.scatter_nd %x, %t, %u : (tensor<3x4xf32>, tensor<5x1xi64>, tensor<5x4xf32>) -> tensor<3x4xf32>
  return
}

// CHECK-LABEL: @reductions
func.func @reductions(%x: tensor<3x4xf32>) {
  // CHECK: ds.reduce_sum 
  %0 = ds.reduce_sum %x {axes = array<i64: 1>} : (tensor<3x4xf32>) -> tensor<3xf32>
  // CHECK: ds.reduce_mean 
  %1 = ds.reduce_mean %x {axes = array<i64: 1>} : (tensor<3x4xf32>) -> tensor<3xf32>
  // CHECK: ds.reduce_max 
  %2 = ds.reduce_max %x {axes = array<i64: 1>} : (tensor<3x4xf32>) -> tensor<3xf32>
  // CHECK: ds.reduce_min 
  %3 = ds.reduce_min %x {axes = array<i64: 1>} : (tensor<3x4xf32>) -> tensor<3xf32>
  // CHECK: ds.reduce_to 
  %reduced = ds.reduce_to %x {target = #ds.shape<["1", "4"]>} : (tensor<3x4xf32>) -> tensor<1x4xf32>
  // CHECK: ds.reduce_prod 
  %4 = ds.reduce_prod %x {axes = array<i64: 1>} : (tensor<3x4xf32>) -> tensor<3xf32>
  // CHECK: ds.arg_max 
  %5 = ds.arg_max %x {axis = 1 : i64, keepdims} : (tensor<3x4xf32>) -> tensor<3x1xi64>
  // CHECK: ds.arg_min 
  %6 = ds.arg_min %x {axis = 1 : i64, keepdims} : (tensor<3x4xf32>) -> tensor<3x1xi64>
  // CHECK: ds.cum_sum 
  %7 = ds.cum_sum %x {axis = 1 : i64, reverse} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  // CHECK: ds.cum_prod 
  %8 = ds.cum_prod %x {axis = 0 : i64, exclusive} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return
}

// CHECK-LABEL: @roots
func.func @roots(%x: tensor<1x4x8xf32>, %w: tensor<4x4x3xf32>, %a: tensor<2x3x4xf32>, %b: tensor<4x5xf32>, %c: tensor<4xf32>, %z: tensor<4xi8>) {
  // CHECK: ds.matmul 
  %0 = ds.matmul %a, %b : (tensor<2x3x4xf32>, tensor<4x5xf32>) -> tensor<2x3x5xf32>
  // CHECK: ds.conv_transpose 
  %1 = ds.conv_transpose %x, %w {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>, output_padding = array<i64: 0>} : (tensor<1x4x8xf32>, tensor<4x4x3xf32>) -> tensor<1x4x10xf32>
  // CHECK: ds.conv_filter_vjp 
  %10 = ds.conv_filter_vjp %x, %1 {kernel = array<i64: 3>, strides = array<i64: 1>, pads_low = array<i64: 2>, dilations = array<i64: 1>, group = 2 : i64} : (tensor<1x4x8xf32>, tensor<1x4x10xf32>) -> tensor<4x2x3xf32>
  // CHECK: ds.max_pool_vjp 
  %11 = ds.max_pool_vjp %1, %x {kernel = array<i64: 3>, strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x4x10xf32>, tensor<1x4x8xf32>) -> tensor<1x4x10xf32>
  // CHECK: ds.avg_pool 
  %2 = ds.avg_pool %x {kernel = array<i64: 3>, strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x4x8xf32>) -> tensor<1x4x6xf32>
  // CHECK: ds.layer_norm 
  %3 = ds.layer_norm %a, %c, %c {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
  // CHECK: ds.softmax 
  %4 = ds.softmax %a {axis = 2 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  // CHECK: ds.log_softmax 
  %5 = ds.log_softmax %a {axis = 2 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  // CHECK: ds.batch_norm 
  %6 = ds.batch_norm %x, %c, %c, %c, %c {epsilon = 1.0e-5 : f64} : (tensor<1x4x8xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8xf32>
  // CHECK: ds.attention 
  %7 = ds.attention %a, %a, %a {causal, scale = 0.5 : f64} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  // CHECK: ds.quantize_linear 
  %8 = ds.quantize_linear %a, %c, %z {axis = 2 : i64} : (tensor<2x3x4xf32>, tensor<4xf32>, tensor<4xi8>) -> tensor<2x3x4xi8>
  // CHECK: ds.dequantize_linear 
  %9 = ds.dequantize_linear %8, %c, %z {axis = 2 : i64} : (tensor<2x3x4xi8>, tensor<4xf32>, tensor<4xi8>) -> tensor<2x3x4xf32>
  return
}

// CHECK-LABEL: @recurrent
func.func @recurrent(%x4: tensor<?x2x32xf32>, %r4: tensor<1x32x8xf32>, %x3: tensor<?x2x24xf32>, %r3: tensor<1x24x8xf32>, %x1: tensor<?x2x16xf32>, %r1: tensor<2x8x8xf32>, %l: tensor<2xi32>, %h: tensor<1x2x8xf32>, %p: tensor<1x24xf32>, %b: tensor<1x8xf32>) {
  // CHECK: ds.lstm 
  %0:3 = ds.lstm %x4, %r4, %l, %h, %h, %p {activations = ["sigmoid", "tanh", "tanh"], alphas = array<f64: 0.0, 0.0, 0.0>, betas = array<f64: 0.0, 0.0, 0.0>, clip = 3.0 : f64, couple, direction = #ds.direction<reverse>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1>} : (tensor<?x2x32xf32>, tensor<1x32x8xf32>, tensor<2xi32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x24xf32>) -> (tensor<?x1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>)
  // CHECK: ds.gru 
  %1:2 = ds.gru %x3, %r3, %b, %h {activations = ["sigmoid", "tanh"], alphas = array<f64: 0.0, 0.0>, betas = array<f64: 0.0, 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, linear_before_reset, operandSegmentSizes = array<i32: 1, 1, 1, 0, 1>} : (tensor<?x2x24xf32>, tensor<1x24x8xf32>, tensor<1x8xf32>, tensor<1x2x8xf32>) -> (tensor<?x1x2x8xf32>, tensor<1x2x8xf32>)
  // CHECK: ds.rnn 
  %2:2 = ds.rnn %x1, %r1 {activations = ["tanh", "elu"], alphas = array<f64: 0.0, 1.0>, betas = array<f64: 0.0, 0.0>, direction = #ds.direction<bidirectional>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0>} : (tensor<?x2x16xf32>, tensor<2x8x8xf32>) -> (tensor<?x2x2x8xf32>, tensor<2x2x8xf32>)
  return
}

// CHECK-LABEL: @recurrent_derivatives
func.func @recurrent_derivatives(%x4: tensor<?x2x32xf32>, %q4: tensor<1x?x2x32xf32>, %r4: tensor<1x32x8xf32>, %x3: tensor<?x2x24xf64>, %q3: tensor<1x?x2x24xf64>, %r3: tensor<1x24x8xf64>, %x1: tensor<?x2x16xf32>, %q1: tensor<2x?x2x8xf32>, %r1: tensor<2x1x8x16xf32>, %l: tensor<2xi32>, %h: tensor<1x2x8xf32>, %p: tensor<1x24xf32>, %b: tensor<1x8xf64>, %s: tensor<1x?x2x8xf64>, %dy: tensor<?x1x2x8xf32>, %dh: tensor<1x2x8xf64>, %dy1: tensor<?x2x2x8xf32>) {
  // CHECK: ds.lstm_vjp 
  %0:4 = ds.lstm_vjp %x4, %q4, %r4, %l, %h, %p, %dy, %h, %h {activations = ["sigmoid", "tanh", "tanh"], alphas = array<f64: 0.0, 0.0, 0.0>, betas = array<f64: 0.0, 0.0, 0.0>, clip = 3.0 : f64, couple, direction = #ds.direction<reverse>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1>} : (tensor<?x2x32xf32>, tensor<1x?x2x32xf32>, tensor<1x32x8xf32>, tensor<2xi32>, tensor<1x2x8xf32>, tensor<1x24xf32>, tensor<?x1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>) -> (tensor<1x?x2x32xf32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x?x2x8xf32>)
  // CHECK: ds.gru_vjp 
  %1:3 = ds.gru_vjp %x3, %q3, %r3, %s, %b, %dh {activations = ["sigmoid", "tanh"], alphas = array<f64: 0.0, 0.0>, betas = array<f64: 0.0, 0.0>, direction = #ds.direction<forward>, hidden = 8 : i64, linear_before_reset, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 1>} : (tensor<?x2x24xf64>, tensor<1x?x2x24xf64>, tensor<1x24x8xf64>, tensor<1x?x2x8xf64>, tensor<1x8xf64>, tensor<1x2x8xf64>) -> (tensor<1x?x2x24xf64>, tensor<1x2x8xf64>, tensor<1x?x2x24xf64>)
  // CHECK: ds.rnn_vjp 
  %2:2 = ds.rnn_vjp %x1, %q1, %r1, %dy1 {activations = ["tanh", "elu"], alphas = array<f64: 0.0, 1.0>, betas = array<f64: 0.0, 0.0>, direction = #ds.direction<bidirectional>, hidden = 8 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0>} : (tensor<?x2x16xf32>, tensor<2x?x2x8xf32>, tensor<2x1x8x16xf32>, tensor<?x2x2x8xf32>) -> (tensor<2x?x2x8xf32>, tensor<2x2x8xf32>)
  return
}

// CHECK-LABEL: @spectral
func.func @spectral(%s: tensor<2x?xf32> {ds.shape = #ds.shape<["2", "L"]>}, %x: tensor<2x67x1xf32>, %t: tensor<1042xf32>, %h: tensor<2x34x2xf32>) {
  // CHECK: ds.frames 
  %0 = ds.frames %s {axis = 1 : i64, size = #ds.shape<["8"]>, step = #ds.shape<["3"]>} : (tensor<2x?xf32>) -> tensor<2x?x8xf32>
  // CHECK: ds.dft 
  %1 = ds.dft %x, %t {axis = 1 : i64, onesided} : (tensor<2x67x1xf32>, tensor<1042xf32>) -> tensor<2x34x2xf32>
  // CHECK: ds.dft 
  %2 = ds.dft %h {axis = 1 : i64, inverse, onesided, length = #ds.shape<["67"]>} : (tensor<2x34x2xf32>) -> tensor<2x67x1xf32>
  return
}
