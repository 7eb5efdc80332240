//===- Weights.cpp - Maps weights, from the artifact or from beside it -------===//
// Assumes: the model's metadata was checked.
// Guarantees: weights are mapped read-only and shared, never read; a file of other weights than the model's is refused.
// Declines: comparing the weights themselves; ds_model_verify does.
//===----------------------------------------------------------------------===//
#include "Model.h"
#include "ds_hash.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ds::runtime {

static ds_status mapRange(ds_model &Model, int Descriptor, uint64_t Offset, const char *Path, ds_error *Error) {
  const uint64_t Length = Model.Meta.Program->weights_length;
  // A tool that rewrote the file may have kept a smaller alignment than a page.
  const uint64_t Page = uint64_t(sysconf(_SC_PAGESIZE)), Start = Offset & ~(Page - 1), Skip = Offset - Start;
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

ds_status mapWeights(ds_model &Model, int Descriptor, const FileRange &Range, const char *Path, ds_error *Error) {
  const uint64_t Length = Model.Meta.Program->weights_length;
  if (Range.Size != Length)
    return fail(Error, DS_BAD_ARTIFACT, "'%s' should have %llu bytes of weights, but has %llu", Path,
                static_cast<unsigned long long>(Length), static_cast<unsigned long long>(Range.Size));
  if (Length == 0)
    return DS_OK;
  if (Range.Offset % DS_ARTIFACT_WEIGHT_ALIGNMENT)
    return fail(Error, DS_BAD_ARTIFACT,
                "the weights of '%s' are not aligned; was the file changed after it was compiled?", Path);
  return mapRange(Model, Descriptor, Range.Offset, Path, Error);
}

/// Whether the first `Size` bytes of the file are those that the compiler wrote.
static ds_status checkHeader(int Descriptor, const ds_artifact_weights_file &Wanted, const char *Name,
                             ds_error *Error) {
  Array<unsigned char> Bytes;
  if (!Bytes.resize(64 << 10))
    return outOfMemory(Error);
  ds_hash Hash;
  ds_hash_start(&Hash);
  for (uint64_t At = 0; At < Wanted.offset; At += Bytes.size()) {
    const uint64_t Size = Wanted.offset - At < Bytes.size() ? Wanted.offset - At : Bytes.size();
    if (!readAt(Descriptor, Bytes.data(), Size, At))
      return fail(Error, DS_IO_ERROR, "cannot read '%s': %s", Name, strerror(errno));
    ds_hash_add(&Hash, Bytes.data(), Size);
  }
  if (ds_hash_finish(&Hash) != Wanted.header_hash)
    return fail(Error, DS_BAD_ARTIFACT,
                "'%s' holds the weights of another model, or of another compilation of this one; compile it again",
                Name);
  return DS_OK;
}

ds_status mapWeightsFile(ds_model &Model, const char *Beside, const char *Path, ds_error *Error) {
  const ds_artifact_weights_file &Wanted = Model.Meta.WeightsFiles[0];
  const char *Name = Model.Meta.text(Wanted.name);
  if (!Beside)
    return fail(Error, DS_BAD_ARTIFACT,
                "the weights of this model lie in a file beside it, '%s': load it by its path, not from memory", Name);
  const char *Slash = strrchr(Beside, '/');
  Text Full;
  Full.append("%.*s%s", Slash ? int(Slash - Beside + 1) : 0, Beside, Name);
  if (!Full.ok())
    return outOfMemory(Error);
  File Opened(open(Full.str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat Info;
  if (!Opened.isOpen() || fstat(Opened.get(), &Info))
    return fail(Error, DS_IO_ERROR, "cannot open '%s', the weights of '%s': %s", Full.str(), Path, strerror(errno));
  const uint64_t Length = Model.Meta.Program->weights_length;
  if (!S_ISREG(Info.st_mode) || uint64_t(Info.st_size) != Wanted.offset + Length)
    return fail(Error, DS_BAD_ARTIFACT, "'%s' should have %llu bytes, but has %llu; was it copied whole?", Full.str(),
                static_cast<unsigned long long>(Wanted.offset + Length), static_cast<unsigned long long>(Info.st_size));
  if (ds_status Status = checkHeader(Opened.get(), Wanted, Full.str(), Error))
    return Status;
  return Length ? mapRange(Model, Opened.get(), Wanted.offset, Full.str(), Error) : DS_OK;
}

bool ownPath(char *Path, size_t Size) {
  const ssize_t Length = readlink("/proc/self/exe", Path, Size - 1);
  if (Length < 0)
    return false;
  Path[Length] = 0;
  return true;
}

static void prefetchOwn(const ds_model &Model, const ds_model &Of) {
  const uintptr_t Page = uintptr_t(sysconf(_SC_PAGESIZE));
  for (size_t I = 0; I < Of.Meta.Buffers.size(); ++I) {
    const ds_artifact_buffer &B = Of.Meta.Buffers[I];
    if (B.kind != DS_BUFFER_WEIGHT || B.length == 0)
      continue;
    const uintptr_t Start = reinterpret_cast<uintptr_t>(Model.Weights) + B.offset, Aligned = Start & ~(Page - 1);
    (void)madvise(reinterpret_cast<void *>(Aligned), B.length + (Start - Aligned), MADV_WILLNEED);
  }
}

void prefetchWeights(ds_model *Model) {
  if (!Model->WeightMap || Model->Prefetched.exchange(true))
    return;
  if (Model->VariantCount == 1) {
    (void)madvise(Model->WeightMap, Model->WeightMapSize, MADV_WILLNEED);
    return;
  }
  // Weights of code that does not run here stay on disk.
  prefetchOwn(*Model, *Model);
  for (const ds_model *Body : Model->Bodies)
    prefetchOwn(*Model, *Body);
}

} // namespace ds::runtime
