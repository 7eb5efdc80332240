//===- Random.cpp - What random numbers are drawn by ----------------------===//
// Assumes: nodes that draw ask for a key (Node::randomKey); a model of which none does has nothing of this.
// Guarantees: a key is a function of the seed, the number of the run, the node's number (`stream`) and, in a loop, the
//   numbers of the iterations, so that no two draws have the same numbers unless the model gives two nodes one seed.
//   Seed and number of the run are one state of the session, `generator`, which each run hands on; in a training step
//   they are two arguments that it replaces (lib/Train).
// Declines: the numbers of any other implementation.

#include "Random.h"
#include "GraphImporter.h"

#include "dialects/ds/ir/ModelAttrs.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static Value addArgument(mlir::func::FuncOp function, StringRef name, ArrayRef<int64_t> dims) {
  mlir::Builder builder(function.getContext());
  const unsigned index = function.getNumArguments();
  SymDims sizes(dims.begin(), dims.end());
  mlir::DictionaryAttr attributes = builder.getDictionaryAttr(
      {builder.getNamedAttr(kNameAttr, builder.getStringAttr(name)),
       builder.getNamedAttr(kShapeArgAttr, ShapeAttr::get(function.getContext(), ArrayRef<SymExpr>(sizes)))});
  // Of a function with a body, in the place after the last.
  (void)function.insertArgument(index, mlir::RankedTensorType::get(dims, builder.getI64Type()), attributes,
                                mlir::NameLoc::get(builder.getStringAttr(name)));
  return function.getArgument(index);
}

static Value addGenerator(mlir::func::FuncOp function, StringRef name) {
  Value argument = addArgument(function, name, {2});
  function.setArgAttr(function.getNumArguments() - 1, kDefaultAttr,
                      mlir::DenseElementsAttr::get(cast<mlir::ShapedType>(argument.getType()), int64_t(0)));
  return argument;
}

/// The last argument's next value becomes the last result.
static void returnGenerator(mlir::func::FuncOp function, StringRef name) {
  const unsigned argument = function.getNumArguments() - 1, result = function.getNumResults();
  mlir::Operation *terminator = function.getBody().front().getTerminator();
  mlir::OpBuilder builder(terminator);
  Value generator = function.getArgument(argument);
  auto type = cast<mlir::RankedTensorType>(generator.getType());
  auto step =
      ConstantOp::create(builder, function.getLoc(), mlir::DenseElementsAttr::get(type, ArrayRef<int64_t>{0, 1}));
  Value next = AddOp::create(builder, function.getLoc(), type, generator, step);
  terminator->insertOperands(terminator->getNumOperands(), next);
  (void)function.insertResult(result, type, {});
  function.setResultAttr(result, kNameAttr, builder.getStringAttr(name));
  function.setArgAttr(argument, kDonateAttr, builder.getI64IntegerAttr(result));
}

static StringRef generatorName(mlir::ModuleOp module) {
  auto properties = module->getAttrOfType<mlir::DictionaryAttr>(kPropertiesAttr);
  auto name = properties ? properties.getAs<mlir::StringAttr>(kGeneratorProperty) : mlir::StringAttr();
  return name ? name.getValue() : StringRef();
}

static void setGeneratorName(mlir::ModuleOp module, StringRef name) {
  mlir::Builder builder(module.getContext());
  mlir::NamedAttrList properties;
  if (auto known = module->getAttrOfType<mlir::DictionaryAttr>(kPropertiesAttr))
    properties.append(known.begin(), known.end());
  properties.set(kGeneratorProperty, builder.getStringAttr(name));
  module->setAttr(kPropertiesAttr, properties.getDictionary(module.getContext()));
}

