//===- Node.cpp - What the translation of one operator sees and does ------===//
// Assumes: see Node.h.
// Guarantees: see Node.h.
// Declines: see Node.h.

#include "Node.h"

#include "dialects/ds/shape/ShapeBinder.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/StringSet.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using mlir::Attribute;
using mlir::DenseElementsAttr;
using mlir::FloatType;
using mlir::IntegerType;
using mlir::RankedTensorType;

Value Node::fail(const Twine &message) {
  if (!failed) {
    std::optional<NodeName> name = getNodeName(loc);
    mlir::emitError(loc) << "node '" << (name ? name->name : "") << "' (" << (name ? name->opType : op)
                         << "): " << message;
  }
  return stop();
}

void Node::failOverflow() {
  shapes.overflowed = true;
  if (shapes.tryingSizes)
    failed = true;
  else
    fail("a size is too large or too complex an expression of those of its operands; --shape can fix some");
}

Value Node::needsDynamic(const Twine &why) {
  return fail(
      why + "; it must be known when the model is compiled: a constant, or what follows from sizes that --shape gives");
}

bool Node::knowsLength(Value list, StringRef what) {
  if (failed || !list)
    return false;
  SymExpr count = product(dims(list));
  if (count.isConst())
    return true;
  problem = ("'" + what + "' has a length that is not known when compiling (" +
             (shapes.isKnownOnEntry(count) ? count.str() : "it depends on data") + "), and so has the result's rank")
                .str();
  if (rank(list) != 1)
    return fail(problem), false;
  undecided = list;
  undecidedAxis = 0;
  failed = true;
  return false;
}

bool Node::knowsDim(Value x, unsigned axis, StringRef what) {
  if (failed || !x || axis >= rank(x))
    return fail(what + " has too low a rank"), false;
  SymExpr size = dim(x, axis);
  if (size.isConst())
    return true;
  problem = ("dimension " + Twine(axis) + " of " + what + " is not known when compiling (" +
             (shapes.isKnownOnEntry(size) ? size.str() : "it depends on data") + "), and so is the result's rank")
                .str();
  undecided = x;
  undecidedAxis = axis;
  failed = true;
  return false;
}

Value Node::withCount(Value list, int64_t count) {
  if (failed || !list || product(dims(list)).isConst())
    return list;
  return reshape(list, {SymExpr(count)});
}

SymDims Node::dims(Value value) const {
  if (!value)
    return {};
  if (std::optional<SymDims> known = shapes.getDims(value))
    return *known;
  return SymDims(rank(value));
}

SymExpr Node::dim(Value value, unsigned i) const {
  SymDims all = dims(value);
  return i < all.size() ? all[i] : SymExpr(0);
}

int64_t Node::staticDim(Value value, unsigned i, StringRef what) {
  if (failed || i >= rank(value)) {
    fail(what + " has too low a rank");
    return 0;
  }
  SymExpr size = dim(value, i);
  if (size.isConst())
    return size.getConst();
  std::string place = ("dimension " + Twine(i) + " of " + what).str();
  if (auto name = size.symbolName(); name && shapes.isKnownOnEntry(size))
    fail(place + " must be known when the model is compiled, but it is '" + *name + "'; give it a size with --shape " +
         *name + "=SIZE");
  else if (shapes.isKnownOnEntry(size))
    fail(place + " must be known when the model is compiled, but it is " + size.str() +
         "; give its symbols sizes with --shape");
  else
    needsDynamic(place + " depends on data");
  return 0;
}

std::optional<SmallVector<SymExpr>> Node::contents(Value value) const {
  if (!value)
    return std::nullopt;
  return shapes.getContents(value);
}

std::optional<Ints> Node::constantInts(Value value) const {
  if (!value)
    return std::nullopt;
  Ints result;
  if (std::optional<SmallVector<SymExpr>> exprs = shapes.getContents(value)) {
    for (const SymExpr &expr : *exprs) {
      if (!expr.isConst())
        return std::nullopt;
      result.push_back(expr.getConst());
    }
    return result;
  }
  // Contents are kept for small tensors only; constants may be larger.
  mlir::DenseIntElementsAttr dense;
  if (!mlir::matchPattern(value, mlir::m_Constant(&dense)))
    return std::nullopt;
  bool isUnsigned = elem(value).isUnsignedInteger() || elem(value).isInteger(1);
  for (const APInt &element : dense.getValues<APInt>())
    result.push_back(isUnsigned ? int64_t(element.getZExtValue()) : element.getSExtValue());
  return result;
}

Ints Node::requireInts(Value value, StringRef what) {
  if (failed)
    return {};
  if (std::optional<Ints> known = constantInts(value))
    return *known;
  fail("'" + what +
       "' must be a constant or follow from the sizes of inputs, but it is known only when the model runs");
  return {};
}

