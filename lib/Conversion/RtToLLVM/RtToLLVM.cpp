//===- RtToLLVM.cpp - The host program as code ----------------------------===//
// Assumes: buffers assigned, kernels are code.
// Guarantees: the table `ds_program` of ds_kernel.h, and one for each body; each has two functions with a part for
// every
//   stage. `sizes` checks every constraint and every step of its arithmetic for overflow; `run` launches in order and
//   stops at the first error. Neither allocates.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/NodeName.h"
#include "ds/Conversion/Passes.h"
#include "lib/Conversion/RtToLLVM/ValueTable.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/include/ds_kernel.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_CONVERTRTTOLLVMPASS
#include "ds/Conversion/Passes.h.inc"

namespace {

/// Evaluates expressions over the symbols, straight-line; `failed` gathers what overflowed.
class SizeBuilder {
public:
  /// For values [first, last) of the table: `values` has those before them.
  SizeBuilder(OpBuilder &b, Location loc, const ValueTable &table, unsigned first, unsigned last, Value symbols,
              Value values)
      : b(b), loc(loc), table(table), symbols(symbols), values(values) {
    overflowed = constant(b.getI1Type(), 0);
    // In order, so that none waits for another.
    for (const ValueTable::Defined &name : table.getDefined())
      if (unsigned index = table.indexOf(SymExpr::symbol(name.name)); first <= index && index < last)
        definedHere[name.name] = evaluate(name.expr);
  }

  Value largest(ArrayRef<SymExpr> exprs) {
    Value result;
    for (const SymExpr &expr : exprs) {
      Value value = evaluate(expr);
      result = result ? arith::MaxSIOp::create(b, loc, result, value) : value;
    }
    return result;
  }

  Value evaluate(const SymExpr &expr) {
    auto slot = known.find(expr);
    if (slot != known.end())
      return slot->second;
    Value sum, taken; // of what is added, and of what is subtracted
    for (const SymExpr::Term &term : expr.terms()) {
      const bool isTaken = term.coefficient == -1 && !term.monomial.empty();
      Value value;
      for (const auto &atom : term.monomial) {
        Value factor = evaluateAtom(*atom);
        value = value ? checked<LLVM::SMulWithOverflowOp>(value, factor) : factor;
      }
      if (!value)
        value = constant(b.getI64Type(), term.coefficient);
      else if (term.coefficient != 1 && !isTaken)
        value = checked<LLVM::SMulWithOverflowOp>(value, constant(b.getI64Type(), term.coefficient));
      Value &total = isTaken ? taken : sum;
      total = total ? checked<LLVM::SAddWithOverflowOp>(total, value) : value;
    }
    if (!sum)
      sum = constant(b.getI64Type(), 0);
    if (taken)
      sum = checked<LLVM::SSubWithOverflowOp>(sum, taken);
    return known[expr] = sum;
  }

