//===- RootEmitters.cpp - Which emitter computes which op on a CPU --------===//
// Guarantees: see CpuRootInterface.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsAdjoint.h"
#include "lib/Codegen/CPU/CpuKernelEmitter.h"
#include "lib/Codegen/CPU/CpuRootInterface.h"
#include "lib/Codegen/CPU/TransposeBlocks.h"

using namespace mlir;

#include "lib/Codegen/CPU/CpuRootInterface.cpp.inc"

namespace ds {

namespace {

bool always(Operation *) { return true; }

/// What register tiles hold.
bool isTiled(Operation *op) { return isa<FloatType>(getElementTypeOrSelf(op->getResult(0).getType())); }

bool isNhwc(Operation *op) {
  auto layout = op->getAttrOfType<LayoutAttr>("layout");
  return layout && layout.getValue() == Layout::nhwc;
}

/// Vectors lie along channels; a pool that also says where its maxima are goes element by element.
bool isChannelsLast(Operation *op) { return op->getNumResults() == 1 && isNhwc(op); }

template <typename Op> bool isAlongRows(Operation *op) {
  auto arg = cast<Op>(op);
  return static_cast<int64_t>(arg.getAxis()) == cast<RankedTensorType>(arg.getX().getType()).getRank() - 1;
}

template <typename Op, LogicalResult (*emit)(CpuKernelEmitter &, Operation *), bool (*matches)(Operation *)>
struct Model : CpuRootOpInterface::ExternalModel<Model<Op, emit, matches>, Op> {
  bool hasCpuLoops(Operation *op) const { return matches(op); }
  LogicalResult emitCpuLoops(Operation *op, CpuKernelEmitter &emitter) const { return emit(emitter, op); }
};

template <typename Op, LogicalResult (*emit)(CpuKernelEmitter &, Operation *), bool (*matches)(Operation *) = always>
void attach(MLIRContext *context) {
  Op::template attachInterface<Model<Op, emit, matches>>(*context);
}

} // namespace

void registerCpuRootEmitters(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, DsDialect *) {
    if (RegisteredOperationName::lookup(GemmOp::getOperationName(), context)->hasInterface<CpuRootOpInterface>())
      return; // by another registry
    attach<ReduceSumOp, emitReduction>(context);
    attach<ReduceMeanOp, emitReduction>(context);
    attach<ReduceMaxOp, emitReduction>(context);
    attach<ReduceMinOp, emitReduction>(context);
    attach<ReduceProdOp, emitReduction>(context);
    attach<ArgMaxOp, emitArgExtremum, isAlongRows<ArgMaxOp>>(context);
    attach<ArgMinOp, emitArgExtremum, isAlongRows<ArgMinOp>>(context);
    attach<CumSumOp, emitScan>(context);
    attach<CumProdOp, emitScan>(context);
    attach<TopKOp, emitTopK>(context);
    attach<NonMaxSuppressionOp, emitNonMaxSuppression>(context);
    attach<GemmOp, emitGemm, isTiled>(context);
    attach<ConvGemmOp, emitGemm, isTiled>(context);
    attach<ConvWinogradOp, emitWinograd>(context);
    attach<DepthwiseOp, emitDepthwise>(context);
    attach<MaxPoolOp, emitPool, isChannelsLast>(context);
    attach<AvgPoolOp, emitPool, isChannelsLast>(context);
    attach<ConvFilterVjpOp, emitConvFilterVjp, isNhwc>(context);
    attach<MaxPoolVjpOp, emitMaxPoolVjp, isNhwc>(context);
    attach<PackOp, emitPackOfTransposed, isPackOfTransposed>(context);
    attach<PackFilterOp, emitPackOfFilter, isPackOfFilter>(context);
    attach<TransposeOp, emitTransposeOfRows, isTransposeOfRows>(context);
    attach<SoftmaxOp, emitSoftmax>(context);
    attach<LogSoftmaxOp, emitSoftmax>(context);
    attach<LayerNormOp, emitLayerNorm>(context);
    attach<AttentionOp, emitAttention>(context);
    attach<LstmOp, emitRecurrent>(context);
    attach<GruOp, emitRecurrent>(context);
    attach<RnnOp, emitRecurrent>(context);
    attach<LstmVjpOp, emitRecurrentVjp>(context);
    attach<GruVjpOp, emitRecurrentVjp>(context);
    attach<RnnVjpOp, emitRecurrentVjp>(context);
    attach<ScatterElementsOp, emitScatter>(context);
    attach<ScatterNdOp, emitScatter>(context);
    attach<DftOp, emitDft>(context);
  });
}

} // namespace ds