int64_t Node::requireInt(Value value, StringRef what) {
  Ints values = requireInts(value, what);
  if (failed)
    return 0;
  if (values.size() != 1) {
    fail("'" + what + "' must have one element, but has " + Twine(values.size()));
    return 0;
  }
  return values[0];
}

std::optional<SmallVector<double>> Node::constantDoubles(Value value) const {
  if (!value)
    return std::nullopt;
  SmallVector<double> result;
  mlir::DenseFPElementsAttr floats;
  if (mlir::matchPattern(value, mlir::m_Constant(&floats))) {
    for (APFloat element : floats.getValues<APFloat>()) {
      bool lossy;
      element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lossy);
      result.push_back(element.convertToDouble());
    }
    return result;
  }
  if (std::optional<SmallVector<SymFraction>> fractions = shapes.getFractions(value)) {
    for (const SymFraction &fraction : *fractions) {
      if (!fraction.isConst())
        return std::nullopt;
      result.push_back(double(fraction.num.getConst()) / double(fraction.den.getConst()));
    }
    return result;
  }
  return std::nullopt;
}

int64_t Node::axis(int64_t axis, int64_t rank, StringRef what) {
  if (axis < -rank || axis >= rank) {
    fail(what + " " + Twine(axis) + " is out of range for rank " + Twine(rank));
    return 0;
  }
  return axis < 0 ? axis + rank : axis;
}

Ints Node::axes(ArrayRef<int64_t> values, int64_t rank) {
  Ints result;
  for (int64_t value : values)
    result.push_back(axis(value, rank));
  sort(result);
  for (auto [a, c] : zip(result, drop_begin(result)))
    if (!failed && a == c)
      fail("axis " + Twine(a) + " is named twice");
  return failed ? Ints() : result;
}

std::optional<SymExpr> Node::bindFresh(const std::string &symbol) {
  if (std::optional<SymExpr> known = shapes.getBound(symbol))
    return known;
  // It is the size of a value further up: of the op whose operands say it.
  mlir::Block *block = b.getInsertionBlock();
  for (auto op = b.getInsertionPoint(); op != block->begin();) {
    --op;
    for (Value value : op->getResults()) {
      std::optional<SymDims> dims = shapes.getInferredDims(value);
      auto found = dims ? find(*dims, SymExpr::symbol(symbol)) : nullptr;
      if (!dims || found == dims->end())
        continue;
      ShapeBinder binder(b, shapes);
      binder.setLoc(loc);
      int64_t at = found - dims->begin();
      Value size = make<ShapeOfOp>({value}, {i64("start", at), i64("end", at + 1)}, b.getI64Type()), bind;
      if (failed)
        return std::nullopt;
      SymExpr known = binder.bind(size, &bind)[0];
      failed |= binder.hasFailed();
      shapes.setBound(symbol, known, bind);
      return known;
    }
  }
  return std::nullopt;
}

SmallVector<SymExpr> Node::bound(ArrayRef<SymExpr> exprs) {
  std::map<std::string, SymExpr> known;
  for (const SymExpr &expr : exprs)
    for (const std::string &symbol : expr.symbols())
      if (shapes.isFresh(symbol) && !known.count(symbol))
        if (std::optional<SymExpr> bound = bindFresh(symbol))
          known[symbol] = *bound;
  SmallVector<SymExpr> result(exprs);
  if (!known.empty())
    for (SymExpr &expr : result)
      expr = expr.substitute(known);
  return result;
}

Value Node::constant(mlir::ElementsAttr value) {
  if (failed)
    return {};
  auto op = ConstantOp::create(b, loc, value);
  if (mlir::failed(inferOp(op, shapes)))
    return stop();
  return op.getResult();
}

static Attribute numberAttr(Type element, double value) {
  if (auto floating = dyn_cast<FloatType>(element))
    return mlir::FloatAttr::get(floating, value);
  unsigned width = element.getIntOrFloatBitWidth();
  if (element.isInteger(1))
    return mlir::IntegerAttr::get(element, value != 0);
  double low = element.isUnsignedInteger() ? 0.0 : -std::ldexp(1.0, int(width) - 1);
  double high = std::ldexp(1.0, element.isUnsignedInteger() ? int(width) : int(width) - 1);
  if (value != value)
    value = 0;
  if (value >= high)
    return mlir::IntegerAttr::get(element, element.isUnsignedInteger() ? APInt::getMaxValue(width)
                                                                       : APInt::getSignedMaxValue(width));
  if (value <= low)
    return mlir::IntegerAttr::get(element,
                                  element.isUnsignedInteger() ? APInt(width, 0) : APInt::getSignedMinValue(width));
  uint64_t bits = value < 0 ? uint64_t(int64_t(value)) : uint64_t(value);
  return mlir::IntegerAttr::get(element, APInt(width, bits, /*isSigned=*/false, /*implicitTrunc=*/true));
}

Value Node::scalar(double value, Type element) {
  if (failed || !element)
    return stop();
  if (isa<StringType>(element)) // what is 0 of numbers is empty of strings
    return value == 0 ? strings({""}, /*isScalar=*/true) : fail("is not supported for strings");
  return constant(DenseElementsAttr::get(RankedTensorType::get({}, element), numberAttr(element, value)));
}

Value Node::intScalar(int64_t value, Type element) {
  if (failed || !element)
    return stop();
  if (isa<FloatType, StringType>(element))
    return scalar(double(value), element);
  APInt bits(element.getIntOrFloatBitWidth(), uint64_t(value), /*isSigned=*/false, /*implicitTrunc=*/true);
  return constant(DenseElementsAttr::get(RankedTensorType::get({}, element), mlir::IntegerAttr::get(element, bits)));
}

Value Node::ints(ArrayRef<int64_t> values) {
  return constant(
      mlir::DenseIntElementsAttr::get(RankedTensorType::get({int64_t(values.size())}, b.getI64Type()), values));
}

Value Node::strings(ArrayRef<StringRef> values, bool isScalar) {
  SmallVector<int64_t> dims;
  if (!isScalar)
    dims.push_back(int64_t(values.size()));
  auto type = RankedTensorType::get(dims, StringType::get(b.getContext()));
  return constant(mlir::DenseStringElementsAttr::get(type, values));
}

SmallVector<Value> Node::stringOperator(StringRef name, ArrayRef<Value> operands, ArrayRef<Type> elements,
                                        ArrayRef<SymDims> results, Attrs attributes) {
  SmallVector<Value> none(elements.size());
  if (failed || is_contained(operands, Value()))
    return stop(), none;
  SmallVector<Attribute> all;
  SmallVector<SymExpr> symbols;
  SmallVector<Type> types;
  for (auto [element, result] : zip_equal(elements, results)) {
    SymDims dims;
    for (const SymExpr &dim : result) {
      bool known = shapes.isKnownOnEntry(dim) && !dim.isOverflow();
      dims.push_back(known ? dim : shapes.boundSymbol("r"));
      if (!known)
        symbols.push_back(dims.back());
    }
    all.push_back(ShapeAttr::get(b.getContext(), ArrayRef<SymExpr>(dims)));
    types.push_back(typeFromDims(element, dims));
  }
  auto op = CustomOp::create(b, loc, types, operands,
                             ArrayRef<mlir::NamedAttribute>{
                                 attr("op_type", b.getStringAttr(name)), attr("domain", b.getStringAttr(kStringDomain)),
                                 attr("op_attributes", b.getDictionaryAttr(attributes)),
                                 attr("shapes", b.getArrayAttr(all)), shape("symbols", symbols)});
  if (mlir::failed(inferOp(op, shapes)))
    return stop(), none;
  return SmallVector<Value>(op.getOutputs());
}

Value Node::shapeValue(ArrayRef<SymExpr> exprs, bool isScalar) {
  SmallVector<mlir::NamedAttribute> attrs{shape("shape", exprs)};
  if (isScalar)
    attrs.push_back(unit("scalar"));
  return make<ShapeValueOp>({}, attrs, b.getI64Type());
}

Value Node::fill(ArrayRef<SymExpr> dims, double value, Type element) {
  if (failed || !element)
    return stop();
  if (isa<StringType>(element))
    return expand(strings({""}, /*isScalar=*/true), dims);
  return make<FillOp>({}, {shape("target", dims), attr("value", numberAttr(element, value))}, element);
}

Value Node::iota(const SymExpr &size) {
  Type i64 = b.getI64Type();
  Value zero = intScalar(0, i64);
  return make<RangeOp>({zero, zero, intScalar(1, i64)}, {shape("size", {size})});
}

Value Node::forAxis(Value axis, int64_t rank, function_ref<Value(int64_t)> build) {
  // Looked up in 0 .. rank-1: negative ones count from the end, and one out of range is an error of the run.
  Value index = cast(reshape(axis, {}), b.getI64Type()), result;
  Value chosen = make<GatherOp>({ints(span(0, rank)), index}, {i64("axis", 0)});
  for (int64_t candidate = 0; candidate < rank; ++candidate) {
    Value built = build(candidate);
    if (!built)
      continue;
    Value holds = compare(ComparePredicate::eq, chosen, intScalar(candidate, b.getI64Type()));
    result = result ? select(holds, built, result) : built;
  }
  return result ? result : fail("no axis is allowed");
}

