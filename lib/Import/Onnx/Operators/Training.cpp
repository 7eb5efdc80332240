//===- Training.cpp - Steps of optimizers ---------------------------------===//
// Assumes: see Node.h; the operators of ai.onnx.preview.training.
// Guarantees: each tensor's new value and state by the formulas of ONNX's reference.
// Declines: Gradient.

#include "../Node.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// Inputs R, T, then `states` + 2 lists of equal length: tensors, gradients, states.
static void eachTensor(Node &n, unsigned states, function_ref<SmallVector<Value>(ArrayRef<Value>)> update) {
  unsigned lists = states + 2, count = (n.inputs.size() - 2) / lists;
  if (n.inputs.size() < 2 + lists || (n.inputs.size() - 2) % lists)
    return (void)n.fail("needs " + Twine(lists) + " inputs for each tensor, beside R and T");
  for (unsigned i = 0; i < count; ++i) {
    SmallVector<Value> own;
    for (unsigned list = 0; list < lists; ++list)
      own.push_back(n.in(2 + list * count + i));
    for (auto [list, result] : enumerate(update(own)))
      n.set(list * count + i, result);
  }
}

static Value scalarOf(Node &n, Value value, Type type) { return n.cast(n.reshape(value, {}), type); }

/// The gradient with the norm's: g + norm_coefficient * x.
static Value regularized(Node &n, Value x, Value g) { return n.add(n.mul(x, n.getFloat("norm_coefficient", 0)), g); }

static void adagrad(Node &n) {
  double decay = n.getFloat("decay_factor", 0), epsilon = n.getFloat("epsilon", 1e-6);
  eachTensor(n, 1, [&](ArrayRef<Value> v) -> SmallVector<Value> {
    Type type = n.elem(v[0]);
    Value rate = n.div(scalarOf(n, n.in(0), type), n.add(n.mul(scalarOf(n, n.in(1), type), decay), 1.0));
    Value g = regularized(n, v[0], v[1]), sum = n.add(v[2], n.mul(g, g));
    Value scaled = n.div(n.mul(rate, g), n.add(n.make<SqrtOp>({sum}), epsilon));
    return {n.sub(v[0], scaled), sum};
  });
}

static void adam(Node &n) {
  double alpha = n.getFloat("alpha", 0.9), beta = n.getFloat("beta", 0.999), epsilon = n.getFloat("epsilon", 1e-6);
  double after = n.getFloat("norm_coefficient_post", 0);
  eachTensor(n, 2, [&](ArrayRef<Value> v) -> SmallVector<Value> {
    Type type = n.elem(v[0]);
    Value rate = scalarOf(n, n.in(0), type), t = scalarOf(n, n.in(1), type);
    Value g = regularized(n, v[0], v[1]);
    Value mean = n.add(n.mul(v[2], alpha), n.mul(g, 1 - alpha));
    Value square = n.add(n.mul(v[3], beta), n.mul(n.mul(g, g), 1 - beta));
    // The first step has nothing to correct.
    auto power = [&](double base) { return n.make<PowOp>({n.scalar(base, type), t}); };
    Value one = n.scalar(1, type);
    Value corrected = n.mul(rate, n.div(n.make<SqrtOp>({n.sub(one, power(beta))}), n.sub(one, power(alpha))));
    rate = n.select(n.compare(ComparePredicate::gt, t, n.scalar(0, type)), corrected, rate);
    Value x = n.sub(v[0], n.div(n.mul(rate, mean), n.add(n.make<SqrtOp>({square}), epsilon)));
    return {after != 0 ? n.mul(x, 1 - after) : x, mean, square};
  });
}

static void momentum(Node &n) {
  double alpha = n.getFloat("alpha", 0), beta = n.getFloat("beta", 0);
  std::string mode = n.getString("mode", "standard");
  if (mode != "standard" && mode != "nesterov")
    return (void)n.fail("mode '" + mode + "' is unknown");
  eachTensor(n, 1, [&](ArrayRef<Value> v) -> SmallVector<Value> {
    Type type = n.elem(v[0]);
    Value rate = scalarOf(n, n.in(0), type), t = scalarOf(n, n.in(1), type);
    Value g = regularized(n, v[0], v[1]);
    Value later = n.compare(ComparePredicate::gt, t, n.scalar(0, type));
    Value factor = n.select(later, n.scalar(beta, type), n.scalar(1, type));
    Value velocity = n.add(n.mul(v[2], alpha), n.mul(factor, g));
    Value step = mode == "nesterov" ? n.add(g, n.mul(velocity, alpha)) : velocity;
    return {n.sub(v[0], n.mul(rate, step)), velocity};
  });
}

void ds::importer::registerTraining(Registry &r) {
  r.add("ai.onnx.preview.training.Adagrad", adagrad);
  r.add("ai.onnx.preview.training.Adam", adam);
  r.add("ai.onnx.preview.training.Momentum", momentum);
}
