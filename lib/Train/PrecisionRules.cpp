//===- PrecisionRules.cpp - What half precision is for --------------------===//
// Guarantees: see PrecisionInterface.td. What is narrowed is what PyTorch's autocast narrows, but for recurrent layers:
//   their state is rounded in each step.
//===----------------------------------------------------------------------===//
#include "lib/Train/PrecisionRules.h"
#include "dialects/ds/ir/DsOps.h"

using namespace mlir;

#include "lib/Train/PrecisionInterface.cpp.inc"

namespace ds {

namespace {

bool always(Operation *) { return true; }

/// A mask of floats is added to scores: the lowest numbers of f32 are infinite in half precision, and a row of nothing
/// else would become NaN.
bool addsNoMask(Operation *op) {
  Value mask = cast<AttentionOp>(op).getMask();
  return !mask || getElementTypeOrSelf(mask.getType()).isInteger(1);
}

template <typename Op, bool (*bears)(Operation *)>
struct Model : NarrowOpInterface::ExternalModel<Model<Op, bears>, Op> {
  bool bearsHalf(Operation *op) const { return bears(op); }
};

template <typename Op, bool (*bears)(Operation *) = always> void attach(MLIRContext &context) {
  Op::template attachInterface<Model<Op, bears>>(context);
}

} // namespace

void attachPrecisionRules(MLIRContext &context) {
  if (RegisteredOperationName::lookup(MatmulOp::getOperationName(), &context)->hasInterface<NarrowOpInterface>())
    return;
  attach<MatmulOp>(context);
  attach<ConvOp>(context);
  attach<ConvTransposeOp>(context);
  attach<AttentionOp, addsNoMask>(context);
}

} // namespace ds
