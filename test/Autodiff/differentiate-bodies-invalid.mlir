// RUN: split-file %s %t
// RUN: not ds-opt %t/rule.mlir --ds-differentiate='of=loss' 2>&1 | FileCheck %s --check-prefix=RULE
// RUN: not ds-opt %t/tape.mlir --ds-differentiate='of=loss wrt=x' 2>&1 | FileCheck %s --check-prefix=TAPE

// RULE: error: {{.*}}node 'bits' (Bitcast): has no derivative (bits have no derivative), but the gradient depends on it
// RULE-NOT: error:
//--- rule.mlir
func.func @main(%x: tensor<f32> {ds.name = "x"}, %c: tensor<i1> {ds.name = "c"}) -> (tensor<f32> {ds.name = "loss"}) {
  %0 = ds.if %c then @then(%x) else @else(%x) {shapes = [#ds.shape<[]>], symbols = #ds.shape<[]>} : (tensor<i1>, tensor<f32>, tensor<f32>) -> tensor<f32>
  return %0 : tensor<f32>
}
func.func private @then(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
func.func private @else(%x: tensor<f32>) -> tensor<f32> {
  %0 = ds.bitcast %x : (tensor<f32>) -> tensor<f32> loc(fused<"Bitcast">["bits"])
  return %0 : tensor<f32>
}

// The state is needed as it was, and its size is another one in each iteration.
// TAPE: error: {{.*}}node 'grows' (Loop): has no derivative: it needs value 0 of the loop's state as it was at the beginning of each iteration, 'tensor<?xf32>', and iterations change its dims; values of different sizes are not kept.
//--- tape.mlir
func.func @main(%x: tensor<?xf32> {ds.name = "x", ds.shape = #ds.shape<["N"]>}, %n: tensor<i64> {ds.name = "n"}) -> (tensor<f32> {ds.name = "loss"}) {
  %0 = ds.loop trips %n do @body(%x) with() {shapes = [#ds.shape<["r0"]>], symbols = #ds.shape<["r0"]>} : (tensor<i64>, tensor<?xf32>) -> tensor<?xf32> loc(fused<"Loop">["grows"])
  %1 = ds.reduce_sum %0 {axes = array<i64: 0>} : (tensor<?xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}
func.func private @body(%i: tensor<i64>, %s: tensor<?xf32> {ds.shape = #ds.shape<["s0"]>}) -> (tensor<i1>, tensor<?xf32>) attributes {ds.own = #ds.shape<["s0"]>} {
  %0 = ds.constant dense<true> : tensor<i1>
  %1 = ds.sin %s : (tensor<?xf32>) -> tensor<?xf32>
  %2 = ds.concat %s, %1 {axis = 0 : i64} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0, %2 : tensor<i1>, tensor<?xf32>
}
