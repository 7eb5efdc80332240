//===- Versions.cpp - Versions of a model for stated sizes and values -----===//
// Guarantees: see ds/Simplify/Versions.h.
//===----------------------------------------------------------------------===//
#include "ds/Simplify/Versions.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/ds/shape/Substitute.h"
#include "ds/Import/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
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

//===----------------------------------------------------------------------===//
// Values that a user states
//===----------------------------------------------------------------------===//

namespace {
class Forcing {
public:
  Forcing(ModuleOp module, const ForcedNode &forced) : module(module), forced(forced) {
    module.walk([&](IfOp op) { byNumber |= op.getNumber() && isNode(op); });
  }
  /// How many ops of the node took the values; nullopt after a diagnostic.
  std::optional<unsigned> run(func::FuncOp function);

private:
  bool isNode(Operation *op) const {
    std::optional<NodeName> name = getNodeName(op->getLoc());
    return name && name->name == forced.node;
  }
  LogicalResult force(BindOp bind);
  LogicalResult force(IfOp branch);
  /// At the function's end the value must be what was said.
  void check(Location loc, Value value, ArrayRef<int64_t> expected);
  void substituteAll(const Values &values);

  ModuleOp module;
  const ForcedNode &forced;
  bool byNumber = false; // the node has a version for each value of a number
};
} // namespace

void Forcing::substituteAll(const Values &values) {
  for (auto function : module.getOps<func::FuncOp>())
    substituteSymbols(function, values);
}

void Forcing::check(Location loc, Value value, ArrayRef<int64_t> expected) {
  Block *block = value.getParentBlock();
  OpBuilder builder(block->getTerminator());
  ShapeState names;
  module.walk([&](Operation *op) {
    op->getAttrDictionary().walk([&](ShapeAttr shape) {
      for (const SymExpr &expr : shape.getDims())
        names.reserveSymbols(expr);
    });
  });
  SmallVector<SymExpr> symbols;
  for (size_t i = 0; i < expected.size(); ++i)
    symbols.push_back(names.boundSymbol("b"));
  auto shape = [&](ArrayRef<SymExpr> exprs) { return ShapeAttr::get(builder.getContext(), exprs); };
  BindOp::create(builder, loc, value.getType(), value, shape(symbols));
  for (auto [symbol, number] : llvm::zip_equal(symbols, expected))
    RequireOp::create(builder, loc, shape({symbol}), shape({SymExpr(number)}),
                      std::to_string(number) + ", which --force-static says, for what the model computes");
}

LogicalResult Forcing::force(BindOp bind) {
  SmallVector<SymExpr> symbols(bind.getSymbols().getDims());
  if (symbols.size() != forced.values.size())
    return emitNodeError(bind) << "--force-static gives " << forced.values.size() << " values; its sizes follow from "
                               << symbols.size();
  Values values;
  for (auto [symbol, number] : llvm::zip_equal(symbols, forced.values))
    values.try_emplace(*symbol.symbolName(), SymExpr(number));
  Value x = bind.getX();
  Location loc = bind.getLoc();
  // What used the bound numbers as data goes on to do so.
  bind.getResult().replaceAllUsesWith(x);
  bind.erase();
  substituteAll(values);
  check(loc, x, forced.values);
  return success();
}

