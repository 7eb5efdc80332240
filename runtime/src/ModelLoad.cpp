//===- ModelLoad.cpp - Models that are not this program's own --------------===//
// Assumes: nothing about the file.
// Guarantees: all that a model may need is in the program that can load any: the library of strings, too.
// Declines: the steps of loading (ModelFile.cpp).
//===----------------------------------------------------------------------===//
#include "Model.h"
#include "StringLibrary.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>

using namespace ds::runtime;

extern "C" DS_API const StringLibrary ds_runtime_strings;
[[gnu::used]] static const StringLibrary *const Strings = &ds_runtime_strings;

ds_status ds_model_load(const char *Path, ds_model **Model, ds_error *Error) {
  if (!Path || !Model)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_load needs a path and a place for the model");
  File Opened(open(Path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char Real[PATH_MAX]; // a name without '/' would be looked up in the library search path
  if (!Opened.isOpen() || !realpath(Path, Real))
    return fail(Error, DS_IO_ERROR, "cannot open '%s': %s", Path, strerror(errno));
  return loadFile(Opened.get(), Path, Real, Real, nullptr, Model, Error);
}

ds_status ds_model_load_memory(const void *Data, size_t Size, ds_model **Model, ds_error *Error) {
  if (!Data || !Model)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_load_memory needs data and a place for the model");
  File Memory(memfd_create("ds-model", MFD_CLOEXEC));
  if (!Memory.isOpen() || !writeAll(Memory.get(), Data, Size))
    return fail(Error, DS_IO_ERROR, "cannot copy the model to a memory file: %s", strerror(errno));
  char Name[64];
  snprintf(Name, sizeof Name, "/proc/self/fd/%d", Memory.get());
  ds_status Status = loadFile(Memory.get(), "(memory)", nullptr, Name, nullptr, Model, Error);
  if (!Status)
    (*Model)->Descriptor = Memory.take();
  return Status;
}
