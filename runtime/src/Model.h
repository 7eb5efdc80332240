//===- Model.h - A loaded artifact ------------------------------*- C++ -*-===//
// Assumes: it came from one of the ds_model_load functions.
// Guarantees: immutable after loading; lives until the caller and all its sessions let go of it.
// Declines: anything about runs; that is Session.h.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_MODEL_H
#define DS_RUNTIME_MODEL_H

#include "Metadata.h"
#include "ds_kernel.h"
#include <atomic>

struct ds_model {
  std::atomic<uint32_t> References{1};
  ds::runtime::Array<uint64_t> MetadataBytes; // of words: the tables need 8-byte alignment
  ds::runtime::Metadata Meta;
  ds::runtime::Array<ds_dimension_info> Dimensions; // parallel to Meta.Dimensions
  const ds_program_code *Code = nullptr;
  void *Library = nullptr; // of dlopen
  int (*CloseLibrary)(void *) = nullptr;
  int Descriptor = -1; // of a memory file: its name stays unique as long as it is open
  void *WeightMap = nullptr;
  size_t WeightMapSize = 0;
  const unsigned char *Weights = nullptr; // never NULL once loaded
  // One an input, dtype 0 where it has no default; none where no input has one.
  ds::runtime::Array<ds_tensor> Defaults;
  ds::runtime::Array<int64_t> DefaultShapes;
  ds::runtime::Array<ds_string> DefaultStrings;
  std::atomic<bool> Prefetched{false};
  size_t Variant = 0, VariantCount = 1;  // which of the artifact's programs this is
  ds::runtime::Text Cpus;                // of all variants
  ds::runtime::Array<ds_model *> Bodies; // that calls run; of the outermost model alone
  ds_model *Outermost = nullptr;         // of a body

  ~ds_model();
};

namespace ds::runtime {

void retain(ds_model *Model);

/// Starts reading the weights from disk: when somebody means to run, not when somebody looks at the metadata.
void prefetchWeights(ds_model *Model);

/// An empty model, or NULL without memory.
ds_model *newModel();

/// The steps of loading that all ways share. `Path` names the model in messages.
/// Parses the metadata of all variants and takes the first one that this machine can run.
ds_status chooseVariant(ds_model &Model, const void *Bytes, size_t Size, uint16_t ElfMachine, const char *Path,
                        ds_error *Error);
/// Takes the variant's code from `Code`, the first one's. Bodies get their code and weights here.
ds_status checkCode(ds_model &Model, const char *Path, ds_error *Error);

/// This program's file; false with errno.
bool ownPath(char *Path, size_t Size);

/// Where a section of an ELF file lies in it.
struct FileRange {
  uint64_t Offset = 0, Size = 0;
  bool Found = false;
};

struct ElfSections {
  FileRange Metadata, Weights;
  uint16_t Machine = 0;
  bool IsProgram = false; // has an entry of its own
};

// Weights.cpp
/// Maps the section of the open file.
ds_status mapWeights(ds_model &Model, int Descriptor, const FileRange &Range, const char *Path, ds_error *Error);
/// Maps the safetensors file beside `File`, which is NULL where the model has none.
ds_status mapWeightsFile(ds_model &Model, const char *File, const char *Path, ds_error *Error);

// ModelFile.cpp
/// `Code` NULL: the file is a library, to be loaded under the name `LibraryPath`. `File` is where it really is, NULL
/// for memory.
ds_status loadFile(int Descriptor, const char *Path, const char *File, const char *LibraryPath,
                   const ds_program_code *Code, ds_model **Out, ds_error *Error);

/// Finds the artifact's sections in an open file. `Path` is for messages alone.
ds_status findSections(int Descriptor, const char *Path, ElfSections &Sections, ds_error *Error);

} // namespace ds::runtime

#endif
