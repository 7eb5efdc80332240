//===- ValueTable.cpp - The sizes that a program computes -----------------===//
#include "lib/Conversion/RtToLLVM/ValueTable.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "llvm/ADT/SetVector.h"
#include <set>
#include <unordered_set>

using namespace mlir;

namespace ds {

static constexpr StringLiteral kTooComplex = " is too large or too complex an expression of the model's sizes; --shape "
                                             "can fix some";

SmallVector<SymExpr> HostSymbols::exprs(rt::DispatchOp dispatch, StringRef attribute) const {
  SmallVector<SymExpr> exprs(kernel(dispatch)->getAttrOfType<ShapeAttr>(attribute).getDims());
  auto actual = dispatch->getAttrOfType<ShapeAttr>(rt::kSymbols);
  if (!actual)
    return exprs;
  std::map<std::string, SymExpr> values;
  for (auto [index, symbol] : llvm::enumerate(actual.getExprs()))
    values.try_emplace("k" + std::to_string(index), symbol);
  for (SymExpr &expr : exprs) {
    expr = expr.substitute(values);
    if (expr.isOverflow() && (attribute == rt::kFlops || attribute == rt::kBytes))
      expr = SymExpr(0); // a figure for reports: nobody knows
  }
  return exprs;
}

SymExpr HostSymbols::expr(rt::DispatchOp dispatch, StringRef attribute) const {
  return exprs(dispatch, attribute).front();
}

SmallVector<ModuleOp> HostSymbols::launchedKernels(func::FuncOp function) const {
  llvm::SetVector<Operation *> kernels;
  for (auto dispatch : function.getOps<rt::DispatchOp>())
    kernels.insert(kernel(dispatch));
  SmallVector<ModuleOp> result;
  for (Operation *kernel : kernels)
    result.push_back(cast<ModuleOp>(kernel));
  return result;
}

FailureOr<SmallVector<func::FuncOp>> hostFunctions(ModuleOp module, const HostSymbols &symbols) {
  SmallVector<func::FuncOp> programs;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic())
      programs.push_back(function);
  if (programs.size() != 1) {
    module.emitError("expected one public function, the model; got ") << programs.size();
    return failure();
  }
  // Each caller before what it calls: the last place that a function is reached at counts.
  llvm::SetVector<Operation *> order;
  SmallVector<std::pair<func::FuncOp, bool>> work{{programs.front(), false}};
  llvm::SmallPtrSet<Operation *, 8> open, done;
  SmallVector<func::FuncOp> finished;
  while (!work.empty()) {
    auto [function, left] = work.pop_back_val();
    if (left) {
      open.erase(function);
      done.insert(function);
      finished.push_back(function);
      continue;
    }
    if (done.contains(function))
      continue;
    open.insert(function);
    work.emplace_back(function, true);
    for (auto call : function.getOps<rt::CallOp>())
      for (unsigned i = 0; i < call.getBodies().size(); ++i) {
        func::FuncOp body = symbols.body(call, i);
        if (!body || open.contains(body)) {
          call.emitOpError(body ? "runs the function that it is in" : "runs a function that does not exist");
          return failure();
        }
        work.emplace_back(body, false);
      }
    if (auto versions = function->getAttrOfType<ArrayAttr>(kVersionsAttr))
      for (auto version : versions.getAsRange<DictionaryAttr>())
        work.emplace_back(symbols.function(version.getAs<FlatSymbolRefAttr>("body")), false);
  }
  return SmallVector<func::FuncOp>(llvm::reverse(finished));
}

void ValueTable::addSymbol(const std::string &name) {
  symbolIndices.try_emplace(name, names.size());
  names.push_back(name);
}

unsigned ValueTable::stageOf(const SymExpr &expr) const {
  unsigned known = 0;
  expr.forEachSymbol([&](const std::string &symbol) {
    if (auto it = symbolIndices.find(symbol); it != symbolIndices.end())
      known = std::max(known, it->second + 1);
  });
  return llvm::partition_point(stages, [&](const Stage &stage) { return stage.symbolCount < known; }) - stages.begin();
}

