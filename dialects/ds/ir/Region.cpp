//===- Region.cpp - Regions --------------------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsRegion.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/ShapeHelpers.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/ir/DsRegion.cpp.inc"

namespace ds {

//===----------------------------------------------------------------------===//
// StaticOp:  %r = ds.static(%a = %x : tensor<?xf32>, ...) -> (tensor<?xf32>) { ... ds.return %v : tensor<?xf32> }
//===----------------------------------------------------------------------===//

ParseResult StaticOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Type> types;
  auto parseBinding = [&]() -> ParseResult {
    OpAsmParser::Argument argument;
    if (parser.parseArgument(argument) || parser.parseEqual() || parser.parseOperand(operands.emplace_back()) ||
        parser.parseColonType(argument.type))
      return failure();
    types.push_back(argument.type);
    arguments.push_back(argument);
    return success();
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parseBinding) ||
      parser.parseOptionalArrowTypeList(result.types) ||
      parser.resolveOperands(operands, types, loc, result.operands) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) || parser.parseRegion(*result.addRegion(), arguments))
    return failure();
  ensureTerminator(*result.regions.back(), parser.getBuilder(), result.location);
  return success();
}

void StaticOp::print(OpAsmPrinter &printer) {
  printer << '(';
  llvm::interleaveComma(llvm::zip_equal(getBody().getArguments(), getInputs()), printer, [&](auto binding) {
    auto [argument, operand] = binding;
    printer << argument << " = " << operand << " : " << operand.getType();
  });
  printer << ')';
  printer.printOptionalArrowTypeList(getResultTypes());
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs());
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/true);
}

LogicalResult StaticOp::inferShapes(ShapeState &state) {
  for (auto [argument, operand] : llvm::zip_equal(getBody().getArguments(), getInputs())) {
    state.forget(argument);
    state.copy(operand, argument);
  }
  if (failed(inferRegion(getBody(), state)))
    return failure();
  for (auto [result, value] : llvm::zip_equal(getOutputs(), getBody().front().getTerminator()->getOperands()))
    state.copy(value, result);
  return success();
}

LogicalResult StaticOp::verify() {
  if (getBody().getArgumentTypes() != getInputs().getTypes())
    return emitOpError("expected the body's arguments to have the types of the operands");
  if (getBody().front().getTerminator()->getOperandTypes() != getResultTypes())
    return emitOpError("expected the body to return values of the result types");
  return success();
}

//===----------------------------------------------------------------------===//
// BindOp
//===----------------------------------------------------------------------===//

LogicalResult BindOp::inferShapes(ShapeState &state) {
  state.setDims(getResult(), *state.getDims(getX()));
  SmallVector<SymExpr> contents(getSymbols().getDims());
  for (const SymExpr &symbol : contents)
    state.reserveSymbols(symbol);
  state.setContents(getResult(), contents);
  return success();
}

LogicalResult BindOp::verify() {
  auto type = cast<RankedTensorType>(getX().getType());
  if (!type.getElementType().isSignlessInteger(32) && !type.getElementType().isSignlessInteger(64))
    return emitOpError("expected an operand of i32 or i64, got ") << type;
  if (!type.hasStaticShape() || type.getNumElements() != static_cast<int64_t>(getSymbols().size()))
    return emitOpError("expected an operand of ")
           << getSymbols().size() << " elements, as many as there are symbols, got " << type;
  for (const SymExpr &symbol : getSymbols().getDims())
    if (!symbol.symbolName())
      return emitOpError("expected symbols, got '") << symbol.str() << "'";
  return success();
}

//===----------------------------------------------------------------------===//
// RequireOp
//===----------------------------------------------------------------------===//

LogicalResult RequireOp::inferShapes(ShapeState &state) {
  return state.requireEqual(getA().getDim(0), getB().getDim(0), *this, getWhat());
}

LogicalResult RequireOp::verify() {
  if (getA().size() != 1 || getB().size() != 1)
    return emitOpError("expected one expression on each side, got ") << getA() << " and " << getB();
  return success();
}

