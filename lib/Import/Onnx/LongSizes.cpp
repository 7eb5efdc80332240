//===- LongSizes.cpp - Sizes that would be too long as expressions --------===//
// Assumes: a translation of a node is a bounded number of steps.
// Guarantees: what nodes make of each other's sizes does not grow with the number of nodes: where an expression gets
//   long it gets a name (ds.define), and what follows is said in the name. A node whose sizes cannot be expressed is
//   translated again with names for all of its operands' sizes.
// Declines: sizes that the same node makes too long of names alone (more than SymExpr::kMaxTerms different ones added
//   up); list operators, loops and branches themselves, which hand sizes on.

#include "GraphImporter.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;
using onnx::NodeProto;

/// Longer numbers of elements have their dims named: far below what an expression may be, since kernels multiply them
/// further.
static constexpr size_t kLongText = 512, kLongTerms = 64;
/// Shorter dims keep their expression, which says more than a name.
static constexpr size_t kShortText = 64, kShortTerms = 4;

static bool isLong(const SymDims &dims) {
  SymExpr count = product(dims);
  return count.isOverflow() || count.textLength() > kLongText || count.terms().size() > kLongTerms;
}

/// A number times some symbols. What overflows because of the number would do so under another name.
static bool isProduct(const SymExpr &size) {
  return size.terms().size() <= 1 && all_of(size.terms(), [](const SymExpr::Term &term) {
           return all_of(term.monomial, [](const auto &atom) { return atom->kind == SymExpr::AtomKind::Symbol; });
         });
}

SymExpr GraphImporter::nameOf(Node &node, const SymExpr &size) {
  auto [entry, isNew] = sizeNames.try_emplace(size);
  if (isNew)
    entry->second = shapes.boundSymbol("e");
  // In each function that needs it: a body may have gone since.
  auto op = DefineOp::create(builder, node.loc, builder.getStringAttr(*entry->second.symbolName()),
                             ShapeAttr::get(&context, ArrayRef<SymExpr>{size}));
  node.failed |= failed(inferOp(op, shapes));
  return entry->second;
}

Value GraphImporter::withNamedSizes(Node &node, Value value, bool all) {
  if (!value || node.failed)
    return value;
  auto named = [&](ArrayRef<SymExpr> sizes) {
    SymDims result;
    for (const SymExpr &size : sizes) {
      bool isShort = isProduct(size) || (!all && size.textLength() <= kShortText && size.terms().size() <= kShortTerms);
      bool canBe = !size.isOverflow() && shapes.isKnownOnEntry(size);
      result.push_back(isShort || !canBe ? size : nameOf(node, size));
    }
    return result;
  };
  SymDims dims = node.dims(value), given = named(dims);
  if (given != dims)
    value = node.make<ReshapeOp>({value}, {node.shape("target", given)});
  // A list of sizes, of which negative ones have no name.
  std::optional<SmallVector<SymExpr>> contents = node.contents(value);
  if (!contents || node.rank(value) > 1 || node.elem(value).isInteger(1) ||
      !all_of(*contents, [&](const SymExpr &expr) { return expr.isNonNegative() && shapes.isKnownOnEntry(expr); }))
    return value;
  SymDims sizes = named(*contents);
  if (ArrayRef<SymExpr>(sizes) == ArrayRef<SymExpr>(*contents))
    return value;
  return node.cast(node.shapeValue(sizes, node.rank(value) == 0), node.elem(value));
}

bool GraphImporter::translate(Node &node, Handler handler, const NodeProto &proto, mlir::Operation *&last,
                              Scope &scope) {
  bool tooLong;
  {
    SaveAndRestore trying(shapes.tryingSizes, true), overflowed(shapes.overflowed, false);
    handler(node);
    tooLong = node.failed && shapes.overflowed;
  }
  auto isUnknown = [&](Value value) { return value && product(node.dims(value)).isOverflow(); };
  if (tooLong || (!node.failed && any_of(node.outputs, isUnknown))) {
    // Nothing uses what was made so far.
    mlir::Block *block = builder.getInsertionBlock();
    while (!block->empty() && &block->back() != last) {
      mlir::Operation *op = &block->back();
      forget(op);
      op->erase();
    }
    if (!last) // what numbers are drawn by went with it
      drawing->epoch = drawing->seed = {};
    node.failed = false;
    node.undecided = {};
    std::fill(node.outputs.begin(), node.outputs.end(), Value());
    // What attributes name stays what the graph has: gradients are with respect to it.
    for (auto [index, value] : enumerate(MutableArrayRef<Value>(node.inputs).take_front(size_t(proto.input_size())))) {
      Value named = withNamedSizes(node, value, /*all=*/true);
      if (named != value)
        scope.set(proto.input(int(index)), Item(named));
      node.inputs[index] = named;
    }
    last = block->empty() ? nullptr : &block->back(); // the names stay
    handler(node);
  }
  if (node.failed)
    return false;
  for (Value &value : node.outputs)
    if (value && isLong(node.dims(value)))
      value = withNamedSizes(node, value, /*all=*/false);
  return !node.failed;
}
