//===- Model.h - A model's file, whatever format it has -------------------===//
// Assumes: the context may load the ds and func dialects.
// Guarantees: what ds/Import/Onnx.h and ds/Import/Text.h guarantee, by the file's suffix in any case of letters, or by
//   how the file begins where the suffix says nothing.
// Declines: text that is neither ONNX's nor MLIR's.

#ifndef DS_IMPORT_MODEL_H
#define DS_IMPORT_MODEL_H

#include "ds/Import/Options.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/ADT/StringRef.h"

#include <optional>

namespace ds {

enum class ModelFormat { Onnx, OnnxText, Mlir };

/// The format that the suffix of a file's name says; nothing for other suffixes.
std::optional<ModelFormat> formatOfName(llvm::StringRef path);
/// The format of a file that begins with `head`; nothing for text that is no model.
std::optional<ModelFormat> formatOfContents(llvm::StringRef head);

/// Reads the model in the file `path`; `name` is what decides by its suffix.
mlir::OwningOpRef<mlir::ModuleOp> importModelFile(mlir::MLIRContext &context, llvm::StringRef path,
                                                  llvm::StringRef name, const ImportOptions &options = {});

} // namespace ds

#endif // DS_IMPORT_MODEL_H