  Value load(Value base, int64_t index) { return LLVM::LoadOp::create(b, loc, b.getI64Type(), address(base, index)); }
  Value address(Value base, int64_t index) {
    return LLVM::GEPOp::create(b, loc, base.getType(), b.getI64Type(), base,
                               ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
  }
  Value constant(Type type, int64_t value) {
    Value &made = constants[{type, value}];
    return made ? made : made = arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
  }
  Value compare(arith::CmpIPredicate predicate, Value x, Value y) {
    return arith::CmpIOp::create(b, loc, predicate, x, y);
  }
  Value overflowed;

private:
  template <typename OpTy> Value checked(Value x, Value y) {
    Type type = LLVM::LLVMStructType::getLiteral(b.getContext(), {b.getI64Type(), b.getI1Type()});
    Value pair = OpTy::create(b, loc, type, x, y);
    Value bad = LLVM::ExtractValueOp::create(b, loc, pair, ArrayRef<int64_t>{1});
    overflowed = arith::OrIOp::create(b, loc, overflowed, bad);
    return LLVM::ExtractValueOp::create(b, loc, pair, ArrayRef<int64_t>{0});
  }

  Value evaluateSymbol(const std::string &name) {
    if (!table.findDefined(name))
      return load(symbols, table.symbolIndex(name));
    if (Value here = definedHere.lookup(name))
      return here;
    return load(values, table.indexOf(SymExpr::symbol(name)));
  }

  Value evaluateAtom(const SymExpr::Atom &atom) {
    if (Value slot = knownAtoms.lookup(&atom))
      return slot;
    if (atom.kind == SymExpr::AtomKind::Symbol)
      return knownAtoms[&atom] = evaluateSymbol(atom.name);
    Value x = evaluate(atom.a), y = evaluate(atom.b);
    Value one = constant(b.getI64Type(), 1), minusOne = constant(b.getI64Type(), -1);
    bool plain = atom.b.isConst() && !atom.b.isConst(0) && !atom.b.isConst(-1);
    // The processor traps where the divisor is 0, which a constraint reports, and the least number by -1, which is
    // negation instead. What kernels divide by besides (pieces of no elements) may be 0, and counts as 1.
    auto divisor = [&]() -> Value {
      if (plain)
        return y;
      Value bad = arith::OrIOp::create(b, loc, compare(arith::CmpIPredicate::eq, y, constant(b.getI64Type(), 0)),
                                       compare(arith::CmpIPredicate::eq, y, minusOne));
      return arith::SelectOp::create(b, loc, bad, one, y);
    };
    auto negatedByMinusOne = [&](Value quotient) -> Value {
      if (plain)
        return quotient;
      Value isMinusOne = compare(arith::CmpIPredicate::eq, y, minusOne);
      Value zero = constant(b.getI64Type(), 0);
      Value subtrahend = arith::SelectOp::create(b, loc, isMinusOne, x, zero);
      Value negated = checked<LLVM::SSubWithOverflowOp>(zero, subtrahend);
      return arith::SelectOp::create(b, loc, isMinusOne, negated, quotient);
    };
    Value result;
    switch (atom.kind) {
    case SymExpr::AtomKind::Symbol:
      break;
    case SymExpr::AtomKind::FloorDiv:
      result = negatedByMinusOne(arith::FloorDivSIOp::create(b, loc, x, divisor()));
      break;
    case SymExpr::AtomKind::CeilDiv:
      result = negatedByMinusOne(arith::CeilDivSIOp::create(b, loc, x, divisor()));
      break;
    case SymExpr::AtomKind::Mod: {
      Value d = divisor();
      Value quotient = arith::FloorDivSIOp::create(b, loc, x, d);
      result = arith::SubIOp::create(b, loc, x, arith::MulIOp::create(b, loc, quotient, d));
      break;
    }
    case SymExpr::AtomKind::Min:
      result = arith::MinSIOp::create(b, loc, x, y);
      break;
    case SymExpr::AtomKind::Max:
      result = arith::MaxSIOp::create(b, loc, x, y);
      break;
    case SymExpr::AtomKind::Bcast:
      result = arith::SelectOp::create(b, loc, compare(arith::CmpIPredicate::eq, x, one), y, x);
      break;
    }
    return knownAtoms[&atom] = result;
  }

  OpBuilder &b;
  Location loc;
  const ValueTable &table;
  Value symbols, values; // loaded from where they are first needed
  llvm::StringMap<Value> definedHere;
  std::unordered_map<SymExpr, Value, SymExpr::Hash> known;
  DenseMap<const SymExpr::Atom *, Value> knownAtoms; // of expressions in `known`
  DenseMap<std::pair<Type, int64_t>, Value> constants;
};

/// The code of one program, number `number` of the artifact's (0: the model's), into the module `host`.
class HostBuilder {
public:
  HostBuilder(ModuleOp host, rt::ProgramOp program, unsigned number, const HostSymbols &symbols)
      : program(program), number(number), symbols(symbols), table(program, symbols), b(host.getContext()),
        loc(program.getLoc()), pointer(LLVM::LLVMPointerType::get(host.getContext())), host(host) {}

