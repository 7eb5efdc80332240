/*===- ds_hash.h - The 64-bit checksum of artifacts -----------------------===*
 * Assumes: a little-endian machine.
 * Guarantees: the XXH64 function (seed 0) as its specification defines it; data may come in pieces of any length.
 * Declines: any cryptographic strength. It finds damage, not forgery.
 *===----------------------------------------------------------------------===*/
#ifndef DS_HASH_H
#define DS_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DS_HASH_P1 0x9E3779B185EBCA87ull
#define DS_HASH_P2 0xC2B2AE3D27D4EB4Full
#define DS_HASH_P3 0x165667B19E3779F9ull
#define DS_HASH_P4 0x85EBCA77C2B2AE63ull
#define DS_HASH_P5 0x27D4EB2F165667C5ull

typedef struct ds_hash {
  uint64_t lanes[4];
  uint64_t length;
  unsigned char tail[32]; /* the last length % 32 bytes */
} ds_hash;

static inline uint64_t ds_hash_rotate(uint64_t x, int n) { return (x << n) | (x >> (64 - n)); }

static inline uint64_t ds_hash_round(uint64_t lane, uint64_t input) {
  return ds_hash_rotate(lane + input * DS_HASH_P2, 31) * DS_HASH_P1;
}

static inline void ds_hash_block(ds_hash *h, const unsigned char *p) {
  uint64_t words[4];
  memcpy(words, p, 32);
  for (int i = 0; i < 4; ++i)
    h->lanes[i] = ds_hash_round(h->lanes[i], words[i]);
}

static inline void ds_hash_start(ds_hash *h) {
  memset(h, 0, sizeof *h);
  h->lanes[0] = DS_HASH_P1 + DS_HASH_P2;
  h->lanes[1] = DS_HASH_P2;
  h->lanes[3] = 0 - DS_HASH_P1;
}

static inline void ds_hash_add(ds_hash *h, const void *data, size_t size) {
  const unsigned char *p = (const unsigned char *)data;
  size_t held = (size_t)(h->length % 32);
  h->length += size;
  if (held && held + size >= 32) {
    size_t fill = 32 - held;
    memcpy(h->tail + held, p, fill);
    ds_hash_block(h, h->tail);
    p += fill;
    size -= fill;
    held = 0;
  }
  for (; size >= 32 && held == 0; p += 32, size -= 32)
    ds_hash_block(h, p);
  if (size)
    memcpy(h->tail + held, p, size);
}

static inline uint64_t ds_hash_finish(const ds_hash *h) {
  uint64_t result;
  size_t left = (size_t)(h->length % 32);
  const unsigned char *p = h->tail;
  if (h->length >= 32) {
    result = ds_hash_rotate(h->lanes[0], 1) + ds_hash_rotate(h->lanes[1], 7) + ds_hash_rotate(h->lanes[2], 12) +
             ds_hash_rotate(h->lanes[3], 18);
    for (int i = 0; i < 4; ++i)
      result = (result ^ ds_hash_round(0, h->lanes[i])) * DS_HASH_P1 + DS_HASH_P4;
  } else {
    result = DS_HASH_P5;
  }
  result += h->length;
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    result = ds_hash_rotate(result ^ ds_hash_round(0, word), 27) * DS_HASH_P1 + DS_HASH_P4;
  }
  if (left >= 4) {
    uint32_t word;
    memcpy(&word, p, 4);
    result = ds_hash_rotate(result ^ (word * DS_HASH_P1), 23) * DS_HASH_P2 + DS_HASH_P3;
    p += 4;
    left -= 4;
  }
  for (; left; ++p, --left)
    result = ds_hash_rotate(result ^ (*p * DS_HASH_P5), 11) * DS_HASH_P1;
  result = (result ^ (result >> 33)) * DS_HASH_P2;
  result = (result ^ (result >> 29)) * DS_HASH_P3;
  return result ^ (result >> 32);
}

static inline uint64_t ds_hash_bytes(const void *data, size_t size) {
  ds_hash h;
  ds_hash_start(&h);
  ds_hash_add(&h, data, size);
  return ds_hash_finish(&h);
}

#endif
