//===- Link.h - From object files to an artifact ----------------*- C++ -*-===//
// Assumes: ld.lld, and the files that the build put into lib/ds beside bin/.
// Guarantees: no file but the output is made; the same input gives the same bytes.
// Declines: running compilers.
//===----------------------------------------------------------------------===//
#ifndef DS_ARTIFACT_LINK_H
#define DS_ARTIFACT_LINK_H

#include "ds/Artifact/Program.h"

namespace ds::artifact {

/// What a program refers to whose operators look into strings: it takes that library out of the runtime's archive
/// (runtime/src/StringLibrary.h). Executables are linked so; an object file's code must hold a reference.
inline constexpr const char *stringsSymbol = "ds_runtime_strings";
bool needsStrings(const Program &program);

/// The same of a program that is a training step, and runtime/train (runtime/src/TrainLibrary.h).
inline constexpr const char *trainSymbol = "ds_runtime_train";
bool needsTraining(const Program &program);

enum class EmitKind { Executable, SharedLibrary, Object };

/// An object file: on disk, or in memory where `contents` is not empty.
struct Object {
  std::string path;
  std::string_view contents;
};

/// Links the objects of all variants, which define DS_PROGRAM_SYMBOL (the first one's code, which leads to the
/// others'), and adds metadata and weights. `output` is an empty file that is open for reading and writing; `symbol` is
/// what an object file defines (embeddedSymbol). Returns what went wrong in one line, or "".
std::string linkArtifact(const std::vector<Object> &objects, Variants variants, EmitKind kind, int output,
                         const std::string &symbol = "");

/// What is missing to link programs for a machine of that triple, in one line, or "".
std::string missingLinkFiles(std::string_view triple);

/// Writes the weights to a file that is open for writing, as safetensors, piece by piece. `file` gets all but its name.
/// Returns "" or what went wrong.
std::string writeSafetensors(int descriptor, const Program &program, WeightsFile &file);

/// The name of the ds_embedded_model in an object file of that name: "ds_model_bert" for "out/bert.o".
std::string embeddedSymbol(const std::string &outputPath);

/// Appends metadata and weights to a linked ELF file that is open for reading and writing. Returns "" or what went
/// wrong.
std::string appendArtifact(int descriptor, Variants variants, uint64_t codeId);

/// Makes a relocatable file that is open for reading and writing one that holds the whole model and defines `symbol`
/// alone. Returns "" or what went wrong.
std::string embedProgram(int descriptor, Variants variants, uint64_t codeId, const std::string &symbol);

} // namespace ds::artifact

#endif
