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

/// Operands, and their types where not all are memory of the host.
static ParseResult parseBuffers(OpAsmParser &parser, SmallVectorImpl<OpAsmParser::UnresolvedOperand> &operands,
                                SmallVectorImpl<Type> &types) {
  if (parser.parseOperandList(operands))
    return failure();
  if (!operands.empty() && succeeded(parser.parseOptionalColon()))
    return parser.parseTypeList(types);
  types.assign(operands.size(), ds::rt::BufferType::get(parser.getContext()));
  return success();
}

static void printBuffers(OpAsmPrinter &printer, Operation *, OperandRange operands, TypeRange types) {
  printer << operands;
  if (llvm::any_of(types, [](Type type) { return !cast<ds::rt::BufferType>(type).isHost(); }))
    printer << " : " << types;
}

static ParseResult parseBufferType(OpAsmParser &parser, Type &type) {
  type = ds::rt::BufferType::get(parser.getContext());
  return succeeded(parser.parseOptionalColon()) ? parser.parseType(type) : ParseResult(success());
}

static void printBufferType(OpAsmPrinter &printer, Operation *, Type type) {
  if (!cast<ds::rt::BufferType>(type).isHost())
    printer << " : " << type;
}

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

Type BufferType::parse(AsmParser &parser) {
  uint32_t space = 0;
  if (succeeded(parser.parseOptionalLess())) {
    if (parser.parseKeyword("device") || parser.parseInteger(space) || parser.parseGreater())
      return {};
    ++space;
  }
  return get(parser.getContext(), space);
}

void BufferType::print(AsmPrinter &printer) const {
  if (getSpace())
    printer << "<device " << getSpace() - 1 << ">";
}

LogicalResult TensorAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr, RankedTensorType type,
                                 ShapeAttr shape, int64_t donatedTo, bool inPlace, ElementsAttr) {
  if (type.getRank() != shape.size()) // (C1)
    return emitError() << "expected one size a dimension of " << type << ", got " << shape;
  if (inPlace && donatedTo < 0) // (C2)
    return emitError() << "expected a tensor that is in place to be donated";
  return success();
}

LogicalResult ConstraintAttr::verify(function_ref<InFlightDiagnostic()> emitError, ConstraintKind, ShapeAttr sides,
                                     StringAttr) {
  if (sides.size() != 2) // (C1)
    return emitError() << "expected two sizes, got " << sides.size();
  return success();
}

LogicalResult DefinitionAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr, ShapeAttr value) {
  if (value.size() != 1)
    return emitError() << "(C1) expected one expression, got " << value;
  return success();
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
  for (Value buffer : getBuffers()) // (C6)
    if (auto type = cast<BufferType>(buffer.getType()); type.getSpace() != code.getSpace())
      return emitOpError("expected buffers in the memory of what runs the kernel, ")
             << BufferType::get(getContext(), code.getSpace()) << ", got " << type;
  return verifySymbolCount(*this, getSymbols(), code.getSymbols().size()); // (C3)
}

LogicalResult ProgramOp::verifyRegions() {
  auto inputs = getInputs().getAsRange<TensorAttr>(), outputs = getOutputs().getAsRange<TensorAttr>();
  llvm::SmallDenseSet<int64_t> taken;
  for (TensorAttr input : inputs) {
    if (!input.getName()) // (C1)
      return emitOpError("expected inputs that are named, got ") << input;
    if (!input.isDonated())
      continue;
    if (size_t(input.getDonatedTo()) >= getOutputs().size() || !taken.insert(input.getDonatedTo()).second) // (C2)
      return emitOpError("expected inputs to be donated to an output each, got ") << input;
  }
  for (TensorAttr output : outputs)
    if (!output.getName() || output.isDonated()) // (C1), (C2)
      return emitOpError("expected outputs that are named, and not donated; got ") << output;
  for (std::optional<ArrayAttr> names : {getGiven(), getOwn()})
    if (names && failed(verifyDistinct(*this, *names))) // (C3)
      return failure();
  for (Operation &op : *getBody()) {
    if (!isa<BufferOp, DispatchOp, BindOp, CallOp>(op)) // (C5)
      return op.emitOpError("expected buffers, dispatches, binds and calls alone in a program");
    auto buffer = dyn_cast<BufferOp>(op);
    if (!buffer || (buffer.getKind() != BufferKind::input && buffer.getKind() != BufferKind::output))
      continue;
    ArrayAttr tensors = buffer.getKind() == BufferKind::input ? getInputs() : getOutputs();
    if (buffer.getIndex() >= tensors.size()) // (C4)
      return buffer.emitOpError("expected the number of one of ")
             << tensors.size() << " tensors, got " << buffer.getIndex();
  }
  return success();
}

