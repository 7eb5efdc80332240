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
    `ds-group` turns the body of a model into `rt.kernel`s and `rt.launch`es on tensors; `ds-generate-kernels` turns kernels
    into `rt.code`; `convert-ds-to-rt` makes an `rt.program` of each function, and gives every tensor a buffer;
    `ds-assign-memory` says how long buffers live and which share memory; `convert-rt-to-llvm` makes the two host functions of
    `ds_kernel.h` from what remains.
  }];
  let dependentDialects = ["::ds::DsDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

class Rt_Op<string mnemonic, list<Trait> traits = []> : Op<Rt_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

def Rt_Buffer : TypeDef<Rt_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "memory that kernels work on";
  let description = [{
    `!rt.buffer` is memory of the host, `!rt.buffer<device 0>` that of the program's first device. `space` numbers them as the
    artifact does: 0 is the host's, 1 + n that of device n. Ops do not spell types of buffers that are all the host's.
  }];
  let parameters = (ins "uint32_t":$space);
  let builders = [TypeBuilder<(ins CArg<"uint32_t", "0">:$space), [{ return $_get($_ctxt, space); }]>];
  let skipDefaultBuilders = 1;
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    bool isHost() const { return getSpace() == 0; }
  }];
}

def Rt_HostBuffer : Type<And<[Rt_Buffer.predicate, CPred<"::llvm::cast<::ds::rt::BufferType>($_self).isHost()">]>,
                         "memory of the host", "::ds::rt::BufferType">,
                    BuildableType<"::ds::rt::BufferType::get($_builder.getContext())">;

//===----------------------------------------------------------------------===//
// What programs say of themselves
//===----------------------------------------------------------------------===//

class Rt_Attr<string name, string mnem> : AttrDef<Rt_Dialect, name> {
  let mnemonic = mnem;
}

def Rt_TensorAttr : Rt_Attr<"Tensor", "tensor"> {
  let summary = "a tensor that goes into a program or a call, or comes out";
  let description = [{
    `#rt.tensor<name = "x", type = tensor<?x8xf32>, shape = <["N", "8"]>>`. An input of a program may be *donated*: the output
    `donated_to` takes its memory, with `in_place` from the start, otherwise by a copy at the end. An optional input of a
    program is `unless_given` in runs that leave it out.

    Constraints:
    - (C1) `shape` has one expression a dimension of `type`.
    - (C2) `in_place` is said of what is donated.
  }];
  let parameters = (ins OptionalParameter<"::mlir::StringAttr">:$name, "::mlir::RankedTensorType":$type,
                        "::ds::ShapeAttr":$shape, DefaultValuedParameter<"int64_t", "-1">:$donated_to,
                        DefaultValuedParameter<"bool", "false">:$in_place,
                        OptionalParameter<"::mlir::ElementsAttr">:$unless_given);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool isDonated() const { return getDonatedTo() >= 0; }
  }];
}

def Rt_ConstraintAttr : Rt_Attr<"Constraint", "constraint"> {
  let summary = "what sizes must fulfil";
  let description = [{
    `#rt.constraint<equal, <["N", "M"]>, "node 'a' (Add): ...">`: checked when the sizes are known; the message is the
    error otherwise. `broadcast`: equal, or one of the two is 1; `not_zero`: the first is not 0.

    Constraints:
    - (C1) There are two sizes.
  }];
  let parameters = (ins EnumParameter<Rt_ConstraintKind>:$kind, "::ds::ShapeAttr":$sides, "::mlir::StringAttr":$message);
  let assemblyFormat = "`<` $kind `,` $sides `,` $message `>`";
  let genVerifyDecl = 1;
}

def Rt_DefinitionAttr : Rt_Attr<"Definition", "definition"> {
  let summary = "a short name for a long size (ds.define)";
  let description = [{
    `#rt.definition<"s0", <["4*N+M"]>>`: `value` is over symbols, and names that were defined before.

    Constraints:
    - (C1) `value` is one expression.
  }];
  let parameters = (ins "::mlir::StringAttr":$symbol, "::ds::ShapeAttr":$value);
  let assemblyFormat = "`<` $symbol `,` $value `>`";
  let genVerifyDecl = 1;
}

