// RUN: ds-opt %s --split-input-file --ds-generate-kernels=target-cpu=x86-64-v4 | FileCheck %s --check-prefixes=CHECK,WIDE
// RUN: ds-opt %s --split-input-file --ds-generate-kernels=target-cpu=sapphirerapids | FileCheck %s --check-prefixes=CHECK,TILES

// Panels of halves are widened as they are read, and summed in f32; where the CPU has tiles of bf16, they multiply, and the
// kernel asks for them first.
// CHECK-LABEL: rt.code @product
// WIDE-NOT:    syscall
// WIDE:        llvm.load {{.*}} -> vector<16xbf16>
// WIDE:        arith.extf {{.*}} : vector<16xbf16> to vector<16xf32>
// WIDE:        vector.fma {{.*}} : vector<16xf32>
// TILES:       llvm.inline_asm has_side_effects "syscall"
// TILES:       llvm.call_intrinsic "llvm.x86.ldtilecfg"
// TILES-COUNT-4: llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// TILES:       llvm.call_intrinsic "llvm.x86.tilerelease"
// TILES-NOT:   vector.fma
rt.kernel @product(%a: tensor<?x96xbf16> {ds.shape = #ds.shape<["N", "96"]>},
                   %w: tensor<2x96x32xbf16> {ds.shape = #ds.shape<["2", "96", "32"]>}) -> tensor<?x64xbf16> {
  %0 = ds.gemm %a, %w {columns = #ds.shape<["64"]>} : (tensor<?x96xbf16>, tensor<2x96x32xbf16>) -> tensor<?x64xbf16>
  rt.yield %0 : tensor<?x64xbf16>
}

// -----

// A few rows are not worth it, and there are no tiles of f16.
// CHECK-LABEL: rt.code @few
// CHECK-NOT:   tdpbf16ps
// CHECK:       vector.fma {{.*}} : vector<16xf32>
rt.kernel @few(%a: tensor<3x96xbf16> {ds.shape = #ds.shape<["3", "96"]>},
               %w: tensor<2x96x32xbf16> {ds.shape = #ds.shape<["2", "96", "32"]>}) -> tensor<3x64xbf16> {
  %0 = ds.gemm %a, %w {columns = #ds.shape<["64"]>} : (tensor<3x96xbf16>, tensor<2x96x32xbf16>) -> tensor<3x64xbf16>
  rt.yield %0 : tensor<3x64xbf16>
}

// -----

// CHECK-LABEL: rt.code @halves
// CHECK-NOT:   tdpbf16ps
// CHECK:       arith.extf {{.*}} : vector<16xf16> to vector<16xf32>
// CHECK:       vector.fma {{.*}} : vector<16xf32>
rt.kernel @halves(%a: tensor<?x96xf16> {ds.shape = #ds.shape<["N", "96"]>},
                  %w: tensor<2x96x32xf16> {ds.shape = #ds.shape<["2", "96", "32"]>}) -> tensor<?x64xf16> {
  %0 = ds.gemm %a, %w {columns = #ds.shape<["64"]>} : (tensor<?x96xf16>, tensor<2x96x32xf16>) -> tensor<?x64xf16>
  rt.yield %0 : tensor<?x64xf16>
}
