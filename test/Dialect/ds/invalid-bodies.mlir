// RUN: ds-opt %s --split-input-file --verify-diagnostics
// Each constraint of ds.if, ds.loop, ds.require and ds.define.

func.func @condition(%c: tensor<2xi1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{expected a condition of one element, got 'tensor<2xi1>'}}
  %0 = ds.if %c then @f(%x) else @f(%x) {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<2xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}
func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }

// -----

func.func @no_body(%c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{expected a function with a body, got @g}}
  %0 = ds.if %c then @g(%x) else @g(%x) {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @inputs(%c: tensor<i1>, %x: tensor<4xf32>, %y: tensor<4xi32>) {
  // expected-error @+1 {{gives 'tensor<4xi32>' to @f, which takes 'tensor<4xf32>' as argument 0}}
  %0 = ds.if %c then @f(%x) else @f(%y) {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<i1>, tensor<4xf32>, tensor<4xi32>) -> tensor<4xf32>
  return
}
func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }

// -----

func.func @count(%c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{gives 0 tensors to @f, which takes 1}}
  %0 = ds.if %c then @f(%x) else @f() {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<i1>, tensor<4xf32>) -> tensor<4xf32>
  return
}
func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }

// -----

func.func @results(%c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{expected result 0 of @f to fit 'tensor<4x1xf32>', got 'tensor<4xf32>'}}
  %0 = ds.if %c then @f(%x) else @f(%x) {shapes = [#ds.shape<["4", "1"]>], symbols = #ds.shape<[]>}
    : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4x1xf32>
  return
}
func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }

// -----

func.func @shapes(%c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{expected 1 shapes, one a result, got 0}}
  %0 = ds.if %c then @f(%x) else @f(%x) {shapes = [], symbols = #ds.shape<[]>}
    : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}
func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }

// -----

func.func @symbols(%c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{expected a symbol that is a dim of a result, got 'r0'}}
  %0 = ds.if %c then @f(%x) else @f(%x) {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<["r0"]>}
    : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}
func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }

// -----

func.func @trips(%n: tensor<2xi64>, %x: tensor<4xf32>) {
  // expected-error @+1 {{expected a number of trips of one element, got 'tensor<2xi64>'}}
  %0 = ds.loop trips %n do @f(%x) with () {shapes = [#ds.shape<["4"]>], symbols = #ds.shape<[]>}
    : (tensor<2xi64>, tensor<4xf32>) -> tensor<4xf32>
  return
}
func.func private @f(%i: tensor<i64>, %x: tensor<4xf32>) -> (tensor<i1>, tensor<4xf32>) {
  %t = ds.constant dense<true> : tensor<i1>
  return %t, %x : tensor<i1>, tensor<4xf32>
}

// -----

func.func @state(%n: tensor<i64>, %x: tensor<4xf32>) {
  // expected-error @+1 {{expected result 0 to be like the state, 'tensor<4xf32>', got 'tensor<4x4xf32>'}}
  %0 = ds.loop trips %n do @f(%x) with () {shapes = [#ds.shape<["4", "4"]>], symbols = #ds.shape<[]>}
    : (tensor<i64>, tensor<4xf32>) -> tensor<4x4xf32>
  return
}

// -----

func.func @kept(%n: tensor<i64>, %x: tensor<4xf32>) {
  // expected-error @+1 {{expected result 2 of @f to fit 'tensor<?xf32>', got 'tensor<4xf32>'}}
  %0:2 = ds.loop trips %n do @f(%x) with () {shapes = [#ds.shape<["4"]>, #ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>}
    : (tensor<i64>, tensor<4xf32>) -> (tensor<4xf32>, tensor<?xf32>)
  return
}
func.func private @f(%i: tensor<i64>, %x: tensor<4xf32>) -> (tensor<i1>, tensor<4xf32>, tensor<4xf32>) {
  %t = ds.constant dense<true> : tensor<i1>
  return %t, %x, %x : tensor<i1>, tensor<4xf32>, tensor<4xf32>
}

// -----

func.func @require() {
  // expected-error @+1 {{expected one expression on each side, got}}
  ds.require <["N", "M"]> = <["4"]>, "four elements"
  return
}

// -----

func.func @define() {
  // expected-error @+1 {{expected one expression, got}}
  ds.define "e0" = <["N", "M"]>
  return
}
