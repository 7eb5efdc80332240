// RUN: ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --ds-place-donations \
// RUN:   "--ds-rematerialize=budget=70000 sizes=N=64" 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=NOTE --input-file=%t
// RUN: not ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --ds-place-donations \
// RUN:   "--ds-rematerialize=budget=10000 sizes=N=64" 2>&1 | FileCheck %s --check-prefix=LESS
// RUN: not ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --ds-place-donations \
// RUN:   "--ds-rematerialize=budget=70000" 2>&1 | FileCheck %s --check-prefix=SIZES
// RUN: ds-opt %s --ds-group --ds-generate-kernels=target-cpu=x86-64-v3 --ds-place-donations \
// RUN:   "--ds-rematerialize=budget=1000000 sizes=N=64" | FileCheck %s --check-prefix=KEEP

// Of tensors of 16 KB four are alive where the second product is done; the first one is read last. It is made again, before its
// reader, and so is the view of it.
// NOTE: memory of a step at N=64: {{.*}} {{k|M}}B instead of {{.*}} {{k|M}}B, by computing again 1 of {{[0-9]+}} launches
// LESS: error: --memory-budget: a step holds {{.*}} {{k|M}}B, and {{.*}} {{k|M}}B is the least found with recomputation
// SIZES: error: --memory-budget needs the size of 'N'
// CHECK-LABEL: func.func @main
// CHECK:         %[[FIRST:.*]] = rt.launch @[[EXP:.*exp]](%arg0)
// CHECK:         %[[SECOND:.*]] = rt.launch @{{.*}}(%[[FIRST]], %arg1)
// CHECK:         %[[FOURTH:.*]] = rt.launch @{{.*}}%[[SECOND]])
// CHECK:         %[[FIFTH:.*]] = rt.launch @{{.*}}(%[[FOURTH]], %arg1)
// CHECK:         %[[AGAIN:.*]] = rt.launch @[[EXP]](%arg0)
// CHECK:         %[[VIEW:.*]] = ds.reshape %[[AGAIN]]
// CHECK:         rt.launch @{{.*}}%[[VIEW]]
// KEEP-LABEL: func.func @main
// KEEP:         exp(%arg0)
// KEEP-NOT:     exp(%arg0)
func.func @main(%x: tensor<?x64xf32> {ds.shape = #ds.shape<["N", "64"]>}, %w: tensor<64x64xf32>) -> tensor<?x8x8xf32> {
  %a = ds.exp %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %b = ds.matmul %a, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %c = ds.matmul %b, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %p = ds.matmul %c, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %d = ds.mul %p, %b : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %q = ds.matmul %d, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %u = ds.reshape %q {target = #ds.shape<["N", "8", "8"]>} : (tensor<?x64xf32>) -> tensor<?x8x8xf32>
  %v = ds.reshape %a {target = #ds.shape<["N", "8", "8"]>} : (tensor<?x64xf32>) -> tensor<?x8x8xf32>
  %e = ds.mul %u, %v : (tensor<?x8x8xf32>, tensor<?x8x8xf32>) -> tensor<?x8x8xf32>
  return %e : tensor<?x8x8xf32>
}
