//===- DsInterfaces.td - What an op of ds says about itself ---------------===//
// Guarantees: everything that differs from op to op is a method here; no pass switches over ops.
//===----------------------------------------------------------------------===//
#ifndef DS_INTERFACES_TD
#define DS_INTERFACES_TD

include "mlir/IR/OpBase.td"

def ShapeOpInterface : OpInterface<"ShapeOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    The one shape function of an op: result dimensions as expressions over symbols and, for small tensors that carry
    shapes, their contents. Inference, allocation, run-time checks and the removal of shape chains all use it, and the
    verifier of every op runs it on the operand types and compares the outcome with the result types.
  }];
  let methods = [
    InterfaceMethod<[{
        Reads the operands' dims (and contents) from `state` and sets those of all results. Must not read result
        shapes: they may be placeholders. Emits a diagnostic on failure.
      }], "::llvm::LogicalResult", "inferShapes", (ins "::ds::ShapeState &":$state)>,
    InterfaceMethod<[{
        Elementwise ops: one element of the result from one element of each operand, exactly, or nullopt where that is
        not expressible. Only ops that occur in shape arithmetic answer.
      }], "::std::optional<::ds::SymFraction>", "inferElement",
      (ins "::llvm::ArrayRef<::ds::SymFraction>":$operands), "", [{ return ::std::nullopt; }]>,
    InterfaceMethod<[{
        Turns the operand form into the attr form, if the shape operands' contents are expressions known on entry.
        Returns whether anything changed.
      }], "bool", "useKnownShapes", (ins "const ::ds::ShapeState &":$state), "", [{ return false; }]>,
    InterfaceMethod<[{
        Whether the (only) result provably equals operand 0.
      }], "bool", "isIdentity", (ins "const ::ds::ShapeState &":$state), "", [{ return false; }]>,
  ];
  // After the op's own verifier, which says which operands and attributes are there.
  let verifyWithRegions = 1;
  let verify = [{ return ::ds::detail::verifyShapeOp($_op); }];
}

def BindShapesOpInterface : OpInterface<"BindShapesOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    An op in operand form, whose result dims follow from the contents of an operand. Where these are computed while the
    model runs, `ds-bind-values` has them read on the host at that point (`ds.bind`).
  }];
  let methods = [
    InterfaceMethod<[{
        Whether a result dim depends on contents that `state` does not know.
      }], "bool", "dependsOnData", (ins "const ::ds::ShapeState &":$state)>,
    InterfaceMethod<[{
        Computes what the dims follow from as non-negative integers, binds them, and turns the op into its attr form, or
        replaces it. Returns what stands for the result afterwards, its shape known to the binder's state; null, with a
        diagnostic, on failure.
      }], "::mlir::Value", "bindShapes", (ins "::ds::ShapeBinder &":$binder)>,
  ];
}

def FoldOpInterface : OpInterface<"FoldOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    An op that the compiler can compute on constants. Its semantics are those that compiled code must have, so that tests
    compare the two.
  }];
  let methods = [
    InterfaceMethod<[{
        The bytes of the (only) result, of static type, in row-major order (i1: one byte an element). Fails, without a
        diagnostic, where the op does not apply: it then stays.
      }], "::llvm::FailureOr<::std::vector<char>>", "evaluate", (ins "::llvm::ArrayRef<::ds::ElementsView>":$operands)>,
  ];
}

/// The element functions of an elementwise op. Rules in TableGen: `x[k]` is the element of operand k.
def ElementRuleOpInterface : OpInterface<"ElementRuleOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    One element of an elementwise op on host numbers. `computeFloat` is asked if an operand is a float, `computeInt`
    otherwise (integers of less than 64 bits extended by their signedness; the result's low bits count).
  }];
  let methods = [
    InterfaceMethod<"", "::std::optional<double>", "computeFloat", (ins "::llvm::ArrayRef<double>":$x), "",
                    [{ return ::std::nullopt; }]>,
    InterfaceMethod<"", "::std::optional<int64_t>", "computeInt",
                    (ins "::llvm::ArrayRef<int64_t>":$x, "bool":$isUnsigned), "", [{ return ::std::nullopt; }]>,
  ];
}

