//===- ModelFile.cpp - Loads artifacts --------------------------------------===//
// Assumes: nothing about the file.
// Guarantees: metadata, format versions and CPU features are checked before any code of the artifact is loaded.
// Declines: reading all weights; ds_model_verify does.
//===----------------------------------------------------------------------===//
#include "Model.h"
#include "ds_hash.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace ds::runtime;

static ds_status readMetadata(ds_model &Model, int Descriptor, const ElfSections &Sections, const char *Path,
                              ds_error *Error) {
  const FileRange &Range = Sections.Metadata;
  if (!Model.MetadataBytes.resize(Range.Size / 8 + 1))
    return outOfMemory(Error);
  if (!readAt(Descriptor, Model.MetadataBytes.data(), Range.Size, Range.Offset))
    return fail(Error, DS_IO_ERROR, "cannot read '%s': %s", Path,
                errno ? strerror(errno) : "the file is shorter than it says");
  return chooseVariant(Model, Model.MetadataBytes.data(), Range.Size, Sections.Machine, Path, Error);
}

/// Whether the code is what the linker wrote: the dynamic linker would believe anything.
static ds_status checkCodeBytes(const ds_model &Model, int Descriptor, const char *Path, ds_error *Error) {
  if (!Model.Meta.Codes.size())
    return DS_OK;
  const ds_artifact_code &Code = Model.Meta.Codes[0];
  Array<unsigned char> Piece;
  if (!Piece.resize(256 << 10))
    return outOfMemory(Error);
  ds_hash Hash;
  ds_hash_start(&Hash);
  for (uint64_t At = 0; At < Code.length; At += Piece.size()) {
    const uint64_t Size = Code.length - At < Piece.size() ? Code.length - At : Piece.size();
    if (!readAt(Descriptor, Piece.data(), Size, At))
      return fail(Error, DS_BAD_ARTIFACT, "'%s' is damaged or truncated: its code cannot be read", Path);
    if (At == 0 && Size >= sizeof(Elf64_Ehdr)) { // where the section table is was written later
      memset(Piece.data() + offsetof(Elf64_Ehdr, e_shoff), 0, sizeof(Elf64_Off));
      memset(Piece.data() + offsetof(Elf64_Ehdr, e_shnum), 0, sizeof(Elf64_Half));
    }
    ds_hash_add(&Hash, Piece.data(), Size);
  }
  if (ds_hash_finish(&Hash) != Code.hash)
    return fail(Error, DS_BAD_ARTIFACT, "the code of '%s' is damaged (its checksum does not match)", Path);
  return DS_OK;
}

static ds_status loadCode(ds_model &Model, const char *LibraryPath, const char *Path, ds_error *Error) {
  Model.Library = dlopen(LibraryPath, RTLD_NOW | RTLD_LOCAL);
  if (!Model.Library)
    return fail(Error, DS_BAD_ARTIFACT, "cannot load the code of '%s': %s", Path, dlerror());
  Model.Code = static_cast<const ds_program_code *>(dlsym(Model.Library, DS_PROGRAM_SYMBOL));
  if (!Model.Code)
    return fail(Error, DS_BAD_ARTIFACT, "'%s' has no symbol " DS_PROGRAM_SYMBOL, Path);
  Model.CloseLibrary = dlclose;
  // The dynamic linker goes by names: a file that was replaced while its old code is loaded gives the old code again.
  uint64_t Id = reinterpret_cast<uintptr_t>(dlsym(Model.Library, DS_ARTIFACT_ID_SYMBOL));
  if (Id != Model.Meta.Program->code_id)
    return fail(
        Error, DS_BAD_ARTIFACT,
        "the code and the metadata of '%s' do not belong together; if the file was replaced while this process has the "
        "old model loaded, release that first",
        Path);
  return DS_OK;
}

ds_status ds::runtime::loadFile(int Descriptor, const char *Path, const char *File, const char *LibraryPath,
                                const ds_program_code *Code, ds_model **Out, ds_error *Error) {
  ElfSections Sections;
  if (ds_status Status = findSections(Descriptor, Path, Sections, Error))
    return Status;
  if (!Code && Sections.IsProgram)
    return fail(Error, DS_BAD_ARTIFACT, "'%s' is a program, not a library: run it, or compile with --emit=library",
                Path);
  ds_model *Model = newModel();
  if (!Model)
    return outOfMemory(Error);
  ds_status Status = readMetadata(*Model, Descriptor, Sections, Path, Error);
  if (!Status)
    Status = Model->Meta.WeightsFiles.size() ? mapWeightsFile(*Model, File, Path, Error)
                                             : mapWeights(*Model, Descriptor, Sections.Weights, Path, Error);
  if (!Status && !Code)
    Status = checkCodeBytes(*Model, Descriptor, Path, Error);
  if (!Status && !Code)
    Status = loadCode(*Model, LibraryPath, Path, Error);
  if (!Status && Code)
    Model->Code = Code;
  if (!Status)
    Status = checkCode(*Model, Path, Error);
  if (Status) {
    ds_model_release(Model);
    return Status;
  }
  *Out = Model;
  return DS_OK;
}

ds_status ds_model_load_self(const ds_program_code *Code, ds_model **Model, ds_error *Error) {
  if (!Code || !Model)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_load_self needs the program's code and a place for the model");
  char Path[PATH_MAX];
  File Opened(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  if (!ownPath(Path, sizeof Path) || !Opened.isOpen())
    return fail(Error, DS_IO_ERROR, "cannot open this program's own file (/proc/self/exe): %s", strerror(errno));
  return loadFile(Opened.get(), Path, Path, nullptr, Code, Model, Error);
}
