//===- Model.cpp - Loads artifacts and tells of them ----------------------===//
// Assumes: nothing about the file.
// Guarantees: metadata, format versions and CPU features are checked before any code of the artifact is loaded.
// Declines: reading all weights; ds_model_verify does.
//===----------------------------------------------------------------------===//
#include "Model.h"
#include "CpuFeatures.h"
#include "ds_hash.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <new>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace ds::runtime;

ds_model::~ds_model() {
  if (WeightMap)
    munmap(WeightMap, WeightMapSize);
  if (Library)
    dlclose(Library);
  if (Descriptor >= 0)
    close(Descriptor);
}

void ds::runtime::retain(ds_model *Model) { Model->References.fetch_add(1, std::memory_order_relaxed); }

void ds_model_release(ds_model *Model) {
  if (Model && Model->References.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Model->~ds_model();
    free(Model);
  }
}

static ds_status checkMachine(const Metadata &Meta, uint16_t ElfMachine, const char *Path, ds_error *Error) {
  const char *Triple = Meta.text(Meta.Program->triple);
  size_t Length = strlen(HostArchitecture);
  if (ElfMachine != HostElfMachine || strncmp(Triple, HostArchitecture, Length) ||
      (Triple[Length] != '-' && Triple[Length]))
    return fail(Error, DS_UNSUPPORTED, "'%s' was compiled for '%s', but this machine is %s; compile the model for it",
                Path, Triple, HostArchitecture);
  Text Missing;
  for (size_t I = 0; I < Meta.Features.size(); ++I)
    if (const char *Name = Meta.text(Meta.Features[I]); !cpuHasFeature(Name))
      Missing.append("%s%s", Missing.empty() ? "" : ", ", Name);
  if (!Missing.empty())
    return fail(
        Error, DS_UNSUPPORTED,
        "'%s' was compiled for the CPU '%s' and needs features that this one lacks (%s); compile the model with "
        "--target-cpu=native here, or with an older CPU's name",
        Path, Meta.text(Meta.Program->cpu), Missing.str());
  if (Meta.Program->kernel_abi != DS_KERNEL_ABI_VERSION)
    return fail(Error, DS_BAD_ARTIFACT,
                "'%s' has kernels for runtime interface %u, this runtime has %u; compile the model again", Path,
                Meta.Program->kernel_abi, unsigned(DS_KERNEL_ABI_VERSION));
  return DS_OK;
}

static ds_status mapWeights(ds_model &Model, int Descriptor, const FileRange &Range, const char *Path,
                            ds_error *Error) {
  const uint64_t Length = Model.Meta.Program->weights_length;
  if (Range.Size != Length)
    return fail(Error, DS_BAD_ARTIFACT, "'%s' should have %llu bytes of weights, but has %llu", Path,
                static_cast<unsigned long long>(Length), static_cast<unsigned long long>(Range.Size));
  alignas(DS_ARTIFACT_WEIGHT_ALIGNMENT) static const unsigned char Nothing[DS_ARTIFACT_WEIGHT_ALIGNMENT] = {};
  Model.Weights = Nothing;
  if (Length == 0)
    return DS_OK;
  if (Range.Offset % DS_ARTIFACT_WEIGHT_ALIGNMENT)
    return fail(Error, DS_BAD_ARTIFACT,
                "the weights of '%s' are not aligned; was the file changed after it was compiled?", Path);
  // A tool that rewrote the file may have kept a smaller alignment than a page.
  const uint64_t Page = uint64_t(sysconf(_SC_PAGESIZE)), Start = Range.Offset & ~(Page - 1),
                 Skip = Range.Offset - Start;
  void *Map = mmap(nullptr, Length + Skip, PROT_READ, MAP_SHARED, Descriptor, off_t(Start));
  if (Map == MAP_FAILED)
    return fail(Error, DS_IO_ERROR, "cannot map the weights of '%s' (%llu bytes): %s", Path,
                static_cast<unsigned long long>(Length), strerror(errno));
  Model.WeightMap = Map;
  Model.WeightMapSize = Length + Skip;
  Model.Weights = static_cast<unsigned char *>(Map) + Skip;
  (void)madvise(Map, Model.WeightMapSize, MADV_HUGEPAGE); // advice only: where the file system has them
  return DS_OK;
}

