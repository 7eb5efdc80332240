//===- Recognize.cpp - Composite ops that a graph spells out --------------===//
// Assumes: shapes inferred, constants folded, canonicalized.
// Guarantees: activations, softmax, layer norm and attention are single ops where the graph computes them.
// Declines: patterns whose inner values something else uses.
//===----------------------------------------------------------------------===//
#include "Recognize.h"
#include "ds/Simplify/Passes.h"
#include "llvm/ADT/SmallPtrSet.h"
#include <array>
#include <cmath>
#include <numbers>

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_RECOGNIZEPASS
#include "ds/Simplify/Passes.h.inc"

bool isRounded(double a, double b, Type element, int roundings) {
  auto type = dyn_cast<FloatType>(element);
  if (!type)
    return false;
  const int digits = llvm::APFloat::semanticsPrecision(type.getFloatSemantics());
  // A little more for the rounding of what is computed here.
  const double unit = std::ldexp(1.01, -digits);
  return std::fabs(a - b) <= std::min(1e-3, roundings * unit) * std::fabs(b);
}

std::optional<double> scalarConstant(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  std::optional<ElementsView> view = constant ? ElementsView::get(constant.getValue()) : std::nullopt;
  if (!view || !isFloat(view->getKind()) || view->size() == 0 || (view->size() != 1 && !view->isSplat()))
    return std::nullopt;
  return view->getDouble(0);
}

/// A scalar constant that leaves the other operand's shape alone.
static std::optional<double> neutralScalar(Operation *op, unsigned index) {
  if (op->getResult(0).getType() != op->getOperand(1 - index).getType())
    return std::nullopt;
  return scalarConstant(op->getOperand(index));
}

Value peelScale(Value value, double &scale) {
  while (Operation *op = value.getDefiningOp()) {
    if (!value.hasOneUse() || !isa<MulOp, DivOp>(op))
      break;
    if (std::optional<double> c = neutralScalar(op, 1)) {
      scale = isa<MulOp>(op) ? scale * *c : scale / *c;
      value = op->getOperand(0);
    } else if (std::optional<double> c = isa<MulOp>(op) ? neutralScalar(op, 0) : std::nullopt) {
      scale *= *c;
      value = op->getOperand(1);
    } else {
      break;
    }
  }
  return value;
}

bool replaceValue(Value old, Value with) {
  if (old.getType() != with.getType())
    return false;
  old.replaceAllUsesWith(with);
  return true;
}

//===----------------------------------------------------------------------===//
// Activations: polynomials in x and t, where t = f(polynomial in x)
//===----------------------------------------------------------------------===//

namespace {
/// Coefficients of x^i t^j.
struct Polynomial {
  static constexpr int kDegree = 4;
  std::array<std::array<double, 2>, kDegree + 1> c{};

  static Polynomial constant(double value) {
    Polynomial p;
    p.c[0][0] = value;
    return p;
  }
  std::optional<double> isConstant() const {
    for (int i = 0; i <= kDegree; ++i)
      for (int j = 0; j < 2; ++j)
        if ((i || j) && c[i][j] != 0)
          return std::nullopt;
    return c[0][0];
  }
  /// Whether this is `other`, whose coefficients are products of up to four constants of type `element`.
  bool matches(const Polynomial &other, Type element) const {
    for (int i = 0; i <= kDegree; ++i)
      for (int j = 0; j < 2; ++j)
        if (other.c[i][j] == 0 ? c[i][j] != 0 : !isRounded(c[i][j], other.c[i][j], element, /*roundings=*/4))
          return false;
    return true;
  }
};
} // namespace

static std::optional<Polynomial> multiply(const Polynomial &a, const Polynomial &b) {
  Polynomial result;
  for (int i = 0; i <= Polynomial::kDegree; ++i)
    for (int j = 0; j < 2; ++j)
      for (int k = 0; k <= Polynomial::kDegree; ++k)
        for (int l = 0; l < 2; ++l) {
          double product = a.c[i][j] * b.c[k][l];
          if (product == 0)
            continue;
          if (i + k > Polynomial::kDegree || j + l > 1)
            return std::nullopt;
          result.c[i + k][j + l] += product;
        }
  return result;
}

