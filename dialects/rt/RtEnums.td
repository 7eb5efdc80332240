//===- RtEnums.td - Enumerations of the host program ----------------------===//
#ifndef RT_ENUMS_TD
#define RT_ENUMS_TD

include "mlir/IR/EnumAttr.td"

def Rt_BufferKind : I32EnumAttr<"BufferKind", "", [
    I32EnumAttrCase<"input", 0>, I32EnumAttrCase<"output", 1>, I32EnumAttrCase<"weight", 2>,
    I32EnumAttrCase<"temporary", 3>, I32EnumAttrCase<"result", 4>]> {
  let cppNamespace = "::ds::rt";
  let genSpecializedAttr = 0;
}

def Rt_ConstraintKind : I32EnumAttr<"ConstraintKind", "", [
    I32EnumAttrCase<"equal", 0>, I32EnumAttrCase<"broadcast", 1>, I32EnumAttrCase<"less_equal", 2>,
    I32EnumAttrCase<"not_zero", 3>]> {
  let cppNamespace = "::ds::rt";
  let genSpecializedAttr = 0;
}

def Rt_CallKind : I32EnumAttr<"CallKind", "", [
    I32EnumAttrCase<"branch", 0>, I32EnumAttrCase<"loop", 1>, I32EnumAttrCase<"custom", 2>]> {
  let cppNamespace = "::ds::rt";
  let genSpecializedAttr = 0;
}

#endif
