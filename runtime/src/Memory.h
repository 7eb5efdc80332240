//===- Memory.h - Memory of a session ---------------------------*- C++ -*-===//
// Assumes: one owner.
// Guarantees: 64-byte alignment; a region that cannot grow is empty afterwards.
// Declines: keeping contents when it grows. It may get up to an eighth more then.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_MEMORY_H
#define DS_RUNTIME_MEMORY_H

#include "Support.h"

namespace ds::runtime {

struct Region;

/// Hands out memory of the caller's allocator, or of the operating system, in huge pages where it has them.
class MemorySource {
public:
  void use(const ds_allocator &A) { Allocator = A; }
  void *allocate(size_t Size);
  void release(void *Memory, size_t Size);
  uint64_t held() const { return Held; }
  const ds_allocator &allocator() const { return Allocator; }
  /// Guard.h: a region's memory is exactly as large as it was asked for.
  bool isGuarded() const;

  /// The region's memory no longer counts as held; whoever gets it calls giveBack.
  Region handOver(Region &From);
  /// What another one handed over counts as held here.
  void takeOver(const Region &Given);
  static void giveBack(const ds_allocator &Allocator, void *Memory, size_t Size);

private:
  ds_allocator Allocator = {};
  uint64_t Held = 0;
};

struct Region {
  char *Data = nullptr;
  size_t Size = 0;

  [[nodiscard]] bool reserve(MemorySource &Source, int64_t Bytes);
  void release(MemorySource &Source);
  bool overlaps(const void *Other, int64_t Bytes) const {
    const char *P = static_cast<const char *>(Other);
    return Data && Bytes > 0 && P < Data + Size && Data < P + Bytes;
  }
};

} // namespace ds::runtime

#endif
