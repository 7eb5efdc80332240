// RUN: ds-opt %s | ds-opt | FileCheck %s

// CHECK-LABEL: rt.kernel @k(%arg0: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32>
// CHECK:         rt.yield %{{.*}} : tensor<?xf32>
rt.kernel @k(%x: tensor<?xf32> {ds.shape = #ds.shape<["N"]>}) -> tensor<?xf32> {
  %0 = ds.relu %x : (tensor<?xf32>) -> tensor<?xf32>
  rt.yield %0 : tensor<?xf32>
}

// CHECK-LABEL: func.func @launch
// CHECK:         rt.launch @k(%arg0) : (tensor<?xf32>) -> tensor<?xf32>
func.func @launch(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = rt.launch @k(%x) : (tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// CHECK-LABEL: func.func @host
// CHECK:         rt.buffer input 0 bytes <["4*N"]>
// CHECK:         rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 1 : i64}
// CHECK:         rt.dispatch @k(%0) to(%1)
// CHECK:         rt.bind %1 as <["n"]> {width = 64 : i64}
func.func @host() {
  %0 = rt.buffer input 0 bytes <["4*N"]>
  %1 = rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 1 : i64}
  rt.dispatch @k(%0) to(%1)
  rt.bind %1 as <["n"]> {width = 64 : i64}
  return
}
