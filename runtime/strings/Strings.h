//===- Strings.h - The strings of a session ---------------------*- C++ -*-===//
// Assumes: one thread at a time.
// Guarantees: equal strings have equal numbers; number 0 is the empty string, and a program's own strings have the
// numbers
//   of its table. What one run numbered stays readable until the run after the next begins, so that the outputs of a
//   run may be inputs of the next. Memory is used again, and grows with the largest run only.
// Declines: forgetting single strings.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_STRINGS_H
#define DS_RUNTIME_STRINGS_H

#include "../src/StringLibrary.h"

namespace ds::runtime {

/// Bytes that are given out one after another, and taken back all at once.
class Arena {
public:
  Arena() = default;
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;
  ~Arena();
  /// NULL where there is no memory.
  char *allocate(size_t Size);
  void reset() { Chunk = 0, Used = 0; }
  void swap(Arena &Other);
  uint64_t memory() const;

private:
  struct Piece {
    char *Data;
    size_t Size;
  };
  Array<Piece> Pieces;
  size_t Chunk = 0, Used = 0; // of that piece
};

class StringTable {
public:
  /// A new run of a program with `Own` strings, which live as long as the model.
  bool begin(const ds_string *Own, size_t Count);
  /// The number of a string, whose bytes are copied if it is new; false without memory.
  bool number(const char *Data, size_t Size, int64_t &Number);
  /// False for a number that no string has.
  bool text(int64_t Number, ds_string &Text) const {
    if (Number < 0 || uint64_t(Number) >= Entries.size())
      return false;
    Text = Entries[size_t(Number)].Text;
    return true;
  }
  size_t size() const { return Entries.size(); }
  uint64_t memory() const;

private:
  struct Entry {
    ds_string Text;
    uint64_t Hash;
  };
  /// The place of the string, or the empty one where it belongs.
  size_t find(const char *Data, size_t Size, uint64_t Hash) const;
  bool grow(size_t Count);
  bool add(const ds_string &Text, uint64_t Hash);

  Array<Entry> Entries;
  Array<uint32_t> Slots; // 1 + the number of an entry, or 0; a power of two, at most half full
  const ds_string *Own = nullptr;
  size_t OwnCount = 0;
  Arena Bytes, Before; // of this run and of the one before
};

/// With the table as its context.
const ds_custom_op *findStringOperator(const char *Name);

} // namespace ds::runtime

#endif
