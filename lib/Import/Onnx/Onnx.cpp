//===- Onnx.cpp - ONNX models to the ds dialect ---------------------------===//
// Assumes: see ds/Import/Onnx.h.
// Guarantees: no exception leaves this file; whatever ONNX's library throws becomes a diagnostic.
// Declines: see ds/Import/Onnx.h.

#include "ds/Import/Onnx.h"

#include "ModelFile.h"
#include "Optional.h"
#include "Training.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static mlir::OwningOpRef<mlir::ModuleOp> importModel(mlir::MLIRContext &context, bool parsed, ModelFile &file,
                                                     StringRef error, StringRef folder, const ImportOptions &options) {
  mlir::Location loc = mlir::UnknownLoc::get(&context);
  if (!parsed) {
    mlir::emitError(loc) << error;
    return {};
  }
  try {
    return options.training ? importForTraining(context, file, folder, options)
                            : importWithOptional(context, file, folder, options);
  } catch (const std::exception &exception) {
    mlir::emitError(loc) << "the model cannot be imported: " << oneLine(exception.what());
    return {};
  }
}

mlir::OwningOpRef<mlir::ModuleOp> ds::importOnnxFile(mlir::MLIRContext &context, StringRef path, StringRef folder,
                                                     const ImportOptions &options) {
  std::string error;
  ModelFile file;
  bool parsed = readModelFile(path, file, error);
  return importModel(context, parsed, file, error, folder, options);
}

mlir::OwningOpRef<mlir::ModuleOp> ds::importOnnxTextFile(mlir::MLIRContext &context, StringRef path,
                                                         const ImportOptions &options) {
  std::string error;
  ModelFile file;
  bool parsed = false;
  if (auto buffer = MemoryBuffer::getFile(path, /*IsText=*/true))
    parsed = parseModelText((*buffer)->getBuffer(), file, error);
  else
    error = "cannot open the model: " + buffer.getError().message();
  return importModel(context, parsed, file, error, sys::path::parent_path(path), options);
}

mlir::OwningOpRef<mlir::ModuleOp> ds::importOnnxBytes(mlir::MLIRContext &context, StringRef bytes, StringRef folder,
                                                      const ImportOptions &options) {
  std::string error;
  ModelFile file;
  bool parsed = parseModelBytes(bytes, file, error);
  return importModel(context, parsed, file, error, folder, options);
}
