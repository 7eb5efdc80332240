//===- FoldBatchNorm.cpp - Per-channel factors into convolutions ----------===//
// Assumes: shapes inferred.
// Guarantees: y = f * conv(x) + g with constants f, g of one value or one a channel is one convolution; a batch norm
// with constant parameters that follows no convolution is a mul and an add. Declines: a convolution that something else
// uses, weights or parameters that are no constants, and products that are no numbers of the weights' type.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "ds/Simplify/Passes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include <cmath>
#include <numeric>

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_FOLDBATCHNORMPASS
#include "ds/Simplify/Passes.h.inc"

namespace {
class FoldBatchNormPass : public impl::FoldBatchNormPassBase<FoldBatchNormPass> {
public:
  using FoldBatchNormPassBase::FoldBatchNormPassBase;
  void runOnOperation() override;
};

/// y[c] = factor[c] * x[c] + offset[c] of a value x; one entry a channel.
struct Affine {
  Value x;
  std::vector<double> factor, offset;
};
} // namespace

static std::optional<ElementsView> constantOf(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  return constant ? ElementsView::get(constant.getValue()) : std::nullopt;
}

static std::vector<double> toDoubles(const ElementsView &view) {
  std::vector<double> values;
  for (int64_t i = 0; i < view.size(); ++i)
    values.push_back(view.getDouble(i));
  return values;
}

/// `value` as one number a channel, if it is a constant that varies along dim `axis` of `rank` only.
static std::optional<std::vector<double>> perChannel(Value value, int64_t axis, int64_t rank, int64_t channels) {
  std::optional<ElementsView> view = constantOf(value);
  if (!view || !isFloat(view->getKind()) || view->getType().getRank() > rank)
    return std::nullopt;
  int64_t skipped = rank - view->getType().getRank();
  for (auto [d, size] : llvm::enumerate(view->getType().getShape()))
    if (size != 1 && (int64_t(d) + skipped != axis || size != channels))
      return std::nullopt;
  if (view->size() == 1)
    return std::vector<double>(channels, view->getDouble(0));
  return toDoubles(*view);
}

/// A batch norm with constant parameters as an affine map.
static std::optional<Affine> affineOf(BatchNormOp op) {
  std::optional<ElementsView> scale = constantOf(op.getScale()), bias = constantOf(op.getBias()),
                              mean = constantOf(op.getMean()), var = constantOf(op.getVar());
  if (!scale || !bias || !mean || !var)
    return std::nullopt;
  Affine affine{op.getX(), {}, {}};
  for (int64_t c = 0; c < scale->size(); ++c) {
    double f = scale->getDouble(c) / std::sqrt(var->getDouble(c) + op.getEpsilon().convertToDouble());
    affine.factor.push_back(f);
    affine.offset.push_back(bias->getDouble(c) - mean->getDouble(c) * f);
  }
  return affine;
}

