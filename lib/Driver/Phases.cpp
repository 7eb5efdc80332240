//===- Phases.cpp - The phases of a compilation ---------------------------===//
// Assumes: each phase finds what the one before leaves.
// Guarantees: the one table that `--stop-after`, `--save-phases`, `--timing` and the driver's loop read.
// Declines: the passes of a phase; their order is lib/Pipelines' matter.

#include "ds/Driver/Phases.h"

#include "OutputFile.h"
#include "ds/Artifact/Link.h"
#include "ds/Codegen/Passes.h"
#include "ds/Conversion/RtToLLVM.h"
#include "ds/Import/MappedFile.h"
#include "ds/Import/Onnx.h"
#include "ds/Pipelines/Pipelines.h"

#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/Path.h"

using namespace ds;
using mlir::OpPassManager;

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

/// Writes the weights beside the artifact where they belong there; "" or what went wrong.
static std::string placeWeights(artifact::Program &program, PhaseContext &context) {
  constexpr uint64_t mostInside = uint64_t(2) << 30;
  uint64_t length;
  artifact::layOutWeights(program, length);
  const WeightsPlace place = context.options.weights;
  if (length == 0 || place == WeightsPlace::Inside || (place == WeightsPlace::Automatic && length <= mostInside))
    return "";
  const std::string path = context.options.output + ".safetensors";
  llvm::Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return llvm::toString(file.takeError());
  context.besides.push_back(std::move(*file));
  artifact::WeightsFile written;
  written.name = llvm::sys::path::filename(path).str();
  if (std::string error = artifact::writeSafetensors(context.besides.back().getDescriptor(), program, written);
      !error.empty())
    return "'" + path + "': " + error;
  program.weightsFile = std::move(written);
  return "";
}

/// Tells equal weights of several variants from different ones.
static void addDigests(artifact::Program &program) {
  for (artifact::Weight &weight : program.weights) {
    llvm::BLAKE3 hash;
    weight.produce([&](const void *data, uint64_t size) {
      hash.update(llvm::ArrayRef<uint8_t>(static_cast<const uint8_t *>(data), size));
    });
    llvm::BLAKE3Result<> result = hash.final();
    weight.digest.assign(result.begin(), result.end());
  }
}

/// Links the objects of all variants with what the runtime must know of them; "" or what went wrong.
static std::string link(PhaseContext &context) {
  std::vector<artifact::Program> programs;
  std::vector<artifact::Object> objects;
  for (CompiledVariant &variant : context.variants) {
    programs.push_back(std::move(variant.program));
    for (const std::string &contents : variant.objects)
      objects.push_back({"", contents});
  }
  if (programs.size() > 1) {
    llvm::for_each(programs, addDigests);
    artifact::shareWeights(programs);
  }
  if (std::string error = placeWeights(programs.front(), context); !error.empty())
    return error;
  for (artifact::Program &program : programs)
    program.weightsFile = programs.front().weightsFile;
  auto kind = context.options.emit == EmitKind::Library  ? artifact::EmitKind::SharedLibrary
              : context.options.emit == EmitKind::Object ? artifact::EmitKind::Object
                                                         : artifact::EmitKind::Executable;
  std::string error = artifact::linkArtifact(objects, programs, kind, context.outputDescriptor,
                                             artifact::embeddedSymbol(context.options.output));
  return error.empty() ? "" : "'" + context.options.output + "': " + error;
}

/// Object files of all kernels and the host program; with the last variant, the artifact.
static mlir::LogicalResult writeArtifact(mlir::ModuleOp module, PhaseContext &context) {
  mlir::FailureOr<std::vector<std::string>> code = emitObjects(module, context.target, context.progress, context.names);
  if (failed(code))
    return mlir::failure();
  mlir::FailureOr<artifact::Program> program = describeProgram(module);
  if (failed(program))
    return mlir::failure();
  program->triple = context.target.triple;
  program->cpu = context.target.cpu;
  program->compiler = "ds " + compilerVersion().str();
  program->features = artifact::checkedFeatures(context.target.triple, context.target.features);
  if (auto properties = module->getAttrOfType<mlir::DictionaryAttr>(kPropertiesAttr))
    for (mlir::NamedAttribute property : properties)
      program->properties.emplace_back(property.getName().str(),
                                       llvm::cast<mlir::StringAttr>(property.getValue()).str());
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
  dropPagesOnceWritten(*program);

  context.variants.push_back({std::move(*code), std::move(*program)});
  if (!context.names.next.empty())
    return mlir::success();
  if (std::string error = link(context); !error.empty())
    return mlir::emitError(mlir::UnknownLoc::get(module.getContext())) << error;
  return mlir::success();
}

llvm::ArrayRef<Phase> ds::phases() {
  using Context = PhaseContext;
  static const Phase table[] = {
      {"simplify", [](OpPassManager &pm, const Context &context) { buildSimplifyPipeline(pm, context.options.forced); },
       nullptr, true},
      {"regions", [](OpPassManager &pm, const Context &) { buildRegionsPipeline(pm); }, nullptr, true},
      {"layout", [](OpPassManager &pm,
                    const Context &context) { buildLayoutPipeline(pm, context.target, context.options.precise); }},
      {"group", [](OpPassManager &pm, const Context &) { buildGroupPipeline(pm); }},
      {"kernels", [](OpPassManager &pm, const Context &context) { buildKernelsPipeline(pm, context.target); }},
      // Sizes may be too large to be expressed.
      {"host", [](OpPassManager &pm, const Context &context) { buildHostPipeline(pm, context.options.reuse); }, nullptr,
       /*judgesModel=*/true},
      {"llvm", [](OpPassManager &pm, const Context &) { buildToLLVMPipeline(pm); }},
      // A full disk is not the compiler's fault.
      {"artifact", nullptr, writeArtifact, /*judgesModel=*/true},
  };
  return table;
}
