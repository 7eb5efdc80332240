//===- Passes.td - Passes that generate code ------------------------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_CODEGEN_PASSES_TD
#define DS_CODEGEN_PASSES_TD

include "mlir/Pass/PassBase.td"

def GenerateKernelsPass : Pass<"ds-generate-kernels", "::mlir::ModuleOp"> {
  let summary = "Turns kernels into loops over vectors";
  let description = [{
    Before: `ds-group` ran.

    ```mlir
    rt.kernel @k(%x: tensor<?xf32> {ds.shape = #ds.shape<["k0"]>}) -> tensor<?xf32> attributes {symbols = ["k0"]} {
      %0 = ds.exp %x : (tensor<?xf32>) -> tensor<?xf32>
      rt.yield %0 : tensor<?xf32>
    }
    ```

    After:

    ```mlir
    rt.code @k : (tensor<?xf32>) -> tensor<?xf32>
        attributes {symbols = ["k0"], sizes = #ds.shape<["k0"]>, range = #ds.shape<["ceildiv(k0, 2048)"]>, ...} {
      builtin.module {
        func.func private @k.body(%x: !llvm.ptr, %result: !llvm.ptr, %sizes: !llvm.ptr, ...) -> i32 {
          ... // scf.for over vectors: llvm.load, what exp is made of, llvm.store
        }
        func.func @k(%state: !llvm.ptr, %worker: !llvm.ptr, %begin: i64, %end: i64) -> i32 {...}
      }
    }
    ```

    The kernel's root emits its loops (`CpuRootOpInterface`); without one, each element of the results is computed by
    itself. Kernels are generated in parallel.

    Afterwards: each `rt.kernel` is an `rt.code` of the same name: one function of the kernel ABI (`ds_kernel.h`) in scf,
    arith, math, vector (rank 1) and LLVM loads and stores, and which sizes it wants, how many items it has, and what they
    cost. Where the cache knows the kernel's object, the function is left out.

    Declines: nothing; an op without any code form is an error that names its node.
  }];
  let options = [Option<"text", "target", "std::string", "\"\"", "What to generate code for (default: this machine)">,
                 Option<"cpu", "target-cpu", "std::string", "\"\"", "Its processor (default: native)">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif
