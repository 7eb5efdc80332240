//===- DsDialect.cpp - The ds dialect and its attributes ------------------===//
// Guarantees: registration; parsing, printing and canonical form of #ds.shape; checks of `ds.shape` on arguments.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsDialect.h"
#include "dialects/ds/element/ElementBuilder.h"
#include "dialects/ds/ir/DsAdjoint.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ds::detail {
struct ShapeAttrStorage : AttributeStorage {
  using KeyTy = ArrayRef<SymExpr>;
  explicit ShapeAttrStorage(KeyTy dims) : dims(dims.begin(), dims.end()) {}
  static ShapeAttrStorage *construct(AttributeStorageAllocator &allocator, KeyTy dims) {
    return new (allocator.allocate<ShapeAttrStorage>()) ShapeAttrStorage(dims);
  }
  // By identity: an expression that overflowed equals nothing, yet is itself.
  bool operator==(KeyTy key) const {
    return llvm::equal(dims, key, [](const SymExpr &a, const SymExpr &b) { return a.id() == b.id(); });
  }
  static llvm::hash_code hashKey(KeyTy key) {
    llvm::hash_code hash = llvm::hash_value(key.size());
    for (const SymExpr &dim : key)
      hash = llvm::hash_combine(hash, dim.id());
    return hash;
  }
  KeyTy getAsKey() const { return dims; }

  const SmallVector<SymExpr, 4> dims;
};
} // namespace ds::detail

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
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsRandom.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/ds/ir/DsAdjoint.cpp.inc"
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
  if (attribute.getName() == kDonateAttr) {
    auto function = dyn_cast<FunctionOpInterface>(op);
    auto output = dyn_cast<IntegerAttr>(attribute.getValue());
    if (function && output && output.getInt() >= 0 && output.getInt() < int64_t(function.getNumResults()))
      return success();
    return op->emitError() << "argument " << argIndex << ": expected '" << kDonateAttr
                           << "' to be the number of a result, got " << attribute.getValue();
  }
  if (attribute.getName() == kDefaultAttr) {
    auto value = dyn_cast<ElementsAttr>(attribute.getValue());
    auto function = dyn_cast<FunctionOpInterface>(op);
    auto type = function && argIndex < function.getNumArguments()
                    ? dyn_cast<RankedTensorType>(function.getArgumentTypes()[argIndex])
                    : RankedTensorType();
    // Strings become numbers on their way (LowerStrings), and their default stays what it is.
    bool fits = value && type && value.getShapedType().getRank() == type.getRank() &&
                (value.getElementType() == type.getElementType() || isa<StringType>(value.getElementType()));
    for (int64_t d = 0; fits && d < type.getRank(); ++d)
      fits = type.isDynamicDim(d) || type.getDimSize(d) == value.getShapedType().getDimSize(d);
    if (fits)
      return success();
    return op->emitError() << "argument " << argIndex << ": expected '" << kDefaultAttr
                           << "' to be elements of the argument's type";
  }
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

ArrayRef<SymExpr> ShapeAttr::getExprs() const { return getImpl()->dims; }

ShapeAttr ShapeAttr::get(MLIRContext *context, ArrayRef<int64_t> dims) {
  SmallVector<SymExpr> exprs(dims.begin(), dims.end());
  return get(context, ArrayRef<SymExpr>(exprs));
}

std::optional<SmallVector<int64_t>> ShapeAttr::getConstants() const {
  SmallVector<int64_t> values;
  for (const SymExpr &dim : getExprs()) {
    if (!dim.isConst())
      return std::nullopt;
    values.push_back(dim.getConst());
  }
  return values;
}

LogicalResult ShapeAttr::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<SymExpr> dims) {
  for (const SymExpr &dim : dims)
    if (dim.isOverflow())
      return emitError() << "a size expression is too large or too complex";
  return success();
}

Attribute ShapeAttr::parse(AsmParser &parser, Type) {
  SmallVector<SymExpr> dims;
  auto parseExpr = [&]() -> ParseResult {
    std::string text;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseString(&text))
      return failure();
    std::optional<SymExpr> expr = SymExpr::read(text);
    if (!expr)
      return parser.emitError(loc) << "malformed size expression '" << text << "'";
    dims.push_back(std::move(*expr));
    return success();
  };
  if (parser.parseLess() || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseExpr) ||
      parser.parseGreater())
    return {};
  return get(parser.getContext(), ArrayRef<SymExpr>(dims));
}

void ShapeAttr::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getExprs(), printer, [&](const SymExpr &dim) { printer.printString(dim.str()); });
  printer << "]>";
}

} // namespace ds
