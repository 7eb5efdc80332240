//===- RecognizeAttention.cpp - Attention from its matmuls ----------------===//
// Guarantees: softmax(scale * q k^T + mask) v, with the scale on the scores, on q, on k or split between them, and k
// transposed in any way that leaves its last two dims swapped.
// Declines: batch dims that broadcast, and masks that would widen the scores.
//===----------------------------------------------------------------------===//
#include "Recognize.h"
#include <limits>

using namespace mlir;

namespace ds {

/// reshape(transpose(reshape(x), [0, 2, 1])), where the reshapes merge all leading dims and split them again: a
/// transpose of the last two dims of x.
bool recognizeBatchedTranspose(ReshapeOp op, ShapeState &state) {
  auto transpose = op.getX().getDefiningOp<TransposeOp>();
  auto inner = transpose ? transpose.getX().getDefiningOp<ReshapeOp>() : ReshapeOp();
  if (!inner || transpose.getPerm() != ArrayRef<int64_t>{0, 2, 1})
    return false;
  std::optional<SymDims> x = state.getDims(inner.getX()), merged = state.getDims(inner), result = state.getDims(op);
  if (!x || !merged || !result || x->size() < 3 || result->size() != x->size())
    return false;
  size_t rank = x->size();
  ArrayRef<SymExpr> batch = ArrayRef(*x).drop_back(2);
  const SymExpr &rows = (*x)[rank - 2], &columns = (*x)[rank - 1];
  if ((*merged)[1] != rows || (*merged)[2] != columns || product(batch) != (*merged)[0] ||
      ArrayRef(*result).drop_back(2) != batch || (*result)[rank - 2] != columns || (*result)[rank - 1] != rows)
    return false;
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(perm[rank - 2], perm[rank - 1]);
  OpBuilder builder(op);
  FailureOr<TransposeOp> swapped =
      createInferred<TransposeOp>(builder, op.getLoc(), state, getElementTypeOrSelf(op.getType()), inner.getX(), perm);
  return succeeded(swapped) && replaceValue(op, *swapped);
}

namespace {
struct Scores {
  MatmulOp product;
  Value mask;
  double scale = 1;
};
} // namespace

/// Takes apart scale * q k^T (+ mask).
static std::optional<Scores> scoresOf(Value value) {
  auto productOf = [](Value scaled) -> std::optional<Scores> {
    Scores scores;
    Value inner = peelScale(scaled, scores.scale);
    scores.product = inner.getDefiningOp<MatmulOp>();
    if (!scores.product || !inner.hasOneUse() || !scaled.hasOneUse())
      return std::nullopt;
    return scores;
  };
  if (std::optional<Scores> plain = productOf(value))
    return plain;
  if (!value.hasOneUse())
    return std::nullopt;
  if (auto add = value.getDefiningOp<AddOp>()) {
    for (unsigned i = 0; i < 2; ++i)
      if (std::optional<Scores> scores = productOf(add->getOperand(i))) {
        scores->mask = add->getOperand(1 - i);
        return scores;
      }
    return std::nullopt;
  }
  // select(mask, scores, -inf)
  if (auto select = value.getDefiningOp<SelectOp>()) {
    std::optional<double> lowest = scalarConstant(select.getB());
    if (!lowest || *lowest != -std::numeric_limits<double>::infinity())
      return std::nullopt;
    if (std::optional<Scores> scores = productOf(select.getA())) {
      scores->mask = select.getCond();
      return scores;
    }
  }
  return std::nullopt;
}

/// The softmax whose result (through a guard against NaN) is `weights`; sets `guarded`.
static SoftmaxOp weightsOf(Value weights, bool &guarded) {
  auto select = weights.getDefiningOp<SelectOp>();
  guarded = bool(select);
  if (!select)
    return weights.hasOneUse() ? weights.getDefiningOp<SoftmaxOp>() : SoftmaxOp();
  auto isNan = select.getCond().getDefiningOp<IsNanOp>();
  if (!isNan || isNan.getX() != select.getB() || scalarConstant(select.getA()) != 0.0 || !weights.hasOneUse())
    return {};
  auto softmax = select.getB().getDefiningOp<SoftmaxOp>();
  return softmax && std::distance(softmax->use_begin(), softmax->use_end()) == 2 ? softmax : SoftmaxOp();
}

bool recognizeAttention(MatmulOp op, ShapeState &state) {
  bool guarded = false;
  SoftmaxOp softmax = weightsOf(op.getA(), guarded);
  std::optional<Scores> scores = softmax ? scoresOf(softmax.getX()) : std::nullopt;
  if (!scores)
    return false;
  Value q = peelScale(scores->product.getA(), scores->scale), kT = peelScale(scores->product.getB(), scores->scale);
  std::optional<SymDims> qDims = state.getDims(q), kTDims = state.getDims(kT), vDims = state.getDims(op.getB()),
                         scoreDims = state.getDims(scores->product);
  if (!qDims || !kTDims || !vDims || !scoreDims)
    return false;
  size_t rank = qDims->size();
  if (rank < 3 || kTDims->size() != rank || vDims->size() != rank || int64_t(softmax.getAxis()) != int64_t(rank) - 1)
    return false;
  auto batch = [](const SymDims &dims) { return ArrayRef<SymExpr>(dims).drop_back(2); };
  if (batch(*qDims) != batch(*kTDims) || batch(*qDims) != batch(*vDims) || kTDims->back() != (*vDims)[rank - 2])
    return false;
  if (scores->mask) {
    std::optional<SymDims> mask = state.getDims(scores->mask);
    if (!mask || mask->size() > rank)
      return false;
    for (auto [dim, size] : llvm::zip_equal(*mask, ArrayRef(*scoreDims).take_back(mask->size())))
      if (!dim.isConst(1) && dim != size)
        return false;
  }

  // k as [..., S, D]; two transposes in a row are one, or none.
  OpBuilder builder(op);
  Type element = getElementTypeOrSelf(op.getType());
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  Value source = kT;
  if (auto transpose = kT.getDefiningOp<TransposeOp>()) {
    perm = llvm::to_vector(transpose.getPerm());
    source = transpose.getX();
  }
  std::swap(perm[rank - 2], perm[rank - 1]);
  Value k = source;
  if (!llvm::equal(perm, llvm::seq<int64_t>(0, rank))) {
    FailureOr<TransposeOp> transposed =
        createInferred<TransposeOp>(builder, scores->product.getLoc(), state, element, source, perm);
    if (failed(transposed))
      return false;
    k = *transposed;
  }
  FailureOr<AttentionOp> attention =
      createInferred<AttentionOp>(builder, op.getLoc(), state, element, q, k, op.getB(), scores->mask,
                                  APFloat(scores->scale), /*causal=*/false, /*zero_masked_rows=*/guarded);
  return succeeded(attention) && replaceValue(op, *attention);
}

} // namespace ds
