//===- CpuRootInterface.td - How a CPU computes a kernel's root -----------===//
// Guarantees: an op and this target in one place; grouping and the passes of code generation know no op by name.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_CPUROOTINTERFACE_TD
#define DS_LIB_CODEGEN_CPU_CPUROOTINTERFACE_TD

include "mlir/IR/OpBase.td"

def CpuRootOpInterface : OpInterface<"CpuRootOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    The loops of a kernel with this root (KernelRootOpInterface) on a CPU. Ops of `ds` have it by external models
    (RootEmitters.cpp); an op of another dialect implements it itself, or has it attached where its dialect is loaded. A root
    without it is computed element by element.
  }];
  let methods = [
    InterfaceMethod<[{
        Whether these loops are for the op as it is (its types and attributes).
      }], "bool", "hasCpuLoops", (ins), "", [{ return true; }]>,
    InterfaceMethod<[{
        Emits the whole kernel: sets its range, reads operands as the emitter says, stores the results.
      }], "::llvm::LogicalResult", "emitCpuLoops", (ins "::ds::CpuKernelEmitter &":$emitter)>,
  ];
}

#endif
