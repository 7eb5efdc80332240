//===- DescribeProgram.cpp - The host program as metadata -----------------===//
// Guarantees: numbers of values, symbols, buffers, kernels and launches are those of the code (ValueTable).
//===----------------------------------------------------------------------===//
#include "dialects/ds/Elements.h"
#include "dialects/ds/NodeName.h"
#include "ds/Conversion/RtToLLVM.h"
#include "lib/Conversion/RtToLLVM/ValueTable.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ds {

static uint32_t dtypeOf(Type type) {
  switch (*getElementKind(type)) {
  case ElementKind::I1:
    return DS_BOOL;
  case ElementKind::I8:
    return DS_INT8;
  case ElementKind::I16:
    return DS_INT16;
  case ElementKind::I32:
    return DS_INT32;
  case ElementKind::I64:
    return DS_INT64;
  case ElementKind::U8:
    return DS_UINT8;
  case ElementKind::U16:
    return DS_UINT16;
  case ElementKind::U32:
    return DS_UINT32;
  case ElementKind::U64:
    return DS_UINT64;
  case ElementKind::F16:
    return DS_FLOAT16;
  case ElementKind::BF16:
    return DS_BFLOAT16;
  case ElementKind::F32:
    return DS_FLOAT32;
  case ElementKind::F64:
    return DS_FLOAT64;
  case ElementKind::I2:
    return DS_INT2;
  case ElementKind::U2:
    return DS_UINT2;
  case ElementKind::I4:
    return DS_INT4;
  case ElementKind::U4:
    return DS_UINT4;
  case ElementKind::F4E2M1FN:
    return DS_FLOAT4E2M1FN;
  case ElementKind::F8E4M3FN:
    return DS_FLOAT8E4M3FN;
  case ElementKind::F8E4M3FNUZ:
    return DS_FLOAT8E4M3FNUZ;
  case ElementKind::F8E5M2:
    return DS_FLOAT8E5M2;
  case ElementKind::F8E5M2FNUZ:
    return DS_FLOAT8E5M2FNUZ;
  }
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

FailureOr<artifact::Program> describeProgram(ModuleOp module) {
  FailureOr<func::FuncOp> found = hostFunction(module);
  if (failed(found))
    return failure();
  func::FuncOp function = *found;
  ValueTable table(function);
  using artifact::Number;
  auto number = [&](const SymExpr &expr) {
    return expr.isConst() ? Number::constant(expr.getConst()) : Number::ofValue(table.indexOf(expr));
  };

  artifact::Program program;
  program.valueCount = table.getValues().size();
  for (const ValueTable::Symbol &symbol : table.getSymbols())
    program.symbols.push_back({symbol.name, symbol.name, symbol.input, symbol.dimension});
  for (const ValueTable::Stage &stage : table.getStages())
    program.stages.push_back({stage.symbolCount, stage.valueCount, stage.firstLaunch, number(stage.scratch)});
  auto tensors = [&](StringRef attribute, bool inputs) {
    std::vector<artifact::Tensor> all;
    for (auto entry : function->getAttrOfType<ArrayAttr>(attribute).getAsRange<DictionaryAttr>()) {
      artifact::Tensor tensor;
      tensor.name = entry.getAs<StringAttr>("name").str();
      tensor.dtype = dtypeOf(getElementTypeOrSelf(cast<TypeAttr>(entry.get("type")).getValue()));
      for (const SymExpr &dim : entry.getAs<ShapeAttr>("shape").getDims()) {
        Number size = inputs && !dim.isConst() ? Number::ofSymbol(table.symbolIndex(*dim.symbolName())) : number(dim);
        tensor.dimensions.push_back({size, dim.str()});
      }
      all.push_back(std::move(tensor));
    }
    return all;
  };
  program.inputs = tensors(rt::kInputs, /*inputs=*/true);
  program.outputs = tensors(rt::kOutputs, /*inputs=*/false);
  for (const ShapeConstraint &constraint : table.constraints)
    program.constraints.push_back(constraint.message);
  program.constraints.push_back("the sizes of the inputs are too large: a size computed from them exceeds 2^63");

  DenseMap<Value, uint32_t> bufferNumbers, writers;
  for (auto buffer : function.getOps<rt::BufferOp>())
    bufferNumbers.try_emplace(buffer, bufferNumbers.size());
  for (auto [node, dispatch] : llvm::enumerate(function.getOps<rt::DispatchOp>()))
    for (Value buffer : dispatch.getBuffers())
      writers.try_emplace(buffer, node); // outputs are written before they are read
  for (const ValueTable::BoundSymbol &symbol : table.getBound()) {
    rt::BindOp bind = symbol.bind;
    program.bound.push_back({symbol.name, describeSource(bind.getLoc(), /*operators=*/true),
                             bufferNumbers.lookup(bind.getBuffer()),
                             static_cast<uint32_t>(bind.getWidth() == 32 ? DS_INT32 : DS_INT64), symbol.element});
  }
  for (auto buffer : function.getOps<rt::BufferOp>()) {
    switch (buffer.getKind()) {
    case rt::BufferKind::input:
      program.buffers.push_back(artifact::Buffer::input(buffer.getIndex()));
      break;
    case rt::BufferKind::output:
      program.buffers.push_back(artifact::Buffer::output(buffer.getIndex(), writers.lookup(buffer)));
      break;
    case rt::BufferKind::temporary:
      program.buffers.push_back(
          artifact::Buffer::temporary(number(buffer.getBytes().getDim(0)), *buffer.getFirst(), *buffer.getLast()));
      break;
    case rt::BufferKind::weight: {
      auto view = ElementsView::get(*buffer.getValue());
      if (!view)
        return buffer.emitOpError("weight is neither dense nor a resource");
      artifact::Weight weight;
      auto bytes = std::make_shared<ElementsView>(*view);
      int64_t elementBytes = getElementBytes(view->getKind());
      weight.size = view->size() * elementBytes;
      weight.dtype = dtypeOf(view->getType().getElementType());
      weight.shape.assign(view->getType().getShape().begin(), view->getType().getShape().end());
      if (auto resource = dyn_cast<DenseResourceElementsAttr>(*buffer.getValue()))
        weight.name = resource.getRawHandle().getKey().str();
      weight.produce = [bytes](const artifact::Weight::Sink &sink) {
        ArrayRef<char> data = bytes->bytes();
        if (!bytes->isSplat())
          return sink(data.data(), data.size());
        for (int64_t i = 0; i < bytes->size(); ++i)
          sink(data.data(), data.size());
      };
      program.buffers.push_back(artifact::Buffer::weight(program.weights.size()));
      program.weights.push_back(std::move(weight));
      break;
    }
    }
  }

  DenseMap<Operation *, uint32_t> kernelNumbers;
  for (ModuleOp kernel : launchedKernels(function)) {
    kernelNumbers[kernel] = program.kernels.size();
    program.kernels.push_back({kernel.getSymName()->str(), describeSource(kernel.getLoc(), /*operators=*/false)});
  }
  for (auto dispatch : function.getOps<rt::DispatchOp>()) {
    ModuleOp kernel = kernelModule(dispatch);
    artifact::Launch launch;
    launch.kernel = kernelNumbers.lookup(kernel);
    launch.source = describeSource(dispatch.getLoc(), /*operators=*/true);
    launch.flops = number(kernelExpr(kernel, rt::kFlops));
    launch.bytes = number(kernelExpr(kernel, rt::kBytes));
    program.launches.push_back(std::move(launch));
  }
  return program;
}

} // namespace ds
