//===- Schedule.h - What is alive while an order of steps runs ------------===//
// Private to lib/Memory.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_MEMORY_SCHEDULE_H
#define DS_LIB_MEMORY_SCHEDULE_H

#include "ds/Memory/Recompute.h"

namespace ds {

inline constexpr unsigned kNone = ~0u;

/// A temporary from one time that it is made to the next.
struct Copy {
  unsigned buffer, made, last;
  std::vector<unsigned> touches; // positions: made, then each read
};

/// What follows from an order of steps.
struct Schedule {
  Schedule(const RecomputeProblem &problem, std::vector<unsigned> order);

  const RecomputeProblem &problem;
  std::vector<unsigned> order;
  std::vector<Copy> copies;
  std::vector<std::vector<unsigned>> copiesOf; // buffers: its copies, in order
  std::vector<int64_t> live;                   // bytes, of positions
  std::vector<unsigned> firstAt;               // of steps: where they run first

  int64_t peak() const;
  /// The bytes above `limit`, summed over the positions.
  double excess(int64_t limit) const;
  /// The copy that a read at `position` means; kNone if it is not made yet.
  unsigned copyAt(unsigned buffer, unsigned position) const;
  /// Whether memory of others still holds what it did, before `position`.
  bool isReadable(unsigned buffer, unsigned position) const {
    int64_t by = problem.overwrittenBy[buffer];
    return by < 0 || firstAt[by] >= position;
  }
  double repeatedTime() const;
  /// The order without runs whose results nobody reads before they are made again.
  std::vector<unsigned> readRuns() const;
};

/// Bytes of the arenas that the runtime plans for an order.
int64_t arenaOf(const RecomputeProblem &problem, const std::vector<unsigned> &order);

/// Without runs whose results nobody reads before they are made again.
Schedule withoutUnread(const RecomputeProblem &problem, std::vector<unsigned> order);

/// The best order of a small program within `budget` bytes alive, by exhaustive search; empty where the program is
/// large, or none exists.
std::vector<unsigned> searchExact(const RecomputeProblem &problem, int64_t budget);

} // namespace ds

#endif
