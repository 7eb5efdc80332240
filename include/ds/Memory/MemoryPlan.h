//===- MemoryPlan.h - Lifetimes, aliasing and in-place use ----------------===//
// Assumes: steps in the order that they run in; a buffer is made once, before it is read.
// Guarantees: memory that is written holds nothing that is read afterwards, by whatever name: see checkMemoryPlan.
// Declines: offsets. They depend on run-time sizes; the runtime plans them from lifetimes and sizes.
//===----------------------------------------------------------------------===//
#ifndef DS_MEMORY_MEMORYPLAN_H
#define DS_MEMORY_MEMORYPLAN_H

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ds {

/// What happens to a program's buffers, which are numbers.
struct MemoryProgram {
  /// A launch of a kernel, or what the host does between launches: it reads, and calls make buffers.
  struct Step {
    bool isLaunch = true;
    std::vector<unsigned> reads, makes;
    /// (read, made): for the other, the kernel reads of the one only the element at the position that it is about to
    /// write, in all that it makes, and both have one size. Of launches.
    std::vector<std::pair<unsigned, unsigned>> inPlace;
    /// (made, read): the memory of the one may be that of the other (a loop without iterations, a view). Of the host's
    /// steps.
    std::vector<std::pair<unsigned, unsigned>> mayAlias;
  };

  /// One a buffer: whether its memory is ours to choose. That of others (inputs, outputs, weights, results of calls) is
  /// never worked in.
  std::vector<bool> isTemporary;
  std::vector<Step> steps;

  unsigned addBuffer(bool temporary) {
    isTemporary.push_back(temporary);
    return isTemporary.size() - 1;
  }
};

/// Launches, the first and last included.
struct Lifetime {
  int64_t first = 0, last = 0;
  bool operator==(const Lifetime &other) const { return first == other.first && last == other.last; }
};

struct MemoryPlan {
  /// One a buffer: the one whose memory it lies in; mostly itself.
  std::vector<unsigned> home;
  /// One a buffer; of temporaries that are their own home.
  std::vector<std::optional<Lifetime>> lifetimes;
};

/// `reuse`: kernels may work in place, and memory ends with its last use. Without it each temporary has memory of its
/// own until the program ends.
MemoryPlan planMemory(const MemoryProgram &program, bool reuse = true);

/// What a plan overwrites or loses although it is read afterwards, or "". Follows what each piece of memory holds from
/// step to step; knows nothing of how plans are made.
std::string checkMemoryPlan(const MemoryProgram &program, const MemoryPlan &plan);

} // namespace ds

#endif
