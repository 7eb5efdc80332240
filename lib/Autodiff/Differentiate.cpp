//===- Differentiate.cpp - Gradients by reverse mode ----------------------===//
// Assumes: one block of ds ops in attribute form, shapes inferred.
// Guarantees: see Passes.td. The work is linear in ops and operands; a value has one cotangent, the sum of its uses'.
// Declines: ops that run other functions (ds.if, ds.loop).
//===----------------------------------------------------------------------===//
#include "dialects/ds/grad/VjpBuilder.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "ds/Autodiff/Passes.h"
#include "ds/Import/Onnx.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/GlobPattern.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "ds/Autodiff/Passes.h.inc"

namespace {

bool isOfFloats(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

class Differentiator {
public:
  Differentiator(func::FuncOp function, Value of, ArrayRef<BlockArgument> wrt)
      : function(function), block(function.getBody().front()), of(of), wrt(wrt) {}

  /// The gradient of `of` by each of `wrt`.
  FailureOr<SmallVector<Value>> run();

private:
  /// Floats that `wrt` reaches.
  void findActive();
  /// Composite ops that have no rule become what they are made of.
  LogicalResult expandComposites();
  LogicalResult differentiate(Operation *op);
  void add(Value value, Value cotangent);

  func::FuncOp function;
  Block &block;
  Value of;
  ArrayRef<BlockArgument> wrt;
  ShapeState shapes;
  llvm::DenseSet<Value> active;
  DenseMap<Value, Value> cotangents;
};

} // namespace

void Differentiator::findActive() {
  active.clear();
  active.insert_range(wrt);
  for (Operation &op : block)
    if (llvm::any_of(op.getOperands(), [&](Value operand) { return active.contains(operand); }))
      for (Value result : op.getResults())
        if (isOfFloats(result))
          active.insert(result);
}

LogicalResult Differentiator::expandComposites() {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto composite = dyn_cast<CompositeOpInterface>(op);
    if (!composite || isa<DifferentiableOpInterface>(op) ||
        llvm::none_of(op.getResults(), [&](Value result) { return active.contains(result); }))
      continue;
    OpBuilder builder(&op);
    FailureOr<SmallVector<Value>> made = composite.expand(builder, shapes);
    if (failed(made))
      return emitNodeError(&op) << "has no derivative in this form";
    for (auto [result, value] : llvm::zip_equal(op.getResults(), *made))
      if (result == of)
        of = value;
    op.replaceAllUsesWith(*made);
    op.erase();
  }
  findActive();
  return success();
}

void Differentiator::add(Value value, Value cotangent) {
  Value &sum = cotangents[value];
  if (!sum) {
    sum = cotangent;
    return;
  }
  OpBuilder builder(block.getTerminator());
  FailureOr<AddOp> made =
      createInferred<AddOp>(builder, cotangent.getLoc(), shapes, getElementTypeOrSelf(value), sum, cotangent);
  sum = failed(made) ? Value() : Value(*made);
}

LogicalResult Differentiator::differentiate(Operation *op) {
  SmallVector<Value> results, operands(op->getNumOperands());
  for (Value result : op->getResults())
    results.push_back(cotangents.lookup(result));
  if (llvm::none_of(results, [](Value cotangent) { return bool(cotangent); }))
    return success();
  SmallVector<bool> needed;
  for (Value operand : op->getOperands())
    needed.push_back(active.contains(operand));
  if (llvm::none_of(needed, [](bool need) { return need; }))
    return success();
  auto rule = dyn_cast<DifferentiableOpInterface>(op);
  if (!rule)
    return emitNodeError(op) << "has no derivative (" << op->getName() << "), but the gradient depends on it";
  if (StringRef reason = rule.whyNoVjp(); !reason.empty())
    return emitNodeError(op) << "has no derivative (" << reason << "), but the gradient depends on it";
  OpBuilder builder(block.getTerminator());
  VjpBuilder vjp(builder, shapes, op, needed);
  if (failed(rule.buildVjp(vjp, results, operands)))
    return emitNodeError(op) << "has no derivative in this form (" << op->getName() << ")";
  for (auto [operand, cotangent, need] : llvm::zip_equal(op->getOperands(), operands, needed)) {
    if (!need || !cotangent)
      continue;
    Value own = vjp.reduceTo(vjp(cotangent), vjp.dims(operand)).get();
    if (!own)
      return emitNodeError(op) << "its derivative cannot be built";
    add(operand, own);
  }
  return success();
}

