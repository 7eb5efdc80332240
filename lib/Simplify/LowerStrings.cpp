//===- LowerStrings.cpp - Strings as numbers of a table -------------------===//
// Assumes: ds ops as import makes them; what looks into strings is a ds.custom of the domain ds.string.
// Guarantees: no value has the element type !ds.string any more. A string is its number in a table of distinct strings,
//   so that equal ones are equal numbers; number 0 is the empty string, and those of the module's constants follow. A
//   public function, and a version of one, begins by handing the table and its strings to the runtime, which numbers
//   them, and ends by asking for the bytes of those that it returns. Operators of the program's own get bytes, too.
// Declines: nothing; a module without strings stays as it is.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/shape/ShapeState.h"
#include "ds/Simplify/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_LOWERSTRINGSPASS
#include "ds/Simplify/Passes.h.inc"

namespace {
class LowerStringsPass : public impl::LowerStringsPassBase<LowerStringsPass> {
public:
  using LowerStringsPassBase::LowerStringsPassBase;
  void runOnOperation() override;

private:
  static bool isString(Type type) { return isa<StringType>(getElementTypeOrSelf(type)); }
  /// `value`'s type with another element type.
  static Type withElement(Type type, Type element) { return cast<RankedTensorType>(type).clone(element); }
  Type numbers(Type type) { return withElement(type, IntegerType::get(&getContext(), 64)); }
  Type bytes(Type type) { return withElement(type, IntegerType::get(&getContext(), 128)); }
  void lowerConstant(ConstantOp constant);
  /// The runtime's operator `name`, whose results have the dims of `like`.
  CustomOp call(OpBuilder &builder, Location loc, StringRef name, ArrayRef<Type> types, ValueRange operands,
                ArrayRef<SymDims> like, ShapeState &shapes, ArrayRef<NamedAttribute> attributes = {});
  void lowerCustom(CustomOp custom, ShapeState &shapes);
  LogicalResult lowerEntry(func::FuncOp function);

  llvm::MapVector<StringRef, int64_t> table;
};
} // namespace

void LowerStringsPass::lowerConstant(ConstantOp constant) {
  auto strings = cast<DenseStringElementsAttr>(constant.getValue());
  SmallVector<int64_t> ids;
  for (StringRef text : strings.getRawStringData())
    ids.push_back(table.try_emplace(text, int64_t(table.size())).first->second);
  auto type = cast<RankedTensorType>(numbers(constant.getType()));
  if (ids.empty() && type.getNumElements())
    ids.assign(1, 0);
  OpBuilder builder(constant);
  Value number = ConstantOp::create(builder, constant.getLoc(), DenseIntElementsAttr::get(type, ids));
  constant.getResult().replaceAllUsesWith(number);
  constant.erase();
}

CustomOp LowerStringsPass::call(OpBuilder &builder, Location loc, StringRef name, ArrayRef<Type> types,
                                ValueRange operands, ArrayRef<SymDims> like, ShapeState &shapes,
                                ArrayRef<NamedAttribute> attributes) {
  SmallVector<Attribute> all;
  SmallVector<SymExpr> symbols;
  for (const SymDims &dims : like) {
    SymDims stated;
    for (const SymExpr &dim : dims) {
      bool known = shapes.isKnownOnEntry(dim) && !dim.isOverflow();
      stated.push_back(known ? dim : shapes.boundSymbol("r"));
      if (!known)
        symbols.push_back(stated.back());
    }
    all.push_back(ShapeAttr::get(&getContext(), ArrayRef<SymExpr>(stated)));
  }
  return CustomOp::create(
      builder, loc, types, operands,
      ArrayRef<NamedAttribute>{
          builder.getNamedAttr("op_type", builder.getStringAttr(name)),
          builder.getNamedAttr("domain", builder.getStringAttr(kStringDomain)),
          builder.getNamedAttr("op_attributes", builder.getDictionaryAttr(attributes)),
          builder.getNamedAttr("shapes", builder.getArrayAttr(all)),
          builder.getNamedAttr("symbols", ShapeAttr::get(&getContext(), ArrayRef<SymExpr>(symbols)))});
}

/// An operator of the program's own, among values that are numbers by now.
void LowerStringsPass::lowerCustom(CustomOp custom, ShapeState &shapes) {
  OpBuilder builder(custom);
  for (OpOperand &operand : custom->getOpOperands()) {
    if (!isString(operand.get().getType()))
      continue;
    CustomOp text = call(builder, custom.getLoc(), "Text", {bytes(operand.get().getType())}, operand.get(),
                         {*shapes.getDims(operand.get())}, shapes);
    operand.set(text->getResult(0));
  }
  builder.setInsertionPointAfter(custom);
  for (auto [result, shape] : llvm::zip_equal(custom->getResults(), custom.getShapes().getAsRange<ShapeAttr>())) {
    if (!isString(result.getType()))
      continue;
    Type type = result.getType();
    result.setType(bytes(type));
    CustomOp number = call(builder, custom.getLoc(), "Number", {type}, result, {SymDims(shape.getDims())}, shapes);
    result.replaceAllUsesExcept(number->getResult(0), number);
  }
}

