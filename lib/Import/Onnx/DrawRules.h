//===- DrawRules.h - How parameters are drawn anew --------------------------===//
// Assumes: a graph in training mode, its nodes in order.
// Guarantees: a rule for each initializer that a node has in a role which PyTorch's layers know, by that role:
//     uniform=B   from -B to B: weights of convolutions, products and recurrent layers, and their biases, with
//                 B = 1 / sqrt(fan-in), or 1 / sqrt(hidden size) (torch.nn.init.kaiming_uniform_ with a = sqrt(5))
//     normal=S    of mean 0 and deviation S: tables that rows are taken of (1), what is added to activations (0.02)
//     constant=C  scales of norms and variances 1, their biases and means 0, slopes of PRelu 0.25
//   A table that is the weight of a product, too, is drawn as that.
// Declines: initializers of functions, and roles that it does not know: "keep".
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_IMPORT_ONNX_DRAWRULES_H
#define DS_LIB_IMPORT_ONNX_DRAWRULES_H

#include "llvm/ADT/StringMap.h"
#include <onnx/onnx_pb.h>
#include <optional>
#include <string>
#include <vector>

namespace ds::importer {

class DrawRules {
public:
  explicit DrawRules(const onnx::GraphProto &graph);
  /// "uniform=0.125", or "keep".
  std::string of(llvm::StringRef initializer) const;

private:
  /// How much a role says, the most first.
  enum Weight { Product, Bias, Norm, Table, Added };
  struct Rule {
    Weight weight;
    std::string text;
  };
  /// What a value has of initializers: their names, and dims where they are those of one of them, permuted.
  struct View {
    std::vector<std::string> names;
    std::vector<int64_t> dims;
  };

  void read(const onnx::GraphProto &graph);
  void read(const onnx::NodeProto &node);
  void readProduct(const onnx::NodeProto &node, int weight, std::optional<int64_t> fanIn, int bias);
  bool follow(const onnx::NodeProto &node);
  const View *view(const onnx::NodeProto &node, int input) const;
  void set(const onnx::NodeProto &node, int input, Weight weight, llvm::StringRef kind, double number);

  llvm::StringMap<View> views;
  llvm::StringMap<Rule> rules;
  llvm::StringMap<int64_t> fans; // of what a product makes
  llvm::StringMap<char> scaled;  // what a product with a parameter of rank 1 makes
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_DRAWRULES_H
