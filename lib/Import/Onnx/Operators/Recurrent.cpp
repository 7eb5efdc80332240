//===- Recurrent.cpp - LSTM, GRU and RNN ----------------------------------===//
// Assumes: see Node.h.
// Guarantees: the input's half of all gates, of all steps and both directions, is one matrix product with its biases;
// what
//   remains is ds.lstm, ds.gru or ds.rnn with the steps in front.
// Declines: activation functions that ONNX does not define.

#include "../Node.h"

#include "llvm/ADT/StringSwitch.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

namespace {
struct Function {
  StringRef name;
  std::optional<double> alpha, beta; ///< the defaults of what the function has
};

class Layer {
public:
  Layer(Node &n, int64_t gates) : n(n), gates(gates) {}

  /// Reads attributes and sizes; false after a failure.
  bool read(ArrayRef<StringRef> defaultFunctions);
  /// x * w^T + biases, [T, B, D*G*H]. `separate`: the recurrent bias of the last gate stays out of it.
  Value inputHalf(bool separate);
  Value recurrentBiasOfLastGate();
  /// A state [D, B, H] from ONNX's input `i`, or null.
  Value state(unsigned i);
  void setOutputs(ArrayRef<Value> results);

  SmallVector<mlir::NamedAttribute> attrs;

private:
  bool readFunctions(ArrayRef<StringRef> defaults);
  Value bias(bool recurrent);

  Node &n;
  int64_t gates, directions = 1, hidden = 0;
  bool batchFirst = false;
};
} // namespace

static std::optional<Function> findFunction(StringRef name) {
  std::string lower = name.lower();
  return StringSwitch<std::optional<Function>>(lower)
      .Case("affine", Function{"affine", 1.0, 0.0})
      .Case("relu", Function{"relu", {}, {}})
      .Case("leakyrelu", Function{"leaky_relu", 0.01, {}})
      .Case("thresholdedrelu", Function{"thresholded_relu", 1.0, {}})
      .Case("tanh", Function{"tanh", {}, {}})
      .Case("scaledtanh", Function{"scaled_tanh", 1.0, 1.0})
      .Case("sigmoid", Function{"sigmoid", {}, {}})
      .Case("hardsigmoid", Function{"hard_sigmoid", 0.2, 0.5})
      .Case("elu", Function{"elu", 1.0, {}})
      .Case("softsign", Function{"softsign", {}, {}})
      .Case("softplus", Function{"softplus", {}, {}})
      .Default(std::nullopt);
}

bool Layer::readFunctions(ArrayRef<StringRef> defaults) {
  SmallVector<std::string> names;
  for (const std::string &name : n.get<std::vector<std::string>>("activations", {}))
    names.push_back(name);
  if (names.empty())
    for (int64_t d = 0; d < directions; ++d)
      for (StringRef name : defaults)
        names.push_back(name.str());
  if (names.size() != defaults.size() * directions)
    return n.fail("has " + Twine(names.size()) + " activations, but needs " + Twine(defaults.size() * directions)),
           false;
  // Functions that have an alpha (or beta) take the next of the list.
  std::vector<float> alphas = n.get<std::vector<float>>("activation_alpha", {}),
                     betas = n.get<std::vector<float>>("activation_beta", {});
  size_t nextAlpha = 0, nextBeta = 0;
  SmallVector<StringRef> functions;
  SmallVector<double> alphaValues, betaValues;
  auto take = [](std::optional<double> otherwise, const std::vector<float> &given, size_t &next) {
    if (!otherwise)
      return 0.0;
    return next < given.size() ? double(given[next++]) : *otherwise;
  };
  for (const std::string &name : names) {
    std::optional<Function> function = findFunction(name);
    if (!function)
      return n.fail("activation '" + name + "' is unknown"), false;
    functions.push_back(function->name);
    alphaValues.push_back(take(function->alpha, alphas, nextAlpha));
    betaValues.push_back(take(function->beta, betas, nextBeta));
  }
  attrs.push_back(n.attr("activations", n.b.getStrArrayAttr(functions)));
  attrs.push_back(n.attr("alphas", n.b.getDenseF64ArrayAttr(alphaValues)));
  attrs.push_back(n.attr("betas", n.b.getDenseF64ArrayAttr(betaValues)));
  return true;
}

bool Layer::read(ArrayRef<StringRef> defaultFunctions) {
  std::string name = n.getString("direction", "forward");
  std::optional<Direction> direction = symbolizeDirection(name);
  if (!direction)
    return n.fail("direction '" + name + "' is unknown"), false;
  directions = *direction == Direction::bidirectional ? 2 : 1;
  batchFirst = n.getInt("layout", 0) != 0;
  for (auto [i, what] : {std::pair(0, "the input"), std::pair(1, "W"), std::pair(2, "R")})
    if (n.rank(n.in(i)) != 3)
      return n.fail(Twine(what) + " has rank " + Twine(n.rank(n.in(i))) + ", but must have rank 3"), false;
  hidden = n.staticDim(n.in(2), 2, "R");
  if (n.failed)
    return false;
  if (int64_t given = n.getInt("hidden_size", hidden); given != hidden)
    return n.fail("hidden_size is " + Twine(given) + ", but R has " + Twine(hidden) + " columns"), false;
  attrs = {n.i64("hidden", hidden), n.attr("direction", DirectionAttr::get(n.b.getContext(), *direction))};
  if (n.hasAttr("clip"))
    attrs.push_back(n.f64("clip", n.getFloat("clip", 0)));
  return readFunctions(defaultFunctions);
}

