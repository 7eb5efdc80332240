//===- Strings.cpp - Operators that look into strings ---------------------===//
// Assumes: see Node.h.
// Guarantees: what looks into strings is an operator of the runtime's (ds.custom of the domain ds.string); all around
// it is
//   ops on numbers. A pattern of RegexFullMatch that the runtime would not take is an error here.
// Declines: numbers other than float and double, and integers, as strings.

#include "../Node.h"
#include "runtime/strings/Regex.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using mlir::RankedTensorType;

static SmallVector<StringRef> refs(const std::vector<std::string> &texts) {
  return SmallVector<StringRef>(texts.begin(), texts.end());
}
static std::vector<std::string> textsOf(Node &n, StringRef name) { return n.get<std::vector<std::string>>(name, {}); }

/// Both with the dims that they broadcast to.
static std::pair<Value, Value> broadcast(Node &n, Value a, Value c) {
  // The dims of a comparison are just these.
  Value same = n.compare(ComparePredicate::eq, a, c);
  if (n.failed)
    return {};
  SymDims dims = n.dims(same);
  if (all_of(dims, [&](const SymExpr &dim) { return n.shapes.isKnownOnEntry(dim); }))
    return {n.expand(a, dims), n.expand(c, dims)};
  Value shape = n.make<ShapeOfOp>({same}, {}, n.b.getI64Type());
  return {n.make<ExpandOp>({a, shape}), n.make<ExpandOp>({c, shape})};
}

static void stringConcat(Node &n) {
  auto [a, c] = broadcast(n, n.in(0), n.in(1));
  if (!n.failed)
    n.set(0, n.stringOperator("Concat", {a, c}, {n.elem(a)}, {n.dims(a)})[0]);
}

static void stringSplit(Node &n) {
  Value x = n.in(0);
  SymDims dims = n.dims(x), parts = dims;
  parts.push_back(n.shapes.freshSymbol());
  SmallVector<mlir::NamedAttribute> attributes;
  if (n.hasAttr("delimiter"))
    attributes.push_back(n.attr("delimiter", n.b.getStringAttr(n.getString("delimiter", ""))));
  if (n.hasAttr("maxsplit"))
    attributes.push_back(n.i64("maxsplit", n.getInt("maxsplit", -1)));
  SmallVector<Value> results = n.stringOperator("Split", {x}, {n.elem(x), n.b.getI64Type()}, {parts, dims}, attributes);
  n.set(0, results[0]);
  n.set(1, results[1]);
}

static void stringNormalizer(Node &n) {
  Value x = n.in(0);
  if (n.rank(x) < 1 || n.rank(x) > 2)
    return (void)n.fail("needs strings of shape [C] or [1, C], got rank " + Twine(n.rank(x)));
  std::string action = n.getString("case_change_action", "NONE");
  if (action != "NONE" && action != "LOWER" && action != "UPPER")
    return (void)n.fail("case_change_action is '" + action + "'; expected LOWER, UPPER or NONE");
  SymDims dims;
  if (n.rank(x) == 2)
    dims.push_back(SymExpr(1));
  dims.push_back(n.shapes.freshSymbol());
  SmallVector<mlir::NamedAttribute> attributes{n.attr("case_change_action", n.b.getStringAttr(action)),
                                               n.i64("is_case_sensitive", n.getInt("is_case_sensitive", 0))};
  if (n.hasAttr("stopwords"))
    attributes.push_back(n.attr("stopwords", n.b.getStrArrayAttr(refs(textsOf(n, "stopwords")))));
  n.set(0, n.stringOperator("Normalize", {x}, {n.elem(x)}, {dims}, attributes)[0]);
}

static void regexFullMatch(Node &n) {
  std::string pattern = n.getString("pattern", "");
  runtime::Regex regex;
  if (!regex.parse(pattern.data(), pattern.size()))
    return (void)n.fail("the pattern '" + pattern + "' has " + regex.problem() + " at byte " + Twine(regex.position()));
  n.set(0, n.stringOperator("Match", {n.in(0)}, {n.b.getI1Type()}, {n.dims(n.in(0))},
                            n.attr("pattern", n.b.getStringAttr(pattern)))[0]);
}

Value ds::importer::castStrings(Node &n, Value x, Type element) {
  Type i64 = n.b.getI64Type(), f32 = n.b.getF32Type();
  SymDims dims = n.dims(x);
  if (n.isString(x) && isa<StringType>(element))
    return x;
  // Through a type that the runtime writes or reads.
  auto through = [&](Type type) -> Type {
    if (isa<mlir::FloatType>(type))
      return type.isF64() ? type : f32;
    if (type.isUnsignedInteger() && type.getIntOrFloatBitWidth() == 64)
      return type;
    return i64;
  };
  if (n.isString(x)) {
    return n.cast(n.stringOperator("Parse", {x}, {through(element)}, {dims})[0], element);
  }
  return n.stringOperator("Format", {n.cast(x, through(n.elem(x)))}, {element}, {dims})[0];
}

/// The place of each element of x among the keys, or their number.
static Value find(Node &n, Value x, Value keys) {
  return n.stringOperator("Find", {x, keys}, {n.b.getI64Type()}, {n.dims(x)})[0];
}

