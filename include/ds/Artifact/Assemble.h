//===- Assemble.h - From compiled variants to an artifact -----------------===//
// Assumes: programs as described, with the objects of their code; LLVM's hashes, which Link.h does without.
// Guarantees: equal weights of several variants are stored once; each error is one line that names the file.
// Declines: making the output appear: that is the matter of whoever opened the files.
//===----------------------------------------------------------------------===//
#ifndef DS_ARTIFACT_ASSEMBLE_H
#define DS_ARTIFACT_ASSEMBLE_H

#include "ds/Artifact/Link.h"

#include <functional>
#include <string>
#include <vector>

namespace ds::artifact {

/// The code of a program for one CPU, and what describes it.
struct Variant {
  std::vector<std::string> objects;
  Program program;
};

/// Where weights go: into the artifact, or into a safetensors file beside it (`<output>.safetensors`); `Automatic`: the
/// latter past 2 GB.
enum class WeightsPlace { Automatic, Inside, Beside };

struct Assembly {
  EmitKind kind = EmitKind::Executable;
  WeightsPlace weights = WeightsPlace::Automatic;
  /// What the artifact will be called, and its open, empty file.
  std::string output;
  int descriptor = -1;
  /// Makes a file that appears with the artifact: its descriptor, or -1 and what went wrong.
  std::function<int(const std::string &path, std::string &error)> makeFile;
};

/// Links all variants, the most capable first, with their metadata and weights. Returns "" or what went wrong.
std::string assemble(std::vector<Variant> variants, const Assembly &assembly);

} // namespace ds::artifact

#endif
