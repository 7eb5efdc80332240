//===- Strings.cpp - The strings of a session ------------------------------===//
// Guarantees: see Strings.h.
//===----------------------------------------------------------------------===//
#include "Strings.h"
#include "ds_hash.h"
#include <new>

namespace ds::runtime {

static constexpr size_t ChunkSize = 64 * 1024;

Arena::~Arena() {
  for (const Piece &P : Pieces)
    free(P.Data);
}

char *Arena::allocate(size_t Size) {
  // A piece that is too small stays empty in this run.
  while (Chunk < Pieces.size() && Pieces[Chunk].Size - Used < Size)
    ++Chunk, Used = 0;
  if (Chunk == Pieces.size()) {
    const size_t Wanted = Size > ChunkSize ? Size : ChunkSize;
    char *Data = static_cast<char *>(malloc(Wanted));
    if (!Data || !Pieces.push({Data, Wanted})) {
      free(Data);
      return nullptr;
    }
    Used = 0;
  }
  char *Result = Pieces[Chunk].Data + Used;
  Used += Size;
  return Result;
}

void Arena::swap(Arena &Other) {
  Pieces.swap(Other.Pieces);
  const size_t C = Chunk, U = Used;
  Chunk = Other.Chunk, Used = Other.Used;
  Other.Chunk = C, Other.Used = U;
}

uint64_t Arena::memory() const {
  uint64_t Size = 0;
  for (const Piece &P : Pieces)
    Size += P.Size;
  return Size;
}

uint64_t StringTable::memory() const {
  return Bytes.memory() + Before.memory() + Entries.size() * sizeof(Entry) + Slots.size() * sizeof(uint32_t);
}

size_t StringTable::find(const char *Data, size_t Size, uint64_t Hash) const {
  for (size_t At = Hash & (Slots.size() - 1);; At = (At + 1) & (Slots.size() - 1)) {
    if (!Slots[At])
      return At;
    const Entry &E = Entries[Slots[At] - 1];
    if (E.Hash == Hash && E.Text.size == Size && !memcmp(E.Text.data, Data, Size))
      return At;
  }
}

/// Room for `Count` entries.
bool StringTable::grow(size_t Count) {
  size_t Wanted = Slots.size() ? Slots.size() : 64;
  while (Wanted < 2 * Count) {
    if (Wanted > SIZE_MAX / 4)
      return false;
    Wanted *= 2;
  }
  if (Wanted == Slots.size())
    return true;
  Array<uint32_t> Larger;
  if (Count >= UINT32_MAX || !Larger.resize(Wanted))
    return false;
  Slots.swap(Larger);
  // In the order of their numbers, so that the last ones can be taken out again.
  for (size_t I = 0; I < Entries.size(); ++I)
    Slots[find(Entries[I].Text.data, Entries[I].Text.size, Entries[I].Hash)] = uint32_t(I + 1);
  return true;
}

bool StringTable::add(const ds_string &Text, uint64_t Hash) {
  if (!grow(Entries.size() + 1) || !Entries.push({Text, Hash}))
    return false;
  Slots[find(Text.data, Text.size, Hash)] = uint32_t(Entries.size());
  return true;
}

bool StringTable::begin(const ds_string *Given, size_t Count) {
  Before.swap(Bytes);
  Bytes.reset();
  if (Own != Given || OwnCount != Count) {
    (void)Entries.resize(0);
    (void)Slots.resize(0);
    Own = Given, OwnCount = 0;
    for (size_t I = 0; I < Count; ++I)
      if (!add(Given[I], ds_hash_bytes(Given[I].data, Given[I].size))) {
        Own = nullptr;
        return false;
      }
    OwnCount = Count;
    return true;
  }
  // The last one first: each leaves the places as they were before it came.
  while (Entries.size() > OwnCount) {
    const Entry &Last = Entries[Entries.size() - 1];
    Slots[find(Last.Text.data, Last.Text.size, Last.Hash)] = 0;
    (void)Entries.resize(Entries.size() - 1);
  }
  return true;
}

bool StringTable::number(const char *Data, size_t Size, int64_t &Number) {
  const uint64_t Hash = ds_hash_bytes(Data, Size);
  if (!grow(Entries.size() + 1))
    return false;
  const size_t At = find(Data, Size, Hash);
  if (Slots[At]) {
    Number = int64_t(Slots[At]) - 1;
    return true;
  }
  char *Copy = Size == SIZE_MAX ? nullptr : Bytes.allocate(Size + 1);
  if (!Copy)
    return false;
  if (Size)
    memcpy(Copy, Data, Size);
  Copy[Size] = 0;
  Number = int64_t(Entries.size());
  return add({Copy, Size}, Hash);
}

} // namespace ds::runtime

using namespace ds::runtime;

static void *create() {
  void *Place = malloc(sizeof(StringTable));
  return Place ? new (Place) StringTable : nullptr;
}

static void destroy(void *Table) {
  static_cast<StringTable *>(Table)->~StringTable();
  free(Table);
}

static uint64_t memory(const void *Table) { return static_cast<const StringTable *>(Table)->memory(); }

extern "C" {
extern DS_API const StringLibrary ds_runtime_strings;
const StringLibrary ds_runtime_strings = {create, destroy, memory, findStringOperator};
}
