//===- Canonicalize.cpp - Folds and patterns for MLIR's canonicalizer -----===//
// Guarantees: results are bit-identical.
// Declines: whatever needs symbolic dims; ds-infer-shapes does that.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/IR/PatternMatch.h"
#include <cmath>

using namespace mlir;

namespace ds {

//===----------------------------------------------------------------------===//
// Neutral elements
//===----------------------------------------------------------------------===//

/// True if `neutral` is a constant that holds `value` only (of floats, with its sign: 0 + -0 is 0), and broadcasting it
/// to x changes no dim of x.
static bool isNeutral(Value neutral, Attribute attr, double value, Value x, Type result) {
  std::optional<ElementsView> view = ElementsView::get(attr);
  if (!view || view->size() == 0 || x.getType() != result)
    return false;
  auto type = cast<RankedTensorType>(neutral.getType()), xType = cast<RankedTensorType>(x.getType());
  if (type.getRank() > xType.getRank() || (!view->isSplat() && view->size() != 1))
    return false;
  double held = view->getDouble(0);
  if (held != value || (isa<FloatType>(type.getElementType()) && std::signbit(held) != std::signbit(value)))
    return false;
  for (auto [size, xSize] : llvm::zip_equal(type.getShape(), xType.getShape().take_back(type.getRank())))
    if (size != 1 && size != xSize)
      return false;
  return true;
}

OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  if (isNeutral(getB(), adaptor.getB(), -0.0, getA(), getType()))
    return getA();
  if (isNeutral(getA(), adaptor.getA(), -0.0, getB(), getType()))
    return getB();
  return {};
}

OpFoldResult SubOp::fold(FoldAdaptor adaptor) {
  if (isNeutral(getB(), adaptor.getB(), 0, getA(), getType()))
    return getA();
  return {};
}

OpFoldResult MulOp::fold(FoldAdaptor adaptor) {
  if (isNeutral(getB(), adaptor.getB(), 1, getA(), getType()))
    return getA();
  if (isNeutral(getA(), adaptor.getA(), 1, getB(), getType()))
    return getB();
  return {};
}

OpFoldResult DivOp::fold(FoldAdaptor adaptor) {
  if (isNeutral(getB(), adaptor.getB(), 1, getA(), getType()))
    return getA();
  return {};
}

//===----------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------===//

OpFoldResult CastOp::fold(FoldAdaptor) { return getX().getType() == getType() ? OpFoldResult(getX()) : OpFoldResult(); }

/// Integer bits that a type holds exactly, and whether it is signed or a float.
static std::optional<std::pair<unsigned, bool>> exactBits(Type type) {
  std::optional<ElementKind> kind = getElementKind(type);
  if (!kind)
    return std::nullopt;
  switch (*kind) {
  case ElementKind::I1:
    return std::pair(1u, false);
  case ElementKind::I2:
    return std::pair(1u, true);
  case ElementKind::I4:
    return std::pair(3u, true);
  case ElementKind::U2:
    return std::pair(2u, false);
  case ElementKind::U4:
    return std::pair(4u, false);
  case ElementKind::I8:
    return std::pair(7u, true);
  case ElementKind::I16:
    return std::pair(15u, true);
  case ElementKind::I32:
    return std::pair(31u, true);
  case ElementKind::I64:
    return std::pair(63u, true);
  case ElementKind::U8:
    return std::pair(8u, false);
  case ElementKind::U16:
    return std::pair(16u, false);
  case ElementKind::U32:
    return std::pair(32u, false);
  case ElementKind::U64:
    return std::pair(64u, false);
  case ElementKind::F16:
    return std::pair(11u, true);
  case ElementKind::BF16:
    return std::pair(8u, true);
  case ElementKind::F32:
    return std::pair(24u, true);
  case ElementKind::F64:
    return std::pair(53u, true);
  case ElementKind::F8E4M3FN:
  case ElementKind::F8E4M3FNUZ:
  case ElementKind::F8E5M2:
  case ElementKind::F8E5M2FNUZ:
  case ElementKind::F4E2M1FN:
    return std::nullopt;
  }
  return std::nullopt;
}

/// True if every value of `from` is a value of `to`.
static bool isLossless(Type from, Type to) {
  if (from == to)
    return true;
  if (isa<FloatType>(from))
    return isa<FloatType>(to) && (to.isF64() || (to.isF32() && !from.isF64()));
  std::optional<std::pair<unsigned, bool>> source = exactBits(from), target = exactBits(to);
  return source && target && source->first <= target->first && (!source->second || target->second);
}

namespace {
/// cast(cast(x)) -> cast(x), where the inner one keeps every value.
struct MergeCasts : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<CastOp>();
    if (!inner || !isLossless(getElementTypeOrSelf(inner.getX()), getElementTypeOrSelf(inner.getType())))
      return rewriter.notifyMatchFailure(op, "no lossless cast below");
    rewriter.replaceOpWithNewOp<CastOp>(op, op.getType(), inner.getX(), op.getSaturate());
    return success();
  }
};

/// reshape(reshape(x)) -> reshape(x), in attr form.
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<ReshapeOp>();
    if (!inner || !op.getTarget())
      return rewriter.notifyMatchFailure(op, "no reshape below, or its target is not known");
    rewriter.modifyOpInPlace(op, [&] { op.getXMutable().assign(inner.getX()); });
    return success();
  }
};

/// transpose(transpose(x)) -> transpose(x).
struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no transpose below");
    SmallVector<int64_t> perm;
    for (int64_t axis : op.getPerm())
      perm.push_back(inner.getPerm()[axis]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getX(), perm);
    return success();
  }
};
} // namespace

void CastOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeCasts>(context);
}
void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeReshapes>(context);
}
void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeTransposes>(context);
}

} // namespace ds
