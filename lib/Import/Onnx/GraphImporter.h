//===- GraphImporter.h - Graphs and functions to ops of ds ----------------===//
// Assumes: a parsed, otherwise untrusted model.
// Guarantees: a module with one function, or failure with diagnostics.
// Declines: see ds/Import/Onnx.h.

#ifndef DS_LIB_IMPORT_ONNX_GRAPHIMPORTER_H
#define DS_LIB_IMPORT_ONNX_GRAPHIMPORTER_H

#include "Inputs.h"
#include "ModelFile.h"
#include "Node.h"
#include "Tensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <onnx/onnx_pb.h>

namespace ds::importer {

class GraphImporter {
public:
  GraphImporter(mlir::MLIRContext &context, ModelFile &file, llvm::StringRef folder, const ImportOptions &options);

  mlir::OwningOpRef<mlir::ModuleOp> run();

private:
  using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

  /// A tensor, or a list of tensors: sequences and optionals exist only while importing.
  struct Item {
    Value tensor;
    std::optional<llvm::SmallVector<Value>> list;
    bool isOptional = false;
    /// Element type of an empty list's tensors.
    Type element;
  };
  /// Names visible in one graph or function body. Initializers become constants at their first use.
  struct Scope {
    Scope *outer = nullptr;
    llvm::StringMap<Item> values;
    llvm::StringMap<onnx::TensorProto *> initializers;
  };
  using Opsets = llvm::StringMap<int64_t>;

  // Checks of the whole model.
  bool checkVersions();
  bool readOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &imports, Opsets &opsets);
  bool checkGraph(const onnx::GraphProto &graph, const llvm::StringSet<> &outer);
  bool checkOperators(const Nodes &nodes);

  // Import.
  bool importInputs(onnx::GraphProto &graph, Scope &scope);
  bool importNodes(Nodes &nodes, const llvm::StringSet<> &outputs, Scope &scope, const Opsets &opsets,
                   std::optional<mlir::Location> caller, int depth);
  bool importNode(onnx::NodeProto &proto, llvm::ArrayRef<bool> wanted, Scope &scope, const Opsets &opsets,
                  std::optional<mlir::Location> caller, int depth);
  bool importBody(Node &node, onnx::FunctionProto &body, Scope &scope, const onnx::NodeProto &proto, int depth,
                  const Opsets &opsets);
  /// Imports a graph attribute with `inputs`; `results` gets an item for each output, empty where it is not wanted.
  bool importGraph(Node &node, onnx::GraphProto &graph, llvm::ArrayRef<Item> inputs, llvm::ArrayRef<bool> wanted,
                   Scope &outer, const Opsets &opsets, int depth, llvm::SmallVectorImpl<Item> &results);
  bool importIf(Node &node, onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  bool importLoop(Node &node, onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  bool importScan(Node &node, onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  /// Sequence and optional operators, on lists known while importing. False if the operator is none of them.
  bool importListOperator(Node &node, const onnx::NodeProto &proto, Scope &scope);
  bool importOutputs(const onnx::GraphProto &graph, Scope &scope);

  Item *find(Scope &scope, llvm::StringRef name);
  /// Null and an error where `name` is a list or not known.
  Value findTensor(Node &node, Scope &scope, llvm::StringRef name);
  void readAttributes(Node &node, onnx::NodeProto &proto);
  mlir::Location nodeLoc(const onnx::NodeProto &proto, std::optional<mlir::Location> caller);
  bool error(const llvm::Twine &message);

  mlir::MLIRContext &context;
  onnx::ModelProto &model;
  InputDims inputDims;
  TensorReader tensors;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  mlir::OpBuilder builder;
  ShapeState shapes;
  Opsets modelOpsets;
  llvm::StringMap<onnx::FunctionProto *> functions;
  int64_t importedNodes = 0;
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_GRAPHIMPORTER_H
