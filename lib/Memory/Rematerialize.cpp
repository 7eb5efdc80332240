//===- Rematerialize.cpp - Launches that run again, to keep a budget ------===//
// Assumes: kernels are code, donations are placed.
// Guarantees: results stay the same bits, for a launch that runs again runs the same code on the same operands; what is
//   placed stays placed. A budget that is met is met by the arena that the runtime plans, at the sizes that are stated;
//   one that cannot be met is an error that says what can.
// Declines: launches that read what calls made, or make results: they run once. Deciding anything itself: it carries
//   functions to Recompute and back.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/Donations.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Import/Onnx.h"
#include "ds/Memory/Passes.h"
#include "ds/Memory/Recompute.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_REMATERIALIZEPASS
#include "ds/Memory/Passes.h.inc"

namespace {

/// What a core does in a second, roughly: times are compared with one another alone.
constexpr double kFlops = 4e10, kBytes = 1e10, kLaunch = 2e-6;

std::string readable(int64_t bytes) {
  std::string text;
  const bool isSmall = bytes < 1'000'000;
  llvm::raw_string_ostream(text) << llvm::format(isSmall ? "%.1f kB" : "%.1f MB",
                                                 double(bytes) / (isSmall ? 1e3 : 1e6));
  return text;
}

/// A function as a RecomputeProblem.
class Planner {
public:
  Planner(func::FuncOp function, std::map<std::string, int64_t> sizes) : function(function), sizes(std::move(sizes)) {}

  LogicalResult read();
  /// Runs the launches in this order.
  void apply(ArrayRef<unsigned> order);
  /// Launches by the operator of their nodes: "Gelu 4, Conv 2", those that take most time first.
  std::string describe(ArrayRef<unsigned> order) const;
  std::vector<bool> marked(ArrayRef<llvm::GlobPattern> patterns, std::vector<bool> &met) const;
  /// The step that makes the first result.
  unsigned boundary();

  RecomputeProblem problem;
  /// Some size is not known, of a symbol that is missing where it is named; unknown sizes are 0 then.
  bool isUnknown = false;
  std::string missing;
  /// Bytes that are held beside the arena: states and results; what each thread has.
  int64_t held = 0, scratch = 0;

private:
  int64_t evaluate(const SymExpr &expr) {
    if (std::optional<int64_t> value = expr.evaluate(sizes))
      return *value;
    expr.forEachSymbol([&](const std::string &symbol) {
      if (!sizes.count(symbol) && (missing.empty() || symbol < missing))
        missing = symbol;
    });
    isUnknown = true;
    return 0;
  }
  int64_t bytesOf(Value value) {
    return evaluate(product(*shapes.getDims(value)) *
                    SymExpr((getElementTypeOrSelf(value.getType()).getIntOrFloatBitWidth() + 7) / 8));
  }
  void addBuffer(Value value, bool temporary) {
    numbers[value] = problem.program.addBuffer(temporary);
    problem.bytes.push_back(bytesOf(value));
    problem.overwrittenBy.push_back(-1);
  }
  void addLaunch(rt::LaunchOp launch);
  void addBoundary(Operation *op);
  void readDonations();

