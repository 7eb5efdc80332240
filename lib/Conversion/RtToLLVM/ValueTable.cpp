//===- ValueTable.cpp - The sizes that a program computes -----------------===//
#include "lib/Conversion/RtToLLVM/ValueTable.h"
#include "dialects/ds/ir/NodeName.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include <set>
#include <unordered_set>

using namespace mlir;

namespace ds {

static constexpr StringLiteral kTooComplex = " is too large or too complex an expression of the model's sizes; --shape "
                                             "can fix some";

SmallVector<SymExpr> HostSymbols::exprs(rt::DispatchOp dispatch, Stated stated) const {
  rt::CodeOp code = kernel(dispatch);
  ShapeAttr own = (code.*stated)();
  auto [known, isNew] = stateds.try_emplace({own, code.getSymbols(), dispatch.getSymbols()});
  if (!isNew)
    return known->second;
  std::map<std::string, SymExpr> values;
  for (auto [name, value] :
       llvm::zip_equal(code.getSymbols().getAsValueRange<StringAttr>(), dispatch.getSymbols().getExprs()))
    values.try_emplace(name.str(), value);
  for (const SymExpr &expr : own.getExprs())
    known->second.push_back(expr.substitute(values));
  return known->second;
}

SymExpr HostSymbols::figure(rt::DispatchOp dispatch, Stated stated) const {
  SymExpr known = expr(dispatch, stated);
  return known.isOverflow() ? SymExpr(0) : known;
}

SmallVector<rt::CodeOp> HostSymbols::launchedKernels(rt::ProgramOp program) const {
  llvm::SetVector<Operation *> kernels;
  for (auto dispatch : program.getOps<rt::DispatchOp>())
    kernels.insert(kernel(dispatch));
  return llvm::map_to_vector(kernels, [](Operation *kernel) { return cast<rt::CodeOp>(kernel); });
}

FailureOr<SmallVector<rt::ProgramOp>> hostPrograms(ModuleOp module, const HostSymbols &symbols) {
  SmallVector<rt::ProgramOp> programs;
  for (auto program : module.getOps<rt::ProgramOp>())
    if (program.isPublic())
      programs.push_back(program);
  if (programs.size() != 1) {
    module.emitError("expected one public program, the model; got ") << programs.size();
    return failure();
  }
  // Each caller before what it calls: the last place that a program is reached at counts.
  llvm::SetVector<Operation *> order;
  SmallVector<std::pair<rt::ProgramOp, bool>> work{{programs.front(), false}};
  llvm::SmallPtrSet<Operation *, 8> open, done;
  SmallVector<rt::ProgramOp> finished;
  while (!work.empty()) {
    auto [program, left] = work.pop_back_val();
    if (left) {
      open.erase(program);
      done.insert(program);
      finished.push_back(program);
      continue;
    }
    if (done.contains(program))
      continue;
    open.insert(program);
    work.emplace_back(program, true);
    for (auto call : program.getOps<rt::CallOp>())
      for (unsigned i = 0; i < call.getBodies().size(); ++i) {
        rt::ProgramOp body = symbols.body(call, i);
        if (!body || open.contains(body)) {
          call.emitOpError(body ? "runs the program that it is in" : "runs a program that does not exist");
          return failure();
        }
        work.emplace_back(body, false);
      }
    if (std::optional<ArrayAttr> versions = program.getVersions())
      for (auto version : versions->getAsRange<rt::VersionAttr>())
        work.emplace_back(symbols.program(version.getBody()), false);
  }
  return SmallVector<rt::ProgramOp>(llvm::reverse(finished));
}

void ValueTable::addSymbol(const std::string &name) {
  symbolIndices.try_emplace(name, names.size());
  names.push_back(name);
}

unsigned ValueTable::stageOf(const SymExpr &expr) const {
  unsigned known = 0;
  unsigned least = 0;
  expr.forEachSymbol([&](const std::string &symbol) {
    if (auto it = symbolIndices.find(symbol); it != symbolIndices.end())
      known = std::max(known, it->second + 1);
    else if (const Defined *name = findDefined(symbol))
      least = std::max(least, name->stage);
  });
  unsigned first =
      llvm::partition_point(stages, [&](const Stage &stage) { return stage.symbolCount < known; }) - stages.begin();
  return std::max(first, least);
}

/// Names of long sizes that `program` states, in order.
static std::vector<std::pair<std::string, SymExpr>> definitionsOf(rt::ProgramOp program) {
  std::vector<std::pair<std::string, SymExpr>> all;
  std::set<std::string> seen;
  if (std::optional<ArrayAttr> stated = program.getDefined())
    for (auto entry : stated->getAsRange<rt::DefinitionAttr>())
      if (std::string name = entry.getSymbol().str(); seen.insert(name).second)
        all.emplace_back(name, entry.getValue().getDim(0));
  return all;
}

/// Adds what the names among `used` are made of; those of them that are needed, in order.
static std::vector<std::pair<std::string, SymExpr>> neededDefinitions(rt::ProgramOp program,
                                                                      std::set<std::string> &used) {
  std::vector<std::pair<std::string, SymExpr>> all = definitionsOf(program), needed;
  for (const auto &[name, expr] : llvm::reverse(all))
    if (used.count(name)) {
      needed.emplace_back(name, expr);
      expr.collectSymbols(used);
    }
  return {needed.rbegin(), needed.rend()};
}

void ValueTable::addDefined(rt::ProgramOp program, const std::set<std::string> &used) {
  std::set<std::string> all = used;
  for (const auto &[name, expr] : neededDefinitions(program, all)) {
    if (symbolIndices.count(name)) // the caller gives it
      continue;
    unsigned stage = stageOf(expr);
    definedIndices.try_emplace(name, defined.size());
    defined.push_back({name, expr, stage});
  }
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

/// Symbols that are read from a dim of an input.
static std::vector<ValueTable::Symbol> symbolsOfInputs(rt::ProgramOp program) {
  auto namesOf = [](std::optional<ArrayAttr> names) {
    llvm::StringSet<> set;
    if (names)
      set.insert_range(names->getAsValueRange<StringAttr>());
    return set;
  };
  llvm::StringSet<> seen = namesOf(program.getGiven()), own = namesOf(program.getOwn());
  std::vector<ValueTable::Symbol> symbols;
  for (auto [input, tensor] : llvm::enumerate(program.getInputs().getAsRange<rt::TensorAttr>()))
    for (auto [d, dim] : llvm::enumerate(tensor.getShape().getExprs()))
      if (auto name = dim.symbolName();
          name && (program.isPublic() || own.contains(*name)) && seen.insert(*name).second)
        symbols.push_back({*name, static_cast<unsigned>(input), static_cast<unsigned>(d)});
  return symbols;
}

static SmallVector<std::string> givenSymbols(rt::ProgramOp program) {
  SmallVector<std::string> names;
  if (std::optional<ArrayAttr> given = program.getGiven())
    for (StringRef name : given->getAsValueRange<StringAttr>())
      names.push_back(name.str());
  return names;
}

static std::vector<ShapeConstraint> constraintsOf(rt::ProgramOp program) {
  std::vector<ShapeConstraint> constraints;
  for (auto stated : program.getConstraints().getAsRange<rt::ConstraintAttr>())
    constraints.push_back({stated.getSides().getDim(0), stated.getSides().getDim(1),
                           static_cast<ShapeConstraint::Kind>(stated.getKind()), stated.getMessage().str()});
  return constraints;
}

/// Dims of a tensor; one that is left out has none.
static ArrayRef<SymExpr> dimsOf(Attribute tensor) {
  auto stated = dyn_cast<rt::TensorAttr>(tensor);
  return stated ? stated.getShape().getExprs() : ArrayRef<SymExpr>();
}

/// Every expression that the host must compute, but for scratch memory.
static std::vector<SymExpr> wantedExprs(rt::ProgramOp program, const HostSymbols &symbols) {
  std::vector<SymExpr> wanted;
  auto add = [&](ArrayAttr tensors) {
    for (Attribute tensor : tensors)
      llvm::append_range(wanted, dimsOf(tensor));
  };
  add(program.getOutputs());
  // Of the model's own, symbols are compared as such.
  for (Attribute input : program.getInputs())
    for (const SymExpr &dim : dimsOf(input))
      if (!program.isPublic() || !dim.symbolName())
        wanted.push_back(dim);
  for (auto buffer : program.getOps<rt::BufferOp>())
    if (buffer.getKind() == rt::BufferKind::temporary)
      wanted.push_back(buffer.getBytes().getDim(0));
  for (auto dispatch : program.getOps<rt::DispatchOp>()) {
    for (HostSymbols::Stated stated : {&rt::CodeOp::getSizes, &rt::CodeOp::getRange, &rt::CodeOp::getGrain})
      llvm::append_range(wanted, symbols.exprs(dispatch, stated));
    for (HostSymbols::Stated stated : {&rt::CodeOp::getFlops, &rt::CodeOp::getBytes})
      wanted.push_back(symbols.figure(dispatch, stated));
  }
  for (auto call : program.getOps<rt::CallOp>()) {
    add(call.getInputTensors());
    add(call.getOutputTensors());
    for (unsigned i = 0; i < call.getBodies().size(); ++i)
      for (const std::string &name : givenSymbols(symbols.body(call, i)))
        wanted.push_back(SymExpr::symbol(name));
  }
  return wanted;
}

static LogicalResult checkTensors(Operation *op, ArrayAttr tensors, StringRef what) {
  for (Attribute tensor : tensors)
    for (auto [axis, dim] : llvm::enumerate(dimsOf(tensor)))
      if (dim.isOverflow())
        return emitNodeError(op) << "dimension " << axis << " of " << what << kTooComplex;
  return success();
}

LogicalResult ValueTable::checkSizes(rt::ProgramOp program, const HostSymbols &symbols) {
  static constexpr std::pair<StringLiteral, HostSymbols::Stated> needed[] = {{"sizes", &rt::CodeOp::getSizes},
                                                                             {"range", &rt::CodeOp::getRange},
                                                                             {"grain", &rt::CodeOp::getGrain},
                                                                             {"scratch", &rt::CodeOp::getScratch}};
  for (auto dispatch : program.getOps<rt::DispatchOp>())
    for (auto [name, stated] : needed)
      for (const SymExpr &expr : symbols.exprs(dispatch, stated))
        if (expr.isOverflow())
          return emitNodeError(dispatch) << "a size that its kernel needs (" << name << ")" << kTooComplex;
  for (auto buffer : program.getOps<rt::BufferOp>())
    if (buffer.getBytes().getDim(0).isOverflow()) {
      Operation *user = buffer->use_empty() ? buffer : *buffer->getUsers().begin();
      for (Operation *other : buffer->getUsers())
        if (other->getBlock() == user->getBlock() && other->isBeforeInBlock(user))
          user = other;
      return emitNodeError(user) << "the size of a tensor that it makes or reads" << kTooComplex;
    }
  for (auto call : program.getOps<rt::CallOp>())
    if (failed(checkTensors(call, call.getInputTensors(), "an operand")) ||
        failed(checkTensors(call, call.getOutputTensors(), "a result")))
      return failure();
  for (const ShapeConstraint &constraint : constraintsOf(program))
    if (constraint.a.isOverflow() || constraint.b.isOverflow())
      return program.emitError(constraint.message) << ": a size" << kTooComplex;
  return success(succeeded(checkTensors(program, program.getInputs(), "an input")) &&
                 succeeded(checkTensors(program, program.getOutputs(), "an output")));
}

/// The symbols in all that the host computes.
static std::set<std::string> usedSymbols(rt::ProgramOp program, const HostSymbols &symbols) {
  std::set<std::string> used;
  for (const SymExpr &expr : wantedExprs(program, symbols))
    expr.collectSymbols(used);
  for (const ShapeConstraint &constraint : constraintsOf(program)) {
    constraint.a.collectSymbols(used);
    constraint.b.collectSymbols(used);
  }
  for (auto dispatch : program.getOps<rt::DispatchOp>())
    symbols.expr(dispatch, &rt::CodeOp::getScratch).collectSymbols(used);
  return used;
}

std::vector<std::string> ValueTable::undefinedSymbols(rt::ProgramOp program, const HostSymbols &symbols) {
  std::set<std::string> used = usedSymbols(program, symbols);
  for (const auto &[name, expr] : neededDefinitions(program, used))
    used.erase(name);
  auto drop = [&](ShapeAttr symbols) {
    for (const SymExpr &symbol : symbols.getDims())
      used.erase(*symbol.symbolName());
  };
  for (const Symbol &symbol : symbolsOfInputs(program))
    used.erase(symbol.name);
  for (auto bind : program.getOps<rt::BindOp>())
    drop(bind.getSymbols());
  for (auto call : program.getOps<rt::CallOp>())
    drop(call.getSymbols());
  return std::vector<std::string>(used.begin(), used.end());
}

/// Where the call's results have the symbol as a dim.
static ValueTable::BoundSymbol findDim(rt::CallOp call, const SymExpr &symbol) {
  for (auto [output, entry] : llvm::enumerate(call.getOutputTensors()))
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

ValueTable::ValueTable(rt::ProgramOp program, const HostSymbols &symbols) {
  for (const Symbol &symbol : symbolsOfInputs(program))
    own.push_back(symbol);
  for (const std::string &name : givenSymbols(program))
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
  for (Operation &op : *program.getBody()) {
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
      scratchOf[stages.size() - 1].add(symbols.expr(dispatch, &rt::CodeOp::getScratch));
    }
  }

  for (auto &[stage, sizes] : scratchOf)
    stages[stage].scratch = sizes.take();

  addDefined(program, usedSymbols(program, symbols));
  // Names first: others are computed from them.
  std::vector<SymExpr> wanted;
  for (const Defined &name : defined)
    wanted.push_back(SymExpr::symbol(name.name));
  llvm::append_range(wanted, wantedExprs(program, symbols));
  for (const Stage &stage : stages)
    if (stage.scratch.size() == 1)
      wanted.push_back(stage.scratch.front());
  numberValues(wanted);

  std::vector<std::vector<ShapeConstraint>> ofStage(stages.size());
  for (const ShapeConstraint &constraint : constraintsOf(program))
    ofStage[std::max(stageOf(constraint.a), stageOf(constraint.b))].push_back(constraint);
  for (auto [stage, list] : llvm::zip_equal(stages, ofStage)) {
    stage.firstConstraint = constraints.size();
    stage.constraintCount = list.size();
    llvm::append_range(constraints, list);
  }
}

} // namespace ds