/// x (op) constant as an affine map of the channels of x, which `axis` says.
static std::optional<Affine> affineOf(Operation *op, Value x, Value constant, int64_t axis, int64_t channels) {
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  if (op->getResult(0).getType() != x.getType())
    return std::nullopt;
  std::optional<std::vector<double>> values = perChannel(constant, axis, rank, channels);
  if (!values)
    return std::nullopt;
  Affine affine{x, std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
  bool constantFirst = op->getOperand(0) == constant;
  for (int64_t c = 0; c < channels; ++c) {
    double value = (*values)[c];
    if (isa<MulOp>(op))
      affine.factor[c] = value;
    else if (isa<AddOp>(op))
      affine.offset[c] = value;
    else if (isa<DivOp>(op) && !constantFirst)
      affine.factor[c] = 1 / value;
    else if (isa<SubOp>(op)) {
      affine.factor[c] = constantFirst ? -1 : 1;
      affine.offset[c] = constantFirst ? value : -value;
    } else {
      return std::nullopt;
    }
  }
  return affine;
}

/// The output channel that element i of the weights belongs to.
static int64_t outputChannel(ConvOp, ArrayRef<int64_t> shape, int64_t i) {
  int64_t inner = 1;
  for (int64_t size : shape.drop_front())
    inner *= size;
  return i / inner;
}
static int64_t outputChannel(ConvTransposeOp op, ArrayRef<int64_t> shape, int64_t i) {
  int64_t inner = 1, perGroup = shape[0] / int64_t(op.getGroup());
  for (int64_t size : shape.drop_front(2))
    inner *= size;
  int64_t input = i / (inner * shape[1]);
  return input / perGroup * shape[1] + i / inner % shape[1];
}
static int64_t outputChannels(ConvOp, ArrayRef<int64_t> shape) { return shape[0]; }
static int64_t outputChannels(ConvTransposeOp op, ArrayRef<int64_t> shape) { return shape[1] * int64_t(op.getGroup()); }

static StringRef resourceName(Value constant) {
  auto resource = dyn_cast<DenseResourceElementsAttr>(constant.getDefiningOp<ConstantOp>().getValue());
  return resource ? resource.getRawHandle().getKey() : StringRef("bias");
}

/// Whether numbers of the type, the greatest of size `before`, lose no more than rounding where they are scaled to size
/// `after`: they do not overflow, nor get so small that fewer bits are left than they had.
static bool keeps(Type type, double before, double after) {
  const llvm::fltSemantics &semantics = cast<FloatType>(type).getFloatSemantics();
  return after >= std::min(before, APFloat::getSmallestNormalized(semantics).convertToDouble()) &&
         after <= APFloat::getLargest(semantics).convertToDouble();
}

/// Scales weights and bias of `conv` in place.
template <typename Conv> static bool foldInto(Conv conv, const Affine &affine) {
  std::optional<ElementsView> w = constantOf(conv.getW());
  std::optional<ElementsView> bias = conv.getBias() ? constantOf(conv.getBias()) : std::nullopt;
  if (!w || !isFloat(w->getKind()) || (conv.getBias() && !bias))
    return false;
  ArrayRef<int64_t> shape = w->getType().getShape();
  int64_t channels = outputChannels(conv, shape);
  if (int64_t(affine.factor.size()) != channels)
    return false;
  Type element = w->getType().getElementType();
  std::vector<double> offsets(channels, 0);
  for (int64_t c = 0; c < channels; ++c) {
    double own = bias ? bias->getDouble(c) : 0, folded = own * affine.factor[c] + affine.offset[c];
    bool isLost = std::isfinite(own) && std::isfinite(affine.offset[c]) && !keeps(element, 0, std::abs(folded));
    if (!std::isfinite(affine.factor[c]) || isLost)
      return false;
    offsets[c] = folded;
  }
  OpBuilder builder(conv);
  if (llvm::any_of(affine.factor, [](double f) { return f != 1; })) {
    std::vector<double> weights = toDoubles(*w), before(channels, 0), after(channels, 0);
    for (auto [i, weight] : llvm::enumerate(weights)) {
      int64_t channel = outputChannel(conv, shape, i);
      if (std::isfinite(weight)) {
        before[channel] = std::max(before[channel], std::abs(weight));
        after[channel] = std::max(after[channel], std::abs(weight * affine.factor[channel]));
      }
      weight *= affine.factor[channel];
    }
    for (int64_t c = 0; c < channels; ++c)
      if (affine.factor[c] != 0 && !keeps(element, before[c], after[c]))
        return false;
    ElementsAttr scaled = makeElements(w->getType(), packFloats(w->getKind(), weights), resourceName(conv.getW()));
    conv.getWMutable().assign(ConstantOp::create(builder, conv.getW().getLoc(), scaled));
  }
  auto type = RankedTensorType::get({channels}, w->getType().getElementType());
  Value folded = ConstantOp::create(builder, conv.getLoc(), makeFloatElements(type, offsets));
  conv.getBiasMutable().assign(folded);
  return true;
}

/// The dim of the channels of a convolution's result; -1 if `op` is none.
static int64_t channelAxis(Operation *op) {
  auto axis = [&](Layout layout) {
    return layout == Layout::nchw ? 1 : cast<RankedTensorType>(op->getResult(0).getType()).getRank() - 1;
  };
  if (auto conv = dyn_cast_or_null<ConvOp>(op))
    return axis(conv.getLayout());
  if (auto conv = dyn_cast_or_null<ConvTransposeOp>(op))
    return axis(conv.getLayout());
  return -1;
}

static bool foldIntoProducer(Operation *op, const Affine &affine) {
  Operation *producer = affine.x.getDefiningOp();
  if (channelAxis(producer) < 0 || !affine.x.hasOneUse())
    return false;
  auto conv = dyn_cast<ConvOp>(producer);
  bool done = conv ? foldInto(conv, affine) : foldInto(cast<ConvTransposeOp>(producer), affine);
  if (!done)
    return false;
  // The result keeps the location of both, so that a profile names the batch norm too.
  producer->setLoc(FusedLoc::get(op->getContext(), {producer->getLoc(), op->getLoc()}));
  op->getResult(0).replaceAllUsesWith(affine.x);
  op->erase();
  return true;
}

/// A batch norm as a mul and an add by per-channel constants. Where a mean is large the terms are, and their sum is
/// not: of types with fewer bits than f32 the two are in f32, and a mean of many deviations is subtracted first.
static void splitBatchNorm(BatchNormOp op, const Affine &affine) {
  auto size = [](ArrayRef<double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0,
                           [](double most, double value) { return std::max(most, std::abs(value)); });
  };
  constexpr double largest = std::numeric_limits<float>::max();
  if (llvm::any_of(affine.factor, [](double f) { return std::isnan(f); }) || size(affine.factor) > largest ||
      size(affine.offset) > largest)
    return; // as it is
  OpBuilder builder(op);
  RankedTensorType type = op.getType();
  Value x = op.getX();
  if (type.getElementTypeBitWidth() < 32) {
    type = type.clone(builder.getF32Type());
    x = CastOp::create(builder, op.getLoc(), type, x);
  }
  int64_t channels = affine.factor.size();
  SmallVector<int64_t> shape{channels};
  if (op.getLayout() == Layout::nchw)
    shape.append(std::max<int64_t>(type.getRank() - 2, 0), 1);
  auto parameterType = RankedTensorType::get(shape, type.getElementType());
  auto parameter = [&](ArrayRef<double> values) {
    return ConstantOp::create(builder, op.getLoc(), makeFloatElements(parameterType, values));
  };
  constexpr double kManyDeviations = 128;
  std::vector<double> offset = affine.offset, mean = toDoubles(*constantOf(op.getMean()));
  if (size(offset) > kManyDeviations && size(mean) <= largest) {
    x = SubOp::create(builder, op.getLoc(), type, x, parameter(mean));
    offset = toDoubles(*constantOf(op.getBias()));
  }
  Value scaled = MulOp::create(builder, op.getLoc(), type, x, parameter(affine.factor));
  Value result = AddOp::create(builder, op.getLoc(), type, scaled, parameter(offset));
  if (type != op.getType())
    result = CastOp::create(builder, op.getLoc(), op.getType(), result);
  op.replaceAllUsesWith(result);
  op.erase();
}

