//===- Options.cpp - What a training step is to be ------------------------===//
// Guarantees: see ds/Train/Options.h. "NAME:KEY=VALUE,...": each key once, and one that NAME has.
//===----------------------------------------------------------------------===//
#include "ds/Train/Options.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>
#include <functional>
#include <vector>

using namespace llvm;

namespace ds {

namespace {
/// A key that a name has: reads its value, false where it is none.
struct Key {
  StringRef name;
  std::function<bool(StringRef)> read;
  StringRef expects; // "a number above 0"
};
} // namespace

static bool readNumber(StringRef text, double &value) {
  return !text.getAsDouble(value, /*AllowInexact=*/true) && std::isfinite(value);
}

static Key number(StringRef name, double &to, bool (*isGood)(double), StringRef expects) {
  return {name, [&to, isGood](StringRef text) { return readNumber(text, to) && isGood(to); }, expects};
}
static bool isNotNegative(double x) { return x >= 0; }
static bool isPositive(double x) { return x > 0; }
static bool isBelowOne(double x) { return x >= 0 && x < 1; }

static std::string readKeys(StringRef flag, StringRef name, StringRef list, ArrayRef<Key> keys) {
  SmallVector<StringRef> entries;
  list.split(entries, ',', -1, /*KeepEmpty=*/false);
  std::vector<bool> given(keys.size());
  for (StringRef entry : entries) {
    auto [key, value] = entry.split('=');
    const Key *found = find_if(keys, [&, name = key](const Key &each) { return each.name == name; });
    if (found == keys.end()) {
      std::string known = join(map_range(keys, [](const Key &each) { return each.name.str(); }), ", ");
      return (flag + ": " + name + " has no '" + key + "'; " + (known.empty() ? "it has nothing to set" : "it has ") +
              known)
          .str();
    }
    if (given[size_t(found - keys.begin())])
      return (flag + " gives '" + key + "' twice").str();
    given[size_t(found - keys.begin())] = true;
    if (!found->read(value))
      return (flag + ": expected " + found->expects + " for '" + key + "', not '" + value + "'").str();
  }
  return {};
}

static std::string unknown(StringRef flag, StringRef name, StringRef known) {
  return (flag + "=" + name + " is unknown; expected one of " + known).str();
}

std::string parsePrecision(StringRef text, bool trains, Precision &precision) {
  std::optional<Precision> found = StringSwitch<std::optional<Precision>>(text)
                                       .Case("fp32", Precision::F32)
                                       .Case("fp64", Precision::F64)
                                       .Case("bf16", Precision::BF16)
                                       .Case("fp16", Precision::F16)
                                       .Default(std::nullopt);
  if (!found)
    return unknown("--precision", text, "fp32, fp64, bf16, fp16");
  precision = *found;
  if (!trains && (precision == Precision::BF16 || precision == Precision::F16))
    return ("--precision=" + text +
            " is for training (--train); a model that is served has the precision it was "
            "exported with, or fp64")
        .str();
  return {};
}

std::string parseLoss(StringRef text, LossOptions &loss) {
  auto [name, list] = text.split(':');
  loss = LossOptions();
  std::vector<Key> keys{{"output",
                         [&](StringRef value) {
                           loss.output = value.str();
                           return !value.empty();
                         },
                         "an output's name"}};
  if (name == "cross_entropy") {
    loss.kind = LossOptions::CrossEntropy;
    keys.push_back({"axis", [&](StringRef value) { return !value.getAsInteger(10, loss.axis); }, "an integer"});
    keys.push_back({"ignore_index",
                    [&](StringRef value) {
                      int64_t index;
                      if (value.getAsInteger(10, index))
                        return false;
                      loss.ignoreIndex = index;
                      return true;
                    },
                    "an integer"});
    keys.push_back(number("label_smoothing", loss.labelSmoothing, isBelowOne, "a number from 0 to below 1"));
  } else if (name == "mse") {
    loss.kind = LossOptions::MeanSquared;
  } else if (name == "l1") {
    loss.kind = LossOptions::MeanAbsolute;
  } else if (name == "huber") {
    loss.kind = LossOptions::Huber;
    keys.push_back(number("delta", loss.delta, isPositive, "a number above 0"));
  } else if (name == "bce_with_logits") {
    loss.kind = LossOptions::BinaryCrossEntropy;
  } else if (name == "output") {
    loss.kind = LossOptions::OwnOutput;
    keys.front().name = "name";
  } else {
    return unknown("--loss", name, "cross_entropy, mse, l1, huber, bce_with_logits, output (the model's own)");
  }
  return readKeys("--loss", name, list, keys);
}

std::string parseOptimizer(StringRef text, OptimizerOptions &optimizer) {
  auto [name, list] = text.split(':');
  optimizer = OptimizerOptions();
  OptimizerOptions &o = optimizer;
  std::vector<Key> keys;
  keys.push_back(number("lr", o.learningRate, isNotNegative, "a number from 0"));
  keys.push_back(number("weight_decay", o.weightDecay, isNotNegative, "a number from 0"));
  keys.push_back({"decay",
                  [&](StringRef value) {
                    o.decaysVectors = value == "all";
                    return value == "all" || value == "matrices";
                  },
                  "all or matrices (no biases and norms)"});
  keys.push_back(number("clip", o.clip, isPositive, "a norm above 0"));
  auto beta = [&](StringRef key, double &to) {
    keys.push_back(number(key, to, isBelowOne, "a number from 0 to below 1"));
  };
  if (name == "sgd") {
    o.kind = OptimizerOptions::Sgd;
    beta("momentum", o.momentum);
    keys.push_back({"nesterov",
                    [&](StringRef value) {
                      o.nesterov = value == "true" || value == "1";
                      return o.nesterov || value == "false" || value == "0";
                    },
                    "true or false"});
  } else if (name == "adam" || name == "adamw") {
    o.kind = name == "adam" ? OptimizerOptions::Adam : OptimizerOptions::AdamW;
    o.learningRate = 1e-3;
    o.weightDecay = name == "adam" ? 0 : 0.01;
    beta("beta1", o.beta1);
    beta("beta2", o.beta2);
    keys.push_back(number("eps", o.epsilon, isPositive, "a number above 0"));
  } else if (name == "lion") {
    o.kind = OptimizerOptions::Lion;
    o.learningRate = 1e-4;
    o.beta2 = 0.99;
    beta("beta1", o.beta1);
    beta("beta2", o.beta2);
  } else {
    return unknown("--optimizer", name, "sgd, adam, adamw, lion");
  }
  if (std::string reason = readKeys("--optimizer", name, list, keys); !reason.empty())
    return reason;
  if (o.nesterov && o.momentum == 0)
    return "--optimizer: nesterov needs a momentum above 0";
  return {};
}

std::string checkSchedule(StringRef text) {
  auto [name, list] = text.split(':');
  auto whole = [](StringRef value) {
    int64_t count;
    return !value.getAsInteger(10, count) && count > 0;
  };
  auto fraction = [](StringRef value) {
    double number;
    return readNumber(value, number) && number >= 0;
  };
  std::vector<Key> keys;
  bool hasSize = false;
  int64_t warmup = 0, total = 0;
  auto keep = [&](int64_t &to) { return [&](StringRef value) { return whole(value) && !value.getAsInteger(10, to); }; };
  if (name == "step") {
    keys.push_back({"size", [&](StringRef value) { return hasSize = whole(value); }, "a number of steps"});
    keys.push_back({"factor", fraction, "a number from 0"});
  } else if (name == "linear" || name == "cosine") {
    keys.push_back({"warmup", keep(warmup), "a number of steps"});
    keys.push_back({"total", keep(total), "a number of steps"});
    if (name == "cosine")
      keys.push_back({"minimum", fraction, "a learning rate from 0"});
  } else if (name != "constant") {
    return unknown("--schedule", name, "constant, step, linear, cosine");
  }
  if (std::string reason = readKeys("--schedule", name, list, keys); !reason.empty())
    return reason;
  if (name == "step" && !hasSize)
    return "--schedule=step needs size=STEPS, after which the rate falls";
  if (total && total <= warmup)
    return ("--schedule=" + text + ": expected more steps in total than to warm up").str();
  return {};
}

std::string parseTexts(TrainingOptions &training) {
  std::string reason = parseLoss(training.lossText, training.loss);
  if (reason.empty())
    reason = parseOptimizer(training.optimizerText, training.optimizer);
  return reason.empty() ? checkSchedule(training.schedule) : reason;
}

} // namespace ds
