//===- Region.cpp - Regions --------------------------------------------===//
// Guarantees: shape functions, verifiers and folds of the ops in DsRegion.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/DsOps.h"
#include "dialects/ds/ShapeHelpers.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/ds/DsRegion.cpp.inc"

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

} // namespace ds
