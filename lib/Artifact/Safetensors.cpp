//===- Safetensors.cpp - Weights in a file of their own --------------------===//
// Assumes: an empty file.
// Guarantees: a file that any reader of safetensors takes (no holes, JSON padded with blanks), whose tensors begin at
//             the offsets of layOutWeights; weights are produced and written one after another, never held.
// Declines: knowing what weights mean: packed ones have the shapes that kernels read.
// Format: https://github.com/huggingface/safetensors: 8 bytes length of the header, the header as JSON, the data.
//===----------------------------------------------------------------------===//
#include "ElfOutput.h"
#include "ds/Artifact/Link.h"
#include "runtime/include/ds_hash.h"
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <set>
#include <vector>

namespace ds::artifact {

static constexpr uint64_t dataAlignment = 4096; // a page: the runtime maps the data

static const char *safetensorsType(uint32_t dtype) {
  static const char *const names[] = {
      "",
#define DS_ELEMENT_TYPE(constant, number, name, bytes, code, bits, npy, safetensors, ...) safetensors,
#include "runtime/include/ds_types.def"
#undef DS_ELEMENT_TYPE
  };
  return dtype < sizeof names / sizeof *names && *names[dtype] ? names[dtype] : "U8";
}

static std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    char escaped[8];
    if (c == '"' || c == '\\')
      (out += '\\') += char(c);
    else if (c < 0x20 || c >= 0x7f) { // names may be any bytes; as Latin-1 they are valid text
      snprintf(escaped, sizeof escaped, "\\u%04x", c);
      out += escaped;
    } else {
      out += char(c);
    }
  }
  return out + '"';
}

namespace {
class Header {
public:
  void add(const std::string &name, const char *dtype, const std::string &shape, uint64_t begin, uint64_t end) {
    std::string unique = name.empty() || name == "__metadata__" ? "weight" : name;
    for (unsigned n = 2; !names.insert(unique).second; ++n)
      unique = name + "#" + std::to_string(n);
    json += "," + quoted(unique) + ":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
            std::to_string(begin) + "," + std::to_string(end) + "]}";
  }
  std::string json;

private:
  std::set<std::string> names;
};
} // namespace

std::string writeSafetensors(int descriptor, const Program &program, WeightsFile &file) {
  uint64_t length;
  const std::vector<uint64_t> offsets = layOutWeights(program, length);
  Header header;
  uint64_t at = 0;
  for (size_t i = 0; i < offsets.size(); ++i) {
    const Weight &weight = program.weights[i];
    // What aligns the next weight is a tensor too: the format has no holes.
    if (at < offsets[i])
      header.add("ds.padding", "U8", std::to_string(offsets[i] - at), at, offsets[i]);
    at = offsets[i] + weight.size;
    std::string shape;
    for (int64_t size : weight.shape)
      shape += (shape.empty() ? "" : ",") + std::to_string(size);
    if (weight.dtype == 0)
      shape = std::to_string(weight.size);
    header.add(weight.name, safetensorsType(weight.dtype), shape, offsets[i], at);
  }
  // The hash is known at the end, and as long as the zeros that hold its place.
  const std::string start = "{\"__metadata__\":{\"format\":\"ds\",\"xxh64\":\"";
  std::string text = start + std::string(16, '0') + "\"}" + header.json + "}";
  file.offset = (8 + text.size() + dataAlignment - 1) & ~(dataAlignment - 1);
  text.resize(file.offset - 8, ' ');

  Output out(descriptor, file.offset);
  if (std::string error = writeWeights(out, program, file.weightsHash); !error.empty())
    return error;
  char digits[17];
  snprintf(digits, sizeof digits, "%016" PRIx64, file.weightsHash);
  text.replace(start.size(), 16, digits);
  const uint64_t size = text.size();
  std::string bytes(reinterpret_cast<const char *>(&size), sizeof size);
  bytes += text;
  file.headerHash = ds_hash_bytes(bytes.data(), bytes.size());
  Output front(descriptor, 0);
  front.write(bytes.data(), bytes.size());
  return front.error();
}

} // namespace ds::artifact
