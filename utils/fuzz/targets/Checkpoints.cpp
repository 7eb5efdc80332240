//===- Checkpoints.cpp - Any bytes as a checkpoint --------------------------===//
// The file as it is, and with the checksum that its bytes have, so that what comes after the checksum is reached. Of
// one that is taken, all that it says of its tensors is in the file.
//===----------------------------------------------------------------------===//
#include "ds_hash.h"
#include "train/Checkpoint.h"
#include <cstdio>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace ds::runtime;

static void expect(bool condition) {
  if (!condition)
    __builtin_trap();
}

/// The bytes of all tensors are read; names and shapes end where they should.
static bool readTensors(const std::string &bytes, size_t &hash) {
  Safetensors file;
  const auto *begin = reinterpret_cast<const unsigned char *>(bytes.data());
  if (const char *problem = file.read(begin, bytes.size()))
    return expect(*problem), false;
  hash = file.placeOf("hash");
  unsigned char sum = 0;
  for (size_t i = 0; i < file.size(); ++i) {
    const Safetensors::Tensor &tensor = file[i];
    expect(tensor.Data >= begin && tensor.Bytes <= bytes.size() &&
           size_t(tensor.Data - begin) <= bytes.size() - tensor.Bytes);
    for (uint64_t at = 0; at < tensor.Bytes; ++at)
      sum = (unsigned char)(sum + tensor.Data[at]);
    uint64_t elements = 1;
    for (uint32_t d = 0; d < tensor.Rank; ++d)
      expect(file.shape(tensor)[d] >= 0 &&
             !__builtin_mul_overflow(elements, uint64_t(file.shape(tensor)[d]), &elements));
    expect(elements * ds_dtype_size(tensor.Dtype) == tensor.Bytes);
    volatile size_t length = strlen(file.name(tensor));
    (void)length;
  }
  volatile unsigned char keep = sum;
  (void)keep;
  return true;
}

static void open(const std::string &bytes) {
  static const int file = memfd_create("checkpoint", 0);
  expect(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, bytes.data(), bytes.size(), 0) == ssize_t(bytes.size()));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  Checkpoint checkpoint;
  ds_error error = {};
  if (checkpoint.open(path.c_str(), &error))
    return expect(error.message[0]);
  expect(checkpoint.progress().Sample <= checkpoint.progress().Samples);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  std::string all(reinterpret_cast<const char *>(bytes), size);
  size_t place = 0;
  const bool isRead = readTensors(all, place);
  open(all);
  if (!isRead || !place || place > all.size() || all.size() - place < 16)
    return 0;
  all.replace(place, 16, 16, '0');
  char digits[17];
  snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(ds_hash_bytes(all.data(), all.size())));
  all.replace(place, 16, digits);
  open(all);
  return 0;
}
