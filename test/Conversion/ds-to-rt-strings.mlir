// RUN: split-file %s %t
// RUN: not ds-opt %t/taken.mlir --convert-ds-to-rt 2>&1 | FileCheck %s --check-prefix=TAKEN
// RUN: not ds-opt %t/made.mlir --convert-ds-to-rt 2>&1 | FileCheck %s --check-prefix=MADE

// Programs have numbers in the place of strings: those must be there before.
// TAKEN: error: takes strings, {{.*}}; run ds-lower-strings before
// MADE: error: 'ds.constant' op makes strings, {{.*}}; run ds-lower-strings before

//--- taken.mlir
func.func @main(%x: tensor<2x!ds.string> {ds.name = "x"}) -> (tensor<2x!ds.string> {ds.name = "y"}) {
  return %x : tensor<2x!ds.string>
}

//--- made.mlir
func.func @main() -> (tensor<i64> {ds.name = "y"}) {
  %x = ds.constant dense<"a"> : tensor<2x!ds.string>
  %y = ds.constant dense<1> : tensor<i64>
  return %y : tensor<i64>
}
