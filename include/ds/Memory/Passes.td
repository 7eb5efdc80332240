//===- Passes.td - Passes that assign memory ------------------------------===//
// Guarantees: each states what it needs, what holds afterwards and when it declines.
//===----------------------------------------------------------------------===//
#ifndef DS_MEMORY_PASSES_TD
#define DS_MEMORY_PASSES_TD

include "mlir/Pass/PassBase.td"

def PlaceDonationsPass : Pass<"ds-place-donations", "::mlir::func::FuncOp"> {
  let summary = "Finds outputs that may be made in the memory of inputs that are donated to them";
  let description = [{
    Before: launches on tensors, whose kernels are code; arguments with `ds.donate`, the number of the result that takes
    their memory.

    ```mlir
    func.func @main(%s: tensor<4x8xf32> {ds.donate = 0 : i64}, %x: tensor<4x8xf32>) {
      %0 = rt.launch @add(%s, %x) : ...
      %1 = rt.launch @reduce_sum(%s) : ...
      return %0, %1
    ```

    After:

    ```mlir
    func.func @main(%s: tensor<4x8xf32> {ds.donate = 0 : i64, ds.in_place}, %x: tensor<4x8xf32>) {
      %1 = rt.launch @reduce_sum(%s) : ...
      %0 = rt.launch @add(%s, %x) : ...
      return %0, %1
    ```

    Afterwards nothing reads an argument with `ds.in_place` (or a view of it, or what a branch or loop may hand on of it)
    once the launch that makes the result has run, and that launch reads it only where it writes. Declines where no
    order makes that so: the runtime copies the result to the argument's memory when the run is over.
  }];
}

def RematerializePass : Pass<"ds-rematerialize", "::mlir::ModuleOp"> {
  let summary = "Runs launches again, so that less memory is held between them";
  let description = [{
    Before: launches on tensors, whose kernels are code; donations are placed. What launches make are the program's temporaries, so that
    the plan is one of real buffers, and a launch that runs again needs no new code. No pass behind this one joins equal launches.

    ```mlir
    %0 = rt.launch @gelu(%a) : ...
    %1 = rt.launch @matmul(%0, %w) : ...
    ...
    %8 = rt.launch @matmul_1(%0, %7) : ...
    ```

    After:

    ```mlir
    %0 = rt.launch @gelu(%a) : ...
    %1 = rt.launch @matmul(%0, %w) : ...
    ...
    %9 = rt.launch @gelu(%a) : ...
    %8 = rt.launch @matmul_1(%9, %7) : ...
    ```

    Afterwards a step holds no more than `budget` bytes at `sizes`: states and results, the arena that the runtime plans, and the
    scratch of `threads`. What nodes of `recompute` make before the first result (the loss) is there is not kept for what follows it. Each launch that runs again
    lies before its first reader and computes the same bits. What makes a result (the next running mean, say) runs once, and donations stay in place.
    Of a training step's versions the budget is demanded of the one that trains; others have the same room for temporaries, or come as near as they can. A note says what was planned.

    Fails, saying how little can be, where no plan keeps the budget, and where a size that memory depends on is not stated.
  }];
  let options = [Option<"budget", "budget", "int64_t", "0", "Bytes; 0: any number">,
                 Option<"threads", "threads", "int64_t", "1", "How many threads run it">,
                 ListOption<"sizes", "sizes", "std::string", "NAME=SIZE,... of symbols">,
                 ListOption<"recompute", "recompute", "std::string", "Patterns of names of nodes">];
  let dependentDialects = ["::ds::DsDialect", "::ds::rt::RtDialect"];
}

def AssignMemoryPass : Pass<"ds-assign-memory", "::ds::rt::ProgramOp"> {
  let summary = "Says how long temporaries live, and lets kernels work in place";
  let description = [{
    Before: `convert-ds-to-rt` ran: a buffer for every tensor, without lifetimes.

    ```mlir
    %0 = rt.buffer input 0 bytes <["32*N"]>
    %1 = rt.buffer output 0 bytes <["4*N"]>
    %2 = rt.buffer temporary 0 bytes <["32*N"]>
    %3 = rt.buffer temporary 1 bytes <["32*N"]>
    rt.dispatch @softmax(%0) to(%2) symbols <["N"]>
    rt.dispatch @exp(%2) to(%3) symbols <["N"]> {in_place = array<i64: 0>}
    rt.dispatch @sum(%3) to(%1) symbols <["N"]>
    ```

    After:

    ```mlir
    %0 = rt.buffer input 0 bytes <["32*N"]>
    %1 = rt.buffer output 0 bytes <["4*N"]>
    %2 = rt.buffer temporary 0 bytes <["32*N"]> {first = 0 : i64, last = 2 : i64}
    rt.dispatch @softmax(%0) to(%2) symbols <["N"]>
    rt.dispatch @exp(%2) to(%2) symbols <["N"]>
    rt.dispatch @sum(%2) to(%1) symbols <["N"]>
    ```

    Afterwards: memory that a dispatch writes holds nothing that is read later, by whatever name: a buffer that a call
    may hand on as its result (`rt.call`) lives as long as both. `MemoryPlan.h` decides; a checker that follows the
    contents of all memory from step to step confirms it in every compilation.

    Declines: offsets, which depend on run-time sizes: the runtime plans them. Work in place in memory that is not a
    temporary's.
  }];
  let options = [Option<"reuse", "reuse", "bool", "true",
                        "Kernels may work in place, and memory ends with its last use; without it no two tensors share any">];
  let dependentDialects = ["::ds::rt::RtDialect"];
}

#endif
