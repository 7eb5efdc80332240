//===- Text.h - Text in the ds dialect ------------------------------------===//
// Assumes: the context may load the ds and func dialects.
// Guarantees: a verified module whose `main` has a name and dims for every input, and types that follow from them, or
// errors emitted as diagnostics. Declines: modules without a function `main` with ranked tensor arguments.

#ifndef DS_IMPORT_TEXT_H
#define DS_IMPORT_TEXT_H

#include "ds/Import/Options.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/ADT/StringRef.h"

namespace ds {

/// Reads the text file `path`.
mlir::OwningOpRef<mlir::ModuleOp> importTextFile(mlir::MLIRContext &context, llvm::StringRef path,
                                                 const ImportOptions &options = {});

} // namespace ds

#endif // DS_IMPORT_TEXT_H