/// `value` as a polynomial in x and t; nullopt if it is none.
static std::optional<Polynomial> polynomialOf(Value value, Value x, Value t, int depth = 8) {
  if (value == x || value == t) {
    Polynomial p;
    p.c[value == x ? 1 : 0][value == x ? 0 : 1] = 1;
    return p;
  }
  if (std::optional<double> constant = scalarConstant(value))
    return Polynomial::constant(*constant);
  Operation *op = value.getDefiningOp();
  if (!op || depth == 0 || !isa<AddOp, SubOp, MulOp, DivOp, NegOp, PowOp>(op))
    return std::nullopt;
  std::optional<Polynomial> a = polynomialOf(op->getOperand(0), x, t, depth - 1);
  if (!a)
    return std::nullopt;
  if (isa<NegOp>(op))
    return multiply(*a, Polynomial::constant(-1));
  std::optional<Polynomial> b = polynomialOf(op->getOperand(1), x, t, depth - 1);
  if (!b)
    return std::nullopt;
  if (isa<MulOp>(op))
    return multiply(*a, *b);
  if (isa<AddOp, SubOp>(op)) {
    double sign = isa<AddOp>(op) ? 1 : -1;
    for (int i = 0; i <= Polynomial::kDegree; ++i)
      for (int j = 0; j < 2; ++j)
        a->c[i][j] += sign * b->c[i][j];
    return a;
  }
  std::optional<double> constant = b->isConstant();
  if (!constant)
    return std::nullopt;
  if (isa<DivOp>(op))
    return *constant == 0 ? std::nullopt : multiply(*a, Polynomial::constant(1 / *constant));
  if (*constant != 2 && *constant != 3)
    return std::nullopt;
  std::optional<Polynomial> power = multiply(*a, *a);
  return power && *constant == 3 ? multiply(*power, *a) : power;
}

/// The values that `value` is computed from by polynomial ops, itself included.
static void collectBases(Value value, SmallVectorImpl<Value> &bases, int depth = 6) {
  if (scalarConstant(value) || llvm::is_contained(bases, value))
    return;
  bases.push_back(value);
  Operation *op = value.getDefiningOp();
  if (op && depth > 0 && isa<AddOp, SubOp, MulOp, DivOp, NegOp, PowOp>(op))
    for (Value operand : op->getOperands())
      collectBases(operand, bases, depth - 1);
}

namespace {
/// result = root(x, t), t = inner function of argument(x).
struct Activation {
  Polynomial argument, root;
  enum { Gelu, GeluTanh, Sigmoid } kind;
};
} // namespace

/// The activations that are written with `op` (erf or tanh).
static SmallVector<Activation> activationsOf(Operation *op) {
  Polynomial halfBoth; // x/2 + x*t/2
  halfBoth.c[1][0] = halfBoth.c[1][1] = 0.5;
  Activation gelu{{}, halfBoth, Activation::Gelu};
  if (isa<ErfOp>(op)) {
    gelu.argument.c[1][0] = 1 / std::numbers::sqrt2;
    return {gelu};
  }
  Activation geluTanh{{}, halfBoth, Activation::GeluTanh}, sigmoid{{}, {}, Activation::Sigmoid};
  double k = std::sqrt(2 / std::numbers::pi);
  geluTanh.argument.c[1][0] = k;
  geluTanh.argument.c[3][0] = k * 0.044715;
  sigmoid.argument.c[1][0] = 0.5;
  sigmoid.root.c[0][0] = sigmoid.root.c[0][1] = 0.5;
  return {geluTanh, sigmoid};
}

static bool replaceActivation(Value root, Value x, int kind, ShapeState &state) {
  OpBuilder builder(root.getDefiningOp());
  Location loc = root.getLoc();
  Type element = getElementTypeOrSelf(root);
  Value result;
  if (kind == Activation::Sigmoid) {
    FailureOr<SigmoidOp> op = createInferred<SigmoidOp>(builder, loc, state, element, x);
    result = succeeded(op) ? Value(*op) : Value();
  } else {
    FailureOr<GeluOp> op =
        createInferred<GeluOp>(builder, loc, state, element, x,
                               kind == Activation::GeluTanh ? GeluApproximation::tanh : GeluApproximation::none);
    result = succeeded(op) ? Value(*op) : Value();
  }
  return result && replaceValue(root, result);
}