//===----------------------------------------------------------------------===//
// DefineOp
//===----------------------------------------------------------------------===//

LogicalResult DefineOp::inferShapes(ShapeState &state) {
  state.define(getSymbol(), getValue().getDim(0));
  return success();
}

LogicalResult DefineOp::verify() {
  if (getValue().size() != 1)
    return emitOpError("expected one expression, got ") << getValue();
  return success();
}

//===----------------------------------------------------------------------===//
// IfOp, LoopOp, CustomOp
//===----------------------------------------------------------------------===//

template <typename OpTy> static LogicalResult inferCallResults(OpTy op, ShapeState &state) {
  for (const SymExpr &symbol : op.getSymbols().getDims())
    state.reserveSymbols(symbol);
  for (auto [result, shape] : llvm::zip_equal(op.getOutputs(), op.getShapes().template getAsRange<ShapeAttr>()))
    state.setDims(result, shape.getDims());
  return success();
}

template <typename OpTy> static LogicalResult verifyCallResults(OpTy op) {
  if (op.getShapes().size() != op.getNumResults())
    return op.emitOpError("expected ") << op.getNumResults() << " shapes, one a result, got " << op.getShapes().size();
  llvm::SmallVector<SymExpr> dims;
  for (auto [index, shape] : llvm::enumerate(op.getShapes().template getAsRange<ShapeAttr>())) {
    auto type = cast<RankedTensorType>(op.getResult(index).getType());
    if (type.getRank() != static_cast<int64_t>(shape.size()))
      return op.emitOpError("expected a shape of ")
             << type.getRank() << " dims for result " << index << ", got " << shape;
    llvm::append_range(dims, shape.getDims());
  }
  for (const SymExpr &symbol : op.getSymbols().getDims())
    if (!symbol.symbolName() || !llvm::is_contained(dims, symbol))
      return op.emitOpError("expected a symbol that is a dim of a result, got '") << symbol.str() << "'";
  return success();
}

static LogicalResult verifySingle(Operation *op, Value value, StringRef what) {
  auto type = value ? cast<RankedTensorType>(value.getType()) : RankedTensorType();
  if (!type || (type.hasStaticShape() && type.getNumElements() == 1))
    return success();
  return op->emitOpError("expected ") << what << " of one element, got " << type;
}

static bool isAlike(Type a, Type b, int64_t rankDifference = 0) {
  auto x = dyn_cast<RankedTensorType>(a), y = dyn_cast<RankedTensorType>(b);
  return x && y && x.getElementType() == y.getElementType() && x.getRank() == y.getRank() + rankDifference;
}

/// The body, if it is there and takes tensors like `inputs`.
static FunctionOpInterface findBody(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr name,
                                    TypeRange inputs) {
  auto body = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(op, name);
  if (!body || body.isExternal()) {
    op->emitOpError("expected a function with a body, got ") << name;
    return nullptr;
  }
  if (body.getNumArguments() != inputs.size()) {
    op->emitOpError("gives ") << inputs.size() << " tensors to " << name << ", which takes " << body.getNumArguments();
    return nullptr;
  }
  for (auto [index, given, taken] : llvm::enumerate(inputs, body.getArgumentTypes()))
    if (!isAlike(given, taken)) {
      op->emitOpError("gives ") << given << " to " << name << ", which takes " << taken << " as argument " << index;
      return nullptr;
    }
  return body;
}

static LogicalResult verifyResult(Operation *op, FlatSymbolRefAttr name, Type expected, Type got,
                                  int64_t rankDifference, unsigned index) {
  if (isAlike(expected, got, rankDifference))
    return success();
  return op->emitOpError("expected result ") << index << " of " << name << " to fit " << expected << ", got " << got;
}

LogicalResult IfOp::inferShapes(ShapeState &state) { return inferCallResults(*this, state); }

LogicalResult IfOp::verify() {
  if (failed(verifySingle(*this, getCondition(), "a condition")))
    return failure();
  return verifyCallResults(*this);
}

