//===- ElementInterface.td - How an op's elements are computed -*- tablegen -*-===//
#ifndef DS_ELEMENTINTERFACE_TD
#define DS_ELEMENTINTERFACE_TD

include "mlir/IR/OpBase.td"

def DS_ElementOpInterface : OpInterface<"ElementOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    An op whose result at a position is a function of elements of its operands. Code generation inlines such ops into
    the loops of the ops that use them, so that a fused kernel touches memory once. `indices` has one entry a dimension
    of the result; the value returned is of the compute type of the result's element type (see ElementBuilder.h).
    Shape operands never reach code generation: only the attribute forms of ops are built.
  }];
  let methods = [
    InterfaceMethod<
      "Builds the value of result `resultNumber` at `indices`.",
      "::mlir::FailureOr<::mlir::Value>", "buildElement",
      (ins "::ds::ElementBuilder &":$eb, "unsigned":$resultNumber, "::llvm::ArrayRef<::ds::LaneIndex>":$indices)>,
    InterfaceMethod<
      "Whether every operand is read at the result's own position only (broadcasting allowed), so that dimensions may be "
      "collapsed and an accumulator in a register can be continued from.",
      "bool", "isPointwise", (ins), "", "return false;">,
    InterfaceMethod<
      "Whether the result is one number at every position, for which no operand is read.",
      "bool", "isUniform", (ins), "", "return false;">,
    InterfaceMethod<
      "A rough number of arithmetic operations an element of the result costs, reads of operands not counted.",
      "int64_t", "elementCost", (ins), "", "return 1;">,
    InterfaceMethod<
      "The name of a #ds.shape attribute whose entries are only calculated with (added to indices, say), or a null attribute: "
      "code that differs in such places alone is the same code, given other places.",
      "::mlir::StringAttr", "getPlacesAttrName", (ins), "", "return {};">
  ];
}

#endif