LogicalResult ProgramOp::verifySymbolUses(SymbolTableCollection &tables) {
  if (std::optional<ArrayAttr> versions = getVersions())
    for (auto version : versions->getAsRange<VersionAttr>())
      if (!tables.lookupNearestSymbolFrom<ProgramOp>(*this, version.getBody())) // (C6)
        return emitOpError("expected a program as a version, got ") << version.getBody();
  return success();
}

LogicalResult BufferOp::verify() {
  if (getBytes().size() != 1) // (C1)
    return emitOpError("expected one expression as its size, got ") << getBytes().size();
  if (getValue().has_value() != (getKind() == BufferKind::weight)) // (C2)
    return emitOpError("expected a value of a weight, and of nothing else");
  if (getFirst().has_value() != getLast().has_value() || (getFirst() && getKind() != BufferKind::temporary)) // (C3)
    return emitOpError("expected 'first' and 'last' of a temporary, both or none");
  return success();
}

LogicalResult BindOp::verify() {
  for (const SymExpr &symbol : getSymbols().getExprs())
    if (!symbol.symbolName()) // (C1)
      return emitOpError("expected symbols, got '") << symbol.str() << "'";
  if (getWidth() != 32 && getWidth() != 64) // (C2)
    return emitOpError("expected integers of 32 or 64 bits, got ") << getWidth();
  return success();
}

LogicalResult CallOp::verify() {
  size_t bodies = getKind() == CallKind::branch ? 2 : getKind() == CallKind::loop ? 1 : 0;
  if (getBodies().size() != bodies) // (C1)
    return emitOpError("expected ") << bodies << " bodies, got " << getBodies().size();
  const bool isCustom = getKind() == CallKind::custom;
  auto check = [&](ArrayAttr tensors, size_t buffers, StringRef what) -> LogicalResult {
    size_t present = llvm::count_if(tensors, llvm::IsaPred<TensorAttr>);
    if (present == buffers && (isCustom || present == tensors.size())) // (C2)
      return success();
    return emitOpError("expected a tensor for each of ") << buffers << " " << what << ", got " << tensors;
  };
  if (failed(check(getInputTensors(), getInputs().size(), "inputs")) ||
      failed(check(getOutputTensors(), getOutputs().size(), "outputs")))
    return failure();
  if (getCustom().has_value() != isCustom) // (C3)
    return emitOpError("expected 'custom' of a custom operator, and of nothing else");
  const bool isBranch = getKind() == CallKind::branch, isLoop = getKind() == CallKind::loop;
  if ((isBranch && !getCondition()) || (isCustom && getCondition()) || (!isLoop && getTrips())) // (C4)
    return emitOpError("expected a condition of a branch, trips of a loop alone, neither of a custom operator");
  if (getSplit() > getInputs().size() || (isLoop && getSplit() > getOutputs().size())) // (C5)
    return emitOpError("expected at most ") << getInputs().size() << " inputs before the split, got " << getSplit();
  for (const SymExpr &symbol : getSymbols().getExprs()) {
    bool isDim = llvm::any_of(getOutputTensors(), [&](Attribute tensor) {
      auto made = dyn_cast<TensorAttr>(tensor);
      return made && llvm::is_contained(made.getShape().getExprs(), symbol);
    });
    if (!symbol.symbolName() || !isDim) // (C6)
      return emitOpError("expected symbols that are dims of its outputs, got '") << symbol.str() << "'";
  }
  return success();
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &tables) {
  for (auto body : getBodies().getAsRange<FlatSymbolRefAttr>())
    if (!tables.lookupNearestSymbolFrom<ProgramOp>(*this, body)) // (C1)
      return emitOpError("expected a program as body, got ") << body;
  return success();
}

SmallVector<Value> CallOp::getSources(unsigned output) {
  if (getKind() == CallKind::loop && output < getSplit())
    return {getInputs()[output]};
  return {};
}

} // namespace ds::rt
