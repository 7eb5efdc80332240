//===- DsRegion.td - Regions --------------------------------------------===//
// Guarantees: nothing inside a static region needs a size that is unknown on entry.
//===----------------------------------------------------------------------===//
#ifndef DS_REGION_TD
#define DS_REGION_TD

include "dialects/ds/DsBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def DS_StaticOp : DS_Op<"static", [IsolatedFromAbove, SingleBlockImplicitTerminator<"ReturnOp">, RecursiveMemoryEffects,
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

def DS_BindOp : DS_Op<"bind", [AllTypesMatch<["x", "result"]>, DeclareOpInterfaceMethods<ShapeOpInterface>]> {
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
