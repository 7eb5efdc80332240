//===- Recompute.h - Which steps run again, so that less memory is held ---===//
// Assumes: a MemoryProgram in the order that it runs in, sizes and times as numbers; what a step makes depends on what
//   it reads alone, so that running it again makes the same bits.
// Guarantees: every step runs; what a step reads was made before, and memory of others that it reads is not overwritten
//   yet (checkRecompute). What nobody reads before it is made again is made then alone: it runs later, not twice. The
//   arena is the one that the runtime will plan (runtime/src/Planner.h), not a sum. Exact on small programs; otherwise
//   what each repetition saves, over the steps that hold too much, is weighed against its time, and where that ends
//   early, a part of the steps' values is kept as in T. Chen et al., "Training Deep Nets with Sublinear Memory Cost"
//   (2016).
// Declines: knowing ops; making steps run earlier.
//===----------------------------------------------------------------------===//
#ifndef DS_MEMORY_RECOMPUTE_H
#define DS_MEMORY_RECOMPUTE_H

#include "ds/Memory/MemoryPlan.h"

namespace ds {

struct RecomputeProblem {
  MemoryProgram program;
  /// Of buffers.
  std::vector<int64_t> bytes;
  /// Of buffers that are no temporaries: the step that overwrites them, which is the last that may read them; none: -1.
  std::vector<int64_t> overwrittenBy;
  /// Of steps: an estimate, in any unit.
  std::vector<double> time;
  /// Of steps: whether they may run twice, or later. One that makes what is no temporary may not.
  std::vector<bool> repeatable;
};

struct RecomputePlan {
  /// The steps as they run. A step reads what was made last.
  std::vector<unsigned> order;
  /// Bytes of the arena; there is one for what launches make between two steps of the host.
  int64_t arena = 0;
  /// What the repetitions take.
  double time = 0;
};

/// Every step once.
RecomputePlan planWithout(const RecomputeProblem &problem);

/// A plan whose arena has at most `budget` bytes; one with the least arena that was found, where none is known.
RecomputePlan planRecompute(const RecomputeProblem &problem, int64_t budget);
/// The same, beginning with a plan that repeats something already. `persists`: where the budget is not met at once,
/// other starts are tried, and other budgets, to tell the least that can be.
RecomputePlan planRecompute(const RecomputeProblem &problem, int64_t budget, RecomputePlan start, bool persists = true);

/// What marked steps (numbers) make before step `boundary` and others read behind it is made again when it is first
/// read there, from values that no marked step makes.
RecomputePlan planMarked(const RecomputeProblem &problem, const std::vector<bool> &marked, unsigned boundary);

/// The MemoryProgram of an order: a buffer for each time that a temporary is made. `origins`, if given, gets the buffer
/// of the problem for each.
MemoryProgram programOf(const RecomputeProblem &problem, const std::vector<unsigned> &order,
                        std::vector<unsigned> *origins = nullptr);

/// What is wrong with an order, or "".
std::string checkRecompute(const RecomputeProblem &problem, const std::vector<unsigned> &order);

} // namespace ds

#endif
