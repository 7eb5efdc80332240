// RUN: split-file %s %t
// RUN: not ds-opt %t/rule.mlir --ds-differentiate 2>&1 | FileCheck %s --check-prefix=RULE
// RUN: not ds-opt %t/rule.mlir --ds-differentiate='of=nothing' 2>&1 | FileCheck %s --check-prefix=RESULT
// RUN: not ds-opt %t/rule.mlir --ds-differentiate='wrt=z' 2>&1 | FileCheck %s --check-prefix=ARGUMENT
// RUN: not ds-opt %t/rule.mlir --ds-differentiate='wrt=i' 2>&1 | FileCheck %s --check-prefix=INTEGER
// RUN: not ds-opt %t/vector.mlir --ds-differentiate 2>&1 | FileCheck %s --check-prefix=VECTOR

// RULE: error: {{.*}}node 'bits' (Bitcast): has no derivative (bits have no derivative), but the gradient depends on it
// RESULT: error: has no result 'nothing' that the gradient could be of
// ARGUMENT: error: wrt: there is no argument 'z'
// INTEGER: error: wrt: the argument 'i' is of no float type
// VECTOR: error: the gradient is of a result with one element, not of 'tensor<3xf32>'

//--- rule.mlir
func.func @main(%x: tensor<f32> {ds.name = "x"}, %i: tensor<i32> {ds.name = "i"}) -> (tensor<f32> {ds.name = "y"}) {
  %0 = ds.bitcast %x : (tensor<f32>) -> tensor<f32> loc(fused<"Bitcast">["bits"])
  return %0 : tensor<f32>
}

//--- vector.mlir
func.func @main(%x: tensor<3xf32> {ds.name = "x"}) -> (tensor<3xf32> {ds.name = "y"}) {
  %0 = ds.exp %x : (tensor<3xf32>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}
