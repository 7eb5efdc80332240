//===- GraphImporter.h - Graphs and functions to ops of ds ----------------===//
// Assumes: a parsed, otherwise untrusted model.
// Guarantees: a module with one function, or failure with diagnostics.
// Declines: see ds/Import/Onnx.h.

#ifndef DS_LIB_IMPORT_ONNX_GRAPHIMPORTER_H
#define DS_LIB_IMPORT_ONNX_GRAPHIMPORTER_H

#include "Body.h"
#include "Inputs.h"
#include "ModelFile.h"
#include "Node.h"
#include "Scope.h"
#include "Tensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <onnx/onnx_pb.h>

namespace onnx {
class OpSchema;
}

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

namespace ds::importer {

/// ONNX's own domain has two names.
inline llvm::StringRef normalDomain(llvm::StringRef domain) { return domain == "ai.onnx" ? llvm::StringRef() : domain; }
/// "ConvInteger", or with a domain "com.microsoft.FusedConv".
std::string fullName(const onnx::NodeProto &node);
/// Its name, or else one made of its operator and first output.
std::string nodeName(const onnx::NodeProto &node);

/// Initializers that are inputs as well. Others are constants alone.
struct OptionalInputs {
  llvm::StringSet<> read;   ///< the run's value is what the graph computes with; the initializer is its default
  llvm::StringSet<> unread; ///< the graph computes with the initializer, whatever the run gives
};

/// What a model is imported for. A training step is made of two imports, as it trains and as it is evaluated.
enum class Purpose { Inference, Training, Evaluation };

class GraphImporter {
public:
  GraphImporter(mlir::MLIRContext &context, ModelFile &file, TensorReader &tensors, const ImportOptions &options,
                const OptionalInputs &optional = {}, Purpose purpose = Purpose::Inference);

  mlir::OwningOpRef<mlir::ModuleOp> run();

  /// Operators that are translated, or that ONNX defines by others.
  static bool isSupported(llvm::StringRef domain, llvm::StringRef fullName, const onnx::OpSchema *schema,
                          int64_t opset);

  /// Where only the run knows a rank, it may be 0 to this.
  static constexpr int64_t MaxUnknownRank = 8;

private:
  using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

  /// Longer loops are not unrolled, nor are those that would become more nodes.
  static constexpr int64_t MaxIterations = 256, MaxUnrolledNodes = 4096;
  /// Longer lists are sequences that the run makes.
  static constexpr int64_t MaxListLength = 4096;
  /// What functions, loops and branches, tried ones included, may unfold to, beside as many nodes as the file has times
  /// ten; how deep they may be in each other.
  static constexpr int64_t MaxNodes = 500'000;
  static constexpr int MaxDepth = 64;

  friend struct Body;
  using Opsets = llvm::StringMap<int64_t>;

  /// The nodes of a graph that are used, in order, and which of their outputs are.
  using Plan = std::vector<std::pair<int, llvm::SmallVector<bool>>>;

  /// A function of the model.
  struct LocalFunction {
    const onnx::FunctionProto *function;
    Opsets opsets;
    std::map<llvm::SmallVector<bool>, Plan> plans; ///< by the outputs that a call uses
    /// What it unfolds to, functions that it calls included; 0: not counted yet.
    int64_t nodes = 0;
    int height = 0; ///< of the functions below it
    bool isOpen = false;
  };
  /// One call of a function, of the model or of ONNX's.
  struct Call {
    const onnx::FunctionProto *function;
    llvm::StringMap<const onnx::AttributeProto *> attributes = {}; ///< that its nodes may refer to
    std::deque<onnx::AttributeProto> own = {};                     ///< those of them that the call made
  };
  /// The graph, or else function, whose nodes are imported.
  struct Surroundings {
    const onnx::GraphProto *graph = nullptr;
    const Call *call = nullptr; ///< that the graph is in
    /// What is said of a value, or null.
    const onnx::TypeProto *declaredType(llvm::StringRef name) const;

    mutable std::optional<llvm::StringMap<const onnx::TypeProto *>> types = std::nullopt;
  };

  /// What follows the node that is being imported, in its graph.
  struct Rest {
    const Nodes *nodes;
    size_t next; ///< of the plan
    const Plan *plan;
    const llvm::StringSet<> *outputs;
    std::optional<mlir::Location> caller;
    const Surroundings *around;
    bool done = false; ///< set where it was imported together with the node
  };

