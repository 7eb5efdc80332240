//===- Training.cpp - Steps of optimizers ---------------------------------===//
// Assumes: see Node.h; the operators of ai.onnx.preview.training.
// Guarantees: each tensor's new value and state by ONNX's formulas, which are those of training steps
//   (ds/Train/Updates.h) with other corrections. Gradient, which differentiates the graph, is in Gradient.cpp.

#include "../Node.h"
#include "Gradient.h"
#include "ds/Train/Updates.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

namespace {
/// A value in a formula.
struct Expr {
  Node *n;
  Value value;
};

Expr operator+(Expr a, Expr b) { return {a.n, a.n->add(a.value, b.value)}; }
Expr operator-(Expr a, Expr b) { return {a.n, a.n->sub(a.value, b.value)}; }
Expr operator*(Expr a, Expr b) { return {a.n, a.n->mul(a.value, b.value)}; }
Expr operator/(Expr a, Expr b) { return {a.n, a.n->div(a.value, b.value)}; }
Expr operator+(Expr a, double b) { return {a.n, a.n->add(a.value, b)}; }
Expr operator*(Expr a, double b) { return {a.n, a.n->mul(a.value, b)}; }
Expr squareRoot(Expr x) { return {x.n, x.n->make<SqrtOp>({x.value})}; }
} // namespace

/// Inputs R, T, then `states` + 2 lists of equal length: tensors, gradients, states. `update` gets R, T, a tensor, its
/// gradient and its states, which it replaces, and returns the tensor's next value.
static void eachTensor(Node &n, unsigned states,
                       function_ref<Expr(Expr rate, Expr step, Expr x, Expr g, MutableArrayRef<Expr>)> update) {
  unsigned lists = states + 2, count = (n.inputs.size() - 2) / lists;
  if (n.inputs.size() < 2 + lists || (n.inputs.size() - 2) % lists)
    return (void)n.fail("needs " + Twine(lists) + " inputs for each tensor, beside R and T");
  for (unsigned i = 0; i < count; ++i) {
    Type type = n.elem(n.in(2 + i));
    auto scalar = [&](unsigned input) { return Expr{&n, n.cast(n.reshape(n.in(input), {}), type)}; };
    auto own = [&](unsigned list) { return Expr{&n, n.in(2 + list * count + i)}; };
    SmallVector<Expr> kept;
    for (unsigned list = 2; list < lists; ++list)
      kept.push_back(own(list));
    // The gradient with the norm's.
    Expr x = own(0), g = x * n.getFloat("norm_coefficient", 0) + own(1);
    n.set(i, update(scalar(0), scalar(1), x, g, kept).value);
    for (auto [list, state] : enumerate(kept))
      n.set((list + 1) * count + i, state.value);
  }
}

/// `later`, or `first` in the run whose number is 0.
static Expr afterFirst(Expr step, Expr later, Expr first) {
  Node &n = *step.n;
  return {&n, n.select(n.compare(ComparePredicate::gt, step.value, n.scalar(0, n.elem(step.value))), later.value,
                       first.value)};
}

static void adagrad(Node &n) {
  double decay = n.getFloat("decay_factor", 0), epsilon = n.getFloat("epsilon", 1e-6);
  eachTensor(n, 1, [&](Expr rate, Expr step, Expr x, Expr g, MutableArrayRef<Expr> kept) {
    return adagradUpdate(x, g, kept[0], rate / (step * decay + 1.0), epsilon);
  });
}

static void adam(Node &n) {
  double alpha = n.getFloat("alpha", 0.9), beta = n.getFloat("beta", 0.999), epsilon = n.getFloat("epsilon", 1e-6);
  double after = n.getFloat("norm_coefficient_post", 0);
  eachTensor(n, 2, [&](Expr rate, Expr step, Expr x, Expr g, MutableArrayRef<Expr> kept) {
    // The first step has nothing to correct; and no 0 / 0, which a gradient would find where nothing else does.
    auto bias = [&](double base) {
      Type type = n.elem(step.value);
      Expr one{&n, n.scalar(1, type)};
      return afterFirst(step, {&n, n.sub(one.value, n.make<PowOp>({n.scalar(base, type), step.value}))}, one);
    };
    Expr corrected = rate * (squareRoot(bias(beta)) / bias(alpha));
    Expr next = adamUpdate(x, g, kept[0], kept[1], corrected, alpha, beta, epsilon);
    return after != 0 ? next * (1 - after) : next;
  });
}

static void momentum(Node &n) {
  double alpha = n.getFloat("alpha", 0), beta = n.getFloat("beta", 0);
  std::string mode = n.getString("mode", "standard");
  if (mode != "standard" && mode != "nesterov")
    return (void)n.fail("mode '" + mode + "' is unknown");
  eachTensor(n, 1, [&](Expr rate, Expr step, Expr x, Expr g, MutableArrayRef<Expr> kept) {
    Expr added = afterFirst(step, g * beta, g);
    return momentumUpdate(x, g, added, kept[0], rate, alpha, mode == "nesterov");
  });
}

void ds::importer::registerTraining(Registry &r) {
  r.add("ai.onnx.preview.training.Gradient", gradient);
  r.add("ai.onnx.preview.training.Adagrad", adagrad);
  r.add("ai.onnx.preview.training.Adam", adam);
  r.add("ai.onnx.preview.training.Momentum", momentum);
}
