//===- Phases.cpp - The phases of a compilation ---------------------------===//
// Assumes: each phase finds what the one before leaves.
// Guarantees: the one table that `--stop-after`, `--save-phases`, `--timing` and the driver's loop read.
// Declines: the passes of a phase; their order is lib/Pipelines' matter.

#include "ds/Driver/Phases.h"

#include "OutputFile.h"
#include "ds/Codegen/Passes.h"
#include "ds/Conversion/RtToLLVM.h"
#include "ds/Import/MappedFile.h"
#include "ds/Import/Onnx.h"
#include "ds/Pipelines/Pipelines.h"

using namespace ds;

/// Weights that are still in the model's file become memory of this process as they are read, and leave it piece by
/// piece.
static void dropPagesOnceWritten(artifact::Program &program) {
  for (artifact::Weight &weight : program.weights)
    weight.produce = [inner = std::move(weight.produce)](const artifact::Weight::Sink &sink) {
      inner([&](const void *data, uint64_t size) {
        constexpr uint64_t piece = 64 << 20;
        for (uint64_t at = 0; at < size; at += piece) {
          llvm::ArrayRef<char> bytes(static_cast<const char *>(data) + at, std::min(piece, size - at));
          sink(bytes.data(), bytes.size());
          dropMappedPages(bytes);
        }
      });
    };
}

/// Links what was compiled for all CPUs; "" or what went wrong.
static std::string assemble(PhaseContext &context) {
  artifact::Assembly assembly;
  assembly.kind = context.options.emit == EmitKind::Library  ? artifact::EmitKind::SharedLibrary
                  : context.options.emit == EmitKind::Object ? artifact::EmitKind::Object
                                                             : artifact::EmitKind::Executable;
  assembly.weights = context.options.weights == WeightsPlace::Inside   ? artifact::WeightsPlace::Inside
                     : context.options.weights == WeightsPlace::Beside ? artifact::WeightsPlace::Beside
                                                                       : artifact::WeightsPlace::Automatic;
  assembly.output = context.options.output;
  assembly.descriptor = context.outputDescriptor;
  assembly.makeFile = [&](const std::string &path, std::string &error) {
    llvm::Expected<OutputFile> file = OutputFile::create(path);
    if (!file) {
      error = llvm::toString(file.takeError());
      return -1;
    }
    context.besides.push_back(std::move(*file));
    return context.besides.back().getDescriptor();
  };
  return artifact::assemble(std::move(context.variants), assembly);
}

/// Object files of all kernels and the host program; with the last variant, the artifact.
static mlir::LogicalResult writeArtifact(mlir::ModuleOp module, PhaseContext &context) {
  mlir::FailureOr<std::vector<std::string>> code =
      emitObjects(module, context.target.host, context.progress, context.names, context.kernels);
  if (failed(code))
    return mlir::failure();
  mlir::FailureOr<artifact::Program> program = describeProgram(module);
  if (failed(program))
    return mlir::failure();
  const CpuTarget &host = context.target.host;
  program->triple = host.triple;
  program->cpu = host.cpu;
  program->compiler = "ds " + compilerVersion().str();
  program->features = artifact::checkedFeatures(host.triple, host.features);
  if (auto properties = module->getAttrOfType<mlir::DictionaryAttr>(kPropertiesAttr))
    for (mlir::NamedAttribute property : properties)
      program->properties.emplace_back(property.getName().str(),
                                       llvm::cast<mlir::StringAttr>(property.getValue()).str());
  if (auto source = module->getAttrOfType<mlir::ArrayAttr>(kExportAttr)) {
    const auto parts = source.getAsRange<mlir::StringAttr>();
    const uint64_t length = (*parts.begin()).size();
    program->exported.assign(reinterpret_cast<const char *>(&length), sizeof length);
    for (mlir::StringAttr part : parts)
      program->exported += part.getValue();
  }
  if (auto names = module->getAttrOfType<mlir::DictionaryAttr>(kDimNamesAttr))
    for (artifact::Symbol &symbol : program->symbols)
      if (auto name = names.getAs<mlir::StringAttr>(symbol.name))
        symbol.display = name.str();
  auto addSuffix = [&](artifact::Program &part) {
    for (artifact::Kernel &kernel : part.kernels)
      kernel.name += context.names.suffix;
  };
  addSuffix(*program);
  llvm::for_each(program->bodies, addSuffix);
  auto addDevices = [&](artifact::Program &part) {
    for (const DeviceTarget &device : context.target.devices)
      part.devices.push_back({DS_DEVICE_CUDA, device.arch});
  };
  addDevices(*program);
  llvm::for_each(program->bodies, addDevices);
  dropPagesOnceWritten(*program);

  context.variants.push_back({std::move(*code), std::move(*program)});
  if (!context.names.next.empty())
    return mlir::success();
  if (std::string error = assemble(context); !error.empty())
    return mlir::emitError(mlir::UnknownLoc::get(module.getContext())) << error;
  return mlir::success();
}

llvm::ArrayRef<Phase> ds::phases() {
  static const std::vector<Phase> table = [] {
    std::vector<Phase> result;
    for (const PassPhase &phase : passPhases())
      result.push_back({phase.name, &phase, nullptr, phase.judgesModel});
    // A full disk is not the compiler's fault.
    result.push_back({"artifact", nullptr, writeArtifact, /*judgesModel=*/true});
    return result;
  }();
  return table;
}
