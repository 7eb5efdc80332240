//===- DescribeProgram.cpp - The host program as metadata -----------------===//
// Guarantees: numbers of values, symbols, buffers, kernels and launches are those of the code (ValueTable).
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "ds/Conversion/RtToLLVM.h"
#include "lib/Conversion/RtToLLVM/ValueTable.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "runtime/include/ds_hash.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ds {

static uint32_t dtypeOf(Type type) {
  if (type.isInteger(128)) // pointer and size: LowerStrings.cpp
    return DS_STRING;
  using enum ElementKind;
  constexpr std::nullopt_t None = std::nullopt;
  static constexpr std::pair<std::optional<ElementKind>, uint32_t> types[] = {
#define DS_ELEMENT_TYPE(constant, number, name, bytes, code, bits, npy, safetensors, onnx, onnxNumber, kind)           \
  {kind, number},
#include "runtime/include/ds_types.def"
#undef DS_ELEMENT_TYPE
  };
  for (auto [kind, number] : types)
    if (kind && kind == getElementKind(type))
      return number;
  llvm_unreachable("unknown element kind");
}

/// All nodes in a location, in order, each once: "node 'a' (Conv), node 'b' (Relu)".
static std::string describeSource(Location loc, bool operators) {
  llvm::SetVector<StringRef> seen;
  std::vector<std::string> texts;
  llvm::StringSet<> known;
  std::function<void(Location)> visit = [&](Location part) {
    // A node is itself a fused location (operator, name): ask for the name before looking inside.
    auto fused = dyn_cast<FusedLoc>(part);
    if (fused && !fused.getMetadata()) {
      for (Location inner : fused.getLocations())
        visit(inner);
      return;
    }
    std::optional<NodeName> node = getNodeName(part);
    if (!node)
      return;
    std::string text =
        operators ? "node '" + node->name + "'" + (node->opType.empty() ? "" : " (" + node->opType + ")") : node->name;
    if (known.insert(text).second)
      texts.push_back(text);
  };
  visit(loc);
  std::string joined;
  for (const std::string &text : texts)
    joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

namespace {

/// Describes a program and its bodies, which share the weights.
class Describer {
public:
  Describer(ArrayRef<rt::ProgramOp> programs, const HostSymbols &symbols) : programs(programs), symbols(symbols) {}
  FailureOr<artifact::Program> run();

private:
  using Number = artifact::Number;

  FailureOr<artifact::Program> describe(rt::ProgramOp host);
  /// The number of the weight that is these elements.
  uint32_t weightOf(ElementsAttr value);
  artifact::Attribute attribute(NamedAttribute attribute);
  artifact::Call describe(rt::CallOp call, const ValueTable &table, const DenseMap<Value, uint32_t> &buffers);
  static Number number(const SymExpr &expr, const ValueTable &table) {
    return expr.isConst() ? Number::constant(expr.getConst()) : Number::ofValue(table.indexOf(expr));
  }
  static artifact::Tensor tensor(rt::TensorAttr stated, const ValueTable &table) {
    artifact::Tensor tensor;
    if (stated.getName())
      tensor.name = stated.getName().str();
    tensor.dtype = dtypeOf(stated.getType().getElementType());
    for (const SymExpr &dim : stated.getShape().getExprs())
      tensor.dimensions.push_back({number(dim, table), dim.str()});
    return tensor;
  }

  ArrayRef<rt::ProgramOp> programs;
  const HostSymbols &symbols;
  std::vector<artifact::Weight> weights;
  DenseMap<Attribute, uint32_t> weightNumbers;
  std::map<uint64_t, SmallVector<std::pair<std::shared_ptr<ElementsView>, uint32_t>, 1>> byContents;
};

} // namespace

uint32_t Describer::weightOf(ElementsAttr value) {
  auto [known, isNew] = weightNumbers.try_emplace(value, weights.size());
  if (!isNew)
    return known->second;
  auto bytes = std::make_shared<ElementsView>(*ElementsView::get(value));
  // Functions that were simplified apart have made the same data twice.
  if (programs.size() > 1 && !bytes->isSplat()) {
    ArrayRef<char> data = bytes->bytes();
    auto &alike = byContents[ds_hash_bytes(data.data(), data.size())];
    for (const auto &[other, number] : alike)
      if (other->getType() == bytes->getType() && other->bytes() == data) {
        known->second = number;
        return number;
      }
    alike.emplace_back(bytes, weights.size());
  }
  artifact::Weight weight;
  weight.size = bytes->size() * getElementBytes(bytes->getKind());
  weight.dtype = dtypeOf(bytes->getType().getElementType());
  weight.shape.assign(bytes->getType().getShape().begin(), bytes->getType().getShape().end());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    weight.name = resource.getRawHandle().getKey().str();
  weight.produce = [bytes](const artifact::Weight::Sink &sink) {
    ArrayRef<char> data = bytes->bytes();
    if (!bytes->isSplat())
      return sink(data.data(), data.size());
    for (int64_t i = 0; i < bytes->size(); ++i)
      sink(data.data(), data.size());
  };
  weights.push_back(std::move(weight));
  return known->second;
}

artifact::Attribute Describer::attribute(NamedAttribute attribute) {
  artifact::Attribute result{attribute.getName().str()};
  Attribute value = attribute.getValue();
  auto strings = [&](ArrayRef<Attribute> list) {
    for (Attribute each : list)
      result.strings.push_back(cast<StringAttr>(each).str());
  };
  if (auto integer = dyn_cast<IntegerAttr>(value)) {
    result.kind = DS_ATTRIBUTE_INT;
    result.ints = {integer.getInt()};
  } else if (auto number = dyn_cast<FloatAttr>(value)) {
    result.kind = DS_ATTRIBUTE_FLOAT;
    result.floats = {number.getValue().convertToFloat()};
  } else if (isa<StringAttr>(value)) {
    result.kind = DS_ATTRIBUTE_STRING;
    strings(value);
  } else if (auto ints = dyn_cast<DenseI64ArrayAttr>(value)) {
    result.kind = DS_ATTRIBUTE_INTS;
    result.ints.assign(ints.asArrayRef().begin(), ints.asArrayRef().end());
  } else if (auto floats = dyn_cast<DenseF32ArrayAttr>(value)) {
    result.kind = DS_ATTRIBUTE_FLOATS;
    result.floats.assign(floats.asArrayRef().begin(), floats.asArrayRef().end());
  } else if (auto list = dyn_cast<ArrayAttr>(value)) {
    result.kind = DS_ATTRIBUTE_STRINGS;
    strings(list.getValue());
  } else {
    auto elements = cast<ElementsAttr>(value);
    result.kind = DS_ATTRIBUTE_TENSOR;
    result.dtype = dtypeOf(elements.getElementType());
    result.ints.assign(elements.getShapedType().getShape().begin(), elements.getShapedType().getShape().end());
    result.weight = weightOf(elements);
  }
  return result;
}

artifact::Call Describer::describe(rt::CallOp op, const ValueTable &table, const DenseMap<Value, uint32_t> &buffers) {
  artifact::Call call;
  call.kind = op.getKind() == rt::CallKind::loop     ? DS_CALL_LOOP
              : op.getKind() == rt::CallKind::custom ? DS_CALL_CUSTOM
                                                     : DS_CALL_BRANCH;
  call.stage =
      llvm::find_if(table.getStages(), [&](const auto &stage) { return stage.call == op; }) - table.getStages().begin();
  call.split = op.getSplit();
  call.source = describeSource(op.getLoc(), /*operators=*/true);
  if (op.getTrips())
    call.trips = buffers.lookup(op.getTrips());
  if (op.getCondition())
    call.condition = buffers.lookup(op.getCondition());
  call.tripsDtype = op.getTripsWidth() == 32 ? DS_INT32 : DS_INT64;
  for (unsigned i = 0; i < op.getBodies().size(); ++i) {
    rt::ProgramOp body = symbols.body(op, i);
    call.bodies.push_back(llvm::find(programs, body) - programs.begin() - 1);
    std::vector<Number> &arguments = call.arguments.emplace_back();
    for (StringRef name : body.getGiven()->getAsValueRange<StringAttr>())
      arguments.push_back(number(SymExpr::symbol(name.str()), table));
  }
  auto operands = [&](OperandRange values, ArrayAttr tensors, std::vector<artifact::Operand> &into) {
    auto next = values.begin();
    for (Attribute entry : tensors) {
      artifact::Operand &operand = into.emplace_back();
      auto stated = dyn_cast<rt::TensorAttr>(entry);
      if (!stated)
        continue;
      Value buffer = *next++;
      operand = {buffers.lookup(buffer), tensor(stated, table)};
      operand.tensor.space = cast<rt::BufferType>(buffer.getType()).getSpace();
    }
  };
  operands(op.getInputs(), op.getInputTensors(), call.inputs);
  operands(op.getOutputs(), op.getOutputTensors(), call.outputs);
  if (std::optional<rt::OperatorAttr> custom = op.getCustom()) {
    call.name = custom->getOpType().str();
    call.domain = custom->getDomain().str();
    for (NamedAttribute each : custom->getAttributes())
      call.attributes.push_back(attribute(each));
  }
  return call;
}

FailureOr<artifact::Program> Describer::describe(rt::ProgramOp host) {
  ValueTable table(host, symbols);
  auto numberOf = [&](const SymExpr &expr) { return number(expr, table); };
  auto scratchOf = [](const ValueTable::Stage &stage) {
    if (stage.scratch.empty())
      return Number::constant(0);
    bool constant = stage.scratch.size() == 1 && stage.scratch.front().isConst();
    return constant ? Number::constant(stage.scratch.front().getConst()) : Number::ofValue(stage.scratchValue);
  };

  artifact::Program program;
  program.valueCount = table.getValues().size();
  for (const ValueTable::Symbol &symbol : table.getSymbols())
    program.symbols.push_back({symbol.name, symbol.name,
                               symbol.input == ValueTable::kGiven ? DS_ARTIFACT_GIVEN : symbol.input,
                               symbol.dimension});
  for (const ValueTable::Stage &stage : table.getStages())
    program.stages.push_back({stage.symbolCount, stage.valueCount, stage.firstLaunch, scratchOf(stage)});
  // An input's dim that is a symbol must be that symbol's: a value may be computed from it.
  for (auto [index, stated] : llvm::enumerate(host.getInputs().getAsRange<rt::TensorAttr>())) {
    artifact::Tensor &input = program.inputs.emplace_back();
    input.name = stated.getName().str();
    input.dtype = dtypeOf(stated.getType().getElementType());
    for (const SymExpr &dim : stated.getShape().getExprs()) {
      std::optional<std::string> name = dim.symbolName();
      input.dimensions.push_back({name ? Number::ofSymbol(table.symbolIndex(*name)) : numberOf(dim), dim.str()});
    }
    if (ElementsAttr value = stated.getUnlessGiven()) {
      artifact::Default &given = program.defaults.emplace_back();
      given.input = uint32_t(index);
      given.shape.assign(value.getShapedType().getShape().begin(), value.getShapedType().getShape().end());
      if (auto strings = dyn_cast<DenseStringElementsAttr>(value)) {
        for (StringRef text : strings.getRawStringData())
          given.strings.push_back(text.str());
        if (strings.isSplat())
          given.strings.resize(size_t(value.getNumElements()), given.strings.front());
      } else if (ElementsView::get(value)) {
        given.weight = weightOf(value);
      } else {
        return host.emitError("the default of input '" + input.name + "' is neither dense nor a resource");
      }
    }
    if (stated.isDonated())
      program.donations.push_back({uint32_t(index), uint32_t(stated.getDonatedTo()), stated.getInPlace()});
  }
  for (auto buffer : host.getOps<rt::BufferOp>())
    for (artifact::Donation &donation : program.donations)
      if (buffer.getKind() == rt::BufferKind::output && buffer.getIndex() == donation.output)
        donation.isUnchanged = buffer->use_empty();
  for (auto stated : host.getOutputs().getAsRange<rt::TensorAttr>())
    program.outputs.push_back(tensor(stated, table));
  for (const ShapeConstraint &constraint : table.constraints)
    program.constraints.push_back(constraint.message);
  program.constraints.push_back("the sizes of the inputs are too large: a size computed from them exceeds 2^63");

  DenseMap<Value, uint32_t> bufferNumbers, writers, types; // writers: the first launch; types: of what it writes
  for (auto buffer : host.getOps<rt::BufferOp>())
    bufferNumbers.try_emplace(buffer, bufferNumbers.size());
  for (auto [node, dispatch] : llvm::enumerate(host.getOps<rt::DispatchOp>()))
    for (auto [buffer, type] :
         llvm::zip_equal(dispatch.getOutputs(), symbols.kernel(dispatch).getFunctionType().getResults())) {
      writers.try_emplace(buffer, node);
      if (Type element = cast<RankedTensorType>(type).getElementType(); isa<FloatType>(element))
        types.try_emplace(buffer, dtypeOf(element));
    }
  uint32_t firstOperand = 0;
  DenseMap<Operation *, uint32_t> firstOutputs;
  for (auto call : host.getOps<rt::CallOp>()) {
    program.calls.push_back(describe(call, table, bufferNumbers));
    firstOutputs[call] = firstOperand + call.getInputTensors().size();
    firstOperand += call.getInputTensors().size() + call.getOutputTensors().size();
  }
  for (const ValueTable::BoundSymbol &symbol : table.getBound()) {
    if (symbol.call) {
      program.bound.push_back({symbol.name, describeSource(symbol.call->getLoc(), /*operators=*/true),
                               firstOutputs.lookup(symbol.call) + symbol.output, 0, symbol.element});
      continue;
    }
    rt::BindOp bind = symbol.bind;
    program.bound.push_back({symbol.name, describeSource(bind.getLoc(), /*operators=*/true),
                             bufferNumbers.lookup(bind.getBuffer()),
                             static_cast<uint32_t>(bind.getWidth() == 32 ? DS_INT32 : DS_INT64), symbol.element});
  }
  auto spaceOf = [](rt::BufferOp buffer) { return cast<rt::BufferType>(buffer.getType()).getSpace(); };
  for (auto buffer : host.getOps<rt::BufferOp>()) {
    switch (buffer.getKind()) {
    case rt::BufferKind::input:
      program.buffers.push_back(artifact::Buffer::input(buffer.getIndex()));
      program.inputs[buffer.getIndex()].space = spaceOf(buffer);
      break;
    case rt::BufferKind::output:
      program.buffers.push_back(artifact::Buffer::output(buffer.getIndex(), writers.lookup(buffer)));
      program.outputs[buffer.getIndex()].space = spaceOf(buffer);
      break;
    case rt::BufferKind::temporary:
      program.buffers.push_back(
          artifact::Buffer::temporary(numberOf(buffer.getBytes().getDim(0)), *buffer.getFirst(), *buffer.getLast()));
      break;
    case rt::BufferKind::result:
      program.buffers.push_back(artifact::Buffer::result(buffer.getIndex()));
      break;
    case rt::BufferKind::weight:
      if (!ElementsView::get(*buffer.getValue()))
        return buffer.emitOpError("weight is neither dense nor a resource");
      program.buffers.push_back(artifact::Buffer::weight(weightOf(*buffer.getValue())));
      break;
    }
    program.buffers.back().space = spaceOf(buffer);
    program.buffers.back().dtype = types.lookup(buffer);
  }

  DenseMap<Operation *, uint32_t> kernelNumbers;
  for (rt::CodeOp kernel : symbols.launchedKernels(host)) {
    kernelNumbers[kernel] = program.kernels.size();
    program.kernels.push_back({kernel.getSymName().str(), describeSource(kernel.getLoc(), /*operators=*/false)});
  }
  for (auto dispatch : host.getOps<rt::DispatchOp>()) {
    artifact::Launch launch;
    launch.kernel = kernelNumbers.lookup(symbols.kernel(dispatch));
    launch.source = describeSource(dispatch.getLoc(), /*operators=*/true);
    launch.flops = numberOf(symbols.figure(dispatch, &rt::CodeOp::getFlops));
    launch.bytes = numberOf(symbols.figure(dispatch, &rt::CodeOp::getBytes));
    program.launches.push_back(std::move(launch));
  }
  return program;
}

FailureOr<artifact::Program> Describer::run() {
  FailureOr<artifact::Program> program = describe(programs.front());
  if (failed(program))
    return failure();
  for (rt::ProgramOp host : programs.drop_front()) {
    FailureOr<artifact::Program> body = describe(host);
    if (failed(body))
      return failure();
    program->bodies.push_back(std::move(*body));
  }
  rt::ProgramOp model = programs.front();
  if (std::optional<ArrayAttr> versions = model.getVersions()) {
    ValueTable table(model, symbols);
    for (auto stated : versions->getAsRange<rt::VersionAttr>()) {
      artifact::Version &version = program->versions.emplace_back();
      version.body = llvm::find(programs, symbols.program(stated.getBody())) - programs.begin() - 1;
      if (ArrayAttr leftOut = stated.getLeftOut())
        for (auto input : leftOut.getAsRange<IntegerAttr>())
          version.leftOut.push_back(uint32_t(input.getInt()));
      for (NamedAttribute size : stated.getSizes())
        version.sizes.emplace_back(table.symbolIndex(size.getName().str()),
                                   cast<IntegerAttr>(size.getValue()).getInt());
    }
  }
  if (std::optional<ArrayAttr> fixed = model.getFixed())
    for (auto name : fixed->getAsRange<StringAttr>())
      program->fixedInputs.push_back(name.str());
  program->weights = std::move(weights);
  return program;
}

FailureOr<artifact::Program> describeProgram(ModuleOp module) {
  HostSymbols symbols(module);
  FailureOr<SmallVector<rt::ProgramOp>> programs = hostPrograms(module, symbols);
  if (failed(programs))
    return failure();
  return Describer(*programs, symbols).run();
}

} // namespace ds
