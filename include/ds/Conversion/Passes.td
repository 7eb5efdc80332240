//===- Passes.td - Passes that cross from one IR to the next --------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_CONVERSION_PASSES_TD
#define DS_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertDsToRtPass : Pass<"convert-ds-to-rt", "::mlir::ModuleOp"> {
  let summary = "Gives every tensor a buffer, and makes dispatches of launches";
  let description = [{
    Before: functions of `ds.constant`, views, `rt.launch` and ops that end stages, on tensors; kernels are code.

    ```mlir
    func.func @main(%x: tensor<?x8xf32> {ds.name = "x", ds.shape = #ds.shape<["N", "8"]>}) -> (tensor<?xf32> {ds.name = "y"}) {
      %0 = rt.launch @softmax(%x) {...} : (tensor<?x8xf32>) -> tensor<?x8xf32>
      %1 = ds.reshape %0 {target = #ds.shape<["8*N"]>} : (tensor<?x8xf32>) -> tensor<?xf32>
      %2 = rt.launch @exp(%1) {...} : (tensor<?xf32>) -> tensor<?xf32>
      return %2 : tensor<?xf32>
    }
    ```

    After:

    ```mlir
    rt.program @main attributes {inputs = [#rt.tensor<name = "x", ...>], outputs = [...]} {
      %0 = rt.buffer input 0 bytes <["32*N"]>
      %1 = rt.buffer output 0 bytes <["32*N"]>
      %2 = rt.buffer temporary 0 bytes <["32*N"]>
      rt.dispatch @softmax(%0) to(%2) symbols <["N"]>
      rt.dispatch @exp(%2) to(%1) symbols <["8*N"]> {in_place = array<i64: 0>}
    }
    ```

    Afterwards: each function is an `rt.program`, which says its inputs and outputs; every tensor that a kernel or a call makes has a buffer of
    its own, and a view is its operand's. `ds.bind` is `rt.bind`; `ds.if`, `ds.loop` and `ds.custom` are `rt.call`.

    Declines: lifetimes and sharing (`ds-assign-memory`). Fails where a size in bytes cannot be expressed.
  }];
  let dependentDialects = ["::ds::rt::RtDialect"];
}

def ConvertRtToLLVMPass : Pass<"convert-rt-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Makes the host functions of the program";
  let description = [{
    Before: programs with lifetimes assigned, and the
    code of kernels.

    After: beside them a module `host` in the LLVM, arith and func dialects that defines `ds_program` (`ds_kernel.h`):
    for each program, a function that evaluates the size expressions of a stage, and
    one that launches the kernels of a stage.

    Afterwards: programs that calls run state which symbols they are `given`.

    Declines: sizes that no symbol known by then gives, and sizes too large to be expressed: errors.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect"];
}

#endif
