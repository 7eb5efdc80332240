//===- Philox.h - Counter-based random numbers ------------------*- C++ -*-===//
// Assumes: nothing.
// Guarantees: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four
//   numbers of 32 bits are a function of a counter and a key alone, on every machine and at every thread count.
// Declines: secrecy.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_PHILOX_H
#define DS_RUNTIME_PHILOX_H

#include <stdint.h>

namespace ds::runtime {

struct Philox {
  uint32_t Counter[4] = {}, Key[2] = {};

  /// What a counter is for is its last number, so that no two uses of one seed have the same numbers.
  enum Purpose : uint32_t { Shuffle = 1, Initialize = 2 };

  void draw(uint32_t (&Out)[4]) const {
    uint32_t C0 = Counter[0], C1 = Counter[1], C2 = Counter[2], C3 = Counter[3], K0 = Key[0], K1 = Key[1];
    for (int Round = 0; Round < 10; ++Round) {
      const uint64_t P0 = uint64_t(C0) * 0xD2511F53, P1 = uint64_t(C2) * 0xCD9E8D57;
      C0 = uint32_t(P1 >> 32) ^ C1 ^ K0;
      C1 = uint32_t(P1);
      C2 = uint32_t(P0 >> 32) ^ C3 ^ K1;
      C3 = uint32_t(P0);
      K0 += 0x9E3779B9; // Weyl sequences: the golden ratio, and the square root of 3 less 1
      K1 += 0xBB67AE85;
    }
    Out[0] = C0, Out[1] = C1, Out[2] = C2, Out[3] = C3;
  }
};

} // namespace ds::runtime

#endif