/// exp(-x) + 1 below a reciprocal or a quotient: sigmoid(x), or a * sigmoid(x).
static bool recognizeLogistic(ExpOp op, ShapeState &state) {
  if (!op->hasOneUse())
    return false;
  Value sum = op->user_begin()->getNumResults() == 1 ? Value((*op->user_begin())->getResult(0)) : Value();
  Type element = getElementTypeOrSelf(op.getType());
  SmallVector<Value> bases;
  collectBases(op.getX(), bases);
  for (Value x : bases) {
    std::optional<Polynomial> argument = polynomialOf(op.getX(), x, op.getResult());
    std::optional<Polynomial> denominator = sum ? polynomialOf(sum, x, op.getResult()) : std::nullopt;
    Polynomial minus, onePlus = Polynomial::constant(1);
    minus.c[1][0] = -1;
    onePlus.c[0][1] = 1;
    if (!argument || !denominator || !argument->matches(minus, element) || !denominator->matches(onePlus, element) ||
        !sum.hasOneUse())
      continue;
    Operation *user = *sum.user_begin();
    auto div = dyn_cast<DivOp>(user);
    bool isQuotient = div && div.getB() == sum && div.getA() != sum;
    if (!isQuotient && !isa<ReciprocalOp>(user))
      continue;
    if (!isQuotient || scalarConstant(div.getA()) == 1.0)
      return replaceActivation(user->getResult(0), x, Activation::Sigmoid, state);
    OpBuilder builder(user);
    FailureOr<SigmoidOp> sigmoid = createInferred<SigmoidOp>(builder, user->getLoc(), state, element, x);
    if (failed(sigmoid))
      return false;
    FailureOr<MulOp> product =
        createInferred<MulOp>(builder, user->getLoc(), state, element, div.getA(), sigmoid->getResult());
    return succeeded(product) && replaceValue(user->getResult(0), *product);
  }
  return false;
}

bool recognizeActivation(Operation *op, ShapeState &state) {
  if (auto exp = dyn_cast<ExpOp>(op))
    return recognizeLogistic(exp, state);
  if (!isa<ErfOp, TanhOp>(op) || !op->hasOneUse())
    return false;
  Value t = op->getResult(0);
  Type element = getElementTypeOrSelf(t);
  SmallVector<Value> bases;
  collectBases(op->getOperand(0), bases);
  for (const Activation &activation : activationsOf(op))
    for (Value x : bases) {
      std::optional<Polynomial> argument = polynomialOf(op->getOperand(0), x, t);
      if (!argument || !argument->matches(activation.argument, element))
        continue;
      // Climb the users until the value is the activation.
      Value root = t;
      for (int steps = 0; steps < 5 && root.hasOneUse() && (*root.user_begin())->getNumResults() == 1; ++steps) {
        root = (*root.user_begin())->getResult(0);
        std::optional<Polynomial> polynomial = polynomialOf(root, x, t);
        if (!polynomial)
          break;
        if (polynomial->matches(activation.root, element))
          return replaceActivation(root, x, activation.kind, state);
      }
    }
  return false;
}

bool recognizeRelu(MaxOp op, ShapeState &state) {
  for (unsigned i = 0; i < 2; ++i) {
    std::optional<double> zero = neutralScalar(op, i);
    if (!zero || *zero != 0 || std::signbit(*zero)) // relu makes 0 of what is negative, not -0
      continue;
    OpBuilder builder(op);
    FailureOr<ReluOp> relu =
        createInferred<ReluOp>(builder, op.getLoc(), state, getElementTypeOrSelf(op.getType()), op->getOperand(1 - i));
    return succeeded(relu) && replaceValue(op, *relu);
  }
  return false;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
class RecognizePass : public impl::RecognizePassBase<RecognizePass> {
public:
  using RecognizePassBase::RecognizePassBase;
  void runOnOperation() override;
};
} // namespace

static void eraseDead(func::FuncOp function) {
  for (Block &block : function.getBody())
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
}

void RecognizePass::runOnOperation() {
  func::FuncOp function = getOperation();
  if (function.isExternal())
    return;
  ShapeState state;
  if (failed(inferFunction(function, state)))
    return signalPassFailure();
  // Attention is made of what the earlier rounds recognize; dead ops go in between, since a use counts.
  auto round = [&](function_ref<void(Operation *)> visit) {
    SmallVector<Operation *> ops;
    function.walk([&](Operation *op) { ops.push_back(op); });
    llvm::for_each(ops, visit);
    eraseDead(function);
  };
  round([&](Operation *op) {
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      recognizeBatchedTranspose(reshape, state);
    else if (auto max = dyn_cast<MaxOp>(op))
      recognizeRelu(max, state);
    else if (!recognizeActivation(op, state) && !recognizeSoftmax(op, state))
      recognizeLayerNorm(op, state);
  });
  round([&](Operation *op) {
    if (auto matmul = dyn_cast<MatmulOp>(op))
      recognizeAttention(matmul, state);
  });
}
} // namespace ds
