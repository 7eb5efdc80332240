//===- Versions.cpp - Versions of a model for stated sizes ----------------===//
// Guarantees: see ds/Simplify/Versions.h.
//===----------------------------------------------------------------------===//
#include "ds/Simplify/Versions.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/ds/shape/Substitute.h"
#include "ds/Import/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace ds {

using Values = std::map<std::string, SymExpr>;

/// The functions that `op` runs, and how to say that it runs another one.
static SmallVector<std::pair<FlatSymbolRefAttr, std::function<void(FlatSymbolRefAttr)>>> bodiesOf(Operation *op) {
  if (auto branch = dyn_cast<IfOp>(op))
    return {{branch.getThenBodyAttr(), [=](FlatSymbolRefAttr name) mutable { branch.setThenBodyAttr(name); }},
            {branch.getElseBodyAttr(), [=](FlatSymbolRefAttr name) mutable { branch.setElseBodyAttr(name); }}};
  if (auto loop = dyn_cast<LoopOp>(op))
    return {{loop.getBodyAttr(), [=](FlatSymbolRefAttr name) mutable { loop.setBodyAttr(name); }}};
  return {};
}

static func::FuncOp mainOf(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      return function;
  return {};
}

//===----------------------------------------------------------------------===//
// Versions for sizes
//===----------------------------------------------------------------------===//

/// A copy of the function and, of its own for it, of those that it runs.
static func::FuncOp cloneWithBodies(func::FuncOp function, SymbolTable &table, const std::string &suffix,
                                    const Values &values) {
  auto copy = cast<func::FuncOp>(function->clone());
  copy.setName((function.getName() + suffix).str());
  copy.setPrivate();
  table.insert(copy);
  copy.walk([&](Operation *op) {
    for (auto &[name, set] : bodiesOf(op))
      if (auto body = table.lookup<func::FuncOp>(name.getValue()))
        set(FlatSymbolRefAttr::get(cloneWithBodies(body, table, suffix, values)));
  });
  substituteSymbols(copy, values);
  return copy;
}

/// The symbols of the arguments' dims, in order.
static SmallVector<std::string> entrySymbols(func::FuncOp function) {
  SmallVector<std::string> names, given;
  if (auto stated = function->getAttrOfType<ArrayAttr>(kGivenAttr))
    for (auto name : stated.getAsRange<StringAttr>())
      given.push_back(name.str());
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (auto shape = function.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr))
      for (const SymExpr &dim : shape.getDims())
        if (auto name = dim.symbolName();
            name && !llvm::is_contained(names, *name) && !llvm::is_contained(given, *name))
          names.push_back(*name);
  return names;
}

/// The symbol that a user means; "" and a reason in `error`.
static std::string findSymbol(func::FuncOp function, StringRef text, std::string &error) {
  auto module = function->getParentOfType<ModuleOp>();
  auto display = module->getAttrOfType<DictionaryAttr>(kDimNamesAttr);
  SmallVector<std::string> fitting;
  for (const std::string &symbol : entrySymbols(function)) {
    auto shown = display ? display.getAs<StringAttr>(symbol) : StringAttr();
    if (symbol == text || (shown && shown.getValue() == text))
      fitting.push_back(symbol);
  }
  auto [input, number] = text.rsplit(':');
  unsigned index;
  if (fitting.empty() && !number.getAsInteger(10, index))
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto name = function.getArgAttrOfType<StringAttr>(i, kNameAttr);
      auto shape = function.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr);
      if (name && name.getValue() == input && shape && index < shape.size())
        if (auto symbol = shape.getDim(index).symbolName())
          fitting.push_back(*symbol);
    }
  if (fitting.size() == 1)
    return fitting.front();
  SmallVector<std::string> all = entrySymbols(function);
  error = fitting.empty()
              ? "no input has a dynamic dimension '" + text.str() + "'; there " +
                    (all.empty() ? "is none" : (all.size() == 1 ? "is " : "are ") + llvm::join(all, ", "))
              : "several dimensions are named '" + text.str() + "': say which by " + llvm::join(fitting, " or ");
  return "";
}

/// A copy of `function`, the model's or a version of it, for these sizes, which none of its arguments' dims says any
/// more; null where none did. `leftOut` are arguments that a run must not give, or null.
static DictionaryAttr addVersion(func::FuncOp function, const Values &values, ArrayAttr leftOut, SymbolTable &table) {
  Builder builder(function.getContext());
  std::string suffix;
  SmallVector<NamedAttribute> sizes, entry;
  SmallVector<SymExpr> own;
  for (const std::string &symbol : entrySymbols(function)) {
    auto known = values.find(symbol);
    if (known == values.end()) {
      own.push_back(SymExpr::symbol(symbol));
      continue;
    }
    const int64_t size = known->second.getConst();
    suffix += "_" + symbol + std::to_string(size);
    sizes.push_back(builder.getNamedAttr(symbol, builder.getI64IntegerAttr(size)));
  }
  if (sizes.empty())
    return {};
  func::FuncOp copy = cloneWithBodies(function, table, suffix, values);
  copy->removeAttr(kVersionsAttr);
  copy->removeAttr(kFixedAttr);
  copy->removeAttr(kOwnSymbolsAttr);
  for (unsigned i = 0; i < copy.getNumArguments(); ++i)
    copy.removeArgAttr(i, kDefaultAttr);
  if (!own.empty())
    copy->setAttr(kOwnSymbolsAttr, ShapeAttr::get(function.getContext(), ArrayRef<SymExpr>(own)));
  entry.push_back(builder.getNamedAttr("body", FlatSymbolRefAttr::get(copy)));
  if (leftOut)
    entry.push_back(builder.getNamedAttr("left_out", leftOut));
  entry.push_back(builder.getNamedAttr("sizes", builder.getDictionaryAttr(sizes)));
  return builder.getDictionaryAttr(entry);
}

LogicalResult addVersions(ModuleOp module, ArrayRef<NamedSizes> versions, std::string &error) {
  func::FuncOp model = mainOf(module);
  if (versions.empty() || !model)
    return success();
  std::vector<Values> all;
  for (const NamedSizes &version : versions) {
    Values &values = all.emplace_back();
    for (const auto &[text, size] : version) {
      std::string symbol = findSymbol(model, text, error);
      if (symbol.empty())
        return failure();
      if (!values.try_emplace(symbol, SymExpr(size)).second) {
        error = "the dimension '" + symbol + "' is given twice";
        return failure();
      }
    }
  }
  SymbolTable table(module);
  // The first that fits is taken: of runs that leave inputs out, those of stated sizes come before the others.
  SmallVector<Attribute> entries;
  auto known = model->getAttrOfType<ArrayAttr>(kVersionsAttr);
  auto add = [&](func::FuncOp function, ArrayAttr leftOut) {
    for (const Values &values : all)
      if (DictionaryAttr entry = addVersion(function, values, leftOut, table))
        entries.push_back(entry);
  };
  if (known)
    for (auto entry : known.getAsRange<DictionaryAttr>()) {
      auto leftOut = entry.getAs<ArrayAttr>("left_out");
      auto body = table.lookup<func::FuncOp>(entry.getAs<FlatSymbolRefAttr>("body").getValue());
      if (leftOut && body && entry.getAs<DictionaryAttr>("sizes").empty())
        add(body, leftOut);
      entries.push_back(entry);
    }
  add(model, {});
  model->setAttr(kVersionsAttr, ArrayAttr::get(module.getContext(), entries));
  return success();
}

} // namespace ds
