//===- Node.h - What the translation of one operator sees and does --------===//
// Assumes: arity, attribute types and element types satisfy the operator's schema at `opset`; values are ranked
// tensors. Guarantees: every op is built with inferred result types; the first failure is reported with the node's name
// and sticks: afterwards every value made is null, and null operands give null, so that translations need no checks in
// between. Declines: anything about graphs and messages; this header knows no protobuf.

#ifndef DS_LIB_IMPORT_ONNX_NODE_H
#define DS_LIB_IMPORT_ONNX_NODE_H

#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeState.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/TypeUtilities.h"

#include "llvm/ADT/StringMap.h"

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace ds::importer {

using mlir::Type;
using mlir::Value;
using Ints = llvm::SmallVector<int64_t>;
using Attrs = llvm::ArrayRef<mlir::NamedAttribute>;

/// begin, begin + 1, ..., end - 1.
inline Ints span(int64_t begin, int64_t end) {
  Ints result;
  for (int64_t i = begin; i < end; ++i)
    result.push_back(i);
  return result;
}

/// An attribute of a node. Graphs stay with the importer and appear as monostate.
using NodeAttribute = std::variant<std::monostate, int64_t, float, std::string, std::vector<int64_t>,
                                   std::vector<float>, std::vector<std::string>, mlir::ElementsAttr>;

class Node {
public:
  Node(mlir::OpBuilder &builder, ShapeState &shapes, mlir::Location loc) : b(builder), shapes(shapes), loc(loc) {}

  //===-- what the node says ------------------------------------------------===//
  std::string op;
  int64_t opset = 0;
  llvm::SmallVector<Value> inputs;  ///< null where absent
  llvm::SmallVector<bool> wanted;   ///< one entry a declared output: does anything have its name?
  llvm::SmallVector<Value> outputs; ///< as long as `wanted`
  llvm::StringMap<NodeAttribute> attributes;

  /// The model is evaluated after training: what only training does, it does not.
  bool evaluates = false;
  /// A key for the node's own random numbers (i64, rank 0), or for those of all nodes of a `seed`.
  std::function<Value(Node &, std::optional<float> seed)> randomKey;

  bool has(unsigned i) const { return i < inputs.size() && inputs[i]; }
  Value in(unsigned i) const { return i < inputs.size() ? inputs[i] : Value(); }
  bool wants(unsigned i) const { return i < wanted.size() && wanted[i]; }
  void set(unsigned i, Value value) {
    if (i < outputs.size())
      outputs[i] = value;
  }

  bool hasAttr(llvm::StringRef name) const { return attributes.count(name) != 0; }
  int64_t getInt(llvm::StringRef name, int64_t otherwise) const { return get<int64_t>(name, otherwise); }
  double getFloat(llvm::StringRef name, double otherwise) const { return get<float>(name, float(otherwise)); }
  std::string getString(llvm::StringRef name, llvm::StringRef otherwise) const {
    return get<std::string>(name, otherwise.str());
  }
  Ints getInts(llvm::StringRef name) const {
    std::vector<int64_t> values = get<std::vector<int64_t>>(name, {});
    return Ints(values.begin(), values.end());
  }
  mlir::ElementsAttr getTensor(llvm::StringRef name) const { return get<mlir::ElementsAttr>(name, {}); }
  template <typename T> T get(llvm::StringRef name, T otherwise) const {
    auto found = attributes.find(name);
    if (found == attributes.end())
      return otherwise;
    const T *value = std::get_if<T>(&found->second);
    return value ? *value : otherwise;
  }

  //===-- failure -----------------------------------------------------------===//
  bool failed = false;
  /// Reports `message` unless something failed before; returns null to be returned on.
  Value fail(const llvm::Twine &message);
  /// Fails because only the run knows what the node needs.
  Value needsDynamic(const llvm::Twine &why);
  /// Whether the number of a list's entries is known, which decides a rank. If it is not, the node fails for now:
  /// where `undecided` is an operand, the importer goes on for each length by itself; otherwise it reports `problem`.
  bool knowsLength(Value list, llvm::StringRef what);
  /// The same of one dim of `x`.
  bool knowsDim(Value x, unsigned axis, llvm::StringRef what);
  /// `list` as one of `count` entries, which the run checks if need be.
  Value withCount(Value list, int64_t count);
  Value undecided;
  unsigned undecidedAxis = 0;
  std::string problem;

  //===-- what is known of values -------------------------------------------===//
  Type elem(Value value) const { return value ? mlir::getElementTypeOrSelf(value.getType()) : Type(); }
  unsigned rank(Value value) const {
    return value ? unsigned(llvm::cast<mlir::RankedTensorType>(value.getType()).getRank()) : 0;
  }
  SymDims dims(Value value) const;
  SymExpr dim(Value value, unsigned i) const;
  /// The dim as a number, or a failure that says which operand must be static.
  int64_t staticDim(Value value, unsigned i, llvm::StringRef what);
  /// Constant integers that `value` holds, if known now.
  std::optional<Ints> constantInts(Value value) const;
  /// The same, but a failure where unknown.
  Ints requireInts(Value value, llvm::StringRef what);
  int64_t requireInt(Value value, llvm::StringRef what);
  /// Constant numbers of any type that `value` holds.
  std::optional<llvm::SmallVector<double>> constantDoubles(Value value) const;
  /// Contents as expressions.
  std::optional<llvm::SmallVector<SymExpr>> contents(Value value) const;
  bool isFloat(Value value) const { return value && llvm::isa<mlir::FloatType>(elem(value)); }

  /// `axis` within [-rank, rank) as 0 .. rank-1, or a failure.
  int64_t axis(int64_t axis, int64_t rank, llvm::StringRef what = "axis");
  /// Normalized, sorted; fails on duplicates.
  Ints axes(llvm::ArrayRef<int64_t> values, int64_t rank);

  //===-- building ----------------------------------------------------------===//
  mlir::OpBuilder &b;
  ShapeState &shapes;
  mlir::Location loc;

  /// An op of one result, whose element type is `element` or else that of the first operand.
  template <typename OpT> Value make(llvm::ArrayRef<Value> operands, Attrs attrs = {}, Type element = {}) {
    if (failed || llvm::is_contained(operands, Value()))
      return stop();
    auto op = createInferredGeneric<OpT>(b, loc, shapes, {element ? element : elem(operands[0])}, operands, attrs);
    if (mlir::failed(op))
      return stop();
    return (*op)->getResult(0);
  }
  /// An op of several results.
  template <typename OpT>
  llvm::SmallVector<Value> makeMany(llvm::ArrayRef<Type> elements, llvm::ArrayRef<Value> operands, Attrs attrs = {}) {
    llvm::SmallVector<Value> none(elements.size());
    if (failed || llvm::is_contained(operands, Value()))
      return stop(), none;
    auto op = createInferredGeneric<OpT>(b, loc, shapes, elements, operands, attrs);
    if (mlir::failed(op))
      return stop(), none;
    return llvm::SmallVector<Value>((*op)->getResults());
  }

  mlir::NamedAttribute attr(llvm::StringRef name, mlir::Attribute value) { return b.getNamedAttr(name, value); }
  mlir::NamedAttribute unit(llvm::StringRef name) { return attr(name, b.getUnitAttr()); }
  mlir::NamedAttribute i64(llvm::StringRef name, int64_t value) { return attr(name, b.getI64IntegerAttr(value)); }
  mlir::NamedAttribute f64(llvm::StringRef name, double value) { return attr(name, b.getF64FloatAttr(value)); }
  mlir::NamedAttribute i64s(llvm::StringRef name, llvm::ArrayRef<int64_t> values) {
    return attr(name, b.getDenseI64ArrayAttr(values));
  }
  /// Sizes; those that only the run knows are bound first (`bound`).
  mlir::NamedAttribute shape(llvm::StringRef name, llvm::ArrayRef<SymExpr> dims) {
    for (const SymExpr &dim : dims)
      if (dim.isOverflow())
        failOverflow();
    return attr(name, ShapeAttr::get(b.getContext(), bound(dims)));
  }
  mlir::NamedAttribute segments(llvm::ArrayRef<int32_t> sizes) {
    return attr("operandSegmentSizes", b.getDenseI32ArrayAttr(sizes));
  }

  Value constant(mlir::ElementsAttr value);
  /// A rank-0 constant of `element`; integers are rounded toward zero.
  Value scalar(double value, Type element);
  Value intScalar(int64_t value, Type element);
  Value ints(llvm::ArrayRef<int64_t> values);
  /// A constant list of strings, or one.
  Value strings(llvm::ArrayRef<llvm::StringRef> values, bool isScalar = false);
  bool isString(Value value) const { return value && llvm::isa<StringType>(elem(value)); }
  /// The runtime's operator on strings of that name (runtime/strings/StringOperators.cpp), with results of these
  /// element types and dims; a dim that is not known on entry is for the operator to tell.
  llvm::SmallVector<Value> stringOperator(llvm::StringRef name, llvm::ArrayRef<Value> operands,
                                          llvm::ArrayRef<Type> elements, llvm::ArrayRef<SymDims> results,
                                          Attrs attributes = {});
  /// Expressions as an i64 tensor of rank 1, or of rank 0.
  Value shapeValue(llvm::ArrayRef<SymExpr> exprs, bool isScalar = false);
  Value fill(llvm::ArrayRef<SymExpr> dims, double value, Type element);
  /// 0, 1, ..., size - 1 as i64.
  Value iota(const SymExpr &size);
  /// What `build` makes for the axis that `axis` (one integer, computed while the model runs) turns out to be: all are
  /// built and one is taken. Results must agree in their dims; null ones stand for an axis that is not allowed.
  Value forAxis(Value axis, int64_t rank, llvm::function_ref<Value(int64_t)> build);

  Value cast(Value x, Type element);
  Value reshape(Value x, llvm::ArrayRef<SymExpr> dims);
  Value transpose(Value x, llvm::ArrayRef<int64_t> perm);
  /// Broadcast to exactly `dims`.
  Value expand(Value x, llvm::ArrayRef<SymExpr> dims);
  Value unsqueeze(Value x, llvm::ArrayRef<int64_t> sortedAxes);
  Value squeeze(Value x, llvm::ArrayRef<int64_t> sortedAxes);
  /// `size` elements from `start` along `axis`.
  /// Two sizes that must be equal, "expected <what>"; what only the run knows, it checks.
  void require(const SymExpr &a, const SymExpr &b, const llvm::Twine &what);
  Value sliceAxis(Value x, int64_t axis, SymExpr start, SymExpr size, int64_t step = 1);
  Value concat(llvm::ArrayRef<Value> values, int64_t axis);
  Value padConstant(Value x, llvm::ArrayRef<SymExpr> low, llvm::ArrayRef<SymExpr> high, Value value = {});
  template <typename OpT> Value reduce(Value x, llvm::ArrayRef<int64_t> axes, bool keepdims) {
    llvm::SmallVector<mlir::NamedAttribute> attrs{i64s("axes", axes)};
    if (keepdims)
      attrs.push_back(unit("keepdims"));
    return make<OpT>({x}, attrs);
  }
  Value add(Value a, Value c) { return make<AddOp>({a, c}); }
  Value sub(Value a, Value c) { return make<SubOp>({a, c}); }
  Value mul(Value a, Value c) { return make<MulOp>({a, c}); }
  Value div(Value a, Value c) { return make<DivOp>({a, c}); }
  Value add(Value a, double c) { return add(a, scalar(c, elem(a))); }
  Value sub(Value a, double c) { return sub(a, scalar(c, elem(a))); }
  Value mul(Value a, double c) { return mul(a, scalar(c, elem(a))); }
  Value div(Value a, double c) { return div(a, scalar(c, elem(a))); }
  Value maximum(Value a, Value c) { return make<MaxOp>({a, c}); }
  Value minimum(Value a, Value c) { return make<MinOp>({a, c}); }
  Value select(Value cond, Value a, Value c) { return make<SelectOp>({cond, a, c}, {}, elem(a)); }
  Value compare(ComparePredicate predicate, Value a, Value c);
  Value matmul(Value a, Value c) { return make<MatmulOp>({a, c}); }

private:
  /// The expressions with bound symbols in the place of fresh ones: an op that says a size must say it in symbols that
  /// outlive the state.
  llvm::SmallVector<SymExpr> bound(llvm::ArrayRef<SymExpr> exprs);
  std::optional<SymExpr> bindFresh(const std::string &symbol);
  /// A size that the node says cannot be expressed.
  void failOverflow();
  Value stop() {
    failed = true;
    return {};
  }
};

/// Translates one operator: sets all outputs, or fails through the node.
using Handler = void (*)(Node &);

/// The handler, in f32 where elements have fewer bits: what lies between operand and result, squares of them and their
/// sums, may not be a number of the type, and is rounded once.
template <Handler handler> void inSingle(Node &n) {
  Type element = n.elem(n.in(0));
  if (!n.isFloat(n.in(0)) || element.getIntOrFloatBitWidth() >= 32)
    return handler(n);
  for (Value &input : n.inputs)
    if (n.elem(input) == element)
      input = n.cast(input, n.b.getF32Type());
  handler(n);
  for (Value &output : n.outputs)
    if (n.elem(output) == n.b.getF32Type())
      output = n.cast(output, element);
}

/// The handler of an operator, or null. Operators of other domains than the default one have theirs before their name.
Handler findHandler(llvm::StringRef op);

/// True for operators that run graphs, or take or make sequences and optionals: GraphImporter translates them itself.
bool isGraphOrListOperator(llvm::StringRef op);

class Registry {
public:
  void add(llvm::StringRef op, Handler handler) { handlers[op] = handler; }
  Handler find(llvm::StringRef op) const { return handlers.lookup(op); }

private:
  llvm::StringMap<Handler> handlers;
};

void registerElementwise(Registry &registry);
void registerMovement(Registry &registry);
void registerIndexing(Registry &registry);
void registerRecurrent(Registry &registry);
void registerReduction(Registry &registry);
void registerContraction(Registry &registry);
void registerConvolution(Registry &registry);
void registerPooling(Registry &registry);
void registerNormalization(Registry &registry);
void registerQuantization(Registry &registry);
void registerFeatures(Registry &registry);
void registerResize(Registry &registry);
void registerSelection(Registry &registry);
void registerSampling(Registry &registry);
void registerSignal(Registry &registry);
void registerRandom(Registry &registry);
void registerTraining(Registry &registry);
void registerMachineLearning(Registry &registry);
void registerSource(Registry &registry);
void registerStrings(Registry &registry);

// Strings.cpp
/// Numbers as strings, or the other way round.
Value castStrings(Node &n, Value x, Type element);
/// For each string how many different ones come before it, as i64.
Value rankStrings(Node &n, Value x);
/// For each string its first place in the pool, or the pool's size, as i64.
Value findStrings(Node &n, Value x, llvm::ArrayRef<std::string> pool);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_NODE_H