def KernelRootOpInterface : OpInterface<"KernelRootOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    An op with loops of its own: an element of its result needs many elements of an operand, or all results come about at
    once. A kernel has at most one of them, its *root*; ops before it may be computed where it reads its operands, and
    pointwise ops after it continue from its result. Grouping asks these methods; how a target emits the loops is
    registered with its code generator (`CpuRootOpInterface` for CPUs).
  }];
  let methods = [
    InterfaceMethod<[{
        Whether the op is a root as it is: this may depend on attributes and types.
      }], "bool", "isKernelRoot", (ins), "", [{ return true; }]>,
    InterfaceMethod<[{
        Whether pointwise ops may continue from the result in registers. Otherwise the kernel ends with the op.
      }], "bool", "hasEpilogue", (ins), "", [{ return $_op->getNumResults() == 1; }]>,
    InterfaceMethod<[{
        Whether operands may be computed where they are read; otherwise they must lie in memory.
      }], "bool", "takesComputedOperands", (ins), "", [{ return true; }]>,
    InterfaceMethod<[{
        How often the loops read each element of an operand: how often it would be computed if it were not stored. nullopt:
        more often than is worth counting.
      }], "::std::optional<int64_t>", "timesRead", (ins "::mlir::OpOperand &":$operand), "",
      [{ return ::std::nullopt; }]>,
    InterfaceMethod<[{
        Floating-point operations of the whole op (comparisons, where it compares), whatever a target makes of them, for
        reports. nullopt: as many as its elements cost (`ElementOpInterface`).
      }], "::std::optional<::ds::SymExpr>", "getFlops", (ins "::ds::ShapeState &":$shapes), "",
      [{ return ::std::nullopt; }]>,
  ];
}

def HostOpInterface : OpInterface<"HostOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    An op that no kernel computes: a constant, another name for memory, a condition on sizes, or what ends a stage of the
    program. Grouping leaves it in the function, and the conversion to `rt` says what becomes of it.
  }];
  let methods = [
    InterfaceMethod<[{
        Whether the runtime carries the op out between two stages. Its results are memory of their own.
      }], "bool", "isCall", (ins), "", [{ return false; }]>,
    InterfaceMethod<[{
        Whether more sizes are known after the op than before it: it parts two stages of the program.
      }], "bool", "endsStage", (ins), "", [{ return $_op.isCall(); }]>,
    InterfaceMethod<[{
        The operand whose memory the (only) result is, under another name; null where the op is no view.
      }], "::mlir::Value", "getViewed", (ins), "", [{ return {}; }]>,
    InterfaceMethod<[{
        Whether a result may be an operand's memory: a view's is, and so may be what a branch, or a loop without
        iterations, hands on.
      }], "bool", "mayHandOn", (ins), "", [{ return bool($_op.getViewed()); }]>,
    InterfaceMethod<[{
        The operands of which the host reads elements.
      }], "::llvm::SmallVector<::mlir::OpOperand *>", "getOperandsRead", (ins), "", [{ return {}; }]>,
  ];
}

def DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    The derivative of an op, as a rule: the product of the results' cotangents with the op's Jacobian (VJP), built of ops of
    ds. Operands and results of the op may be used by it: what it uses lives until then. Only floats have cotangents;
    integers and booleans are inactive.
  }];
  let methods = [
    StaticInterfaceMethod<[{
        Why there is no rule, for the error that names the node; "" where there is one. A composite op (CompositeOpInterface)
        without a rule is differentiated by its expansion.
      }], "::llvm::StringRef", "whyNoVjp", (ins), "", [{ return ""; }]>,
    InterfaceMethod<[{
        Builds the operands' cotangents from those of the results, null for zero, and sets those that `b.needs` asks for;
        what stays null is zero. An operand that the op broadcasts (Elementwise) may get a cotangent of the result's dims:
        it is summed afterwards. Fails, without a diagnostic, where the op has no rule in this form.
      }], "::llvm::LogicalResult", "buildVjp",
      (ins "::ds::VjpBuilder &":$b, "::llvm::ArrayRef<::mlir::Value>":$cotangents,
           "::llvm::MutableArrayRef<::mlir::Value>":$operandCotangents), "", [{ return ::llvm::failure(); }]>,
  ];
}

def CompositeOpInterface : OpInterface<"CompositeOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    An op that is defined by other ops of ds. A rule that such an op lacks (code generation, a derivative, ...) comes
    through its expansion.
  }];
  let methods = [
    InterfaceMethod<[{
        Builds the op's definition at the builder's insertion point, its shapes known to `state`, and returns what
        replaces the results. Leaves the op itself in place. Fails (without a diagnostic) where it does not apply.
      }], "::llvm::FailureOr<::llvm::SmallVector<::mlir::Value>>", "expand",
      (ins "::mlir::OpBuilder &":$builder, "::ds::ShapeState &":$state)>,
  ];
}

#endif