void FoldBatchNormPass::runOnOperation() {
  // In order, so that a chain conv, mul, add folds step by step.
  SmallVector<Operation *> candidates;
  getOperation().walk([&](Operation *op) {
    if (isa<BatchNormOp, MulOp, AddOp, SubOp, DivOp>(op))
      candidates.push_back(op);
  });
  for (Operation *op : candidates) {
    if (auto norm = dyn_cast<BatchNormOp>(op)) {
      std::optional<Affine> affine = affineOf(norm);
      if (affine && !foldIntoProducer(norm, *affine))
        splitBatchNorm(norm, *affine);
      continue;
    }
    for (unsigned i = 0; i < 2; ++i) {
      Value x = op->getOperand(i);
      int64_t axis = channelAxis(x.getDefiningOp());
      if (axis < 0)
        continue;
      int64_t channels = cast<RankedTensorType>(x.getType()).getDimSize(axis);
      if (ShapedType::isDynamic(channels))
        continue;
      std::optional<Affine> affine = affineOf(op, x, op->getOperand(1 - i), axis, channels);
      if (affine && foldIntoProducer(op, *affine))
        break;
    }
  }
  getOperation().walk([](ConstantOp constant) {
    if (constant.use_empty())
      constant.erase();
  });
}
} // namespace ds
