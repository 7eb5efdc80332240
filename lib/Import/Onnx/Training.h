//===- Training.h - Models that are to be trained -------------------------===//
// Assumes: a parsed, otherwise untrusted model, exported in training mode.
// Guarantees: `main` computes the outputs as in training, and a private function (`ds.evaluate`) as in inference. Both
//   take the model's inputs, then the parameters, then other state (running statistics), each with its initializer as
//   `ds.default`, and say so (`ds.role`); the results of `main` end with the next value of each state. Parameters are
//   the initializers of floats, of rank 1 or more, that some node has as a differentiable input and that no pattern
//   freezes.
// Declines: normalization in training mode inside functions, branches and loops.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_IMPORT_ONNX_TRAINING_H
#define DS_LIB_IMPORT_ONNX_TRAINING_H

#include "GraphImporter.h"

namespace ds::importer {

mlir::OwningOpRef<mlir::ModuleOp> importForTraining(mlir::MLIRContext &context, ModelFile &file, llvm::StringRef folder,
                                                    const ImportOptions &options);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_TRAINING_H
