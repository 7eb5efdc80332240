//===- WidenFloats.cpp - From f32 to f64 ----------------------------------===//
// Guarantees: see widenFloats in ds/Train/Step.h. Types, constants, defaults and numbers in attributes; a cast to f32
//   becomes one to f64. Weights keep their values; single numbers become what they stand for (meantBy). What ops take
//   in f32 alone, which decides places and sizes but no values, is rounded for them.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "ds/Train/Step.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

#include <charconv>
#include <cmath>

using namespace mlir;

namespace ds {

double meantBy(float value) {
  if (!std::isfinite(value) || value == std::nearbyint(value))
    return value;
  char text[64];
  const char *end = std::to_chars(text, std::end(text), value, std::chars_format::scientific).ptr;
  double shortest = value;
  std::from_chars(text, end, shortest);
  StringRef mantissa = StringRef(text, end - text).split('e').first;
  if (llvm::count_if(mantissa, llvm::isDigit) <= 6)
    return shortest;
  // Numbers that formulas use and no short decimal names.
  using namespace llvm::numbers;
  const double known[] = {pi,         pi / 2, 2 * pi, 1 / pi, e,
                          ln2,        ln10,   log2e,  log10e, 2 * inv_sqrtpi,
                          inv_sqrtpi, 1. / 3, 2. / 3, 1. / 6, std::sqrt(2 / pi)};
  const double magnitude = std::fabs(value);
  for (double number : known)
    if (float(number) == float(magnitude))
      return std::copysign(number, value);
  // Square roots of small integers and their inverses: an attention's scale.
  for (bool inverts : {false, true}) {
    double integer = std::nearbyint(inverts ? 1 / (magnitude * magnitude) : magnitude * magnitude);
    double root = inverts ? 1 / std::sqrt(integer) : std::sqrt(integer);
    if (integer <= 4096 && float(root) == float(magnitude))
      return std::copysign(root, value);
  }
  return shortest;
}

static Type widened(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getElementType().isF32()
             ? RankedTensorType::get(tensor.getShape(), Float64Type::get(type.getContext()), tensor.getEncoding())
             : type;
}

/// A number in an attribute: an f64 that is an f32 exactly was one in the model (ONNX's attributes are f32).
static FloatAttr widenedNumber(FloatAttr number) {
  double value = number.getValueAsDouble();
  if (!(number.getType().isF32() || number.getType().isF64()) || double(float(value)) != value)
    return number;
  return FloatAttr::get(Float64Type::get(number.getContext()), meantBy(float(value)));
}

/// The same values, of f64.
static Attribute widened(Attribute attribute) {
  auto elements = dyn_cast_if_present<ElementsAttr>(attribute);
  if (!elements || !elements.getShapedType().getElementType().isF32())
    return attribute;
  auto type = cast<RankedTensorType>(widened(Type(elements.getShapedType())));
  std::optional<ElementsView> view = ElementsView::get(elements);
  if (!view)
    return attribute;
  if (view->isSplat())
    return DenseElementsAttr::get(type, view->getDouble(0));
  std::vector<double> values;
  for (int64_t i = 0; i < view->size(); ++i)
    values.push_back(view->getDouble(i));
  return makeElements(type, packFloats(ElementKind::F64, values), "weights");
}

/// What an op has as a constant or a number.
static Attribute widenedConstant(Attribute attribute) {
  if (auto number = dyn_cast<FloatAttr>(attribute))
    return widenedNumber(number);
  Attribute wide = widened(attribute);
  auto elements = dyn_cast<DenseElementsAttr>(wide);
  if (wide == attribute || !elements || elements.getNumElements() != 1)
    return wide;
  return DenseElementsAttr::get(elements.getType(), meantBy(float(*elements.value_begin<double>())));
}

/// Operands that are f32 whatever else is f64.
static MutableArrayRef<OpOperand> alwaysF32(Operation *op) {
  if (isa<NonMaxSuppressionOp>(op))
    return op->getOpOperands();
  if (auto resize = dyn_cast<ResizeOp>(op); resize && resize.getGiven())
    return op->getOpOperands().drop_front();
  return {};
}

void widenFloats(ModuleOp module) {
  module.walk([](Operation *op) {
    for (Value result : op->getResults())
      result.setType(widened(result.getType()));
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          argument.setType(widened(argument.getType()));
    auto function = dyn_cast<func::FuncOp>(op);
    if (!function) {
      for (NamedAttribute attribute : op->getAttrs())
        if (Attribute wide = widenedConstant(attribute.getValue()); wide != attribute.getValue())
          op->setAttr(attribute.getName(), wide);
      return;
    }
    SmallVector<Type> results = llvm::map_to_vector(function.getResultTypes(), [](Type type) { return widened(type); });
    function.setFunctionType(
        FunctionType::get(op->getContext(), function.getBody().front().getArgumentTypes(), results));
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (Attribute initial = function.getArgAttr(i, kDefaultAttr))
        function.setArgAttr(i, kDefaultAttr, widened(initial));
  });
  module.walk([](Operation *op) {
    OpBuilder builder(op);
    for (OpOperand &operand : alwaysF32(op))
      if (auto type = dyn_cast<RankedTensorType>(operand.get().getType()); type && type.getElementType().isF64())
        operand.set(CastOp::create(builder, op->getLoc(), type.clone(builder.getF32Type()), operand.get()));
  });
}

} // namespace ds
