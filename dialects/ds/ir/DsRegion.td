//===- DsRegion.td - Regions --------------------------------------------===//
// Guarantees: nothing inside a static region needs a size that is unknown on entry.
//===----------------------------------------------------------------------===//
#ifndef DS_REGION_TD
#define DS_REGION_TD

include "dialects/ds/ir/DsBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def DS_StaticOp : DS_Op<"static", [DS_NoVjp<"regions are formed after differentiation">, IsolatedFromAbove, SingleBlockImplicitTerminator<"ReturnOp">, RecursiveMemoryEffects,
                                   DeclareOpInterfaceMethods<ShapeOpInterface>]> {
  let summary = "a part of a model whose shapes are all computable on entry";
  let description = [{
    The operands are the body's block arguments; the results what its `ds.return` returns. Every dim inside is an
    expression over the symbols known on entry: it is fused, and its sizes and lifetimes are compiled in.

    Constraints:
    1. Block arguments have the operands' types; `ds.return` returns the results' types.

    Created by `ds-form-regions`; consumed by grouping.
  }];
  let arguments = (ins Variadic<DS_Tensor>:$inputs);
  let results = (outs Variadic<DS_Tensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def DS_BindOp : DS_Op<"bind", [DS_NoVjp<DS_NoFloats>, AllTypesMatch<["x", "result"]>, DeclareOpInterfaceMethods<ShapeOpInterface>,
                               DS_Host<["endsStage", "getViewed", "getOperandsRead"]>]> {
  let summary = "makes the contents of a small integer tensor known as symbols";
  let description = [{
    The result is the operand, of which the elements are from here on called by the names in `symbols`: sizes of what
    follows may depend on them. When the program runs, the elements are read on the host once they have been computed; a
    negative one ends the run with an error. Every op that uses one of the symbols comes after the op.

    Constraints:
    1. The operand is of i32 or i64, with static dims and as many elements as there are `symbols`.
    2. Each entry of `symbols` is a symbol that nothing else in the function defines.

    Created by `ds-bind-values`; it parts the program into stages (`ds_artifact.h`), and is the boundary between two
    `ds.static` regions.
  }];
  let arguments = (ins DS_Tensor:$x, DS_ShapeAttr:$symbols);
  let results = (outs DS_Tensor:$result);
  let assemblyFormat = "$x `as` $symbols attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def DS_RequireOp : DS_Op<"require", [DeclareOpInterfaceMethods<ShapeOpInterface>, DS_Host<>]> {
  let summary = "two sizes that must be equal";
  let description = [{
    A run where `a` and `b` differ ends with an error, "expected ..." with the words of `what`.

    Constraints:
    1. `a` and `b` are one expression each, and not provably different.

    Created by import, where one branch of a model alone can be compiled; code generation sees its constraint.
  }];
  let arguments = (ins DS_ShapeAttr:$a, DS_ShapeAttr:$b, StrAttr:$what);
  let assemblyFormat = "$a `=` $b `,` $what attr-dict";
  let hasVerifier = 1;
}

def DS_DefineOp : DS_Op<"define", [DeclareOpInterfaceMethods<ShapeOpInterface>, DS_Host<>]> {
  let summary = "a short name for a long size";
  let description = [{
    `symbol` is from here on a name of `value`, an expression over symbols that are known before the op. What follows may
    say the one or the other; the host program computes `value` once. So a size never grows with the length of the model:
    one that follows from a named one is an expression over the name. Functions that the function runs know the symbol,
    as any other.

    Constraints:
    1. `value` is one expression.
    2. Nothing else in the function gives `symbol` another meaning.

    Created by import, where an expression gets long; the host program has what becomes of it (`rt.program`).
  }];
  let arguments = (ins StrAttr:$symbol, DS_ShapeAttr:$value);
  let assemblyFormat = "$symbol `=` $value attr-dict";
  let hasVerifier = 1;
}

def DS_ShapeArray : TypedArrayAttrBase<DS_ShapeAttr, "shapes">;

/// Ops that run other functions of the module, their *bodies*. What is known of the results' dims when the op ends is in
/// `shapes`; dims that only the run tells are symbols that the op defines.
class DS_BodyOp<string mnemonic> : DS_Op<mnemonic, [DS_NoVjp<"the functions that it runs are not differentiated">, AttrSizedOperandSegments,
                                                    DS_Host<["isCall", "mayHandOn", "getOperandsRead"]>,
                                                    DeclareOpInterfaceMethods<ShapeOpInterface>,
                                                    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let results = (outs Variadic<DS_Tensor>:$outputs);
  let hasVerifier = 1;
}

def DS_IfOp : DS_BodyOp<"if"> {
  let summary = "runs one of two functions";
  let description = [{
    The results are those of `then_body` on `then_inputs` where `condition` is true, otherwise of `else_body` on
    `else_inputs`. Only the one that is chosen runs. Both functions know the symbols that are known before the op.

    Constraints:
    1. `condition` has one element.
    2. Each function takes as many tensors as it gets, of the same element types and ranks, and returns tensors of the
       results' element types and ranks.
    3. There is a shape for each result, with as many dims as the result has.
    4. Each entry of `symbols` is a symbol that nothing else in the function defines, and a dim of a result.

    Where the run decides a small number, such as a rank, there is a function for each: `decides` says what that number is,
    and the condition whether it is `number`. The other ones are in `else_body`.

    Created by import; it ends a stage of the program (`ds_artifact.h`), and is the boundary between two `ds.static`
    regions.
  }];
  let arguments = (ins DS_BoolTensor:$condition, Variadic<DS_Tensor>:$then_inputs, Variadic<DS_Tensor>:$else_inputs,
                       FlatSymbolRefAttr:$then_body, FlatSymbolRefAttr:$else_body, DS_ShapeArray:$shapes,
                       DS_ShapeAttr:$symbols, OptionalAttr<I64Attr>:$number, OptionalAttr<StrAttr>:$decides);
  let assemblyFormat = [{
    $condition `then` $then_body `(` $then_inputs `)` `else` $else_body `(` $else_inputs `)` attr-dict
    `:` functional-type(operands, results)
  }];
}

def DS_LoopOp : DS_BodyOp<"loop"> {
  let summary = "runs a function again and again";
  let description = [{
    `body` takes the number of the iteration (an i64 of rank 0, from 0), the state, and what it needs besides; it returns
    whether to go on (an i1 of rank 0), the next state, and one value to keep for each further result. The loop ends after
    `trips` iterations (without it: never), or once `condition`, or what the body returned for it, is false. The results
    are the last state, and the values kept, stacked along a new first axis.

    Constraints:
    1. `trips` and `condition` have one element.
    2. The function takes as many tensors as it gets, and returns as many as the op has results and one more, with the
       element types and ranks of the state and, one rank lower, of the results that are kept.
    3. There is a shape for each result, with as many dims as the result has.
    4. Each entry of `symbols` is a symbol that nothing else in the function defines, and a dim of a result.

    Dims of the state that an iteration may change are symbols of the body's own: `ds.own` of the function.

    Created by import; it ends a stage of the program, as `ds.if` does.
  }];
  let arguments = (ins Optional<DS_IndexTensor>:$trips, Optional<DS_BoolTensor>:$condition, Variadic<DS_Tensor>:$state,
                       Variadic<DS_Tensor>:$captured, FlatSymbolRefAttr:$body, DS_ShapeArray:$shapes,
                       DS_ShapeAttr:$symbols);
  let assemblyFormat = [{
    (`trips` $trips^)? (`while` $condition^)? `do` $body `(` $state `)` `with` `(` $captured `)` attr-dict
    `:` functional-type(operands, results)
  }];
}

def DS_CustomOp : DS_Op<"custom", [DS_NoVjp<"only the program that runs the model knows the operator">, DeclareOpInterfaceMethods<ShapeOpInterface>, DS_Host<["isCall"]>]> {
  let summary = "an operator that the program brings along which runs the model";
  let description = [{
    The results are what the operator `op_type` of `domain` makes of the inputs when the model runs. The program that
    runs it registers the operator with the session (`ds_custom_op`), which asks it for the sizes of the results, gives
    it memory for them, and has it compute them. `op_attributes` are the model's node's own.

    What is known of the results' dims beforehand is in `shapes`, and the run checks it; dims that only the operator
    tells are symbols that the op defines. `takes` says, where the node leaves out an input, for each input whether it
    is there; `makes` the same of outputs.

    Constraints:
    1. As many entries of `takes` are true as there are operands, of `makes` as there are results.
    2. There is a shape for each result, with as many dims as the result has.
    3. Each entry of `symbols` is a symbol that nothing else in the function defines, and a dim of a result.
    4. Each entry of `op_attributes` is an i64, an f32, a string, an array of these, or the elements of a tensor.

    Created by import; it ends a stage of the program, as `ds.if` does.
  }];
  let arguments = (ins StrAttr:$op_type, StrAttr:$domain, Variadic<DS_Tensor>:$inputs, DictionaryAttr:$op_attributes,
                       OptionalAttr<DenseBoolArrayAttr>:$takes, OptionalAttr<DenseBoolArrayAttr>:$makes,
                       DS_ShapeArray:$shapes, DS_ShapeAttr:$symbols);
  let results = (outs Variadic<DS_Tensor>:$outputs);
  let assemblyFormat = [{
    $op_type `of` $domain `(` $inputs `)` $op_attributes attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def DS_ReturnOp : DS_Op<"return", [Pure, Terminator, ReturnLike, HasParent<"StaticOp">]> {
  let summary = "ends a region";
  let description = [{
    Its operands are the region's results.
  }];
  let arguments = (ins Variadic<DS_Tensor>:$values);
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

#endif