  // Checks of the whole model.
  bool checkVersions();
  bool readOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &imports, Opsets &opsets);
  /// Names that a graph knows: its own, and those of the graphs around it.
  struct Names {
    const Names *outer = nullptr;
    llvm::StringSet<> own = {};
    bool areInFunction = outer && outer->areInFunction;
    bool contains(llvm::StringRef name) const;
  };
  bool checkGraph(const onnx::GraphProto &graph, const Names *outer, int depth);
  bool checkNodes(const Nodes &nodes, Names &names, int depth);
  bool checkOutputs(llvm::ArrayRef<llvm::StringRef> outputs, const Names &names);
  bool checkFunction(const onnx::FunctionProto &function);
  bool checkFunctions();
  /// What the nodes that `outputs` need unfold to; nothing after an error. `caller` is the function that they are in,
  /// or null.
  std::optional<int64_t> countNodes(const Nodes &nodes, const llvm::StringSet<> &outputs, LocalFunction *caller);
  bool checkOperators();

  // Import.
  /// An input of the module's function.
  struct Input {
    std::string name;
    Type element;
    llvm::SmallVector<DeclaredDim> dims;
    std::string of = {};                        ///< the sequence that it is a tensor of
    const onnx::TensorProto *initial = nullptr; ///< what a run takes that does not give it
    bool isUnread = false;
  };
  bool importInputs(const onnx::GraphProto &graph, Scope &scope);
  /// Reads `initial`; the dims of an unread input become its.
  mlir::ElementsAttr readDefault(const Input &input, SymDims &dims);
  bool importNodes(const Nodes &nodes, const llvm::StringSet<> &outputs, Scope &scope, const Opsets &opsets,
                   std::optional<mlir::Location> caller, int depth, const Plan *plan = nullptr);
  static Plan planNodes(const Nodes &nodes, const llvm::StringSet<> &outputs);
  /// Nodes `first` of the plan and on.
  bool importFrom(const Nodes &nodes, size_t first, const Plan &plan, const llvm::StringSet<> &outputs, Scope &scope,
                  const Opsets &opsets, std::optional<mlir::Location> caller, int depth);
  bool importNode(const onnx::NodeProto &proto, llvm::ArrayRef<bool> wanted, Scope &scope, const Opsets &opsets,
                  std::optional<mlir::Location> caller, int depth);
  /// Counts what is done for the model; an error where it is too much.
  bool spend(int64_t nodes, int depth);