void ValueTable::numberValues(const std::vector<SymExpr> &wanted) {
  std::vector<std::vector<SymExpr>> ofStage(stages.size());
  std::unordered_set<SymExpr, SymExpr::Hash> seen;
  for (const SymExpr &expr : wanted)
    if (!expr.isConst() && seen.insert(expr).second)
      ofStage[stageOf(expr)].push_back(expr);
  for (auto [stage, list] : llvm::zip_equal(stages, ofStage)) {
    for (const SymExpr &expr : list) {
      indices.try_emplace(expr, values.size());
      values.push_back({expr});
    }
    if (stage.scratch.size() == 1 && !stage.scratch.front().isConst()) {
      stage.scratchValue = indexOf(stage.scratch.front());
    } else if (stage.scratch.size() > 1) {
      stage.scratchValue = values.size();
      values.emplace_back(stage.scratch.begin(), stage.scratch.end());
    }
    stage.valueCount = values.size();
  }
}

/// Dims of the function's inputs, one list an input.
static SmallVector<SymDims> inputDims(func::FuncOp function) {
  SmallVector<SymDims> dims;
  for (auto entry : function->getAttrOfType<ArrayAttr>(rt::kInputs).getAsRange<DictionaryAttr>())
    dims.push_back(SymDims(entry.getAs<ShapeAttr>("shape").getDims()));
  return dims;
}

/// Symbols that are read from a dim of an input.
static std::vector<ValueTable::Symbol> symbolsOfInputs(func::FuncOp function) {
  std::set<std::string> seen, own;
  if (auto stated = function->getAttrOfType<ShapeAttr>(kOwnSymbolsAttr))
    for (const SymExpr &symbol : stated.getDims())
      symbol.collectSymbols(own);
  if (auto given = function->getAttrOfType<ArrayAttr>(kGivenAttr))
    for (auto name : given.getAsRange<StringAttr>())
      seen.insert(name.str());
  std::vector<ValueTable::Symbol> symbols;
  for (auto [input, dims] : llvm::enumerate(inputDims(function)))
    for (auto [d, dim] : llvm::enumerate(dims))
      if (auto name = dim.symbolName(); name && (function.isPublic() || own.count(*name)) && seen.insert(*name).second)
        symbols.push_back({*name, static_cast<unsigned>(input), static_cast<unsigned>(d)});
  return symbols;
}

static SmallVector<std::string> givenSymbols(func::FuncOp function) {
  SmallVector<std::string> names;
  if (auto given = function->getAttrOfType<ArrayAttr>(rt::kGiven))
    for (auto name : given.getAsRange<StringAttr>())
      names.push_back(name.str());
  return names;
}

static std::vector<ShapeConstraint> constraintsOf(func::FuncOp function) {
  std::vector<ShapeConstraint> constraints;
  if (auto stated = function->getAttrOfType<ArrayAttr>(rt::kConstraints))
    for (auto entry : stated.getAsRange<DictionaryAttr>()) {
      auto sides = entry.getAs<ShapeAttr>("sides");
      constraints.push_back({sides.getDim(0), sides.getDim(1),
                             static_cast<ShapeConstraint::Kind>(entry.getAs<IntegerAttr>("kind").getInt()),
                             entry.getAs<StringAttr>("message").str()});
    }
  return constraints;
}

/// Dims of a tensor as rt.call states it; one that is left out has none.
static SmallVector<SymExpr> dimsOf(DictionaryAttr entry) {
  auto shape = entry.getAs<ShapeAttr>("shape");
  return shape ? shape.getDims() : SmallVector<SymExpr>();
}

