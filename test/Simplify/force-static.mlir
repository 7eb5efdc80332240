// RUN: ds-opt %s --ds-bind-values --ds-force-static="nodes=view=2;3" --ds-infer-shapes | FileCheck %s
// RUN: not ds-opt %s --ds-bind-values --ds-force-static="nodes=view=2" 2>&1 | FileCheck %s --check-prefix=COUNT
// RUN: not ds-opt %s --ds-bind-values --ds-force-static="nodes=other=2" 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not ds-opt %s --ds-bind-values --ds-force-static="nodes=view" 2>&1 | FileCheck %s --check-prefix=FORM

// The numbers are taken as they are said, and compared at the end with what was computed.
// CHECK-LABEL: @main(
// CHECK-NEXT:    %[[V:.*]] = ds.fill {{.*}}target = #ds.shape<["2", "3"]>
// CHECK-NEXT:    %[[Y:.*]] = ds.neg %[[V]]
// CHECK-NEXT:    ds.bind %{{.*}} as <["[[A:b[0-9]+]]", "[[B:b[0-9]+]]"]>
// CHECK-NEXT:    ds.require <["[[A]]"]> = <["2"]>
// CHECK-NEXT:    ds.require <["[[B]]"]> = <["3"]>
// CHECK-NEXT:    return %[[Y]]
// COUNT: --force-static gives 1 values; its sizes follow from 2
// OTHER: nothing about the node 'other' depends on data
// FORM: expected NODE=NUMBER;... with numbers that are not negative, got 'view'
func.func @main(%s: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = ds.fill %s {value = 0.0 : f32} : (tensor<2xi64>) -> tensor<?x?xf32> loc(fused<"ConstantOfShape">["view"])
  %1 = ds.neg %0 : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}