FailureOr<SmallVector<Value>> Differentiator::run() {
  if (failed(inferFunction(function, shapes)))
    return failure();
  findActive();
  if (failed(expandComposites()))
    return failure();
  SymDims dims = *shapes.getDims(of);
  if (!product(dims).isConst(1)) {
    function.emitError("the gradient is of a result with one element, not of ") << of.getType();
    return failure();
  }
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  OpBuilder builder(block.getTerminator());
  Type element = getElementTypeOrSelf(of);
  FailureOr<FillOp> seed = createInferred<FillOp>(builder, of.getLoc(), shapes, element, Value(),
                                                  ShapeAttr::get(function.getContext(), dims),
                                                  cast<TypedAttr>(builder.getFloatAttr(element, 1)));
  if (failed(seed))
    return failure();
  cotangents[of] = *seed;
  for (Operation *op : llvm::reverse(ops))
    if (failed(differentiate(op)))
      return failure();
  SmallVector<Value> gradients;
  for (BlockArgument argument : wrt) {
    Value gradient = cotangents.lookup(argument);
    if (!gradient) {
      builder.setInsertionPoint(block.getTerminator());
      FailureOr<FillOp> zeros =
          createInferred<FillOp>(builder, argument.getLoc(), shapes, getElementTypeOrSelf(argument), Value(),
                                 ShapeAttr::get(function.getContext(), ArrayRef<SymExpr>(*shapes.getDims(argument))),
                                 cast<TypedAttr>(builder.getFloatAttr(getElementTypeOrSelf(argument), 0)));
      if (failed(zeros))
        return failure();
      gradient = *zeros;
    }
    gradients.push_back(gradient);
  }
  return gradients;
}

namespace {
class DifferentiatePass : public impl::DifferentiatePassBase<DifferentiatePass> {
public:
  using DifferentiatePassBase::DifferentiatePassBase;
  void runOnOperation() override;

private:
  /// The result `of`; failure with a diagnostic.
  FailureOr<unsigned> findResult();
  FailureOr<SmallVector<BlockArgument>> findArguments();
};
} // namespace

static StringRef nameOf(DictionaryAttr attributes) {
  auto name = attributes ? attributes.getAs<StringAttr>(kNameAttr) : StringAttr();
  return name ? name.getValue() : StringRef();
}

FailureOr<unsigned> DifferentiatePass::findResult() {
  func::FuncOp function = getOperation();
  unsigned count = function.getNumResults(), found = count;
  for (unsigned i = 0; i < count; ++i)
    if (of.empty() ? count == 1 : nameOf(function.getResultAttrDict(i)) == of)
      found = i;
  if (found == count) {
    InFlightDiagnostic error = function.emitError();
    if (of.empty())
      error << "has " << count << " results; `of` says which one the gradient is of";
    else
      error << "has no result '" << of << "' that the gradient could be of";
    return failure();
  }
  if (!isOfFloats(function.getBody().front().getTerminator()->getOperand(found))) {
    function.emitError("the gradient is of a result of floats, not of '") << of << "'";
    return failure();
  }
  return found;
}

FailureOr<SmallVector<BlockArgument>> DifferentiatePass::findArguments() {
  func::FuncOp function = getOperation();
  SmallVector<BlockArgument> found;
  SmallVector<llvm::GlobPattern> patterns;
  SmallVector<bool> met(wrt.size());
  for (const std::string &text : wrt) {
    llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(text);
    if (!pattern) {
      function.emitError("wrt: ") << text << ": " << llvm::toString(pattern.takeError());
      return failure();
    }
    patterns.push_back(std::move(*pattern));
  }
  for (BlockArgument argument : function.getArguments()) {
    StringRef name = nameOf(function.getArgAttrDict(argument.getArgNumber()));
    bool isWanted = patterns.empty() && isOfFloats(argument);
    for (auto [i, pattern] : llvm::enumerate(patterns))
      if (pattern.match(name)) {
        met[i] = isWanted = true;
        if (!isOfFloats(argument) && !StringRef(wrt[i]).contains('*')) {
          function.emitError("wrt: the argument '") << name << "' is of no float type";
          return failure();
        }
      }
    if (isWanted && isOfFloats(argument))
      found.push_back(argument);
  }
  for (auto [i, isMet] : llvm::enumerate(met))
    if (!isMet) {
      function.emitError("wrt: there is no argument '") << wrt[i] << "'";
      return failure();
    }
  return found;
}

void DifferentiatePass::runOnOperation() {
  func::FuncOp function = getOperation();
  if (!function.getBody().hasOneBlock())
    return;
  FailureOr<unsigned> result = findResult();
  if (failed(result))
    return signalPassFailure();
  FailureOr<SmallVector<BlockArgument>> arguments = findArguments();
  if (failed(arguments))
    return signalPassFailure();
  Operation *terminator = function.getBody().front().getTerminator();
  FailureOr<SmallVector<Value>> gradients = Differentiator(function, terminator->getOperand(*result), *arguments).run();
  if (failed(gradients))
    return signalPassFailure();
  OpBuilder builder(function.getContext());
  for (auto [argument, gradient] : llvm::zip_equal(*arguments, *gradients)) {
    terminator->insertOperands(terminator->getNumOperands(), gradient);
    StringRef name = nameOf(function.getArgAttrDict(argument.getArgNumber()));
    DictionaryAttr attributes =
        builder.getDictionaryAttr(builder.getNamedAttr(kNameAttr, builder.getStringAttr("grad." + name)));
    if (failed(function.insertResult(function.getNumResults(), gradient.getType(), attributes)))
      return signalPassFailure();
  }
}

} // namespace ds