  func::FuncOp function;
  std::map<std::string, int64_t> sizes;
  ShapeState shapes;
  DenseMap<Value, unsigned> numbers; // of memory
  SmallVector<Operation *> steps;
  DenseSet<Value> results, madeByCalls;
};

void Planner::addLaunch(rt::LaunchOp launch) {
  MemoryProgram::Step step;
  auto code = SymbolTable::lookupNearestSymbolFrom<rt::CodeOp>(launch, launch.getKernelAttr());
  bool repeatable = bool(code);
  for (auto [result, shape] : llvm::zip_equal(launch.getResults(), launch.getShapes().getAsRange<ShapeAttr>())) {
    shapes.setDims(result, shape.getDims());
    const bool temporary = !results.contains(result);
    repeatable &= temporary;
    addBuffer(result, temporary);
    step.makes.push_back(numbers.lookup(result));
  }
  for (Value operand : launch.getInputs()) {
    Value memory = memoryOf(operand);
    repeatable &= !madeByCalls.contains(memory);
    if (!llvm::is_contained(step.reads, numbers.lookup(memory)))
      step.reads.push_back(numbers.lookup(memory));
  }
  double time = kLaunch;
  if (code) {
    std::map<std::string, int64_t> values;
    for (auto [name, value] :
         llvm::zip_equal(code.getSymbols().getAsValueRange<StringAttr>(), launch.getSymbols().getExprs()))
      values[name.str()] = evaluate(value);
    auto valueOf = [&](ShapeAttr expr) { return double(expr.getExprs()[0].evaluate(values).value_or(0)); };
    time += std::max(valueOf(code.getFlops()) / kFlops, valueOf(code.getBytes()) / kBytes);
    scratch = std::max(scratch, int64_t(valueOf(code.getScratch())));
    if (code.getInPlace() && launch.getNumResults() == 1)
      for (Value operand : launch.getInputs())
        if (*shapes.getDims(operand) == *shapes.getDims(launch.getResult(0)) &&
            getElementTypeOrSelf(operand.getType()).getIntOrFloatBitWidth() ==
                getElementTypeOrSelf(launch.getResult(0).getType()).getIntOrFloatBitWidth())
          step.inPlace.emplace_back(numbers.lookup(memoryOf(operand)), step.makes[0]);
  }
  problem.time.push_back(time);
  problem.repeatable.push_back(repeatable);
  problem.program.steps.push_back(std::move(step));
}

/// What it makes is memory of the call; it may be any operand's, and what it hands on is not read again.
void Planner::addBoundary(Operation *op) {
  MemoryProgram::Step step;
  step.isLaunch = false;
  for (Value operand : op->getOperands())
    if (auto number = numbers.find(memoryOf(operand)); number != numbers.end())
      step.reads.push_back(number->second);
  for (Value result : op->getResults()) {
    madeByCalls.insert(result);
    addBuffer(result, /*temporary=*/false);
    step.makes.push_back(numbers.lookup(result));
    for (unsigned read : step.reads)
      step.mayAlias.emplace_back(numbers.lookup(result), read);
  }
  problem.time.push_back(0);
  problem.repeatable.push_back(false);
  problem.program.steps.push_back(std::move(step));
}

/// States are held from step to step; a result that takes no state's memory from the start has memory of its own.
void Planner::readDonations() {
  Operation *terminator = function.getBody().front().getTerminator();
  DenseSet<Value> inPlace;
  for (BlockArgument argument : function.getArguments()) {
    auto output = function.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), kDonateAttr);
    if (!output)
      continue;
    held += problem.bytes[numbers.lookup(argument)];
    if (!function.getArgAttr(argument.getArgNumber(), kInPlaceAttr))
      continue;
    Value result = memoryOf(terminator->getOperand(unsigned(output.getInt())));
    inPlace.insert(result);
    if (auto writer = llvm::find(steps, result.getDefiningOp()); writer != steps.end())
      problem.overwrittenBy[numbers.lookup(argument)] = writer - steps.begin();
  }
  for (Value value : terminator->getOperands())
    if (Value memory = memoryOf(value); !inPlace.contains(memory))
      held += problem.bytes[numbers.lookup(memory)];
}

LogicalResult Planner::read() {
  if (failed(seedArguments(function.getBody(), shapes)))
    return failure();
  Block &block = function.getBody().front();
  for (Value value : block.getTerminator()->getOperands())
    results.insert(memoryOf(value));
  for (BlockArgument argument : function.getArguments())
    addBuffer(argument, /*temporary=*/false);
  for (Operation &op : block.without_terminator()) {
    if (auto launch = dyn_cast<rt::LaunchOp>(op)) {
      addLaunch(launch);
    } else if (failed(inferOp(&op, shapes))) {
      return failure();
    } else if (endsStage(&op)) {
      addBoundary(&op);
    } else {
      if (!viewedBy(&op))
        for (Value result : op.getResults())
          addBuffer(result, /*temporary=*/false);
      continue;
    }
    steps.push_back(&op);
  }
  readDonations();
  return success();
}

