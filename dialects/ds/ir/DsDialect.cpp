//===- DsDialect.cpp - The ds dialect and its attributes ------------------===//
// Guarantees: registration; parsing, printing and canonical form of #ds.shape; checks of `ds.shape` on arguments.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsDialect.h"
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/ir/DsOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "dialects/ds/ir/DsDialect.cpp.inc"
#include "dialects/ds/ir/DsEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/ds/ir/DsAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/ds/element/ElementInterface.cpp.inc"
#include "dialects/ds/ir/DsInterfaces.cpp.inc"
#include "dialects/ds/ir/DsTypes.cpp.inc"

namespace ds {

void DsDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/ds/ir/DsAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/ds/ir/DsTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsElementwise.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsSource.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsMovement.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsReduction.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsContraction.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsConvolution.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsNormalization.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsQuantization.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsPacked.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsRecurrent.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsRegion.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsSpectral.cpp.inc"
      >();
}

Operation *DsDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, elements);
}

LogicalResult DsDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned argIndex,
                                                  NamedAttribute attribute) {
  if (attribute.getName() != kShapeArgAttr)
    return success();
  auto shape = dyn_cast<ShapeAttr>(attribute.getValue());
  if (!shape)
    return op->emitError() << "argument " << argIndex << ": expected '" << kShapeArgAttr << "' to be a #ds.shape, got "
                           << attribute.getValue();
  if (op->getNumRegions() == 0 || op->getRegion(0).empty() || argIndex >= op->getRegion(0).getNumArguments())
    return success();
  auto type = dyn_cast<RankedTensorType>(op->getRegion(0).getArgument(argIndex).getType());
  if (!type)
    return op->emitError() << "argument " << argIndex << ": only a ranked tensor can have '" << kShapeArgAttr << "'";
  if (type.getRank() != int64_t(shape.size()))
    return op->emitError() << "argument " << argIndex << ": expected " << type.getRank() << " dimensions in '"
                           << kShapeArgAttr << "', got " << shape;
  for (auto [index, dim] : llvm::enumerate(shape.getDims())) {
    int64_t size = type.getDimSize(index);
    if (!ShapedType::isDynamic(size) && dim.isConst() && dim.getConst() != size)
      return op->emitError() << "argument " << argIndex << ": dimension " << index << " is " << size
                             << " in the type and " << dim.str() << " in '" << kShapeArgAttr << "'";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// ShapeAttr
//===----------------------------------------------------------------------===//

ShapeAttr ShapeAttr::get(MLIRContext *context, ArrayRef<SymExpr> dims) {
  SmallVector<StringAttr> exprs;
  for (const SymExpr &dim : dims)
    exprs.push_back(StringAttr::get(context, dim.str()));
  return get(context, ArrayRef<StringAttr>(exprs));
}

ShapeAttr ShapeAttr::get(MLIRContext *context, ArrayRef<int64_t> dims) {
  SmallVector<SymExpr> exprs(dims.begin(), dims.end());
  return get(context, ArrayRef<SymExpr>(exprs));
}

SymExpr ShapeAttr::getDim(unsigned index) const { return *SymExpr::parse(getExprs()[index].getValue()); }

SmallVector<SymExpr> ShapeAttr::getDims() const {
  SmallVector<SymExpr> dims;
  for (StringAttr expr : getExprs())
    dims.push_back(*SymExpr::parse(expr.getValue()));
  return dims;
}

std::optional<SmallVector<int64_t>> ShapeAttr::getConstants() const {
  SmallVector<int64_t> values;
  for (const SymExpr &dim : getDims()) {
    if (!dim.isConst())
      return std::nullopt;
    values.push_back(dim.getConst());
  }
  return values;
}

LogicalResult ShapeAttr::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<StringAttr> exprs) {
  for (StringAttr expr : exprs) {
    std::optional<SymExpr> parsed = SymExpr::parse(expr.getValue());
    if (!parsed)
      return emitError() << "malformed size expression '" << expr.getValue() << "'";
    if (parsed->str() != expr.getValue())
      return emitError() << "size expression '" << expr.getValue() << "' is not canonical: expected '" << parsed->str()
                         << "'";
  }
  return success();
}

Attribute ShapeAttr::parse(AsmParser &parser, Type) {
  SmallVector<StringAttr> exprs;
  auto parseExpr = [&]() -> ParseResult {
    std::string text;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseString(&text))
      return failure();
    std::optional<SymExpr> expr = SymExpr::parse(text);
    if (!expr)
      return parser.emitError(loc) << "malformed size expression '" << text << "'";
    exprs.push_back(StringAttr::get(parser.getContext(), expr->str()));
    return success();
  };
  if (parser.parseLess() || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseExpr) ||
      parser.parseGreater())
    return {};
  return get(parser.getContext(), ArrayRef<StringAttr>(exprs));
}

void ShapeAttr::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getExprs(), printer, [&](StringAttr expr) { printer << expr; });
  printer << "]>";
}

} // namespace ds
