//===- Optional.cpp - Initializers that are inputs as well ----------------===//
// Assumes: see Optional.h.
// Guarantees: the model is imported once with such initializers as constants, which is the version for runs that give
//   none of them: what import decides by their values (branches, ranks, trip counts) is decided as for any constant. It
//   is imported once more with them as inputs. One that cannot be an input is a constant,
//   with a warning.
// Declines: more than MaxFolded such ones; then all that are left are constants.

#include "Optional.h"
#include "Random.h"

#include "dialects/ds/ir/ModelAttrs.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// A model that lists more initializers as inputs lists them out of habit.
static constexpr size_t MaxAutomatic = 16;
/// Each that cannot be an input costs as many imports as their number has binary digits.
static constexpr int MaxFolded = 8;

namespace {

/// An initializer that is an input.
struct Candidate {
  std::string name;
  std::string problem; // why no run can give it, or ""
};

class OptionalImport {
public:
  OptionalImport(mlir::MLIRContext &context, ModelFile &file, StringRef folder, const ImportOptions &options)
      : context(context), file(file), options(options), tensors(&context, folder, file.data) {}
  mlir::OwningOpRef<mlir::ModuleOp> run();

private:
  mlir::OwningOpRef<mlir::ModuleOp> import(ArrayRef<std::string> read, ArrayRef<std::string> unread) {
    OptionalInputs optional;
    optional.read.insert_range(donated);
    optional.read.insert_range(read);
    optional.unread.insert_range(unread);
    return GraphImporter(context, file, tensors, options, optional).run();
  }
  /// The model with these as inputs; nothing and a `reason` where it cannot be.
  mlir::OwningOpRef<mlir::ModuleOp> attempt(ArrayRef<std::string> names, mlir::ModuleOp folded, std::string &reason);
  void fold(std::vector<std::string> &names, size_t index, const std::string &reason);
  bool choose(std::vector<std::string> &names);
  void addVersion(mlir::ModuleOp model, mlir::ModuleOp folded, ArrayRef<std::string> names);
  void warn(const Twine &message) { mlir::emitWarning(mlir::UnknownLoc::get(&context)) << message; }

  mlir::MLIRContext &context;
  ModelFile &file;
  const ImportOptions &options;
  TensorReader tensors; // constants of all imports are the same attributes
  std::vector<std::string> donated;
};

} // namespace

/// Why the initializer cannot be the default of what the input declares, or "".
static std::string problemOf(const onnx::ValueInfoProto &input, const onnx::TensorProto &tensor) {
  if (!input.type().has_tensor_type())
    return "the input is declared as another type than a tensor";
  const onnx::TypeProto_Tensor &type = input.type().tensor_type();
  if (type.elem_type() != tensor.data_type())
    return ("the input is declared as " + onnxTypeName(type.elem_type()) + ", but the initializer is " +
            onnxTypeName(tensor.data_type()))
        .str();
  if (!type.has_shape())
    return "";
  bool fits = type.shape().dim_size() == tensor.dims_size();
  for (int i = 0; fits && i < tensor.dims_size(); ++i)
    fits = !type.shape().dim(i).has_dim_value() || type.shape().dim(i).dim_value() == -1 ||
           type.shape().dim(i).dim_value() == tensor.dims(i);
  return fits ? "" : "the initializer has other dimensions than the input declares";
}

