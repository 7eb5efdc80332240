//===- LoopFacts.cpp - What a loop's body does with sizes and slices ------===//
// Guarantees: see LoopFacts.h. The body is looked at once, without the functions that it runs.
// Declines: slices by ds.slice, and those that a function takes which the body runs.
//===----------------------------------------------------------------------===//
#include "LoopFacts.h"

using namespace mlir;

namespace ds {

/// The symbols that a function's ops give a meaning.
static std::set<std::string> definedIn(func::FuncOp function) {
  std::set<std::string> names;
  auto add = [&](ShapeAttr symbols) {
    for (const SymExpr &symbol : symbols.getDims())
      symbol.collectSymbols(names);
  };
  if (auto own = function->getAttrOfType<ShapeAttr>(kOwnSymbolsAttr))
    add(own);
  for (Operation &op : function.getBody().front()) {
    if (auto define = dyn_cast<DefineOp>(op))
      names.insert(define.getSymbol().str());
    else if (auto symbols = op.getAttrOfType<ShapeAttr>("symbols"))
      add(symbols);
  }
  return names;
}

FailureOr<LoopFacts> lookAtLoop(LoopOp loop, func::FuncOp body, ShapeState &shapes) {
  LoopFacts facts;
  ShapeState inside;
  Block &block = body.getBody().front();
  if (failed(seedArguments(body.getBody(), inside)))
    return failure();
  // What is computed from the iteration's number is an expression of it.
  const SymExpr iteration = inside.freshSymbol();
  const std::string number = *iteration.symbolName();
  inside.setContents(block.getArgument(0), iteration);
  if (failed(inferRegion(body.getBody(), inside)))
    return failure();

  ValueRange results = block.getTerminator()->getOperands();
  const unsigned states = loop.getState().size();
  auto own = body->getAttrOfType<ShapeAttr>(kOwnSymbolsAttr);
  std::map<std::string, SymExpr> outside; // symbols of the body's own as the caller knows them
  for (unsigned k = 0; k < states; ++k) {
    // All others are what the caller says in each iteration.
    SymDims before = *inside.getDims(block.getArgument(k + 1)), after = *inside.getDims(results[k + 1]);
    facts.changes.push_back(own && llvm::any_of(llvm::zip_equal(before, after), [&](auto pair) {
                              auto [dim, next] = pair;
                              return llvm::is_contained(own.getDims(), dim) && !inside.isSame(dim, next);
                            }));
  }
  for (auto [i, operand] : llvm::enumerate(llvm::concat<const Value>(loop.getState(), loop.getCaptured())))
    if (i >= states || !facts.changes[i])
      for (auto [dim, known] : llvm::zip_equal(*inside.getDims(block.getArgument(i + 1)), *shapes.getDims(operand)))
        if (auto name = dim.symbolName(); name && dim != known)
          outside.try_emplace(*name, known);

  std::optional<SymExpr> most = loop.getTrips() ? shapes.getScalar(loop.getTrips()) : std::nullopt;
  std::optional<SymExpr> start = loop.getCondition() ? shapes.getScalar(loop.getCondition()) : SymExpr(1);
  std::optional<SymExpr> goesOn = inside.getScalar(results[0]);
  if (most && start && start->isConst(1) && goesOn && goesOn->isConst(1))
    facts.trips = SymExpr::max(*most, SymExpr(0));

  std::set<std::string> defined = definedIn(body);
  for (auto gather : block.getOps<GatherOp>()) {
    auto from = dyn_cast<BlockArgument>(gather.getX());
    std::optional<SymExpr> at = inside.getScalar(gather.getIndices());
    if (!from || from.getArgNumber() <= states || !at)
      continue;
    std::optional<int64_t> step = (at->substitute({{number, iteration + SymExpr(1)}}) - *at).tryConst();
    if (step != 1 && step != -1)
      continue;
    SymExpr first = at->substitute({{number, SymExpr(0)}}).substitute(outside);
    std::set<std::string> symbols = first.symbols();
    if (first.isOverflow() ||
        llvm::any_of(symbols, [&](const std::string &name) { return defined.count(name) && !outside.count(name); }))
      continue;
    // Indices that are negative count from the end, and are not one after another then.
    if (step == 1 ? !first.isNonNegative() : !most || !(first - *most + SymExpr(1)).isNonNegative())
      continue;
    facts.slices.push_back(
        {gather.getResult(), from.getArgNumber() - 1 - states, int64_t(gather.getAxis()), first, step == -1});
  }
  return facts;
}

} // namespace ds
