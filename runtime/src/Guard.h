//===- Guard.h - Memory between pages that nobody may touch -----*- C++ -*-===//
// Assumes: debugging; every piece costs four pages and three system calls.
// Guarantees: an access past a piece's end faults (within the last 64 bytes, to which pieces are aligned, a write is
//   found by `findDamage`); so does one before its first page, and one of memory whose life is over. A fault is told on
//   standard error, with the node that was computed, before the process ends as it would have.
// Declines: anything that must be fast.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_GUARD_H
#define DS_RUNTIME_GUARD_H

#include "Memory.h"

struct ds_session;

namespace ds::runtime {

/// Memory is new and poisoned each time: floats are NaN, integers -1.
ds_allocator guardedAllocator();

enum class Access { None, Read, Write };
void setAccess(const Region &R, Access To);
void poison(const Region &R);
/// How many bytes behind the region's first one something was written that is not in it (negative: before it).
bool findDamage(const Region &R, int64_t &At);

/// What a guarded session has beside its usual state.
struct SessionGuard {
  Array<Region> Temporaries, Weights; // one a buffer
  Array<Region> Scratch;              // one a worker
  Array<unsigned char> IsOver;        // of temporaries: their life
  int32_t Running = -1;               // launch
  bool IsDamaged = false;
  Text Damage;

  ds_session *Session = nullptr;
  SessionGuard *Next = nullptr; // all of the process
};

/// Faults in the session's launches are told from here on.
void watch(SessionGuard &G);
void unwatch(SessionGuard &G);

} // namespace ds::runtime

#endif