static std::string quoted(ArrayRef<std::string> names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

/// Where the model's form tells: exporters that list every initializer mean nothing by it, nor do models that were
/// changed since (quantized, say) and have new ones. Before IR version 4 they had to be listed.
static bool isMeant(const onnx::ModelProto &model, size_t listed) {
  const size_t all = size_t(model.graph().initializer_size());
  return model.ir_version() >= 4 && listed <= MaxAutomatic && (listed < all || listed == 1);
}

bool OptionalImport::choose(std::vector<std::string> &names) {
  const onnx::GraphProto &graph = file.model->graph();
  StringMap<const onnx::TensorProto *> initializers;
  for (const onnx::TensorProto &tensor : graph.initializer())
    initializers[tensor.name()] = &tensor;
  std::vector<Candidate> candidates;
  StringMap<size_t> numbers;
  for (const onnx::ValueInfoProto &input : graph.input())
    if (const onnx::TensorProto *tensor = initializers.lookup(input.name()))
      if (numbers.try_emplace(input.name(), candidates.size()).second)
        candidates.push_back({input.name(), elementType(&context, tensor->data_type())
                                                ? problemOf(input, *tensor)
                                                : "it is " + onnxTypeName(tensor->data_type()).str()});

  bool all = false, none = false;
  std::vector<bool> isNamed(candidates.size());
  auto take = [&](StringRef name) {
    auto found = numbers.find(name);
    if (found != numbers.end())
      isNamed[found->second] = true;
    return found != numbers.end();
  };
  for (const std::string &text : options.optional) {
    if (take(text)) // a name may hold commas
      continue;
    for (StringRef part : split(text, ',')) {
      if (take(part))
        continue;
      if (part != "all" && part != "none") {
        std::vector<std::string> known;
        for (const Candidate &candidate : candidates)
          known.push_back(candidate.name);
        options.blameOptions();
        mlir::emitError(mlir::UnknownLoc::get(&context))
            << "--optional names '" << part << "', which is no initializer that is an input as well; there "
            << (known.empty() ? "is none" : (known.size() == 1 ? "is " : "are ") + quoted(known));
        return false;
      }
      (part == "all" ? all : none) = true;
    }
  }
  if (none && (all || is_contained(isNamed, true))) {
    options.blameOptions();
    mlir::emitError(mlir::UnknownLoc::get(&context)) << "--optional names inputs, and none";
    return false;
  }
  if (options.optional.empty())
    all = isMeant(*file.model, candidates.size());
  for (auto [candidate, named] : zip_equal(candidates, isNamed)) {
    bool isDonated = any_of(options.donations, [&](StringRef donation) {
      return donation.consume_front(candidate.name) && donation.starts_with(":");
    });
    if (!named && !all && !isDonated)
      continue;
    if (!candidate.problem.empty())
      warn("input '" + candidate.name + "' is fixed in the program: " + candidate.problem);
    else
      (isDonated ? donated : names).push_back(candidate.name);
  }
  return true;
}

/// What the results of both differ in, as far as a version must be alike, or "".
static std::string difference(mlir::func::FuncOp a, mlir::func::FuncOp b) {
  auto nameOf = [](mlir::func::FuncOp function, unsigned i) {
    return function.getResultAttrOfType<mlir::StringAttr>(i, kNameAttr);
  };
  for (unsigned i = 0; i < std::min(a.getNumResults(), b.getNumResults()); ++i) {
    auto x = cast<mlir::RankedTensorType>(a.getResultTypes()[i]),
         y = cast<mlir::RankedTensorType>(b.getResultTypes()[i]);
    if (nameOf(a, i) != nameOf(b, i) || x.getElementType() != y.getElementType() || x.getRank() != y.getRank())
      return ("the rank of the output '" + nameOf(b, i).getValue() + "' follows from it").str();
  }
  return a.getNumResults() == b.getNumResults() ? "" : "the number of outputs follows from it";
}

static mlir::func::FuncOp mainOf(mlir::ModuleOp module) {
  for (auto function : module.getOps<mlir::func::FuncOp>())
    if (function.isPublic())
      return function;
  return {};
}

mlir::OwningOpRef<mlir::ModuleOp> OptionalImport::attempt(ArrayRef<std::string> names, mlir::ModuleOp folded,
                                                          std::string &reason) {
  reason.clear();
  mlir::OwningOpRef<mlir::ModuleOp> module;
  {
    // What else there is to say was said when they were constants.
    mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
      if (reason.empty() && diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error) {
        reason = diagnostic.str();
        if (std::optional<NodeName> node = getNodeName(diagnostic.getLocation());
            node && !StringRef(reason).starts_with("node '"))
          reason = "node '" + node->name + "' (" + node->opType + "): " + reason;
      }
      return mlir::success();
    });
    module = import(names, {});
  }
  if (module) {
    alignGenerators(*module, mainOf(*module), folded, mainOf(folded));
    reason = difference(mainOf(*module), mainOf(folded));
  } else if (reason.empty())
    reason = "the model cannot be imported with it as an input";
  return reason.empty() ? std::move(module) : nullptr;
}

void OptionalImport::fold(std::vector<std::string> &names, size_t index, const std::string &reason) {
  warn("input '" + names[index] +
       "' is fixed in the program, with the initializer of that name as its value: " + reason);
  names.erase(names.begin() + long(index));
}

/// Takes arguments away that nothing reads; they are fixed.
static void eraseUnread(mlir::func::FuncOp function, function_ref<bool(StringRef)> isGone) {
  BitVector gone(function.getNumArguments());
  SmallVector<mlir::Attribute> fixed;
  if (auto known = function->getAttrOfType<mlir::ArrayAttr>(kFixedAttr))
    fixed.assign(known.begin(), known.end());
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (auto name = function.getArgAttrOfType<mlir::StringAttr>(i, kNameAttr); isGone(name.getValue())) {
      gone.set(i);
      fixed.push_back(name);
    }
  if (gone.none())
    return;
  (void)function.eraseArguments(gone); // of a function with a body
  function->setAttr(kFixedAttr, mlir::ArrayAttr::get(function.getContext(), fixed));
}

