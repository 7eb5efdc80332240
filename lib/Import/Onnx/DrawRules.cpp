//===- DrawRules.cpp - How parameters are drawn anew ------------------------===//
// Guarantees: see DrawRules.h.
// Source: He et al. 2015, in the form that PyTorch's layers begin with (torch.nn, reset_parameters).
//===----------------------------------------------------------------------===//
#include "DrawRules.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace ds::importer {

static const onnx::AttributeProto *attributeOf(const onnx::NodeProto &node, StringRef name) {
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return &attribute;
  return nullptr;
}

static double boundOf(int64_t fanIn) { return 1 / std::sqrt(double(std::max<int64_t>(fanIn, 1))); }

DrawRules::DrawRules(const onnx::GraphProto &graph) { read(graph); }

std::string DrawRules::of(StringRef initializer) const {
  auto rule = rules.find(initializer);
  return rule == rules.end() ? "keep" : rule->second.text;
}

void DrawRules::read(const onnx::GraphProto &graph) {
  for (const onnx::TensorProto &tensor : graph.initializer())
    views[tensor.name()] = {{tensor.name()}, {tensor.dims().begin(), tensor.dims().end()}};
  for (const onnx::NodeProto &node : graph.node()) {
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        read(attribute.g());
      for (const onnx::GraphProto &inner : attribute.graphs())
        read(inner);
    }
    if (node.domain().empty() || node.domain() == "ai.onnx")
      read(node);
  }
}

const DrawRules::View *DrawRules::view(const onnx::NodeProto &node, int input) const {
  if (input >= node.input_size())
    return nullptr;
  auto found = views.find(node.input(input));
  return found == views.end() ? nullptr : &found->second;
}

void DrawRules::set(const onnx::NodeProto &node, int input, Weight weight, StringRef kind, double number) {
  const View *of = view(node, input);
  if (!of)
    return;
  std::string text;
  raw_string_ostream(text) << kind << '=' << format("%.17g", number);
  for (const std::string &name : of->names) {
    auto [rule, isNew] = rules.try_emplace(name, Rule{weight, text});
    if (!isNew && weight < rule->second.weight)
      rule->second = {weight, text};
  }
}

/// Names for the same elements, or for some of them.
bool DrawRules::follow(const onnx::NodeProto &node) {
  const std::string &op = node.op_type();
  const bool keepsDims = op == "Identity" || op == "Cast", permutes = op == "Transpose";
  if (!keepsDims && !permutes && op != "Reshape" && op != "Squeeze" && op != "Unsqueeze" && op != "Flatten" &&
      op != "Slice" && op != "Split" && op != "Concat" && op != "Expand")
    return false;
  View made;
  for (int i = 0; i < (op == "Concat" ? node.input_size() : 1); ++i)
    if (const View *from = view(node, i)) {
      made.names.insert(made.names.end(), from->names.begin(), from->names.end());
      if (keepsDims || permutes)
        made.dims = from->dims;
    }
  if (permutes) {
    const onnx::AttributeProto *perm = attributeOf(node, "perm");
    std::vector<int64_t> dims(made.dims.rbegin(), made.dims.rend());
    for (size_t i = 0; perm && i < dims.size() && i < size_t(perm->ints_size()); ++i)
      if (const int64_t from = perm->ints(int(i)); from >= 0 && from < int64_t(dims.size()))
        dims[i] = made.dims[size_t(from)];
    made.dims = std::move(dims);
  }
  auto fan = node.input_size() ? fans.find(node.input(0)) : fans.end();
  for (const std::string &output : node.output()) {
    if (!made.names.empty())
      views[output] = made;
    if (fan != fans.end())
      fans[output] = fan->second;
  }
  return true;
}