/// One half of ONNX's B ([D, 2*G*H]): [D, G*H].
Value Layer::bias(bool recurrent) {
  SymExpr size(gates * hidden);
  return n.sliceAxis(n.in(3), 1, recurrent ? size : SymExpr(0), size);
}

Value Layer::inputHalf(bool separate) {
  Value x = n.in(0), w = n.in(1);
  if (batchFirst)
    x = n.transpose(x, {1, 0, 2});
  SymExpr columns(directions * gates * hidden);
  w = n.reshape(w, {columns, n.dim(n.in(1), 2)});
  Value product = n.matmul(x, n.transpose(w, {1, 0}));
  if (!n.has(3))
    return product;
  Value input = bias(false), recurrent = bias(true);
  if (separate) {
    recurrent = n.sliceAxis(recurrent, 1, SymExpr(0), SymExpr((gates - 1) * hidden));
    recurrent = n.padConstant(recurrent, {SymExpr(0), SymExpr(0)}, {SymExpr(0), SymExpr(hidden)});
  }
  return n.add(product, n.reshape(n.add(input, recurrent), {columns}));
}

Value Layer::recurrentBiasOfLastGate() {
  return n.has(3) ? n.sliceAxis(bias(true), 1, SymExpr((gates - 1) * hidden), SymExpr(hidden)) : Value();
}

Value Layer::state(unsigned i) {
  if (!n.has(i))
    return {};
  return batchFirst ? n.transpose(n.in(i), {1, 0, 2}) : n.in(i);
}

void Layer::setOutputs(ArrayRef<Value> results) {
  for (auto [i, result] : enumerate(results)) {
    Value value = result;
    if (batchFirst && value)
      value = i == 0 ? n.transpose(value, {2, 0, 1, 3}) : n.transpose(value, {1, 0, 2});
    n.set(i, value);
  }
}

/// Operands, of which null ones are absent, with the attribute that tells them apart.
static SmallVector<Value> present(Node &n, ArrayRef<Value> operands, SmallVectorImpl<mlir::NamedAttribute> &attrs) {
  SmallVector<Value> result;
  SmallVector<int32_t> sizes;
  for (Value operand : operands) {
    sizes.push_back(operand ? 1 : 0);
    if (operand)
      result.push_back(operand);
  }
  attrs.push_back(n.segments(sizes));
  return result;
}

static void lstm(Node &n) {
  Layer layer(n, 4);
  if (!layer.read({"Sigmoid", "Tanh", "Tanh"}))
    return;
  Value x = layer.inputHalf(/*separate=*/false), h0 = layer.state(5), c0 = layer.state(6);
  if (n.failed)
    return;
  if (n.getInt("input_forget", 0))
    layer.attrs.push_back(n.unit("couple"));
  SmallVector<Value> operands = present(n, {x, n.in(2), n.in(4), h0, c0, n.in(7)}, layer.attrs);
  Type element = n.elem(x);
  layer.setOutputs(n.makeMany<LstmOp>({element, element, element}, operands, layer.attrs));
}

static void gru(Node &n) {
  Layer layer(n, 3);
  if (!layer.read({"Sigmoid", "Tanh"}))
    return;
  bool linear = n.getInt("linear_before_reset", 0) != 0;
  Value x = layer.inputHalf(linear), bias = linear ? layer.recurrentBiasOfLastGate() : Value(), h0 = layer.state(5);
  if (n.failed)
    return;
  if (linear)
    layer.attrs.push_back(n.unit("linear_before_reset"));
  SmallVector<Value> operands = present(n, {x, n.in(2), bias, n.in(4), h0}, layer.attrs);
  layer.setOutputs(n.makeMany<GruOp>({n.elem(x), n.elem(x)}, operands, layer.attrs));
}

static void rnn(Node &n) {
  Layer layer(n, 1);
  if (!layer.read({"Tanh"}))
    return;
  Value x = layer.inputHalf(/*separate=*/false), h0 = layer.state(5);
  if (n.failed)
    return;
  SmallVector<Value> operands = present(n, {x, n.in(2), n.in(4), h0}, layer.attrs);
  layer.setOutputs(n.makeMany<RnnOp>({n.elem(x), n.elem(x)}, operands, layer.attrs));
}

void ds::importer::registerRecurrent(Registry &r) {
  r.add("LSTM", lstm);
  r.add("GRU", gru);
  r.add("RNN", rnn);
}
