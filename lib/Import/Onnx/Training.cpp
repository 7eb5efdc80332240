//===- Training.cpp - Models that are to be trained -----------------------===//
// Guarantees: see Training.h. The model's message is changed and imported twice: once with its normalizations in
// training
//   mode, whose running statistics become outputs, and once as an inference model.
//===----------------------------------------------------------------------===//
#include "Training.h"

#include "DrawRules.h"

#include "Random.h"
#include "Schemas.h"

#include "dialects/ds/ir/ModelAttrs.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/GlobPattern.h"

#include <onnx/defs/schema.h>

using namespace llvm;
using namespace ds;
using namespace ds::importer;

namespace {

class TrainingImporter {
public:
  TrainingImporter(mlir::MLIRContext &context, ModelFile &file, StringRef folder, const ImportOptions &options)
      : context(context), file(file), graph(*file.model->mutable_graph()), options(options),
        tensors(&context, folder, file.data) {}
  mlir::OwningOpRef<mlir::ModuleOp> run();

private:
  bool error(const Twine &message) {
    mlir::emitError(mlir::UnknownLoc::get(&context)) << message;
    return false;
  }
  int64_t opset(StringRef domain) const;
  bool isInTrainingMode(const onnx::NodeProto &node) const;
  /// Running statistics become state, and what the node makes of them outputs.
  bool takeStatistics();
  /// `name` as the value that it was given: the running variance in PyTorch's form.
  void makeUnbiased(const onnx::NodeProto &norm, const std::string &state, const std::string &biased,
                    const std::string &result);
  void collectParameters(const onnx::GraphProto &in, StringSet<> &used) const;
  bool chooseParameters();
  void declareInputs(ArrayRef<std::string> names);
  /// The graph as it is served.
  void leaveTraining();
  /// What the program that trains makes an ONNX file of (DS_TABLE_EXPORT): the fields of the model but the graph, and
  /// those of the graph but what is trained.
  mlir::Attribute exported(onnx::ModelProto original) const;
  mlir::OwningOpRef<mlir::ModuleOp> import(Purpose purpose);

  mlir::MLIRContext &context;
  ModelFile &file;
  onnx::GraphProto &graph;
  const ImportOptions &options;
  TensorReader tensors; // constants of both imports are the same attributes
  StringMap<const onnx::TensorProto *> initializers;
  std::vector<std::string> parameters, states;
  StringMap<std::string> nextOf;    // of states: the value that holds the next one
  StringSet<> taken;                // names of values
  std::string prefix = "ds.train."; // of names that nothing in the model begins with
};

} // namespace

int64_t TrainingImporter::opset(StringRef domain) const {
  for (const onnx::OperatorSetIdProto &set : file.model->opset_import())
    if (normalDomain(set.domain()) == domain)
      return set.version();
  return 0;
}

static const onnx::AttributeProto *findAttribute(const onnx::NodeProto &node, StringRef name) {
  for (const onnx::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return &attribute;
  return nullptr;
}

static bool isOperator(const onnx::NodeProto &node, StringRef name) {
  return node.op_type() == name && normalDomain(node.domain()).empty();
}

/// Before operator set 14 the number of outputs says it.
bool TrainingImporter::isInTrainingMode(const onnx::NodeProto &node) const {
  if (!isOperator(node, "BatchNormalization"))
    return false;
  if (opset("") >= 14) {
    const onnx::AttributeProto *mode = findAttribute(node, "training_mode");
    return mode && mode->i();
  }
  return node.output_size() > 1;
}

static bool isFloat(const onnx::TensorProto &tensor) {
  switch (tensor.data_type()) {
  case onnx::TensorProto::FLOAT:
  case onnx::TensorProto::DOUBLE:
  case onnx::TensorProto::FLOAT16:
  case onnx::TensorProto::BFLOAT16:
    return true;
  default:
    return false;
  }
}

template <typename Visit> static void forEachGraph(const onnx::NodeProto &node, Visit visit) {
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (attribute.has_g())
      visit(attribute.g());
    for (const onnx::GraphProto &inner : attribute.graphs())
      visit(inner);
  }
}

