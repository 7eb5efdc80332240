//===- Gradient.cpp - ai.onnx.preview.training.Gradient -------------------===//
// Assumes: see Node.h; the inputs are followed by what y, xs and zs name.
// Guarantees: what lies between xs, zs and y is a function of them, differentiated as all functions are
//   (ds/Autodiff/Gradients.h) and taken at the values that the node's inputs have. Where those are the tensors
//   themselves, what is computed again is what Simplify finds to be there. Of a y of several elements it is the
//   gradient of their sum.
// Declines: nodes in branches and loops, outside of which y may be computed; sizes in between that depend on data, and
//   those that depend on inputs that are other values than the tensors.

#include "Gradient.h"

#include "../Node.h"
#include "ds/Autodiff/Gradients.h"

#include "mlir/IR/IRMapping.h"

#include "llvm/ADT/DenseSet.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

namespace {
/// The ops that make `y` of leaves, in order.
class Between {
public:
  /// A leaf that stands for another value than the tensor has: what integers are made of it is made anew, too.
  void addLeaf(Value tensor, bool isOther) {
    leaves.insert(tensor);
    reached.insert(tensor);
    if (isOther)
      changed.insert(tensor);
  }

  SmallVector<mlir::Operation *> find(Value y) {
    SmallVector<mlir::Operation *> ops;
    for (mlir::Operation &op : *y.getParentBlock()) {
      auto isIn = [&](const DenseSet<Value> &set) {
        return any_of(op.getOperands(), [&](Value operand) { return set.contains(operand); });
      };
      const bool isChanged = isIn(changed), isReached = isIn(reached);
      if (isChanged && isa<BindOp>(op))
        deciding = &op;
      bool makes = false;
      for (Value result : op.getResults()) {
        const bool isFloat = isa<mlir::FloatType>(mlir::getElementTypeOrSelf(result.getType()));
        if (leaves.contains(result) || !(isChanged || (isReached && isFloat)))
          continue;
        makes = true;
        reached.insert(result);
        if (isChanged)
          changed.insert(result);
      }
      if (makes)
        ops.push_back(&op);
    }
    DenseSet<Value> needed;
    if (!leaves.contains(y))
      needed.insert(y);
    SmallVector<mlir::Operation *> used;
    for (mlir::Operation *op : reverse(ops)) {
      if (none_of(op->getResults(), [&](Value result) { return needed.contains(result); }))
        continue;
      used.push_back(op);
      for (Value operand : op->getOperands())
        if (!leaves.contains(operand))
          needed.insert(operand);
    }
    std::reverse(used.begin(), used.end());
    return used;
  }

  /// What makes sizes of values that are others than the tensors; null: nothing.
  mlir::Operation *deciding = nullptr;

private:
  DenseSet<Value> leaves, reached, changed;
};

/// The node's values.
struct Parts {
  SmallVector<Value> given, tensors; // of xs, then of zs
  Value y;
  unsigned xs = 0;
};
} // namespace

static bool isKnown(Node &n, Value value) {
  return all_of(n.dims(value), [&](const SymExpr &dim) { return n.shapes.isKnownOnEntry(dim) && !dim.isOverflow(); });
}

/// Fails unless what is given can take the tensors' places.
static Parts partsOf(Node &n) {
  auto names = n.get<std::vector<std::string>>("xs", {}), zs = n.get<std::vector<std::string>>("zs", {});
  Parts parts;
  parts.xs = unsigned(names.size());
  append_range(names, zs);
  const size_t count = n.inputs.size() - names.size() - 1;
  if (count != names.size())
    return n.fail("expected an input for each of the " + Twine(names.size()) + " tensors in xs and zs, got " +
                  Twine(count)),
           parts;
  parts.given.assign(n.inputs.begin(), n.inputs.begin() + count);
  parts.y = n.inputs[count];
  parts.tensors.assign(n.inputs.begin() + count + 1, n.inputs.end());
  if (!n.isFloat(parts.y))
    n.fail("y is of no float type");
  for (auto [i, tensor] : enumerate(parts.tensors)) {
    Value given = parts.given[i];
    if (is_contained(ArrayRef<Value>(parts.tensors).take_front(i), tensor))
      n.fail("'" + names[i] + "' is a tensor that xs and zs name twice");
    else if (!given || n.elem(given) != n.elem(tensor) || n.rank(given) != n.rank(tensor))
      n.fail("expected a value of the type and rank of '" + names[i] + "' as input " + Twine(i));
    else if (i < parts.xs && !n.isFloat(given))
      n.fail("'" + names[i] + "' is in xs and of no float type; move it to zs");
    else if (!isKnown(n, given) || !isKnown(n, tensor))
      n.fail("'" + names[i] + "' has a size that depends on data, which is not supported");
  }
  if (n.failed)
    return parts;
  auto shape = [&](const SymExpr &dim) { return ShapeAttr::get(n.b.getContext(), ArrayRef<SymExpr>{dim}); };
  for (auto [given, tensor, name] : zip_equal(parts.given, parts.tensors, names)) {
    const std::string message = "the input for '" + name + "' to have its dimensions";
    for (auto [own, wanted] : zip_equal(n.dims(given), n.dims(tensor)))
      if (!n.shapes.isSame(own, wanted))
        n.failed |= mlir::failed(inferOp(RequireOp::create(n.b, n.loc, shape(own), shape(wanted), message), n.shapes));
  }
  return parts;
}