void ds::runtime::prefetchWeights(ds_model *Model) {
  if (Model->WeightMap && !Model->Prefetched.exchange(true))
    (void)madvise(Model->WeightMap, Model->WeightMapSize, MADV_WILLNEED);
}

static ds_status readMetadata(ds_model &Model, int Descriptor, const FileRange &Range, const char *Path,
                              ds_error *Error) {
  if (!Model.MetadataBytes.resize(Range.Size / 8 + 1))
    return outOfMemory(Error);
  if (!readAt(Descriptor, Model.MetadataBytes.data(), Range.Size, Range.Offset))
    return fail(Error, DS_IO_ERROR, "cannot read '%s': %s", Path,
                errno ? strerror(errno) : "the file is shorter than it says");
  ds_error Reason;
  if (ds_status Status = Model.Meta.parse(Model.MetadataBytes.data(), Range.Size, &Reason))
    return fail(Error, Status, "'%s': %s", Path, Reason.message);
  const Metadata &Meta = Model.Meta;
  if (!Model.Dimensions.resize(Meta.Dimensions.size()))
    return outOfMemory(Error);
  for (size_t I = 0; I < Meta.Dimensions.size(); ++I) {
    const ds_artifact_dimension &D = Meta.Dimensions[I];
    Model.Dimensions[I] = {D.size.kind == DS_NUMBER_CONSTANT ? D.size.value : -1, Meta.text(D.text)};
  }
  return DS_OK;
}