Value Node::cast(Value x, Type element) {
  if (!x || elem(x) == element)
    return x;
  return make<CastOp>({x}, {}, element);
}

Value Node::reshape(Value x, ArrayRef<SymExpr> target) {
  if (x && ArrayRef<SymExpr>(dims(x)) == target)
    return x;
  return make<ReshapeOp>({x}, {shape("target", target)});
}

Value Node::transpose(Value x, ArrayRef<int64_t> perm) {
  if (equal(perm, seq<int64_t>(0, perm.size())))
    return x;
  return make<TransposeOp>({x}, {i64s("perm", perm)});
}

Value Node::expand(Value x, ArrayRef<SymExpr> target) {
  if (x && ArrayRef<SymExpr>(dims(x)) == target)
    return x;
  return make<ExpandOp>({x}, {shape("target", target)});
}

Value Node::unsqueeze(Value x, ArrayRef<int64_t> sortedAxes) {
  SymDims from = dims(x), to;
  size_t next = 0;
  for (size_t i = 0; i < from.size() + sortedAxes.size(); ++i) {
    if (is_contained(sortedAxes, int64_t(i)))
      to.push_back(SymExpr(1));
    else if (next < from.size())
      to.push_back(from[next++]);
  }
  return reshape(x, to);
}

Value Node::squeeze(Value x, ArrayRef<int64_t> sortedAxes) {
  SymDims from = dims(x), to;
  for (auto [i, size] : enumerate(from)) {
    if (!is_contained(sortedAxes, int64_t(i)))
      to.push_back(size);
    else if (size.isConst() && size.getConst() != 1)
      return fail("dimension " + Twine(i) + " has size " + size.str() + "; only a dimension of size 1 can be removed");
  }
  return reshape(x, to);
}

void Node::require(const SymExpr &x, const SymExpr &y, const Twine &what) {
  if (failed || x == y)
    return;
  auto one = [&](const SymExpr &size) { return ShapeAttr::get(b.getContext(), ArrayRef<SymExpr>{size}); };
  auto condition = RequireOp::create(b, loc, one(x), one(y), what.str());
  failed |= mlir::failed(condition.inferShapes(shapes));
}

Value Node::sliceAxis(Value x, int64_t axis, SymExpr start, SymExpr size, int64_t step) {
  SymDims starts(rank(x), SymExpr(0)), sizes = dims(x);
  Ints steps(rank(x), 1);
  if (failed || !x || axis >= int64_t(sizes.size()))
    return stop();
  if (step == 1 && start.isConst(0) && size == sizes[axis])
    return x;
  starts[axis] = start;
  sizes[axis] = size;
  steps[axis] = step;
  return make<SliceOp>({x},
                       {shape("start", starts), shape("size", sizes), i64s("step", steps), segments({1, 0, 0, 0, 0})});
}

Value Node::concat(ArrayRef<Value> values, int64_t axis) {
  if (values.size() == 1)
    return values[0];
  return make<ConcatOp>(values, {i64("axis", axis)});
}

Value Node::padConstant(Value x, ArrayRef<SymExpr> low, ArrayRef<SymExpr> high, Value value) {
  SmallVector<Value> operands{x};
  if (value)
    operands.push_back(value);
  return make<PadOp>(operands, {shape("low", low), shape("high", high), segments({1, 0, value ? 1 : 0})});
}

Value Node::compare(ComparePredicate predicate, Value a, Value c) {
  return make<CompareOp>({a, c}, {attr("predicate", ComparePredicateAttr::get(b.getContext(), predicate))},
                         b.getI1Type());
}

Handler ds::importer::findHandler(StringRef op) {
  static const Registry registry = [] {
    Registry result;
    registerElementwise(result);
    registerMovement(result);
    registerIndexing(result);
    registerRecurrent(result);
    registerReduction(result);
    registerContraction(result);
    registerConvolution(result);
    registerPooling(result);
    registerNormalization(result);
    registerQuantization(result);
    registerFeatures(result);
    registerResize(result);
    registerSelection(result);
    registerSampling(result);
    registerSignal(result);
    registerRandom(result);
    registerTraining(result);
    registerMachineLearning(result);
    registerSource(result);
    registerStrings(result);
    return result;
  }();
  return registry.find(op);
}

bool ds::importer::isGraphOrListOperator(StringRef op) {
  static const StringSet<> ops{"Loop",
                               "Scan",
                               "If",
                               "SequenceAt",
                               "SequenceConstruct",
                               "SequenceEmpty",
                               "SequenceErase",
                               "SequenceInsert",
                               "SequenceLength",
                               "SequenceMap",
                               "SplitToSequence",
                               "ConcatFromSequence",
                               "Optional",
                               "OptionalGetElement",
                               "OptionalHasElement"};
  return ops.contains(op);
}
