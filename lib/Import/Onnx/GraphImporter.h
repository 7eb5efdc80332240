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

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <onnx/onnx_pb.h>

namespace onnx {
class OpSchema;
}

#include <functional>
#include <map>
#include <set>

namespace ds::importer {

/// ONNX's own domain has two names.
inline llvm::StringRef normalDomain(llvm::StringRef domain) { return domain == "ai.onnx" ? llvm::StringRef() : domain; }

class GraphImporter {
public:
  GraphImporter(mlir::MLIRContext &context, ModelFile &file, llvm::StringRef folder, const ImportOptions &options);

  mlir::OwningOpRef<mlir::ModuleOp> run();

  /// Operators that are translated, or that ONNX defines by others.
  static bool isSupported(llvm::StringRef domain, llvm::StringRef fullName, const onnx::OpSchema *schema,
                          int64_t opset);

  /// Where only the run knows a rank, it may be 0 to this.
  static constexpr int64_t MaxUnknownRank = 8;
  /// A sequence that the run makes: the elements one after another (rank 1), and the dims of each (i64, one row an
  /// element). Rows of a mixed one, whose elements may differ in rank, have MaxUnknownRank entries, of which those past
  /// the element's rank are -1.
  struct Sequence {
    Value data, shapes;
    bool isMixed = false;
    unsigned rank() const; ///< of the elements, if it is not mixed
  };
  /// A tensor, or a list of tensors: lists and optionals exist only while importing.
  struct Item {
    Item() = default;
    explicit Item(Value tensor) : tensor(tensor) {}
    explicit Item(llvm::ArrayRef<Value> list, Type element = {}) : list(llvm::to_vector(list)), element(element) {}

    Value tensor;
    std::optional<llvm::SmallVector<Value>> list;
    bool isOptional = false;
    /// Element type of an empty list's tensors.
    Type element;
    std::optional<Sequence> sequence;
    /// Of an optional sequence that the run decides: whether it is there. (An optional tensor that the run decides is a
    /// sequence of one element, or none.)
    Value present;
    /// The sequence is one tensor whose rank the run decides.
    bool isBoxed = false;
    llvm::SmallVector<int64_t> ranks; ///< that a boxed tensor may have
  };

private:
  using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

  /// Longer loops are not unrolled, nor are those that would become more nodes.
  static constexpr int64_t MaxIterations = 256, MaxUnrolledNodes = 4096;

  /// A function that is being made of a branch or of a loop's body.
  struct Body {
    Body(GraphImporter &importer, mlir::Location loc, mlir::Block *caller);
    /// What stands in the function for a value of its caller: a copy of a constant, sizes, or a new argument.
    Value capture(Value value);
    Item capture(const Item &item);
    Value addArgument(Type element, llvm::ArrayRef<SymExpr> dims);
    /// The caller's dims; one that it does not know as an expression is a symbol of the function's own.
    SymDims dims(llvm::ArrayRef<SymExpr> outer);
    SymExpr ownSymbol(const SymExpr &outer);
    /// Ends the function.
    void finish(llvm::ArrayRef<Value> results);
    void giveUp();
    /// Symbols that only the function knows.
    std::set<std::string> innerSymbols();

    GraphImporter &importer;
    mlir::Block *caller;
    mlir::func::FuncOp function;
    llvm::SmallVector<Value> captured; ///< of the caller: the last arguments
    llvm::SmallVector<SymExpr> own;

  private:
    llvm::DenseMap<Value, Value> captures;
    std::map<std::string, SymExpr> renamed;
  };

  /// Names visible in one graph or function body. Initializers become constants at their first use.
  struct Scope {
    Scope *outer = nullptr;
    Body *body = nullptr; ///< of which this is the outermost scope
    llvm::StringMap<Item> values;
    llvm::StringMap<onnx::TensorProto *> initializers;
  };
  using Opsets = llvm::StringMap<int64_t>;

