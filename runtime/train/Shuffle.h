//===- Shuffle.h - The order of an epoch's samples --------------*- C++ -*-===//
// Assumes: fewer than 2^32 samples.
// Guarantees: each order is as likely as any other (Fisher and Yates), and a function of seed, epoch and count alone.
// Declines: orders that need no memory.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_SHUFFLE_H
#define DS_RUNTIME_SHUFFLE_H

#include "../src/Support.h"

namespace ds::runtime {

/// Puts the numbers below `Order.size()` in the order of that epoch. The random numbers are those of Philox with the
/// seed as its key (low half first) and the counters {low, high, Epoch, 1} of blocks 0, 1, ..., each word in turn.
void shuffle(uint64_t Seed, uint32_t Epoch, Array<uint32_t> &Order);

} // namespace ds::runtime

#endif