LogicalResult IfOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (auto [name, inputs] :
       {std::pair(getThenBodyAttr(), getThenInputs()), std::pair(getElseBodyAttr(), getElseInputs())}) {
    FunctionOpInterface body = findBody(*this, symbols, name, inputs.getTypes());
    if (!body)
      return failure();
    if (body.getNumResults() != getNumResults())
      return emitOpError("expected ") << getNumResults() << " results of " << name << ", got " << body.getNumResults();
    for (auto [index, mine, its] : llvm::enumerate(getResultTypes(), body.getResultTypes()))
      if (failed(verifyResult(*this, name, mine, its, 0, index)))
        return failure();
  }
  return success();
}

LogicalResult LoopOp::inferShapes(ShapeState &state) { return inferCallResults(*this, state); }

LogicalResult LoopOp::verify() {
  if (failed(verifySingle(*this, getTrips(), "a number of trips")) ||
      failed(verifySingle(*this, getCondition(), "a condition")))
    return failure();
  if (getState().size() > getNumResults())
    return emitOpError("expected a result for each of ")
           << getState().size() << " values of state, got " << getNumResults();
  for (auto [index, state] : llvm::enumerate(getState()))
    if (!isAlike(state.getType(), getResult(index).getType()))
      return emitOpError("expected result ")
             << index << " to be like the state, " << state.getType() << ", got " << getResult(index).getType();
  return verifyCallResults(*this);
}

LogicalResult LoopOp::verifySymbolUses(SymbolTableCollection &symbols) {
  SmallVector<Type> inputs{RankedTensorType::get({}, IntegerType::get(getContext(), 64))};
  llvm::append_range(inputs, getState().getTypes());
  llvm::append_range(inputs, getCaptured().getTypes());
  FunctionOpInterface body = findBody(*this, symbols, getBodyAttr(), inputs);
  if (!body)
    return failure();
  if (body.getNumResults() != getNumResults() + 1)
    return emitOpError("expected ") << getNumResults() + 1 << " results of " << getBodyAttr() << ", got "
                                    << body.getNumResults();
  Type goOn = RankedTensorType::get({}, IntegerType::get(getContext(), 1));
  if (failed(verifyResult(*this, getBodyAttr(), goOn, body.getResultTypes()[0], 0, 0)))
    return failure();
  for (unsigned i = 0; i < getNumResults(); ++i)
    if (failed(verifyResult(*this, getBodyAttr(), getResult(i).getType(), body.getResultTypes()[i + 1],
                            i < getState().size() ? 0 : 1, i + 1)))
      return failure();
  return success();
}

LogicalResult CustomOp::inferShapes(ShapeState &state) { return inferCallResults(*this, state); }

static bool isOperatorAttribute(Attribute value) {
  if (auto integer = dyn_cast<IntegerAttr>(value))
    return integer.getType().isSignlessInteger(64);
  if (auto number = dyn_cast<FloatAttr>(value))
    return number.getType().isF32();
  if (auto array = dyn_cast<ArrayAttr>(value))
    return llvm::all_of(array, [](Attribute each) { return isa<StringAttr>(each); });
  return isa<StringAttr, DenseI64ArrayAttr, DenseF32ArrayAttr>(value) || ElementsView::get(value);
}

LogicalResult CustomOp::verify() {
  auto present = [](std::optional<ArrayRef<bool>> entries, size_t otherwise) {
    return entries ? static_cast<size_t>(llvm::count(*entries, true)) : otherwise;
  };
  if (size_t count = present(getTakes(), getInputs().size()); count != getInputs().size())
    return emitOpError("expected ") << count << " operands, as many as 'takes' says, got " << getInputs().size();
  if (size_t count = present(getMakes(), getNumResults()); count != getNumResults())
    return emitOpError("expected ") << count << " results, as many as 'makes' says, got " << getNumResults();
  for (NamedAttribute attribute : getOpAttributes())
    if (!isOperatorAttribute(attribute.getValue()))
      return emitOpError("expected an i64, an f32, a string, an array of these or a tensor as the operator's '")
             << attribute.getName().strref() << "', got " << attribute.getValue();
  return verifyCallResults(*this);
}

} // namespace ds
