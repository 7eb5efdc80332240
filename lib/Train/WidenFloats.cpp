//===- WidenFloats.cpp - From f32 to f64 ----------------------------------===//
// Guarantees: see widenFloats in ds/Train/Step.h. Types, constants, defaults and numbers in attributes; a cast to f32
//   becomes one to f64. What ops take in f32 alone, which decides places and sizes but no values, is rounded for them.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "ds/Train/Step.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace ds {

static Type widened(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getElementType().isF32()
             ? RankedTensorType::get(tensor.getShape(), Float64Type::get(type.getContext()), tensor.getEncoding())
             : type;
}

static Attribute widened(Attribute attribute) {
  if (auto number = dyn_cast_if_present<FloatAttr>(attribute); number && number.getType().isF32())
    return FloatAttr::get(Float64Type::get(attribute.getContext()), number.getValueAsDouble());
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
        if (Attribute wide = widened(attribute.getValue()); wide != attribute.getValue())
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
