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

/// Places that are kept while sizes stay near those that they were made for. State that grows with each run (a cache of
/// keys and values) is placed anew only when it has outgrown what was left free: each time it is an eighth larger.
class ArenaLayout {
public:
  /// As planArena, always with the same lifetimes; `IsNew` tells whether anything was planned.
  ds_status place(Array<Temporary> &Temporaries, int64_t &ArenaSize, bool &IsNew, ds_error *Error);

private:
  Array<Temporary> Places; // Size: the room there
  int64_t Size = 0;        // of the arena
};

} // namespace ds::runtime

#endif
