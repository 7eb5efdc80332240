//===- Metadata.cpp - Any bytes as an artifact's metadata -----------------===//
// The checksum is put right first: what lies behind it must hold against any bytes. What was taken is walked through as
// a session does, so that an index that was not checked reads out of bounds.
//===----------------------------------------------------------------------===//
#include "Metadata.h"
#include "ds_hash.h"
#include <cstddef>
#include <cstring>
#include <vector>

using namespace ds::runtime;

namespace {

size_t sum; // keeps what was read from being optimized away

void walk(const Metadata &data, int depth);

void walkTensors(const Metadata &data, const Table<ds_artifact_tensor> &tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    sum += strlen(data.text(tensors[i].name));
    for (uint64_t d = 0; d < tensors[i].rank; ++d)
      sum += strlen(data.text(data.Dimensions[tensors[i].first_dimension + d].text));
  }
}

void walk(const Metadata &data, int depth) {
  for (size_t i = 0; i < data.symbolCount(); ++i)
    sum += strlen(data.symbolName(i));
  for (size_t i = 0; i < data.Constraints.size(); ++i)
    sum += strlen(data.text(data.Constraints[i]));
  walkTensors(data, data.Inputs);
  walkTensors(data, data.Outputs);
  for (size_t i = 0; i < data.Launches.size(); ++i)
    sum += data.stageOf(i);
  for (size_t i = 0; i < data.Properties.size(); ++i)
    sum += strlen(data.text(data.Properties[i].key)) + strlen(data.text(data.Properties[i].value));
  for (size_t i = 0; i < data.Bodies.size() && depth < 2; ++i) {
    Metadata body;
    ds_error error = {};
    if (body.parse(data.bodyBytes(i), data.Bodies[i].length, &error, /*IsBody=*/true) == DS_OK)
      walk(body, depth + 1);
    else if (!error.message[0])
      __builtin_trap();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  // 8-byte aligned, and with nothing behind the end.
  const size_t length = size / 8 * 8;
  auto *copy = static_cast<unsigned char *>(malloc(length));
  if (length)
    memcpy(copy, bytes, length);
  if (length >= sizeof(ds_artifact_header)) {
    ds_artifact_header header;
    memcpy(&header, copy, sizeof header);
    memcpy(header.magic, DS_ARTIFACT_MAGIC, sizeof header.magic);
    header.version = DS_ARTIFACT_VERSION;
    if (header.length > length || header.length < sizeof header)
      header.length = length;
    header.hash = 0;
    memcpy(copy, &header, sizeof header);
    ds_hash hash;
    ds_hash_start(&hash);
    ds_hash_add(&hash, copy, header.length);
    header.hash = ds_hash_finish(&hash);
    memcpy(copy, &header, sizeof header);
  }
  for (bool isBody : {false, true}) {
    Metadata data;
    ds_error error = {};
    if (data.parse(copy, length, &error, isBody) == DS_OK)
      walk(data, 0);
    else if (!error.message[0])
      __builtin_trap(); // refused without a message
  }
  free(copy);
  return 0;
}
