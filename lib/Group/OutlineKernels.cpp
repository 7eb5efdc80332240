//===- OutlineKernels.cpp - Kernels as functions of their own -------------===//
// Guarantees: see OutlineKernels.h.
//===----------------------------------------------------------------------===//
#include "lib/Group/OutlineKernels.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/shape/Substitute.h"
#include "lib/Group/AbstractSizes.h"
#include "lib/Group/Fusion.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ds {

StringRef KernelOutliner::unique(rt::KernelOp kernel) {
  std::string name = kernel.getSymName().str(), text;
  kernel.setSymName("kernel");
  llvm::raw_string_ostream stream(text);
  // All of it, whatever a tool was told to leave out.
  kernel->print(stream, OpPrintingFlags().useLocalScope().skipRegions(false).enableDebugInfo(false));
  auto [entry, isNew] = known.try_emplace(text, name);
  if (isNew)
    kernel.setSymName(name);
  else
    kernel.erase();
  return entry->second;
}

rt::LaunchOp KernelOutliner::outline(const KernelGroup &group, ShapeState &shapes) {
  ArrayRef<Operation *> members = group.members;
  ValueRange results(group.results);
  llvm::SmallPtrSet<Operation *, 16> inside(members.begin(), members.end());
  llvm::SetVector<Value> arguments;
  llvm::SetVector<Operation *> immediates;
  SmallVector<Location> locations;
  for (Operation *op : members) {
    locations.push_back(op->getLoc());
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (producer && inside.contains(producer))
        continue;
      if (Fusion::isImmediate(producer))
        immediates.insert(producer);
      else
        arguments.insert(operand);
    }
  }
  OpBuilder builder(group.place);
  MLIRContext *context = builder.getContext();
  Location loc = FusedLoc::get(context, locations);
  SmallVector<Type> inputs;
  SmallVector<Attribute> attributes;
  for (Value argument : arguments) {
    inputs.push_back(argument.getType());
    auto shape = ShapeAttr::get(context, ArrayRef<SymExpr>(*shapes.getDims(argument)));
    attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr(kShapeArgAttr, shape)));
  }
  // The op with loops of its own gives the name; the last one where all are
  // element by element.
  Operation *named = members.back();
  for (Operation *op : members)
    if (Fusion::isRoot(op))
      named = op;
  std::string name = "ds_k" + std::to_string(known.size()) + "_" + named->getName().stripDialect().str();
  OpBuilder atModule(builder.getContext());
  atModule.setInsertionPoint(group.place->getParentOp());
  auto kernel = rt::KernelOp::create(atModule, loc, name, builder.getFunctionType(inputs, results.getTypes()),
                                     builder.getArrayAttr(attributes), ArrayAttr(), ArrayAttr());
  Block *body = atModule.createBlock(&kernel.getBody());
  IRMapping mapping;
  for (Value argument : arguments)
    mapping.map(argument, body->addArgument(argument.getType(), argument.getLoc()));
  atModule.setInsertionPointToStart(body);
  for (Operation *op : immediates)
    atModule.clone(*op, mapping);
  for (Operation *op : members)
    atModule.clone(*op, mapping);
  SmallVector<Value> yielded;
  for (Value result : results)
    yielded.push_back(mapping.lookup(result));
  rt::YieldOp::create(atModule, loc, yielded);
  const std::map<std::string, SymExpr> given = abstractSizes(kernel);
  // Symbols by the order of their appearance: kernels that differ in names of
  // sizes alone are equal.
  std::map<std::string, SymExpr> formal;
  SmallVector<SymExpr> actual;
  SmallVector<std::string> names;
  for (const std::string &name : symbolsInAttributes(kernel)) {
    names.push_back("k" + std::to_string(actual.size()));
    formal.try_emplace(name, SymExpr::symbol(names.back()));
    auto value = given.find(name);
    actual.push_back(value == given.end() ? SymExpr::symbol(name) : value->second);
  }
  substituteSymbols(kernel, formal);
  kernel.setSymbolsAttr(builder.getStrArrayAttr(SmallVector<StringRef>(names.begin(), names.end())));
  SmallVector<Attribute> shapesOfResults;
  for (Value result : results)
    shapesOfResults.push_back(ShapeAttr::get(context, ArrayRef<SymExpr>(*shapes.getDims(result))));
  return rt::LaunchOp::create(builder, loc, results.getTypes(), unique(kernel), arguments.getArrayRef(),
                              ShapeAttr::get(context, ArrayRef<SymExpr>(actual)),
                              builder.getArrayAttr(shapesOfResults));
}

void KernelOutliner::eraseDead(ModuleOp module) {
  llvm::StringSet<> launched;
  module.walk([&](rt::LaunchOp launch) { launched.insert(launch.getKernel()); });
  for (auto kernel : llvm::make_early_inc_range(module.getOps<rt::KernelOp>()))
    if (!launched.contains(kernel.getSymName()))
      kernel.erase();
}

} // namespace ds