  LogicalResult build(unsigned bodyCount) {
    if (failed(buildSizes()))
      return failure();
    if (failed(buildRun()))
      return failure();
    buildTable(bodyCount);
    return success();
  }

private:
  /// "ds_program", or "ds_body3".
  static std::string nameOf(unsigned number) {
    return number ? "ds_body" + std::to_string(number - 1) : DS_PROGRAM_SYMBOL;
  }
  /// LLVM's work for a block grows faster than the block: what a stage computes beyond so many sizes is several
  /// functions, each of so many.
  static constexpr unsigned kLongSizes = 512, kPieceSizes = 64;
  LogicalResult buildSizes();
  /// Values and constraints that one function computes.
  struct SizePiece {
    unsigned firstValue, lastValue, firstConstraint, lastConstraint;
  };
  /// The code that the function returns: the number of a constraint that does not hold, or 0.
  Value buildPiece(const SizePiece &piece, Value symbols, Value values);
  void buildStageSizes(unsigned number, Value symbols, Value values);
  LogicalResult buildRun();
  /// Branches on the stage number, block argument 0: calls `build` with the insertion point in each one's block, which
  /// it must end.
  void forEachStage(LLVM::LLVMFuncOp function, llvm::function_ref<void(unsigned)> build);
  void buildTable(unsigned bodyCount);
  LLVM::GlobalOp createTable(Type type, StringRef name, LLVM::Linkage linkage, llvm::function_ref<Value()> value);
  LLVM::LLVMFuncOp createFunction(StringRef name, ArrayRef<Type> arguments) {
    b.setInsertionPointToEnd(host.getBody());
    return LLVM::LLVMFuncOp::create(b, loc, name, LLVM::LLVMFunctionType::get(b.getI32Type(), arguments));
  }
  Value constant(Type type, int64_t value) {
    return LLVM::ConstantOp::create(b, loc, type, b.getIntegerAttr(type, value));
  }
  Value element(Value base, Type type, int64_t index) {
    return LLVM::GEPOp::create(b, loc, pointer, type, base, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
  }

  rt::ProgramOp program;
  unsigned number;
  const HostSymbols &symbols;
  ValueTable table;
  OpBuilder b;
  Location loc;
  Type pointer;
  ModuleOp host;
};

} // namespace

void HostBuilder::forEachStage(LLVM::LLVMFuncOp function, llvm::function_ref<void(unsigned)> build) {
  Block *entry = &function.getBody().front();
  unsigned count = table.getStages().size();
  SmallVector<Block *> blocks;
  for (unsigned stage = 0; stage < count; ++stage) {
    blocks.push_back(b.createBlock(&function.getBody(), function.getBody().end()));
    build(stage);
  }
  b.setInsertionPointToEnd(entry);
  SmallVector<int32_t> cases;
  for (unsigned stage = 1; stage < count; ++stage)
    cases.push_back(stage);
  if (count == 1)
    LLVM::BrOp::create(b, loc, blocks[0]);
  else
    LLVM::SwitchOp::create(b, loc, entry->getArgument(0), blocks[0], ValueRange(), cases,
                           ArrayRef<Block *>(blocks).drop_front(), SmallVector<ValueRange>(count - 1));
}

Value HostBuilder::buildPiece(const SizePiece &piece, Value symbols, Value values) {
  SizeBuilder size(b, loc, table, piece.firstValue, piece.lastValue, symbols, values);
  Type i32 = b.getI32Type();
  SmallVector<Value> holds;
  for (unsigned i = piece.firstConstraint; i < piece.lastConstraint; ++i) {
    const ShapeConstraint &constraint = table.constraints[i];
    Value x = size.evaluate(constraint.a), y = size.evaluate(constraint.b);
    Value one = size.constant(b.getI64Type(), 1);
    Value equal = size.compare(arith::CmpIPredicate::eq, x, y);
    switch (constraint.kind) {
    case ShapeConstraint::Equal:
      holds.push_back(equal);
      break;
    case ShapeConstraint::NotZero:
      holds.push_back(size.compare(arith::CmpIPredicate::ne, x, size.constant(b.getI64Type(), 0)));
      break;
    case ShapeConstraint::LessEqual:
      holds.push_back(size.compare(arith::CmpIPredicate::sle, x, y));
      break;
    case ShapeConstraint::Broadcast: {
      Value either = arith::OrIOp::create(b, loc, size.compare(arith::CmpIPredicate::eq, x, one),
                                          size.compare(arith::CmpIPredicate::eq, y, one));
      holds.push_back(arith::OrIOp::create(b, loc, equal, either));
      break;
    }
    }
  }
  for (unsigned index = piece.firstValue; index < piece.lastValue; ++index)
    LLVM::StoreOp::create(b, loc, size.largest(table.getValues()[index]), size.address(values, index));
  // The first constraint that fails; overflow comes last, as all others may fail because of it.
  Value code = arith::SelectOp::create(b, loc, size.overflowed, size.constant(i32, table.constraints.size() + 1),
                                       size.constant(i32, 0));
  for (int64_t i = static_cast<int64_t>(holds.size()) - 1; i >= 0; --i)
    code = arith::SelectOp::create(b, loc, holds[i], code, size.constant(i32, piece.firstConstraint + i + 1));
  return code;
}

/// The values that the stage before it did not know, and the stage's constraints.
void HostBuilder::buildStageSizes(unsigned number, Value symbols, Value values) {
  const ValueTable::Stage &stage = table.getStages()[number];
  unsigned firstValue = number ? table.getStages()[number - 1].valueCount : 0;
  unsigned endOfConstraints = stage.firstConstraint + stage.constraintCount;
  if (stage.valueCount - firstValue + stage.constraintCount <= kLongSizes) {
    LLVM::ReturnOp::create(
        b, loc, buildPiece({firstValue, stage.valueCount, stage.firstConstraint, endOfConstraints}, symbols, values));
    return;
  }
  SmallVector<SizePiece> pieces;
  for (unsigned at = firstValue; at < stage.valueCount; at += kPieceSizes)
    pieces.push_back({at, std::min(at + kPieceSizes, stage.valueCount), 0, 0});
  for (unsigned at = stage.firstConstraint; at < endOfConstraints; at += kPieceSizes)
    pieces.push_back({0, 0, at, std::min(at + kPieceSizes, endOfConstraints)});
  // Numbers of constraints, from 0; all ones for none. Of what the pieces find, the least counts.
  Type i32 = b.getI32Type();
  Value least = constant(i32, -1), one = constant(i32, 1);
  auto type = LLVM::LLVMFunctionType::get(i32, {pointer, pointer});
  for (auto [index, piece] : llvm::enumerate(pieces)) {
    std::string name = nameOf(this->number) + "_sizes" + std::to_string(number) + "_" + std::to_string(index);
    {
      OpBuilder::InsertionGuard guard(b);
      LLVM::LLVMFuncOp function = createFunction(name, {pointer, pointer});
      function.setLinkage(LLVM::Linkage::Internal);
      function.setNoInline(true);
      Block *entry = function.addEntryBlock(b);
      b.setInsertionPointToStart(entry);
      LLVM::ReturnOp::create(b, loc, buildPiece(piece, entry->getArgument(0), entry->getArgument(1)));
    }
    auto call = LLVM::CallOp::create(b, loc, type, name, ValueRange{symbols, values});
    least = arith::MinUIOp::create(b, loc, least, arith::SubIOp::create(b, loc, call.getResult(), one));
  }
  LLVM::ReturnOp::create(b, loc, arith::AddIOp::create(b, loc, least, one));
}

LogicalResult HostBuilder::buildSizes() {
  auto check = [&](const SymExpr &expr) -> LogicalResult {
    bool known = true;
    expr.forEachSymbol([&](const std::string &symbol) { known &= table.isKnown(symbol); });
    if (!known)
      return program.emitError("the size '") << expr.str() << "' depends on data that nothing binds";
    return success();
  };
  for (ArrayRef<SymExpr> exprs : table.getValues())
    for (const SymExpr &expr : exprs)
      if (failed(check(expr)))
        return failure();
  for (const ValueTable::Defined &name : table.getDefined())
    if (failed(check(name.expr)))
      return failure();
  for (const ShapeConstraint &constraint : table.constraints)
    if (failed(check(constraint.a)) || failed(check(constraint.b)))
      return failure();
  LLVM::LLVMFuncOp sizes = createFunction(nameOf(number) + "_sizes", {b.getI32Type(), pointer, pointer});
  sizes.setLinkage(LLVM::Linkage::Internal);
  Block *entry = sizes.addEntryBlock(b);
  forEachStage(sizes, [&](unsigned stage) { buildStageSizes(stage, entry->getArgument(1), entry->getArgument(2)); });
  return success();
}

LogicalResult HostBuilder::buildRun() {
  Type i64 = b.getI64Type(), i32 = b.getI32Type();
  auto kernelType = LLVM::LLVMFunctionType::get(i32, {pointer, pointer, i64, i64});
  b.setInsertionPointToEnd(host.getBody());
  for (rt::CodeOp kernel : symbols.launchedKernels(program))
    if (!host.lookupSymbol(kernel.getSymName()))
      LLVM::LLVMFuncOp::create(b, loc, kernel.getSymName(), kernelType);

  LLVM::LLVMFuncOp run = createFunction(nameOf(number) + "_run", {i32, pointer});
  run.setLinkage(LLVM::Linkage::Internal);
  Block *entry = run.addEntryBlock(b);
  Value self = entry->getArgument(1);
  b.setInsertionPointToStart(entry);
  int64_t mostArguments = 1, mostSizes = 1;
  SmallVector<rt::DispatchOp> dispatches(program.getOps<rt::DispatchOp>());
  for (rt::DispatchOp dispatch : dispatches) {
    mostArguments = std::max<int64_t>(mostArguments, dispatch.getBuffers().size());
    mostSizes = std::max<int64_t>(mostSizes, symbols.kernel(dispatch).getSizes().size());
  }
  // One launch is over before the next begins: they share the arrays.
  Value arguments = LLVM::AllocaOp::create(b, loc, pointer, pointer, constant(i64, mostArguments));
  Value sizes = LLVM::AllocaOp::create(b, loc, pointer, i64, constant(i64, mostSizes));
  Value state = LLVM::AllocaOp::create(b, loc, pointer, pointer, constant(i64, 2));
  LLVM::StoreOp::create(b, loc, arguments, state);
  LLVM::StoreOp::create(b, loc, sizes, element(state, pointer, 1));
  Value buffers = LLVM::LoadOp::create(b, loc, pointer, self);
  Value values = LLVM::LoadOp::create(b, loc, pointer, element(self, pointer, 1));
  Value launch = LLVM::LoadOp::create(b, loc, pointer, element(self, pointer, 2));

  DenseMap<Value, int64_t> numbers;
  for (auto buffer : program.getOps<rt::BufferOp>())
    numbers.try_emplace(buffer, numbers.size());
  auto launchType = LLVM::LLVMFunctionType::get(i32, {pointer, i32, pointer, pointer, i64, i64});
  LogicalResult built = success();
  forEachStage(run, [&](unsigned number) {
    const ValueTable::Stage &stage = table.getStages()[number];
    rt::DispatchOp current;
    auto valueOf = [&](const SymExpr &expr) -> Value {
      if (expr.isConst())
        return constant(i64, expr.getConst());
      unsigned index = table.indexOf(expr);
      if (index >= stage.valueCount && succeeded(built))
        built = current.emitError("the size '") << expr.str() << "' is used before it is bound";
      return LLVM::LoadOp::create(b, loc, i64, element(values, i64, index));
    };
    for (unsigned node = stage.firstLaunch; node < stage.firstLaunch + stage.launchCount; ++node) {
      rt::DispatchOp dispatch = current = dispatches[node];
      rt::CodeOp kernel = symbols.kernel(dispatch);
      for (auto [i, buffer] : llvm::enumerate(dispatch.getBuffers())) {
        Value address = LLVM::LoadOp::create(b, loc, pointer, element(buffers, pointer, numbers.lookup(buffer)));
        LLVM::StoreOp::create(b, loc, address, element(arguments, pointer, i));
      }
      for (auto [i, size] : llvm::enumerate(symbols.exprs(dispatch, &rt::CodeOp::getSizes)))
        LLVM::StoreOp::create(b, loc, valueOf(size), element(sizes, i64, i));
      Value code = LLVM::AddressOfOp::create(b, loc, pointer, kernel.getSymName());
      auto call = LLVM::CallOp::create(b, loc, launchType,
                                       ValueRange{launch, self, constant(i32, node), code, state,
                                                  valueOf(symbols.expr(dispatch, &rt::CodeOp::getRange)),
                                                  valueOf(symbols.expr(dispatch, &rt::CodeOp::getGrain))});
      Value failed = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::ne, call.getResult(), constant(i32, 0));
      Block *block = b.getInsertionBlock();
      Block *stop = b.createBlock(&run.getBody(), run.getBody().end());
      LLVM::ReturnOp::create(b, loc, call.getResult());
      Block *next = b.createBlock(&run.getBody(), run.getBody().end());
      b.setInsertionPointToEnd(block);
      LLVM::CondBrOp::create(b, loc, failed, stop, next);
      b.setInsertionPointToEnd(next);
    }
    LLVM::ReturnOp::create(b, loc, constant(i32, 0));
  });
  return built;
}

LLVM::GlobalOp HostBuilder::createTable(Type type, StringRef name, LLVM::Linkage linkage,
                                        llvm::function_ref<Value()> value) {
  b.setInsertionPointToEnd(host.getBody());
  auto global = LLVM::GlobalOp::create(b, loc, type, /*isConstant=*/true, linkage, name, Attribute());
  b.createBlock(&global.getInitializerRegion());
  LLVM::ReturnOp::create(b, loc, value());
  return global;
}

void HostBuilder::buildTable(unsigned bodyCount) {
  Type i32 = b.getI32Type();
  Value value;
  auto set = [&](Value field, int64_t index) {
    value = LLVM::InsertValueOp::create(b, loc, value, field, ArrayRef<int64_t>{index});
  };
  auto address = [&](const std::string &name) { return LLVM::AddressOfOp::create(b, loc, pointer, name); };
  const std::string name = nameOf(number);
  if (bodyCount) {
    auto type = LLVM::LLVMArrayType::get(pointer, bodyCount);
    createTable(type, name + "_bodies", LLVM::Linkage::Internal, [&] {
      value = LLVM::UndefOp::create(b, loc, type);
      for (unsigned body = 0; body < bodyCount; ++body)
        set(address(nameOf(body + 1)), body);
      return value;
    });
  }
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), {i32, i32, pointer, pointer, i32, pointer, pointer});
  createTable(type, name, number ? LLVM::Linkage::Internal : LLVM::Linkage::External, [&] {
    value = LLVM::UndefOp::create(b, loc, type);
    set(constant(i32, DS_KERNEL_ABI_VERSION), 0);
    set(constant(i32, symbols.launchedKernels(program).size()), 1);
    set(address(name + "_sizes"), 2);
    set(address(name + "_run"), 3);
    set(constant(i32, bodyCount), 4);
    set(bodyCount ? address(name + "_bodies").getResult() : LLVM::ZeroOp::create(b, loc, pointer).getResult(), 5);
    set(LLVM::ZeroOp::create(b, loc, pointer), 6); // emitObjects links variants
    return value;
  });
}