/// Every expression that the host must compute, but for scratch memory.
static std::vector<SymExpr> wantedExprs(func::FuncOp function, const HostSymbols &symbols) {
  std::vector<SymExpr> wanted;
  auto add = [&](ArrayAttr tensors) {
    for (auto entry : tensors.getAsRange<DictionaryAttr>())
      llvm::append_range(wanted, dimsOf(entry));
  };
  add(function->getAttrOfType<ArrayAttr>(rt::kOutputs));
  // Of the model's own, symbols are compared as such.
  for (auto entry : function->getAttrOfType<ArrayAttr>(rt::kInputs).getAsRange<DictionaryAttr>())
    for (const SymExpr &dim : dimsOf(entry))
      if (!function.isPublic() || !dim.symbolName())
        wanted.push_back(dim);
  for (auto buffer : function.getOps<rt::BufferOp>())
    if (buffer.getKind() == rt::BufferKind::temporary)
      wanted.push_back(buffer.getBytes().getDim(0));
  for (auto dispatch : function.getOps<rt::DispatchOp>())
    for (StringRef attribute : {rt::kSizes, rt::kRange, rt::kGrain, rt::kFlops, rt::kBytes})
      llvm::append_range(wanted, symbols.exprs(dispatch, attribute));
  for (auto call : function.getOps<rt::CallOp>()) {
    add(call.getInputTensors());
    add(call.getOutputTensors());
    for (unsigned i = 0; i < call.getBodies().size(); ++i)
      for (const std::string &name : givenSymbols(symbols.body(call, i)))
        wanted.push_back(SymExpr::symbol(name));
  }
  return wanted;
}

static LogicalResult checkTensors(Operation *op, ArrayAttr tensors, StringRef what) {
  for (auto entry : tensors.getAsRange<DictionaryAttr>())
    for (auto [axis, dim] : llvm::enumerate(dimsOf(entry)))
      if (dim.isOverflow())
        return emitNodeError(op) << "dimension " << axis << " of " << what << kTooComplex;
  return success();
}

LogicalResult ValueTable::checkSizes(func::FuncOp function, const HostSymbols &symbols) {
  for (auto dispatch : function.getOps<rt::DispatchOp>())
    for (StringRef attribute : {rt::kSizes, rt::kRange, rt::kGrain, rt::kScratch})
      for (const SymExpr &expr : symbols.exprs(dispatch, attribute))
        if (expr.isOverflow())
          return emitNodeError(dispatch) << "a size that its kernel needs (" << attribute.drop_front(3) << ")"
                                         << kTooComplex;
  for (auto buffer : function.getOps<rt::BufferOp>())
    if (buffer.getBytes().getDim(0).isOverflow()) {
      Operation *user = buffer->use_empty() ? buffer : *buffer->getUsers().begin();
      for (Operation *other : buffer->getUsers())
        if (other->getBlock() == user->getBlock() && other->isBeforeInBlock(user))
          user = other;
      return emitNodeError(user) << "the size of a tensor that it makes or reads" << kTooComplex;
    }
  for (auto call : function.getOps<rt::CallOp>())
    if (failed(checkTensors(call, call.getInputTensors(), "an operand")) ||
        failed(checkTensors(call, call.getOutputTensors(), "a result")))
      return failure();
  for (const ShapeConstraint &constraint : constraintsOf(function))
    if (constraint.a.isOverflow() || constraint.b.isOverflow())
      return function.emitError(constraint.message) << ": a size" << kTooComplex;
  return success(succeeded(checkTensors(function, function->getAttrOfType<ArrayAttr>(rt::kInputs), "an input")) &&
                 succeeded(checkTensors(function, function->getAttrOfType<ArrayAttr>(rt::kOutputs), "an output")));
}

std::vector<std::string> ValueTable::undefinedSymbols(func::FuncOp function, const HostSymbols &symbols) {
  std::set<std::string> used;
  for (const SymExpr &expr : wantedExprs(function, symbols))
    expr.collectSymbols(used);
  for (const ShapeConstraint &constraint : constraintsOf(function)) {
    constraint.a.collectSymbols(used);
    constraint.b.collectSymbols(used);
  }
  for (auto dispatch : function.getOps<rt::DispatchOp>())
    symbols.expr(dispatch, rt::kScratch).collectSymbols(used);
  auto drop = [&](ShapeAttr symbols) {
    for (const SymExpr &symbol : symbols.getDims())
      used.erase(*symbol.symbolName());
  };
  for (const Symbol &symbol : symbolsOfInputs(function))
    used.erase(symbol.name);
  for (auto bind : function.getOps<rt::BindOp>())
    drop(bind.getSymbols());
  for (auto call : function.getOps<rt::CallOp>())
    drop(call.getSymbols());
  return std::vector<std::string>(used.begin(), used.end());
}