unsigned Planner::boundary() {
  Operation *terminator = function.getBody().front().getTerminator();
  if (terminator->getNumOperands())
    if (auto found = llvm::find(steps, memoryOf(terminator->getOperand(0)).getDefiningOp()); found != steps.end())
      return unsigned(found - steps.begin());
  return unsigned(steps.size());
}

std::vector<bool> Planner::marked(ArrayRef<llvm::GlobPattern> patterns, std::vector<bool> &met) const {
  std::vector<bool> marks(steps.size());
  for (auto [number, op] : llvm::enumerate(steps))
    // A kernel holds several nodes.
    op->getLoc()->walk([&, number = number](Location part) {
      if (std::optional<NodeName> node = getNodeName(part))
        for (auto [index, pattern] : llvm::enumerate(patterns))
          if (pattern.match(node->name))
            met[index] = marks[number] = true;
      return WalkResult::advance();
    });
  return marks;
}

void Planner::apply(ArrayRef<unsigned> order) {
  DenseMap<Value, Value> now;                     // what was made last, of what was made first
  DenseMap<std::pair<Value, Value>, Value> views; // of memory: the view of it that stands for a view
  std::vector<bool> ran(steps.size());
  // As they were: what is made first stands for all that is made later.
  SmallVector<SmallVector<Value>> operands;
  for (Operation *op : steps)
    operands.emplace_back(op->getOperands());
  auto current = [&](Value operand, Operation *user) {
    Value memory = memoryOf(operand), last = now.lookup(memory);
    if (!last || last == memory)
      return operand;
    if (operand == memory)
      return last;
    Value &view = views[{last, operand}];
    if (!view) {
      SmallVector<Operation *> chain;
      for (Value value = operand; value != memory; value = viewedBy(value.getDefiningOp()))
        chain.push_back(value.getDefiningOp());
      OpBuilder builder(user);
      IRMapping mapping;
      mapping.map(memory, last);
      for (Operation *op : llvm::reverse(chain))
        builder.clone(*op, mapping);
      view = mapping.lookup(operand);
    }
    return view;
  };
  // Steps that run later than they did go before one that stays where it is, as repetitions do.
  SmallVector<Operation *> anchors(order.size(), function.getBody().front().getTerminator());
  BitVector stays(order.size());
  for (unsigned position = 0, last = 0; position < order.size(); ++position)
    if (!ran[order[position]] && order[position] >= last) {
      last = order[position];
      stays.set(position);
      ran[last] = true;
    }
  for (size_t position = order.size(); position-- > 1;)
    anchors[position - 1] = stays[position] ? steps[order[position]] : anchors[position];
  ran.assign(steps.size(), false);
  for (auto [position, number] : llvm::enumerate(order)) {
    Operation *op = steps[number];
    if (ran[number]) {
      Operation *again = OpBuilder(anchors[position]).clone(*op);
      for (auto [operand, value] : llvm::zip_equal(again->getOpOperands(), operands[number]))
        operand.set(current(value, again));
      for (auto [first, last] : llvm::zip_equal(op->getResults(), again->getResults()))
        now[first] = last;
      continue;
    }
    ran[number] = true;
    if (!stays[position]) {
      // With all views of it.
      SmallVector<Operation *> moved{op};
      for (size_t i = 0; i < moved.size(); ++i) {
        moved[i]->moveBefore(anchors[position]);
        for (Operation *user : moved[i]->getUsers())
          if (viewedBy(user) && !endsStage(user) && !llvm::is_contained(moved, user))
            moved.push_back(user);
      }
    }
    for (auto [operand, value] : llvm::zip_equal(op->getOpOperands(), operands[number]))
      operand.set(current(value, op));
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
    if (viewedBy(&op) && !endsStage(&op) && op.use_empty())
      op.erase();
}

std::string Planner::describe(ArrayRef<unsigned> order) const {
  llvm::MapVector<StringRef, std::pair<double, unsigned>> kinds;
  std::vector<std::string> names;
  names.reserve(order.size());
  std::vector<bool> ran(steps.size());
  for (unsigned number : order) {
    if (ran[number]) {
      std::optional<NodeName> node = getNodeName(steps[number]->getLoc());
      names.push_back(node && !node->opType.empty() ? node->opType : "other");
      auto &[time, count] = kinds[names.back()];
      time += problem.time[number];
      ++count;
    }
    ran[number] = true;
  }
  auto sorted = kinds.takeVector();
  llvm::sort(sorted, [](const auto &x, const auto &y) {
    return x.second.first != y.second.first ? x.second.first > y.second.first : x.first < y.first;
  });
  std::string text;
  constexpr size_t kMost = 8;
  for (const auto &[kind, figures] : llvm::ArrayRef(sorted).take_front(kMost))
    text += (text.empty() ? "" : ", ") + kind.str() + " " + std::to_string(figures.second);
  return sorted.size() > kMost ? text + ", ..." : text;
}

class RematerializePass : public impl::RematerializePassBase<RematerializePass> {
public:
  using RematerializePassBase::RematerializePassBase;
  void runOnOperation() override;

private:
  LogicalResult readSizes();
  /// Of the model, not of a node.
  InFlightDiagnostic error(const Twine &message) { return emitError(UnknownLoc::get(&getContext()), message); }
  /// Whether the budget is a demand: of a model with versions by `mode`, those that train alone.
  bool demands(func::FuncOp function);
  LogicalResult plan(func::FuncOp function, bool isDemanded);
  /// As the model calls it.
  std::string shown(StringRef symbol);

  std::map<std::string, int64_t> values;
  SmallVector<llvm::GlobPattern> patterns;
  std::vector<bool> met;
  std::vector<std::string> notes;
  /// What the arena may have. Other modes than training hold more states and results, which come on top.
  int64_t room = 0;
};

std::string RematerializePass::shown(StringRef symbol) {
  auto display = getOperation()->getAttrOfType<DictionaryAttr>(kDimNamesAttr);
  auto name = display ? display.getAs<StringAttr>(symbol) : StringAttr();
  return name ? name.str() : symbol.str();
}

LogicalResult RematerializePass::readSizes() {
  auto display = getOperation()->getAttrOfType<DictionaryAttr>(kDimNamesAttr);
  for (StringRef text : sizes) {
    auto [name, number] = text.rsplit('=');
    int64_t size;
    if (number.getAsInteger(10, size) || size < 0)
      return getOperation().emitError("expected a size like N=32, got '") << text << "'";
    values[name.str()] = size;
    if (display)
      for (NamedAttribute each : display)
        if (cast<StringAttr>(each.getValue()).getValue() == name)
          values[each.getName().str()] = size;
  }
  // States have the dims that they begin with.
  for (auto function : getOperation().getOps<func::FuncOp>())
    for (BlockArgument argument : function.getArguments()) {
      const unsigned number = argument.getArgNumber();
      auto initial = function.getArgAttrOfType<ElementsAttr>(number, kDefaultAttr);
      auto shape = function.getArgAttrOfType<ShapeAttr>(number, kShapeArgAttr);
      if (initial && shape)
        for (auto [dim, size] : llvm::zip_equal(shape.getDims(), initial.getShapedType().getShape()))
          if (auto symbol = dim.symbolName())
            values.try_emplace(std::string(*symbol), size);
    }
  for (const std::string &text : recompute) {
    llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(text);
    if (!pattern)
      return error("--recompute=") << text << ": " << llvm::toString(pattern.takeError());
    patterns.push_back(std::move(*pattern));
  }
  met.resize(patterns.size());
  return success();
}

bool RematerializePass::demands(func::FuncOp function) {
  bool hasModes = false;
  for (auto other : getOperation().getOps<func::FuncOp>())
    if (auto versions = other->getAttrOfType<ArrayAttr>(kVersionsAttr))
      for (auto version : versions.getAsRange<DictionaryAttr>())
        if (auto mode = version.getAs<DictionaryAttr>("sizes").getAs<IntegerAttr>("mode")) {
          hasModes = true;
          if (mode.getInt() == 0 && version.getAs<FlatSymbolRefAttr>("body").getValue() == function.getName())
            return true;
        }
  return !hasModes;
}

LogicalResult RematerializePass::plan(func::FuncOp function, bool isDemanded) {
  Planner planner(function, values);
  if (failed(planner.read()))
    return failure();
  // A branch or loop has sizes that only the run knows: it stays as it is. What is marked runs again whatever the
  // sizes.
  if (planner.isUnknown && !isDemanded && patterns.empty())
    return success();
  if (planner.isUnknown && isDemanded && budget) {
    if (planner.missing.empty())
      return error("--memory-budget: the sizes of a step cannot be computed; state other ones");
    return error("--memory-budget needs the size of '")
           << shown(planner.missing)
           << "', which a step's memory depends on: write --memory-budget=...:" << shown(planner.missing)
           << "=32, or fix it with --shape";
  }
  const RecomputeProblem &problem = planner.problem;
  const int64_t beside = planner.held + threads * planner.scratch;
  RecomputePlan before = planWithout(problem), after = before;
  if (!patterns.empty())
    after = planMarked(problem, planner.marked(patterns, met), planner.boundary());
  if (isDemanded)
    room = std::max<int64_t>(budget - beside, 0);
  if (budget && !planner.isUnknown)
    after = planRecompute(problem, room, after, /*persists=*/isDemanded);
  if (isDemanded && budget && after.arena > budget - beside)
    return error("--memory-budget: a step holds ")
           << readable(before.arena + beside) << ", and " << readable(after.arena + beside)
           << " is the least found with recomputation, of which " << readable(planner.held)
           << " are parameters, states and results; " << readable(budget) << " are asked for";
  if (std::string problems = checkRecompute(problem, after.order); !problems.empty())
    return function.emitError("recomputation was planned wrongly: ") << problems;
  if (isDemanded) {
    double all = 0;
    for (double time : problem.time)
      all += time;
    std::string text;
    llvm::raw_string_ostream out(text);
    const size_t again = after.order.size() - problem.program.steps.size();
    auto tellAgain = [&] {
      out << again << " of " << problem.program.steps.size() << " launches";
      if (again)
        out << " (" << planner.describe(after.order) << ")";
    };
    if (planner.isUnknown) {
      out << "a step computes again ";
      tellAgain();
    } else {
      out << "memory of a step" << (sizes.empty() ? "" : " at ");
      llvm::interleaveComma(sizes, out);
      out << ": " << readable(after.arena + beside);
      if (again || after.arena < before.arena)
        out << " instead of " << readable(before.arena + beside);
      if (again) {
        out << ", by computing again ";
        tellAgain();
        out << ", about " << llvm::format("%.1f %%", 100 * after.time / std::max(all, 1e-12)) << " more time";
      } else {
        out << ", without computing anything again";
      }
      out << " (" << readable(planner.held) << " of parameters, states and results, " << readable(after.arena)
          << " of temporaries, " << readable(planner.scratch) << " of scratch for each thread)";
    }
    notes.push_back(std::move(text));
  }
  planner.apply(after.order);
  return success();
}

void RematerializePass::runOnOperation() {
  if (failed(readSizes()))
    return signalPassFailure();
  for (bool isDemanded : {true, false})
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal() && function.getBody().hasOneBlock() && demands(function) == isDemanded &&
          failed(plan(function, isDemanded)))
        return signalPassFailure();
  for (auto [pattern, isMet] : llvm::zip_equal(recompute, met))
    if (!isMet) {
      error("--recompute=") << pattern << ": no node of such a name is left in the program";
      return signalPassFailure();
    }
  for (StringRef note : notes)
    getContext().getDiagEngine().emit(UnknownLoc::get(&getContext()), DiagnosticSeverity::Note) << note;
}

} // namespace
} // namespace ds
