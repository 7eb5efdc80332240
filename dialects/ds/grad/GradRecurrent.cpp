//===- GradRecurrent.cpp - Derivatives of recurrent layers ----------------===//
// Assumes: recurrent weights as ONNX has them (before ds-pack).
// Guarantees: what follows from the states of all steps, which the layer returns, is a product of all steps: the
//   recurrent halves of the gates, and the cotangents of weights. What goes from step to step is an op of its own
//   (ds.lstm_vjp, ...), which calculates in f32 or f64.
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"

using namespace mlir;

namespace ds {

/// Whether all elements are 0, as those of an initial state mostly are.
static bool isZeros(Value value) {
  while (isa_and_nonnull<ReshapeOp, ExpandOp, TransposeOp, SliceOp>(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  if (auto fill = value.getDefiningOp<FillOp>()) {
    auto number = dyn_cast<FloatAttr>(fill.getValue());
    return number && number.getValue().isZero();
  }
  auto constant = value.getDefiningOp<ConstantOp>();
  auto elements = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue()) : DenseFPElementsAttr();
  return elements && elements.isSplat() && elements.getSplatValue<APFloat>().isZero();
}

namespace {
/// Tensors of all steps are [D, T, B, ...] here, as the derivatives' ops have them.
template <typename OpTy> class RecurrentRule {
public:
  RecurrentRule(OpTy op, VjpBuilder &b) : op(op), b(b) {
    SymDims x = b.dims(op.getX());
    steps = x[0];
    batch = x[1];
    directions = SymExpr(op.getDirections());
    hidden = SymExpr(int64_t(op.getHidden()));
    element = VjpBuilder::elementOf(op.getX());
    wideElement = element.isF64() ? element : Type(Float32Type::get(b.context()));
  }

  TensorExpr wide(Value value) { return value ? b.cast(b(value), wideElement) : TensorExpr(); }
  /// Null for zeros.
  TensorExpr initial(Value state) { return state && !isZeros(state) ? wide(state) : TensorExpr(); }
  bool needs(unsigned operand) {
    auto [index, count] = op.getODSOperandIndexAndLength(operand);
    return count == 1 && b.needs(index);
  }
  void set(MutableArrayRef<Value> operands, unsigned operand, TensorExpr cotangent) {
    if (needs(operand))
      operands[op.getODSOperandIndexAndLength(operand).first] = b.cast(cotangent, element).get();
  }

  /// [T, D, B, H] -> [D, T, B, H].
  TensorExpr directionsFirst(TensorExpr y) { return isSingle() ? b.reshape(y, all(1)) : b.transpose(y, {1, 0, 2, 3}); }
  /// [T, B, D*G*H] <-> [D, T, B, G*H].
  TensorExpr splitGates(TensorExpr x) {
    x = b.reshape(x, {steps, batch, directions, gates() * hidden});
    return isSingle() ? b.reshape(x, all(OpTy::kGates)) : b.transpose(x, {2, 0, 1, 3});
  }
  TensorExpr mergeGates(TensorExpr g) {
    if (!isSingle())
      g = b.transpose(g, {1, 2, 0, 3});
    return b.reshape(g, {steps, batch, directions * gates() * hidden});
  }
  /// Gates [first, first + count) along `axis`.
  TensorExpr part(TensorExpr value, int64_t first, int64_t count, int64_t axis = 3) {
    if (!value)
      return value;
    SymDims size = b.dims(value.get()), start(size.size(), SymExpr(0));
    start[axis] = SymExpr(first) * hidden;
    size[axis] = SymExpr(count) * hidden;
    return b.slice(value, start, size);
  }

  /// What `states` (after each step) are before it: at a sequence's first step `initial` ([D, B, H]; null: 0).
  TensorExpr before(TensorExpr states, TensorExpr initial);
  /// `states` times the transpose of `weights` ([D, n, H]).
  TensorExpr multiply(TensorExpr states, TensorExpr weights) {
    SymDims dims = all(1);
    dims.back() = b.dims(weights.get())[1];
    return b.reshape(b.matmul(flat(states), b.swapLast(weights)), dims);
  }
  /// The cotangent of `weights` there from that of the product.
  TensorExpr weights(TensorExpr product, TensorExpr states) {
    return b.matmul(b.swapLast(flat(product)), flat(states));
  }
  TensorExpr sumOverSteps(TensorExpr value) { return b.sum(value, {1, 2}, /*keepDims=*/false); }

  /// The derivative's op; null operands are absent.
  template <typename VjpOp> VjpOp build(ArrayRef<TensorExpr> operands, unsigned results) {
    SmallVector<Value> present;
    SmallVector<int32_t> segments;
    for (const TensorExpr &operand : operands) {
      segments.push_back(operand ? 1 : 0);
      if (operand)
        present.push_back(operand.get());
    }
    NamedAttrList attributes;
    for (NamedAttribute attribute : op->getAttrs())
      if (attribute.getName() != op.getOperandSegmentSizesAttrName())
        attributes.push_back(attribute);
    attributes.set("operandSegmentSizes", DenseI32ArrayAttr::get(b.context(), segments));
    return b.createMany<VjpOp>(SmallVector<Type>(results, wideElement), present, attributes.getAttrs());
  }

  /// A gate's function of its argument, limited.
  TensorExpr activate(int64_t function, TensorExpr x);

private:
  bool isSingle() const { return directions.isConst(1); }
  static SymExpr gates() { return SymExpr(OpTy::kGates); }
  SymDims all(int64_t count) const { return {directions, steps, batch, SymExpr(count) * hidden}; }
  TensorExpr flat(TensorExpr value) {
    return value ? b.reshape(value, {directions, steps * batch, b.dims(value.get()).back()}) : value;
  }
  TensorExpr direction(TensorExpr value, int64_t number) {
    if (!value || isSingle())
      return value;
    SymDims size = b.dims(value.get()), start(size.size(), SymExpr(0));
    start[0] = SymExpr(number);
    size[0] = SymExpr(1);
    return b.slice(value, start, size);
  }

  OpTy op;
  VjpBuilder &b;
  SymExpr steps, batch, directions, hidden;
  Type element, wideElement;
};
} // namespace

template <typename OpTy> TensorExpr RecurrentRule<OpTy>::before(TensorExpr states, TensorExpr initial) {
  SmallVector<TensorExpr> parts;
  for (int64_t d = 0; d < op.getDirections(); ++d) {
    bool isReverse = op.getDirection() == Direction::reverse || d == 1;
    SymDims low(4, SymExpr(0)), high = low;
    low[1] = SymExpr(isReverse ? -1 : 1);
    high[1] = -low[1];
    TensorExpr shifted = b.pad(direction(states, d), low, high);
    if (initial && shifted) {
      TensorExpr step = b.reshape(b.iota(steps), {SymExpr(1), steps, SymExpr(1), SymExpr(1)});
      Type index = IntegerType::get(b.context(), 64);
      TensorExpr first = b.size(index, isReverse ? steps - SymExpr(1) : SymExpr(0));
      if (isReverse && op.getLengths())
        first = b.reshape(b.cast(b(op.getLengths()), index), {SymExpr(1), SymExpr(1), batch, SymExpr(1)}) -
                b.size(index, SymExpr(1));
      TensorExpr given = b.reshape(direction(initial, d), {SymExpr(1), SymExpr(1), batch, hidden});
      shifted = b.select(b.compare(ComparePredicate::eq, step, first), given, shifted);
    }
    parts.push_back(shifted);
  }
  return b.concat(parts, 0);
}

static TensorExpr activation(VjpBuilder &b, StringRef name, double alpha, double beta, TensorExpr x) {
  Type element = VjpBuilder::elementOf(x.get());
  auto relu = [&](TensorExpr y) { return b.create<ReluOp>(element, y.get()); };
  if (name == "sigmoid")
    return b.create<SigmoidOp>(element, x.get());
  if (name == "tanh")
    return tanh(x);
  if (name == "relu")
    return relu(x);
  if (name == "affine")
    return x * alpha + beta;
  if (name == "leaky_relu")
    return where(ComparePredicate::lt, x, 0, x * alpha, x);
  if (name == "thresholded_relu")
    return where(ComparePredicate::gt, x, alpha, x);
  if (name == "scaled_tanh")
    return tanh(x * beta) * alpha;
  if (name == "hard_sigmoid")
    return b.create<MinOp>(element, relu(x * alpha + beta).get(), b.scalar(element, 1).get());
  if (name == "elu")
    return where(ComparePredicate::lt, x, 0, (exp(x) - 1) * alpha, x);
  TensorExpr magnitude = b.create<AbsOp>(element, x.get());
  if (name == "softsign")
    return x / (magnitude + 1);
  assert(name == "softplus" && "the verifier knows all names");
  return relu(x) + log(exp(-magnitude) + 1);
}

template <typename OpTy> TensorExpr RecurrentRule<OpTy>::activate(int64_t function, TensorExpr x) {
  if (std::optional<APFloat> clip = op.getClip(); clip && x) {
    TensorExpr limit = b.scalar(wideElement, clip->convertToDouble());
    TensorExpr below = b.create<MinOp>(wideElement, x.get(), limit.get());
    x = b.create<MaxOp>(wideElement, below.get(), (-limit).get());
  }
  SmallVector<TensorExpr> parts;
  for (int64_t d = 0; d < op.getDirections() && x; ++d) {
    int64_t index = d * OpTy::kFunctions + function;
    parts.push_back(activation(b, cast<StringAttr>(op.getActivations()[index]).getValue(), op.getAlphas()[index],
                               op.getBetas()[index], direction(x, d)));
  }
  return b.concat(parts, 0);
}

LogicalResult LstmOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  enum { X, R, Lengths, H0, C0, P };
  RecurrentRule<LstmOp> rule(*this, b);
  TensorExpr r = rule.wide(getR()), c0 = rule.initial(getC0());
  TensorExpr states = rule.before(rule.directionsFirst(rule.wide(getY())), rule.initial(getH0()));
  if (!states || !r)
    return failure();
  TensorExpr q = rule.multiply(states, r);
  auto vjp = rule.build<LstmVjpOp>({rule.wide(getX()), q, r, b(getLengths()), c0, rule.wide(getP()),
                                    rule.wide(cotangents[0]), rule.wide(cotangents[1]), rule.wide(cotangents[2])},
                                   4);
  if (!vjp)
    return failure();
  TensorExpr dx = b(vjp.getDx()), cells = b(vjp.getCells());
  rule.set(operands, X, rule.mergeGates(dx));
  if (rule.needs(R))
    rule.set(operands, R, rule.weights(dx, states));
  rule.set(operands, H0, b(vjp.getDh0()));
  rule.set(operands, C0, b(vjp.getDc0()));
  if (rule.needs(P)) {
    TensorExpr earlier = rule.before(cells, c0);
    rule.set(operands, P,
             b.concat({rule.sumOverSteps(rule.part(dx, 0, 1) * earlier), rule.sumOverSteps(rule.part(dx, 1, 1) * cells),
                       rule.sumOverSteps(rule.part(dx, 2, 1) * earlier)},
                      1));
  }
  return failure(b.hasFailed());
}

LogicalResult GruOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  enum { X, R, RBias, Lengths, H0 };
  RecurrentRule<GruOp> rule(*this, b);
  bool linear = getLinearBeforeReset();
  TensorExpr x = rule.wide(getX()), r = rule.wide(getR());
  TensorExpr states = rule.before(rule.directionsFirst(rule.wide(getY())), rule.initial(getH0()));
  if (!states || !x || !r)
    return failure();
  TensorExpr q, reset;
  if (linear) {
    q = rule.multiply(states, r);
  } else {
    // The last gate multiplies what was reset.
    TensorExpr first = rule.multiply(states, rule.part(r, 0, 2, 1));
    reset = rule.activate(0, rule.part(rule.splitGates(x), 1, 1) + rule.part(first, 1, 1)) * states;
    q = b.concat({first, rule.multiply(reset, rule.part(r, 2, 1, 1))}, 3);
  }
  auto vjp = rule.build<GruVjpOp>(
      {x, q, r, states, rule.wide(getRBias()), b(getLengths()), rule.wide(cotangents[0]), rule.wide(cotangents[1])},
      linear ? 3 : 2);
  if (!vjp)
    return failure();
  TensorExpr dx = b(vjp.getDx()), dq = linear ? b(vjp.getDq()) : dx;
  rule.set(operands, X, rule.mergeGates(dx));
  if (rule.needs(R))
    rule.set(operands, R,
             linear
                 ? rule.weights(dq, states)
                 : b.concat({rule.weights(rule.part(dx, 0, 2), states), rule.weights(rule.part(dx, 2, 1), reset)}, 1));
  if (rule.needs(RBias))
    rule.set(operands, RBias, linear ? rule.sumOverSteps(rule.part(dq, 2, 1)) : b.zerosLike(getRBias()));
  rule.set(operands, H0, b(vjp.getDh0()));
  return failure(b.hasFailed());
}

LogicalResult RnnOp::buildVjp(VjpBuilder &b, ArrayRef<Value> cotangents, MutableArrayRef<Value> operands) {
  enum { X, R, Lengths, H0 };
  RecurrentRule<RnnOp> rule(*this, b);
  TensorExpr r = rule.wide(getR());
  TensorExpr states = rule.before(rule.directionsFirst(rule.wide(getY())), rule.initial(getH0()));
  if (!states || !r)
    return failure();
  auto vjp = rule.build<RnnVjpOp>({rule.wide(getX()), rule.multiply(states, r), r, b(getLengths()),
                                   rule.wide(cotangents[0]), rule.wide(cotangents[1])},
                                  2);
  if (!vjp)
    return failure();
  TensorExpr dx = b(vjp.getDx());
  rule.set(operands, X, rule.mergeGates(dx));
  if (rule.needs(R))
    rule.set(operands, R, rule.weights(dx, states));
  rule.set(operands, H0, b(vjp.getDh0()));
  return failure(b.hasFailed());
}

} // namespace ds
