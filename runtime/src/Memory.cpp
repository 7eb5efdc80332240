//===- Memory.cpp - Anonymous memory in huge pages -------------------------===//
// Assumes: Linux.
// Guarantees: what is allocated is released with the size it was asked for.
// Declines: NUMA placement.
//===----------------------------------------------------------------------===//
#include "Memory.h"
#include <initializer_list>
#include <sys/mman.h>
#include <unistd.h>

namespace ds::runtime {

static constexpr size_t HugePage = size_t(2) << 20;

static void *mapHuge(size_t Size) {
  // A huge page needs an address that is a multiple of its size: map more and give back the ends.
  char *Map = static_cast<char *>(
      mmap(nullptr, Size + HugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (Map == MAP_FAILED)
    return nullptr;
  char *Start = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(Map) + HugePage - 1) & ~(HugePage - 1));
  if (Start != Map)
    munmap(Map, size_t(Start - Map));
  if (char *End = Map + Size + HugePage; End != Start + Size)
    munmap(Start + Size, size_t(End - (Start + Size)));
  (void)madvise(Start, Size, MADV_HUGEPAGE);
  return Start;
}

static size_t mappedSize(size_t Size) {
  const size_t Unit = Size >= HugePage ? HugePage : size_t(sysconf(_SC_PAGESIZE));
  return (Size + Unit - 1) & ~(Unit - 1);
}

void *MemorySource::allocate(size_t Size) {
  void *Memory;
  if (Allocator.allocate) {
    Memory = Allocator.allocate(Allocator.context, Size, 64);
  } else if (size_t Mapped = mappedSize(Size); Mapped >= HugePage) {
    Memory = mapHuge(Mapped);
  } else {
    Memory = mmap(nullptr, Mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (Memory == MAP_FAILED)
      Memory = nullptr;
  }
  if (Memory)
    Held += Size;
  return Memory;
}

void MemorySource::giveBack(const ds_allocator &Allocator, void *Memory, size_t Size) {
  if (Allocator.allocate)
    Allocator.release(Allocator.context, Memory, Size);
  else
    munmap(Memory, mappedSize(Size));
}

void MemorySource::release(void *Memory, size_t Size) {
  Held -= Size;
  giveBack(Allocator, Memory, Size);
}

Region MemorySource::handOver(Region &From) {
  Region Taken = From;
  Held -= From.Size;
  From = Region();
  return Taken;
}

void MemorySource::takeOver(const Region &Given) { Held += Given.Size; }

bool Region::reserve(MemorySource &Source, int64_t Bytes) {
  if (Bytes <= int64_t(Size) && !Source.isGuarded())
    return true;
  // What has grown once grows again: a cache that gets longer with each run is not moved each time.
  const size_t Wanted = size_t(Bytes), Roomy = Size && !Source.isGuarded() ? Wanted + Wanted / 8 : Wanted;
  release(Source);
  if (Wanted == 0)
    return true;
  for (size_t Try : {Roomy, Wanted})
    if (!Data && (Data = static_cast<char *>(Source.allocate(Try))))
      Size = Try;
  return Data;
}

void Region::release(MemorySource &Source) {
  if (Data)
    Source.release(Data, Size);
  *this = Region();
}

} // namespace ds::runtime
