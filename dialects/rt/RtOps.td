//===- RtOps.td - The host program ----------------------------------------===//
// Guarantees: what the runtime is asked to do, in order: buffers, and kernels launched on them.
//===----------------------------------------------------------------------===//
#ifndef RT_OPS_TD
#define RT_OPS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/ds/ir/DsBase.td"
include "dialects/rt/RtEnums.td"

def Rt_Dialect : Dialect {
  let name = "rt";
  let cppNamespace = "::ds::rt";
  let summary = "the host program: kernels, their launches, and the buffers between them";
  let description = [{
    `ds-group` turns the body of a model into `rt.kernel`s and `rt.launch`es on tensors; `convert-ds-to-rt` gives every
    tensor a buffer; `ds-assign-memory` says how long buffers live and which share memory; `convert-rt-to-llvm` makes the
    two host functions of `ds_kernel.h` from what remains.
  }];
  let dependentDialects = ["::ds::DsDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

def Rt_Buffer : TypeDef<Rt_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "memory on the host that kernels work on";
}

class Rt_Op<string mnemonic, list<Trait> traits = []> : Op<Rt_Dialect, mnemonic, traits>;

def Rt_KernelOp : Rt_Op<"kernel", [IsolatedFromAbove, Symbol, FunctionOpInterface]> {
  let summary = "ops that share one loop nest";
  let description = [{
    The body holds `ds` ops and ends in `rt.yield`. At most one of them, the *root*, is an op with loops of its own (a
    contraction, a reduction, a normalization, attention); the others are computed where they are used: before it in its
    operands, or after it in its epilogue. Arguments say their dims by `ds.shape`.

    Created by `ds-group`; replaced by code in `ds-generate-kernels`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
  }];
}

def Rt_YieldOp : Rt_Op<"yield", [Pure, Terminator, ReturnLike, HasParent<"KernelOp">]> {
  let summary = "the results of a kernel";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def Rt_LaunchOp : Rt_Op<"launch", [Pure]> {
  let summary = "runs a kernel on tensors";
  let description = [{
    The operands are the kernel's arguments, the results what it yields.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyRankedTensor>:$inputs);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let assemblyFormat = "$kernel `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)";
}

def Rt_BufferKindAttr : EnumAttr<Rt_Dialect, Rt_BufferKind, "kind">;

def Rt_BufferOp : Rt_Op<"buffer"> {
  let summary = "a buffer of the program";
  let description = [{
    `index` numbers inputs, outputs, and results of calls. A weight has its `value`. A temporary lives from launch `first` to launch `last`,
    both included, once `ds-assign-memory` has said so; `bytes` is its size.
  }];
  let arguments = (ins Rt_BufferKindAttr:$kind, I64Attr:$index, DS_ShapeAttr:$bytes, OptionalAttr<ElementsAttr>:$value,
                       OptionalAttr<I64Attr>:$first, OptionalAttr<I64Attr>:$last);
  let results = (outs Rt_Buffer:$buffer);
  let assemblyFormat = "$kind $index `bytes` $bytes attr-dict";
}

def Rt_DispatchOp : Rt_Op<"dispatch", [AttrSizedOperandSegments]> {
  let summary = "runs a kernel on buffers";
  let description = [{
    The kernel's arguments are the inputs, which it reads, then the outputs, which it writes as a whole. `in_place` has
    the numbers of inputs whose memory the only output may take: of these the kernel reads the element that it is about
    to write, and no other, and they have the output's size. `convert-ds-to-rt` states them, `ds-assign-memory` decides and
    removes them.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Rt_Buffer>:$inputs, Variadic<Rt_Buffer>:$outputs,
                       OptionalAttr<DenseI64ArrayAttr>:$in_place);
  let assemblyFormat = "$kernel `(` $inputs `)` `to` `(` $outputs `)` attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The kernel's arguments.
    ::mlir::OperandRange getBuffers() { return getOperands(); }
  }];
}

def Rt_BindOp : Rt_Op<"bind"> {
  let summary = "reads sizes that depend on data from a buffer";
  let description = [{
    Element i of the buffer, of integers of `width` bits, is called `symbols[i]` by what follows. The first dispatch that
    follows begins a new stage (`ds_artifact.h`).
  }];
  let arguments = (ins Rt_Buffer:$buffer, DS_ShapeAttr:$symbols, I64Attr:$width);
  let assemblyFormat = "$buffer `as` $symbols attr-dict";
}

def Rt_CallKindAttr : EnumAttr<Rt_Dialect, Rt_CallKind, "call_kind"> {
  let assemblyFormat = "$value";
}

def Rt_CallOp : Rt_Op<"call", [AttrSizedOperandSegments]> {
  let summary = "runs other functions of the module, which are programs of their own, or a custom operator";
  let description = [{
    A `branch` runs `bodies[0]` on the first `split` inputs where `condition` is true, otherwise `bodies[1]` on the
    others. A `loop` runs `bodies[0]` as `ds.loop` does; its first `split` inputs are the state. Buffers of kind `result`
    become the memory of what the body made, or, where a loop has no iterations, of the state that it began with; `symbols` are dims of it. `input_tensors` and `output_tensors` say the type
    and shape of each buffer.

    A `custom` one runs an operator that the program brings along which runs the model: `custom` has its `op_type`,
    `domain` and `attributes`, as `ds.custom` does. An empty entry of `input_tensors` or `output_tensors` stands for a
    tensor that the node leaves out, which has no buffer.

    The op is the last of its stage.
  }];
  let arguments = (ins Rt_CallKindAttr:$kind, FlatSymbolRefArrayAttr:$bodies, Optional<Rt_Buffer>:$trips,
                       Optional<Rt_Buffer>:$condition, Variadic<Rt_Buffer>:$inputs, Variadic<Rt_Buffer>:$outputs,
                       DictArrayAttr:$input_tensors, DictArrayAttr:$output_tensors, I64Attr:$split,
                       DS_ShapeAttr:$symbols, I64Attr:$trips_width, OptionalAttr<DictionaryAttr>:$custom);
  let assemblyFormat = [{
    $kind $bodies (`trips` $trips^)? (`while` $condition^)? `(` $inputs `)` `to` `(` $outputs `)` attr-dict
  }];
  let extraClassDeclaration = [{
    /// The inputs whose memory output number `output` may be. Bodies make their results in memory of their own.
    ::llvm::SmallVector<::mlir::Value> getSources(unsigned output);
  }];
}

#endif
