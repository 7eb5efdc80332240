//===- Safetensors.h - Files of named tensors -------------------*- C++ -*-===//
// Assumes: nothing about the bytes read.
// Guarantees: after `read`, every name, shape and range can be used without a check; no read outside the bytes.
// Declines: files that a later header does not describe from the first byte to the last: tensors lie one after another.
//
// The format (Hugging Face's): a length of 8 bytes, that many bytes of JSON, then the data.
//   {"__metadata__": {"key": "value", ...}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_SAFETENSORS_H
#define DS_RUNTIME_SAFETENSORS_H

#include "../src/Support.h"

namespace ds::runtime {

class Safetensors {
public:
  struct Tensor {
    size_t Name; // of `text`
    int32_t Dtype;
    uint32_t Rank;
    size_t FirstDimension;
    const unsigned char *Data;
    uint64_t Bytes;
  };

  /// NULL, or what is wrong. Points into the bytes, which must outlive it.
  const char *read(const unsigned char *Bytes, size_t Size);

  size_t size() const { return Tensors.size(); }
  const Tensor &operator[](size_t I) const { return Tensors[I]; }
  const char *name(const Tensor &T) const { return Characters.data() + T.Name; }
  const int64_t *shape(const Tensor &T) const { return Dimensions.data() + T.FirstDimension; }
  /// NULL without it.
  const char *metadata(const char *Key) const;
  /// Where in the file the (unescaped) value of a key of the metadata begins; 0 without it.
  size_t placeOf(const char *Key) const;

private:
  struct Entry {
    size_t Key, Value, Place;
  };
  Array<Tensor> Tensors;
  Array<Entry> Metadata;
  Array<int64_t> Dimensions;
  Array<char> Characters; // names, keys and values, each with a NUL

  const Entry *find(const char *Key) const;
  friend class SafetensorsParser;
};

/// What the format calls a type of ds_types.def; "" for strings.
const char *safetensorsName(int32_t Dtype);

/// A string as JSON has it, quotes included.
void appendJson(Text &Out, const char *String);

} // namespace ds::runtime

#endif