void TrainingImporter::collectParameters(const onnx::GraphProto &in, StringSet<> &used) const {
  for (const onnx::NodeProto &node : in.node()) {
    forEachGraph(node, [&](const onnx::GraphProto &inner) { collectParameters(inner, used); });
    StringRef domain = normalDomain(node.domain());
    const onnx::OpSchema *schema = findSchema(node.op_type(), opset(domain), domain);
    for (int i = 0; i < node.input_size(); ++i) {
      // Running statistics are no parameters, whatever ONNX's schema says of them.
      if (isOperator(node, "BatchNormalization") && i >= 3)
        continue;
      if (schema && !schema->inputs().empty()) {
        size_t formal = std::min(size_t(i), schema->inputs().size() - 1);
        if (schema->inputs()[formal].GetDifferentiationCategory() == onnx::OpSchema::NonDifferentiable)
          continue;
      }
      used.insert(node.input(i));
    }
  }
}

bool TrainingImporter::chooseParameters() {
  SmallVector<GlobPattern> patterns;
  for (const std::string &text : options.training->frozen) {
    Expected<GlobPattern> pattern = GlobPattern::create(text);
    if (!pattern) {
      options.blameOptions();
      return error("--freeze=" + text + ": " + toString(pattern.takeError()));
    }
    patterns.push_back(std::move(*pattern));
  }
  StringSet<> used;
  collectParameters(graph, used);
  std::vector<bool> met(patterns.size());
  for (const onnx::TensorProto &tensor : graph.initializer()) {
    if (!isFloat(tensor) || tensor.dims_size() == 0 || !used.contains(tensor.name()) ||
        is_contained(states, tensor.name()))
      continue;
    bool isFrozen = false;
    for (auto [i, pattern] : enumerate(patterns))
      if (pattern.match(tensor.name()))
        met[i] = isFrozen = true;
    if (!isFrozen)
      parameters.push_back(tensor.name());
  }
  for (auto [text, isMet] : zip_equal(options.training->frozen, met))
    if (!isMet) {
      options.blameOptions();
      return error("--freeze=" + text + ": the model has no parameter of such a name");
    }
  if (!parameters.empty())
    return true;
  return error("the model has nothing to train: parameters are initializers of floats of rank 1 or more that a node "
               "differentiates by" +
               Twine(patterns.empty() ? "" : ", and all of them are frozen"));
}

void TrainingImporter::makeUnbiased(const onnx::NodeProto &norm, const std::string &state, const std::string &biased,
                                    const std::string &result) {
  // biased = state * m + variance * (1 - m); with n elements a channel it is variance * n / (n - 1) that counts.
  const std::string prefix = this->prefix + result + ".";
  auto add = [&](StringRef op, std::initializer_list<std::string> inputs, const std::string &output) {
    onnx::NodeProto &node = *graph.add_node();
    node.set_op_type(op.str());
    node.set_name(norm.name().empty() ? result : norm.name());
    for (const std::string &input : inputs)
      node.add_input(input);
    node.add_output(output);
    return &node;
  };
  auto cast = [&](const std::string &from, const std::string &to) {
    onnx::AttributeProto &type = *add("Cast", {from}, to)->add_attribute();
    type.set_name("to");
    type.set_type(onnx::AttributeProto::INT);
    type.set_i(initializers[state]->data_type());
  };
  const float momentum = [&] {
    const onnx::AttributeProto *given = findAttribute(norm, "momentum");
    return given ? given->f() : 0.9f;
  }();
  onnx::TensorProto &factor = *graph.add_initializer();
  factor.set_name(prefix + "momentum");
  factor.set_data_type(onnx::TensorProto::FLOAT);
  factor.add_float_data(momentum);
  const std::string m = prefix + "m";
  cast(factor.name(), m);
  onnx::TensorProto &one = *graph.add_initializer();
  one.set_name(prefix + "one");
  one.set_data_type(onnx::TensorProto::INT64);
  one.add_int64_data(1);
  add("Size", {norm.input(0)}, prefix + "size");
  add("Size", {norm.input(1)}, prefix + "channels");
  add("Div", {prefix + "size", prefix + "channels"}, prefix + "count");
  add("Sub", {prefix + "count", prefix + "one"}, prefix + "less");
  add("Max", {prefix + "less", prefix + "one"}, prefix + "degrees");
  cast(prefix + "count", prefix + "n");
  cast(prefix + "degrees", prefix + "d");
  add("Div", {prefix + "n", prefix + "d"}, prefix + "ratio");
  add("Mul", {state, m}, prefix + "kept");
  add("Sub", {biased, prefix + "kept"}, prefix + "added");
  add("Mul", {prefix + "added", prefix + "ratio"}, prefix + "unbiased");
  add("Add", {prefix + "kept", prefix + "unbiased"}, result);
}