/// Moves the functions of `folded` to `model`, as a version of it.
void OptionalImport::addVersion(mlir::ModuleOp model, mlir::ModuleOp folded, ArrayRef<std::string> names) {
  mlir::func::FuncOp main = mainOf(model), version = mainOf(folded);
  mlir::Builder builder(&context);
  StringSet<> taken;
  for (auto function : model.getOps<mlir::func::FuncOp>())
    taken.insert(function.getName());
  DenseMap<mlir::StringAttr, mlir::StringAttr> renamed;
  for (auto function : folded.getOps<mlir::func::FuncOp>()) {
    std::string name = (function.getName() + "_defaults").str();
    while (!taken.insert(name).second)
      name += "_";
    renamed[function.getSymNameAttr()] = builder.getStringAttr(name);
    function.setSymNameAttr(renamed[function.getSymNameAttr()]);
  }
  folded.walk([&](mlir::Operation *op) {
    for (mlir::NamedAttribute attribute : op->getAttrs())
      if (auto symbol = dyn_cast<mlir::FlatSymbolRefAttr>(attribute.getValue()))
        if (mlir::StringAttr name = renamed.lookup(symbol.getAttr()))
          op->setAttr(attribute.getName(), mlir::FlatSymbolRefAttr::get(name));
  });

  std::set<std::string> symbols;
  SmallVector<SymExpr> own;
  SmallVector<int64_t> leftOut;
  for (unsigned i = 0; i < version.getNumArguments(); ++i) {
    version.removeArgAttr(i, kDefaultAttr);
    if (is_contained(names, version.getArgAttrOfType<mlir::StringAttr>(i, kNameAttr).getValue()))
      leftOut.push_back(i);
    for (const SymExpr &dim : version.getArgAttrOfType<ShapeAttr>(i, kShapeArgAttr).getDims())
      if (auto symbol = dim.symbolName(); symbol && symbols.insert(*symbol).second)
        own.push_back(dim);
  }
  if (!own.empty())
    version->setAttr(kOwnSymbolsAttr, ShapeAttr::get(&context, ArrayRef<SymExpr>(own)));
  version->removeAttr(kFixedAttr);
  version.setPrivate();
  main->setAttr(kVersionsAttr, builder.getArrayAttr(builder.getDictionaryAttr(
                                   {builder.getNamedAttr("body", mlir::FlatSymbolRefAttr::get(version)),
                                    builder.getNamedAttr("left_out", builder.getI64ArrayAttr(leftOut)),
                                    builder.getNamedAttr("sizes", builder.getDictionaryAttr({}))})));
  for (auto function : llvm::to_vector(folded.getOps<mlir::func::FuncOp>())) {
    function->remove();
    model.push_back(function);
  }
}

mlir::OwningOpRef<mlir::ModuleOp> OptionalImport::run() {
  std::vector<std::string> names;
  if (!choose(names))
    return {};
  // Its errors are the model's.
  mlir::OwningOpRef<mlir::ModuleOp> folded = import({}, names), model;
  if (!folded)
    return {};
  const StringSet<> asked(from_range, names);
  std::string reason;
  for (int count = 0; !names.empty() && !(model = attempt(names, *folded, reason));) {
    if (++count > MaxFolded) {
      warn("inputs " + quoted(names) + " are fixed in the program, with the initializers of these names as their " +
           "values, as are " + Twine(MaxFolded) + " others: name those that a run is to give (--optional)");
      names.clear();
      break;
    }
    // The first without which those before it are fine.
    size_t good = 0, bad = names.size();
    std::string ofBad = reason;
    while (bad - good > 1) {
      size_t middle = (good + bad) / 2;
      (attempt(ArrayRef(names).take_front(middle), *folded, reason) ? good : bad) = middle;
      if (bad == middle)
        ofBad = reason;
    }
    fold(names, bad - 1, ofBad);
  }
  const StringSet<> left(from_range, names);
  eraseUnread(mainOf(*folded), [&](StringRef name) { return asked.contains(name) && !left.contains(name); });
  if (!model)
    return folded;
  if (options.hasOptional)
    *options.hasOptional = true;
  addVersion(*model, *folded, names);
  if (failed(mlir::verify(*model)))
    return {};
  return model;
}

mlir::OwningOpRef<mlir::ModuleOp> ds::importer::importWithOptional(mlir::MLIRContext &context, ModelFile &file,
                                                                   StringRef folder, const ImportOptions &options) {
  return OptionalImport(context, file, folder, options).run();
}
