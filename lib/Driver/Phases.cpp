//===- Phases.cpp - The phases of a compilation ---------------------------===//
// Assumes: each phase finds what the one before leaves.
// Guarantees: the one table that `--stop-after`, `--save-phases`, `--timing` and the driver's loop read.
// Declines: the passes of a phase; their order is lib/Pipelines' matter.

#include "ds/Driver/Phases.h"

#include "ds/Artifact/Link.h"
#include "ds/Codegen/Passes.h"
#include "ds/Conversion/RtToLLVM.h"
#include "ds/Import/Onnx.h"
#include "ds/Pipelines/Pipelines.h"

using namespace ds;
using mlir::OpPassManager;

/// Object files of all kernels and the host program, linked with what the runtime must know of them.
static mlir::LogicalResult writeArtifact(mlir::ModuleOp module, PhaseContext &context) {
  mlir::FailureOr<std::vector<std::string>> code = emitObjects(module, context.target, context.progress);
  if (failed(code))
    return mlir::failure();
  mlir::FailureOr<artifact::Program> program = describeProgram(module);
  if (failed(program))
    return mlir::failure();
  program->triple = context.target.triple;
  program->cpu = context.target.cpu;
  program->compiler = "ds " + compilerVersion().str();
  program->features = artifact::checkedFeatures(context.target.features);
  if (auto properties = module->getAttrOfType<mlir::DictionaryAttr>(kPropertiesAttr))
    for (mlir::NamedAttribute property : properties)
      program->properties.emplace_back(property.getName().str(),
                                       llvm::cast<mlir::StringAttr>(property.getValue()).str());
  if (auto names = module->getAttrOfType<mlir::DictionaryAttr>(kDimNamesAttr))
    for (artifact::Symbol &symbol : program->symbols)
      if (auto name = names.getAs<mlir::StringAttr>(symbol.name))
        symbol.display = name.str();

  std::vector<artifact::Object> objects;
  for (const std::string &contents : *code)
    objects.push_back({"", contents});
  auto kind = context.options.emit == EmitKind::Library  ? artifact::EmitKind::SharedLibrary
              : context.options.emit == EmitKind::Object ? artifact::EmitKind::Object
                                                         : artifact::EmitKind::Executable;
  std::string error = artifact::linkArtifact(objects, *program, kind, context.outputDescriptor,
                                             artifact::embeddedSymbol(context.options.output));
  if (!error.empty())
    return mlir::emitError(mlir::UnknownLoc::get(module.getContext()))
           << "'" << context.options.output << "': " << error;
  return mlir::success();
}

llvm::ArrayRef<Phase> ds::phases() {
  using Context = PhaseContext;
  static const Phase table[] = {
      {"simplify", [](OpPassManager &pm, const Context &) { buildSimplifyPipeline(pm); }, nullptr, true},
      {"regions", [](OpPassManager &pm, const Context &) { buildRegionsPipeline(pm); }, nullptr, true},
      {"layout", [](OpPassManager &pm,
                    const Context &context) { buildLayoutPipeline(pm, context.target, context.options.precise); }},
      {"group", [](OpPassManager &pm, const Context &) { buildGroupPipeline(pm); }},
      {"kernels", [](OpPassManager &pm, const Context &context) { buildKernelsPipeline(pm, context.target); }},
      {"host", [](OpPassManager &pm, const Context &) { buildHostPipeline(pm); }},
      {"llvm", [](OpPassManager &pm, const Context &) { buildToLLVMPipeline(pm); }},
      // A full disk is not the compiler's fault.
      {"artifact", nullptr, writeArtifact, /*judgesModel=*/true},
  };
  return table;
}