void DrawRules::readProduct(const onnx::NodeProto &node, int weight, std::optional<int64_t> fanIn, int bias) {
  const View *of = view(node, weight);
  if (!of)
    return;
  // Of a view with unknown dims, those of what it is a view of: weights are [outputs, inputs...].
  if (!fanIn && of->names.size() == 1)
    if (auto whole = views.find(of->names.front()); whole != views.end() && whole->second.dims.size() > 1) {
      fanIn = 1;
      for (int64_t dim : drop_begin(whole->second.dims))
        *fanIn *= dim;
    }
  if (!fanIn)
    return;
  set(node, weight, Product, "uniform", boundOf(*fanIn));
  if (bias >= 0)
    set(node, bias, Bias, "uniform", boundOf(*fanIn));
  fans[node.output(0)] = *fanIn;
}

void DrawRules::read(const onnx::NodeProto &node) {
  const std::string &op = node.op_type();
  if (node.output_size() == 0 || follow(node))
    return;
  auto dims = [&](int input) {
    const View *of = view(node, input);
    return of ? of->dims : std::vector<int64_t>();
  };
  auto flag = [&](StringRef name) {
    const onnx::AttributeProto *attribute = attributeOf(node, name);
    return attribute && attribute->i() != 0;
  };
  if (op == "Conv" || op == "ConvTranspose" || op == "DeformConv") {
    std::vector<int64_t> all = dims(1);
    std::optional<int64_t> fanIn;
    if (all.size() > 1) {
      fanIn = 1;
      for (int64_t dim : drop_begin(all))
        *fanIn *= dim;
    }
    readProduct(node, 1, fanIn, op == "DeformConv" ? 3 : 2);
  } else if (op == "Gemm" || op == "MatMul") {
    std::vector<int64_t> left = dims(0), right = dims(1);
    std::optional<int64_t> fanIn;
    if (!right.empty())
      fanIn = right.size() == 1 ? right[0] : right[right.size() - (flag("transB") ? 1 : 2)];
    else if (!left.empty())
      fanIn = left.size() == 1 ? left[0] : left[left.size() - (flag("transA") ? 2 : 1)];
    readProduct(node, 1, fanIn, op == "Gemm" ? 2 : -1);
    readProduct(node, 0, fanIn, op == "Gemm" ? 2 : -1);
  } else if (op == "LSTM" || op == "GRU" || op == "RNN") {
    const onnx::AttributeProto *hidden = attributeOf(node, "hidden_size");
    std::vector<int64_t> recurrence = dims(2);
    const int64_t size = hidden ? hidden->i() : recurrence.empty() ? 0 : recurrence.back();
    for (int input : {1, 2, 3, 7})
      if (size > 0)
        set(node, input, Product, "uniform", boundOf(size));
  } else if (op == "BatchNormalization" || op == "LayerNormalization" || op == "InstanceNormalization" ||
             op == "GroupNormalization" || op == "RMSNormalization") {
    set(node, 1, Norm, "constant", 1);
    set(node, 2, Norm, "constant", 0);
    set(node, 3, Norm, "constant", 0);
    set(node, 4, Norm, "constant", 1);
  } else if (op == "Gather" || op == "GatherND") {
    set(node, 0, Table, "normal", 1);
    // Rows of a table are no view that a product gives a role.
  } else if (op == "PRelu") {
    set(node, 1, Norm, "constant", 0.25);
  } else if (op == "Mul" || op == "Add") {
    for (int input : {0, 1}) {
      const View *of = view(node, input);
      if (!of || node.input_size() < 2 || view(node, 1 - input))
        continue;
      const std::string &other = node.input(1 - input);
      if (op == "Mul") {
        set(node, input, Norm, "constant", 1);
        scaled[node.output(0)] = 1;
      } else if (auto fan = fans.find(other); fan != fans.end()) {
        set(node, input, Bias, "uniform", boundOf(fan->second));
      } else if (scaled.contains(other)) {
        set(node, input, Norm, "constant", 0);
      } else {
        set(node, input, Added, "normal", 0.02);
      }
    }
  }
}

} // namespace ds::importer
