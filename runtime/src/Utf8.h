//===- Utf8.h - Characters in UTF-8 -----------------------------*- C++ -*-===//
// Guarantees: no read past the end, and each byte is part of exactly one character.
// Declines: what characters mean; that is the library of strings (runtime/strings).
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_UTF8_H
#define DS_RUNTIME_UTF8_H

#include <stddef.h>
#include <stdint.h>

namespace ds::runtime {

/// UTF-8; a byte that is part of no character is U+FFFD.
uint32_t decodeUtf8(const char *&At, const char *End);
/// At most 4 bytes; returns how many.
size_t encodeUtf8(uint32_t Character, char *Out);

} // namespace ds::runtime

#endif