def Rt_VersionAttr : Rt_Attr<"Version", "version"> {
  let summary = "the program that takes another one's place where symbols have these sizes, and inputs are left out";
  let description = [{
    `left_out` has the numbers (i64) of optional inputs that the run must not give.
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$body, "::mlir::DictionaryAttr":$sizes,
                        OptionalParameter<"::mlir::ArrayAttr">:$left_out);
  let assemblyFormat = "`<` $body `,` $sizes (`,` `left_out` `=` $left_out^)? `>`";
}

def Rt_OperatorAttr : Rt_Attr<"Operator", "operator"> {
  let summary = "an operator that the program brings along which runs the model, as ds.custom names it";
  let parameters = (ins "::mlir::StringAttr":$op_type, "::mlir::StringAttr":$domain, "::mlir::DictionaryAttr":$attributes);
  let assemblyFormat = "`<` $op_type `,` $domain `,` $attributes `>`";
}

def Rt_TensorArray : TypedArrayAttrBase<Rt_TensorAttr, "tensors">;
/// `unit` stands for a tensor that a node leaves out.
def Rt_OperandArray : TypedArrayAttrBase<AnyAttrOf<[Rt_TensorAttr, UnitAttr]>, "tensors, or unit">;

def Rt_ProgramOp : Rt_Op<"program", [IsolatedFromAbove, Symbol, SingleBlock, NoTerminator, NoRegionArguments,
                                     DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a host program: the model's, or that of a body or version";
  let description = [{
    The body has the buffers, then dispatches, binds and calls in their order. Of the symbols that its sizes are expressed
    in, callers or the session give those that `given` names, in this order; others are dims of inputs, or bound by the
    body, or names that `defined` gives to long sizes. A body's inputs define the symbols that `own` names, the model's all that are a dim of theirs. `versions` are tried
    in their order. `fixed` are inputs of the source model that are constants here.

    Constraints:
    - (C1) Inputs and outputs are named.
    - (C2) An input is donated to an output, each output takes one input's memory, and outputs are not donated.
    - (C3) `given` and `own` have different names.
    - (C4) Buffers of the kinds input and output have numbers of inputs and outputs.
    - (C5) The body has buffers, dispatches, binds and calls alone.
    - (C6) Bodies of `versions` are programs.

    Created by `convert-ds-to-rt`. `convert-rt-to-llvm` makes its functions and says what bodies are `given`; the artifact's
    description is read from it.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<StrAttr>:$sym_visibility, Rt_TensorArray:$inputs,
                       Rt_TensorArray:$outputs,
                       DefaultValuedOptionalAttr<TypedArrayAttrBase<Rt_ConstraintAttr, "constraints">, "{}">:$constraints,
                       OptionalAttr<TypedArrayAttrBase<Rt_DefinitionAttr, "definitions">>:$defined,
                       OptionalAttr<StrArrayAttr>:$own, OptionalAttr<StrArrayAttr>:$given,
                       OptionalAttr<StrArrayAttr>:$fixed,
                       OptionalAttr<TypedArrayAttrBase<Rt_VersionAttr, "versions">>:$versions);
  let regions = (region SizedRegion<1>:$body_region);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body_region";
  let hasRegionVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def Rt_KernelOp : Rt_Op<"kernel", [IsolatedFromAbove, Symbol, FunctionOpInterface]> {
  let summary = "ops that share one loop nest";
  let description = [{
    The body holds `ds` ops and ends in `rt.yield`. At most one of them, the *root*, is an op with loops of its own (a
    contraction, a reduction, a normalization, attention); the others are computed where they are used: before it in its
    operands, or after it in its epilogue. Arguments say their dims by `ds.shape`. `symbols` are the names that sizes in
    the kernel are expressed in, in the order in which launches give their values; where it does not say, the order in
    which its attributes mention them.

    Constraints:
    - (C1) `symbols` differ.
    - (C2) Sizes in the kernel are expressed in `symbols` alone.
    - (C3) The body yields values of the function type's results.

    Created by `ds-group`; `ds-generate-kernels` makes an `rt.code` of it.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs,
                       OptionalAttr<StrArrayAttr>:$symbols);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// `symbols`, or those that attributes mention.
    ::mlir::ArrayAttr getSymbolNames();
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

def Rt_CodeOp : Rt_Op<"code", [IsolatedFromAbove, Symbol, NoTerminator, NoRegionArguments]> {
  let summary = "the code of a kernel, and all that others know of it";
  let description = [{
    The contract between a kernel's code and the host program. `function_type` and `symbols` are the kernel's; the other
    expressions are over these symbols:

    | attribute | says |
    |---|---|
    | `sizes` | the numbers that the code is handed with each launch, in order |
    | `range` | items of a launch, which threads share out |
    | `grain` | fewest items worth a thread |
    | `scratch` | bytes that each worker needs |
    | `flops`, `bytes` | floating-point operations, and bytes that it must read and write; 0 where nobody knows |
    | `device` | the number of the device whose code it is; none: the host's |
    | `in_place` | the result may lie where an argument of its size lies: of each the code reads the element that it is about to write, and no other |

    The body is a module that defines the function of `ds_kernel.h`, in whatever dialects the phase has reached. Without one,
    the object comes from the cache of kernels.

    Constraints:
    - (C1) `range`, `grain`, `scratch`, `flops` and `bytes` are one expression each.
    - (C2) `symbols` differ.
    - (C3) Expressions are over `symbols` alone.
    - (C4) Arguments and results are ranked tensors.
    - (C5) The body is one module, which defines a function of the code's name.

    Created by `ds-generate-kernels`. Read by `ds-place-donations`, `convert-ds-to-rt`, `convert-rt-to-llvm`; what the
    artifact says of kernels and launches comes from it.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type, StrArrayAttr:$symbols,
                       DS_ShapeAttr:$sizes, DS_ShapeAttr:$range, DS_ShapeAttr:$grain, DS_ShapeAttr:$scratch,
                       DS_ShapeAttr:$flops, DS_ShapeAttr:$bytes, UnitAttr:$in_place,
                       OptionalAttr<ConfinedAttr<I64Attr, [IntNonNegative]>>:$device);
  let regions = (region MaxSizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `:` $function_type attr-dict-with-keyword ($body^)?";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// Null where the object comes from the cache.
    ::mlir::ModuleOp getModule();
    /// The memory that its arguments lie in (BufferType::getSpace).
    uint32_t getSpace() { return getDevice() ? 1 + *getDevice() : 0; }
  }];
}

def Rt_LaunchOp : Rt_Op<"launch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs a kernel on tensors";
  let description = [{
    The operands are the kernel's arguments, the results what it yields. `symbols` are the values of the kernel's symbols,
    `shapes` the dims of the results, both in the function's symbols.

    Constraints:
    - (C1) `kernel` names an `rt.kernel` or `rt.code`.
    - (C2) Operands and results have the types of its arguments and results.
    - (C3) `symbols` has one expression for each of its symbols.
    - (C4) `shapes` has one entry a result, with one expression a dimension.

    Created by `ds-group`; `convert-ds-to-rt` makes an `rt.dispatch` of it.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyRankedTensor>:$inputs, DS_ShapeAttr:$symbols,
                       TypedArrayAttrBase<DS_ShapeAttr, "shapes">:$shapes);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let assemblyFormat = "$kernel `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)";
  let hasVerifier = 1;
}

def Rt_BufferKindAttr : EnumAttr<Rt_Dialect, Rt_BufferKind, "kind">;

def Rt_BufferOp : Rt_Op<"buffer"> {
  let summary = "a buffer of the program";
  let description = [{
    `index` numbers inputs, outputs, and results of calls. A weight has its `value`. A temporary lives from launch `first` to launch `last`,
    both included, once `ds-assign-memory` has said so; `bytes` is its size.

    Constraints:
    - (C1) `bytes` is one expression.
    - (C2) A weight has a `value`, other kinds have none.
    - (C3) `first` and `last` are said together, and of temporaries alone.
  }];
  let arguments = (ins Rt_BufferKindAttr:$kind, I64Attr:$index, DS_ShapeAttr:$bytes, OptionalAttr<ElementsAttr>:$value,
                       OptionalAttr<I64Attr>:$first, OptionalAttr<I64Attr>:$last);
  let results = (outs Rt_Buffer:$buffer);
  let assemblyFormat = "$kind $index `bytes` $bytes attr-dict custom<BufferType>(type($buffer))";
  let hasVerifier = 1;
}

def Rt_DispatchOp : Rt_Op<"dispatch", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs a kernel on buffers";
  let description = [{
    The kernel's arguments are the inputs, which it reads, then the outputs, which it writes as a whole. `symbols` are the
    values of the kernel's symbols. `in_place` has the numbers of inputs whose memory an output may take: of these
    the kernel reads the element that it is about to write, and no other, before it writes any, and they have the size of
    each output.
    `convert-ds-to-rt` states them, `ds-assign-memory` decides and removes them.

    Constraints:
    - (C1) `kernel` names an `rt.code`.
    - (C2) There is an input for each of its arguments, an output for each of its results.
    - (C3) `symbols` has one expression for each of its symbols.
    - (C4) Where `in_place` is said, the code is `in_place`.
    - (C5) `in_place` has numbers of inputs.
    - (C6) Buffers lie in the memory of what runs the code: the host's, or its `device`'s.

    Created by `convert-ds-to-rt`; `convert-rt-to-llvm` makes a part of the host's code of it.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Rt_Buffer>:$inputs, Variadic<Rt_Buffer>:$outputs,
                       DS_ShapeAttr:$symbols, OptionalAttr<DenseI64ArrayAttr>:$in_place);
  let assemblyFormat = [{
    $kernel `(` custom<Buffers>($inputs, type($inputs)) `)` `to` `(` custom<Buffers>($outputs, type($outputs)) `)`
    `symbols` $symbols attr-dict
  }];
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

    Constraints:
    - (C1) `symbols` are symbols.
    - (C2) `width` is 32 or 64.
  }];
  let arguments = (ins Rt_HostBuffer:$buffer, DS_ShapeAttr:$symbols, I64Attr:$width);
  let assemblyFormat = "$buffer `as` $symbols attr-dict";
  let hasVerifier = 1;
}

def Rt_CallKindAttr : EnumAttr<Rt_Dialect, Rt_CallKind, "call_kind"> {
  let assemblyFormat = "$value";
}

def Rt_CallOp : Rt_Op<"call", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs other programs of the module, or a custom operator";
  let description = [{
    A `branch` runs `bodies[0]` on the first `split` inputs where `condition` is true, otherwise `bodies[1]` on the
    others. A `loop` runs `bodies[0]` as `ds.loop` does; its first `split` inputs are the state. Buffers of kind `result`
    become the memory of what the body made, or, where a loop has no iterations, of the state that it began with; `symbols` are dims of it. `input_tensors` and `output_tensors` say the type
    and shape of each buffer.

    A `custom` one runs `custom`, an operator that the program brings along which runs the model. `unit` in
    `input_tensors` or `output_tensors` stands for a tensor that the node leaves out, which has no buffer.

    The op is the last of its stage.

    Constraints:
    - (C1) `bodies` are programs: two of a branch, one of a loop, none of a custom operator.
    - (C2) `input_tensors` and `output_tensors` have an entry for each buffer, and `unit` of a custom operator alone.
    - (C3) A custom operator has `custom`, others do not.
    - (C4) A branch has a condition; a loop may have trips, a condition, or both; a custom operator has neither.
    - (C5) `split` is at most the number of inputs; as many as a loop's state it has results.
    - (C6) `symbols` are symbols, each a dim of an output.
  }];
  let arguments = (ins Rt_CallKindAttr:$kind, FlatSymbolRefArrayAttr:$bodies, Optional<Rt_HostBuffer>:$trips,
                       Optional<Rt_HostBuffer>:$condition, Variadic<Rt_Buffer>:$inputs, Variadic<Rt_Buffer>:$outputs,
                       Rt_OperandArray:$input_tensors, Rt_OperandArray:$output_tensors, I64Attr:$split,
                       DS_ShapeAttr:$symbols, I64Attr:$trips_width, OptionalAttr<Rt_OperatorAttr>:$custom);
  let assemblyFormat = [{
    $kind $bodies (`trips` $trips^)? (`while` $condition^)? `(` custom<Buffers>($inputs, type($inputs)) `)` `to`
    `(` custom<Buffers>($outputs, type($outputs)) `)` attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The inputs whose memory output number `output` may be. Bodies make their results in memory of their own.
    ::llvm::SmallVector<::mlir::Value> getSources(unsigned output);
  }];
}

#endif
