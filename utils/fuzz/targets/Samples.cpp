//===- Samples.cpp - Any bytes as data to train on --------------------------===//
// A .npz file for a step that takes x, float32 [N, 3], and target, int64 [N]; anything else as tokens for one that
// takes ids, int32 [N, S], and target, int64 [N, S]. All batches of what is taken are gathered, in two orders.
//===----------------------------------------------------------------------===//
#include "train/Data.h"
#include <algorithm>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace ds::runtime;

static void expect(bool condition) {
  if (!condition)
    __builtin_trap();
}

static const ds_dimension_info anyBy3[] = {{-1, "N"}, {3, "3"}}, anyByAny[] = {{-1, "N"}, {-1, "S"}};

// In the place of the runtime's (the linker's --wrap): there is no model behind the step.
extern "C" ds_status __wrap_ds_model_input(const ds_model *, size_t index, ds_tensor_info *info) {
  static const ds_tensor_info inputs[] = {{"x", DS_FLOAT32, 2, anyBy3, DS_HOST},
                                          {"target", DS_INT64, 1, anyByAny, DS_HOST},
                                          {"ids", DS_INT32, 2, anyByAny, DS_HOST},
                                          {"target", DS_INT64, 2, anyByAny, DS_HOST}};
  *info = inputs[index];
  return DS_OK;
}
extern "C" int __wrap_ds_model_input_is_optional(const ds_model *, size_t) { return 0; }

static void gatherAll(DataSet &data, size_t batch) {
  ds_error error = {};
  if (data.reserve(batch, &error))
    return expect(error.message[0]);
  std::vector<uint32_t> order;
  for (uint64_t i = data.samples(); i-- > 0;)
    order.push_back(uint32_t(i));
  ds_tensor inputs[4] = {};
  for (uint64_t first = 0; first < data.samples(); first += batch) {
    const size_t count = size_t(std::min<uint64_t>(batch, data.samples() - first));
    for (const uint32_t *each : {static_cast<const uint32_t *>(nullptr), static_cast<const uint32_t *>(order.data())}) {
      if (data.gather(each, first, count, inputs, &error))
        return expect(error.message[0]);
      for (const ds_tensor &tensor : inputs) {
        size_t bytes = tensor.dtype ? ds_dtype_size(tensor.dtype) : 0;
        for (int32_t d = 0; d < tensor.rank; ++d)
          bytes *= size_t(tensor.shape[d]);
        unsigned char sum = 0;
        for (size_t i = 0; i < bytes; ++i)
          sum = (unsigned char)(sum + static_cast<const unsigned char *>(tensor.data)[i]);
        volatile unsigned char keep = sum;
        (void)keep;
      }
    }
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const int file = memfd_create("data", 0);
  expect(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, bytes, size, 0) == ssize_t(size));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  ds_error error = {};
  const bool isArchive = size >= 2 && bytes[0] == 'P' && bytes[1] == 'K';
  TrainStep step;
  step.InputCount = 4;
  step.Target = isArchive ? 1 : 3;
  expect(step.Data.push(step.Target - 1) && step.Data.push(step.Target) && step.IsSampled.push(1) &&
         step.IsSampled.push(1));
  DataSet data;
  if (isArchive ? data.openArrays(path.c_str(), step, &error)
                : data.openTokens(path.c_str(), size % 3 == 0 ? DS_UINT8 : DS_UINT16, 1 + size % 5, step, &error))
    return expect(error.message[0]), 0;
  gatherAll(data, 1 + size % 7);
  return 0;
}