namespace {

class ConvertRtToLLVMPass : public impl::ConvertRtToLLVMPassBase<ConvertRtToLLVMPass> {
public:
  using ConvertRtToLLVMPassBase::ConvertRtToLLVMPassBase;
  void runOnOperation() override {
    HostSymbols symbols(getOperation());
    FailureOr<SmallVector<rt::ProgramOp>> programs = hostPrograms(getOperation(), symbols);
    if (failed(programs))
      return signalPassFailure();
    for (rt::ProgramOp program : *programs)
      if (failed(ValueTable::checkSizes(program, symbols)))
        return signalPassFailure();
    // What the session gives, the model says; a body's callers give what it needs. Callees first: what they need of
    // their callers must be known to these.
    Builder attributes(&getContext());
    for (rt::ProgramOp program : llvm::reverse(*programs))
      if (program != programs->front()) {
        std::vector<std::string> given = ValueTable::undefinedSymbols(program, symbols);
        program.setGivenAttr(attributes.getStrArrayAttr(SmallVector<StringRef>(given.begin(), given.end())));
      }
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(getOperation().getBody());
    auto host = ModuleOp::create(builder, programs->front().getLoc(), "host");
    for (auto [number, program] : llvm::enumerate(*programs))
      if (failed(HostBuilder(host, program, number, symbols).build(number ? 0 : programs->size() - 1)))
        return signalPassFailure();
  }
};

} // namespace

} // namespace ds
