//===- Inflate.h - DEFLATE decompression ------------------------*- C++ -*-===//
// Assumes: the decompressed size is known.
// Guarantees: no access outside the two buffers, whatever the input.
// Declines: streaming, and the zlib and gzip wrappers.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_INFLATE_H
#define DS_RUNTIME_INFLATE_H

#include <stddef.h>
#include <stdint.h>

namespace ds::runtime {

/// RFC 1951. True if the data decompresses to exactly `OutSize` bytes.
bool inflate(const void *Data, size_t Size, void *Out, size_t OutSize);

/// CRC-32 as in ZIP; `Before` is that of the bytes before.
uint32_t crc32(const void *Data, size_t Size, uint32_t Before = 0);

} // namespace ds::runtime

#endif
