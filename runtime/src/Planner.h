//===- Planner.h - Places temporaries in one arena --------------*- C++ -*-===//
// Assumes: lifetimes are launch numbers, first to last, both included.
// Guarantees: two temporaries whose lifetimes meet do not overlap; every offset is a multiple of ArenaAlignment.
// Declines: optimality; it is greedy, largest first, into the tightest gap.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_PLANNER_H
#define DS_RUNTIME_PLANNER_H

#include "Support.h"

namespace ds::runtime {

inline constexpr int64_t ArenaAlignment = 64;

struct Temporary {
  int64_t Size = 0; // bytes, not negative
  uint32_t First = 0, Last = 0;
  int64_t Offset = 0; // the result
};

/// Sets the offsets and the arena's size. DS_OUT_OF_MEMORY where the sum passes the address space.
ds_status planArena(Array<Temporary> &Temporaries, int64_t &ArenaSize, ds_error *Error);

} // namespace ds::runtime

#endif