void ds::importer::alignGenerators(mlir::ModuleOp a, mlir::func::FuncOp mainOfA, mlir::ModuleOp b,
                                   mlir::func::FuncOp mainOfB) {
  const std::string ofA = generatorName(a).str(), ofB = generatorName(b).str();
  auto add = [](mlir::ModuleOp module, mlir::func::FuncOp function, StringRef name) {
    addGenerator(function, name);
    returnGenerator(function, name);
    setGeneratorName(module, name);
  };
  if (ofA.empty() && !ofB.empty())
    add(a, mainOfA, ofB);
  if (ofB.empty() && !ofA.empty())
    add(b, mainOfB, ofA);
}

static bool hasSeed(mlir::func::FuncOp function) {
  const unsigned count = function.getNumArguments();
  auto role = count ? function.getArgAttrOfType<mlir::StringAttr>(count - 1, kRoleAttr) : mlir::StringAttr();
  return role && role == kRunRole;
}

void ds::importer::alignSeeds(mlir::func::FuncOp a, mlir::func::FuncOp b) {
  if (hasSeed(a) != hasSeed(b))
    addSeed(hasSeed(a) ? b : a);
}

void ds::importer::addSeed(mlir::func::FuncOp function) {
  mlir::Builder builder(function.getContext());
  for (StringRef role : {kSeedRole, kRunRole}) {
    addArgument(function, role, {});
    function.setArgAttr(function.getNumArguments() - 1, kRoleAttr, builder.getStringAttr(role));
  }
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

void GraphImporter::beginDrawing() {
  if (drawn.seed)
    return;
  mlir::OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&function.getBody().front());
  auto last = [&](unsigned i) { return function.getArgument(function.getNumArguments() - i); };
  if (purpose != Purpose::Inference) {
    if (!hasSeed(function))
      addSeed(function);
    drawn.seed = last(2);
    drawn.epoch = last(1);
    shapes.setDims(drawn.seed, {});
    shapes.setDims(drawn.epoch, {});
    return;
  }
  if (generatorName(*module).empty()) {
    StringSet<> taken;
    for (const auto *values : {&model.graph().input(), &model.graph().output()})
      for (const onnx::ValueInfoProto &value : *values)
        taken.insert(value.name());
    for (const onnx::TensorProto &tensor : model.graph().initializer())
      taken.insert(tensor.name());
    std::string name = "generator";
    while (taken.contains(name))
      name += '_';
    setGeneratorName(*module, name);
    addGenerator(function, name);
  }
  Value generator = last(1);
  shapes.setDims(generator, {SymExpr(2)});
  Node node(builder, shapes, function.getLoc());
  auto part = [&](int64_t at) { return node.reshape(node.sliceAxis(generator, 0, SymExpr(at), SymExpr(1)), {}); };
  drawn.seed = part(0);
  drawn.epoch = part(1);
}

void GraphImporter::endDrawing() {
  if (StringRef name = generatorName(*module); !name.empty())
    returnGenerator(function, name);
}

Value GraphImporter::seedOf(Drawing &of) {
  if (!of.body)
    beginDrawing();
  else if (!of.seed)
    of.seed = of.body->capture(seedOf(*of.outer));
  return of.seed;
}

Value GraphImporter::epochOf(Drawing &of) {
  if (!of.body)
    beginDrawing();
  if (of.epoch)
    return of.epoch;
  of.epoch = of.body->capture(epochOf(*of.outer));
  if (of.iteration) {
    mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&of.body->function.getBody().front());
    Node node(builder, shapes, of.body->function.getLoc());
    of.epoch = node.make<RandomKeyOp>({of.epoch, of.iteration}, {node.shape("stream", {SymExpr(++streams)})});
  }
  return of.epoch;
}

Value GraphImporter::randomKey(Node &node, std::optional<float> seed) {
  // Nodes of one seed draw the same numbers: these are of stream 0, which no other node has.
  Value own = seed ? node.intScalar(int64_t(llvm::bit_cast<uint32_t>(*seed)), builder.getI64Type()) : seedOf(*drawing);
  const int64_t stream = seed ? 0 : ++streams;
  return node.make<RandomKeyOp>({own, epochOf(*drawing)}, {node.shape("stream", {SymExpr(stream)})});
}
