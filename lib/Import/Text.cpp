//===- Text.cpp - Text in the ds dialect ----------------------------------===//
// Assumes: see ds/Import/Text.h.
// Guarantees: see ds/Import/Text.h.
// Declines: see ds/Import/Text.h.

#include "ds/Import/Text.h"

#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "ds/Import/Onnx.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

#include <set>

using namespace llvm;
using namespace ds;

/// Text may leave out what imported models have: names of inputs and outputs, and dims of inputs.
/// Symbols come from an argument's dim, from an op that binds them, or (`ds.given`) from the session.
static mlir::LogicalResult checkSymbols(mlir::func::FuncOp main) {
  std::set<std::string> used, known;
  if (mlir::Attribute stated = main->getAttr(kGivenAttr)) {
    auto names = dyn_cast<mlir::ArrayAttr>(stated);
    for (mlir::Attribute name : names ? names.getValue() : ArrayRef<mlir::Attribute>(stated))
      if (auto text = dyn_cast<mlir::StringAttr>(name); !names || !text || !known.insert(text.str()).second)
        return main.emitError() << "expected '" << kGivenAttr << "' to be an array of distinct names, got " << stated;
  }
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    for (const SymExpr &dim : main.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr).getDims())
      if (std::optional<std::string> name = dim.symbolName())
        known.insert(*name);
      else
        dim.collectSymbols(used);
  main.walk([&](mlir::Operation *op) {
    auto collect = [](ShapeAttr shape, std::set<std::string> &into) {
      for (const SymExpr &dim : shape.getDims())
        dim.collectSymbols(into);
    };
    if (op != main)
      op->getAttrDictionary().walk([&](ShapeAttr shape) { collect(shape, used); });
    if (auto bound = endsStage(op) ? op->getAttrOfType<ShapeAttr>("symbols") : ShapeAttr())
      collect(bound, known);
  });
  for (const std::string &name : used)
    if (!known.count(name))
      return main.emitError() << "the symbol '" << name
                              << "' is no argument's dim and bound by nothing; if the program "
                              << "that runs the model gives it, name it in '" << kGivenAttr << "'";
  return mlir::success();
}

/// Versions are functions of the module, for sizes and for arguments that have a default.
static mlir::LogicalResult checkVersions(mlir::func::FuncOp main) {
  mlir::Attribute stated = main->getAttr(kVersionsAttr);
  auto versions = dyn_cast_or_null<mlir::ArrayAttr>(stated);
  bool good = !stated || versions;
  for (mlir::Attribute each : versions ? versions.getValue() : ArrayRef<mlir::Attribute>()) {
    auto entry = dyn_cast<mlir::DictionaryAttr>(each);
    auto body = entry ? entry.getAs<mlir::FlatSymbolRefAttr>("body") : nullptr;
    auto function = body ? main->getParentOfType<mlir::ModuleOp>().lookupSymbol<mlir::func::FuncOp>(body.getAttr())
                         : mlir::func::FuncOp();
    auto sizes = entry ? entry.getAs<mlir::DictionaryAttr>("sizes") : nullptr;
    good &= function && function != main && !function.isExternal() && sizes &&
            function.getNumArguments() == main.getNumArguments() && function.getNumResults() == main.getNumResults();
    for (mlir::NamedAttribute size : sizes ? sizes.getValue() : ArrayRef<mlir::NamedAttribute>())
      good &= isa<mlir::IntegerAttr>(size.getValue());
    if (mlir::Attribute leftOut = entry ? entry.get("left_out") : nullptr) {
      auto numbers = dyn_cast<mlir::ArrayAttr>(leftOut);
      good &= bool(numbers);
      for (mlir::Attribute number : numbers ? numbers.getValue() : ArrayRef<mlir::Attribute>()) {
        auto index = dyn_cast<mlir::IntegerAttr>(number);
        good &= index && index.getInt() >= 0 && index.getInt() < main.getNumArguments() &&
                main.getArgAttr(unsigned(index.getInt()), kDefaultAttr);
      }
    }
  }
  if (good)
    return mlir::success();
  return main.emitError()
         << "expected '" << kVersionsAttr
         << "' to be an array of {body, sizes, left_out}: another function with the same arguments and "
            "results, sizes of symbols, and numbers of arguments that have '"
         << kDefaultAttr << "'";
}

/// What the program says of itself is texts.
static mlir::LogicalResult checkProperties(mlir::ModuleOp module) {
  mlir::Attribute properties = module->getAttr(kPropertiesAttr), exported = module->getAttr(kExportAttr);
  auto dictionary = dyn_cast_or_null<mlir::DictionaryAttr>(properties);
  auto parts = dyn_cast_or_null<mlir::ArrayAttr>(exported);
  if (properties && (!dictionary || !llvm::all_of(dictionary, [](mlir::NamedAttribute property) {
        return isa<mlir::StringAttr>(property.getValue());
      })))
    return module.emitError() << "expected '" << kPropertiesAttr << "' to be a dictionary of strings, got "
                              << properties;
  if (exported && (!parts || parts.size() != 2 || !llvm::all_of(parts, llvm::IsaPred<mlir::StringAttr>)))
    return module.emitError() << "expected '" << kExportAttr << "' to be two strings";
  return mlir::success();
}

