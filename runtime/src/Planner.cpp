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

} // namespace ds::runtime