static ds_status loadCode(ds_model &Model, const char *LibraryPath, const char *Path, ds_error *Error) {
  Model.Library = dlopen(LibraryPath, RTLD_NOW | RTLD_LOCAL);
  if (!Model.Library)
    return fail(Error, DS_BAD_ARTIFACT, "cannot load the code of '%s': %s", Path, dlerror());
  Model.Code = static_cast<const ds_program_code *>(dlsym(Model.Library, DS_PROGRAM_SYMBOL));
  if (!Model.Code)
    return fail(Error, DS_BAD_ARTIFACT, "'%s' has no symbol " DS_PROGRAM_SYMBOL, Path);
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

static ds_status checkCode(const ds_model &Model, const char *Path, ds_error *Error) {
  if (Model.Code->abi_version != DS_KERNEL_ABI_VERSION || Model.Code->kernel_count != Model.Meta.Kernels.size() ||
      !Model.Code->sizes || !Model.Code->run)
    return fail(Error, DS_BAD_ARTIFACT, "the code of '%s' does not fit its metadata", Path);
  return DS_OK;
}

static ds_model *newModel() {
  void *Memory = malloc(sizeof(ds_model));
  return Memory ? new (Memory) ds_model : nullptr;
}

/// `Code` NULL: the file is a library, to be loaded under the name `LibraryPath`.
static ds_status load(int Descriptor, const char *Path, const char *LibraryPath, const ds_program_code *Code,
                      ds_model **Out, ds_error *Error) {
  ElfSections Sections;
  if (ds_status Status = findSections(Descriptor, Path, Sections, Error))
    return Status;
  ds_model *Model = newModel();
  if (!Model)
    return outOfMemory(Error);
  ds_status Status = readMetadata(*Model, Descriptor, Sections.Metadata, Path, Error);
  if (!Status)
    Status = checkMachine(Model->Meta, Sections.Machine, Path, Error);
  if (!Status)
    Status = mapWeights(*Model, Descriptor, Sections.Weights, Path, Error);
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

ds_status ds_model_load(const char *Path, ds_model **Model, ds_error *Error) {
  if (!Path || !Model)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_load needs a path and a place for the model");
  File Opened(open(Path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char Real[PATH_MAX]; // a name without '/' would be looked up in the library search path
  if (!Opened.isOpen() || !realpath(Path, Real))
    return fail(Error, DS_IO_ERROR, "cannot open '%s': %s", Path, strerror(errno));
  return load(Opened.get(), Path, Real, nullptr, Model, Error);
}

ds_status ds_model_load_memory(const void *Data, size_t Size, ds_model **Model, ds_error *Error) {
  if (!Data || !Model)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_load_memory needs data and a place for the model");
  File Memory(memfd_create("ds-model", MFD_CLOEXEC));
  if (!Memory.isOpen() || !writeAll(Memory.get(), Data, Size))
    return fail(Error, DS_IO_ERROR, "cannot copy the model to a memory file: %s", strerror(errno));
  char Name[64];
  snprintf(Name, sizeof Name, "/proc/self/fd/%d", Memory.get());
  ds_status Status = load(Memory.get(), "(memory)", Name, nullptr, Model, Error);
  if (!Status)
    (*Model)->Descriptor = Memory.take();
  return Status;
}

ds_status ds_model_load_self(const ds_program_code *Code, ds_model **Model, ds_error *Error) {
  if (!Code || !Model)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_load_self needs the program's code and a place for the model");
  char Path[PATH_MAX];
  ssize_t Length = readlink("/proc/self/exe", Path, sizeof Path - 1);
  File Opened(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  if (Length < 0 || !Opened.isOpen())
    return fail(Error, DS_IO_ERROR, "cannot open this program's own file (/proc/self/exe): %s", strerror(errno));
  Path[Length] = 0;
  return load(Opened.get(), Path, nullptr, Code, Model, Error);
}

ds_status ds_model_verify(const ds_model *Model, ds_error *Error) {
  if (!Model)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_verify needs a model");
  const ds_artifact_program &P = *Model->Meta.Program;
  if (ds_hash_bytes(Model->Weights, P.weights_length) != P.weights_hash)
    return fail(Error, DS_BAD_ARTIFACT, "the weights are damaged (their checksum does not match)");
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// What a model says about itself
//===----------------------------------------------------------------------===//

static const char *const DtypeNames[] = {"unknown", "bool",   "int8",   "int16",   "int32",    "int64",   "uint8",
                                         "uint16",  "uint32", "uint64", "float16", "bfloat16", "float32", "float64"};

const char *ds_dtype_name(int32_t Dtype) { return DtypeNames[dtypeSize(uint32_t(Dtype)) ? Dtype : 0]; }
size_t ds_dtype_size(int32_t Dtype) { return dtypeSize(uint32_t(Dtype)); }

size_t ds_model_input_count(const ds_model *Model) { return Model->Meta.Inputs.size(); }
size_t ds_model_output_count(const ds_model *Model) { return Model->Meta.Outputs.size(); }
size_t ds_model_symbol_count(const ds_model *Model) { return Model->Meta.Symbols.size(); }

static ds_status describe(const ds_model *Model, const Table<ds_artifact_tensor> &Tensors, size_t Index,
                          ds_tensor_info *Info) {
  if (!Info || Index >= Tensors.size())
    return DS_BAD_ARGUMENT;
  const ds_artifact_tensor &T = Tensors[Index];
  *Info = {Model->Meta.text(T.name), int32_t(T.dtype), int32_t(T.rank), Model->Dimensions.data() + T.first_dimension};
  return DS_OK;
}

ds_status ds_model_input(const ds_model *Model, size_t Index, ds_tensor_info *Info) {
  return describe(Model, Model->Meta.Inputs, Index, Info);
}

ds_status ds_model_output(const ds_model *Model, size_t Index, ds_tensor_info *Info) {
  return describe(Model, Model->Meta.Outputs, Index, Info);
}

ds_status ds_model_symbol(const ds_model *Model, size_t Index, ds_symbol_info *Info) {
  if (!Info || Index >= Model->Meta.Symbols.size())
    return DS_BAD_ARGUMENT;
  const ds_artifact_symbol &S = Model->Meta.Symbols[Index];
  *Info = {Model->Meta.text(S.name), Model->Meta.text(S.display), int32_t(S.input), int32_t(S.dimension)};
  return DS_OK;
}

void ds_model_describe(const ds_model *Model, ds_model_summary *Summary) {
  const Metadata &Meta = Model->Meta;
  *Summary = {Meta.text(Meta.Program->triple), Meta.text(Meta.Program->cpu), Meta.text(Meta.Program->compiler),
              Meta.Program->weights_length,    Meta.Kernels.size(),          Meta.Launches.size(),
              Meta.Properties.size()};
}

const char *ds_model_property_key(const ds_model *Model, size_t Index) {
  return Index < Model->Meta.Properties.size() ? Model->Meta.text(Model->Meta.Properties[Index].key) : nullptr;
}

const char *ds_model_property(const ds_model *Model, const char *Key) {
  const Metadata &Meta = Model->Meta;
  for (size_t I = 0; Key && I < Meta.Properties.size(); ++I)
    if (!strcmp(Meta.text(Meta.Properties[I].key), Key))
      return Meta.text(Meta.Properties[I].value);
  return nullptr;
}
