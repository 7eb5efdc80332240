//===- Assemble.cpp - From compiled variants to an artifact ---------------===//
// Guarantees: see Assemble.h.
//===----------------------------------------------------------------------===//
#include "ds/Artifact/Assemble.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/Path.h"

namespace ds::artifact {

/// Writes the weights beside the artifact where they belong there; "" or what went wrong.
static std::string placeWeights(Program &program, const Assembly &assembly) {
  constexpr uint64_t mostInside = uint64_t(2) << 30;
  uint64_t length;
  layOutWeights(program, length);
  const WeightsPlace place = assembly.weights;
  if (length == 0 || place == WeightsPlace::Inside || (place == WeightsPlace::Automatic && length <= mostInside))
    return "";
  const std::string path = assembly.output + ".safetensors";
  std::string error;
  const int descriptor = assembly.makeFile(path, error);
  if (descriptor < 0)
    return error;
  WeightsFile written;
  written.name = llvm::sys::path::filename(path).str();
  if (error = writeSafetensors(descriptor, program, written); !error.empty())
    return "'" + path + "': " + error;
  program.weightsFile = std::move(written);
  return "";
}

/// Tells equal weights of several variants from different ones.
static void addDigests(Program &program) {
  for (Weight &weight : program.weights) {
    llvm::BLAKE3 hash;
    weight.produce([&](const void *data, uint64_t size) {
      hash.update(llvm::ArrayRef<uint8_t>(static_cast<const uint8_t *>(data), size));
    });
    llvm::BLAKE3Result<> result = hash.final();
    weight.digest.assign(result.begin(), result.end());
  }
}

std::string assemble(std::vector<Variant> variants, const Assembly &assembly) {
  std::vector<Program> programs;
  std::vector<Object> objects;
  for (Variant &variant : variants) {
    programs.push_back(std::move(variant.program));
    for (const std::string &contents : variant.objects)
      objects.push_back({"", contents});
  }
  if (programs.size() > 1) {
    llvm::for_each(programs, addDigests);
    shareWeights(programs);
  }
  if (std::string error = placeWeights(programs.front(), assembly); !error.empty())
    return error;
  for (Program &program : programs)
    program.weightsFile = programs.front().weightsFile;
  std::string error =
      linkArtifact(objects, programs, assembly.kind, assembly.descriptor, embeddedSymbol(assembly.output));
  return error.empty() ? "" : "'" + assembly.output + "': " + error;
}

} // namespace ds::artifact