LogicalResult LowerStringsPass::lowerEntry(func::FuncOp function) {
  Block &block = function.getBody().front();
  ShapeState shapes;
  if (failed(inferFunction(function, shapes)))
    return failure();
  // Names that ops mention are taken.
  function.walk([&](Operation *op) {
    op->getAttrDictionary().walk([&](ShapeAttr shape) {
      for (const SymExpr &expr : shape.getDims())
        shapes.reserveSymbols(expr);
    });
  });
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  SmallVector<Value> given;
  SmallVector<Type> types{RankedTensorType::get({1}, builder.getI64Type())};
  SmallVector<SymDims> dims{SymDims{SymExpr(1)}};
  for (BlockArgument argument : block.getArguments())
    if (isString(argument.getType())) {
      given.push_back(argument);
      types.push_back(argument.getType());
      dims.push_back(*shapes.getDims(argument));
    }
  SmallVector<StringRef> texts;
  for (const auto &entry : table)
    texts.push_back(entry.first);
  // Named by the tensors that they are about.
  auto locOf = [&](ArrayRef<Value> about) -> Location {
    SmallVector<Location> locs;
    for (Value value : about)
      locs.push_back(value.getLoc());
    return locs.empty() ? function.getLoc() : builder.getFusedLoc(locs);
  };
  CustomOp begin = call(builder, locOf(given), "Begin", types, given, dims, shapes,
                        builder.getNamedAttr("table", builder.getStrArrayAttr(texts)));
  for (auto [argument, number] : llvm::zip_equal(given, begin.getOutputs().drop_front())) {
    argument.replaceAllUsesExcept(number, begin);
    argument.setType(bytes(argument.getType()));
  }

  Operation *terminator = block.getTerminator();
  builder.setInsertionPoint(terminator);
  SmallVector<OpOperand *> returned;
  SmallVector<Value> values;
  types.clear();
  dims.clear();
  for (OpOperand &operand : terminator->getOpOperands())
    if (isString(operand.get().getType())) {
      returned.push_back(&operand);
      values.push_back(operand.get());
      types.push_back(bytes(operand.get().getType()));
      // Of an argument, the number has the dims.
      std::optional<SymDims> known = shapes.getDims(operand.get());
      for (auto [argument, number] : llvm::zip_equal(given, begin.getOutputs().drop_front()))
        if (number == operand.get())
          known = shapes.getDims(argument);
      dims.push_back(*known);
    }
  if (returned.empty())
    return success();
  CustomOp text = call(builder, locOf(values), "Text", types, values, dims, shapes);
  for (auto [operand, bytes] : llvm::zip_equal(returned, text.getOutputs()))
    operand->set(bytes);
  return success();
}

void LowerStringsPass::runOnOperation() {
  ModuleOp module = getOperation();
  bool found = false;
  module.walk([&](Operation *op) {
    found |= llvm::any_of(op->getResultTypes(), isString) || llvm::any_of(op->getOperandTypes(), isString);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        found |= llvm::any_of(block.getArgumentTypes(), isString);
  });
  if (!found)
    return;
  table.clear();
  table.try_emplace("", 0);
  // First where strings come in and go out, while types say which they are.
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal())
      continue;
    SmallVector<CustomOp> own;
    function.walk([&](CustomOp op) {
      if (op.getDomain() != kStringDomain &&
          (llvm::any_of(op->getOperandTypes(), isString) || llvm::any_of(op->getResultTypes(), isString)))
        own.push_back(op);
    });
    if (own.empty())
      continue;
    ShapeState shapes;
    if (failed(inferFunction(function, shapes)))
      return signalPassFailure();
    for (CustomOp op : own)
      lowerCustom(op, shapes);
  }
  SmallVector<ConstantOp> constants;
  module.walk([&](ConstantOp op) {
    if (isString(op.getType()))
      constants.push_back(op);
  });
  for (ConstantOp op : constants)
    for (StringRef text : cast<DenseStringElementsAttr>(op.getValue()).getRawStringData())
      table.try_emplace(text, int64_t(table.size()));
  // The runtime calls versions in the place of their function.
  llvm::SmallDenseSet<StringAttr> versions;
  for (auto function : module.getOps<func::FuncOp>())
    if (auto all = function->getAttrOfType<ArrayAttr>(kVersionsAttr))
      for (auto version : all.getAsRange<DictionaryAttr>())
        versions.insert(version.getAs<FlatSymbolRefAttr>("body").getAttr());
  for (auto function : module.getOps<func::FuncOp>()) {
    bool isEntry = function.isPublic() || versions.contains(function.getSymNameAttr());
    if (!function.isExternal() && isEntry && failed(lowerEntry(function)))
      return signalPassFailure();
  }
  for (ConstantOp op : constants)
    lowerConstant(op);

  // Everything else moves numbers instead.
  module.walk([&](Operation *op) {
    for (Value result : op->getResults())
      if (isString(result.getType()))
        result.setType(numbers(result.getType()));
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          if (isString(argument.getType()))
            argument.setType(numbers(argument.getType()));
  });
  for (auto function : module.getOps<func::FuncOp>())
    if (!function.isExternal())
      function.setFunctionType(FunctionType::get(&getContext(), function.getBody().getArgumentTypes(),
                                                 function.getBody().front().getTerminator()->getOperandTypes()));
}

} // namespace ds