  /// What follows the node that is being imported, in its graph.
  struct Rest {
    Nodes *nodes;
    int next;
    const llvm::ArrayRef<llvm::SmallVector<bool>> *wanted;
    const llvm::StringSet<> *outputs;
    std::optional<mlir::Location> caller;
    const onnx::GraphProto *graph; ///< null in a function's body
    bool done = false;             ///< set where it was imported together with the node
  };

  // Checks of the whole model.
  bool checkVersions();
  bool readOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &imports, Opsets &opsets);
  bool checkGraph(const onnx::GraphProto &graph, const llvm::StringSet<> &outer, bool inner);
  bool checkOperators(const Nodes &nodes);

  // Import.
  bool importInputs(onnx::GraphProto &graph, Scope &scope);
  bool importNodes(Nodes &nodes, const llvm::StringSet<> &outputs, Scope &scope, const Opsets &opsets,
                   std::optional<mlir::Location> caller, int depth);
  /// Nodes `first` and on of those.
  bool importFrom(Nodes &nodes, int first, llvm::ArrayRef<llvm::SmallVector<bool>> wanted,
                  const llvm::StringSet<> &outputs, Scope &scope, const Opsets &opsets,
                  std::optional<mlir::Location> caller, int depth);
  bool importNode(onnx::NodeProto &proto, llvm::ArrayRef<bool> wanted, Scope &scope, const Opsets &opsets,
                  std::optional<mlir::Location> caller, int depth);
  bool importBody(Node &node, onnx::FunctionProto &body, Scope &scope, const onnx::NodeProto &proto, int depth,
                  const Opsets &opsets);
  /// Imports a graph attribute with `inputs`; `results` gets an item for each output, empty where it is not wanted.
  bool importGraph(Node &node, onnx::GraphProto &graph, llvm::ArrayRef<Item> inputs, llvm::ArrayRef<bool> wanted,
                   Scope &outer, const Opsets &opsets, int depth, llvm::SmallVectorImpl<Item> &results,
                   Body *body = nullptr);
  bool importIf(Node &node, onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  bool importLoop(Node &node, onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  static bool worthUnrolling(const onnx::GraphProto &body, int64_t trips);
  bool importScan(Node &node, onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  /// Sequence and optional operators, on lists known while importing. False if the operator is none of them.
  bool importListOperator(Node &node, const onnx::NodeProto &proto, Scope &scope);

  // CustomOperators.cpp
  /// True for nodes that are left to the program that runs the model: of a domain that the user named, and nothing
  /// that is supported.
  bool isCustom(llvm::StringRef domain, const onnx::NodeProto &proto, const onnx::OpSchema *schema, int64_t opset);
  /// " (...)" that says how to leave the nodes of a domain to the program; "" for domains that are known.
  std::string customHint(llvm::StringRef domain);
  bool importCustom(Node &node, onnx::NodeProto &proto, Scope &scope, llvm::StringRef domain);
  /// What the graph or function says of a value, or null.
  const onnx::TypeProto *declaredType(llvm::StringRef name) const;

  // Bodies.cpp: what the run decides.
  struct LoopParts {
    Value trips, condition; ///< null: without end, true
    llvm::SmallVector<Value> state;
    /// Imports the body: from the iteration's number and the state, whether to go on, the next state, and what is kept.
    std::function<bool(Body &, llvm::ArrayRef<Value>, llvm::SmallVectorImpl<Value> &)> build;
  };
  struct ScanParts {
    llvm::SmallVector<Value> state, sequences;
    llvm::SmallVector<int64_t> axes;
    llvm::SmallVector<bool> reversed;
  };
  /// A number that the run decides, and for which of its values the condition holds.
  struct Choice {
    int64_t number;
    std::string decides;
  };
  /// Makes the bodies of both branches by `build`, and the op that runs one of them. False with a `reason` where their
  /// results are not alike.
  /// With `box`, results that differ in rank become boxed.
  bool runBranches(Node &node, Value condition,
                   llvm::function_ref<bool(int, Body &, llvm::SmallVectorImpl<Item> &)> build,
                   llvm::SmallVectorImpl<Item> &results, std::string &reason, bool box = false,
                   const Choice *choice = nullptr);
  bool importRunTimeIf(Node &node, onnx::NodeProto &proto, onnx::GraphProto &thenGraph, onnx::GraphProto &elseGraph,
                       Scope &scope, const Opsets &opsets, int depth);
  /// What two branches' results differ in, or "".
  static std::string difference(llvm::ArrayRef<Item> a, llvm::ArrayRef<Item> b);
  std::optional<unsigned> elementRank(Node &node, onnx::GraphProto &graph, int input, int output,
                                      llvm::ArrayRef<Item> state, Scope &scope, const Opsets &opsets, int depth);
  /// What a loop's state must become, since an iteration makes something else of it.
  struct OtherState {
    llvm::SmallVector<int64_t> ranks; ///< boxed, with these too
    bool mix = false;                 ///< a mixed sequence
  };
  Item asState(Node &node, Item item, const Item &state, OtherState &other);
  bool importRunTimeLoop(Node &node, onnx::NodeProto &proto, onnx::GraphProto &graph, Scope &scope,
                         const Opsets &opsets, int depth);
  bool importRunTimeScan(Node &node, const ScanParts &scan, onnx::GraphProto &graph, Scope &scope, const Opsets &opsets,
                         int depth, llvm::SmallVectorImpl<Value> &results);
  // Divergence.cpp
  /// What one tries to import, and may take back.
  struct Attempt {
    Attempt(GraphImporter &importer, Scope &scope);
    void takeBack();

    GraphImporter &importer;
    Scope &scope;
    llvm::StringMap<Item> values;
    mlir::Block *block;
    size_t firstBody;
    mlir::Operation *marker;
  };
  /// The first error of what `import` does, instead of reporting it; "" for none.
  std::string quietly(llvm::function_ref<bool()> import);
  /// The rest of the graph that the node is in, and whether what comes out has the declared ranks.
  bool importRest(Node &node, Scope &scope, const Opsets &opsets, int depth, const Rest &after);
  bool importDivergingIf(Node &node, const onnx::NodeProto &proto, onnx::GraphProto &thenGraph,
                         onnx::GraphProto &elseGraph, Scope &scope, const Opsets &opsets, int depth);
  bool importWithRest(Node &node, const onnx::NodeProto &proto, onnx::GraphProto &branch, Scope &scope,
                      const Opsets &opsets, int depth, const Rest &after);
  /// The outputs of the graph that its rest is still to make, in order, and these as `scope` has them.
  static llvm::SmallVector<llvm::StringRef> outputsToMake(const Rest &after, const Scope &scope);
  bool collect(llvm::ArrayRef<llvm::StringRef> names, Scope &scope, llvm::SmallVectorImpl<Item> &items);
  void requireBranch(Node &node, Value condition, bool taken, llvm::StringRef reason);
  bool importStatedIf(Node &node, const onnx::NodeProto &proto, onnx::GraphProto &branch, bool taken, Scope &scope,
                      const Opsets &opsets, int depth);
  /// A run in which `value` (one number) is not `expected` ends with an error that says what was expected.
  void requireSize(Node &node, Value value, const SymExpr &expected, const llvm::Twine &message);
  // Ranks.cpp
  static bool hasUnknownRank(const Item &item);
  std::optional<std::string> inputOfUnknownRank(const onnx::NodeProto &proto, Scope &scope);
  /// What to do about a node whose translation, what comes after `last`, stopped at `node.undecided`.
  bool importUndecided(Node &node, const onnx::NodeProto &proto, mlir::Operation *last, Scope &scope,
                       const Opsets &opsets, int depth);
  static void addRanks(Item &item, llvm::ArrayRef<int64_t> ranks);
  /// Shape and Size of a tensor whose rank the run decides. False if the node is neither.
  bool importBoxedShape(Node &node, const onnx::NodeProto &proto, Scope &scope);
  Item withLength(Node &node, const Item &item, int64_t length, unsigned axis = 0);
  /// The node and what follows it, once for each length of the list that `name` is, or that has the dims of `name`.
  /// (or for each size of its dimension `axis`).
  bool importByLength(Node &node, const onnx::NodeProto &proto, llvm::StringRef name, Scope &scope,
                      const Opsets &opsets, int depth, unsigned axis = 0);
  // Sequences.cpp
  /// The operator on sequences that the run makes.
  bool importSequenceOperator(Node &node, const onnx::NodeProto &proto, llvm::ArrayRef<Item *> items, Scope &scope);
  bool importSequenceMap(Node &node, onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  /// A list as a sequence; the elements of an empty one have `rank`.
  Item asSequence(Node &node, const Item &item, std::optional<unsigned> rank = std::nullopt);
  /// What is in an optional.
  struct OptionalKind {
    Type element;
    std::optional<unsigned> rank;
    bool isSequence = false, isMixed = false;
    bool isKnown() const { return element && (rank || isMixed); }
  };
  OptionalKind kindOf(Node &node, const Item &item);
  OptionalKind kindOf(const onnx::TypeProto &type);
  /// An optional, or what could be in one, as the run knows it.
  Item asRunTimeOptional(Node &node, const Item &item, const OptionalKind &kind);
  /// What is in an optional that the run decides; a run without an element ends with an error.
  Item optionalElement(Node &node, const Item &item);
  /// A sequence as one whose elements may differ in rank.
  Item mixed(Node &node, const Item &item);
  /// Of a list, a boxed tensor, or a mixed sequence (the highest one): what importByLength looks at, as a list of one.
  Value undecidedLength(Node &node, const Item &item, unsigned axis);
  Item boxed(Node &node, const Item &item);
  Value concatSequence(Node &node, const Sequence &sequence, int64_t axis, bool fresh);
  Sequence splitToSequence(Node &node, Value x, Value parts, int64_t axis, bool squeeze);
  static void flatten(llvm::ArrayRef<Item> items, llvm::SmallVectorImpl<Value> &into);
  /// An item like `item` of the tensors from `next` on.
  static Item rebuild(Item item, llvm::ArrayRef<Value>::iterator &next);
  bool runLoop(Node &node, const LoopParts &parts, llvm::SmallVectorImpl<Value> &results);
  SymDims dimsOutside(llvm::ArrayRef<SymExpr> inside, const std::set<std::string> &innerSymbols,
                      llvm::SmallVectorImpl<SymExpr> &symbols);
  Value asScalar(Node &node, Value value);
  mlir::NamedAttribute shapesAttr(llvm::ArrayRef<SymDims> all);
  void forget(mlir::Operation *op);

  bool importOutputs(const onnx::GraphProto &graph, Scope &scope);

  Item *find(Scope &scope, llvm::StringRef name);
  /// Null and an error where `name` is a list or not known.
  Value findTensor(Node &node, Scope &scope, llvm::StringRef name);
  bool findInputs(Node &node, const onnx::NodeProto &proto, Scope &scope);
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
  unsigned bodyCount = 0;
  llvm::SmallVector<mlir::func::FuncOp> bodies;
  Rest *rest = nullptr;
  const onnx::GraphProto *currentGraph = nullptr;
  const onnx::FunctionProto *currentFunction = nullptr; ///< where that is null
  llvm::StringSet<> customDomains;
  llvm::StringMap<bool> statedBranches;
  bool metUnsupported = false; ///< an operator, since it was set to false
  /// Each such point imports the rest of its graph several times.
  static constexpr int MaxDivergences = 4;
  int divergences = 0;
  std::map<std::string, int64_t> lengths; ///< of lists, where importByLength is at work
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_GRAPHIMPORTER_H
