//===- Differentiate.cpp - Gradients by reverse mode ----------------------===//
// Assumes: functions of one block of ds ops in attribute form, shapes inferred.
// Guarantees: see Passes.td.
// Declines: see Walk.cpp, Loops.cpp.
//===----------------------------------------------------------------------===//
#include "Walk.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "ds/Autodiff/Gradients.h"
#include "ds/Autodiff/Passes.h"
#include "ds/Import/Onnx.h"
#include "llvm/Support/GlobPattern.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "ds/Autodiff/Passes.h.inc"

void eraseUnreached(ModuleOp module, ShapeState *shapes) {
  SmallVector<func::FuncOp> open;
  llvm::DenseSet<Operation *> reached;
  for (auto function : module.getOps<func::FuncOp>())
    if (!function.isPrivate() && reached.insert(function).second)
      open.push_back(function);
  SymbolTable table(module);
  while (!open.empty())
    open.pop_back_val()->walk([&](Operation *op) {
      op->getAttrDictionary().walk([&](FlatSymbolRefAttr name) {
        if (auto function = table.lookup<func::FuncOp>(name.getAttr()); function && reached.insert(function).second)
          open.push_back(function);
      });
    });
  for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    if (!reached.contains(function)) {
      if (shapes)
        function.walk<WalkOrder::PreOrder>([&](Block *block) {
          for (Value argument : block->getArguments())
            shapes->forget(argument);
          for (Operation &op : *block)
            for (Value result : op.getResults())
              shapes->forget(result);
        });
      function.erase();
    }
}

/// Gradients of the sum of the elements of result `of`.
static FailureOr<SmallVector<Value>> reverseOf(Reverser &shared, func::FuncOp function, unsigned of,
                                               ArrayRef<BlockArgument> wrt) {
  Operation *terminator = function.getBody().front().getTerminator();
  ShapeState &shapes = shared.shapes;
  SmallVector<Value> roots(wrt.begin(), wrt.end());
  Walk walk(shared, function, roots);
  if (failed(walk.prepare()))
    return failure();
  Value loss = terminator->getOperand(of);
  OpBuilder builder(terminator);
  auto fill = [&](Location loc, Type element, ArrayRef<SymExpr> dims, double value) {
    return createInferred<FillOp>(builder, loc, shapes, element, Value(), ShapeAttr::get(builder.getContext(), dims),
                                  cast<TypedAttr>(builder.getFloatAttr(element, value)));
  };
  FailureOr<FillOp> seed = fill(loss.getLoc(), getElementTypeOrSelf(loss), *shapes.getDims(loss), 1);
  if (failed(seed) || failed(walk.add(loss, *seed)) || failed(walk.run()))
    return failure();
  SmallVector<Value> gradients;
  for (BlockArgument argument : wrt) {
    Value gradient = walk.cotangent(argument);
    if (!gradient) {
      FailureOr<FillOp> zeros = fill(argument.getLoc(), getElementTypeOrSelf(argument), *shapes.getDims(argument), 0);
      if (failed(zeros))
        return failure();
      gradient = *zeros;
    }
    gradients.push_back(gradient);
  }
  return gradients;
}

FailureOr<SmallVector<Value>> buildGradients(func::FuncOp function, unsigned of, ArrayRef<BlockArgument> wrt) {
  auto module = function->getParentOfType<ModuleOp>();
  // Versions have results and constants of their own. Runs that leave inputs out, or have the sizes, take the function.
  function->removeAttr(kVersionsAttr);
  Reverser shared(module);
  if (failed(inferFunction(function, shared.shapes)))
    return failure();
  Value loss = function.getBody().front().getTerminator()->getOperand(of);
  if (!product(*shared.shapes.getDims(loss)).isConst(1)) {
    function.emitError("the gradient is of a result with one element, not of ") << loss.getType();
    return failure();
  }
  FailureOr<SmallVector<Value>> gradients = reverseOf(shared, function, of, wrt);
  if (succeeded(gradients))
    eraseUnreached(module);
  return gradients;
}

FailureOr<SmallVector<Value>> buildSumGradients(func::FuncOp function, unsigned of, ArrayRef<BlockArgument> wrt,
                                                ShapeState &shapes) {
  Reverser shared(function->getParentOfType<ModuleOp>());
  shared.shapes = std::move(shapes);
  FailureOr<SmallVector<Value>> gradients = reverseOf(shared, function, of, wrt);
  shapes = std::move(shared.shapes);
  return gradients;
}

namespace {
class DifferentiatePass : public impl::DifferentiatePassBase<DifferentiatePass> {
public:
  using DifferentiatePassBase::DifferentiatePassBase;
  void runOnOperation() override;

private:
  LogicalResult differentiate(func::FuncOp function);
  /// The result `of`; failure with a diagnostic.
  FailureOr<unsigned> findResult(func::FuncOp function);
  FailureOr<SmallVector<BlockArgument>> findArguments(func::FuncOp function);
};
} // namespace

static StringRef nameOf(DictionaryAttr attributes) {
  auto name = attributes ? attributes.getAs<StringAttr>(kNameAttr) : StringAttr();
  return name ? name.getValue() : StringRef();
}

FailureOr<unsigned> DifferentiatePass::findResult(func::FuncOp function) {
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

FailureOr<SmallVector<BlockArgument>> DifferentiatePass::findArguments(func::FuncOp function) {
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

LogicalResult DifferentiatePass::differentiate(func::FuncOp function) {
  FailureOr<unsigned> result = findResult(function);
  if (failed(result))
    return failure();
  FailureOr<SmallVector<BlockArgument>> arguments = findArguments(function);
  if (failed(arguments))
    return failure();
  FailureOr<SmallVector<Value>> gradients = buildGradients(function, *result, *arguments);
  if (failed(gradients))
    return failure();
  Operation *terminator = function.getBody().front().getTerminator();
  OpBuilder builder(function.getContext());
  for (auto [argument, gradient] : llvm::zip_equal(*arguments, *gradients)) {
    terminator->insertOperands(terminator->getNumOperands(), gradient);
    StringRef name = nameOf(function.getArgAttrDict(argument.getArgNumber()));
    DictionaryAttr attributes =
        builder.getDictionaryAttr(builder.getNamedAttr(kNameAttr, builder.getStringAttr("grad." + name)));
    if (failed(function.insertResult(function.getNumResults(), gradient.getType(), attributes)))
      return failure();
  }
  return success();
}

void DifferentiatePass::runOnOperation() {
  SmallVector<func::FuncOp> functions; // before bodies come and go
  for (auto function : getOperation().getOps<func::FuncOp>())
    if (!function.isPrivate() && function.getBody().hasOneBlock())
      functions.push_back(function);
  for (func::FuncOp function : functions)
    if (failed(differentiate(function)))
      return signalPassFailure();
}

} // namespace ds