LogicalResult Forcing::force(IfOp branch) {
  bool isNumber = branch.getNumber().has_value();
  if (isNumber && forced.values.size() != 1)
    return emitNodeError(branch) << "--force-static expects one number here: " << *branch.getDecides();
  if (!isNumber && (forced.values.size() != 1 || forced.values[0] < 0 || forced.values[0] > 1))
    return emitNodeError(branch) << "--force-static expects 1 (then_branch) or 0 (else_branch) for an If";
  bool then = isNumber ? forced.values[0] == int64_t(*branch.getNumber()) : forced.values[0] != 0;
  auto body = module.lookupSymbol<func::FuncOp>(then ? branch.getThenBody() : branch.getElseBody());
  auto function = branch->getParentOfType<func::FuncOp>();
  OpBuilder builder(branch);
  IRMapping mapping;
  mapping.map(body.getArguments(), then ? branch.getThenInputs() : branch.getElseInputs());
  for (Operation &op : body.getBody().front().without_terminator())
    builder.clone(op, mapping);
  SmallVector<Value> results;
  for (Value value : body.getBody().front().getTerminator()->getOperands())
    results.push_back(mapping.lookup(value));

  Location loc = branch.getLoc();
  Value condition = branch.getCondition();
  SmallVector<ShapeAttr> stated(branch.getShapes().getAsRange<ShapeAttr>());
  // Symbols of the body's own are dims of what it got; those that the op defined are dims of what it made.
  ShapeState state;
  if (failed(seedArguments(function.getBody(), state)))
    return failure();
  for (Operation &op : function.getBody().front().without_terminator())
    if (failed(inferOp(&op, state)))
      return failure();
  Values values;
  auto match = [&](ArrayRef<SymExpr> symbolic, Value value) {
    for (auto [symbol, dim] : llvm::zip_equal(symbolic, *state.getDims(value)))
      if (auto name = symbol.symbolName(); name && dim != symbol)
        values.try_emplace(*name, dim);
  };
  std::set<std::string> own;
  if (auto symbols = body->getAttrOfType<ShapeAttr>(kOwnSymbolsAttr)) {
    for (const SymExpr &symbol : symbols.getDims())
      symbol.collectSymbols(own);
    for (auto [index, input] : llvm::enumerate(then ? branch.getThenInputs() : branch.getElseInputs()))
      match(body.getArgAttrOfType<ShapeAttr>(index, kShapeArgAttr).getDims(), input);
    std::erase_if(values, [&](const auto &entry) { return !own.count(entry.first); });
    substituteAll(values);
  }
  Values made;
  std::swap(values, made);
  for (auto [shape, result] : llvm::zip_equal(stated, results))
    match(shape.getDims(), result);
  std::set<std::string> defined;
  for (const SymExpr &symbol : branch.getSymbols().getDims())
    symbol.collectSymbols(defined);
  std::erase_if(values, [&](const auto &entry) { return !defined.count(entry.first); });
  branch->replaceAllUsesWith(results);
  branch.erase();
  substituteAll(values);
  builder.setInsertionPoint(function.getBody().front().getTerminator());
  auto flat = RankedTensorType::get({1}, builder.getI64Type());
  Value number = CastOp::create(builder, loc, RankedTensorType::get({}, builder.getI64Type()), condition);
  number = ReshapeOp::create(builder, loc, flat, number, Value(),
                             ShapeAttr::get(builder.getContext(), ArrayRef<int64_t>{1}), false);
  check(loc, number, {int64_t(then)});
  function.setType(FunctionType::get(module.getContext(), function.getArgumentTypes(),
                                     function.getBody().front().getTerminator()->getOperandTypes()));
  return success();
}

std::optional<unsigned> Forcing::run(func::FuncOp function) {
  // A number that is decided: what is in its branches follows from it. They come in here one after another.
  unsigned taken = 0;
  for (bool again = byNumber; again;) {
    again = false;
    for (auto branch : function.getBody().front().getOps<IfOp>())
      if (branch.getNumber() && isNode(branch)) {
        if (failed(force(branch)))
          return std::nullopt;
        ++taken;
        again = true;
        break;
      }
  }
  if (byNumber)
    return taken;
  SmallVector<Operation *> found;
  for (Operation &op : function.getBody().front())
    if (isa<BindOp, IfOp, LoopOp>(op) && isNode(&op))
      found.push_back(&op);
  for (Operation *op : found) {
    if (isa<LoopOp>(op)) {
      emitNodeError(op) << "--force-static cannot say what a loop does";
      return std::nullopt;
    }
    auto bind = dyn_cast<BindOp>(op);
    if (failed(bind ? force(bind) : force(cast<IfOp>(op))))
      return std::nullopt;
  }
  return found.size();
}

LogicalResult forceStatic(ModuleOp module, ArrayRef<ForcedNode> forced) {
  for (const ForcedNode &node : forced) {
    unsigned count = 0;
    Forcing forcing(module, node);
    for (auto function : llvm::to_vector(module.getOps<func::FuncOp>())) {
      std::optional<unsigned> forcedHere = forcing.run(function);
      if (!forcedHere)
        return failure();
      count += *forcedHere;
    }
    if (count == 0)
      return emitError(UnknownLoc::get(module.getContext()), "--force-static: nothing about the node '")
             << node.node << "' depends on data; --explain-regions lists the nodes of which something does";
  }
  // Functions that nothing runs any more.
  for (bool again = true; again;) {
    again = false;
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (function.isPrivate() && SymbolTable::symbolKnownUseEmpty(function, module)) {
        function.erase();
        again = true;
      }
  }
  return success();
}

} // namespace ds