  // Functions.cpp
  static std::string functionKey(llvm::StringRef domain, llvm::StringRef name, llvm::StringRef overload);
  bool readFunctions();
  LocalFunction *findFunction(const onnx::NodeProto &proto);
  /// The attribute, or what it refers to in the call that is being imported; null where nobody gives that.
  const onnx::AttributeProto *resolve(const onnx::AttributeProto &attribute) const;
  const onnx::GraphProto *graphAttribute(const onnx::NodeProto &proto, llvm::StringRef name) const;
  /// The node with the attributes that it refers to, without their graphs and tensors, where it refers to any: what
  /// schemas look at. `storage` holds it.
  const onnx::NodeProto &resolved(const onnx::NodeProto &proto, onnx::NodeProto &storage) const;
  /// The node without inputs that its function's call leaves out; false if it has none.
  bool withoutAbsent(const onnx::NodeProto &proto, const Scope &scope, onnx::NodeProto &changed) const;
  void bindAttributes(Call &call, const onnx::NodeProto &proto, const onnx::OpSchema *schema);
  void copyResolved(const onnx::AttributeProto &from, onnx::AttributeProto &to) const;
  bool importLocalFunction(Node &node, LocalFunction &local, Scope &scope, const onnx::NodeProto &proto, int depth);
  bool importSchemaFunction(Node &node, const onnx::OpSchema &schema, Scope &scope, const onnx::NodeProto &proto,
                            int depth);
  bool importBody(Node &node, const Call &call, Scope &scope, const onnx::NodeProto &proto, int depth,
                  const Opsets &opsets, LocalFunction *local);
  /// Imports a graph attribute with `inputs`; `results` gets an item for each output, empty where it is not wanted.
  bool importGraph(Node &node, const onnx::GraphProto &graph, llvm::ArrayRef<Item> inputs, llvm::ArrayRef<bool> wanted,
                   Scope &outer, const Opsets &opsets, int depth, llvm::SmallVectorImpl<Item> &results,
                   Body *body = nullptr);
  bool importIf(Node &node, const onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  bool importLoop(Node &node, const onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  bool worthUnrolling(const onnx::GraphProto &body, int64_t trips);
  int64_t unfoldedNodes(const Nodes &nodes);
  int64_t repeatedBy(int64_t trips) const;
  bool importScan(Node &node, const onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
  /// Sequence and optional operators, on lists known while importing. False if the operator is none of them.
  bool importListOperator(Node &node, const onnx::NodeProto &proto, Scope &scope);

  // CustomOperators.cpp
  /// True for nodes that are left to the program that runs the model: of a domain that the user named, and nothing
  /// that is supported.
  bool isCustom(llvm::StringRef domain, const onnx::NodeProto &proto, const onnx::OpSchema *schema, int64_t opset);
  /// " (...)" that says how to leave the nodes of a domain to the program; "" for domains that are known.
  std::string customHint(llvm::StringRef domain);
  bool importCustom(Node &node, const onnx::NodeProto &proto, Scope &scope, llvm::StringRef domain);

  // Branches.cpp, Loops.cpp: what the run decides.
  /// What a loop's state must become, since an iteration makes something else of it.
  struct OtherState {
    llvm::SmallVector<int64_t> ranks; ///< boxed, with these too
    bool mix = false;                 ///< a mixed sequence
  };
  /// What importing a loop's body has told of its state. The body of a loop is imported until it tells nothing new, and
  /// so are the loops in it, each time: from the second time on they begin with what they told at the first. It may be
  /// more than would come out then, which is as right: a size that is said to change is read in each iteration.
  struct LoopNotes {
    llvm::SmallVector<llvm::SmallVector<bool>> changes; ///< which dims of the state
    llvm::SmallVector<OtherState> other;
    std::map<int, std::optional<unsigned>> elementRanks; ///< by the state's number
    /// Of the loops in the body, by the node's place and how many of that place came before.
    std::map<std::pair<const void *, unsigned>, std::unique_ptr<LoopNotes>> inner;
    llvm::DenseMap<const void *, unsigned> met; ///< since the body's import began
  };
  struct LoopParts {
    LoopNotes *notes = nullptr; ///< or null
    Value trips, condition;     ///< null: without end, true
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
  bool importRunTimeIf(Node &node, const onnx::NodeProto &proto, const onnx::GraphProto &thenGraph,
                       const onnx::GraphProto &elseGraph, Scope &scope, const Opsets &opsets, int depth);
  /// What two branches' results differ in, or "".
  static std::string difference(llvm::ArrayRef<Item> a, llvm::ArrayRef<Item> b);
  std::optional<unsigned> elementRank(Node &node, const onnx::GraphProto &graph, int input, int output,
                                      llvm::ArrayRef<Item> state, Scope &scope, const Opsets &opsets, int depth);
  Item asState(Node &node, Item item, const Item &state, OtherState &other);
  bool importRunTimeLoop(Node &node, const onnx::NodeProto &proto, const onnx::GraphProto &graph, Scope &scope,
                         const Opsets &opsets, int depth);
  bool importRunTimeScan(Node &node, const ScanParts &scan, const onnx::GraphProto &graph, Scope &scope,
                         const Opsets &opsets, int depth, llvm::SmallVectorImpl<Value> &results);
  // Divergence.cpp
  /// What one tries to import, and may take back.
  struct Attempt {
    Attempt(GraphImporter &importer, Scope &scope);
    ~Attempt() { scope.release(); }
    void takeBack();

    GraphImporter &importer;
    Scope &scope;
    size_t mark;
    mlir::Block *block;
    size_t firstBody;
    mlir::Operation *marker;
  };
  /// The first error of what `import` does, instead of reporting it; "" for none.
  std::string quietly(llvm::function_ref<bool()> import);
  /// The rest of the graph that the node is in, and whether what comes out has the declared ranks.
  bool importRest(Node &node, Scope &scope, const Opsets &opsets, int depth, const Rest &after);
  bool importDivergingIf(Node &node, const onnx::NodeProto &proto, const onnx::GraphProto &thenGraph,
                         const onnx::GraphProto &elseGraph, Scope &scope, const Opsets &opsets, int depth);
  bool importWithRest(Node &node, const onnx::NodeProto &proto, const onnx::GraphProto &branch, Scope &scope,
                      const Opsets &opsets, int depth, const Rest &after);
  /// The outputs of the graph that its rest is still to make, in order, and these as `scope` has them.
  static llvm::SmallVector<llvm::StringRef> outputsToMake(const Rest &after, const Scope &scope);
  bool collect(llvm::ArrayRef<llvm::StringRef> names, Scope &scope, llvm::SmallVectorImpl<Item> &items);
  void requireBranch(Node &node, Value condition, bool taken, llvm::StringRef reason);
  bool importStatedIf(Node &node, const onnx::NodeProto &proto, const onnx::GraphProto &branch, bool taken,
                      Scope &scope, const Opsets &opsets, int depth);
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
  // LongSizes.cpp
  /// Has `handler` translate the node, what comes after `last`; sizes that get long get names.
  bool translate(Node &node, Handler handler, const onnx::NodeProto &proto, mlir::Operation *&last, Scope &scope);
  /// A symbol that is defined as `size` from here on, the same for equal sizes.
  SymExpr nameOf(Node &node, const SymExpr &size);
  /// `value` with names for its dims, and for the sizes that it holds: for all that can have one, or for long ones.
  Value withNamedSizes(Node &node, Value value, bool all);
  // Sequences.cpp
  /// The operator on sequences that the run makes.
  bool importSequenceOperator(Node &node, const onnx::NodeProto &proto, llvm::ArrayRef<Item *> items, Scope &scope);
  bool importSequenceMap(Node &node, const onnx::NodeProto &proto, Scope &scope, const Opsets &opsets, int depth);
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
  /// The notes of the loop that `node` is, kept as long as the loop around it is being imported; null outside of one.
  LoopNotes *notesOf(const Node &node);
  SymDims dimsOutside(llvm::ArrayRef<SymExpr> inside, const std::set<std::string> &innerSymbols,
                      llvm::SmallVectorImpl<SymExpr> &symbols);
  Value asScalar(Node &node, Value value);
  mlir::NamedAttribute shapesAttr(llvm::ArrayRef<SymDims> all);
  void forget(mlir::Operation *op);

  bool importOutputs(const onnx::GraphProto &graph, Scope &scope);

  // Random.cpp
  /// Makes the seed and the number of the run arguments of the model's function.
  void beginDrawing();
  /// What a run hands on to the next one becomes a result.
  void endDrawing();
  Value seedOf(Drawing &of);
  Value epochOf(Drawing &of);
  Value randomKey(Node &node, std::optional<float> seed);

  Item *find(Scope &scope, llvm::StringRef name);
  /// Null and an error where `name` is a list or not known.
  Value findTensor(Node &node, Scope &scope, llvm::StringRef name);
  bool findInputs(Node &node, const onnx::NodeProto &proto, Scope &scope);
  void readAttributes(Node &node, const onnx::NodeProto &proto);
  mlir::Location nodeLoc(const onnx::NodeProto &proto, std::optional<mlir::Location> caller);
  bool error(const llvm::Twine &message);

  mlir::MLIRContext &context;
  const onnx::ModelProto &model;
  InputDims inputDims;
  TensorReader &tensors;
  OptionalInputs optional;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  mlir::OpBuilder builder;
  ShapeState shapes;
  std::unordered_map<SymExpr, SymExpr, SymExpr::Hash> sizeNames;
  Opsets modelOpsets;
  llvm::StringMap<LocalFunction> functions; ///< by domain, name and overload
  int64_t fileNodes = 0, importedNodes = 0, maxNodes = MaxNodes;
  const Purpose purpose;
  Drawing drawn, *drawing = &drawn; ///< of the model's function, and of the one that is being made
  int64_t streams = 0;              ///< of random numbers
  unsigned bodyCount = 0;
  llvm::SmallVector<mlir::func::FuncOp> bodies;
  Rest *rest = nullptr;
  const Surroundings *around = nullptr;
  LoopNotes *loopAround = nullptr; ///< whose body is imported
  int64_t unrolledTrips = 1;       ///< of the loops around that are being unrolled
  llvm::StringSet<> customDomains;
  llvm::StringMap<bool> statedBranches;
  bool metUnsupported = false; ///< an operator, since it was set to false
  /// Each such point imports the rest of its graph several times.
  static constexpr int MaxDivergences = 4;
  int divergences = 0, openFunctions = 0;
  std::map<std::string, int64_t> lengths; ///< of lists, where importByLength is at work
};

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_GRAPHIMPORTER_H