bool TrainingImporter::takeStatistics() {
  const int count = graph.node_size();
  std::vector<int> added{count}; // how many nodes there are after each
  for (int n = 0; n < count; ++n, added.push_back(graph.node_size())) {
    onnx::NodeProto &node = *graph.mutable_node(n);
    bool isInside = false;
    std::function<void(const onnx::GraphProto &)> look = [&](const onnx::GraphProto &inner) {
      for (const onnx::NodeProto &each : inner.node()) {
        isInside |= isInTrainingMode(each);
        forEachGraph(each, look);
      }
    };
    forEachGraph(node, look);
    if (isInside)
      return error("node '" + nodeName(node) + "' (" + fullName(node) +
                   "): normalization in training mode inside a branch or loop is not supported: its running statistics "
                   "would have to leave it");
    if (!isInTrainingMode(node) || node.input_size() < 5)
      continue;
    while (node.output_size() < 3)
      node.add_output();
    for (int i : {3, 4}) {
      // A state that several nodes share goes from one to the next.
      const std::string state = node.input(i);
      auto known = nextOf.find(state);
      if (known == nextOf.end()) {
        const onnx::TensorProto *initial = initializers.lookup(state);
        if (!initial)
          continue; // computed: no state of the model's
        states.push_back(state);
      } else {
        node.set_input(i, known->second);
      }
      std::string made = node.output(i - 2);
      auto fresh = [&](std::string name) {
        while (!taken.insert(name).second)
          name += "_";
        return name;
      };
      if (made.empty() || i == 4) {
        made = fresh(prefix + "next." + state);
        if (i == 3) {
          node.set_output(1, made);
        } else {
          const std::string biased = node.output(2).empty() ? fresh(prefix + "biased." + state) : node.output(2);
          node.set_output(2, biased);
          makeUnbiased(node, node.input(4), biased, made);
        }
      }
      nextOf[state] = made;
    }
  }
  // What was added follows the node it was added for.
  google::protobuf::RepeatedPtrField<onnx::NodeProto> sorted;
  for (int n = 0; n < count; ++n) {
    sorted.Add()->Swap(graph.mutable_node(n));
    for (int i = added[size_t(n)]; i < added[size_t(n) + 1]; ++i)
      sorted.Add()->Swap(graph.mutable_node(i));
  }
  graph.mutable_node()->Swap(&sorted);
  for (const std::string &state : states) {
    onnx::ValueInfoProto &output = *graph.add_output();
    output.set_name(nextOf[state]);
    output.mutable_type()->mutable_tensor_type()->set_elem_type(initializers[state]->data_type());
  }
  return true;
}

/// Inputs of the model that are initializers are listed anew, so that arguments come in the order of Training.h.
void TrainingImporter::declareInputs(ArrayRef<std::string> names) {
  StringSet<> listed(from_range, names);
  google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> kept;
  for (const onnx::ValueInfoProto &input : graph.input())
    if (!listed.contains(input.name()))
      *kept.Add() = input;
  for (const std::string &name : names) {
    const onnx::TensorProto &tensor = *initializers[name];
    onnx::ValueInfoProto &input = *kept.Add();
    input.set_name(name);
    onnx::TypeProto_Tensor &type = *input.mutable_type()->mutable_tensor_type();
    type.set_elem_type(tensor.data_type());
    type.mutable_shape();
    for (int64_t dim : tensor.dims())
      type.mutable_shape()->add_dim()->set_dim_value(dim);
  }
  graph.mutable_input()->Swap(&kept);
}

