//===- Arrays.cpp - Any bytes as a .npy and as a .npz file ----------------===//
// What was read is written, and read again: it must be the same array.
//===----------------------------------------------------------------------===//
#include "Npy.h"
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace ds::runtime;

namespace {

void touch(const NpyArray &array) {
  unsigned char sum = 0;
  if (array.Dtype != DS_STRING)
    for (size_t i = 0; i < array.Bytes; ++i)
      sum = (unsigned char)(sum + (unsigned char)array.Data[i]);
  volatile unsigned char keep = sum;
  (void)keep;
}

void expect(bool condition) {
  if (!condition)
    __builtin_trap();
}

ds_status take(void *, const char *, NpyArray &array, ds_error *) { return touch(array), DS_OK; }

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  ds_error error = {};
  const bool isArchive = size >= 2 && bytes[0] == 'P' && bytes[1] == 'K';
  if (isArchive) {
    static const int file = memfd_create("npz", 0);
    expect(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, bytes, size, 0) == ssize_t(size));
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    expect(readNpz(path.c_str(), take, nullptr, &error) == DS_OK || error.message[0]);
    return 0;
  }
  void *buffer = allocateFileBuffer(size);
  memcpy(buffer, bytes, size);
  NpyArray array;
  if (parseNpy(buffer, size, "fuzz.npy", array, &error) != DS_OK)
    return expect(error.message[0]), 0;
  touch(array);
  static const std::string path =
      std::filesystem::temp_directory_path() / ("ds-fuzz-" + std::to_string(getpid()) + ".npy");
  const ds_tensor tensor = array.tensor();
  expect(writeNpy(path.c_str(), tensor, &error) == DS_OK || error.message[0]);
  NpyArray again;
  if (!error.message[0]) {
    expect(readNpy(path.c_str(), again, &error) == DS_OK);
    expect(again.Dtype == array.Dtype && again.Shape.size() == array.Shape.size());
    if (array.Dtype != DS_STRING)
      expect(again.Bytes == array.Bytes && (!array.Bytes || memcmp(again.Data, array.Data, array.Bytes) == 0));
  }
  unlink(path.c_str());
  return 0;
}
