//===- Onnx.h - ONNX models to the ds dialect -----------------------------===//
// Assumes: the context may load the ds and func dialects.
// Guarantees: a verified module whose `main` holds ops of ds with the newest operators' semantics, or errors emitted as
// diagnostics (one line each, with node name and operator). Weights are resources that own or map their data.
// Declines: complex numbers; maps as inputs or outputs.

#ifndef DS_IMPORT_ONNX_H
#define DS_IMPORT_ONNX_H

#include "ds/Import/Options.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/ADT/StringRef.h"

namespace ds {

/// Function argument and result attributes that hold the model's names of inputs and outputs.
inline constexpr llvm::StringLiteral kNameAttr = "ds.name";

/// Module attributes: dictionaries of strings. The model's metadata (key to value), and the model's own names of
/// dimensions that became fresh symbols (symbol to name).
inline constexpr llvm::StringLiteral kPropertiesAttr = "ds.properties", kDimNamesAttr = "ds.dim_names";

/// Module attribute of a training step: two strings, the fields of ModelProto but the graph, and those of the graph but
/// the initializers that are parameters (DS_TABLE_EXPORT).
inline constexpr llvm::StringLiteral kExportAttr = "ds.export";

/// Imports a binary model. External data is looked for in `folder`, which is the model's.
mlir::OwningOpRef<mlir::ModuleOp> importOnnxFile(mlir::MLIRContext &context, llvm::StringRef path,
                                                 llvm::StringRef folder, const ImportOptions &options = {});

/// Imports a file in ONNX's text format (`<ir_version: 8, opset_import: ["" : 17]> agraph (...) => (...) { ... }`).
mlir::OwningOpRef<mlir::ModuleOp> importOnnxTextFile(mlir::MLIRContext &context, llvm::StringRef path,
                                                     const ImportOptions &options = {});

/// Imports a binary model from memory. `folder` is where external data may lie.
mlir::OwningOpRef<mlir::ModuleOp> importOnnxBytes(mlir::MLIRContext &context, llvm::StringRef bytes,
                                                  llvm::StringRef folder, const ImportOptions &options = {});

} // namespace ds

#endif // DS_IMPORT_ONNX_H
