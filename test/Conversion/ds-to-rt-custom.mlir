// RUN: ds-opt %s --ds-form-regions --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --convert-ds-to-rt --ds-assign-memory | FileCheck %s

// What an operator makes is a buffer of kind `result`; an output of the program is written by a kernel of its own. What
// the operator reads lives until then. `unit` stands for an input that the node leaves out.
// CHECK-LABEL: rt.program @main
// CHECK-DAG:   %[[X:.*]] = rt.buffer input 0
// CHECK-DAG:   %[[Y:.*]] = rt.buffer output 0 bytes <["4*r0"]>
// CHECK-DAG:   %[[A:.*]] = rt.buffer temporary 0 bytes <["4*N"]>
// CHECK-DAG:   %[[R:.*]] = rt.buffer result 0 bytes <["4*r0"]>
// CHECK-DAG:   %[[S:.*]] = rt.buffer result 1 bytes <["8*N"]>
// CHECK:       rt.dispatch @{{.*}}(%[[X]]) to(%[[A]])
// CHECK:       rt.call custom [](%[[A]], %[[X]]) to(%[[R]], %[[S]])
// CHECK-SAME:    custom = #rt.operator<"Filter", "com.example", {axis = 1 : i64}>
// CHECK-SAME:    input_tensors = [#rt.tensor<type = tensor<?xf32>, shape = <["N"]>>, unit, #rt.tensor<type = tensor<?xf32>, shape = <["N"]>>]
// CHECK-SAME:    symbols = #ds.shape<["r0"]>
// CHECK:       rt.dispatch @{{.*}}(%[[R]]) to(%[[Y]])
func.func @main(%x: tensor<?xf32> {ds.name = "x", ds.shape = #ds.shape<["N"]>}) -> (tensor<?xf32> {ds.name = "y"}) {
  %a = ds.exp %x : (tensor<?xf32>) -> tensor<?xf32>
  %0:2 = ds.custom "Filter" of "com.example"(%a, %x) {axis = 1 : i64}
    {takes = array<i1: true, false, true>, shapes = [#ds.shape<["r0"]>, #ds.shape<["N"]>], symbols = #ds.shape<["r0"]>}
    : (tensor<?xf32>, tensor<?xf32>) -> (tensor<?xf32>, tensor<?xi64>)
  return %0#0 : tensor<?xf32>
}