namespace {
/// A function of leaves and of what else its ops read.
class Outlined {
public:
  Outlined(Node &n, mlir::ModuleOp module) : n(n) {
    mlir::OpBuilder atEnd = mlir::OpBuilder::atBlockEnd(module.getBody());
    std::string name = "gradient";
    while (module.lookupSymbol(name))
      name += '_';
    function = mlir::func::FuncOp::create(atEnd, n.loc, name, atEnd.getFunctionType({}, {}));
    function.setPrivate();
    block = function.addEntryBlock();
  }
  ~Outlined() {
    for (Value argument : block->getArguments())
      n.shapes.forget(argument);
    for (mlir::Operation &op : *block)
      for (Value result : op.getResults())
        n.shapes.forget(result);
    function.erase();
  }

  mlir::BlockArgument addArgument(Value outer) {
    mlir::BlockArgument argument = block->addArgument(outer.getType(), n.loc);
    n.shapes.copy(outer, argument);
    n.shapes.setDims(argument, n.dims(outer));
    inside.map(outer, Value(argument));
    outside.push_back(outer);
    return argument;
  }

  void build(ArrayRef<mlir::Operation *> ops, Value result) {
    mlir::OpBuilder builder = mlir::OpBuilder::atBlockEnd(block);
    auto capture = [&](Value value) {
      if (inside.contains(value))
        return;
      if (auto constant = value.getDefiningOp<ConstantOp>())
        copy(builder, *constant.getOperation(), inside);
      else
        addArgument(value);
    };
    for (mlir::Operation *op : ops) {
      for (Value operand : op->getOperands())
        capture(operand);
      copy(builder, *op, inside);
    }
    capture(result);
    if (n.failed)
      return;
    Value own = inside.lookup(result);
    mlir::func::ReturnOp::create(builder, n.loc, own);
    function.setFunctionType(builder.getFunctionType(block->getArgumentTypes(), mlir::ValueRange(own).getTypes()));
  }

  /// Its ops where the node is, of `first` and of what the other arguments stand for.
  mlir::IRMapping inlineInto(ArrayRef<Value> first) {
    mlir::IRMapping inlined;
    for (auto [i, argument] : enumerate(block->getArguments()))
      inlined.map(Value(argument), i < first.size() ? Value(first[i]) : outside[i]);
    for (mlir::Operation &op : block->without_terminator())
      copy(n.b, op, inlined);
    return inlined;
  }

  mlir::func::FuncOp function;

private:
  void copy(mlir::OpBuilder &builder, mlir::Operation &op, mlir::IRMapping &values) {
    if (!n.failed)
      n.failed = mlir::failed(inferOp(builder.clone(op, values), n.shapes));
  }

  Node &n;
  mlir::Block *block;
  mlir::IRMapping inside;
  SmallVector<Value> outside; // what its arguments stand for
};
} // namespace

void ds::importer::gradient(Node &n) {
  auto caller = dyn_cast<mlir::func::FuncOp>(n.b.getInsertionBlock()->getParentOp());
  if (!caller || caller.isPrivate())
    return (void)n.fail("is supported outside of branches and loops only");
  Parts parts = partsOf(n);
  if (n.failed)
    return;
  Between between;
  for (auto [given, tensor] : zip_equal(parts.given, parts.tensors))
    between.addLeaf(tensor, given != tensor);
  SmallVector<mlir::Operation *> ops = between.find(parts.y);
  if (between.deciding)
    return (void)n.fail(
        "inputs that are other values than the tensors of xs and zs decide sizes, which is not supported");
  SmallVector<Value> met{parts.y};
  for (mlir::Operation *op : ops) {
    append_range(met, op->getOperands());
    append_range(met, op->getResults());
  }
  for (Value value : met)
    if (!isKnown(n, value))
      return (void)n.fail("a size that depends on data lies between xs and y, which is not supported");

  auto module = caller->getParentOfType<mlir::ModuleOp>();
  {
    Outlined inner(n, module);
    SmallVector<mlir::BlockArgument> leaves;
    for (Value tensor : parts.tensors)
      leaves.push_back(inner.addArgument(tensor));
    inner.build(ops, parts.y);
    if (n.failed)
      return;
    FailureOr<SmallVector<Value>> gradients =
        buildSumGradients(inner.function, 0, ArrayRef<mlir::BlockArgument>(leaves).take_front(parts.xs), n.shapes);
    n.failed = mlir::failed(gradients);
    if (!n.failed) {
      mlir::IRMapping inlined = inner.inlineInto(parts.given);
      for (auto [i, value] : enumerate(*gradients))
        n.set(unsigned(i), n.failed ? Value() : inlined.lookup(value));
    }
  }
  eraseUnreached(module, &n.shapes);
}