/// Floats as numbers of which equal ones are equal: there is one zero, and one NaN.
static Value asNumbers(Node &n, Value x) {
  if (!isa<mlir::FloatType>(n.elem(x)))
    return n.isString(x) ? x : n.cast(x, n.b.getI64Type());
  Type f64 = n.b.getF64Type();
  Value wide = n.cast(x, f64), zero = n.scalar(0, f64);
  Value isNumber = n.compare(ComparePredicate::eq, wide, wide), isZero = n.compare(ComparePredicate::eq, wide, zero);
  Value bits = n.make<BitcastOp>({n.select(isZero, zero, wide)}, {}, n.b.getI64Type());
  return n.select(isNumber, bits, n.intScalar(-1, n.b.getI64Type()));
}

/// A list from an attribute of any of the kinds, or null.
static Value listOf(Node &n, StringRef prefix) {
  std::string name = prefix.str();
  if (mlir::ElementsAttr tensor = n.getTensor(name + "tensor")) {
    Value list = n.constant(tensor);
    return n.reshape(list, {product(n.dims(list))});
  }
  if (n.hasAttr(name + "strings")) {
    std::vector<std::string> texts = textsOf(n, name + "strings");
    return n.strings(refs(texts));
  }
  if (n.hasAttr(name + "int64s"))
    return n.ints(n.getInts(name + "int64s"));
  if (n.hasAttr(name + "floats")) {
    std::vector<float> values = n.get<std::vector<float>>(name + "floats", {});
    auto type = RankedTensorType::get({int64_t(values.size())}, n.b.getF32Type());
    return n.constant(mlir::DenseElementsAttr::get(type, ArrayRef<float>(values)));
  }
  return {};
}

/// `values[place of x among keys]`, the default where it has none.
static void lookUp(Node &n, Value keys, Value values, Value otherwise) {
  if (n.failed)
    return;
  if (n.elem(keys) != n.elem(n.in(0)) && !(n.isFloat(keys) && n.isFloat(n.in(0))))
    return (void)n.fail("its keys have another type than its input");
  if (!n.dim(keys, 0).isConst() || n.dim(keys, 0) != n.dim(values, 0))
    return (void)n.fail("has " + n.dim(keys, 0).str() + " keys for " + n.dim(values, 0).str() + " values");
  Value place = find(n, asNumbers(n, n.in(0)), asNumbers(n, keys));
  Value all = n.concat({values, n.reshape(otherwise, {SymExpr(1)})}, 0);
  n.set(0, n.make<GatherOp>({all, place}, {n.i64("axis", 0)}));
}

static Value text(Node &n, StringRef name, StringRef otherwise) {
  std::string value = n.getString(name, otherwise);
  return n.strings({value}, /*isScalar=*/true);
}

static void labelEncoder(Node &n) {
  if (n.opset < 2) {
    std::vector<std::string> classes = textsOf(n, "classes_strings");
    Value list = n.strings(refs(classes)), numbers = n.ints(span(0, int64_t(classes.size())));
    if (n.isString(n.in(0)))
      return lookUp(n, list, numbers, n.intScalar(n.getInt("default_int64", -1), n.b.getI64Type()));
    return lookUp(n, numbers, list, text(n, "default_string", "_Unused"));
  }
  Value keys = listOf(n, "keys_"), values = listOf(n, "values_"), otherwise;
  if (!n.failed && (!keys || !values))
    return (void)n.fail("needs keys and values");
  if (n.failed)
    return;
  if (mlir::ElementsAttr tensor = n.getTensor("default_tensor"))
    otherwise = n.constant(tensor);
  else if (n.isString(values))
    otherwise = text(n, "default_string", "_Unused");
  else if (n.isFloat(values))
    otherwise = n.scalar(n.getFloat("default_float", -0.0), n.elem(values));
  else
    otherwise = n.intScalar(n.getInt("default_int64", -1), n.elem(values));
  if (!n.failed && (n.elem(otherwise) != n.elem(values) || !product(n.dims(otherwise)).isConst(1)))
    return (void)n.fail("its default is not one element of its values' type");
  lookUp(n, keys, values, otherwise);
}

static void categoryMapper(Node &n) {
  std::vector<std::string> names = textsOf(n, "cats_strings");
  Value texts = n.strings(refs(names)), numbers = n.ints(n.getInts("cats_int64s"));
  if (n.isString(n.in(0)))
    return lookUp(n, texts, numbers, n.intScalar(n.getInt("default_int64", -1), n.b.getI64Type()));
  lookUp(n, numbers, texts, text(n, "default_string", "_Unused"));
}

Value ds::importer::rankStrings(Node &n, Value x) {
  return n.stringOperator("Rank", {x}, {n.b.getI64Type()}, {n.dims(x)})[0];
}

Value ds::importer::findStrings(Node &n, Value x, ArrayRef<std::string> pool) {
  return find(n, x, n.strings(SmallVector<StringRef>(pool.begin(), pool.end())));
}

void ds::importer::registerStrings(Registry &r) {
  r.add("StringConcat", stringConcat);
  r.add("StringSplit", stringSplit);
  r.add("StringNormalizer", stringNormalizer);
  r.add("RegexFullMatch", regexFullMatch);
  r.add("ai.onnx.ml.LabelEncoder", labelEncoder);
  r.add("ai.onnx.ml.CategoryMapper", categoryMapper);
}
