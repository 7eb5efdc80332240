//===- Optional.h - Initializers that are inputs as well ------------------===//
// Assumes: a parsed, otherwise untrusted model.
// Guarantees: of the initializers that are inputs as well, those that a run may give are arguments with `ds.default`; a
//   version of the function, for runs that give none of them, computes with the constants.
// Declines: see ds/Import/Onnx.h.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_IMPORT_ONNX_OPTIONAL_H
#define DS_LIB_IMPORT_ONNX_OPTIONAL_H

#include "GraphImporter.h"

namespace ds::importer {

mlir::OwningOpRef<mlir::ModuleOp> importWithOptional(mlir::MLIRContext &context, ModelFile &file,
                                                     llvm::StringRef folder, const ImportOptions &options);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_OPTIONAL_H