/// Before operator set 14, more than one output said that it trains.
static void serve(onnx::NodeProto &norm) {
  norm.mutable_output()->DeleteSubrange(1, norm.output_size() - 1);
  for (onnx::AttributeProto &attribute : *norm.mutable_attribute())
    if (attribute.name() == "training_mode")
      attribute.set_i(0);
}

/// Dropout that drops nothing, in branches and loops too.
static void keepDropped(google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, bool isOld) {
  for (onnx::NodeProto &node : nodes) {
    for (onnx::AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        keepDropped(*attribute.mutable_g()->mutable_node(), isOld);
    if (!isOperator(node, "Dropout"))
      continue;
    if (node.input_size() > 2) // training_mode
      node.mutable_input()->DeleteSubrange(2, node.input_size() - 2);
    if (isOld) {
      const onnx::AttributeProto *known = findAttribute(node, "is_test");
      onnx::AttributeProto &isTest = known ? const_cast<onnx::AttributeProto &>(*known) : *node.add_attribute();
      isTest.set_name("is_test");
      isTest.set_type(onnx::AttributeProto::INT);
      isTest.set_i(1);
    }
  }
}

void TrainingImporter::leaveTraining() {
  graph.mutable_output()->DeleteSubrange(graph.output_size() - int(states.size()), int(states.size()));
  // Nothing else names its values so: takeStatistics chose the prefix.
  google::protobuf::RepeatedPtrField<onnx::NodeProto> own;
  for (onnx::NodeProto &node : *graph.mutable_node())
    if (!StringRef(node.output(0)).starts_with(prefix))
      own.Add()->Swap(&node);
  graph.mutable_node()->Swap(&own);
  for (onnx::NodeProto &node : *graph.mutable_node()) {
    if (!isInTrainingMode(node))
      continue;
    serve(node);
    // Statistics that nodes share are those that were kept.
    for (int i : {3, 4})
      for (const std::string &state : states)
        if (StringRef(node.input(i)).starts_with(prefix) && nextOf[state] == node.input(i))
          node.set_input(i, state);
  }
}

mlir::Attribute TrainingImporter::exported(onnx::ModelProto original) const {
  onnx::GraphProto served;
  served.Swap(original.mutable_graph());
  original.clear_graph();
  StringSet<> trained(from_range, parameters);
  trained.insert_range(states);
  google::protobuf::RepeatedPtrField<onnx::TensorProto> kept;
  for (onnx::TensorProto &tensor : *served.mutable_initializer()) {
    if (trained.contains(tensor.name()))
      continue;
    if (std::optional<uint64_t> size = file.data.size(tensor.raw_data())) {
      std::string bytes(*size, 0);
      if (!file.data.read(tensor.raw_data(), bytes.data()))
        return {};
      tensor.set_raw_data(std::move(bytes));
    }
    kept.Add()->Swap(&tensor);
  }
  served.mutable_initializer()->Swap(&kept);
  google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> inputs;
  for (onnx::ValueInfoProto &input : *served.mutable_input())
    if (!trained.contains(input.name()))
      inputs.Add()->Swap(&input);
  served.mutable_input()->Swap(&inputs);
  for (onnx::NodeProto &node : *served.mutable_node())
    if (isInTrainingMode(node))
      serve(node);
  const bool isOld = opset("") < 7; // an attribute says it then, which by default is false
  keepDropped(*served.mutable_node(), isOld);
  for (onnx::FunctionProto &called : *original.mutable_functions())
    keepDropped(*called.mutable_node(), isOld);
  mlir::Builder builder(&context);
  return builder.getArrayAttr(
      {builder.getStringAttr(original.SerializeAsString()), builder.getStringAttr(served.SerializeAsString())});
}

mlir::OwningOpRef<mlir::ModuleOp> TrainingImporter::import(Purpose purpose) {
  OptionalInputs optional;
  optional.read.insert_range(parameters);
  optional.read.insert_range(states);
  return GraphImporter(context, file, tensors, options, optional, purpose).run();
}

static mlir::func::FuncOp mainOf(mlir::ModuleOp module) {
  for (auto function : module.getOps<mlir::func::FuncOp>())
    if (function.isPublic())
      return function;
  return {};
}

/// Moves the functions of `from` into `to`, under names of their own; returns what its main became.
static mlir::func::FuncOp moveFunctions(mlir::ModuleOp from, mlir::ModuleOp to, StringRef suffix) {
  mlir::func::FuncOp main = mainOf(from);
  mlir::Builder builder(to.getContext());
  StringSet<> taken;
  for (auto function : to.getOps<mlir::func::FuncOp>())
    taken.insert(function.getName());
  DenseMap<mlir::StringAttr, mlir::StringAttr> renamed;
  for (auto function : from.getOps<mlir::func::FuncOp>()) {
    std::string name = (function.getName() + suffix).str();
    while (!taken.insert(name).second)
      name += "_";
    renamed[function.getSymNameAttr()] = builder.getStringAttr(name);
    function.setSymNameAttr(renamed[function.getSymNameAttr()]);
  }
  from.walk([&](mlir::Operation *op) {
    for (mlir::NamedAttribute attribute : op->getAttrs())
      if (auto symbol = dyn_cast<mlir::FlatSymbolRefAttr>(attribute.getValue()))
        if (mlir::StringAttr name = renamed.lookup(symbol.getAttr()))
          op->setAttr(attribute.getName(), mlir::FlatSymbolRefAttr::get(name));
  });
  main.setPrivate();
  for (auto function : llvm::to_vector(from.getOps<mlir::func::FuncOp>())) {
    function->remove();
    to.push_back(function);
  }
  return main;
}

mlir::OwningOpRef<mlir::ModuleOp> TrainingImporter::run() {
  for (const onnx::TensorProto &tensor : graph.initializer()) {
    initializers[tensor.name()] = &tensor;
    taken.insert(tensor.name());
  }
  for (const onnx::NodeProto &node : graph.node())
    for (const std::string &name : node.output())
      taken.insert(name);
  while (any_of(taken, [&](const auto &name) { return name.getKey().starts_with(prefix); }))
    prefix += '_';
  const int outputs = graph.output_size();
  onnx::ModelProto original = *file.model;
  const DrawRules rules(original.graph());
  if (!takeStatistics() || !chooseParameters())
    return {};
  // Adding initializers moved none of those that were there.
  std::vector<std::string> names = parameters;
  append_range(names, states);
  declareInputs(names);
  mlir::OwningOpRef<mlir::ModuleOp> module = import(Purpose::Training);
  if (!module)
    return {};
  leaveTraining();
  mlir::OwningOpRef<mlir::ModuleOp> evaluation = import(Purpose::Evaluation);
  if (!evaluation)
    return {};
  mlir::func::FuncOp main = mainOf(*module), evaluate = moveFunctions(*evaluation, *module, "_evaluate");
  mlir::Builder builder(&context);
  StringSet<> isParameter(from_range, parameters), isState(from_range, states);
  alignSeeds(main, evaluate);
  for (mlir::func::FuncOp function : {main, evaluate})
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      if (function.getArgAttr(i, kRoleAttr)) // what random numbers are drawn by
        continue;
      StringRef name = function.getArgAttrOfType<mlir::StringAttr>(i, kNameAttr).getValue();
      function.setArgAttr(i, kRoleAttr,
                          builder.getStringAttr(isParameter.contains(name) ? "parameter"
                                                : isState.contains(name)   ? "state"
                                                                           : "data"));
      if (isParameter.contains(name) || isState.contains(name))
        function.setArgAttr(i, kDrawAttr, builder.getStringAttr(rules.of(name)));
    }
  for (auto [i, state] : enumerate(states)) {
    main.setResultAttr(unsigned(outputs + i), kNameAttr, builder.getStringAttr(state));
    main.setResultAttr(unsigned(outputs + i), kRoleAttr, builder.getStringAttr("state"));
  }
  if (mlir::Attribute source = exported(std::move(original)))
    (*module)->setAttr(kExportAttr, source);
  main->setAttr(kEvaluateAttr, mlir::FlatSymbolRefAttr::get(evaluate));
  if (failed(mlir::verify(*module)))
    return {};
  return module;
}

mlir::OwningOpRef<mlir::ModuleOp> ds::importer::importForTraining(mlir::MLIRContext &context, ModelFile &file,
                                                                  StringRef folder, const ImportOptions &options) {
  return TrainingImporter(context, file, folder, options).run();
}
