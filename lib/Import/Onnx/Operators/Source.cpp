//===- Source.cpp - Constants, casts, and values made from shapes ---------===//
// Assumes: see Node.h.
// Guarantees: dims read as data become size expressions at once, unless data decides them.
// Declines: strings, sparse tensors.

#include "../Node.h"
#include "../Types.h"

#include "dialects/ds/element/SmallFloats.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using mlir::DenseElementsAttr;
using mlir::RankedTensorType;

static void constant(Node &n) {
  if (mlir::ElementsAttr value = n.getTensor("value"))
    return n.set(0, n.constant(value));
  if (n.hasAttr("value_int"))
    return n.set(0, n.intScalar(n.getInt("value_int", 0), n.b.getI64Type()));
  if (n.hasAttr("value_float"))
    return n.set(0, n.scalar(n.getFloat("value_float", 0), n.b.getF32Type()));
  if (n.hasAttr("value_ints"))
    return n.set(0, n.ints(n.getInts("value_ints")));
  if (n.hasAttr("value_floats")) {
    std::vector<float> values = n.get<std::vector<float>>("value_floats", {});
    auto type = RankedTensorType::get({int64_t(values.size())}, n.b.getF32Type());
    return n.set(0, n.constant(DenseElementsAttr::get(type, ArrayRef<float>(values))));
  }
  if (n.hasAttr("value_string")) {
    std::string value = n.getString("value_string", "");
    return n.set(0, n.strings({value}, /*isScalar=*/true));
  }
  if (n.hasAttr("value_strings")) {
    std::vector<std::string> values = n.get<std::vector<std::string>>("value_strings", {});
    return n.set(0, n.strings(SmallVector<StringRef>(values.begin(), values.end())));
  }
  n.fail("holds a sparse tensor, which is not supported");
}

static void constantOfShape(Node &n) {
  mlir::TypedAttr value = n.b.getF32FloatAttr(0);
  if (mlir::ElementsAttr given = n.getTensor("value")) {
    auto dense = dyn_cast<DenseElementsAttr>(given);
    if (!dense || dense.getNumElements() != 1)
      return (void)n.fail("'value' must have one element");
    if (isa<StringType>(dense.getElementType())) {
      if (n.knowsLength(n.in(0), "input"))
        n.set(0, n.make<ExpandOp>({n.reshape(n.constant(given), {}), n.in(0)}));
      return;
    }
    value = cast<mlir::TypedAttr>(*dense.getValues<mlir::Attribute>().begin());
  }
  if (n.knowsLength(n.in(0), "input"))
    n.set(0, n.make<FillOp>({n.in(0)}, {n.attr("value", value)}, value.getType()));
}

/// Whether data decides the dims, and is not bound yet: they are no expressions then.
static bool dependsOnData(Node &n, ArrayRef<SymExpr> dims) {
  return any_of(dims, [&](const SymExpr &dim) { return !n.shapes.isKnownOnEntry(dim); });
}

static void shape(Node &n) {
  SymDims dims = n.dims(n.in(0));
  int64_t rank = dims.size();
  auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  int64_t start = clamp(n.getInt("start", 0)), end = clamp(n.getInt("end", rank));
  if (dependsOnData(n, dims))
    return n.set(
        0, n.make<ShapeOfOp>({n.in(0)}, {n.i64("start", start), n.i64("end", std::max(start, end))}, n.b.getI64Type()));
  n.set(0, n.shapeValue(ArrayRef<SymExpr>(dims).slice(start, std::max<int64_t>(end - start, 0))));
}

static void size(Node &n) {
  SymDims dims = n.dims(n.in(0));
  n.set(0, dependsOnData(n, dims) ? n.make<SizeOfOp>({n.in(0)}, {}, n.b.getI64Type())
                                  : n.shapeValue({product(dims)}, /*isScalar=*/true));
}

static void range(Node &n) { n.set(0, n.make<RangeOp>({n.in(0), n.in(1), n.in(2)})); }

/// The type that the attribute `name` asks for, `otherwise` where it is absent; null and a failure if not supported.
static Type typeAttr(Node &n, StringRef name, Type otherwise) {
  if (!n.hasAttr(name))
    return otherwise;
  int64_t code = n.getInt(name, 0);
  Type element = elementType(n.b.getContext(), int(code));
  if (!element)
    n.fail("element type " + onnxTypeName(int(code)) + " is not supported");
  return element;
}

/// Small floats saturate unless the node says otherwise.
static void castTo(Node &n, Type element) {
  if (n.isString(n.in(0)) || isa<StringType>(element))
    return n.set(0, castStrings(n, n.in(0), element));
  if (SmallFloat::get(element) && element != n.elem(n.in(0)) && n.getInt("saturate", 1))
    return n.set(0, n.make<CastOp>({n.in(0)}, {n.unit("saturate")}, element));
  n.set(0, n.cast(n.in(0), element));
}

static void cast_(Node &n) {
  if (Type element = typeAttr(n, "to", {}))
    castTo(n, element);
  else
    n.fail("says no type");
}

static void castLike(Node &n) { castTo(n, n.elem(n.in(1))); }

static void bitCast(Node &n) {
  Type element = typeAttr(n, "to", {});
  if (!element)
    return (void)n.fail("says no type");
  if (isSmallType(element) || isSmallType(n.elem(n.in(0))))
    return (void)n.fail(
        "the bits of element types of a byte or less other than int8, uint8 and bool are not supported");
  auto bytes = [](Type type) { return llvm::divideCeil(type.getIntOrFloatBitWidth(), 8); };
  if (bytes(element) != bytes(n.elem(n.in(0))))
    return (void)n.fail("the two element types differ in size");
  n.set(0, n.make<BitcastOp>({n.in(0)}, {}, element));
}

/// Before operator set 6 the type was a name.
static void castOperator(Node &n) {
  if (n.opset >= 6)
    return cast_(n);
  std::string name = StringRef(n.getString("to", "")).upper();
  for (int code = 1; code <= 16; ++code)
    if (onnxTypeName(code) == name)
      if (Type element = elementType(n.b.getContext(), code))
        return castTo(n, element);
  n.fail("element type '" + name + "' is not supported");
}

static void eyeLike(Node &n) {
  Type element = typeAttr(n, "dtype", n.elem(n.in(0)));
  if (element)
    n.set(0, n.make<EyeLikeOp>({n.in(0)}, {n.i64("k", n.getInt("k", 0))}, element));
}

void ds::importer::registerSource(Registry &r) {
  r.add("Constant", constant);
  r.add("ConstantOfShape", constantOfShape);
  r.add("Shape", shape);
  r.add("Size", size);
  r.add("Range", range);
  r.add("Cast", castOperator);
  r.add("CastLike", castLike);
  r.add("BitCast", bitCast);
  r.add("EyeLike", eyeLike);
}
