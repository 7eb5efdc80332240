//===- PrecisionInterface.td - What half precision is for -----------------===//
// Guarantees: an op and its place in mixed precision together; the pass that makes a step knows no op by name.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_TRAIN_PRECISIONINTERFACE_TD
#define DS_LIB_TRAIN_PRECISIONINTERFACE_TD

include "mlir/IR/OpBase.td"

def NarrowOpInterface : OpInterface<"NarrowOpInterface"> {
  let cppNamespace = "::ds";
  let description = [{
    An op whose work is products: with operands and result in half precision it takes less time and memory, and its sums
    are in f32 still. Ops of `ds` have it by external models (PrecisionRules.cpp). Ops without it are computed in f32:
    softmax, losses, norms, reductions, exponentials, and elementwise arithmetic, which costs nothing in f32 where it is
    fused with what is before or behind.
  }];
  let methods = [
    InterfaceMethod<[{
        Whether the op as it is (its types and attributes) bears half precision.
      }], "bool", "bearsHalf", (ins), "", [{ return true; }]>,
  ];
}

#endif