/// Where the call's results have the symbol as a dim.
static ValueTable::BoundSymbol findDim(rt::CallOp call, const SymExpr &symbol) {
  for (auto [output, entry] : llvm::enumerate(call.getOutputTensors().getAsRange<DictionaryAttr>()))
    for (auto [d, dim] : llvm::enumerate(dimsOf(entry)))
      if (dim == symbol)
        return {*symbol.symbolName(), {}, call, static_cast<unsigned>(d), static_cast<unsigned>(output)};
  llvm_unreachable("a call's symbols are dims of its results");
}

namespace {
/// Different sizes; of the constants, the largest.
struct DistinctSizes {
  void add(const SymExpr &size) {
    if (size.isConst())
      least = std::max(least, size.getConst());
    else if (seen.insert(size).second)
      list.push_back(size);
  }
  SmallVector<SymExpr> take() {
    if (least != 0 || list.empty())
      list.push_back(SymExpr(least));
    return std::move(list);
  }
  int64_t least = 0;
  SmallVector<SymExpr> list;
  std::unordered_set<SymExpr, SymExpr::Hash> seen;
};
} // namespace

ValueTable::ValueTable(func::FuncOp function, const HostSymbols &symbols) {
  for (const Symbol &symbol : symbolsOfInputs(function))
    own.push_back(symbol);
  for (const std::string &name : givenSymbols(function))
    own.push_back({name});
  for (const Symbol &symbol : own)
    addSymbol(symbol.name);
  stages.emplace_back();
  stages.back().symbolCount = names.size();
  unsigned launches = 0;
  std::map<size_t, DistinctSizes> scratchOf;
  bool reading = false; // binds without a dispatch between them begin one stage
  auto beginStage = [&] {
    if (!reading) {
      stages.emplace_back();
      stages.back().firstLaunch = launches;
    }
    reading = true;
  };
  auto define = [&](BoundSymbol symbol) {
    addSymbol(symbol.name);
    bound.push_back(std::move(symbol));
    stages.back().symbolCount = names.size();
  };
  for (Operation &op : function.getBody().front()) {
    if (auto bind = dyn_cast<rt::BindOp>(op)) {
      beginStage();
      for (auto [element, symbol] : llvm::enumerate(bind.getSymbols().getDims()))
        define({*symbol.symbolName(), bind, {}, static_cast<unsigned>(element)});
      stages.back().symbolCount = names.size();
    } else if (auto call = dyn_cast<rt::CallOp>(op)) {
      stages.back().call = call;
      reading = false;
      beginStage();
      for (const SymExpr &symbol : call.getSymbols().getDims())
        define(findDim(call, symbol));
      stages.back().symbolCount = names.size();
    } else if (auto dispatch = dyn_cast<rt::DispatchOp>(op)) {
      reading = false;
      ++launches;
      ++stages.back().launchCount;
      scratchOf[stages.size() - 1].add(symbols.expr(dispatch, rt::kScratch));
    }
  }

  for (auto &[stage, sizes] : scratchOf)
    stages[stage].scratch = sizes.take();

  std::vector<SymExpr> wanted = wantedExprs(function, symbols);
  for (const Stage &stage : stages)
    if (stage.scratch.size() == 1)
      wanted.push_back(stage.scratch.front());
  numberValues(wanted);

  std::vector<std::vector<ShapeConstraint>> ofStage(stages.size());
  for (const ShapeConstraint &constraint : constraintsOf(function))
    ofStage[std::max(stageOf(constraint.a), stageOf(constraint.b))].push_back(constraint);
  for (auto [stage, list] : llvm::zip_equal(stages, ofStage)) {
    stage.firstConstraint = constraints.size();
    stage.constraintCount = list.size();
    llvm::append_range(constraints, list);
  }
}

} // namespace ds
