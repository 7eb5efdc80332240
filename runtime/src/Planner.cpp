//===- Planner.cpp - Greedy by size -----------------------------------------===//
// Assumes: sizes are not negative.
// Guarantees: the result depends on sizes and lifetimes alone.
// Declines: moving a buffer once placed.
// Method: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020), section 5.2.
//===----------------------------------------------------------------------===//
#include "Planner.h"
#include <algorithm>

namespace ds::runtime {

// Far above any memory, far below overflow in the sums here.
static constexpr int64_t MaxArena = int64_t(1) << 46;

ds_status planArena(Array<Temporary> &Temporaries, int64_t &ArenaSize, ds_error *Error) {
  Array<uint32_t> Order, Placed; // Placed: by offset
  if (!Order.resize(Temporaries.size()))
    return outOfMemory(Error);
  for (size_t I = 0; I < Order.size(); ++I) {
    Order[I] = uint32_t(I);
    if (Temporaries[I].Size > MaxArena)
      return fail(Error, DS_OUT_OF_MEMORY, "the model needs a temporary of %lld bytes for inputs of this size",
                  static_cast<long long>(Temporaries[I].Size));
  }
  std::sort(Order.begin(), Order.end(), [&](uint32_t A, uint32_t B) {
    return Temporaries[A].Size != Temporaries[B].Size ? Temporaries[A].Size > Temporaries[B].Size : A < B;
  });
  ArenaSize = 0;
  for (uint32_t Index : Order) {
    Temporary &T = Temporaries[Index];
    const int64_t Size = (T.Size + ArenaAlignment - 1) & -ArenaAlignment;
    int64_t End = 0, Best = -1, BestGap = INT64_MAX; // End: of the neighbours in time seen so far
    for (uint32_t P : Placed) {
      const Temporary &Other = Temporaries[P];
      if (Other.Last < T.First || T.Last < Other.First)
        continue;
      int64_t Gap = Other.Offset - End;
      if (Gap >= Size && Gap < BestGap)
        Best = End, BestGap = Gap;
      End = std::max(End, (Other.Offset + Other.Size + ArenaAlignment - 1) & -ArenaAlignment);
    }
    T.Offset = Best >= 0 ? Best : End;
    if (T.Offset + Size > MaxArena)
      return fail(Error, DS_OUT_OF_MEMORY,
                  "the model needs more than %lld bytes of temporaries for inputs of this size",
                  static_cast<long long>(MaxArena));
    ArenaSize = std::max(ArenaSize, T.Offset + Size);
    if (!Placed.push(Index))
      return outOfMemory(Error);
    for (size_t I = Placed.size() - 1; I > 0 && Temporaries[Placed[I - 1]].Offset > T.Offset; --I)
      std::swap(Placed[I - 1], Placed[I]);
  }
  return DS_OK;
}

/// Neither too little nor so much that what runs touches more memory than it has to.
static bool fits(int64_t Size, int64_t Room) { return Size <= Room && Room - Size <= Size / 4 + ArenaAlignment; }

ds_status ArenaLayout::place(Array<Temporary> &Temporaries, int64_t &ArenaSize, bool &IsNew, ds_error *Error) {
  const size_t Count = Temporaries.size();
  const bool IsFirst = Places.size() != Count;
  IsNew = IsFirst;
  for (size_t I = 0; I < Count && !IsNew; ++I)
    IsNew = !fits(Temporaries[I].Size, Places[I].Size);
  if (IsNew) {
    if (!Places.resize(Count))
      return outOfMemory(Error);
    for (size_t I = 0; I < Count; ++I) {
      Places[I] = Temporaries[I];
      // Sizes that change once change again.
      if (!IsFirst && Places[I].Size <= MaxArena)
        Places[I].Size += Places[I].Size / 8;
    }
    ds_status Status = planArena(Places, Size, Error);
    for (size_t I = 0; Status && !IsFirst && I < Count; ++I) // without the room
      Places[I] = Temporaries[I];
    if (Status && !IsFirst)
      Status = planArena(Places, Size, Error);
    if (Status) {
      (void)Places.resize(0);
      return Status;
    }
  }
  for (size_t I = 0; I < Count; ++I)
    Temporaries[I].Offset = Places[I].Offset;
  ArenaSize = Size;
  return DS_OK;
}

} // namespace ds::runtime
