//===- Append.cpp - Puts metadata and weights behind a linked file ---------===//
// Assumes: an ELF file as a linker wrote it, with section headers.
// Guarantees: nothing that the dynamic linker looks at moves.
// Declines: files that already have the two sections.
// Layout: [linked file][weights][metadata][section names][section headers]. The gap before the weights is a hole.
//===----------------------------------------------------------------------===//
#include "ElfOutput.h"
#include "ds/Artifact/Link.h"
#include "runtime/include/ds_hash.h"

namespace ds::artifact {

static constexpr uint64_t smallAlignment = 4096, largeAlignment = 2 << 20; // a page, a huge page
static constexpr uint64_t largeWeights = 4 << 20;

std::string appendArtifact(int descriptor, Variants variants, uint64_t codeId) {
  const Program &program = variants.front();
  ElfFile file;
  if (std::string error = file.read(descriptor, /*reserve=*/2); !error.empty())
    return error;
  if (file.names.find(DS_ARTIFACT_META_SECTION) != std::string::npos)
    return "the file already is an artifact";

  Output out(descriptor, file.size);
  uint64_t weightsLength = 0, weightsHash = ds_hash_bytes("", 0);
  const bool isBeside = program.weightsFile.has_value();
  if (isBeside)
    weightsHash = program.weightsFile->weightsHash;
  else
    layOutWeights(program, weightsLength);
  const uint64_t alignment = weightsLength > largeWeights ? largeAlignment : smallAlignment;
  if (weightsLength)
    out.alignTo(alignment);
  const uint64_t weightsAt = out.at();
  std::string error = isBeside ? "" : writeWeights(out, program, weightsHash);
  if (!error.empty())
    return error;
  const ds_artifact_code code = file.hashCode(descriptor, error);
  if (!error.empty())
    return error;
  const std::vector<char> metadata = serializeMetadata(variants, codeId, weightsHash, error, &code);
  if (!error.empty())
    return "the program's description is inconsistent: " + error;
  out.alignTo(8);
  const uint64_t metadataAt = out.at();
  out.write(metadata.data(), metadata.size());
  file.sections.push_back(file.section(DS_ARTIFACT_META_SECTION, metadataAt, metadata.size(), 8));
  if (!isBeside)
    file.sections.push_back(file.section(DS_ARTIFACT_WEIGHTS_SECTION, weightsAt, weightsLength, alignment));
  return file.finish(descriptor, out);
}

} // namespace ds::artifact
