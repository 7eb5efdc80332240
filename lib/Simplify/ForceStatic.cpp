//===- ForceStatic.cpp - Sizes and branches that a user states ------------===//
// Assumes: sizes that depend on data are bound (ds-bind-values).
// Guarantees: the values are taken as given; a check at the function's end compares them with what it computed.
// Declines: nodes of which nothing depends on data, and loops: errors that name them.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/ds/shape/Substitute.h"
#include "ds/Import/Onnx.h"
#include "ds/Simplify/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include <set>

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_FORCESTATICPASS
#include "ds/Simplify/Passes.h.inc"

using Values = std::map<std::string, SymExpr>;

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

static LogicalResult forceStatic(ModuleOp module, ArrayRef<ForcedNode> forced) {
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

/// "node=2;3", of which the name may hold '='.
static std::optional<ForcedNode> parseNode(StringRef text) {
  auto [name, list] = text.rsplit('=');
  SmallVector<StringRef> numbers;
  list.split(numbers, ';');
  ForcedNode forced{name.str(), {}};
  for (StringRef number : numbers)
    if (name.empty() || number.getAsInteger(10, forced.values.emplace_back()) || forced.values.back() < 0)
      return std::nullopt;
  return forced;
}

namespace {
class ForceStaticPass : public impl::ForceStaticPassBase<ForceStaticPass> {
public:
  using ForceStaticPassBase::ForceStaticPassBase;
  explicit ForceStaticPass(ArrayRef<ForcedNode> forced) : forced(forced) {}

  void runOnOperation() override {
    std::vector<ForcedNode> all = forced;
    for (StringRef text : nodes) {
      std::optional<ForcedNode> node = parseNode(text);
      if (!node) {
        getOperation().emitError("expected NODE=NUMBER;... with numbers that are not negative, got '") << text << "'";
        return signalPassFailure();
      }
      all.push_back(std::move(*node));
    }
    if (failed(forceStatic(getOperation(), all)))
      signalPassFailure();
  }

private:
  std::vector<ForcedNode> forced;
};
} // namespace

std::unique_ptr<Pass> createForceStaticPass(ArrayRef<ForcedNode> forced) {
  return std::make_unique<ForceStaticPass>(forced);
}

} // namespace ds
