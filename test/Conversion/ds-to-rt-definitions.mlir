// RUN: ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --convert-ds-to-rt | FileCheck %s

// Names of long sizes are the host program's.
// CHECK:      rt.program @named
// CHECK-SAME:   defined = [#rt.definition<"e0", <["floordiv(N, 3)+1"]>>]
func.func @named(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  ds.define "e0" = <["floordiv(N, 3)+1"]>
  %0 = ds.fill {target = #ds.shape<["e0"]>, value = 1.0 : f32} : () -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
