//===- RtDialect.cpp - The host program -----------------------------------===//
// Guarantees: registration, the textual form of kernels, and verifiers; (C1), (C2), ... are the constraints of
// RtOps.td.
//===----------------------------------------------------------------------===//
#include "dialects/rt/RtDialect.h"
#include "dialects/ds/shape/Substitute.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include <set>

using namespace mlir;

#include "dialects/rt/RtDialect.cpp.inc"
#include "dialects/rt/RtEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/rt/RtAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/rt/RtTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/rt/RtOps.cpp.inc"

namespace ds::rt {

void RtDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/rt/RtAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/rt/RtTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/rt/RtOps.cpp.inc"
      >();
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildType = [](Builder &builder, ArrayRef<Type> arguments, ArrayRef<Type> results,
                      function_interface_impl::VariadicFlag,
                      std::string &) { return builder.getFunctionType(arguments, results); };
  return function_interface_impl::parseFunctionOp(parser, result, /*allowVariadic=*/false,
                                                  getFunctionTypeAttrName(result.name), buildType,
                                                  getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
                                           getArgAttrsAttrName(), getResAttrsAttrName());
}

static LogicalResult verifyDistinct(Operation *op, ArrayAttr names) {
  llvm::StringSet<> seen;
  for (auto name : names.getAsValueRange<StringAttr>())
    if (!seen.insert(name).second)
      return op->emitOpError("expected symbols that differ, got '") << name << "' twice";
  return success();
}

/// `names` has all symbols that are used.
template <typename Names>
static LogicalResult verifySymbols(Operation *op, StringRef what, const Names &used, ArrayAttr names) {
  for (const std::string &name : used)
    if (!llvm::is_contained(names.getAsValueRange<StringAttr>(), name))
      return op->emitOpError("expected ") << what << " over its symbols alone, got '" << name << "'";
  return success();
}

ArrayAttr KernelOp::getSymbolNames() {
  if (std::optional<ArrayAttr> stated = getSymbols())
    return *stated;
  std::vector<std::string> names = symbolsInAttributes(*this);
  return Builder(getContext()).getStrArrayAttr(SmallVector<StringRef>(names.begin(), names.end()));
}

LogicalResult KernelOp::verifyRegions() {
  if (std::optional<ArrayAttr> names = getSymbols())
    if (failed(verifyDistinct(*this, *names)) ||                                   // (C1)
        failed(verifySymbols(*this, "sizes", symbolsInAttributes(*this), *names))) // (C2)
      return failure();
  if (getBody().empty())
    return success();
  auto yield = dyn_cast<YieldOp>(getBody().front().back());
  if (!yield || yield.getValues().getTypes() != TypeRange(getResultTypes())) // (C3)
    return emitOpError("expected to yield values of types ") << getResultTypes();
  return success();
}

ModuleOp CodeOp::getModule() {
  return getBody().empty() || getBody().front().empty() ? ModuleOp() : dyn_cast<ModuleOp>(getBody().front().front());
}

LogicalResult CodeOp::verify() {
  const std::pair<StringRef, ShapeAttr> single[] = {{"range", getRange()},
                                                    {"grain", getGrain()},
                                                    {"scratch", getScratch()},
                                                    {"flops", getFlops()},
                                                    {"bytes", getBytes()}};
  for (auto [name, attribute] : single)
    if (attribute.size() != 1) // (C1)
      return emitOpError("expected one expression as '") << name << "', got " << attribute.size();
  if (failed(verifyDistinct(*this, getSymbols()))) // (C2)
    return failure();
  std::set<std::string> used;
  for (const SymExpr &size : getSizes().getExprs())
    size.collectSymbols(used);
  for (auto [name, attribute] : single)
    attribute.getDim(0).collectSymbols(used);
  if (failed(verifySymbols(*this, "expressions", used, getSymbols()))) // (C3)
    return failure();
  for (TypeRange types : {TypeRange(getFunctionType().getInputs()), TypeRange(getFunctionType().getResults())})
    for (Type type : types)
      if (!isa<RankedTensorType>(type)) // (C4)
        return emitOpError("expected ranked tensors as arguments and results, got ") << type;
  return success();
}

LogicalResult CodeOp::verifyRegions() {
  if (getBody().empty())
    return success();
  ModuleOp module = getModule();
  if (!module || !llvm::hasSingleElement(getBody().front()) ||
      !SymbolTable::lookupSymbolIn(module, getSymName())) // (C5)
    return emitOpError("expected a module that defines a function '")
           << getSymName() << "' as its body, and nothing else";
  return success();
}

LogicalResult LaunchOp::verify() {
  if (getShapes().size() != getNumResults()) // (C4)
    return emitOpError("expected one shape a result, got ") << getShapes().size() << " for " << getNumResults();
  for (auto [type, shape] : llvm::zip_equal(getOutputs().getTypes(), getShapes().getAsRange<ShapeAttr>()))
    if (cast<RankedTensorType>(type).getRank() != shape.size()) // (C4)
      return emitOpError("expected one size a dimension of ") << type << ", got " << shape;
  return success();
}

static LogicalResult verifySymbolCount(Operation *op, ShapeAttr given, size_t wanted) {
  if (given.size() == wanted)
    return success();
  return op->emitOpError("expected a value for each of the kernel's ") << wanted << " symbols, got " << given.size();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &tables) {
  Operation *target = tables.lookupNearestSymbolFrom(*this, getKernelAttr());
  auto kernel = dyn_cast_or_null<KernelOp>(target);
  auto code = dyn_cast_or_null<CodeOp>(target);
  if (!kernel && !code) // (C1)
    return emitOpError("expected a kernel or its code, got ") << getKernelAttr();
  FunctionType type = kernel ? kernel.getFunctionType() : code.getFunctionType();
  if (type.getInputs() != getInputs().getTypes() || type.getResults() != getOutputs().getTypes()) // (C2)
    return emitOpError("expected operands and results of the kernel's type, ") << type;
  // (C3)
  return verifySymbolCount(*this, getSymbols(), kernel ? kernel.getSymbolNames().size() : code.getSymbols().size());
}

LogicalResult DispatchOp::verify() {
  std::optional<ArrayRef<int64_t>> inPlace = getInPlace();
  if (!inPlace)
    return success();
  if (getOutputs().size() != 1) // (C4)
    return emitOpError("works in place with one output alone, got ") << getOutputs().size();
  for (int64_t input : *inPlace)
    if (input < 0 || input >= static_cast<int64_t>(getInputs().size())) // (C5)
      return emitOpError("has no input ") << input << " to work in the place of";
  return success();
}

LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto code = tables.lookupNearestSymbolFrom<CodeOp>(*this, getKernelAttr());
  if (!code) // (C1)
    return emitOpError("expected the code of a kernel, got ") << getKernelAttr();
  FunctionType type = code.getFunctionType();
  if (type.getNumInputs() != getInputs().size() || type.getNumResults() != getOutputs().size()) // (C2)
    return emitOpError("expected ") << type.getNumInputs() << " inputs and " << type.getNumResults()
                                    << " outputs, as the kernel has; got " << getInputs().size() << " and "
                                    << getOutputs().size();
  if (getInPlace() && !code.getInPlace()) // (C4)
    return emitOpError("works in place, which its kernel does not");
  return verifySymbolCount(*this, getSymbols(), code.getSymbols().size()); // (C3)
}

SmallVector<Value> CallOp::getSources(unsigned output) {
  if (getKind() == CallKind::loop && output < getSplit())
    return {getInputs()[output]};
  return {};
}

} // namespace ds::rt