static mlir::LogicalResult completeFunction(mlir::ModuleOp module, const ImportOptions &options) {
  const auto &shapes = options.shapes;
  auto main = module.lookupSymbol<mlir::func::FuncOp>("main");
  if (!main || main.isExternal())
    return mlir::emitError(module.getLoc()) << "the module has no function named main";
  if (!options.optional.empty()) {
    options.blameOptions();
    return mlir::emitError(module.getLoc())
           << "--optional is for ONNX models; here an argument's 'ds.default' says that a run may leave it out";
  }
  mlir::Builder builder(module.getContext());
  std::vector<bool> used(shapes.size());
  unsigned fresh = 0;
  std::set<std::string> taken; // by dims that have a name
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    if (auto shape = main.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr))
      for (const SymExpr &dim : shape.getDims())
        dim.collectSymbols(taken);
  auto freshDim = [&] {
    std::string name;
    do
      name = "d" + std::to_string(fresh++);
    while (taken.count(name));
    return SymExpr::symbol(name);
  };
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto type = dyn_cast<mlir::RankedTensorType>(main.getArgument(i).getType());
    if (!type)
      return mlir::emitError(main.getLoc()) << "argument " << i << " of main is not a ranked tensor";
    if (!main.getArgAttr(i, kNameAttr))
      main.setArgAttr(i, kNameAttr, builder.getStringAttr("arg" + Twine(i)));
    auto shape = main.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr);
    SymDims dims;
    if (shape)
      llvm::append_range(dims, shape.getDims());
    else
      for (int64_t size : type.getShape())
        dims.push_back(mlir::ShapedType::isDynamic(size) ? freshDim() : SymExpr(size));
    StringRef name = main.getArgAttrOfType<mlir::StringAttr>(i, kNameAttr).getValue();
    for (auto [index, dim] : enumerate(dims))
      for (auto [option, entry] : enumerate(shapes))
        if (entry.first == name.str() + ":" + std::to_string(index) || dim.symbolName() == entry.first) {
          if (dim.isConst() && !dim.isConst(entry.second)) {
            options.blameOptions();
            return mlir::emitError(main.getLoc()) << "input '" << name << "': dimension " << index << " is "
                                                  << dim.str() << " and cannot become " << entry.second;
          }
          dim = SymExpr(entry.second);
          used[option] = true;
        }
    if (!shape || !shapes.empty()) {
      main.setArgAttr(i, kShapeArgAttr, ShapeAttr::get(module.getContext(), ArrayRef<SymExpr>(dims)));
      main.getArgument(i).setType(typeFromDims(type.getElementType(), dims));
    }
  }
  for (auto [option, entry] : enumerate(shapes))
    if (!used[option]) {
      options.blameOptions();
      return mlir::emitError(main.getLoc()) << "--shape names '" << entry.first << "', but no dimension has that name";
    }
  if (failed(checkProperties(module)) || failed(checkSymbols(main)) || failed(checkVersions(main)))
    return mlir::failure();
  for (unsigned i = 0; i < main.getNumResults(); ++i)
    if (!main.getResultAttr(i, kNameAttr))
      main.setResultAttr(i, kNameAttr, builder.getStringAttr("result" + Twine(i)));
  if (shapes.empty())
    return mlir::success();
  // Inner types follow the arguments'.
  ShapeState state;
  if (failed(seedArguments(main.getBody(), state)))
    return mlir::failure();
  for (mlir::Operation &op : main.getBody().front().without_terminator())
    if (failed(inferAndRefine(&op, state)))
      return mlir::failure();
  mlir::Operation *terminator = main.getBody().front().getTerminator();
  main.setFunctionType(builder.getFunctionType(main.getBody().getArgumentTypes(), terminator->getOperandTypes()));
  return mlir::verify(module);
}

mlir::OwningOpRef<mlir::ModuleOp> ds::importTextFile(mlir::MLIRContext &context, StringRef path,
                                                     const ImportOptions &options) {
  context.loadDialect<DsDialect, mlir::func::FuncDialect>();
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/true);
  if (!buffer) {
    mlir::emitError(mlir::UnknownLoc::get(&context)) << "cannot open the model: " << buffer.getError().message();
    return {};
  }
  SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*buffer), SMLoc());
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(sources, mlir::ParserConfig(&context));
  if (!module || failed(completeFunction(*module, options)))
    return {};
  auto missing = module->walk([](ConstantOp constant) {
    if (ElementsView::get(constant.getValue()))
      return mlir::WalkResult::advance();
    emitNodeError(constant) << "the constant has no data: the text was written without its weights; compile the model "
                               "that it was made from";
    return mlir::WalkResult::interrupt();
  });
  if (missing.wasInterrupted())
    return {};
  return module;
}
