//===- DsBase.td - The ds dialect, its attributes and base classes --------===//
// Guarantees: every op of ds derives from DS_Op; elementwise ops from DS_ElementwiseOp, so that an interface is added
// to all of them at one place.
//===----------------------------------------------------------------------===//
#ifndef DS_BASE_TD
#define DS_BASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/ds/ir/DsInterfaces.td"
include "dialects/ds/element/ElementInterface.td"

def Ds_Dialect : Dialect {
  let name = "ds";
  let cppNamespace = "::ds";
  let summary = "deep-learning models: value-semantic ops on ranked tensors with symbolic dimensions";
  let description = [{
    Ops of moderate size on ranked tensors. Element types: i1, i8, i16, i32, i64, ui8, ui16, ui32, ui64, f16, bf16, f32,
    f64, and types of a byte or less that are stored, moved and converted only: i2, i4, ui2, ui4, f8E4M3FN, f8E4M3FNUZ,
    f8E5M2, f8E5M2FNUZ, f4E2M1FN; and `!ds.string`, which `ds-lower-strings` replaces by i64. Dimensions are expressions over symbols (`SymExpr`); they are never stored in types but derived by
    `ShapeOpInterface`. A function argument says its own by the argument attribute
    `ds.shape = #ds.shape<["N", "3", "H", "W"]>`.

    Ops that take a shape have two forms: the *operand form* (an integer tensor operand, as in ONNX) and the *attr form*
    (a `#ds.shape` attribute instead). `ds-infer-shapes` turns the first into the second wherever the operand's contents
    are expressions over symbols.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let hasRegionArgAttrVerify = 1;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

def DS_ShapeAttr : AttrDef<Ds_Dialect, "Shape"> {
  let mnemonic = "shape";
  let summary = "a list of integer expressions over the symbols of the enclosing function";
  let description = [{
    `#ds.shape<["N", "12*S+1", "floordiv(H+1, 2)"]>`. Grammar: integers, symbols, `+ - *`, parentheses, and the
    functions `floordiv ceildiv mod min max bcast` of two arguments. A symbol that is no identifier stands in single
    quotes. Expressions are `SymExpr`s in canonical form, so that equal attributes mean equal shapes; what is read from
    text stays as it is written, up to the order of terms and factors.
  }];
  let parameters = (ins ArrayRefParameter<"::ds::SymExpr">:$exprs);
  // Of our own, since it holds references: the expressions themselves, text is read and written by parser and printer
  // alone.
  let genStorageClass = 0;
  let storageClass = "ShapeAttrStorage";
  let builders = [AttrBuilder<(ins "::llvm::ArrayRef<int64_t>":$dims)>];
  let extraClassDeclaration = [{
    /// A copy of the expressions.
    ::llvm::SmallVector<::ds::SymExpr> getDims() const { return ::llvm::SmallVector<::ds::SymExpr>(getExprs()); }
    const ::ds::SymExpr &getDim(unsigned index) const { return getExprs()[index]; }
    unsigned size() const { return getExprs().size(); }
    /// The values, if all expressions are constants.
    ::std::optional<::llvm::SmallVector<int64_t>> getConstants() const;
  }];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

class DS_Enum<string name, list<I32EnumAttrCase> cases> : I32EnumAttr<name, "", cases> {
  let cppNamespace = "::ds";
  let genSpecializedAttr = 0;
}
class DS_EnumAttr<EnumAttrInfo info, string mnem> : EnumAttr<Ds_Dialect, info, mnem> {
  let assemblyFormat = "`<` $value `>`";
}

def DS_ComparePredicate : DS_Enum<"ComparePredicate", [
  I32EnumAttrCase<"eq", 0>, I32EnumAttrCase<"ne", 1>, I32EnumAttrCase<"lt", 2>, I32EnumAttrCase<"le", 3>,
  I32EnumAttrCase<"gt", 4>, I32EnumAttrCase<"ge", 5>]>;
// Bare in the syntax of ds.compare.
def DS_ComparePredicateAttr : EnumAttr<Ds_Dialect, DS_ComparePredicate, "predicate">;

def DS_GeluApproximation : DS_Enum<"GeluApproximation", [
  I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"tanh", 1>]>;
def DS_GeluApproximationAttr : DS_EnumAttr<DS_GeluApproximation, "gelu_approximation">;

def DS_PadMode : DS_Enum<"PadMode", [
  I32EnumAttrCase<"constant", 0>, I32EnumAttrCase<"reflect", 1>, I32EnumAttrCase<"edge", 2>,
  I32EnumAttrCase<"wrap", 3>]>;
def DS_PadModeAttr : DS_EnumAttr<DS_PadMode, "pad_mode">;

def DS_ScatterReduction : DS_Enum<"ScatterReduction", [
  I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"add", 1>, I32EnumAttrCase<"mul", 2>, I32EnumAttrCase<"max", 3>,
  I32EnumAttrCase<"min", 4>]>;
def DS_ScatterReductionAttr : DS_EnumAttr<DS_ScatterReduction, "scatter_reduction">;

def DS_Layout : DS_Enum<"Layout", [I32EnumAttrCase<"nchw", 0>, I32EnumAttrCase<"nhwc", 1>]>;
def DS_LayoutAttr : DS_EnumAttr<DS_Layout, "layout">;

def DS_ResizeMode : DS_Enum<"ResizeMode", [
  I32EnumAttrCase<"nearest", 0>, I32EnumAttrCase<"linear", 1>, I32EnumAttrCase<"cubic", 2>]>;
def DS_ResizeModeAttr : DS_EnumAttr<DS_ResizeMode, "resize_mode">;

def DS_ResizeCoordinates : DS_Enum<"ResizeCoordinates", [
  I32EnumAttrCase<"half_pixel", 0>, I32EnumAttrCase<"half_pixel_symmetric", 1>,
  I32EnumAttrCase<"pytorch_half_pixel", 2>, I32EnumAttrCase<"align_corners", 3>, I32EnumAttrCase<"asymmetric", 4>,
  I32EnumAttrCase<"tf_crop_and_resize", 5>, I32EnumAttrCase<"tf_half_pixel_for_nn", 6>]>;
def DS_ResizeCoordinatesAttr : DS_EnumAttr<DS_ResizeCoordinates, "resize_coordinates">;

def DS_ResizeNearest : DS_Enum<"ResizeNearest", [
  I32EnumAttrCase<"round_prefer_floor", 0>, I32EnumAttrCase<"round_prefer_ceil", 1>, I32EnumAttrCase<"floor", 2>,
  I32EnumAttrCase<"ceil", 3>]>;
def DS_ResizeNearestAttr : DS_EnumAttr<DS_ResizeNearest, "resize_nearest">;

def DS_RandomDistribution : DS_Enum<"RandomDistribution", [
  I32EnumAttrCase<"uniform", 0>, I32EnumAttrCase<"normal", 1>]>;
def DS_RandomDistributionAttr : DS_EnumAttr<DS_RandomDistribution, "random_distribution">;

def DS_Direction : DS_Enum<"Direction", [
  I32EnumAttrCase<"forward", 0>, I32EnumAttrCase<"reverse", 1>, I32EnumAttrCase<"bidirectional", 2>]>;
def DS_DirectionAttr : DS_EnumAttr<DS_Direction, "direction">;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

def DS_StringType : TypeDef<Ds_Dialect, "String"> {
  let mnemonic = "string";
  let summary = "a string of bytes";
  let description = [{
    An element of a tensor of strings. Ops that move elements and comparisons for equality take them; what looks into strings is
    a `ds.custom` of the domain `ds.string`, which the runtime brings along. `ds-lower-strings` turns a string into its
    number in a table of distinct strings (an i64), so that kernels move and compare numbers.
  }];
}

defvar DS_Floats = [F16, BF16, F32, F64];
defvar DS_SignedInts = [I8, I16, I32, I64];
defvar DS_UnsignedInts = [UI8, UI16, UI32, UI64];
defvar DS_Numbers = DS_Floats # DS_SignedInts # DS_UnsignedInts;
// One a byte; they are stored, moved and converted, but not calculated with.
defvar DS_SmallFloats = [F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1FN];
defvar DS_SmallInts = [I<2>, I<4>, UI<2>, UI<4>];
defvar DS_SmallTypes = DS_SmallFloats # DS_SmallInts;

class DS_TensorOf<list<Type> elements, string what> : RankedTensorOf<elements, [], "tensor of " # what>;

// A string as callers have it: pointer and size, in and around the calls that number strings.
defvar DS_Strings = [DS_StringType, I<128>];

def DS_Tensor : DS_TensorOf<[I1] # DS_Numbers # DS_SmallTypes # DS_Strings, "i1, integers, floats or strings">;
def DS_NumberTensor : DS_TensorOf<DS_Numbers, "integers or floats">;
def DS_FloatTensor : DS_TensorOf<DS_Floats, "floats">;
def DS_IntTensor : DS_TensorOf<DS_SignedInts # DS_UnsignedInts, "integers">;
def DS_BoolTensor : DS_TensorOf<[I1], "i1">;
def DS_IndexTensor : DS_TensorOf<[I32, I64], "i32 or i64">;
def DS_QuantizedTensor : DS_TensorOf<DS_SignedInts # DS_UnsignedInts # DS_SmallTypes, "quantized numbers">;

//===----------------------------------------------------------------------===//
// Base classes
//===----------------------------------------------------------------------===//

/// Every op of ds.
class DS_Op<string mnemonic, list<Trait> traits = []> : Op<Ds_Dialect, mnemonic, traits>;

/// A pure op on tensors that has a shape function of its own; `shapeMethods` are the optional methods of
/// ShapeOpInterface that it has too.
class DS_TensorOp<string mnemonic, list<Trait> traits = [], list<string> shapeMethods = []>
    : DS_Op<mnemonic, traits # [Pure, DeclareOpInterfaceMethods<ShapeOpInterface, shapeMethods>]> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

/// For ops that the compiler computes on constants (elementwise ops do so through their rules).
def DS_Fold : DeclareOpInterfaceMethods<FoldOpInterface>;

/// For ops in operand form whose result dims follow from an operand's contents.
def DS_BindShapes : DeclareOpInterfaceMethods<BindShapesOpInterface>;

/// For ops that occur in shape arithmetic: see ShapeOpInterface::inferElement.
defvar DS_InferElement = [{
    ::std::optional<::ds::SymFraction> inferElement(::llvm::ArrayRef<::ds::SymFraction> operands);
}];

/// Marks ops whose result element depends on one (broadcast) element of each operand only.
def DS_Elementwise : NativeOpTrait<"Elementwise"> {
  let cppNamespace = "::ds";
}

/// Marks ops whose result element is one element of operand 0, or a constant; the other operands only say which.
def DS_CopiesElements : NativeOpTrait<"CopiesElements"> {
  let cppNamespace = "::ds";
}

/// Marks ops that combine the elements of operand 0 over the dims in their attribute `axes`. Kernels of such ops that read
/// the same are joined, and one pass computes them all.
def DS_Reduces : NativeOpTrait<"Reduces"> {
  let cppNamespace = "::ds";
}

/// Marks ops that move elements and may take one of them for many elements of the result.
def DS_RepeatsElements : NativeOpTrait<"RepeatsElements"> {
  let cppNamespace = "::ds";
}

/// Marks ops that broadcast an operand and do nothing else: computing them where they are used costs no arithmetic.
def DS_Broadcasts : NativeOpTrait<"Broadcasts"> {
  let cppNamespace = "::ds";
}

/// Adds DifferentiableOpInterface to an op that is not elementwise and has no rule: the error that names the node says why.
class DS_NoVjpReason<string why> : NativeOpTrait<"HasNoVjp", [], [{
    static ::llvm::StringRef whyNoVjp() { return "}] # why # [{"; }
  }]> {
  let cppNamespace = "::ds";
  string reason = why;
}
class DS_NoVjp<string why> : TraitList<[DifferentiableOpInterface, DS_NoVjpReason<why>]>;

defvar DS_NoFloats = "it takes or makes no floats";

/// One result; dims are the NumPy broadcast of all operands' dims. `buildLanes` computes the result's value from those of
/// the operands, which are all scalars or all vectors; `cost` is what elementCost says. `floatRule` and `intRule` are C++
/// expressions for one element on the host (see ElementRuleOpInterface), empty where there is none. `vjp` has an expression
/// for each operand (see VjpBuilder.h): its cotangent, of `g`, that of the result, the operands `x[k]` and the result `y`;
/// `zero` where the derivative is 0 almost everywhere. An op with floats that has none says why in `noVjp`.
class DS_ElementwiseOp<string mnemonic, list<Trait> traits = []>
    : DS_Op<mnemonic, traits # [Pure, DS_Elementwise, ShapeOpInterface, DS_ElementOpInterface, FoldOpInterface,
                            ElementRuleOpInterface, DifferentiableOpInterface]> {
  let results = (outs DS_Tensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  code elementDeclaration = "";
  int cost = 1;
  string floatRule = "";
  string intRule = "";
  list<string> vjp = [];
  string noVjp = DS_NoFloats;
  let extraClassDeclaration = [{
    ::llvm::LogicalResult inferShapes(::ds::ShapeState &state) {
      return ::ds::detail::inferElementwise(getOperation(), state);
    }
    ::mlir::Value buildLanes(::ds::ElementBuilder &eb, ::llvm::ArrayRef<::mlir::Value> x);
    ::mlir::FailureOr<::mlir::Value> buildElement(::ds::ElementBuilder &eb, unsigned,
                                                  ::llvm::ArrayRef<::ds::LaneIndex> indices) {
      return ::ds::detail::buildElementwise(getOperation(), eb, indices,
                                            [&](::llvm::ArrayRef<::mlir::Value> x) { return buildLanes(eb, x); });
    }
    bool isPointwise() { return true; }
    int64_t elementCost() { return }] # cost # [{; }
    ::llvm::FailureOr<::std::vector<char>> evaluate(::llvm::ArrayRef<::ds::ElementsView> operands) {
      return ::ds::detail::evaluateElementwise(getOperation(), operands);
    }
  }] # !if(!empty(floatRule), "", [{
    ::std::optional<double> computeFloat(::llvm::ArrayRef<double> x) { return }] # floatRule # [{; }
  }]) # !if(!empty(intRule), "", [{
    ::std::optional<int64_t> computeInt(::llvm::ArrayRef<int64_t> x, bool isUnsigned) { return }] # intRule # [{; }
  }]) # [{
    static ::llvm::StringRef whyNoVjp() { return }] # !if(!empty(vjp), "\"" # noVjp # "\"", "\"\"") # [{; }
  }] # !if(!empty(vjp), "", [{
    ::llvm::LogicalResult buildVjp(::ds::VjpBuilder &b, ::llvm::ArrayRef<::mlir::Value> cotangents,
                                   ::llvm::MutableArrayRef<::mlir::Value> operandCotangents);
  }]) # elementDeclaration;
  let extraClassDefinition = !if(!empty(vjp), "", [{
    ::llvm::LogicalResult $cppClass::buildVjp(::ds::VjpBuilder &b, ::llvm::ArrayRef<::mlir::Value> cotangents,
                                              ::llvm::MutableArrayRef<::mlir::Value> operandCotangents) {
      [[maybe_unused]] const ::ds::TensorExpr g = b(cotangents[0]), y = b.result(0), zero;
      ::llvm::SmallVector<::ds::TensorExpr> x;
      for (unsigned i = 0; i < getOperation()->getNumOperands(); ++i)
        x.push_back(b.operand(i));
      }] # !interleave(!foreach(k, !range(!size(vjp)), "if (b.needs(" # k # ")) operandCotangents[" # k # "] = (" # vjp[k] # ").get();"), "\n      ") # [{
      return ::llvm::failure(b.hasFailed());
    }
  }]);
}

/// Adds DifferentiableOpInterface to an op that is not elementwise; `methods` are those that it has.
class DS_Vjp<list<string> methods = ["buildVjp"]> : DeclareOpInterfaceMethods<DifferentiableOpInterface, methods>;

/// Adds ElementOpInterface to an op that is not elementwise; `methods` are the optional ones that it has too.
class DS_Element<list<string> methods = []> : DeclareOpInterfaceMethods<DS_ElementOpInterface, methods>;

/// An op that no kernel computes; `methods` are the optional ones of HostOpInterface that it has.
class DS_Host<list<string> methods = []> : DeclareOpInterfaceMethods<HostOpInterface, methods>;

/// An op that is the root of its kernel; `methods` are the optional ones of KernelRootOpInterface that it has.
class DS_Root<list<string> methods = []> : DeclareOpInterfaceMethods<KernelRootOpInterface, methods>;

#endif
