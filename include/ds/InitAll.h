//===- InitAll.h - Everything a tool registers ----------------------------===//
// Guarantees: all dialects and passes of the project and those of MLIR that it uses.
//===----------------------------------------------------------------------===//
#ifndef DS_INITALL_H
#define DS_INITALL_H

namespace mlir {
class DialectRegistry;
}

namespace ds {

/// The project's dialects and the ones of MLIR that its IR may contain, with the extensions that their passes need.
void registerAllDialects(mlir::DialectRegistry &registry);

/// The project's passes and pipelines, for textual pass pipelines.
void registerAllPasses();

} // namespace ds

#endif
